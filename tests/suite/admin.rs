//! Administration over the real control socket, seen by clients over HTTP; and the set-up of the first administrator.

use crate::harness::{Client, NAME, PASSWORD, Reply, TestServer};
use sarang::control::{ApiCall, CallError, Client as ControlClient, ControlServer};
use sarang::http::api::admin::accounts::RemovedAccount;
use sarang::model::Role;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

const OTHER: &str = "green teapot 88";

/// A server whose control socket answers.
struct Office {
    stop: Option<oneshot::Sender<()>>,
    listening: Option<tokio::task::JoinHandle<()>>,
    server: TestServer,
}

impl Office {
    fn open() -> Self {
        let server = TestServer::start();
        let (stop, stopped) = oneshot::channel::<()>();
        let desk = server
            .block_on(ControlServer::open(server.app()))
            .expect("the control socket");
        let listening = server.spawn(desk.serve(async { drop(stopped.await) }));
        Self {
            stop: Some(stop),
            listening: Some(listening),
            server,
        }
    }

    fn ask<T: DeserializeOwned>(&self, call: ApiCall) -> Result<T, CallError> {
        let data = self.server.data().to_owned();
        self.server.block_on(async move {
            let client = ControlClient::connect(&data).await.expect("a server");
            client.expect("an answer").ask(call).await
        })
    }

    #[track_caller]
    fn order(&self, call: ApiCall) {
        let what = format!("{call:?}");
        let answer = self.ask::<Value>(call);
        assert!(answer.is_ok(), "{what}: {answer:?}");
    }

    fn as_ana(&self, password: &str) -> Client {
        self.server.stranger().signed_in("ana", password)
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(listening) = self.listening.take() {
            let _ = self.server.block_on(listening);
        }
    }
}

/// A change to an account.
fn change(name: &str, patch: &Value) -> ApiCall {
    ApiCall::patch(&["accounts", name]).json(patch)
}

