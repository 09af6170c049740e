//! Public links over real HTTP: what they show and to whom, how they end, and that they never show anything else.

use crate::harness::{Client, LOCK_BODY, PASSWORD, Reply, TestServer, url};
use sarang::model::AccountName;
use serde_json::{Value, json};

pub struct Shared {
    pub id: String,
    pub token: String,
}

pub fn api(client: &Client, method: &str, path: &str, body: &Value) -> Reply {
    client.api(method, &format!("/links{path}"), body)
}

pub fn share(client: &Client, body: &Value) -> Shared {
    let made = api(client, "POST", "", body).is(201).json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    assert_eq!(text("url"), format!("/s/{}", text("token")));
    Shared {
        id: text("id"),
        token: text("token"),
    }
}

/// A server where ana has a folder `shared` with something in it, and things beside it.
pub fn server() -> TestServer {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/shared", "/shared/sub", "/shared-not", "/inbox"] {
        ana.mkcol(folder).is(201);
    }
    for file in [
        "/shared/a.txt",
        "/shared/sub/b.html",
        "/shared-not/secret",
        "/top secret",
        "/inbox/taken",
    ] {
        ana.store(file, file);
    }
    server
}

pub fn page(server: &TestServer, shared: &Shared, rest: &str) -> Reply {
    server
        .stranger()
        .raw("GET", &format!("/s/{}{rest}", shared.token))
        .send()
}

pub fn dav(server: &TestServer, shared: &Shared, method: &str, path: &str) -> Reply {
    let client = server.stranger();
    let request = client.raw(method, &format!("/s/{}/dav{}", shared.token, url(path)));
    if method == "PROPFIND" {
        request.header("Depth", "1").send()
    } else {
        request.send()
    }
}

pub fn upload(
    server: &TestServer,
    shared: &Shared,
    query: &str,
    name: &str,
    content: &str,
) -> Reply {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n--x--\r\n"
    );
    let client = server.stranger();
    let request = client.raw("POST", &format!("/s/{}/upload{query}", shared.token));
    request
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body(body)
        .send()
}

#[test]
fn a_form_that_breaks_off_tells_its_visitor_what_is_stored() {
    let server = server();
    let ana = server.ana();
    let shared = share(&ana, &json!({"path": "shared", "rights": "edit"}));
    let whole =
        "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"<whole>\"\r\n\r\n1\r\n";
    let half = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"half\"\r\n\r\n2";
    let page = server
        .stranger()
        .raw("POST", &format!("/s/{}/upload", shared.token))
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body([whole, half].concat())
        .send()
        .is(400)
        .text();
    assert!(
        page.contains("Stored before that: &lt;whole&gt;.") && !page.contains("half"),
        "{page}"
    );
    ana.holds("/shared/<whole>", "1");
    ana.lacks("/shared/half");
}

