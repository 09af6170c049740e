//! Rows 52-56: quota.

use crate::harness::TestServer;
use sarang::model::AccountName;

const ASKED: &str = "<D:quota-available-bytes/><D:quota-used-bytes/><D:quota/><D:quotaused/>";

#[test]
fn row_052_quota_is_told_when_asked() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    for path in ["/", "/d"] {
        let answer = ana.props(path, "0", ASKED).multistatus();
        for name in ["quota-available-bytes", "quota-used-bytes"] {
            assert!(
                answer.only().value(name).parse::<u64>().is_ok(),
                "{path} {name}"
            );
        }
        assert_eq!(
            (
                answer.only().status_of("quota"),
                answer.only().status_of("quotaused")
            ),
            (404, 404)
        );
    }
}

#[test]
fn row_053_quota_can_be_hidden_from_clients() {
    let server = TestServer::with(|config| config.drive.hide_quota_from = vec!["WebDAVFS/".into()]);
    let ana = server.ana();
    let ask = |agent: &str| {
        let request = ana
            .request("PROPFIND", "/")
            .header("Depth", "0")
            .header("User-Agent", agent);
        request
            .xml(crate::harness::propfind_body(ASKED))
            .send()
            .multistatus()
            .only()
            .status_of("quota-available-bytes")
    };
    assert_eq!(ask("WebDAVFS/3.0.0 (03008000) Darwin/25.2.0 (arm64)"), 404);
    assert_eq!(ask("gvfs/1.50.3"), 200);
}

#[test]
fn row_054_an_account_quota_bounds_what_is_available() {
    let server = TestServer::start();
    let name = AccountName::parse("ana").unwrap();
    let app = server.app();
    server
        .block_on(app.auth.set_quota(&name, Some(1_000_000)))
        .unwrap();
    drop(app);
    let answer = server.ana().props("/", "0", ASKED).multistatus();
    let value = |name| answer.only().value(name).parse::<u64>().unwrap();
    assert!(value("quota-available-bytes") <= 1_000_000, "{answer:?}");
    assert_eq!(
        value("quota-available-bytes") + value("quota-used-bytes"),
        1_000_000
    );
}

#[test]
fn row_055_allprop_leaves_quota_out() {
    let server = TestServer::start();
    let answer = server.ana().propfind("/", "1").multistatus();
    assert!(
        answer
            .responses
            .iter()
            .all(|r| r.find("quota-used-bytes").is_none()
                && r.find("quota-available-bytes").is_none())
    );
}

fn with_quota(bytes: u64) -> TestServer {
    let server = TestServer::start();
    let app = server.app();
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), Some(bytes)),
        )
        .unwrap();
    drop(app);
    server
}

#[test]
fn row_056_a_quota_reached_in_the_middle_of_an_upload_leaves_nothing() {
    let server = with_quota(1 << 20);
    let ana = server.ana();
    ana.store("/a", vec![b'x'; 500_000]);
    ana.request("PUT", "/b")
        .body(vec![b'x'; 3 << 20])
        .chunked()
        .send()
        .is(507);
    ana.lacks("/b");
    ana.request("PUT", "/a")
        .body(vec![b'y'; 3 << 20])
        .chunked()
        .send()
        .is(507);
    ana.holds("/a", vec![b'x'; 500_000]);
    assert!(crate::harness::poll(
        std::time::Duration::from_secs(5),
        || server.staged("ana").is_empty()
    ));
    let answer = ana.props("/", "0", ASKED).multistatus();
    assert_eq!(answer.only().value("quota-used-bytes"), "500000");
}

#[test]
fn row_056_copies_count_whole() {
    let server = with_quota(1 << 20);
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    for name in ["/d/a", "/d/b"] {
        ana.store(name, vec![b'x'; 300_000]);
    }
    ana.transfer("COPY", "/d/a", "/one").send().is(201);
    ana.transfer("COPY", "/d", "/e").send().is(507);
    ana.lacks("/e");
    assert!(server.staged("ana").is_empty());
    ana.transfer("COPY", "/d", "/e")
        .header("Depth", "0")
        .send()
        .is(201);
}

#[test]
fn row_056_a_file_can_be_saved_again_when_the_quota_is_nearly_reached() {
    let server = with_quota(1000);
    let ana = server.ana();
    ana.store("/a", vec![b'x'; 900]);
    ana.put("/a", vec![b'y'; 1000]).is(204);
    ana.put("/a", vec![b'z'; 1001]).is(507);
    ana.request("PUT", "/a")
        .body(vec![b'z'; 1001])
        .chunked()
        .send()
        .is(507);
    ana.put("/b", "1").is(507);
    ana.holds("/a", vec![b'y'; 1000]);
    // What is over its quota may become smaller.
    let app = server.app();
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), Some(500)),
        )
        .unwrap();
    drop(app);
    ana.put("/a", vec![b'w'; 1001]).is(507);
    ana.put("/a", vec![b'w'; 900]).is(204);
    ana.put("/b", "1").is(507);
    ana.put("/a", vec![b'w'; 499]).is(204);
    ana.put("/b", "1").is(201);
}
