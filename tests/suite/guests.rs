//! The matrix of those who see a part: every method by receivers of a share, visitors of a link and app passwords, on every kind of
//! path beneath what they were given. After each cell it is looked that nothing beside it changed or was told.

use crate::harness::{Client, LOCK_BODY, PASSWORD, Reply, TestServer, propfind_body};
use sarang::model::AccountName;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

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

/// The methods; for each what was given, the statuses by path.
#[rustfmt::skip]
const TABLE: [(&str, [[u16; 13]; 5]); 16] = [
    //   root file fold full insi miss orph rese besi climb slash ctrl prefix
    ("OPTIONS",[
        [200, 200, 200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404], // to view
        [200, 200, 200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404], // to drop
        [200, 200, 200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404], // to edit
        [200, 200, 200, 200, 200, 200, 200, 404, 200, 200, 404, 404, 200], // a mount, to edit
        [200, 200, 200, 200, 200, 200, 200, 404, 200, 200, 404, 404, 200], // a mount, to view
    ]),
    ("GET",[
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404], // to view
        [404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404], // to drop
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404], // to edit
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to edit
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to view
    ]),
    ("HEAD",[
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404], // to view
        [200, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404], // to drop
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404], // to edit
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to edit
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to view
    ]),
    ("PUT",[
        [405, 403, 405, 405, 403, 403, 403, 400, 404, 404, 400, 400, 404], // to view
        [405, 412, 405, 405, 403, 201, 403, 400, 404, 404, 400, 400, 404], // to drop
        [405, 204, 405, 405, 204, 201, 409, 400, 404, 404, 400, 400, 404], // to edit
        [405, 204, 405, 405, 204, 201, 409, 400, 403, 403, 400, 400, 403], // a mount, to edit
        [405, 403, 405, 405, 403, 403, 403, 400, 403, 403, 400, 400, 403], // a mount, to view
    ]),
    ("PATCH",[
        [405, 403, 405, 405, 403, 403, 403, 400, 404, 404, 400, 400, 404], // to view
        [405, 412, 405, 405, 403, 201, 403, 400, 404, 404, 400, 400, 404], // to drop
        [405, 204, 405, 405, 204, 201, 409, 400, 404, 404, 400, 400, 404], // to edit
        [405, 204, 405, 405, 204, 201, 409, 400, 403, 403, 400, 400, 403], // a mount, to edit
        [405, 403, 405, 405, 403, 403, 403, 400, 403, 403, 400, 400, 403], // a mount, to view
    ]),
    ("POST",[
        [405, 405, 405, 405, 405, 405, 405, 404, 404, 404, 404, 404, 404], // to view
        [405, 405, 405, 405, 405, 405, 405, 404, 404, 404, 404, 404, 404], // to drop
        [405, 405, 405, 405, 405, 405, 405, 404, 404, 404, 404, 404, 404], // to edit
        [405, 405, 405, 405, 405, 405, 405, 404, 405, 405, 404, 404, 405], // a mount, to edit
        [405, 405, 405, 405, 405, 405, 405, 404, 405, 405, 404, 404, 405], // a mount, to view
    ]),
    ("PROPFIND",[
        [207, 207, 207, 207, 207, 404, 404, 404, 404, 404, 404, 404, 404], // to view
        [207, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404], // to drop
        [207, 207, 207, 207, 207, 404, 404, 404, 404, 404, 404, 404, 404], // to edit
        [207, 207, 207, 207, 207, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to edit
        [207, 207, 207, 207, 207, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to view
    ]),
    ("PROPPATCH",[
        [403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404, 404, 404], // to view
        [403, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404], // to drop
        [207, 207, 207, 207, 207, 404, 404, 404, 404, 404, 404, 404, 404], // to edit
        [207, 207, 207, 207, 207, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to edit
        [403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to view
    ]),
    ("MKCOL",[
        [403, 403, 403, 403, 403, 403, 403, 400, 404, 404, 400, 400, 404], // to view
        [403, 403, 403, 403, 403, 403, 403, 400, 404, 404, 400, 400, 404], // to drop
        [405, 405, 405, 405, 405, 201, 409, 400, 404, 404, 400, 400, 404], // to edit
        [405, 405, 405, 405, 405, 201, 409, 400, 403, 403, 400, 400, 403], // a mount, to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 403, 403, 400, 400, 403], // a mount, to view
    ]),
    ("DELETE",[
        [403, 403, 403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404], // to view
        [403, 403, 403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404], // to drop
        [403, 204, 204, 204, 204, 404, 404, 404, 404, 404, 404, 404, 404], // to edit
        [204, 204, 204, 204, 204, 404, 404, 404, 403, 403, 404, 404, 403], // a mount, to edit
        [204, 403, 403, 403, 403, 403, 403, 404, 403, 403, 404, 404, 403], // a mount, to view
    ]),
    ("COPY",[
        [403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404, 404, 404], // to view
        [404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404], // to drop
        [403, 201, 201, 201, 201, 404, 404, 404, 404, 404, 404, 404, 404], // to edit
        [403, 201, 201, 201, 201, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to edit
        [403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404, 404, 404], // a mount, to view
    ]),
    ("MOVE",[
        [403, 403, 403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404], // to view
        [403, 403, 403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404], // to drop
        [403, 201, 201, 201, 201, 404, 404, 404, 404, 404, 404, 404, 404], // to edit
        [403, 201, 201, 201, 201, 404, 404, 404, 403, 403, 404, 404, 403], // a mount, to edit
        [403, 403, 403, 403, 403, 403, 403, 404, 403, 403, 404, 404, 403], // a mount, to view
    ]),
    ("COPY to",[
        [403, 403, 403, 403, 403, 403, 403, 400, 502, 502, 400, 400, 502], // to view
        [403, 404, 404, 404, 404, 404, 404, 400, 502, 502, 400, 400, 502], // to drop
        [403, 204, 204, 204, 204, 201, 409, 400, 502, 502, 400, 400, 502], // to edit
        [403, 204, 204, 204, 204, 201, 409, 400, 403, 403, 400, 400, 403], // a mount, to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 403, 403, 400, 400, 403], // a mount, to view
    ]),
    ("MOVE to",[
        [403, 403, 403, 403, 403, 403, 403, 400, 502, 502, 400, 400, 502], // to view
        [403, 403, 403, 403, 403, 403, 403, 400, 502, 502, 400, 400, 502], // to drop
        [403, 204, 204, 204, 204, 201, 409, 400, 502, 502, 400, 400, 502], // to edit
        [403, 204, 204, 204, 204, 201, 409, 400, 403, 403, 400, 400, 403], // a mount, to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 403, 403, 400, 400, 403], // a mount, to view
    ]),
    ("LOCK",[
        [403, 403, 403, 403, 403, 403, 403, 400, 404, 404, 400, 400, 404], // to view
        [403, 403, 403, 403, 403, 403, 403, 400, 404, 404, 400, 400, 404], // to drop
        [200, 200, 200, 200, 200, 201, 409, 400, 404, 404, 400, 400, 404], // to edit
        [200, 200, 200, 200, 200, 201, 409, 400, 403, 403, 400, 400, 403], // a mount, to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 403, 403, 400, 400, 403], // a mount, to view
    ]),
    ("UNLOCK",[
        [403, 403, 403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404], // to view
        [403, 403, 403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404], // to drop
        [409, 409, 409, 409, 409, 409, 409, 404, 404, 404, 404, 404, 404], // to edit
        [409, 409, 409, 409, 409, 409, 409, 404, 403, 403, 404, 404, 403], // a mount, to edit
        [403, 403, 403, 403, 403, 403, 403, 404, 403, 403, 404, 404, 403], // a mount, to view
    ]),
];

fn api(client: &Client, path: &str, body: &Value) -> Value {
    let request = client.raw("POST", &format!("/api/v1{path}")).header("Content-Type", "application/json");
    request.body(body.to_string()).send().is(201).json()
}

fn ana() -> AccountName {
    AccountName::parse("ana").unwrap()
}

fn guests(server: &TestServer) -> Vec<Guest> {
    let owner = server.ana();
    let link = |rights: &str| {
        let made = api(&owner, "/links", &json!({"path": "tree", "rights": rights}));
        (server.stranger(), format!("/s/{}/dav", made["token"].as_str().unwrap()))
    };
    let app_password = |wish: Value, base: &str| {
        let made = api(&owner, "/app-passwords", &wish);
        (server.stranger().signed_in("ana", made["password"].as_str().unwrap()), base.to_owned())
    };
    let share = |to: &str, rights: &str| {
        api(&owner, "/shares", &json!({"path": "/tree", "to": {"account": to}, "rights": rights}));
        (server.stranger().signed_in(to, PASSWORD), "/dav/Shared%20with%20me/tree".to_owned())
    };
    let guest = |name, given, (client, base)| Guest { name, given, client, base };
    vec![
        guest("receiver, view", Given::ViewMount, share("eva", "view")),
        guest("receiver, edit", Given::Mount, share("ben", "edit")),
        guest("link, view", Given::View, link("view")),
        guest("link, drop", Given::Drop, link("drop")),
        guest("link, edit", Given::Edit, link("edit")),
        guest("app password, folder", Given::Edit, app_password(json!({"name": "a", "scope": "/tree"}), "/dav")),
        guest(
            "app password, folder, view",
            Given::View,
            app_password(json!({"name": "b", "scope": "/tree", "rights": "view"}), "/dav"),
        ),
    ]
}

/// The folder as the table presumes it, nothing locked, every mount as it was given.
fn lay_out(server: &TestServer) {
    let home = server.home("ana");
    let tree = home.join("tree");
    fs::create_dir_all(&tree).unwrap();
    for dir in [&tree, &server.home("ben"), &server.home("eva")] {
        for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
            match entry.file_name().to_str() {
                Some(".sarang") => {}
                _ if entry.file_type().unwrap().is_dir() => fs::remove_dir_all(entry.path()).unwrap(),
                _ => fs::remove_file(entry.path()).unwrap(),
            }
        }
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
        app.locks.end_account(&ana(), "home/ana").await.unwrap();
        for share in app.commons.shares.of(&ana()) {
            let again = |share: &mut sarang::drive::shares::Share| {
                share.left.clear();
                share.names.clear();
            };
            app.commons.shares.change(|shares| shares.made_by(&ana(), &share.id), again).await.unwrap();
        }
    });
}

/// What lies in a folder, by path, without the server's own.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_name() == ".sarang" {
                continue;
            }
            let content = if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
                Vec::new()
            } else {
                fs::read(entry.path()).unwrap()
            };
            found.insert(entry.path().strip_prefix(dir).unwrap().to_string_lossy().into_owned(), content);
        }
    }
    found
}

