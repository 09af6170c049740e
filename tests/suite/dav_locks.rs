//! Locks: who may do what under them, what they cover, and that they outlive the process.

use crate::harness::{LOCK_BODY, NAME, TestServer};
use crate::traces::lock_token;

#[test]
fn a_lock_answer_is_complete() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let reply = ana.lock(NAME).send().is(200);
    assert_eq!(lock_token(&reply).unwrap(), reply.token());
    let answer = ana.props(NAME, "0", "<D:lockdiscovery/>").multistatus();
    let discovery = answer.only().find("lockdiscovery").unwrap();
    for part in [
        "activelock",
        "lockscope",
        "exclusive",
        "locktype",
        "write",
        "depth",
        "owner",
        "timeout",
        "locktoken",
        "lockroot",
    ] {
        let name = format!("{{DAV:}}{part}");
        assert!(
            discovery.children.contains(&name),
            "no {part} in {}",
            discovery.xml
        );
    }
    assert!(discovery.xml.contains(&reply.token()), "{}", discovery.xml);
    assert!(
        discovery
            .xml
            .contains("http://example.org/~ana?a=1&amp;b=2"),
        "the owner verbatim: {}",
        discovery.xml
    );
}

#[test]
fn locks_hold_for_every_change() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "x");
    ana.store("/other", "other");
    let token = ana.lock("/d/f").send().is(200).token();
    ana.put("/d/f", "y").is(423);
    ana.delete("/d/f").is(423);
    ana.delete("/d").is(423);
    ana.transfer("MOVE", "/d/f", "/g").send().is(423);
    ana.transfer("MOVE", "/d", "/e").send().is(423);
    ana.transfer("MOVE", "/other", "/d/f").send().is(423);
    ana.transfer("COPY", "/other", "/d/f").send().is(423);
    ana.proppatch("/d/f", "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
        .send()
        .is(423);
    ana.lock("/d/f").send().is(423);
    ana.transfer("COPY", "/d/f", "/copy").send().is(201);
    ana.put("/copy", "a copy is not locked").is(204);
    ana.holds("/d/f", "x");
    ana.holds("/other", "other");
    let tagged = format!("<{}> (<{token}>)", ana.absolute("/d/f"));
    ana.request("DELETE", "/d")
        .header("If", tagged)
        .send()
        .is(204);
    ana.mkcol("/d").is(201);
    ana.put("/d/f", "the lock went with the file").is(201);
}

#[test]
fn a_depth_0_folder_lock_protects_membership_only() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "x");
    ana.store("/other", "other");
    let token = ana.lock("/d").send().is(200).token();
    ana.put("/d/f", "content may change").is(204);
    ana.put("/d/new", "x").is(423);
    ana.mkcol("/d/new").is(423);
    ana.delete("/d/f").is(423);
    ana.transfer("MOVE", "/d/f", "/g").send().is(423);
    ana.transfer("MOVE", "/other", "/d/new").send().is(423);
    ana.transfer("COPY", "/other", "/d/new").send().is(423);
    ana.lock("/d/new").send().is(423);
    ana.lacks("/d/new");
    let tagged = format!("<{}> (<{token}>)", ana.absolute("/d"));
    ana.request("PUT", "/d/new")
        .header("If", tagged)
        .body("x")
        .send()
        .is(201);
}

#[test]
fn a_lock_on_nothing_in_a_locked_folder_takes_the_folders_token() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    let token = ana.lock("/d").send().is(200).token();
    let tagged = format!("<{}> (<{token}>)", ana.absolute("/d"));
    let inner = ana
        .lock("/d/new")
        .header("If", tagged)
        .send()
        .is(201)
        .token();
    ana.holds("/d/new", "");
    ana.put("/d/new", "x").is(423);
    ana.request("PUT", "/d/new")
        .header("Lock-Token", format!("<{inner}>"))
        .body("y")
        .send()
        .is(204);
    ana.request("PUT", "/d/new")
        .header("Lock-Token", format!("<{token}>"))
        .body("z")
        .send()
        .is(423);
    ana.holds("/d/new", "y");
}

