//! Names of people and programs: directions that are balanced, names that begin as ours does, names of forms in old encodings.

use crate::harness::{Client, TestServer, url};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs;

const GOOD: [&str; 6] = [
    "\u{202a}+49 30 901820\u{202c}.vcf",
    "\u{202b}אבג\u{202c} (1).txt",
    "\u{2068}علي\u{2069} \u{2066}Ali\u{2069}.txt",
    "\u{200f}mark\u{200e}",
    ".sarangfoo",
    ".sarang-notes.txt",
];
const BAD: [&str; 7] = [
    "\u{202d}a\u{202c}",
    "a\u{202e}gpj.exe",
    "\u{202a}open",
    "closed\u{202c}",
    "\u{2067}a\u{202c}",
    ".Sarang",
    ".sar\u{200d}ang",
];

fn form(client: &Client, target: &str, part: &[u8]) -> crate::harness::Reply {
    let head = [
        b"--x\r\nContent-Disposition: form-data; name=\"file\"; ",
        part,
        b"\r\n\r\nbody\r\n--x--\r\n",
    ]
    .concat();
    client
        .raw("POST", target)
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body(head)
        .send()
}

/// What every door says to a new name.
fn ask_all(ana: &Client, name: &str) -> Vec<(&'static str, u16)> {
    let tus = |name: &str| {
        let metadata = format!("path {}", STANDARD.encode(format!("tus/{name}")));
        let request = ana
            .raw("POST", "/api/v1/uploads")
            .header("Tus-Resumable", "1.0.0")
            .header("Upload-Length", "0");
        request
            .header("Upload-Metadata", metadata)
            .body("")
            .send()
            .status
    };
    let result = |reply: crate::harness::Reply| {
        u16::try_from(
            reply.is(200).json()["results"][0]["status"]
                .as_u64()
                .unwrap(),
        )
        .unwrap()
    };
    let items = |from: &str, to: String| json!({"items": [{"from": from, "to": to}]});
    vec![
        ("PUT", ana.put(&format!("/put/{name}"), "x").status),
        ("MKCOL", ana.mkcol(&format!("/mkcol/{name}")).status),
        ("LOCK", ana.lock(&format!("/lock/{name}")).send().status),
        (
            "COPY",
            ana.transfer("COPY", "/source", &format!("/copy/{name}"))
                .send()
                .status,
        ),
        ("MOVE", {
            ana.store("/move/from", "x");
            ana.transfer("MOVE", "/move/from", &format!("/move/{name}"))
                .send()
                .status
        }),
        (
            "upload",
            ana.raw(
                "PUT",
                &format!("/api/v1/files/content?path={}", url(&format!("raw/{name}"))),
            )
            .body("x")
            .send()
            .status,
        ),
        (
            "folder",
            ana.api(
                "POST",
                "/files/folder",
                &json!({"path": format!("made/{name}")}),
            )
            .status,
        ),
        (
            "copy",
            result(ana.api(
                "POST",
                "/files/copy",
                &items("source", format!("copies/{name}")),
            )),
        ),
        (
            "form",
            result(form(
                ana,
                "/api/v1/files?path=form",
                format!("filename=\"{name}\"").as_bytes(),
            )),
        ),
        ("tus", tus(name)),
    ]
}

#[test]
fn honest_names_are_stored_at_every_door_and_others_at_none() {
    let server = TestServer::start();
    let ana = server.ana();
    let folders = [
        "put", "mkcol", "lock", "copy", "move", "raw", "made", "copies", "form", "tus",
    ];
    for folder in folders {
        ana.mkcol(&format!("/{folder}")).is(201);
    }
    ana.store("/source", "x");
    for name in GOOD {
        for (door, status) in ask_all(&ana, name) {
            assert_eq!(status, 201, "{door}: {name:?}");
        }
        for folder in folders {
            assert!(
                server.home("ana").join(folder).join(name).exists(),
                "{folder}: {name:?}"
            );
            let listed = ana.propfind(&format!("/{folder}"), "1").multistatus();
            assert!(
                listed.paths().iter().any(|path| path.ends_with(name)),
                "{folder}: {name:?} in {:?}",
                listed.paths()
            );
        }
        let content = ana
            .raw(
                "GET",
                &format!("/api/v1/files/content?path={}", url(&format!("put/{name}"))),
            )
            .send()
            .is(200);
        let disposition = content.header("content-disposition").unwrap();
        assert!(
            disposition
                .bytes()
                .all(|b| b.is_ascii_graphic() || b == b' '),
            "{disposition}"
        );
    }
    for name in BAD {
        for (door, status) in ask_all(&ana, name) {
            assert!((400..500).contains(&status), "{door}: {name:?}: {status}");
        }
        ana.get(&format!("/{name}")).is(404);
    }
    for folder in folders {
        let left = fs::read_dir(server.home("ana").join(folder))
            .unwrap()
            .count();
        assert_eq!(left, GOOD.len() + usize::from(folder == "move"), "{folder}");
    }
}

