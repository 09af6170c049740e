//! Answers PROPPATCH: all steps or none, each property with its own status (RFC 4918 section 9.2).

use super::propfind::multistatus;
use crate::drive::{Drive, RequestPreconditions};
use crate::http::body::Body;
use crate::http::dav::multistatus::{HEAD, TAIL};
use crate::http::dav::props::{LiveProperty, WINDOWS};
use crate::http::dav::quirks;
use crate::http::dav::requests::{Instruction, parse_propertyupdate};
use crate::http::dav::xml::XmlName;
use crate::http::dav::xml::write::{write_empty, write_text};
use crate::http::href;
use crate::model::time::{in_calendar, parse_http_date, parse_seconds};
use crate::model::{Error, Result, VPath};
use crate::storage::{DeadProp, OWN_NAMESPACE, PropChange};
use http::Response;
use std::collections::HashSet;
use std::time::SystemTime;

/// What happens to one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PropertyOutcome {
    Done,
    Protected,
    BadValue,
    TooLarge,
    Dependent,
}

/// What a request changes, if it changes anything.
#[derive(Debug, Default)]
struct PropertyChanges {
    props: Vec<PropChange>,
    modified: Option<SystemTime>,
}

/// Answers with a 207; errors of the drive that concern the whole request (locked, gone) are returned.
pub async fn answer(
    drive: &Drive,
    path: &VPath,
    prefix: &str,
    preconditions: RequestPreconditions,
    body: &[u8],
) -> Result<Response<Body>> {
    let steps = parse_propertyupdate(body)?;
    let node = drive.stat(path).await?;
    let base = href::encode(prefix, path, node.folder);
    let mut why = String::new();
    let outcomes = match plan(&steps) {
        Err(outcomes) => outcomes,
        Ok(changes) => match drive
            .set_props(path, changes.props, changes.modified, preconditions)
            .await
        {
            Ok(()) => vec![PropertyOutcome::Done; steps.len()],
            Err(Error::Invalid { why: sentence, .. }) => {
                why = sentence;
                blame_time(&steps)
            }
            Err(error @ (Error::NoSpace | Error::TooLarge | Error::LimitReached(_))) => {
                why = error.to_string();
                blame_largest(&steps)
            }
            Err(error) => return Err(error),
        },
    };
    Ok(multistatus(Body::full(write(
        &base, &steps, &outcomes, &why,
    ))))
}

/// The changes to make, or why none is made.
fn plan(steps: &[Instruction]) -> Result<PropertyChanges, Vec<PropertyOutcome>> {
    let mut changes = PropertyChanges::default();
    let checked: Vec<PropertyOutcome> = steps
        .iter()
        .map(|step| check_instruction(step, &mut changes))
        .collect();
    if checked
        .iter()
        .all(|outcome| *outcome == PropertyOutcome::Done)
    {
        return Ok(changes);
    }
    let dependent = |outcome| {
        if outcome == PropertyOutcome::Done {
            PropertyOutcome::Dependent
        } else {
            outcome
        }
    };
    Err(checked.into_iter().map(dependent).collect())
}

/// Checks one step and adds what it changes.
fn check_instruction(step: &Instruction, changes: &mut PropertyChanges) -> PropertyOutcome {
    let name = step.name();
    let live = LiveProperty::of(&name.ns, &name.local);
    match (live, step) {
        (
            Some(LiveProperty::WindowsModified | LiveProperty::ModifiedSeconds),
            Instruction::Set(_, value),
        ) => {
            let Some(time) = parse_time(&value.text) else {
                return PropertyOutcome::BadValue;
            };
            if !quirks::is_unset_windows_time(time) {
                changes.modified = Some(time);
            }
            PropertyOutcome::Done
        }
        (
            Some(LiveProperty::WindowsModified | LiveProperty::ModifiedSeconds),
            Instruction::Remove(_),
        ) => PropertyOutcome::Done,
        (Some(live), _) if !live.is_stored() => PropertyOutcome::Protected,
        _ if is_computed(name) => PropertyOutcome::Protected,
        (_, Instruction::Set(name, value)) => {
            let ns = name.ns.clone();
            let name = name.local.clone();
            let xml = value.xml.clone();
            changes
                .props
                .push(PropChange::Set(DeadProp { ns, name, xml }));
            PropertyOutcome::Done
        }
        (_, Instruction::Remove(name)) => {
            changes.props.push(PropChange::Remove {
                ns: name.ns.clone(),
                name: name.local.clone(),
            });
            PropertyOutcome::Done
        }
    }
}