#[test]
fn links_belong_to_their_owner_and_their_tokens_are_told_once() {
    let server = server();
    let (ana, ben) = (server.ana(), server.ben());
    let wish = json!({"path": "shared", "expires": "2099-01-31T12:00:00Z", "note": "for you", "password": "pa ss"});
    let shared = share(&ana, &wish);
    assert!(shared.token.len() >= 43 && shared.id != shared.token);
    let listed = api(&ana, "GET", "", &Value::Null).is(200);
    assert!(
        !listed.text().contains(&shared.token) && !listed.text().contains("argon2"),
        "{listed}"
    );
    let link = &listed.json()["items"][0];
    assert_eq!(
        (&link["path"], &link["kind"], &link["rights"]),
        (&json!("shared"), &json!("folder"), &json!("view"))
    );
    assert_eq!(
        (&link["has_password"], &link["expires"]),
        (&json!(true), &json!("2099-01-31T12:00:00Z"))
    );
    let one = format!("/{}", shared.id);
    assert_eq!(
        api(&ana, "GET", &one, &Value::Null).is(200).json()["note"],
        "for you"
    );
    for (method, body) in [
        ("GET", Value::Null),
        ("PATCH", json!({"note": "x"})),
        ("DELETE", Value::Null),
    ] {
        api(&ben, method, &one, &body).is(404);
    }
    assert_eq!(
        api(&ben, "GET", "", &Value::Null).is(200).json()["items"],
        json!([])
    );
    let changed = api(
        &ana,
        "PATCH",
        &one,
        &json!({"note": "y", "expires": null, "max_downloads": 3}),
    )
    .is(200)
    .json();
    assert_eq!(
        (&changed["note"], &changed["max_downloads"]),
        (&json!("y"), &json!(3))
    );
    assert!(changed.get("expires").is_none() && changed["has_password"] == true);
    let stored = server
        .block_on(server.app().store.get(&format!("link/{}", shared.id)))
        .unwrap()
        .unwrap();
    assert!(!stored.contains(&shared.token), "only a hash is stored");
    api(&ana, "DELETE", &one, &Value::Null).is(204);
    api(&ana, "DELETE", &one, &Value::Null).is(404);
    page(&server, &shared, "").is(404);
    let text = std::fs::read_dir(server.data().join("audit/accounts/ana")).map(|dir| {
        dir.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default())
            .collect::<String>()
    });
    let text = text.unwrap_or_default();
    for kind in ["link-created", "link-changed", "link-removed"] {
        assert!(
            text.contains(kind),
            "{kind} is not in the audit log: {text}"
        );
    }
    assert!(!text.contains(&shared.token));
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let server = server();
    let ana = server.ana();
    for (wish, status) in [
        (json!({"path": "none"}), 404),
        (json!({"path": "../x"}), 400),
        (json!({"path": "shared", "rights": "all"}), 422),
        (
            json!({"path": "shared", "expires": "2001-01-31T12:00:00Z"}),
            422,
        ),
        (json!({"path": "shared", "expires": "soon"}), 422),
        (json!({"path": "shared", "password": ""}), 422),
        (json!({"path": "shared", "max_downloads": 0}), 422),
        (
            json!({"path": "shared", "max_downloads": 1, "rights": "drop"}),
            422,
        ),
        (json!({"path": "shared", "max_downloads": 1_u64 << 63}), 422),
        (json!({"path": "top secret", "rights": "edit"}), 422),
        (json!({"path": "shared", "owner": "ben"}), 422),
    ] {
        api(&ana, "POST", "", &wish).is(status);
    }
    assert_eq!(
        api(&ana, "GET", "", &Value::Null).is(200).json()["items"],
        json!([])
    );
}

