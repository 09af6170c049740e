//! The XML of locks: `lockinfo` in requests, `activelock` in answers (RFC 4918 sections 14.1 and 14.11).

use super::xml::write::write_text;
use super::xml::{XmlDocument, XmlText};
use crate::drive::LockView;
use crate::http::decimal::write_decimal;
use crate::http::href;
use crate::model::{Error, Result};

/// The most bytes that the `owner` element of a lock may have.
pub const MAX_OWNER: usize = 4096;

/// What a LOCK asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockInfo {
    /// Shared instead of exclusive.
    pub shared: bool,
    /// The `owner` element, verbatim and self-contained, or empty.
    pub owner: String,
}

/// Reads the body of a LOCK that makes a new lock.
pub fn parse_lockinfo(body: &[u8]) -> Result<LockInfo> {
    let text = XmlText::decode(body)?;
    let mut document = XmlDocument::new(&text)?;
    if !document.root()?.is_dav("lockinfo") {
        return Err(Error::BadRequest(
            "The body of a LOCK is a lockinfo element.",
        ));
    }
    let mut shared = None;
    let mut write = false;
    let mut owner = String::new();
    while let Some(name) = document.child()? {
        if name.is_dav("lockscope") {
            while let Some(scope) = document.child()? {
                document.skip()?;
                shared = if scope.is_dav("shared") {
                    Some(true)
                } else {
                    shared
                };
                shared = if scope.is_dav("exclusive") {
                    Some(false)
                } else {
                    shared
                };
            }
        } else if name.is_dav("locktype") {
            while let Some(kind) = document.child()? {
                document.skip()?;
                write |= kind.is_dav("write");
            }
        } else if name.is_dav("owner") {
            owner = document.capture()?.xml;
        } else {
            document.skip()?;
        }
    }
    document.finish()?;
    if owner.len() > MAX_OWNER {
        return Err(Error::TooLarge);
    }
    match shared.filter(|_| write) {
        Some(shared) => Ok(LockInfo { shared, owner }),
        None => Err(Error::BadRequest(
            "A lock is a write lock, exclusive or shared.",
        )),
    }
}

/// Writes one lock of the drive that is served under `prefix`, in the namespace prefix `D`; the token only where the view has it.
pub fn write_activelock(out: &mut Vec<u8>, lock: &LockView, prefix: &str) {
    out.extend_from_slice(b"<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope>");
    out.extend_from_slice(if lock.shared {
        b"<D:shared/>"
    } else {
        b"<D:exclusive/>"
    });
    out.extend_from_slice(b"</D:lockscope><D:depth>");
    out.extend_from_slice(if lock.deep { b"infinity" } else { b"0" });
    out.extend_from_slice(b"</D:depth>");
    out.extend_from_slice(lock.owner.as_bytes());
    out.extend_from_slice(b"<D:timeout>Second-");
    write_decimal(out, lock.remaining.as_secs());
    out.extend_from_slice(b"</D:timeout>");
    if let Some(token) = &lock.token {
        out.extend_from_slice(b"<D:locktoken><D:href>");
        write_text(out, token);
        out.extend_from_slice(b"</D:href></D:locktoken>");
    }
    out.extend_from_slice(b"<D:lockroot><D:href>");
    href::write_path(out, prefix, &lock.root, lock.root_is_folder);
    out.extend_from_slice(b"</D:href></D:lockroot></D:activelock>");
}

/// The body that answers a LOCK.
pub fn lock_answer(lock: &LockView, prefix: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(640 + lock.owner.len());
    out.extend_from_slice(
        b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery>",
    );
    write_activelock(&mut out, lock, prefix);
    out.extend_from_slice(b"</D:lockdiscovery></D:prop>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::VPath;
    use std::time::Duration;

    fn lockinfo(scope: &str, owner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:lockinfo xmlns:D='DAV:'><D:lockscope><D:{scope}/></D:lockscope>\
             <D:locktype><D:write/></D:locktype>{owner}</D:lockinfo>"
        )
    }

    #[test]
    fn lockinfo_is_read_with_its_owner_verbatim() {
        let owner = "<D:owner><D:href>litmus &amp; co</D:href></D:owner>";
        let info = parse_lockinfo(lockinfo("exclusive", owner).as_bytes()).unwrap();
        assert!(!info.shared);
        assert_eq!(
            info.owner,
            "<D:owner xmlns:D=\"DAV:\"><D:href>litmus &amp; co</D:href></D:owner>"
        );
        assert!(
            parse_lockinfo(lockinfo("shared", "").as_bytes())
                .unwrap()
                .shared
        );
        let finder = "<a:lockinfo xmlns:a=\"DAV:\"><a:lockscope><a:exclusive/></a:lockscope><a:locktype><a:write/></a:locktype></a:lockinfo>";
        assert_eq!(
            parse_lockinfo(finder.as_bytes()).unwrap(),
            LockInfo {
                shared: false,
                owner: String::new()
            }
        );
    }

    #[test]
    fn what_is_no_lock_is_refused() {
        let long = format!("<D:owner>{}</D:owner>", "x".repeat(MAX_OWNER));
        assert!(matches!(
            parse_lockinfo(lockinfo("shared", &long).as_bytes()),
            Err(Error::TooLarge)
        ));
        for body in [
            "",
            "<x/>",
            "<D:lockinfo xmlns:D='DAV:'/>",
            &lockinfo("other", ""),
            &lockinfo("shared", "").replace("write", "read"),
        ] {
            assert!(
                matches!(parse_lockinfo(body.as_bytes()), Err(Error::BadRequest(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn locks_are_written_whole_and_foreign_tokens_are_not() {
        let mut lock = LockView {
            token: Some("urn:uuid:1".into()),
            root: VPath::parse("a b").unwrap(),
            root_is_folder: true,
            owner: "<D:owner xmlns:D=\"DAV:\">me</D:owner>".into(),
            shared: false,
            deep: true,
            remaining: Duration::from_millis(599_900),
        };
        let expected = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery><D:activelock>\
            <D:locktype><D:write/></D:locktype><D:lockscope><D:exclusive/></D:lockscope><D:depth>infinity</D:depth>\
            <D:owner xmlns:D=\"DAV:\">me</D:owner><D:timeout>Second-599</D:timeout>\
            <D:locktoken><D:href>urn:uuid:1</D:href></D:locktoken><D:lockroot><D:href>/dav/a%20b/</D:href></D:lockroot>\
            </D:activelock></D:lockdiscovery></D:prop>";
        assert_eq!(
            String::from_utf8(lock_answer(&lock, "/dav")).unwrap(),
            expected
        );
        lock.token = None;
        let other = String::from_utf8(lock_answer(&lock, "/dav")).unwrap();
        assert!(!other.contains("locktoken") && !other.contains("urn:uuid"));
    }
}
