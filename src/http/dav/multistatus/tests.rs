//! Multistatus entries as they are written, and what one costs.

use super::*;
use crate::drive::{LockView, Quota};
use crate::http::dav::requests::PropfindKind;
use crate::http::dav::requests::parse_propfind;
use crate::http::dav::xml::XmlDocument;
use crate::http::dav::xml::XmlName;
use crate::model::VPath;
use crate::model::time::from_unix_seconds;
use crate::storage::{DeadProp, Etag, Node};
use std::time::{Duration, Instant};

const MODIFIED: i64 = 784_111_777;

fn node(folder: bool) -> Node {
    let modified = from_unix_seconds(MODIFIED);
    Node {
        folder,
        len: 42,
        modified,
        created: modified,
        etag: Etag([0xa, 0xb, 0xc, 0x2a]),
    }
}

fn plain<'a>(name: &'a str, node: &'a Node) -> PropertySource<'a> {
    PropertySource {
        name: Some(name),
        node,
        props: &[],
        locks: &[],
        quota: None,
        account: "ann",
        prefix: "/dav",
    }
}

fn dead(ns: &str, name: &str, xml: &str) -> DeadProp {
    DeadProp {
        ns: ns.into(),
        name: name.into(),
        xml: xml.into(),
    }
}

fn named(inner: &str) -> PropfindKind {
    let body = format!(
        "<propfind xmlns='DAV:' xmlns:Z='urn:schemas-microsoft-com:'><prop>{inner}</prop></propfind>"
    );
    parse_propfind(body.as_bytes()).unwrap()
}

fn written(find: PropfindKind, subject: &PropertySource<'_>) -> String {
    written_by(
        &mut MultistatusWriter::new(PropfindPlan::new(find, false, "")),
        subject,
    )
}

fn written_by(writer: &mut MultistatusWriter, subject: &PropertySource<'_>) -> String {
    let mut out = HEAD.to_vec();
    let base = b"/dav/";
    let place = ResponseHref {
        base,
        child: subject.name,
    };
    writer.write(&mut out, place, subject);
    out.extend_from_slice(TAIL);
    let text = crate::http::dav::xml::XmlText::decode(&out).unwrap();
    let mut document = XmlDocument::new(&text).unwrap();
    document.root().unwrap();
    document.skip().unwrap();
    document.finish().unwrap();
    let text = String::from_utf8(out).unwrap();
    let inner = text
        .strip_prefix(std::str::from_utf8(HEAD).unwrap())
        .unwrap();
    inner.strip_suffix("</D:multistatus>").unwrap().to_owned()
}

#[test]
fn named_properties_come_with_the_missing_after_them() {
    let file = node(false);
    let find = named("<getetag/><nope/><getcontentlength/><x xmlns='urn:y'/><getetag/><quota/>");
    let expected = "<D:response><D:href>/dav/a%26b.txt</D:href><D:propstat><D:prop><D:getetag>\"a-b-c-2a\"</D:getetag>\
        <D:getcontentlength>42</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>\
        <D:propstat><D:prop><D:nope/><x xmlns=\"urn:y\"/><D:quota/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>\
        </D:response>";
    assert_eq!(written(find, &plain("a&b.txt", &file)), expected);
}

#[test]
fn a_response_is_never_without_a_propstat() {
    let folder = node(true);
    let only_unknown = written(named("<nope/><getcontentlength/>"), &plain("d", &folder));
    let expected = "<D:response><D:href>/dav/d/</D:href><D:propstat><D:prop><D:nope/><D:getcontentlength/></D:prop>\
        <D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>";
    assert_eq!(only_unknown, expected);
    assert!(
        written(named(""), &plain("d", &folder))
            .contains("<D:prop></D:prop><D:status>HTTP/1.1 200 OK")
    );
}

#[test]
fn allprop_is_what_the_standard_defines_and_all_dead() {
    let file = node(false);
    let props = [
        dead("u", "mine", "<mine xmlns=\"u\">1</mine>"),
        dead("DAV:", "getetag", "<D:getetag xmlns:D=\"DAV:\"/>"),
    ];
    let subject = PropertySource {
        props: &props,
        quota: Some(Quota {
            used: 1,
            available: 2,
        }),
        ..plain("ü<.txt", &file)
    };
    let expected = "<D:response><D:href>/dav/%C3%BC%3C.txt</D:href><D:propstat><D:prop><D:resourcetype></D:resourcetype>\
        <D:getcontentlength>42</D:getcontentlength><D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified>\
        <D:creationdate>1994-11-06T08:49:37Z</D:creationdate><D:getetag>\"a-b-c-2a\"</D:getetag>\
        <D:getcontenttype>text/plain</D:getcontenttype><D:displayname>ü&lt;.txt</D:displayname><D:supportedlock>\
        <D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>\
        <D:lockentry><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry></D:supportedlock>\
        <D:lockdiscovery></D:lockdiscovery><mine xmlns=\"u\">1</mine></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>\
        </D:response>";
    assert_eq!(written(PropfindKind::All(vec![]), &subject), expected);
    let include = vec![
        XmlName {
            ns: "u".into(),
            local: "mine".into(),
        },
        XmlName {
            ns: "u".into(),
            local: "none".into(),
        },
    ];
    let included = written(PropfindKind::All(include), &subject);
    assert_eq!(included.matches("<mine").count(), 1);
    assert!(included.contains("<none xmlns=\"u\"/></D:prop><D:status>HTTP/1.1 404"));
}

