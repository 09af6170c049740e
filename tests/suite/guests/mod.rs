//! Those who see a part: receivers of a share, visitors of a link and app passwords, on every kind of path beneath what they were
//! given. After each cell of the tables it is looked that nothing beside it changed or was told.

mod dav;
mod doors;

use crate::harness::matrix::{clear, contents};
use crate::harness::{Client, PASSWORD, Reply, TestServer};
use sarang::model::AccountName;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

const SECRET: &str = "beside it 4711";
const INSIDE: &str = "in it 4711";

/// What a guest was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    View,
    Drop,
    Edit,
    /// To edit, as a mount: its top is renamed and left like an entry.
    Mount,
    /// To view, as a mount.
    ViewMount,
    /// Nothing: the addresses lead into a drive of its own.
    Nothing,
}

struct Guest {
    name: &'static str,
    given: Given,
    client: Client,
    /// What stands for the folder in its addresses.
    base: String,
}

/// The kinds of path beneath the folder, in the order of the table's columns.
const PATHS: [(&str, &str); 13] = [
    ("root", "/"),
    ("file", "/file.txt"),
    ("folder", "/folder/"),
    ("full folder", "/full/"),
    ("inside", "/full/inside.txt"),
    ("missing", "/none.txt"),
    ("orphan", "/none/none.txt"),
    ("reserved", "/.sarang/tmp"),
    ("beside", "/../beside.txt"),
    ("encoded climb", "/%2e%2e/beside.txt"),
    ("encoded slash", "/..%2fbeside.txt"),
    ("control", "/a%01b"),
    ("name with a prefix", "-private/beside.txt"),
];

fn api(client: &Client, path: &str, body: &Value) -> Value {
    client.api("POST", path, body).is(201).json()
}

fn ana() -> AccountName {
    AccountName::parse("ana").unwrap()
}

fn guests(server: &TestServer) -> Vec<Guest> {
    let owner = server.ana();
    let link = |rights: &str| {
        let made = api(&owner, "/links", &json!({"path": "tree", "rights": rights}));
        (
            server.stranger(),
            format!("/s/{}/dav", made["token"].as_str().unwrap()),
        )
    };
    let app_password = |wish: Value, base: &str| {
        let made = api(&owner, "/app-passwords", &wish);
        (
            server
                .stranger()
                .signed_in("ana", made["password"].as_str().unwrap()),
            base.to_owned(),
        )
    };
    let share = |to: &str, rights: &str| {
        api(
            &owner,
            "/shares",
            &json!({"path": "/tree", "to": {"account": to}, "rights": rights}),
        );
        (
            server.stranger().signed_in(to, PASSWORD),
            "/dav/Shared%20with%20me/tree".to_owned(),
        )
    };
    let guest = |name, given, (client, base)| Guest {
        name,
        given,
        client,
        base,
    };
    vec![
        guest("receiver, view", Given::ViewMount, share("eva", "view")),
        guest("receiver, edit", Given::Mount, share("ben", "edit")),
        guest("link, view", Given::View, link("view")),
        guest("link, drop", Given::Drop, link("drop")),
        guest("link, edit", Given::Edit, link("edit")),
        guest(
            "app password, folder",
            Given::Edit,
            app_password(json!({"name": "a", "scope": "/tree"}), "/dav"),
        ),
        guest(
            "app password, folder, view",
            Given::View,
            app_password(
                json!({"name": "b", "scope": "/tree", "rights": "view"}),
                "/dav",
            ),
        ),
    ]
}