#[test]
fn what_is_made_after_a_delete_keeps_its_lock() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/a", "1");
    let old = ana.lock("/a").send().is(200).token();
    ana.request("DELETE", "/a")
        .header("If", format!("(<{old}>)"))
        .send()
        .is(204);
    let new = ana.lock("/a").send().is(201).token();
    ana.unlock("/a", &old).is(409);
    ana.put("/a", "2").is(423);
    ana.request("PUT", "/a")
        .header("If", format!("(<{new}>)"))
        .body("2")
        .send()
        .is(204);
    ana.request("PUT", "/a")
        .header("If", format!("(Not <{old}>)"))
        .body("3")
        .send()
        .is(423);
    ana.request("PUT", "/a")
        .header("If", format!("(Not <{old}> <{new}>)"))
        .body("3")
        .send()
        .is(204);
    ana.request("PUT", "/a")
        .header("If", format!("(Not <{new}>)"))
        .body("4")
        .send()
        .is(412);
    ana.holds("/a", "3");
}

#[test]
fn a_copy_over_a_locked_file_ends_its_lock_at_any_depth() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/from", "new");
    for depth in ["0", "infinity"] {
        ana.store("/to", "old");
        let token = ana.lock("/to").send().is(200).token();
        let tagged = format!("<{}> (<{token}>)", ana.absolute("/to"));
        ana.transfer("COPY", "/from", "/to")
            .header("Depth", depth)
            .header("If", tagged)
            .send()
            .is(204);
        ana.unlock("/to", &token).is(409);
        ana.holds("/to", "new");
    }
}

#[test]
fn a_lock_is_refreshed_by_its_holder_only() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.store(NAME, "x");
    ben.store(NAME, "x");
    let token = ana.lock(NAME).send().is(200).token();
    ben.request("LOCK", NAME)
        .header("If", format!("(<{token}>)"))
        .send()
        .is(412);
    let reply = ben.unlock(NAME, &token);
    assert!([403, 409].contains(&reply.status), "{reply}");
    ana.request("LOCK", NAME)
        .header("If", format!("(<{token}>)"))
        .send()
        .is(200);
}

#[test]
fn a_deep_lock_covers_what_comes_later() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.mkcol("/d/e").is(201);
    let token = ana
        .request("LOCK", "/d")
        .xml(LOCK_BODY)
        .send()
        .is(200)
        .token();
    ana.put("/d/e/f", "x").is(423);
    let tagged = format!("<{}> (<{token}>)", ana.absolute("/d"));
    ana.request("PUT", "/d/e/f")
        .header("If", &tagged)
        .body("x")
        .send()
        .is(201);
    ana.request("PUT", "/d/e/f")
        .header("If", format!("(<{token}>)"))
        .body("y")
        .send()
        .is(204);
    ana.put("/d/e/f", "no").is(423);
    ana.lock("/d/e/f").send().is(423);
    ana.unlock("/d/e/f", &token).is(204);
    ana.put("/d/e/f", "z").is(204);
}

#[test]
fn a_deep_lock_is_refused_over_a_locked_member() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "x");
    let token = ana.lock("/d/f").send().is(200).token();
    let reply = ana.request("LOCK", "/d").xml(LOCK_BODY).send();
    assert!([207, 423].contains(&reply.status), "{reply}");
    ana.unlock("/d/f", &token).is(204);
    ana.put("/d/f", "y").is(204);
    ana.request("LOCK", "/d").xml(LOCK_BODY).send().is(200);
}

#[test]
fn shared_locks_stand_together_and_against_exclusive_ones() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let shared = LOCK_BODY.replace("exclusive", "shared");
    let one = ana
        .request("LOCK", NAME)
        .header("Depth", "0")
        .xml(&shared)
        .send()
        .is(200)
        .token();
    let two = ana
        .request("LOCK", NAME)
        .header("Depth", "0")
        .xml(&shared)
        .send()
        .is(200)
        .token();
    assert_ne!(one, two);
    ana.lock(NAME).send().is(423);
    ana.put(NAME, "y").is(423);
    ana.request("PUT", NAME)
        .header("If", format!("(<{two}>)"))
        .body("y")
        .send()
        .is(204);
    ana.unlock(NAME, &one).is(204);
    ana.put(NAME, "z").is(423);
    ana.unlock(NAME, &two).is(204);
    ana.put(NAME, "z").is(204);
}

#[test]
fn a_token_is_worth_nothing_to_another_account() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.store(NAME, "x");
    ben.store(NAME, "of ben");
    let token = ana.lock(NAME).send().is(200).token();
    let reply = ben.unlock(NAME, &token);
    assert!([403, 409].contains(&reply.status), "{reply}");
    ben.request("PUT", NAME)
        .header("If", format!("(<{token}>)"))
        .body("y")
        .send()
        .is(412);
    assert!(
        !ben.props(NAME, "0", "<D:lockdiscovery/>")
            .text()
            .contains(&token),
        "drives do not leak tokens"
    );
    ana.put(NAME, "y").is(423);
    ben.holds(NAME, "of ben");
}

