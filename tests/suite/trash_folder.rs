//! The trash as a folder of the drive, where the configuration wants one: seen by its account alone, whole, and changed by nobody.

use crate::harness::{Client, TestServer};
use sarang::config::Config;
use serde_json::{Value, json};

const PROPERTY: &str = "<D:set><D:prop><x:p xmlns:x='urn:x'>v</x:p></D:prop></D:set>";

fn server() -> TestServer {
    TestServer::with(|config: &mut Config| {
        config.drive.trash_folder = Some("Trash".to_owned().try_into().unwrap());
    })
}

/// A home that has a folder of that name itself.
fn with_own_trash() -> (TestServer, Client) {
    let server = server();
    let ana = server.ana();
    assert_eq!(names(&ana, "/"), ["Trash"]);
    std::fs::create_dir(server.home("ana").join("Trash")).unwrap();
    ana.store("/Trash/mine", "mine");
    (server, ana)
}

/// The names that a listing tells after the folder itself.
fn names(client: &Client, path: &str) -> Vec<String> {
    let paths = client.propfind(path, "1").multistatus().paths();
    let mut names: Vec<_> = paths
        .iter()
        .skip(1)
        .map(|path| path["/dav/".len()..].to_owned())
        .collect();
    names.sort();
    names
}

/// The name under which something shows in the trash, from how it begins and ends.
#[track_caller]
fn find(client: &Client, begins: &str, ends: &str) -> String {
    let all = names(client, "/Trash");
    let found = all
        .iter()
        .find(|name| name.starts_with(&format!("Trash/{begins} (")) && name.ends_with(ends));
    format!(
        "/{}",
        found.unwrap_or_else(|| panic!("no {begins}…{ends} in {all:?}"))
    )
}

#[test]
fn what_was_deleted_can_be_looked_at_and_copied_back() {
    let server = server();
    let ana = server.ana();
    assert_eq!(names(&ana, "/"), ["Trash"]);
    assert!(names(&ana, "/Trash").is_empty());
    ana.mkcol("/folder").is(201);
    ana.mkcol("/folder/in").is(201);
    let hostile = "/fi le$%<>e\u{301}.txt";
    for file in ["/report.txt", "/folder/in/deep", hostile] {
        ana.store(file, file);
    }
    ana.proppatch(hostile, PROPERTY).send().is(207);
    for gone in ["/report.txt", "/folder", hostile] {
        ana.delete(gone).is(204);
    }
    ana.store("/report.txt", "again");
    ana.delete("/report.txt").is(204);
    assert_eq!(names(&ana, "/Trash").len(), 4);
    let (report, folder) = (find(&ana, "report", ").txt"), find(&ana, "folder", ")"));
    ana.holds(&find(&ana, "fi le$%<>e\u{301}", ").txt"), hostile);
    ana.holds(
        &find(&ana, "fi le$%<>e\u{301}", ").txt").replace("e\u{301}", "é"),
        hostile,
    );
    ana.holds(&format!("{folder}/in/deep"), "/folder/in/deep");
    assert_eq!(
        names(&ana, &format!("{folder}/in")),
        [format!("{}/in/deep", &folder[1..])]
    );
    let ranged = ana
        .request("GET", &format!("{folder}/in/deep"))
        .header("Range", "bytes=1-6")
        .send()
        .is(206);
    assert_eq!(ranged.body, b"folder");
    let told = ana.props(
        &find(&ana, "fi le$%<>e\u{301}", ").txt"),
        "0",
        "<x:p xmlns:x='urn:x'/><D:getcontentlength/>",
    );
    let told = told.multistatus();
    assert_eq!(told.only().value("{urn:x}p"), "v");
    assert_eq!(
        told.only().value("getcontentlength"),
        hostile.len().to_string()
    );
    ana.transfer("COPY", &folder, "/back").send().is(201);
    ana.holds("/back/in/deep", "/folder/in/deep");
    ana.transfer("COPY", &report, "/back/report.txt")
        .send()
        .is(201);
    assert_eq!(names(&ana, "/Trash").len(), 4);
    let found = ana.api("GET", "/trash", &Value::Null).is(200).json();
    assert_eq!(
        found["items"].as_array().unwrap().len(),
        4,
        "copies leave it as it was"
    );
}

