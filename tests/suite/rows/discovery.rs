//! Rows 1-18: discovery, sign-in, mount.

use crate::harness::{LOCK_BODY, NAME, PASSWORD, TestServer};

#[test]
fn row_003_windows_walks_down_from_the_server_root() {
    let server = TestServer::start();
    let reply = server
        .stranger()
        .raw("OPTIONS", "/")
        .header("User-Agent", "DavClnt")
        .send()
        .is_any(&[200, 401]);
    assert!(
        reply.status == 401 || reply.header("dav").is_some(),
        "{reply}"
    );
    assert!(reply.header("location").is_none());
}

#[test]
fn row_005_a_windows_domain_before_the_name_is_passed_over() {
    let server = TestServer::start();
    for user in ["WORKGROUP\\ana", "host\\ANA", "ana@example.org", "Ana"] {
        server
            .stranger()
            .signed_in(user, PASSWORD)
            .propfind("/", "0")
            .is(207);
    }
    server
        .stranger()
        .signed_in("WORKGROUP\\ana", "wrong password")
        .propfind("/", "0")
        .is(401);
    server
        .stranger()
        .signed_in("ana\\nobody", PASSWORD)
        .propfind("/", "0")
        .is(401);
}

#[test]
fn row_006_every_parent_of_the_drive_is_a_collection() {
    let server = TestServer::start();
    let ana = server.ana();
    for target in ["/", "/dav", "/dav/"] {
        let answer = ana
            .raw("PROPFIND", target)
            .header("Depth", "0")
            .send()
            .multistatus();
        assert!(
            answer
                .only()
                .find("resourcetype")
                .unwrap()
                .children
                .contains(&"{DAV:}collection".into()),
            "{target}"
        );
    }
    let answer = ana
        .raw("PROPFIND", "/")
        .header("Depth", "1")
        .send()
        .multistatus();
    assert_eq!(answer.paths(), ["/", "/dav"]);
}

#[test]
fn row_008_office_is_told_to_author_through_dav() {
    let server = TestServer::start();
    for target in ["/", "/dav", "/dav/"] {
        let reply = server.ana().raw("OPTIONS", target).send().is(200);
        assert_eq!(reply.header("ms-author-via"), Some("DAV"), "{target}");
        let classes: Vec<&str> = reply
            .header("dav")
            .unwrap()
            .split(',')
            .map(str::trim)
            .collect();
        assert!(
            classes.contains(&"1") && classes.contains(&"2"),
            "{target}: {classes:?}"
        );
    }
}

#[test]
fn row_009_bearer_without_a_token_is_challenged() {
    let server = TestServer::start();
    for value in [
        "Bearer",
        "Bearer ",
        "Negotiate abc",
        "Basic",
        "Basic !!!",
        "Digest username=\"ana\"",
        "",
    ] {
        let reply = server
            .stranger()
            .authorized(value)
            .request("OPTIONS", "/")
            .send()
            .is(401);
        assert!(
            reply
                .header("www-authenticate")
                .unwrap()
                .starts_with("Basic realm=\""),
            "{value}: {reply}"
        );
    }
}

#[test]
fn row_010_options_answers_on_a_folder_without_slash() {
    let server = TestServer::start();
    server.ana().mkcol("/d").is(201);
    for path in ["/d", "/d/", NAME] {
        let reply = server.ana().request("OPTIONS", path).send().is(200);
        assert!(reply.header("dav").is_some(), "{path}");
    }
}

#[test]
fn row_011_an_unauthenticated_put_is_drained_then_challenged() {
    let server = TestServer::start();
    let ana = server.ana();
    let body = vec![b'x'; 4 << 20];
    let unsigned = server.stranger().request("PUT", NAME).body(&body).bytes();
    let mut connection = server.connect();
    connection.write(unsigned).expect("the whole body is taken");
    let reply = connection.read_reply(false, "PUT").unwrap().is(401);
    assert!(
        !reply
            .header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close")),
        "{reply}"
    );
    connection
        .exchange(ana.request("PUT", NAME).body(&body).bytes())
        .is(201);
    ana.holds(NAME, &body);
}

