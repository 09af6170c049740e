//! Who may do what: every method by every actor on every kind of path, also through `Destination`, against one table.
//! After each cell it is looked that nobody's files have changed but the actor's own, and that nothing of another's was told.
//! A new actor is a line in `actors`, and a table in `expected` where it sees what none of the others sees.

use crate::harness::matrix::{ask, clear, contents};
use crate::harness::{Client, PASSWORD, TestServer};
use sarang::auth::AccountUpdate;
use sarang::model::{AccountName, Role};
use std::fs;
use std::path::Path;

const SECRET: &str = "only for ana 4711";
const OLD: &str = "blue kettle 77";

/// What an actor meets behind `/dav`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// The drive with the files.
    Owner,
    /// A drive of its own, with nothing but `own.txt` in it.
    Empty,
    /// The door.
    Outside,
}

struct Actor {
    name: &'static str,
    /// Whose home the actor may change.
    home: Option<&'static str>,
    view: View,
    client: Client,
}

/// The kinds of path, in the order of the tables' columns.
const PATHS: [(&str, &str); 13] = [
    ("root", "/dav/"),
    ("file", "/dav/file.txt"),
    ("folder", "/dav/folder/"),
    ("full folder", "/dav/full/"),
    ("inside", "/dav/full/inside.txt"),
    ("missing", "/dav/none.txt"),
    ("orphan", "/dav/none/none.txt"),
    ("reserved", "/dav/.sarang/tmp"),
    ("trash", "/dav/.sarang/trash/files/file.txt"),
    ("climbing", "/dav/../homes/ana/file.txt"),
    ("encoded climb", "/dav/%2e%2e/homes/ana/file.txt"),
    ("encoded slash", "/dav/..%2fana%2ffile.txt"),
    ("control", "/dav/a%01b"),
];