#[test]
fn unlock_needs_the_right_token() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    ana.store("/other", "x");
    let token = ana.lock(NAME).send().is(200).token();
    ana.request("UNLOCK", NAME).send().is(400);
    ana.unlock(NAME, "urn:uuid:00000000-0000-4000-8000-000000000000")
        .is_any(&[403, 409]);
    ana.unlock("/other", &token).is(409);
    ana.put(NAME, "y").is(423);
    ana.unlock(NAME, &token).is(204);
    ana.unlock(NAME, &token).is(409);
}

#[test]
fn locks_survive_a_restart() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store(NAME, "x");
    let file = ana.lock(NAME).send().is(200).token();
    let folder = ana
        .request("LOCK", "/d")
        .xml(LOCK_BODY)
        .send()
        .is(200)
        .token();
    let gone = ana.lock("/gone").send().is(201).token();
    ana.unlock("/gone", &gone).is(204);
    drop(ana);
    let server = server.restart();
    let ana = server.ana();
    ana.put(NAME, "y").is(423);
    ana.put("/d/new", "y").is(423);
    ana.put("/gone", "y").is(204);
    let discovery = ana.props(NAME, "0", "<D:lockdiscovery/>").text();
    assert!(
        discovery.contains(&file) && discovery.contains("http://example.org/~ana?a=1&amp;b=2"),
        "{discovery}"
    );
    ana.request("PUT", NAME)
        .header("If", format!("(<{file}>)"))
        .body("y")
        .send()
        .is(204);
    ana.unlock(NAME, &file).is(204);
    ana.unlock("/d", &folder).is(204);
    ana.put("/d/new", "y").is(201);
}

#[test]
fn a_refresh_keeps_the_token_and_needs_it() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let token = ana.lock(NAME).send().is(200).token();
    let refresh = |value: &str| {
        ana.request("LOCK", NAME)
            .header("Timeout", "Second-100")
            .header("If", value)
            .send()
    };
    let reply = refresh(&format!("(<{token}>)")).is(200);
    assert_eq!(lock_token(&reply).unwrap(), token);
    assert!(
        reply.text().contains("Second-100<") || reply.text().contains("Second-99<"),
        "{reply}"
    );
    refresh("(<urn:uuid:00000000-0000-4000-8000-000000000000>)").is(412);
    ana.request("LOCK", NAME).send().is(400);
}

#[test]
fn the_owner_is_limited() {
    let server = TestServer::start();
    let ana = server.ana();
    let owner =
        |len: usize| LOCK_BODY.replace("http://example.org/~ana?a=1&amp;b=2", &"o".repeat(len));
    ana.request("LOCK", "/a").xml(owner(3_000)).send().is(201);
    let status = ana.request("LOCK", "/b").xml(owner(20_000)).send().status;
    assert!((400..500).contains(&status) || status == 507, "{status}");
    ana.lacks("/b");
}

#[test]
fn a_lock_on_nothing_needs_a_parent() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.lock("/no/such").send().is(409);
    let token = ana.lock(NAME).send().is(201).token();
    ana.holds(NAME, "");
    assert_eq!(ana.propfind("/", "1").multistatus().paths().len(), 2);
    ana.unlock(NAME, &token).is(204);
    ana.holds(NAME, "");
}

#[test]
fn malformed_locks_are_400() {
    let server = TestServer::start();
    let ana = server.ana();
    let bodies = [
        "",
        "<lockinfo/>",
        "<D:lockinfo xmlns:D='DAV:'/>",
        "<D:lockinfo xmlns:D='DAV:'><D:lockscope><D:odd/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>",
        "<D:propfind xmlns:D='DAV:'/>",
    ];
    for body in bodies {
        let status = ana
            .request("LOCK", NAME)
            .header("Depth", "0")
            .xml(body)
            .send()
            .status;
        assert!([400, 422].contains(&status), "{body}: {status}");
    }
    ana.request("LOCK", NAME)
        .header("Depth", "1")
        .xml(LOCK_BODY)
        .send()
        .is(400);
    ana.lacks(NAME);
}