#[test]
fn propname_has_names_and_no_values() {
    let folder = node(true);
    let props = [dead("u", "mine", "<mine xmlns=\"u\">1</mine>")];
    let text = written(
        PropfindKind::Names,
        &PropertySource {
            props: &props,
            ..plain("d", &folder)
        },
    );
    assert!(
        text.contains("<D:supportedlock/>")
            && text.contains("<mine xmlns=\"u\"/>")
            && text.contains("<D:resourcetype/>")
    );
    assert!(
        !text.contains("getcontentlength") && !text.contains("quota") && !text.contains("404"),
        "{text}"
    );
}

#[test]
fn the_drive_itself_has_no_displayname_and_its_quota() {
    let folder = node(true);
    let root = PropertySource {
        name: None,
        quota: Some(Quota {
            used: 7,
            available: 9,
        }),
        ..plain("", &folder)
    };
    let asked = "<displayname/><quota-available-bytes/><quota-used-bytes/>";
    let text = written(named(asked), &root);
    assert!(text.starts_with("<D:response><D:href>/dav/</D:href>"));
    assert!(text.contains(
        "<D:quota-available-bytes>9</D:quota-available-bytes><D:quota-used-bytes>7</D:quota-used-bytes></D:prop>"
    ));
    assert!(text.contains("<D:prop><D:displayname/></D:prop><D:status>HTTP/1.1 404"));
    let hidden = PropfindPlan::new(named(asked), true, "");
    assert!(!hidden.needs_quota());
    assert!(
        written_by(&mut MultistatusWriter::new(hidden), &root).contains(
            "<D:quota-available-bytes/><D:quota-used-bytes/></D:prop><D:status>HTTP/1.1 404"
        )
    );
}

#[test]
fn windows_reads_back_what_it_stored() {
    let file = node(false);
    let xml =
        "<Z:Win32CreationTime xmlns:Z=\"urn:schemas-microsoft-com:\">stored</Z:Win32CreationTime>";
    let props = [dead("urn:schemas-microsoft-com:", "Win32CreationTime", xml)];
    let find = named(
        "<Z:Win32CreationTime/><Z:Win32LastModifiedTime/><Z:Win32FileAttributes/><current-user-principal/>",
    );
    let text = written(
        find,
        &PropertySource {
            props: &props,
            ..plain("f", &file)
        },
    );
    assert!(
        text.contains(">stored<")
            && text.contains(">Sun, 06 Nov 1994 08:49:37 GMT</Z:Win32LastModifiedTime>")
    );
    assert!(
        text.contains(">00000020<")
            && text.contains("<D:href>/principals/ann/</D:href>")
            && !text.contains("404")
    );
}

#[test]
fn locks_are_told_with_their_roots() {
    let file = node(false);
    let locks = [LockView {
        token: None,
        root: VPath::root(),
        root_is_folder: true,
        owner: String::new(),
        shared: true,
        deep: true,
        remaining: Duration::from_secs(5),
    }];
    let text = written(
        named("<lockdiscovery/>"),
        &PropertySource {
            locks: &locks,
            ..plain("f", &file)
        },
    );
    assert!(
        text.contains("<D:lockdiscovery><D:activelock>")
            && text.contains("<D:lockroot><D:href>/dav/</D:href></D:lockroot>")
    );
}

#[test]
fn windows_listings_stay_small() {
    let file = Node {
        etag: Etag([1 << 40, 1 << 62, 1 << 62, 1 << 30]),
        len: 1 << 30,
        ..node(false)
    };
    let mut writer = MultistatusWriter::new(PropfindPlan::new(
        PropfindKind::All(vec![]),
        false,
        "Microsoft-WebDAV-MiniRedir/10.0",
    ));
    let text = written_by(&mut writer, &plain("holiday picture.jpg", &file));
    assert!(!text.contains("supportedlock") && text.contains("lockdiscovery"));
    assert!(text.len() < 650, "{}", text.len());
}

#[test]
#[ignore = "a measurement: cargo test --release --lib nanoseconds -- --ignored --nocapture"]
fn nanoseconds_per_entry() {
    let rclone = named(
        "<displayname/><getlastmodified/><getcontentlength/><resourcetype/><getcontenttype/><nope/>",
    );
    let finder = named("<getlastmodified/><getcontentlength/><creationdate/><resourcetype/>");
    for (label, find, spread) in [
        ("allprop, one day", PropfindKind::All(vec![]), 1),
        ("allprop, 1000 days", PropfindKind::All(vec![]), 86_400),
        ("rclone", rclone, 1),
        ("finder", finder, 1),
    ] {
        let nodes: Vec<(String, Node)> = (0..10_000_i64)
            .map(|i| {
                let modified = from_unix_seconds(1_700_000_000 + (i * 7919 % 1000) * spread);
                let etag = Etag([123_456 + i.unsigned_abs(), 1 << 60, 1 << 60, 12_345]);
                (
                    format!("photo {i:05}.jpg"),
                    Node {
                        modified,
                        etag,
                        len: 12_345,
                        ..node(false)
                    },
                )
            })
            .collect();
        let mut writer = MultistatusWriter::new(PropfindPlan::new(find, false, ""));
        let mut best = u128::MAX;
        let mut bytes = 0;
        for _ in 0..20 {
            let begin = Instant::now();
            bytes = 0;
            let mut out = Vec::with_capacity(64 * 1024);
            for (name, node) in &nodes {
                writer.write(
                    &mut out,
                    ResponseHref {
                        base: b"/dav/photos/",
                        child: Some(name),
                    },
                    &plain(name, node),
                );
                if out.len() > 48 * 1024 {
                    bytes += std::mem::replace(&mut out, Vec::with_capacity(64 * 1024)).len();
                }
            }
            best = best.min(begin.elapsed().as_nanos());
        }
        println!(
            "{label}: {} ns per entry, {} bytes",
            best / 10_000,
            bytes / 10_000
        );
        assert!(bytes > 0);
    }
}