#[test]
fn a_folder_has_pages_downloads_and_an_archive() {
    let server = server();
    let ana = server.ana();
    ana.store("/shared/<img src=x onerror=alert(1)>&\".txt", "x");
    let shared = share(&ana, &json!({"path": "shared"}));
    let top = page(&server, &shared, "").is(200);
    let text = top.text();
    assert!(
        text.contains("><bdi>a.txt</bdi></a>") && text.contains("><bdi>sub</bdi>/</a>"),
        "{text}"
    );
    assert!(
        text.contains("&lt;img src=x onerror=alert(1)&gt;&amp;&quot;.txt")
            && !text.contains("<img"),
        "{text}"
    );
    // The one script is the app's.
    assert!(
        text.matches("<script").count() == 1 && text.contains("<script type=\"module\" src=\"/_/"),
        "{text}"
    );
    assert!(!text.contains("ana") && !text.contains("secret"), "{text}");
    assert!(
        top.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert_eq!(top.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(
        top.header("cache-control"),
        Some("private, no-cache, no-transform, no-store")
    );
    assert!(
        page(&server, &shared, "?path=sub")
            .is(200)
            .text()
            .contains("b.html")
    );
    assert!(
        page(&server, &shared, "?path=a.txt")
            .is(200)
            .text()
            .contains("Download")
    );
    let file = page(&server, &shared, "/file?path=a.txt").is(200);
    assert_eq!(file.text(), "/shared/a.txt");
    assert!(
        file.header("content-disposition")
            .unwrap()
            .starts_with("inline")
    );
    let save = page(&server, &shared, "/file?path=a.txt&save=true").is(200);
    assert!(
        save.header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    let html = page(&server, &shared, "/file?path=sub/b.html").is(200);
    assert!(
        html.header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    assert_eq!(
        html.header("content-security-policy"),
        Some("sandbox; default-src 'none'")
    );
    assert_eq!(html.header("x-content-type-options"), Some("nosniff"));
    let zip = page(&server, &shared, "/zip").is(200);
    assert!(
        zip.header("content-disposition")
            .unwrap()
            .contains("shared.zip")
            && zip.body.starts_with(b"PK")
    );
    assert!(!zip.body.windows(6).any(|bytes| bytes == b"secret"));
    for out in [
        "?path=../top%20secret",
        "?path=..",
        "/file?path=../shared-not/secret",
        "/file?path=-not/secret",
        "/zip?path=..",
        "/file?path=sub",
    ] {
        page(&server, &shared, out).is(404);
    }
    assert!(
        upload(&server, &shared, "", "new", "x")
            .is(403)
            .text()
            .contains("viewing")
    );
    ana.lacks("/shared/new");
}

#[test]
fn a_link_is_a_drive_for_clients() {
    let server = server();
    let ana = server.ana();
    let view = share(&ana, &json!({"path": "shared"}));
    let listing = dav(&server, &view, "PROPFIND", "/").is(207);
    let text = listing.text();
    assert!(
        text.contains(&format!("<D:href>/s/{}/dav/a.txt</D:href>", view.token)),
        "{text}"
    );
    assert!(
        !text.contains("secret") && !text.contains("ana") && !text.contains("\"/dav/"),
        "{text}"
    );
    assert_eq!(
        dav(&server, &view, "GET", "/a.txt").is(200).text(),
        "/shared/a.txt"
    );
    dav(&server, &view, "GET", "/../shared-not/secret").is_any(&[403, 404]);
    for (method, path) in [
        ("PUT", "/new"),
        ("PUT", "/a.txt"),
        ("DELETE", "/a.txt"),
        ("MKCOL", "/m"),
        ("DELETE", "/"),
    ] {
        dav(&server, &view, method, path).is(403);
    }
    let edit = share(&ana, &json!({"path": "shared", "rights": "edit"}));
    dav(&server, &edit, "MKCOL", "/m").is(201);
    dav(&server, &edit, "PUT", "/m/new").is(201);
    let prefix = format!("/s/{}/dav", edit.token);
    let to = |destination: &str| {
        server
            .stranger()
            .raw("MOVE", &format!("{prefix}/m/new"))
            .header("Destination", destination)
            .send()
    };
    to("/dav/stolen").is(502);
    to(&format!("/s/{}/dav/stolen", view.token)).is(502);
    to(&format!("{prefix}/../../../dav/stolen")).is(502);
    to(&format!("{prefix}/moved")).is(201);
    ana.holds("/shared/moved", "");
    let lock = server
        .stranger()
        .raw("LOCK", &format!("{prefix}/moved"))
        .header("Depth", "0")
        .xml(LOCK_BODY)
        .send()
        .is(200);
    assert!(
        lock.text().contains(&format!(
            "<D:lockroot><D:href>{prefix}/moved</D:href></D:lockroot>"
        )),
        "{lock}"
    );
    dav(&server, &edit, "PUT", "/moved").is(423);
    ana.put("/shared/moved", "x").is(423);
    dav(&server, &edit, "DELETE", "/").is(403);
    // Without a password any credentials do; those of an account open nothing more.
    server
        .ana()
        .raw("GET", &format!("{prefix}/../../dav/top%20secret"))
        .send()
        .is_any(&[200, 400, 404]);
    server
        .stranger()
        .raw("PROPFIND", "/s/unknown/dav/")
        .header("Depth", "0")
        .send()
        .is(404);
}

#[test]
fn a_link_for_uploads_shows_nothing() {
    let server = server();
    let ana = server.ana();
    let shared = share(&ana, &json!({"path": "inbox", "rights": "drop"}));
    let text = page(&server, &shared, "").is(200).text();
    assert!(
        text.contains("Files to upload") && !text.contains("taken"),
        "{text}"
    );
    assert!(
        upload(&server, &shared, "", "new.txt", "one")
            .is(200)
            .text()
            .contains("new.txt: uploaded")
    );
    // A name that is taken is neither refused nor replaced: both would tell.
    let told = upload(&server, &shared, "?path=..", "taken", "two")
        .is(200)
        .text();
    assert!(
        told.contains("taken: uploaded") && !told.contains("(2)"),
        "{told}"
    );
    ana.holds("/inbox/new.txt", "one");
    ana.holds("/inbox/taken", "/inbox/taken");
    ana.holds("/inbox/taken (2)", "two");
    for rest in ["/file?path=taken", "/file?path=none", "/zip", "/file"] {
        page(&server, &shared, rest).is(404);
    }
    assert!(
        !dav(&server, &shared, "PROPFIND", "/")
            .is(207)
            .text()
            .contains("taken")
    );
    dav(&server, &shared, "GET", "/taken").is(404);
    dav(&server, &shared, "DELETE", "/taken").is_any(&[403, 404]);
    ana.holds("/inbox/taken", "/inbox/taken");
}

#[test]
fn an_edit_link_uploads_and_refuses_what_is_taken() {
    let server = server();
    let ana = server.ana();
    let shared = share(&ana, &json!({"path": "shared", "rights": "edit"}));
    assert!(
        page(&server, &shared, "?path=sub")
            .is(200)
            .text()
            .contains("Files to upload")
    );
    assert!(
        upload(&server, &shared, "?path=sub", "new", "1")
            .is(200)
            .text()
            .contains("new: uploaded")
    );
    ana.holds("/shared/sub/new", "1");
    assert!(
        upload(&server, &shared, "", "a.txt", "2")
            .is(200)
            .text()
            .contains("already something")
    );
    ana.holds("/shared/a.txt", "/shared/a.txt");
}

#[test]
fn a_password_is_asked_for_and_a_new_one_voids_the_old() {
    let server = server();
    let ana = server.ana();
    let shared = share(&ana, &json!({"path": "shared", "password": "pä ss&"}));
    let enter = |password: &str| {
        let request = server.stranger();
        request
            .raw("POST", &format!("/s/{}/password", shared.token))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("password={}", url(password)))
            .send()
    };
    let asked = page(&server, &shared, "").is(401);
    assert!(asked.text().contains("type=\"password\"") && !asked.text().contains("a.txt"));
    for rest in ["/file?path=a.txt", "/zip", "?path=sub"] {
        page(&server, &shared, rest).is(401);
    }
    upload(&server, &shared, "", "x", "x").is(401);
    assert!(enter("wrong").is(401).header("set-cookie").is_none());
    let welcome = enter("pä ss&").is(303);
    assert_eq!(
        welcome.header("location"),
        Some(format!("/s/{}", shared.token).as_str())
    );
    let cookie = welcome.header("set-cookie").unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert!(
        cookie.contains(&format!("Path=/s/{};", shared.token)),
        "{cookie}"
    );
    let pass = cookie.split(';').next().unwrap().to_owned();
    let with = |shared: &Shared| {
        server
            .stranger()
            .raw("GET", &format!("/s/{}/file?path=a.txt", shared.token))
            .header("Cookie", &pass)
            .send()
    };
    with(&shared).is(200);
    let other = share(&ana, &json!({"path": "shared", "password": "pä ss&"}));
    with(&other).is(401);
    let mount = format!("/s/{}/dav/a.txt", shared.token);
    assert!(
        server
            .stranger()
            .raw("GET", &mount)
            .send()
            .is(401)
            .header("www-authenticate")
            .is_some()
    );
    server
        .stranger()
        .signed_in("anybody", "wrong")
        .raw("GET", &mount)
        .send()
        .is(401);
    for _ in 0..2 {
        server
            .stranger()
            .signed_in("anybody", "pä ss&")
            .raw("GET", &mount)
            .send()
            .is(200);
    }
    server
        .stranger()
        .signed_in("ana", PASSWORD)
        .raw("GET", &mount)
        .send()
        .is(401);
    api(
        &ana,
        "PATCH",
        &format!("/{}", shared.id),
        &json!({"password": "another"}),
    )
    .is(200);
    with(&shared).is(401);
    server
        .stranger()
        .signed_in("anybody", "pä ss&")
        .raw("GET", &mount)
        .send()
        .is(401);
    api(
        &ana,
        "PATCH",
        &format!("/{}", shared.id),
        &json!({"password": null}),
    )
    .is(200);
    page(&server, &shared, "").is(200);
}

#[test]
fn guesses_are_throttled() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 3);
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    let shared = share(&ana, &json!({"path": "d", "password": "secret"}));
    let mount = format!("/s/{}/dav/", shared.token);
    let guess = |password: &str| {
        server
            .stranger()
            .signed_in("x", password)
            .raw("OPTIONS", &mount)
            .send()
    };
    for n in 0..3 {
        guess(&n.to_string()).is(401);
    }
    assert!(guess("secret").is(429).header("retry-after").is_some());
    ana.raw("GET", "/api/v1/me").send().is(200);
}

#[test]
fn downloads_are_counted_to_their_limit() {
    let server = server();
    let ana = server.ana();
    let shared = share(&ana, &json!({"path": "shared", "max_downloads": 3}));
    for _ in 0..2 {
        page(&server, &shared, "").is(200);
        page(&server, &shared, "/file?path=none").is(404);
    }
    let request = server.stranger();
    let range = request
        .raw("GET", &format!("/s/{}/file?path=a.txt", shared.token))
        .header("Range", "bytes=1-2")
        .send();
    assert_eq!(range.is(200).text(), "/shared/a.txt");
    server
        .stranger()
        .raw("HEAD", &format!("/s/{}/file?path=a.txt", shared.token))
        .send()
        .is(200);
    dav(&server, &shared, "GET", "/a.txt").is(200);
    page(&server, &shared, "/zip").is(200);
    for rest in ["", "/file?path=a.txt", "/zip", "/dav/a.txt"] {
        page(&server, &shared, rest).is(404);
    }
    let link = api(&ana, "GET", &format!("/{}", shared.id), &Value::Null)
        .is(200)
        .json();
    assert_eq!(link["downloads"], 3);
    assert!(link["last_used"].is_string());
    let server = server.restart();
    page(&server, &shared, "").is(404);
}

#[test]
fn a_file_keeps_its_link_when_it_is_saved_and_loses_it_to_another() {
    let server = server();
    let ana = server.ana();
    let shared = share(&ana, &json!({"path": "shared/a.txt"}));
    assert!(page(&server, &shared, "").is(200).text().contains("a.txt"));
    let holds = |content: &str| assert_eq!(page(&server, &shared, "/file").is(200).text(), content);
    holds("/shared/a.txt");
    for rest in [
        "?path=b",
        "/file?path=../sub/b.html",
        "/zip",
        "/dav/sub",
        "/dav/b.html",
    ] {
        page(&server, &shared, rest).is(404);
    }
    ana.store("/shared/a.txt", "saved anew");
    holds("saved anew");
    // Moved away, it is gone; moved back, it is there again.
    ana.transfer("MOVE", "/shared/a.txt", "/elsewhere")
        .send()
        .is(201);
    page(&server, &shared, "/file").is(404);
    ana.store("/shared/a.txt", "another of the same name");
    page(&server, &shared, "/file").is(404);
    ana.transfer("MOVE", "/elsewhere", "/shared/a.txt")
        .send()
        .is(204);
    holds("saved anew");
    // Replaced by another, or made anew after it was deleted, it is not the same.
    ana.store("/other", "other");
    ana.transfer("MOVE", "/other", "/shared/a.txt")
        .send()
        .is(204);
    page(&server, &shared, "/file").is(404);
    let again = share(&ana, &json!({"path": "shared/a.txt"}));
    // Neither is a copy of it, and nobody makes another file pass for it.
    ana.transfer("COPY", "/shared/a.txt", "/copy")
        .send()
        .is(201);
    ana.transfer("MOVE", "/shared/a.txt", "/kept")
        .send()
        .is(201);
    ana.transfer("MOVE", "/copy", "/shared/a.txt")
        .send()
        .is(201);
    page(&server, &again, "/file").is(404);
    let mark = "<D:set><D:prop><s:mark xmlns:s='urn:sarang'>x</s:mark></D:prop></D:set>";
    assert!(
        ana.proppatch("/shared/a.txt", mark)
            .send()
            .is(207)
            .text()
            .contains(" 403 ")
    );
    ana.transfer("MOVE", "/kept", "/shared/a.txt")
        .send()
        .is(204);
    page(&server, &again, "/file").is(200);
    ana.delete("/shared/a.txt").is(204);
    page(&server, &again, "").is(404);
    ana.store("/shared/a.txt", "made anew");
    page(&server, &again, "").is(404);
}

#[test]
fn a_folder_of_the_same_name_is_another() {
    let server = server();
    let ana = server.ana();
    let shared = share(&ana, &json!({"path": "shared"}));
    ana.transfer("MOVE", "/shared", "/away").send().is(201);
    page(&server, &shared, "").is(404);
    ana.mkcol("/shared").is(201);
    ana.store("/shared/private", "x");
    page(&server, &shared, "").is(404);
    dav(&server, &shared, "GET", "/private").is(404);
    ana.delete("/shared").is(204);
    ana.transfer("MOVE", "/away", "/shared").send().is(201);
    assert!(page(&server, &shared, "").is(200).text().contains("a.txt"));
}

#[test]
fn every_end_of_a_link_looks_the_same() {
    let server = server();
    let ana = server.ana();
    let app = server.app();
    let links: Vec<Shared> = (0..4)
        .map(|_| share(&ana, &json!({"path": "shared"})))
        .collect();
    let unknown = Shared {
        id: String::new(),
        token: "A".repeat(43),
    };
    let nothing = page(&server, &unknown, "").is(404).text();
    let owner = AccountName::parse("ana").unwrap();
    let gone = |shared: &Shared| {
        assert_eq!(page(&server, shared, "").is(404).text(), nothing);
        page(&server, shared, "/file?path=a.txt").is(404);
        dav(&server, shared, "PROPFIND", "/").is(404);
    };
    for shared in &links {
        page(&server, shared, "").is(200);
    }
    server
        .block_on(app.links.change(&owner, &links[0].id, |record| {
            record.expires = Some(1);
            Ok(())
        }))
        .unwrap();
    gone(&links[0]);
    api(&ana, "DELETE", &format!("/{}", links[1].id), &Value::Null).is(204);
    gone(&links[1]);
    server
        .block_on(app.auth.set_disabled(&owner, true))
        .unwrap();
    gone(&links[2]);
    server
        .block_on(app.auth.set_disabled(&owner, false))
        .unwrap();
    page(&server, &links[2], "").is(200);
    // An account removed and made anew does not revive them.
    server
        .block_on(app.remove_account(&owner, sarang::app::removal::FilesDisposal::Keep))
        .unwrap();
    gone(&links[3]);
    let role = sarang::model::Role::User;
    server
        .block_on(app.auth.create(&owner, PASSWORD.as_bytes(), role, None))
        .unwrap();
    gone(&links[3]);
}

#[test]
fn links_outlive_a_restart() {
    let server = server();
    let shared = share(
        &server.ana(),
        &json!({"path": "shared", "rights": "edit", "password": "secret"}),
    );
    let server = server.restart();
    page(&server, &shared, "").is(401);
    let mount = format!("/s/{}/dav/a.txt", shared.token);
    server
        .stranger()
        .signed_in("x", "secret")
        .raw("GET", &mount)
        .send()
        .is(200);
}

#[test]
fn a_link_to_one_file_is_a_drive_with_that_file_alone() {
    let server = server();
    let ana = server.ana();
    let name = "/shared/fi le\u{e9}.txt";
    ana.store(name, "x");
    let shared = share(&ana, &json!({"path": name}));
    let listing = dav(&server, &shared, "PROPFIND", "/").is(207);
    let found = listing.multistatus();
    let hrefs: Vec<&str> = found
        .responses
        .iter()
        .map(|response| response.href.as_str())
        .collect();
    let top = format!("/s/{}/dav/", shared.token);
    assert_eq!(hrefs, [top.clone(), format!("{top}fi%20le%C3%A9.txt")]);
    let text = listing.text();
    assert!(
        !text.contains("/shared") && !text.contains("a.txt") && !text.contains("ana"),
        "{text}"
    );
    for spelled in ["/fi le\u{e9}.txt", "/fi lee\u{301}.txt"] {
        assert_eq!(dav(&server, &shared, "GET", spelled).is(200).text(), "x");
        dav(&server, &shared, "PROPFIND", spelled).is(207);
    }
    for other in [
        "/a.txt",
        "/sub",
        "/../a.txt",
        "/fi le\u{e9}.txt/x",
        "/shared/a.txt",
    ] {
        dav(&server, &shared, "GET", other).is(404);
    }
    for method in ["PUT", "DELETE", "MKCOL", "LOCK", "PROPPATCH"] {
        for at in ["/", "/fi le\u{e9}.txt", "/new"] {
            dav(&server, &shared, method, at).is_any(&[400, 403, 404, 405]);
        }
    }
    ana.holds(name, "x");
    // It follows a save, and ends with the file.
    ana.store(name, "anew");
    assert_eq!(
        dav(&server, &shared, "GET", "/fi le\u{e9}.txt")
            .is(200)
            .text(),
        "anew"
    );
    let counted = share(&ana, &json!({"path": name, "max_downloads": 1}));
    dav(&server, &counted, "PROPFIND", "/").is(207);
    dav(&server, &counted, "GET", "/fi le\u{e9}.txt").is(200);
    dav(&server, &counted, "GET", "/fi le\u{e9}.txt").is(404);
    ana.delete(name).is(204);
    dav(&server, &shared, "PROPFIND", "/").is(404);
}