/// The folder as the table presumes it, nothing locked, every mount as it was given.
fn lay_out(server: &TestServer) {
    let home = server.home("ana");
    let tree = home.join("tree");
    fs::create_dir_all(&tree).unwrap();
    for dir in [
        &tree,
        &server.home("ben"),
        &server.home("eva"),
        &server.home("kim"),
    ] {
        clear(dir);
    }
    fs::create_dir_all(home.join("tree-private")).unwrap();
    fs::write(home.join("beside.txt"), SECRET).unwrap();
    fs::write(home.join("tree-private/beside.txt"), SECRET).unwrap();
    fs::create_dir(tree.join("folder")).unwrap();
    fs::create_dir(tree.join("full")).unwrap();
    for file in ["file.txt", "full/inside.txt", "own.txt"] {
        fs::write(tree.join(file), INSIDE).unwrap();
    }
    let app = server.app();
    server.block_on(async {
        app.locks.release_account(&ana(), "home/ana").await.unwrap();
        for share in app.sharing.shares.of(&ana()) {
            let again = |share: &mut sarang::sharing::shares::Share| {
                share.left.clear();
                share.names.clear();
            };
            app.sharing
                .shares
                .change(|shares| shares.made_by(&ana(), &share.id), again)
                .await
                .unwrap();
        }
    });
}

/// What is wrong with what a request changed, or told.
fn trespass(
    guest: &Guest,
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    reply: &Reply,
) -> Option<String> {
    let changed = after
        .iter()
        .filter(|entry| before.get(entry.0) != Some(entry.1))
        .map(|(path, _)| path);
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let may = |path: &str| match guest.given {
        Given::View | Given::ViewMount => false,
        Given::Drop => path.starts_with("ana/tree/") && !before.contains_key(path),
        Given::Edit | Given::Mount => path.starts_with("ana/tree/"),
        Given::Nothing => path.starts_with("kim/"),
    };
    let others: Vec<&String> = changed.chain(gone).filter(|path| !may(path)).collect();
    let told = reply.text() + &format!("{:?}", reply.headers);
    if !others.is_empty() {
        return Some(format!("it changed {others:?}"));
    }
    let drops =
        guest.given == Given::Drop && (told.contains("inside.txt") || told.contains(INSIDE));
    (told.contains(SECRET) || drops && !reply.asked.contains("inside"))
        .then(|| format!("it tells: {reply}"))
}

/// A table: for each door, for each kind of guest, the statuses by path.
type Table<const G: usize, const P: usize> = [(&'static str, [[u16; P]; G])];

/// Opens every door to every path as every guest; a guest comes with its row in the table, `ask` goes through and tells the status.
fn hold<const G: usize, const P: usize>(
    (server, guests): (&TestServer, &[(usize, Guest)]),
    (table, paths): (&Table<G, P>, &[(&str, &str); P]),
    ask: &dyn Fn(&Guest, &str, &str) -> (Reply, u16),
) {
    let homes = server.data().join("homes");
    let (mut wrong, mut cells) = (Vec::new(), 0);
    for (row, guest) in guests {
        for (door, rows) in table {
            for ((kind, path), status) in paths.iter().zip(rows[*row]) {
                lay_out(server);
                let before = contents(&homes, Some(".sarang"));
                let (reply, seen) = ask(guest, door, path);
                let after = contents(&homes, Some(".sarang"));
                let cell = format!("{}, {door}, {kind}", guest.name);
                wrong.extend(
                    trespass(guest, &before, &after, &reply).map(|what| format!("{cell}: {what}")),
                );
                if seen != status {
                    wrong.push(format!("{cell}: {seen} instead of {status}"));
                }
                cells += 1;
            }
        }
    }
    assert_eq!(cells, guests.len() * table.len() * P);
    assert!(
        wrong.is_empty(),
        "{} of {cells} cells: {wrong:#?}",
        wrong.len()
    );
}

/// A server with the accounts that are given a part, and one that is given nothing.
fn server() -> TestServer {
    let server = TestServer::start();
    for name in ["eva", "kim"] {
        let (name, role) = (AccountName::parse(name).unwrap(), sarang::model::Role::User);
        server
            .block_on(
                server
                    .app()
                    .auth
                    .create(&name, PASSWORD.as_bytes(), role, None),
            )
            .unwrap();
    }
    let others = ["eva", "kim"].map(|name| server.stranger().signed_in(name, PASSWORD));
    for client in [server.ana(), server.ben()].iter().chain(&others) {
        client.propfind("/", "0").is(207);
    }
    lay_out(&server);
    server
}
