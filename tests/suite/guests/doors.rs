//! Every door beside WebDAV by every guest, on every kind of path, against one table: the routes of the API that take a path, and the
//! pages of links.

use super::{Given, Guest, INSIDE, guests, hold, lay_out, server};
use crate::harness::{Client, PASSWORD, Reply, TestServer, url};
use serde_json::{Value, json};

/// The kinds of path beneath the folder, decoded, in the order of the tables' columns.
const PATHS: [(&str, &str); 11] = [
    ("root", "/"),
    ("file", "/file.txt"),
    ("folder", "/folder"),
    ("full folder", "/full"),
    ("inside", "/full/inside.txt"),
    ("missing", "/none.txt"),
    ("orphan", "/none/none.txt"),
    ("reserved", "/.sarang/tmp"),
    ("beside", "/../beside.txt"),
    ("control", "/a\u{1}b"),
    ("name with a prefix", "-private/beside.txt"),
];

/// The routes; for each the statuses by path of who was given a share to view, one to edit, an app password to view, one to edit, and
/// of another account.
#[rustfmt::skip]
const ROUTES: [(&str, [[u16; 11]; 5]); 21] = [
    //   root file fold full insi miss orph rese besi ctrl prefix
    ("list", [
        [200, 409, 200, 200, 409, 404, 404, 400, 400, 400, 404], // share to view
        [200, 409, 200, 200, 409, 404, 404, 400, 400, 400, 404], // share to edit
        [200, 409, 200, 200, 409, 404, 404, 400, 400, 400, 404], // app password to view
        [200, 409, 200, 200, 409, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("stat", [
        [200, 200, 200, 200, 200, 404, 404, 400, 400, 400, 404], // share to view
        [200, 200, 200, 200, 200, 404, 404, 400, 400, 400, 404], // share to edit
        [200, 200, 200, 200, 200, 404, 404, 400, 400, 400, 404], // app password to view
        [200, 200, 200, 200, 200, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("download", [
        [409, 200, 409, 409, 200, 404, 404, 400, 400, 400, 404], // share to view
        [409, 200, 409, 409, 200, 404, 404, 400, 400, 400, 404], // share to edit
        [409, 200, 409, 409, 200, 404, 404, 400, 400, 400, 404], // app password to view
        [409, 200, 409, 409, 200, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("search", [
        [200, 409, 200, 200, 409, 404, 404, 400, 400, 400, 404], // share to view
        [200, 409, 200, 200, 409, 404, 404, 400, 400, 400, 404], // share to edit
        [200, 409, 200, 200, 409, 404, 404, 400, 400, 400, 404], // app password to view
        [200, 409, 200, 200, 409, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("zip", [
        [200, 200, 200, 200, 200, 404, 404, 400, 400, 400, 404], // share to view
        [200, 200, 200, 200, 200, 404, 404, 400, 400, 400, 404], // share to edit
        [200, 200, 200, 200, 200, 404, 404, 400, 400, 400, 404], // app password to view
        [200, 200, 200, 200, 200, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("upload", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [409, 200, 409, 409, 200, 201, 409, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [409, 200, 409, 409, 200, 201, 409, 400, 400, 400, 409], // app password to edit
        [201, 409, 409, 409, 409, 409, 409, 400, 400, 400, 409], // another account
    ]),
    ("form", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [201, 409, 201, 201, 409, 409, 409, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [201, 409, 201, 201, 409, 409, 409, 400, 400, 400, 409], // app password to edit
        [409, 409, 409, 409, 409, 409, 409, 400, 400, 400, 409], // another account
    ]),
    ("folder", [
        [409, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [409, 409, 409, 409, 409, 201, 409, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [409, 409, 409, 409, 409, 201, 409, 400, 400, 400, 409], // app password to edit
        [201, 409, 409, 409, 409, 409, 409, 400, 400, 400, 409], // another account
    ]),
    ("copy", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 404], // share to view
        [403, 201, 201, 201, 201, 404, 404, 400, 400, 400, 404], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [403, 201, 201, 201, 201, 404, 404, 400, 400, 400, 404], // app password to edit
        [403, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("move", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [403, 201, 201, 201, 201, 404, 404, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [403, 201, 201, 201, 201, 404, 404, 400, 400, 400, 404], // app password to edit
        [403, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("copy to", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [403, 204, 204, 204, 204, 201, 409, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [403, 204, 204, 204, 204, 201, 409, 400, 400, 400, 409], // app password to edit
        [403, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("move to", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [403, 204, 204, 204, 204, 201, 409, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [403, 204, 204, 204, 204, 201, 409, 400, 400, 400, 409], // app password to edit
        [403, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("delete", [
        [204, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [204, 204, 204, 204, 204, 404, 404, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [403, 204, 204, 204, 204, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("versions", [
        [409, 200, 409, 409, 200, 404, 404, 400, 400, 400, 404], // share to view
        [409, 200, 409, 409, 200, 404, 404, 400, 400, 400, 404], // share to edit
        [409, 200, 409, 409, 200, 404, 404, 400, 400, 400, 404], // app password to view
        [409, 200, 409, 409, 200, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("version", [
        [409, 200, 409, 409, 404, 404, 404, 400, 400, 400, 404], // share to view
        [409, 200, 409, 409, 404, 404, 404, 400, 400, 400, 404], // share to edit
        [409, 200, 409, 409, 404, 404, 404, 400, 400, 400, 404], // app password to view
        [409, 200, 409, 409, 404, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("restore version", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [409, 204, 409, 409, 404, 404, 404, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [409, 204, 409, 409, 404, 404, 404, 400, 400, 400, 404], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("purge version", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403], // app password to view
        [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("resumable upload", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [409, 201, 409, 409, 201, 201, 409, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // app password to view
        [409, 201, 409, 409, 201, 201, 409, 400, 400, 400, 409], // app password to edit
        [201, 409, 409, 409, 409, 409, 409, 400, 400, 400, 409], // another account
    ]),
    ("rewind", [
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to view
        [403, 403, 403, 403, 403, 403, 403, 400, 400, 400, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403], // app password to view
        [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
    ("share", [
        [403, 403, 403, 403, 403, 403, 403, 422, 422, 422, 403], // share to view
        [403, 403, 403, 403, 403, 403, 403, 422, 422, 422, 403], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403], // app password to view
        [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403], // app password to edit
        [422, 422, 422, 422, 422, 422, 422, 422, 422, 422, 422], // another account
    ]),
    ("link", [
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // share to view
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // share to edit
        [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403], // app password to view
        [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403], // app password to edit
        [404, 404, 404, 404, 404, 404, 404, 400, 400, 400, 404], // another account
    ]),
];

/// The doors of a link's pages; for each the statuses by path of links to view, to drop, to edit.
#[rustfmt::skip]
const PAGES: [(&str, [[u16; 11]; 3]); 4] = [
    //   root file fold full insi miss orph rese besi ctrl prefix
    ("page", [
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404], // to view
        [200, 200, 200, 200, 200, 200, 200, 404, 404, 404, 200], // to drop
        [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404], // to edit
    ]),
    ("page's file", [
        [404, 200, 404, 404, 200, 404, 404, 404, 404, 404, 404], // to view
        [404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404], // to drop
        [404, 200, 404, 404, 200, 404, 404, 404, 404, 404, 404], // to edit
    ]),
    ("page's zip", [
        [200, 404, 200, 200, 404, 404, 404, 404, 404, 404, 404], // to view
        [404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404], // to drop
        [200, 404, 200, 200, 404, 404, 404, 404, 404, 404, 404], // to edit
    ]),
    ("page's upload", [
        [403, 403, 403, 403, 403, 403, 403, 404, 404, 404, 403], // to view
        [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200], // to drop
        [200, 409, 200, 200, 409, 404, 404, 404, 404, 404, 404], // to edit
    ]),
];

fn json_of(client: &Client, route: &str, body: &Value) -> Reply {
    let request = client
        .raw("POST", &format!("/api/v1{route}"))
        .header("Content-Type", "application/json");
    request.body(body.to_string()).send()
}

fn form(client: &Client, target: &str) -> Reply {
    let part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"fresh.txt\"\r\n\r\nnew\r\n--b--\r\n";
    client
        .raw("POST", target)
        .header("Content-Type", "multipart/form-data; boundary=b")
        .body(part)
        .send()
}

/// Goes through a route of the API to the path, and tells what became of that path.
fn enter(guest: &Guest, version: &str, route: &str, path: &str) -> Reply {
    let (client, own, fresh) = (
        &guest.client,
        format!("{}/own.txt", guest.base),
        format!("{}/fresh", guest.base),
    );
    let path = format!("{}{path}", guest.base);
    let query = format!("?path={}", url(&path));
    let get = |target: &str| client.raw("GET", &format!("/api/v1{target}")).send();
    let transfer = |route: &str, from: &str, to: &str| {
        json_of(
            client,
            &format!("/files/{route}"),
            &json!({"items": [{"from": from, "to": to}], "overwrite": true}),
        )
    };
    match route {
        "list" => get(&format!("/files{query}")),
        "stat" => get(&format!("/files/stat{query}")),
        "download" => get(&format!("/files/content{query}")),
        "search" => get(&format!("/files/search{query}&name=t")),
        "zip" => get(&format!("/zip{query}")),
        "upload" => client
            .raw("PUT", &format!("/api/v1/files/content{query}"))
            .body("new")
            .send(),
        "form" => form(client, &format!("/api/v1/files{query}")),
        "folder" => json_of(client, "/files/folder", &json!({"path": path})),
        "copy" | "move" => transfer(route, &path, &fresh),
        "copy to" => transfer("copy", &own, &path),
        "move to" => transfer("move", &own, &path),
        "delete" => json_of(client, "/files/delete", &json!({"paths": [path]})),
        "versions" => get(&format!("/versions{query}")),
        "version" => get(&format!("/versions/content{query}&id={version}")),
        "restore version" => json_of(
            client,
            "/versions/restore",
            &json!({"path": path, "id": version}),
        ),
        "purge version" => client
            .raw("DELETE", &format!("/api/v1/versions{query}&id={version}"))
            .send(),
        "resumable upload" => {
            use base64::Engine as _;
            let meta = format!(
                "path {}",
                base64::engine::general_purpose::STANDARD.encode(&path)
            );
            let begun = client
                .raw("POST", "/api/v1/uploads")
                .header("Tus-Resumable", "1.0.0");
            let begun = begun
                .header("Upload-Length", "3")
                .header("Upload-Metadata", meta);
            begun
                .header("Content-Type", "application/offset+octet-stream")
                .body("new")
                .send()
        }
        "rewind" => json_of(
            client,
            "/rewind",
            &json!({"path": path, "to": "2020-01-01T00:00:00Z"}),
        ),
        "share" => json_of(
            client,
            "/shares",
            &json!({"path": path, "to": {"account": "ana"}, "rights": "view"}),
        ),
        "link" => json_of(client, "/links", &json!({"path": path, "rights": "view"})),
        route => panic!("no route {route}"),
    }
}

/// What became of the one path of a call that may have many.
fn outcome(reply: Reply) -> (Reply, u16) {
    let one = |reply: &Reply| {
        serde_json::from_slice::<Value>(&reply.body).ok()?["results"][0]["status"].as_u64()
    };
    let status = one(&reply).map_or(reply.status, |status| u16::try_from(status).unwrap());
    (reply, status)
}

/// Gives `file.txt` a former content, and tells its id.
fn with_version(server: &TestServer, owner: &Client) -> String {
    lay_out(server);
    owner.store("/tree/file.txt", "before");
    owner.store("/tree/file.txt", INSIDE);
    let listed = owner
        .raw("GET", "/api/v1/versions?path=/tree/file.txt")
        .send()
        .is(200)
        .json();
    listed["items"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn every_route_of_the_api_is_as_the_table_says() {
    let (server, mut rows) = (server(), Vec::new());
    for guest in guests(&server) {
        let (row, base) = match guest.name {
            "receiver, view" => (0, "/Shared with me/tree"),
            "receiver, edit" => (1, "/Shared with me/tree"),
            "app password, folder, view" => (2, ""),
            "app password, folder" => (3, ""),
            _ => continue,
        };
        rows.push((
            row,
            Guest {
                base: base.to_owned(),
                ..guest
            },
        ));
    }
    let kim = server.stranger().signed_in("kim", PASSWORD);
    rows.push((
        4,
        Guest {
            name: "another account",
            given: Given::Nothing,
            client: kim,
            base: "/tree".to_owned(),
        },
    ));
    assert_eq!(rows.len(), 5);
    let owner = server.ana();
    hold(
        (&server, &rows),
        (&ROUTES, &PATHS),
        &|guest, route, path| {
            let version = if route.contains("version") {
                with_version(&server, &owner)
            } else {
                String::new()
            };
            outcome(enter(guest, &version, route, path))
        },
    );
}

#[test]
fn every_page_of_a_link_is_as_the_table_says() {
    let (server, mut rows) = (server(), Vec::new());
    for guest in guests(&server) {
        let row = match guest.name {
            "link, view" => 0,
            "link, drop" => 1,
            "link, edit" => 2,
            _ => continue,
        };
        let base = guest.base.trim_end_matches("/dav").to_owned();
        rows.push((row, Guest { base, ..guest }));
    }
    assert_eq!(rows.len(), 3);
    hold((&server, &rows), (&PAGES, &PATHS), &|guest, page, path| {
        let (client, query) = (&guest.client, format!("?path={}", url(path)));
        let get = |page: &str| {
            client
                .raw("GET", &format!("{}{page}{query}", guest.base))
                .send()
        };
        outcome(match page {
            "page" => get(""),
            "page's upload" => form(client, &format!("{}/upload{query}", guest.base)),
            page => get(&page.replace("page's ", "/")),
        })
    });
}