#[test]
fn names_made_beside_the_server_show_as_those_stored_do() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/first", "x");
    for name in GOOD.iter().chain(&BAD) {
        fs::write(server.home("ana").join(name), "x").unwrap();
    }
    let mut rows: Vec<String> = GOOD
        .iter()
        .map(|name| (*name).to_owned())
        .chain(["first".to_owned()])
        .collect();
    rows.sort();
    let listed = ana.raw("GET", "/api/v1/files").send().is(200).json();
    let names: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap())
        .collect();
    assert_eq!(names, rows);
    for name in GOOD {
        ana.holds(&format!("/{name}"), "x");
        ana.put(&format!("/{name}"), "y").is(204);
        ana.delete(&format!("/{name}")).is(204);
    }
}

#[test]
fn a_file_of_a_form_has_a_name_or_a_refusal_in_every_encoding() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/in").is(201);
    ana.mkcol("/drop").is(201);
    let made = ana
        .api("POST", "/links", &json!({"path": "drop", "rights": "drop"}))
        .is(201)
        .json();
    let drop = format!("/s/{}/upload", made["token"].as_str().unwrap());
    let cases: [(&[u8], &str); 5] = [
        (b"filename=\"gr\xf6\xdfe.txt\"", "größe.txt"),
        (b"filename=\"\x80 5.txt\"", "€ 5.txt"),
        (
            b"filename=\"x\"; filename*=UTF-8''na%C3%AFf.txt",
            "naïf.txt",
        ),
        (b"filename*=ISO-8859-1''caf%E9", "café"),
        (b"filename=plain", "plain"),
    ];
    for (part, name) in cases {
        let results = form(&ana, "/api/v1/files?path=in", part).is(200).json();
        assert_eq!(
            (
                results["results"][0]["status"].as_u64(),
                results["results"][0]["path"].as_str()
            ),
            (Some(201), Some(&*format!("in/{name}")))
        );
        ana.holds(&format!("/in/{name}"), "body");
        let told = form(&server.stranger(), &drop, part).is(200).text();
        assert!(told.contains(&format!("{name}: uploaded")), "{told}");
        ana.holds(&format!("/drop/{name}"), "body");
    }
    for part in [
        &b"filename=\"a\x81b\""[..],
        b"filename=\"\xe2\x80\xaegpj.exe\"",
    ] {
        let results = form(&ana, "/api/v1/files?path=in", part).is(200).json();
        assert_eq!(results["results"][0]["status"], 400, "{results}");
        let told = form(&server.stranger(), &drop, part).is(200).text();
        assert!(
            told.contains("class=\"wrong\"") && !told.contains('\u{202e}'),
            "{told}"
        );
    }
    assert_eq!(
        fs::read_dir(server.home("ana").join("drop"))
            .unwrap()
            .count(),
        cases.len()
    );
}