#[test]
fn names_of_any_spelling_are_found_in_it_and_in_what_is_shared() {
    let server = server();
    let (ana, ben) = (server.ana(), server.ben());
    // Decomposed, with an ending that is longer so; in neither normal form; both mixed.
    let spellings = ["Dr. Mu\u{308}ller", "10 \u{212b}.txt", "é e\u{301}"];
    for (at, name) in spellings.iter().enumerate() {
        ana.mkcol(&format!("/{at}")).is(201);
        ana.store(&format!("/{at}/{name}"), name);
        let asked = json!({"path": format!("/{at}"), "to": {"account": "ben"}, "rights": "view"});
        ana.api("POST", "/shares", &asked).is(201);
        ben.holds(&format!("/Shared with me/{at}/{name}"), name);
        ana.store(&format!("/{name}"), name);
        ana.delete(&format!("/{name}")).is(204);
    }
    let all = names(&ana, "/Trash");
    assert_eq!(all.len(), spellings.len());
    for name in all {
        let content = ana.get(&format!("/{name}")).is(200).text();
        assert!(spellings.contains(&content.as_str()));
    }
}

#[test]
fn nothing_in_it_can_be_changed() {
    let server = server();
    let ana = server.ana();
    for name in ["/old", "/kept"] {
        ana.store(name, name);
    }
    ana.delete("/old").is(204);
    let old = find(&ana, "old", ")");
    for at in ["/Trash", old.as_str(), "/Trash/new"] {
        for refused in [
            ana.put(&format!("{at}/x"), "x"),
            ana.mkcol(&format!("{at}/x")),
            ana.transfer("MOVE", "/kept", &format!("{at}/x")).send(),
            ana.transfer("COPY", "/kept", &format!("{at}/x")).send(),
        ] {
            refused.is(403);
        }
    }
    for refused in [
        ana.put(&old, "x"),
        ana.put("/Trash", "x"),
        ana.delete(&old),
        ana.delete("/Trash"),
        ana.transfer("MOVE", &old, "/stolen").send(),
        ana.transfer("MOVE", "/Trash", "/stolen").send(),
        ana.transfer("COPY", "/Trash", "/stolen").send(),
        ana.transfer("MOVE", "/kept", &old).send(),
        ana.transfer("MOVE", "/kept", "/Trash").send(),
        ana.lock(&old).send(),
        ana.lock("/Trash/new").send(),
        ana.proppatch(&old, PROPERTY).send(),
        ana.api(
            "POST",
            "/rewind",
            &json!({"path": "/Trash", "to": "2026-01-01T00:00:00Z"}),
        ),
    ] {
        refused.is_any(&[403, 405]);
    }
    ana.holds(&old, "/old");
    ana.holds("/kept", "/kept");
    ana.lacks("/stolen");
    assert_eq!(names(&ana, "/Trash").len(), 1);
}

#[test]
fn nobody_else_sees_it() {
    let server = server();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ana.store("/docs/secret", "secret");
    let call = |path: &str, body: Value| ana.api("POST", path, &body).is(201).json();
    call(
        "/shares",
        json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"}),
    );
    ana.delete("/docs/secret").is(204);
    let secret = find(&ana, "secret", ")");
    ana.holds(&secret, "secret");
    assert!(names(&ben, "/Trash").is_empty());
    ben.lacks(&secret);
    for limits in [
        json!({"name": "a", "scope": "/docs"}),
        json!({"name": "b", "rights": "view"}),
    ] {
        let made = call("/app-passwords", limits);
        let confined = ana.signed_in("ana", made["password"].as_str().unwrap());
        assert!(!names(&confined, "/").contains(&"Trash".to_owned()));
        confined.lacks(&secret);
    }
    let whole = call("/app-passwords", json!({"name": "c"}));
    ana.signed_in("ana", whole["password"].as_str().unwrap())
        .holds(&secret, "secret");
}

#[test]
fn what_lay_where_it_shows_now_comes_back_beside() {
    let (_server, ana) = with_own_trash();
    for gone in ["/Trash/mine", "/Trash"] {
        ana.delete(gone).is(204);
    }
    assert_eq!(names(&ana, "/"), ["Trash"]);
    let items = ana.api("GET", "/trash", &Value::Null).is(200).json();
    let restored = items["items"].as_array().unwrap().iter().map(|item| {
        let path = format!("/trash/{}/restore", item["id"].as_str().unwrap());
        ana.api("POST", &path, &json!({})).is(200).json()["path"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    assert_eq!(restored.collect::<Vec<_>>(), ["/Trash (restored)", "/mine"]);
    ana.holds("/mine", "mine");
}

#[test]
fn it_hides_nothing_and_is_off_unless_wanted() {
    let (server, ana) = with_own_trash();
    assert_eq!(names(&ana, "/"), ["Trash", "Trash (1)"]);
    ana.delete("/Trash/mine").is(204);
    assert_eq!(names(&ana, "/Trash (1)").len(), 1);
    std::fs::remove_dir_all(server.home("ana").join(".sarang/trash/files")).unwrap();
    assert_eq!(
        names(&ana, "/"),
        ["Trash"],
        "gone by other hands, it keeps nobody from their files"
    );
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/gone", "gone");
    ana.delete("/gone").is(204);
    assert!(names(&ana, "/").is_empty());
    ana.lacks("/Trash");
}
