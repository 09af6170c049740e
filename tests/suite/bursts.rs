//! A large part of a drive overwritten or deleted within minutes: its history is held, and those concerned are told.

use crate::harness::{Client, TestServer, poll};
use sarang::audit::{AuditFilter, AuditKind};
use sarang::storage::history::Retention;
use serde_json::Value;
use std::time::{Duration, SystemTime};

const PATIENCE: Duration = Duration::from_secs(20);

fn start() -> (TestServer, Client) {
    let server = TestServer::with(|config| {
        config.history.burst_count = 10;
        config.history.burst_share = 0.5;
    });
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    for n in 0..40 {
        ana.store(&format!("/d/{n}"), "whole");
    }
    (server, ana)
}

fn until(client: &Client) -> Value {
    client.raw("GET", "/api/v1/me").send().is(200).json()["history_held_until"].clone()
}

/// Whatever was to be looked at for what has happened so far has been.
fn is_held(client: &Client) -> bool {
    poll(PATIENCE, || !until(client).is_null())
}

/// How many changes were a burst, by the audit log, where there were so many files.
fn harm_of(server: &TestServer, files: u64) -> u64 {
    let filter = AuditFilter {
        kind: Some(AuditKind::HistoryHeld),
        ..AuditFilter::default()
    };
    let told = || {
        server
            .block_on(server.app().audit.read(filter.clone(), u64::MAX, 10))
            .unwrap()
    };
    assert!(poll(PATIENCE, || !told().is_empty()));
    let entries = told();
    assert_eq!(
        (entries.len(), entries[0].target.as_str()),
        (1, "ana"),
        "{entries:?}"
    );
    let (harm, rest) = entries[0].note.split_once(" of ").unwrap();
    assert!(rest.starts_with(&format!("{files} files")), "{rest}");
    harm.parse().unwrap()
}

#[test]
fn overwriting_half_of_a_drive_holds_its_history_over_restarts() {
    let (server, ana) = start();
    for n in 0..22 {
        ana.store(&format!("/d/{n}"), "scrambled");
    }
    assert!(is_held(&ana));
    assert!((20..=22).contains(&harm_of(&server, 40)));
    assert!(until(&server.ben()).is_null());
    let held = server
        .block_on(sarang::admin::overview(&server.app()))
        .unwrap()
        .held;
    assert_eq!((held.len(), held[0].root.as_str()), (1, "home/ana"));
    let server = server.restart();
    let ana = server.ana();
    ana.holds("/d/30", "whole");
    assert!(!until(&ana).is_null());
    // What would expire tomorrow does not.
    ana.delete("/d/30").is(204);
    let app = server.app();
    let (root, _) = server
        .block_on(app.drives.trees.home(&"ana".to_owned().try_into().unwrap()))
        .unwrap();
    let retention = Retention {
        trash: Some(Duration::from_secs(3600)),
        ..Retention::default()
    };
    let day = |n: u64| SystemTime::now() + Duration::from_secs(n * 86400);
    assert_eq!(
        server
            .block_on(root.tree.expire(retention, day(1)))
            .unwrap()
            .items,
        0
    );
    assert_eq!(
        server
            .block_on(root.tree.expire(retention, day(31)))
            .unwrap()
            .items,
        1
    );
}

#[test]
fn deleting_a_folder_counts_what_is_in_it() {
    let (server, ana) = start();
    ana.mkcol("/few").is(201);
    ana.store("/few/x", "x");
    ana.delete("/few").is(204);
    ana.delete("/d").is(204);
    assert!(is_held(&ana));
    assert!((40..=41).contains(&harm_of(&server, 41)));
}

#[test]
fn new_and_moved_files_are_no_harm() {
    let (server, ana) = start();
    for n in 0..60 {
        ana.store(&format!("/new {n}"), "x");
        ana.transfer("MOVE", &format!("/new {n}"), &format!("/moved {n}"))
            .send()
            .is(201);
    }
    for n in 0..52 {
        ana.store(&format!("/moved {n}"), "scrambled");
    }
    assert!(is_held(&ana));
    assert!(
        (50..=52).contains(&harm_of(&server, 100)),
        "only what was overwritten counts"
    );
}

#[test]
fn what_comes_from_another_drive_over_files_counts() {
    let (server, ana) = start();
    let share = ana
        .raw("POST", "/api/v1/shares")
        .header("Content-Type", "application/json");
    share
        .body(r#"{"path":"/d","to":{"account":"ben"},"rights":"edit"}"#)
        .send()
        .is(201);
    let ben = server.ben();
    ben.store("/mine", "scrambled");
    for n in 0..22 {
        ben.transfer("COPY", "/mine", &format!("/Shared with me/d/{n}"))
            .send()
            .is(204);
    }
    assert!(is_held(&ana));
    assert!((20..=22).contains(&harm_of(&server, 40)));
}

#[test]
fn what_is_moved_to_another_drive_counts_where_it_was() {
    let (server, ana) = start();
    let share = server.ben();
    share.mkcol("/in").is(201);
    let asked = share
        .raw("POST", "/api/v1/shares")
        .header("Content-Type", "application/json");
    asked
        .body(r#"{"path":"/in","to":{"account":"ana"},"rights":"edit"}"#)
        .send()
        .is(201);
    ana.transfer("MOVE", "/d", "/Shared with me/in/d")
        .send()
        .is(201);
    assert!(is_held(&ana));
    assert!(harm_of(&server, 40) == 40);
}
