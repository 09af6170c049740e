//! Rows 98-103: PROPPATCH.

use crate::harness::{NAME, TestServer};

#[test]
fn row_099_win32_times_are_kept_and_told() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let time = "Sat, 03 Feb 2001 04:05:06 GMT";
    let steps = format!(
        "<D:set><D:prop><Z:Win32CreationTime>{time}</Z:Win32CreationTime><Z:Win32LastAccessTime>{time}</Z:Win32LastAccessTime>\
         <Z:Win32LastModifiedTime>{time}</Z:Win32LastModifiedTime><Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set>"
    );
    let answer = ana.proppatch(NAME, &steps).send().multistatus();
    assert_eq!(answer.only().props.len(), 4);
    assert!(
        answer.only().props.iter().all(|prop| prop.status == 200),
        "{answer:?}"
    );
    assert_eq!(ana.head(NAME).header("last-modified"), Some(time));
    let asked = r#"<Z:Win32FileAttributes xmlns:Z="urn:schemas-microsoft-com:"/><Z:Win32LastModifiedTime xmlns:Z="urn:schemas-microsoft-com:"/>"#;
    let answer = ana.props(NAME, "0", asked).multistatus();
    assert_eq!(
        answer
            .only()
            .value("{urn:schemas-microsoft-com:}Win32FileAttributes"),
        "00000020"
    );
    assert_eq!(
        answer
            .only()
            .value("{urn:schemas-microsoft-com:}Win32LastModifiedTime"),
        time
    );
}

#[test]
fn row_101_executable_is_answered_in_a_propstat() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let steps = r#"<D:set><D:prop><a:executable xmlns:a="http://apache.org/dav/props/">T</a:executable></D:prop></D:set>"#;
    let status = ana.proppatch(NAME, steps).send().multistatus().only().props[0].status;
    assert!([200, 403].contains(&status), "{status}");
}

#[test]
fn row_102_rclone_sets_lastmodified() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let steps =
        "<D:set><D:prop><lastmodified xmlns=\"DAV:\">981173106</lastmodified></D:prop></D:set>";
    assert_eq!(
        ana.proppatch(NAME, steps)
            .send()
            .multistatus()
            .only()
            .status_of("lastmodified"),
        200
    );
    assert_eq!(
        ana.head(NAME).header("last-modified"),
        Some("Sat, 03 Feb 2001 04:05:06 GMT")
    );
}
