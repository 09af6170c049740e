//! What is under way ends with the credential it came by: for each credential and each way in which it ends, downloads are cut off,
//! listings have no end, uploads and copies are refused with a sentence, and nothing of them is there afterwards.

use crate::api_sessions::LoggedIn;
use crate::api_two_factor::turn_on;
use crate::harness::{Client, Connection, PASSWORD, Reply, TestServer, poll, propfind_body};
use crate::revoked::{LARGE, rest_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sarang::app::removal::FilesDisposal;
use sarang::auth::AccountUpdate;
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Files in the folder that is copied and listed.
const MANY: usize = 12_000;
const HALF: usize = 100_000;
/// The end of a chunked body.
const END: &[u8] = b"0\r\n\r\n";
const FORM: (&str, &str) = (
    "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"late form\"\r\n\r\n",
    "\r\n--b--\r\n",
);

fn ana() -> AccountName {
    AccountName::parse("ana").unwrap()
}

/// A server where ana has a large file, a folder of many files, and something in the past.
fn server() -> TestServer {
    let server = TestServer::start();
    server.ana().mkcol("/many").is(201);
    server.ana().store("/small", "small");
    server.ana().store("/small", "smaller");
    std::fs::File::create(server.home("ana").join("large"))
        .unwrap()
        .set_len(LARGE)
        .unwrap();
    for number in 0..MANY {
        std::fs::write(
            server
                .home("ana")
                .join(format!("many/{number} {}", "a long name ".repeat(10))),
            "",
        )
        .unwrap();
    }
    server
}

/// How a request of ana's shows that it is hers.
#[derive(Clone, Copy, Debug)]
enum By {
    Password,
    AppPassword,
    Cookie,
    Bearer,
}

/// What ends it.
#[derive(Clone, Copy, Debug)]
enum End {
    Disabled,
    Removed,
    NewPassword,
    NewRole,
    SecondFactor,
    Revoked,
    Expired,
    LoggedOut,
    OwnNewPassword,
}

/// When an app password expires that does so here.
const SOON: Duration = Duration::from_secs(6);

/// One credential of ana's.
struct Credential {
    client: Client,
    session: LoggedIn,
    app_password: String,
    header: (&'static str, String),
}

impl Credential {
    fn new(server: &TestServer, by: By, how: End) -> Self {
        let session = LoggedIn::new(server, "ana");
        let ends = SystemTime::now()
            + if matches!(how, End::Expired) {
                SOON
            } else {
                1000 * SOON
            };
        let wish = json!({"name": "Phone", "expires": sarang::model::time::iso_date(ends)});
        let made = server
            .ana()
            .api("POST", "/app-passwords", &wish)
            .is(201)
            .json();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let basic =
            |password: &str| format!("Basic {}", STANDARD.encode(format!("ana:{password}")));
        let header = match by {
            By::Password => ("Authorization", basic(PASSWORD)),
            By::AppPassword => ("Authorization", basic(&text("password"))),
            By::Cookie => ("Cookie", session.cookie.clone()),
            By::Bearer => ("Authorization", format!("Bearer {}", session.bearer)),
        };
        Self {
            client: server.stranger(),
            session,
            app_password: text("id"),
            header,
        }
    }

    fn request(&self, method: &str, target: &str) -> crate::harness::client::Request<'_> {
        self.client
            .raw(method, target)
            .header(self.header.0, &self.header.1)
            .header("Sec-Fetch-Site", "same-origin")
            .header("X-Requested-With", "sarang")
    }

    fn end(&self, server: &TestServer, how: End) {
        let app = server.app();
        let alter = |what| {
            drop(
                server
                    .block_on(app.auth.update(&ana(), what, None))
                    .unwrap(),
            );
        };
        match how {
            End::Disabled => alter(AccountUpdate {
                disabled: Some(true),
                ..AccountUpdate::default()
            }),
            End::NewRole => alter(AccountUpdate {
                role: Some(Role::Admin),
                ..AccountUpdate::default()
            }),
            End::NewPassword => server
                .block_on(app.auth.set_password(&ana(), b"another kettle 77"))
                .unwrap(),
            End::Removed => drop(
                server
                    .block_on(app.remove_account(&ana(), FilesDisposal::Keep))
                    .unwrap(),
            ),
            End::SecondFactor => drop(turn_on(&LoggedIn::new(server, "ana"))),
            End::Revoked => {
                server
                    .ana()
                    .api(
                        "DELETE",
                        &format!("/app-passwords/{}", self.app_password),
                        &Value::Null,
                    )
                    .is(204);
            }
            End::Expired => std::thread::sleep(SOON),
            End::LoggedOut => drop(self.session.own("POST", "/api/v1/logout").send().is(204)),
            End::OwnNewPassword => {
                let change = json!({"old": PASSWORD, "new": "another kettle 77"});
                crate::api_sessions::json(self.session.own("PUT", "/api/v1/me/password"), &change)
                    .send()
                    .is(204);
            }
        }
    }
}

/// A request under way, up to where its credential ends.
enum UnderWay {
    Download(Connection, String),
    Upload(Connection, &'static str),
}

const UPLOADS: [&str; 5] = ["put", "append", "api put", "form", "tus"];

fn downloads() -> Vec<String> {
    let several = "large\nRange: bytes=0-99999999,150000000-".to_owned();
    ["large", &several]
        .iter()
        .map(|file| format!("/dav/{file}"))
        .chain([
            "/api/v1/files/content?path=/large".to_owned(),
            "/api/v1/zip?path=/large&path=/small".to_owned(),
        ])
        .collect()
}

fn begin_download(server: &TestServer, by: &Credential, what: &str) -> UnderWay {
    let (target, range) = what.split_once("\nRange: ").unwrap_or((what, ""));
    let mut request = by.request("GET", target);
    if !range.is_empty() {
        request = request.header("Range", range);
    }
    let mut connection = server.connect();
    connection.write(request.bytes()).unwrap();
    connection.read_head(target).unwrap().is_any(&[200, 206]);
    UnderWay::Download(connection, what.to_owned())
}

fn begin_upload(server: &TestServer, by: &Credential, how: &'static str) -> UnderWay {
    let (method, target) = match how {
        "put" => ("PUT", "/dav/late".to_owned()),
        "append" => ("PATCH", "/dav/small".to_owned()),
        "api put" => ("PUT", "/api/v1/files/content?path=/late".to_owned()),
        "form" => ("POST", "/api/v1/files?path=/".to_owned()),
        _ => {
            let request = by
                .request("POST", "/api/v1/uploads")
                .header("Tus-Resumable", "1.0.0");
            let metadata = format!("path {}", STANDARD.encode("/late"));
            let begun = request
                .header("Upload-Length", "200000")
                .header("Upload-Metadata", metadata)
                .send()
                .is(201);
            ("PATCH", begun.header("location").unwrap().to_owned())
        }
    };
    let len = 2 * HALF
        + if how == "form" {
            FORM.0.len() + FORM.1.len()
        } else {
            0
        };
    let request = by
        .request(method, &target)
        .header("Content-Length", len.to_string());
    let request = match how {
        "append" => request
            .header("Content-Type", "application/x-sabredav-partialupdate")
            .header("X-Update-Range", "append"),
        "form" => request.header("Content-Type", "multipart/form-data; boundary=b"),
        "tus" => request
            .header("Content-Type", "application/offset+octet-stream")
            .header("Tus-Resumable", "1.0.0")
            .header("Upload-Offset", "0"),
        _ => request,
    };
    let mut connection = server.connect();
    let request = request.header("Expect", "100-continue");
    connection.write(request.bytes()).unwrap();
    // It is signed in, and under way.
    connection.read_continue();
    if how == "form" {
        connection.write(FORM.0).unwrap();
    }
    connection.write(vec![7; HALF]).unwrap();
    UnderWay::Upload(connection, how)
}

/// Sends the rest of an upload and reads what comes of it.
fn finish(connection: &mut Connection, how: &str) -> std::io::Result<Reply> {
    let _ = connection.write(vec![7; HALF]);
    if how == "form" {
        let _ = connection.write(FORM.1);
    }
    connection.read_reply(false, how)
}

/// Goes on after the credential has ended.
fn go_on(under_way: UnderWay, case: &str) {
    match under_way {
        UnderWay::Download(mut connection, what) => {
            let rest = rest_of(&mut connection);
            assert!(rest < LARGE / 2, "{case}: {what} went on for {rest} bytes");
        }
        UnderWay::Upload(mut connection, how) => {
            let reply =
                finish(&mut connection, how).unwrap_or_else(|e| panic!("{case}: {how}: {e}"));
            assert_eq!(reply.status, 401, "{case}: {how}: {reply}");
            assert!(reply.text().contains("has ended"), "{case}: {how}: {reply}");
        }
    }
}

#[test]
fn what_is_under_way_ends_with_the_password() {
    use End::{Disabled, NewPassword, NewRole, Removed, SecondFactor};
    all_end(
        By::Password,
        &[Disabled, Removed, NewPassword, NewRole, SecondFactor],
    );
}

#[test]
fn what_is_under_way_ends_with_the_app_password() {
    all_end(
        By::AppPassword,
        &[
            End::Revoked,
            End::Expired,
            End::Disabled,
            End::OwnNewPassword,
        ],
    );
}

#[test]
fn what_is_under_way_ends_with_the_session() {
    all_end(
        By::Cookie,
        &[End::LoggedOut, End::NewPassword, End::NewRole],
    );
}

#[test]
fn what_is_under_way_ends_with_the_bearer() {
    all_end(
        By::Bearer,
        &[End::LoggedOut, End::Removed, End::OwnNewPassword],
    );
}

/// Where the home of the removed account lies.
fn aside(server: &TestServer) -> std::path::PathBuf {
    let files = server.app().removed_files();
    server.data().join(&files[0].place)
}

/// Everything that can be under way, and each of these ends.
fn all_end(by: By, ends: &[End]) {
    for how in ends.iter().copied() {
        let server = server();
        let case = format!("{by:?} {how:?}");
        let credential = Credential::new(&server, by, how);
        let mut under_way: Vec<UnderWay> = downloads()
            .iter()
            .map(|what| begin_download(&server, &credential, what))
            .collect();
        under_way.extend(
            UPLOADS
                .iter()
                .map(|how| begin_upload(&server, &credential, how)),
        );
        let mut listing = server.connect();
        let asked = credential
            .request("PROPFIND", "/dav/many")
            .header("Depth", "1");
        listing
            .write(
                asked
                    .xml(propfind_body(
                        "<D:displayname/><D:resourcetype/><D:getetag/><D:getlastmodified/>",
                    ))
                    .bytes(),
            )
            .unwrap();
        listing.read_head("PROPFIND").unwrap().is(207);
        let written = || {
            server
                .home("ana")
                .join(".sarang/uploads")
                .read_dir()
                .is_ok_and(|mut found| found.next().is_some())
        };
        assert!(
            poll(Duration::from_secs(5), written),
            "{case}: the upload has begun"
        );
        credential.end(&server, how);
        for one in under_way {
            go_on(one, &case);
        }
        let mut text = Vec::new();
        let mut buffer = vec![0; 1 << 20];
        while let Ok(some @ 1..) = listing.read_some(&mut buffer) {
            text.extend_from_slice(&buffer[..some]);
        }
        assert!(
            !String::from_utf8_lossy(&text).contains("</D:multistatus>"),
            "{case}: the listing came to its end"
        );
        let home = if matches!(how, End::Removed) {
            aside(&server)
        } else {
            server.home("ana")
        };
        assert!(
            !home.join("late").exists() && !home.join("late form").exists(),
            "{case}"
        );
        assert_eq!(
            std::fs::read(home.join("small")).unwrap(),
            b"smaller",
            "{case}"
        );
        assert!(
            poll(Duration::from_secs(5), || server.staged("ana").is_empty()),
            "{case}: {:?}",
            server.staged("ana")
        );
    }
}

/// The commit asks once more: all bytes have been written while the credential held, and only the end of the body is still to come.
#[test]
fn an_upload_of_which_all_has_come_is_not_published_by_what_has_ended() {
    let cases = [
        (By::Password, End::NewPassword),
        (By::AppPassword, End::Revoked),
        (By::Cookie, End::LoggedOut),
    ];
    for (by, how) in cases {
        let server = server();
        let credential = Credential::new(&server, by, how);
        let requests = ["/dav/late", "/api/v1/files/content?path=/late"].map(|target| {
            let mut connection = server.connect();
            let whole = credential
                .request("PUT", target)
                .body("late")
                .chunked()
                .bytes();
            connection.write(whole.strip_suffix(END).unwrap()).unwrap();
            connection
        });
        std::thread::sleep(Duration::from_millis(300));
        credential.end(&server, how);
        for mut connection in requests {
            let _ = connection.write(END);
            let reply = connection.read_reply(false, "PUT").unwrap();
            assert_eq!(reply.status, 401, "{by:?} {how:?}: {reply}");
        }
        assert!(!server.home("ana").join("late").exists(), "{by:?} {how:?}");
        assert!(server.staged("ana").is_empty());
    }
}

#[test]
fn a_copy_under_way_ends_with_its_credential() {
    for (by, how) in [
        (By::Password, End::Disabled),
        (By::AppPassword, End::Revoked),
        (By::Cookie, End::LoggedOut),
    ] {
        let server = server();
        let credential = Credential::new(&server, by, how);
        let copy = credential
            .request("COPY", "/dav/many")
            .header("Destination", credential.client.absolute("/copied"));
        let reply = during(&server, "ana", copy.bytes(), || {
            credential.end(&server, how);
        });
        assert_eq!(reply.status, 401, "{by:?} {how:?}: {reply}");
        assert!(!server.home("ana").join("copied").exists());
        assert!(poll(Duration::from_secs(5), || server
            .staged("ana")
            .is_empty()));
    }
}

/// Lets `end` happen while what a request makes lies in the staging folder of an account, and reads the reply.
fn during(server: &TestServer, account: &str, request: Vec<u8>, end: impl FnOnce()) -> Reply {
    assert!(
        poll(Duration::from_secs(5), || server.staged(account).is_empty()),
        "of the request before"
    );
    let mut connection = server.connect();
    std::thread::scope(|scope| {
        let asked = scope.spawn(move || connection.exchange(request));
        let staged = poll(Duration::from_secs(10), || {
            asked.is_finished() || !server.staged(account).is_empty()
        });
        end();
        let reply = asked.join().unwrap();
        assert!(staged, "nothing is staged: {reply}");
        reply
    })
}

#[test]
fn a_copy_out_of_a_share_or_team_folder_ends_with_it() {
    let server = server();
    let (ana, ben) = (server.ana(), server.ben());
    let app = server.app();
    server
        .block_on(app.auth.create(
            &AccountName::parse("root").unwrap(),
            PASSWORD.as_bytes(),
            Role::Admin,
            None,
        ))
        .unwrap();
    let root = ana.signed_in("root", PASSWORD);
    root.api(
        "POST",
        "/groups",
        &json!({"name": "crew", "members": ["ben"]}),
    )
    .is(201);
    root.api(
        "POST",
        "/team-folders",
        &json!({"name": "Plans", "members": [{"to": {"account": "ben"}, "rights": "edit"}]}),
    )
    .is(201);
    std::fs::create_dir_all(server.data().join("teams/Plans/many")).unwrap();
    for number in 0..MANY / 2 {
        std::fs::write(server.data().join(format!("teams/Plans/many/{number}")), "").unwrap();
    }
    let share = |to: Value, rights: &str| {
        let made = ana
            .api(
                "POST",
                "/shares",
                &json!({"path": "/many", "to": to, "rights": rights}),
            )
            .is(201)
            .json();
        made["id"].as_str().unwrap().to_owned()
    };
    let copy = |method: &str, from: &str| {
        let request = ben
            .request(method, from)
            .header("Destination", ben.absolute("/copied"));
        request.bytes()
    };
    let mine = "/Shared with me/many";
    let id = share(json!({"account": "ben"}), "edit");
    let narrowed = during(&server, "ben", copy("MOVE", mine), || {
        ana.api(
            "PATCH",
            &format!("/shares/{id}"),
            &json!({"rights": "view"}),
        )
        .is(204);
    });
    assert_eq!(narrowed.status, 403, "{narrowed}");
    let revoked = during(&server, "ben", copy("COPY", mine), || {
        ana.api("DELETE", &format!("/shares/{id}"), &Value::Null)
            .is(204);
    });
    assert_eq!(revoked.status, 404, "{revoked}");
    share(json!({"group": "crew"}), "view");
    let left = during(&server, "ben", copy("COPY", mine), || {
        root.api("PATCH", "/groups/crew", &json!({"members": []}))
            .is(200);
    });
    assert_eq!(left.status, 404, "{left}");
    let dismissed = during(
        &server,
        "ben",
        copy("COPY", "/Team folders/Plans/many"),
        || {
            root.api("PATCH", "/team-folders/Plans", &json!({"members": []}))
                .is(200);
        },
    );
    assert_eq!(dismissed.status, 404, "{dismissed}");
    share(json!({"account": "ben"}), "view");
    let disabled = during(&server, "ben", copy("COPY", mine), || {
        root.api("PATCH", "/accounts/ana", &json!({"disabled": true}))
            .is(200);
    });
    assert_eq!(disabled.status, 404, "{disabled}");
    ben.lacks("/copied");
    assert!(poll(Duration::from_secs(5), || server
        .staged("ben")
        .is_empty()));
    assert_eq!(
        std::fs::read_dir(server.home("ana").join("many"))
            .unwrap()
            .count(),
        MANY
    );
}

#[test]
fn a_session_that_changes_its_own_password_loses_nothing_of_what_is_under_way() {
    let server = server();
    let credential = Credential::new(&server, By::Cookie, End::OwnNewPassword);
    let UnderWay::Upload(mut upload, how) = begin_upload(&server, &credential, "put") else {
        panic!("an upload")
    };
    let UnderWay::Download(mut download, _) = begin_download(&server, &credential, "/dav/large")
    else {
        panic!("a download")
    };
    credential.end(&server, End::OwnNewPassword);
    finish(&mut upload, how).unwrap().is(201);
    assert_eq!(rest_of(&mut download), LARGE);
}