#[test]
fn row_011_what_is_drained_is_bounded() {
    let server = TestServer::start();
    let mut connection = server.connect();
    let head = server
        .stranger()
        .request("PUT", NAME)
        .header("Content-Length", "1099511627776")
        .bytes();
    connection.write(head).unwrap();
    let chunk = vec![0; 1 << 20];
    let sent = (0..2_048)
        .take_while(|_| connection.write(&chunk).is_ok())
        .count();
    assert!(sent < 2_048, "2 GiB from a stranger were read");
}

#[test]
fn row_012_every_method_is_challenged_at_once() {
    let server = TestServer::start();
    server.ana().store(NAME, "x");
    for method in [
        "PROPFIND",
        "GET",
        "HEAD",
        "PUT",
        "MKCOL",
        "DELETE",
        "LOCK",
        "UNLOCK",
        "PROPPATCH",
        "COPY",
        "MOVE",
        "PATCH",
    ] {
        let reply = server
            .stranger()
            .request(method, NAME)
            .header("Depth", "0")
            .send()
            .is(401);
        assert!(reply.header("www-authenticate").is_some(), "{method}");
    }
    server
        .stranger()
        .raw("PROPFIND", "/")
        .header("Depth", "0")
        .send()
        .is(401);
    server.stranger().get("/missing").is(401);
    server.ana().holds(NAME, "x");
}

#[test]
fn row_013_options_of_the_whole_server() {
    let server = TestServer::start();
    let reply = server.ana().raw("OPTIONS", "*").send().is(200);
    assert!(reply.header("dav").is_some(), "{reply}");
}

#[test]
fn row_015_there_is_one_basic_challenge() {
    let server = TestServer::start();
    let reply = server.stranger().propfind("/", "0").is(401);
    let challenges = reply.all("www-authenticate");
    assert_eq!(challenges.len(), 1, "{challenges:?}");
    let realm = challenges[0]
        .strip_prefix("Basic realm=\"")
        .and_then(|rest| rest.split('"').next());
    assert!(
        realm.is_some_and(|realm| realm.is_ascii() && !realm.is_empty()),
        "{challenges:?}"
    );
    assert!(reply.header("set-cookie").is_none() && reply.header("location").is_none());
}

#[test]
fn row_016_te_trailers_is_passed_over() {
    let server = TestServer::start();
    let ana = server.ana();
    let request = ana
        .request("PROPFIND", "/")
        .header("Depth", "0")
        .header("TE", "trailers");
    let bytes = request.header("Connection", "TE, Keep-Alive").bytes();
    let mut connection = server.connect();
    connection.exchange(&bytes).is(207);
    connection.exchange(&bytes).is(207);
}

#[test]
fn row_017_expect_continue_is_answered_at_once() {
    let server = TestServer::start();
    let ana = server.ana();
    for (method, body) in [
        ("PUT", "content"),
        ("LOCK", LOCK_BODY),
        ("PROPFIND", "<propfind xmlns='DAV:'><allprop/></propfind>"),
    ] {
        let request = ana
            .request(method, NAME)
            .header("Depth", "0")
            .header("Expect", "100-continue")
            .body(body);
        let bytes = request.bytes();
        let (head, body) = bytes.split_at(bytes.len() - body.len());
        let mut connection = server.connect();
        connection.write(head).unwrap();
        let mut interim = [0; 25];
        let count = connection.read_some(&mut interim).unwrap();
        assert!(
            interim[..count].starts_with(b"HTTP/1.1 100 "),
            "{method}: {}",
            String::from_utf8_lossy(&interim)
        );
        connection.write(body).unwrap();
        assert!(connection.read_reply(false, method).unwrap().status < 300);
    }
}

#[test]
fn row_017_expect_continue_without_credentials_is_challenged() {
    let server = TestServer::start();
    let stranger = server.stranger();
    let request = stranger
        .request("PUT", NAME)
        .header("Expect", "100-continue")
        .header("Content-Length", "9");
    let mut connection = server.connect();
    connection.write(request.bytes()).unwrap();
    assert_eq!(connection.read_head("PUT").unwrap().status, 401);
}