/// The methods, each with its row for who owns the drive and for who has an empty one; whoever is outside gets 401.
#[rustfmt::skip]
const TABLE: [(&str, [u16; 13], [u16; 13]); 16] = [
    // column   root file fold full insi miss orph rese tras clim encl encs cont
    ("OPTIONS",   [200, 200, 200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404],
                  [200, 200, 200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404]),
    ("GET",       [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404],
                  [200, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
    ("HEAD",      [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404],
                  [200, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
    ("PUT",       [405, 204, 405, 405, 204, 201, 409, 400, 400, 404, 404, 400, 400],
                  [405, 201, 405, 405, 409, 201, 409, 400, 400, 404, 404, 400, 400]),
    ("PATCH",     [405, 204, 405, 405, 204, 201, 409, 400, 400, 404, 404, 400, 400],
                  [405, 201, 405, 405, 409, 201, 409, 400, 400, 404, 404, 400, 400]),
    ("POST",      [405, 405, 405, 405, 405, 405, 405, 404, 404, 404, 404, 404, 404],
                  [405, 405, 405, 405, 405, 405, 405, 404, 404, 404, 404, 404, 404]),
    ("PROPFIND",  [207, 207, 207, 207, 207, 404, 404, 404, 404, 404, 404, 404, 404],
                  [207, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
    ("PROPPATCH", [207, 207, 207, 207, 207, 404, 404, 404, 404, 404, 404, 404, 404],
                  [207, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
    ("MKCOL",     [405, 405, 405, 405, 405, 201, 409, 400, 400, 404, 404, 400, 400],
                  [405, 201, 201, 201, 409, 201, 409, 400, 400, 404, 404, 400, 400]),
    ("DELETE",    [403, 204, 204, 204, 204, 404, 404, 404, 404, 404, 404, 404, 404],
                  [403, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
    ("COPY",      [403, 201, 201, 201, 201, 404, 404, 404, 404, 404, 404, 404, 404],
                  [403, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
    ("MOVE",      [403, 201, 201, 201, 201, 404, 404, 404, 404, 404, 404, 404, 404],
                  [403, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
    ("COPY to",   [403, 204, 204, 204, 204, 201, 409, 400, 400, 502, 502, 400, 400],
                  [403, 201, 201, 201, 409, 201, 409, 400, 400, 502, 502, 400, 400]),
    ("MOVE to",   [403, 204, 204, 204, 204, 201, 409, 400, 400, 502, 502, 400, 400],
                  [403, 201, 201, 201, 409, 201, 409, 400, 400, 502, 502, 400, 400]),
    ("LOCK",      [200, 200, 200, 200, 200, 201, 409, 400, 400, 404, 404, 400, 400],
                  [200, 201, 201, 201, 409, 201, 409, 400, 400, 404, 404, 400, 400]),
    ("UNLOCK",    [409, 409, 409, 409, 409, 409, 409, 404, 404, 404, 404, 404, 404],
                  [409, 409, 409, 409, 409, 409, 409, 404, 404, 404, 404, 404, 404]),
];

fn actors(server: &TestServer) -> Vec<Actor> {
    let (app, name) = (server.app(), |text: &str| AccountName::parse(text).unwrap());
    let make = |who: &str, role| {
        server
            .block_on(app.auth.create(&name(who), PASSWORD.as_bytes(), role, None))
            .unwrap();
    };
    for (who, role) in [
        ("zoe", Role::Admin),
        ("kim", Role::User),
        ("lee", Role::User),
        ("max", Role::User),
    ] {
        make(who, role);
        // All have signed in once: a remembered sign-in must not outlive what allowed it.
        server
            .stranger()
            .signed_in(who, PASSWORD)
            .get("/")
            .is_any(&[200, 207, 405]);
    }
    let disabled = AccountUpdate {
        disabled: Some(true),
        ..AccountUpdate::default()
    };
    server
        .block_on(app.auth.update(&name("kim"), disabled, None))
        .unwrap();
    server
        .block_on(app.remove_account(&name("lee"), sarang::app::removal::FilesDisposal::Keep))
        .unwrap();
    server
        .block_on(app.auth.set_password(&name("max"), OLD.as_bytes()))
        .unwrap();
    let actor = |name, home, view, client| Actor {
        name,
        home,
        view,
        client,
    };
    let outside = |name, client| actor(name, None, View::Outside, client);
    let signed_in = |who, password| server.stranger().signed_in(who, password);
    vec![
        actor("owner", Some("ana"), View::Owner, server.ana()),
        actor("other account", Some("ben"), View::Empty, server.ben()),
        actor(
            "administrator",
            Some("zoe"),
            View::Empty,
            signed_in("zoe", PASSWORD),
        ),
        outside("stranger", server.stranger()),
        outside("wrong password", signed_in("ana", "wrong")),
        outside("unknown account", signed_in("nobody", PASSWORD)),
        outside("disabled", signed_in("kim", PASSWORD)),
        outside("removed", signed_in("lee", PASSWORD)),
        outside("former password", signed_in("max", PASSWORD)),
        outside(
            "garbled credentials",
            server.stranger().authorized("Basic %%%"),
        ),
        outside(
            "another scheme",
            server.stranger().authorized("Bearer YW5hOnB3"),
        ),
    ]
}

/// Every home as the table presumes it, and no locks.
fn lay_out(server: &TestServer) {
    for home in ["ana", "ben", "zoe"] {
        let dir = server.home(home);
        clear(&dir);
        fs::write(dir.join("own.txt"), "own").unwrap();
        let name = AccountName::parse(home).unwrap();
        server
            .block_on(
                server
                    .app()
                    .locks
                    .release_account(&name, &format!("home/{home}")),
            )
            .unwrap();
    }
    let ana = server.home("ana");
    fs::create_dir(ana.join("folder")).unwrap();
    fs::create_dir(ana.join("full")).unwrap();
    fs::write(ana.join("file.txt"), SECRET).unwrap();
    fs::write(ana.join("full/inside.txt"), SECRET).unwrap();
}

/// The statuses of a method for an actor, by path.
fn expected(view: View, (_, owner, empty): &(&str, [u16; 13], [u16; 13])) -> [u16; 13] {
    match view {
        View::Owner => *owner,
        View::Empty => *empty,
        View::Outside => [401; 13],
    }
}

#[test]
fn every_cell_is_as_the_table_says() {
    let server = TestServer::with(|config| {
        (
            config.accounts.failures_per_network,
            config.accounts.failures_per_account,
        ) = (100_000, 100_000);
    });
    let actors = actors(&server);
    for actor in actors.iter().filter(|actor| actor.home.is_some()) {
        actor.client.propfind("/", "0").is(207);
    }
    let homes = server.data().join("homes");
    let (mut wrong, mut cells) = (Vec::new(), 0);
    for actor in &actors {
        for row in &TABLE {
            let (method, statuses) = (row.0, expected(actor.view, row));
            for ((kind, target), status) in PATHS.iter().zip(statuses) {
                lay_out(&server);
                let before = contents(&homes, None);
                let reply = ask(&actor.client, "/dav", method, target);
                let after = contents(&homes, None);
                cells += 1;
                let cell = format!("{} {method} {kind}", actor.name);
                if reply.status != status {
                    wrong.push(format!("{cell}: {} instead of {status}", reply.status));
                }
                let told = reply.text() + &format!("{:?}", reply.headers);
                let tells = told.contains(SECRET)
                    || told.contains("inside.txt") && !target.contains("inside");
                if tells && actor.view != View::Owner {
                    wrong.push(format!("{cell}: it tells what is ana's: {reply}"));
                }
                let own = |path: &str| {
                    actor
                        .home
                        .is_some_and(|home| Path::new(path).starts_with(home))
                };
                let changed = after
                    .iter()
                    .filter(|entry| before.get(entry.0) != Some(entry.1))
                    .map(|(path, _)| path);
                let gone = before.keys().filter(|path| !after.contains_key(*path));
                let others: Vec<&String> = changed.chain(gone).filter(|path| !own(path)).collect();
                if !others.is_empty() {
                    wrong.push(format!("{cell}: it changed {others:?}"));
                }
            }
        }
    }
    assert!(
        actors.len() >= 9
            && TABLE.len() >= 14
            && PATHS.len() >= 12
            && cells == actors.len() * TABLE.len() * PATHS.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {cells} cells: {wrong:#?}",
        wrong.len()
    );
}

/// The tags of routes that are for administrators alone.
const ADMINISTRATION: [&str; 2] = ["Accounts", "Server"];

#[test]
fn every_route_of_the_api_keeps_out_whom_it_should() {
    let server = TestServer::with(|config| {
        (
            config.accounts.failures_per_network,
            config.accounts.failures_per_account,
        ) = (100_000, 100_000);
    });
    let actors = actors(&server);
    let document = server
        .stranger()
        .raw("GET", "/api/v1/openapi.json")
        .send()
        .is(200)
        .json();
    let accounts = server.app().auth.list().len();
    let (mut wrong, mut for_administrators) = (Vec::new(), 0);
    for (path, methods) in document["paths"].as_object().unwrap() {
        let target = path.replace("{name}", "ana").replace(['{', '}'], "");
        for (method, route) in methods.as_object().unwrap() {
            let is_public = route["security"] == serde_json::json!([{}]);
            let administers = ADMINISTRATION.iter().any(|tag| route["tags"][0] == *tag);
            for_administrators += usize::from(administers);
            for actor in &actors {
                let status = match actor.view {
                    View::Outside if !is_public => 401,
                    View::Empty if administers && actor.name != "administrator" => 403,
                    View::Owner if administers => 403,
                    _ => continue,
                };
                let seen = actor
                    .client
                    .raw(&method.to_uppercase(), &target)
                    .send()
                    .status;
                if seen != status {
                    wrong.push(format!(
                        "{} {method} {path}: {seen} instead of {status}",
                        actor.name
                    ));
                }
            }
        }
    }
    assert!(for_administrators >= 9, "{for_administrators}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        server.app().auth.list().len(),
        accounts,
        "nobody was removed"
    );
}
