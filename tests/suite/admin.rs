//! Administration over the real control socket, seen by clients over HTTP; and the set-up of the first administrator.

use crate::harness::{Client, NAME, PASSWORD, Reply, TestServer};
use sarang::control::{
    self, ControlServer, FilesDisposal, Password, QuotaChoice, Request, Response,
};
use sarang::model::{AccountName, Role};
use std::os::unix::fs::PermissionsExt as _;
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

    fn ask(&self, request: &Request) -> Response {
        self.server
            .block_on(control::call(self.server.data(), request))
            .expect("a server")
            .expect("an answer")
    }

    #[track_caller]
    fn order(&self, request: &Request) {
        let answer = self.ask(request);
        assert!(matches!(answer, Response::Done), "{request:?}: {answer:?}");
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

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
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
    let (quota, password) = (QuotaChoice::Bytes(1000), Password::new(OTHER.into()));
    office.order(&Request::UserAdd {
        name: name("eva"),
        role: Role::User,
        quota,
        password,
        home: None,
    });
    eva.store(NAME, "x");
    eva.put("/large", vec![b'x'; 1001]).is(507);
    let Response::Accounts(accounts) = office.ask(&Request::UserList) else {
        panic!()
    };
    assert_eq!(
        accounts.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(),
        ["ana", "ben", "eva"]
    );
    let refused = office.ask(&Request::UserEnable {
        name: name("nobody"),
    });
    assert!(
        matches!(&refused, Response::Refused(why) if why == "There is no account nobody."),
        "{refused:?}"
    );
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
        office.order(&Request::UserPasswd {
            name: name("ana"),
            password: Password::new(OTHER.into()),
        });
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
    office.order(&Request::UserDisable { name: name("ana") });
    ana.get(NAME).is(401);
    office.order(&Request::UserEnable { name: name("ana") });
    ana.holds(NAME, "12345");
    office.order(&Request::UserQuota {
        name: name("ana"),
        quota: Some(100),
    });
    let answer = ana
        .props("/", "0", "<D:quota-available-bytes/><D:quota-used-bytes/>")
        .multistatus();
    assert_eq!(answer.only().value("quota-available-bytes"), "95");
    assert_eq!(answer.only().value("quota-used-bytes"), "5");
    ana.put("/large", vec![b'x'; 96]).is(507);
    office.order(&Request::UserQuota {
        name: name("ana"),
        quota: None,
    });
    ana.put("/large", vec![b'x'; 96]).is(201);
}

#[test]
fn a_removed_account_is_out_and_its_files_stay_or_go_as_asked() {
    let office = Office::open();
    for (who, files) in [("ana", FilesDisposal::Keep), ("ben", FilesDisposal::Purge)] {
        let client = office.server.stranger().signed_in(who, PASSWORD);
        client.store(NAME, who);
        client.lock(NAME).send().is(200);
        let answer = office.ask(&Request::UserRemove {
            name: name(who),
            files: files.clone(),
        });
        client.get(NAME).is(401);
        assert!(!office.server.home(who).exists(), "{who}");
        match (files, answer) {
            (FilesDisposal::Keep, Response::Aside(Some(place))) => {
                assert!(office.server.data().join(place).join(&NAME[1..]).exists());
            }
            (FilesDisposal::Purge, Response::Done) => {}
            (_, answer) => panic!("{who}: {answer:?}"),
        }
        let password = Password::new(PASSWORD.into());
        office.order(&Request::UserAdd {
            name: name(who),
            role: Role::User,
            quota: QuotaChoice::Default,
            password,
            home: None,
        });
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
        let answer = office.ask(&Request::UserRemove {
            name: name("ana"),
            files: FilesDisposal::Purge,
        });
        ended.store(true, Ordering::SeqCst);
        assert!(matches!(answer, Response::Done), "{answer:?}");
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