#[test]
fn a_form_of_too_many_files_tells_of_each_that_was_stored() {
    let server = TestServer::start();
    let part = |n: usize| {
        format!("--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{n}\"\r\n\r\n\r\n")
    };
    let body = (0..1002).map(part).collect::<String>() + "--x--\r\n";
    let request = server
        .ana()
        .raw("POST", "/api/v1/files")
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body(body)
        .send();
    let results = request.is(200).json()["results"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(results.len(), 1001);
    assert!(results[..1000].iter().all(|result| result["status"] == 201));
    assert_eq!(results[1000]["code"], "limit_reached");
}

/// Two names in one folder that differ only in how Unicode writes them, as another program can make them.
const TWINS: [&str; 2] = ["caf\u{e9}", "cafe\u{301}"];

fn twins(server: &TestServer) -> std::path::PathBuf {
    let home = server.home("ana");
    for (at, twin) in TWINS.into_iter().enumerate() {
        fs::write(home.join(twin), format!("{at}")).unwrap();
        fs::create_dir(home.join(format!("{twin} folder"))).unwrap();
        fs::write(home.join(format!("{twin} folder/in")), format!("in {at}")).unwrap();
    }
    home
}

#[test]
fn of_twins_each_verb_reaches_the_one_that_is_named() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/x", "x");
    let home = twins(&server);
    let read = |name: &str| fs::read_to_string(home.join(name)).unwrap_or_else(|e| e.to_string());
    for (at, twin) in TWINS.into_iter().enumerate() {
        let (this, other) = (twin, TWINS[1 - at]);
        let listed = ana.propfind("/", "1").is(207).text();
        assert!(
            listed.contains(&url(this)) && listed.contains(&url(other)),
            "{listed}"
        );
        ana.holds(&format!("/{this}"), format!("{at}"));
        ana.holds(&format!("/{this} folder/in"), format!("in {at}"));
        ana.put(&format!("/{this}"), format!("new {at}")).is(204);
        ana.put(&format!("/{this} folder/in"), format!("new {at}"))
            .is(204);
        ana.proppatch(
            &format!("/{this}"),
            &format!("<D:set><D:prop><x:p>p{at}</x:p></D:prop></D:set>"),
        )
        .send()
        .is(207);
        let props = ana.propfind(&format!("/{this}"), "0").is(207).text();
        assert!(props.contains(&format!("p{at}")), "{props}");
        assert_ne!(read(other), format!("new {at}"));
        ana.transfer("COPY", &format!("/{this}"), &format!("/copy {at}"))
            .send()
            .is(201);
        ana.holds(&format!("/copy {at}"), format!("new {at}"));
        // Onto its twin: refused, or its place is taken and the twin lies in the trash.
        ana.transfer("COPY", &format!("/{this}"), &format!("/{other}"))
            .send()
            .is(403);
        ana.transfer("MOVE", &format!("/{this}"), &format!("/{other}"))
            .header("Overwrite", "F")
            .send()
            .is(412);
    }
    assert_eq!(TWINS.map(read), ["new 0", "new 1"]);
    for (at, twin) in TWINS.into_iter().enumerate() {
        let (this, other) = (twin, TWINS[1 - at]);
        let before = read(other);
        ana.transfer("MOVE", &format!("/{this}"), &format!("/moved {at}"))
            .send()
            .is(201);
        assert_eq!(
            (read(other), read(&format!("moved {at}"))),
            (before.clone(), format!("new {at}"))
        );
        fs::rename(home.join(format!("moved {at}")), home.join(this)).unwrap();
        ana.delete(&format!("/{this}")).is(204);
        assert_eq!(read(other), before);
        assert!(!home.join(this).exists());
        let id = ana.raw("GET", "/api/v1/trash").send().is(200).json()["items"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let back = ana
            .api("POST", &format!("/trash/{}/restore", url(&id)), &json!({}))
            .is(200)
            .json();
        // The other is in the way: it comes back beside.
        let path = back["path"]
            .as_str()
            .unwrap()
            .trim_start_matches('/')
            .to_owned();
        assert_eq!((read(&path), read(other)), (format!("new {at}"), before));
        fs::rename(home.join(path), home.join(this)).unwrap();
        ana.delete(&format!("/{this} folder")).is(204);
        assert!(home.join(format!("{other} folder/in")).exists());
        fs::create_dir(home.join(format!("{this} folder"))).unwrap();
        fs::write(home.join(format!("{this} folder/in")), "again").unwrap();
    }
}

#[test]
fn of_twins_shares_and_links_show_the_one_that_was_shared() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.store("/x", "x");
    let home = twins(&server);
    let share = |name: &str| {
        ana.api(
            "POST",
            "/shares",
            &json!({"path": name, "to": {"account": "ben"}, "rights": "edit"}),
        )
    };
    share(TWINS[0]).is(201);
    let refused = share(TWINS[1]).is(403);
    assert!(refused.text().contains("Unicode"), "{refused}");
    share(&format!("{} folder/in", TWINS[1])).is(403);
    let shared = format!("/Shared with me/{}", TWINS[0]);
    ben.holds(&shared, "0");
    for (at, twin) in TWINS.into_iter().enumerate() {
        let link = crate::links::share(&ana, &json!({"path": twin}));
        let text = crate::links::page(&server, &link, "?download").text();
        let mounted = crate::links::dav(&server, &link, "GET", &format!("/{twin}"));
        assert!(
            text.contains(&at.to_string()) || mounted.text() == at.to_string(),
            "{text} {mounted}"
        );
    }
    // What becomes of the twin is nothing to the share.
    ana.transfer("MOVE", &format!("/{}", TWINS[1]), "/moved")
        .send()
        .is(201);
    ben.holds(&shared, "0");
    fs::rename(home.join("moved"), home.join(TWINS[1])).unwrap();
    ana.delete(&format!("/{}", TWINS[1])).is(204);
    ben.holds(&shared, "0");
    assert_eq!(
        share(TWINS[1]).status,
        409,
        "it is alone now, and shared already"
    );
}
