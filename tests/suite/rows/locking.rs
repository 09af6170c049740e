//! Rows 86-97: LOCK and UNLOCK.

use crate::harness::{LOCK_BODY, NAME, TestServer};

#[test]
fn row_088_a_lock_on_nothing_makes_an_empty_file() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.lock(NAME).send().is(201);
    ana.holds(NAME, "");
    assert_eq!(ana.head(NAME).is(200).header("content-length"), Some("0"));
    assert_eq!(
        ana.propfind(NAME, "0")
            .multistatus()
            .only()
            .value("getcontentlength"),
        "0"
    );
}

#[test]
fn row_090_a_refresh_may_be_tagged() {
    let server = TestServer::start();
    let ana = server.ana();
    let token = ana.lock(NAME).send().is(201).token();
    let tagged = format!("<{}> (<{token}>)", ana.absolute(NAME));
    let reply = ana
        .request("LOCK", NAME)
        .header("Timeout", "Second-1800")
        .header("If", tagged)
        .send()
        .is(200);
    assert!(reply.text().contains(&token), "{reply}");
}

#[test]
fn row_092_unlock_takes_a_bare_token() {
    let server = TestServer::start();
    let ana = server.ana();
    let token = ana.lock(NAME).send().is(201).token();
    ana.request("UNLOCK", NAME)
        .header("Lock-Token", &token)
        .send()
        .is(204);
    ana.put(NAME, "x").is(204);
}

#[test]
fn row_094_a_lock_grant_is_at_most_what_was_asked() {
    let server = TestServer::start();
    let ana = server.ana();
    let granted = |timeout: Option<&str>, path: &str| {
        let request = ana
            .request("LOCK", path)
            .header("Depth", "0")
            .xml(LOCK_BODY);
        let request = timeout.map_or_else(
            || {
                ana.request("LOCK", path)
                    .header("Depth", "0")
                    .xml(LOCK_BODY)
            },
            |t| request.header("Timeout", t),
        );
        let text = request.send().is(201).text();
        let seconds = text
            .split("Second-")
            .nth(1)
            .and_then(|rest| rest.split('<').next())
            .map(str::to_owned);
        seconds.expect("a finite timeout").parse::<u64>().unwrap()
    };
    assert!((59..=60).contains(&granted(Some("Second-60"), "/a")));
    assert!(granted(None, "/b") <= 600);
    assert!(granted(Some("Infinite"), "/c") <= 86_400);
    assert!(granted(Some("nonsense"), "/d") <= 600);
}

#[test]
fn row_095_a_lock_does_not_follow_a_move() {
    let server = TestServer::start();
    let ana = server.ana();
    let token = ana.lock("/old").send().is(201).token();
    ana.transfer("MOVE", "/old", "/new")
        .header("If", format!("(<{token}>)"))
        .send()
        .is(201);
    ana.put("/new", "free").is(204);
    ana.put("/old", "no ghost").is(201);
}

#[test]
fn row_096_proppatch_without_the_token() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.lock(NAME).send().is(201);
    ana.proppatch(NAME, "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
        .send()
        .is_any(&[207, 423]);
}

#[test]
fn row_097_a_refused_delete_or_lock_is_no_multistatus() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "x");
    ana.lock("/d/f").send().is(200);
    for path in ["/d/f", "/d", "/d/"] {
        ana.delete(path).is(423);
    }
    ana.lock("/d/f").send().is(423);
    ana.holds("/d/f", "x");
}