#[test]
fn an_account_added_through_the_socket_signs_in_at_once() {
    let office = Office::open();
    let mode = std::fs::metadata(office.server.data().join("control.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let eva = office.server.stranger().signed_in("eva", OTHER);
    eva.propfind("/", "0").is(401);
    let new = json!({"name": "eva", "password": OTHER, "quota": 1000});
    office.order(ApiCall::post(&["accounts"]).json(&new));
    eva.store(NAME, "x");
    eva.put("/large", vec![b'x'; 1001]).is(507);
    let accounts: Value = office.ask(ApiCall::get(&["accounts"])).unwrap();
    let accounts = accounts["items"].as_array().unwrap();
    assert_eq!(
        accounts
            .iter()
            .map(|account| account["name"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["ana", "ben", "eva"]
    );
    let refused = office.ask::<Value>(change("nobody", &json!({"disabled": false})));
    assert!(
        matches!(&refused, Err(error) if error.is_not_found()),
        "{refused:?}"
    );
}

/// The routes of the command line alone, with bodies that they take.
const LOCAL: [(&str, &str, &str); 12] = [
    ("POST", "state-exports", ""),
    ("POST", "usage-corrections", ""),
    ("POST", "replaced-trees", r#"{"place":"homes/x"}"#),
    ("DELETE", "team-folders/x", ""),
    ("POST", "accounts/ana/invites", "{}"),
    ("GET", "accounts/ana/trash", ""),
    ("DELETE", "accounts/ana/trash", ""),
    ("DELETE", "accounts/ana/trash/x", ""),
    ("POST", "accounts/ana/trash/x/restore", "{}"),
    ("GET", "accounts/ana/versions", ""),
    (
        "POST",
        "accounts/ana/versions/restore",
        r#"{"path":"/x","id":"x"}"#,
    ),
    (
        "POST",
        "accounts/ana/rewind",
        r#"{"path":"/","to":"2001-01-01T00:00:00Z"}"#,
    ),
];

#[test]
fn what_is_for_the_command_line_alone_no_listener_answers() {
    let office = Office::open();
    office.order(change("ana", &json!({"role": "admin"})));
    let ana = office.as_ana(PASSWORD);
    ana.raw("GET", "/api/v1/accounts").send().is(200);
    for (method, path, body) in LOCAL {
        for client in [&ana, &office.server.stranger()] {
            let request = client.raw(method, &format!("/api/v1/local/{path}"));
            let request = request.header("Content-Type", "application/json");
            let refused = request.body(body).send().is(404);
            assert_eq!(refused.json()["code"], "not_found", "{method} {path}");
        }
        let segments: Vec<&str> = ["local"].into_iter().chain(path.split('/')).collect();
        let call = ApiCall::new(method.parse().unwrap(), &segments);
        let call = match serde_json::from_str::<Value>(body) {
            Ok(body) => call.json(&body),
            Err(_) => call,
        };
        let answer = office.ask::<Value>(call);
        assert!(
            !matches!(
                answer,
                Err(CallError::OtherVersion | CallError::Unanswered(_))
            ),
            "{method} {path}: {answer:?}"
        );
    }
    let document = ana.raw("GET", "/api/v1/openapi.json").send().is(200).text();
    assert!(document.contains("/api/v1/accounts") && !document.contains("/api/v1/local"));
}

#[test]
fn the_command_line_has_no_account_and_no_files() {
    let office = Office::open();
    for call in [
        ApiCall::get(&["me"]),
        ApiCall::get(&["trash"]),
        ApiCall::get(&["files"]).query(&json!({"path": "/"})),
        ApiCall::get(&["app-passwords"]),
    ] {
        let what = format!("{call:?}");
        let refused = office.ask::<Value>(call).unwrap_err();
        assert_eq!(refused.code(), Some("forbidden"), "{what}: {refused:?}");
    }
    // A credential that comes along changes nothing.
    let mut stream = UnixStream::connect(office.server.data().join("control.sock")).unwrap();
    let asked = "GET /api/v1/accounts HTTP/1.1\r\nhost: x\r\nauthorization: Basic eDp5\r\n\r\n";
    stream.write_all(asked.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn after_a_new_password_the_old_one_is_refused_100_times_of_100() {
    let office = Office::open();
    let (signed_in, changed) = (Barrier::new(5), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let guests: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let client = office.as_ana(PASSWORD);
                    let first = client.propfind("/", "0").status;
                    signed_in.wait();
                    assert_eq!(first, 207);
                    while !changed.load(Ordering::SeqCst) {
                        client.propfind("/", "0").is_any(&[207, 401]);
                    }
                    (0..25)
                        .filter(|_| client.propfind("/", "0").status == 207)
                        .count()
                })
            })
            .collect();
        signed_in.wait();
        std::thread::sleep(Duration::from_millis(50));
        let call = ApiCall::put(&["accounts", "ana", "password"]);
        office.order(call.json(&json!({"password": OTHER})));
        changed.store(true, Ordering::SeqCst);
        let accepted: usize = guests.into_iter().map(|guest| guest.join().unwrap()).sum();
        assert_eq!(accepted, 0, "of 100 requests after the change");
    });
    office.as_ana(OTHER).propfind("/", "0").is(207);
}

#[test]
fn disabling_and_a_new_quota_reach_open_connections() {
    let office = Office::open();
    let ana = office.as_ana(PASSWORD);
    ana.store(NAME, "12345");
    office.order(change("ana", &json!({"disabled": true})));
    ana.get(NAME).is(401);
    office.order(change("ana", &json!({"disabled": false})));
    ana.holds(NAME, "12345");
    office.order(change("ana", &json!({"quota": 100})));
    let answer = ana
        .props("/", "0", "<D:quota-available-bytes/><D:quota-used-bytes/>")
        .multistatus();
    assert_eq!(answer.only().value("quota-available-bytes"), "95");
    assert_eq!(answer.only().value("quota-used-bytes"), "5");
    ana.put("/large", vec![b'x'; 96]).is(507);
    office.order(change("ana", &json!({"quota": null})));
    ana.put("/large", vec![b'x'; 96]).is(201);
}

#[test]
fn a_removed_account_is_out_and_its_files_stay_or_go_as_asked() {
    let office = Office::open();
    for (who, files) in [("ana", "keep"), ("ben", "purge")] {
        let client = office.server.stranger().signed_in(who, PASSWORD);
        client.store(NAME, who);
        client.lock(NAME).send().is(200);
        let call = ApiCall::delete(&["accounts", who]).query(&json!({"files": files}));
        let removed: RemovedAccount = office.ask(call).unwrap();
        client.get(NAME).is(401);
        assert!(!office.server.home(who).exists(), "{who}");
        match (files, removed.kept) {
            ("keep", Some(place)) => {
                assert!(office.server.data().join(place).join(&NAME[1..]).exists());
            }
            ("purge", None) => {}
            (_, kept) => panic!("{who}: {kept:?}"),
        }
        let new = json!({"name": who, "password": PASSWORD});
        office.order(ApiCall::post(&["accounts"]).json(&new));
        // No lock of the old account is left either.
        client.lacks(NAME);
        client.store(NAME, "again");
    }
}

#[test]
fn purging_wins_against_uploads_under_way() {
    let office = Office::open();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for at in 0..4 {
            let (office, ended) = (&office, &ended);
            scope.spawn(move || {
                let client = office.as_ana(PASSWORD);
                for n in 0_u32.. {
                    client
                        .request("PUT", &format!("/{at}-{n}"))
                        .body(vec![b'x'; 2000])
                        .send();
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        let call = ApiCall::delete(&["accounts", "ana"]).query(&json!({"files": "purge"}));
        let answer = office.ask::<RemovedAccount>(call);
        ended.store(true, Ordering::SeqCst);
        assert!(
            matches!(&answer, Ok(removed) if removed.kept.is_none()),
            "{answer:?}"
        );
    });
    assert!(!office.server.home("ana").exists());
}

/// A server without accounts, and the secret of its set-up link.
fn fresh() -> (TestServer, String) {
    let server = TestServer::without_accounts();
    let token = server.app().setup.token().unwrap().to_string();
    (server, token)
}

#[test]
fn the_set_up_form_makes_the_first_administrator_once() {
    let (server, token) = fresh();
    let nobody = server.stranger();
    let shown = nobody
        .raw("GET", &format!("/setup?token={token}"))
        .send()
        .is(200);
    assert!(
        shown.text().contains(&token) && shown.text().contains("<form"),
        "{shown}"
    );
    let submit = |token: &str, name: &str, password: &str| {
        let form = format!(
            "token={token}&name={name}&password={}",
            password.replace(' ', "+")
        );
        let request = nobody
            .raw("POST", "/setup")
            .header("Content-Type", "application/x-www-form-urlencoded");
        request.body(form).send()
    };
    let wrong = submit(&token[1..], "eva", OTHER).is(403);
    assert!(wrong.text().contains("set-up link"), "{wrong}");
    let weak = submit(&token, "eva", "short").is(400);
    assert!(weak.text().contains("at least 10"), "{weak}");
    submit(&token, "e/va", OTHER).is_any(&[400, 403, 422]);
    server
        .stranger()
        .signed_in("eva", OTHER)
        .propfind("/", "0")
        .is(401);
    submit(&token, "eva", OTHER).is(201);
    submit(&token, "zoe", OTHER).is(404);
    nobody
        .raw("GET", &format!("/setup?token={token}"))
        .send()
        .is(404);
    server
        .stranger()
        .signed_in("eva", OTHER)
        .propfind("/", "0")
        .is(207);
    let accounts = server.app().auth.list();
    assert_eq!((accounts.len(), accounts[0].role), (1, Role::Admin));
    let server = server.restart();
    assert!(!server.app().setup.is_open());
    server
        .stranger()
        .raw("GET", &format!("/setup?token={token}"))
        .send()
        .is(404);
}

#[test]
fn the_set_up_call_makes_one_administrator_however_many_ask() {
    let (server, token) = fresh();
    let ask = |token: &str, name: &str| {
        let body = format!(r#"{{"token":"{token}","name":"{name}","password":"{OTHER}"}}"#);
        let nobody = server.stranger();
        nobody
            .raw("POST", "/api/v1/setup")
            .header("Content-Type", "application/json")
            .body(body)
            .send()
    };
    ask("", "eva").is(403);
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let (ask, token) = (&ask, token.as_str());
        let asking: Vec<_> = (0..8)
            .map(|n| scope.spawn(move || ask(token, &format!("eva{n}"))))
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let made = replies.iter().find(|reply| reply.status == 201).unwrap();
    let created = made.json()["created"].as_str().map(str::len);
    assert_eq!(
        created,
        Some("2026-12-01T00:00:00Z".len()),
        "a time as elsewhere in the API"
    );
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|status| [201, 403, 404].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(server.app().auth.list().len(), 1);
    ask(&token, "zoe").is(404);
}