/// Names that mean something computed elsewhere, though not here: a stored value would mislead clients.
fn is_computed(name: &XmlName) -> bool {
    const DAV: [&str; 8] = [
        "acl",
        "owner",
        "group",
        "quota",
        "quotaused",
        "sync-token",
        "supported-report-set",
        "supported-privilege-set",
    ];
    name.ns == OWN_NAMESPACE
        || name.ns == "DAV:" && DAV.contains(&name.local.as_str())
        || name.ns == WINDOWS && name.local == "Win32LastChangeTime"
}

/// An HTTP date, or seconds since 1970 (rclone writes fractions, which are cut off).
fn parse_time(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    match parse_seconds(text) {
        Some(seconds) => in_calendar(seconds),
        None => parse_http_date(text),
    }
}

/// Whether a step sets the modification time.
fn sets_time(step: &Instruction) -> bool {
    let live = LiveProperty::of(&step.name().ns, &step.name().local);
    let is_time = matches!(
        live,
        Some(LiveProperty::WindowsModified | LiveProperty::ModifiedSeconds)
    );
    is_time && matches!(step, Instruction::Set(..))
}

/// When the file system does not keep the modification time, that is what nothing was changed for.
fn blame_time(steps: &[Instruction]) -> Vec<PropertyOutcome> {
    let outcome = |step| {
        if sets_time(step) {
            PropertyOutcome::BadValue
        } else {
            PropertyOutcome::Dependent
        }
    };
    steps.iter().map(outcome).collect()
}

/// When the properties together are too large, the largest set is the one to tell of.
fn blame_largest(steps: &[Instruction]) -> Vec<PropertyOutcome> {
    let size = |step: &Instruction| {
        if let Instruction::Set(_, value) = step {
            value.xml.len()
        } else {
            0
        }
    };
    let largest = steps
        .iter()
        .enumerate()
        .max_by_key(|(_, step)| size(step))
        .map_or(0, |(index, _)| index);
    let outcome = |index| {
        if index == largest {
            PropertyOutcome::TooLarge
        } else {
            PropertyOutcome::Dependent
        }
    };
    (0..steps.len()).map(outcome).collect()
}