fn ask(guest: &Guest, method: &str, path: &str) -> Reply {
    let (client, target) = (&guest.client, format!("{}{path}", guest.base));
    let request = |method: &str| client.raw(method, &target);
    let host = client.host();
    let through = |method: &str| {
        let from = client.raw(method, &format!("{}/own.txt", guest.base));
        from.header("Destination", format!("http://{host}{target}"))
    };
    match method {
        "PUT" | "POST" => request(method).body("new").send(),
        "PATCH" => request(method)
            .header("Content-Type", "application/x-sabredav-partialupdate")
            .header("X-Update-Range", "append")
            .body("new")
            .send(),
        "PROPFIND" => request(method).header("Depth", "1").xml(propfind_body("<D:displayname/>")).send(),
        "PROPPATCH" => request(method)
            .xml(r#"<D:propertyupdate xmlns:D="DAV:" xmlns:x="x:"><D:set><D:prop><x:a>1</x:a></D:prop></D:set></D:propertyupdate>"#)
            .send(),
        "COPY" | "MOVE" => {
            request(method).header("Destination", format!("http://{host}{}/fresh", guest.base)).send()
        }
        "COPY to" => through("COPY").send(),
        "MOVE to" => through("MOVE").send(),
        "LOCK" => request(method).header("Depth", "0").xml(LOCK_BODY).send(),
        "UNLOCK" => {
            request(method).header("Lock-Token", "<urn:uuid:00000000-0000-4000-8000-000000000000>").send()
        }
        method => request(method).send(),
    }
}

/// What is wrong with what a request changed, or told.
fn trespass(
    guest: &Guest,
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    reply: &Reply,
) -> Option<String> {
    let changed = after.iter().filter(|entry| before.get(entry.0) != Some(entry.1)).map(|(path, _)| path);
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let may = |path: &str| match guest.given {
        Given::View | Given::ViewMount => false,
        Given::Drop => path.starts_with("ana/tree/") && !before.contains_key(path),
        Given::Edit | Given::Mount => path.starts_with("ana/tree/"),
    };
    let others: Vec<&String> = changed.chain(gone).filter(|path| !may(path)).collect();
    let told = reply.text() + &format!("{:?}", reply.headers);
    if !others.is_empty() {
        return Some(format!("it changed {others:?}"));
    }
    let drops = guest.given == Given::Drop && (told.contains("inside.txt") || told.contains(INSIDE));
    (told.contains(SECRET) || drops && !reply.asked.contains("inside")).then(|| format!("it tells: {reply}"))
}

#[test]
fn every_cell_is_as_the_table_says() {
    let server = TestServer::start();
    let eva = AccountName::parse("eva").unwrap();
    let role = sarang::model::Role::User;
    server.block_on(server.app().auth.create(&eva, PASSWORD.as_bytes(), role, None)).unwrap();
    for client in [server.ana(), server.ben(), server.stranger().signed_in("eva", PASSWORD)] {
        client.propfind("/", "0").is(207);
    }
    lay_out(&server);
    let (guests, homes) = (guests(&server), server.data().join("homes"));
    let (mut wrong, mut cells) = (Vec::new(), 0);
    for guest in &guests {
        for (method, given) in &TABLE {
            let statuses = given[guest.given as usize];
            for ((kind, path), status) in PATHS.iter().zip(statuses) {
                lay_out(&server);
                let before = contents(&homes);
                let reply = ask(guest, method, path);
                let cell = format!("{} {method} {kind}", guest.name);
                wrong.extend(trespass(guest, &before, &contents(&homes), &reply).map(|what| format!("{cell}: {what}")));
                if reply.status != status {
                    wrong.push(format!("{cell}: {} instead of {status}", reply.status));
                }
                cells += 1;
            }
        }
    }
    assert!(cells == guests.len() * TABLE.len() * PATHS.len() && guests.len() >= 7);
    assert!(wrong.is_empty(), "{} of {cells} cells: {wrong:#?}", wrong.len());
}