/// Writes the whole answer, one propstat for each outcome, each property once. `why` says in a sentence what has no room, or which time is not kept.
fn write(base: &[u8], steps: &[Instruction], outcomes: &[PropertyOutcome], why: &str) -> Vec<u8> {
    const ORDER: [(PropertyOutcome, &[u8]); 5] = [
        (PropertyOutcome::Done, b"200 OK</D:status>"),
        (
            PropertyOutcome::Protected,
            b"403 Forbidden</D:status><D:error><D:cannot-modify-protected-property/></D:error>",
        ),
        (PropertyOutcome::BadValue, b"409 Conflict</D:status>"),
        (
            PropertyOutcome::TooLarge,
            b"507 Insufficient Storage</D:status>",
        ),
        (
            PropertyOutcome::Dependent,
            b"424 Failed Dependency</D:status>",
        ),
    ];
    let mut out = HEAD.to_vec();
    out.extend_from_slice(b"<D:response><D:href>");
    out.extend_from_slice(base);
    out.extend_from_slice(b"</D:href>");
    let mut told = HashSet::new();
    for (outcome, status) in ORDER {
        let mut names = Vec::new();
        for (step, _) in steps.iter().zip(outcomes).filter(|(_, o)| **o == outcome) {
            if told.insert(step.name()) {
                write_empty(&mut names, &step.name().ns, &step.name().local);
            }
        }
        if !names.is_empty() {
            out.extend_from_slice(b"<D:propstat><D:prop>");
            out.extend_from_slice(&names);
            out.extend_from_slice(b"</D:prop><D:status>HTTP/1.1 ");
            out.extend_from_slice(status);
            let is_explained = matches!(
                outcome,
                PropertyOutcome::TooLarge | PropertyOutcome::BadValue
            );
            if is_explained && !why.is_empty() {
                out.extend_from_slice(b"<D:responsedescription>");
                write_text(&mut out, why);
                out.extend_from_slice(b"</D:responsedescription>");
            }
            out.extend_from_slice(b"</D:propstat>");
        }
    }
    out.extend_from_slice(b"</D:response>");
    out.extend_from_slice(TAIL);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::from_unix_seconds;

    fn steps(inner: &str) -> Vec<Instruction> {
        let body = format!(
            "<D:propertyupdate xmlns:D='DAV:' xmlns:Z='urn:schemas-microsoft-com:'>{inner}</D:propertyupdate>"
        );
        parse_propertyupdate(body.as_bytes()).unwrap()
    }

    fn set(inner: &str) -> Vec<Instruction> {
        steps(&format!("<D:set><D:prop>{inner}</D:prop></D:set>"))
    }

    #[test]
    fn protected_properties_stop_everything() {
        for protected in [
            "D:getetag",
            "D:getcontentlength",
            "D:resourcetype",
            "D:lockdiscovery",
            "D:supportedlock",
            "D:creationdate",
            "D:getlastmodified",
            "D:displayname",
            "D:getcontenttype",
            "D:quota-used-bytes",
            "D:quota",
        ] {
            let steps = set(&format!("<a/><{protected}>x</{protected}><b/>"));
            let outcomes = plan(&steps).unwrap_err();
            assert_eq!(
                outcomes,
                [
                    PropertyOutcome::Dependent,
                    PropertyOutcome::Protected,
                    PropertyOutcome::Dependent
                ],
                "{protected}"
            );
        }
        let removal = steps("<D:remove><D:prop><D:getetag/></D:prop></D:remove>");
        assert_eq!(plan(&removal).unwrap_err(), [PropertyOutcome::Protected]);
    }

    #[test]
    fn the_answer_tells_each_property_once() {
        let steps = set("<a xmlns='u'/><D:getetag/><a xmlns='u'/>");
        let text =
            String::from_utf8(write(b"/dav/f", &steps, &plan(&steps).unwrap_err(), "")).unwrap();
        let expected = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/dav/f</D:href>\
            <D:propstat><D:prop><D:getetag/></D:prop><D:status>HTTP/1.1 403 Forbidden</D:status>\
            <D:error><D:cannot-modify-protected-property/></D:error></D:propstat>\
            <D:propstat><D:prop><a xmlns=\"u\"/></D:prop><D:status>HTTP/1.1 424 Failed Dependency</D:status></D:propstat>\
            </D:response></D:multistatus>";
        assert_eq!(text, expected);
    }

    #[test]
    fn times_of_windows_and_rclone_set_the_modification_time() {
        let moment = Some(from_unix_seconds(784_111_777));
        let windows = "<Z:Win32CreationTime>Sun, 06 Nov 1994 08:49:30 GMT</Z:Win32CreationTime>\
            <Z:Win32LastModifiedTime>Sun, 06 Nov 1994 08:49:37 GMT</Z:Win32LastModifiedTime>\
            <Z:Win32FileAttributes>00000020</Z:Win32FileAttributes>";
        let changes = plan(&set(windows)).unwrap();
        assert_eq!(changes.modified, moment);
        assert_eq!(changes.props.len(), 2);
        for value in [
            "784111777",
            "784111777.123",
            "Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            let changes = plan(&set(&format!("<D:lastmodified>{value}</D:lastmodified>"))).unwrap();
            assert_eq!(changes.modified, moment, "{value}");
            assert!(changes.props.is_empty());
        }
        let zero =
            "<Z:Win32LastModifiedTime>Mon, 01 Jan 1601 00:00:00 GMT</Z:Win32LastModifiedTime>";
        assert_eq!(plan(&set(zero)).unwrap().modified, None);
        for bad in [
            "yesterday",
            "253402300800",
            "9223372036854775807",
            "-9223372036854775808",
            "1.x",
        ] {
            let bad = set(&format!(
                "<Z:Win32LastModifiedTime>{bad}</Z:Win32LastModifiedTime><a/>"
            ));
            assert_eq!(
                plan(&bad).unwrap_err(),
                [PropertyOutcome::BadValue, PropertyOutcome::Dependent]
            );
        }
    }

    #[test]
    fn dead_properties_pass_in_order() {
        let steps = steps(
            "<D:remove><D:prop><a/></D:prop></D:remove><D:set><D:prop><a>1</a></D:prop></D:set>",
        );
        let changes = plan(&steps).unwrap();
        let [PropChange::Remove { name, .. }, PropChange::Set(prop)] = changes.props.as_slice()
        else {
            panic!("{changes:?}")
        };
        assert_eq!((name.as_str(), prop.xml.as_str()), ("a", "<a>1</a>"));
        let text =
            String::from_utf8(write(b"/dav/f", &steps, &[PropertyOutcome::Done; 2], "")).unwrap();
        assert_eq!(text.matches("<a xmlns=\"\"/>").count(), 1);
        assert!(text.contains("HTTP/1.1 200 OK") && !text.contains("424"));
    }

    #[test]
    fn too_large_blames_the_largest() {
        let steps = set("<a>1</a><b>12345</b><c/>");
        let outcomes = blame_largest(&steps);
        assert_eq!(
            outcomes,
            [
                PropertyOutcome::Dependent,
                PropertyOutcome::TooLarge,
                PropertyOutcome::Dependent
            ]
        );
        let text = String::from_utf8(write(b"/dav/f", &steps, &outcomes, "No room.")).unwrap();
        assert!(text.contains("<b xmlns=\"\"/></D:prop><D:status>HTTP/1.1 507"));
        let described = "Storage</D:status><D:responsedescription>No room.</D:responsedescription></D:propstat>";
        assert!(text.contains(described), "{text}");
    }
}
