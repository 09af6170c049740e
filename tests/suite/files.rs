//! Files for browsers and scripts over real HTTP: listing, download, upload, search, many paths at once, zip archives.

use crate::harness::{Client, NAME, Reply, TestServer, url};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn files(client: &Client, method: &str, what: &str, path: &str) -> Reply {
    client
        .raw(method, &format!("/api/v1/files{what}?path={}", url(path)))
        .send()
}

fn post(client: &Client, what: &str, body: &Value) -> Reply {
    let request = client.raw("POST", &format!("/api/v1/files/{what}"));
    request
        .header("Content-Type", "application/json")
        .body(body.to_string())
        .send()
}

fn names(listing: &Value) -> Vec<&str> {
    listing["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap())
        .collect()
}

#[test]
fn a_folder_is_listed_in_rows_and_pages() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    for name in ["b", "a", "é"] {
        ana.store(&format!("/d/{name}"), name);
    }
    ana.mkcol("/d/c").is(201);
    let reply = files(&ana, "GET", "", "d").is(200);
    let listing = reply.json();
    assert_eq!(names(&listing), ["a", "b", "c", "é"]);
    let etag = ana.get("/d/a").header("etag").unwrap().to_owned();
    let row = &listing["items"][0];
    assert_eq!(
        (&row[1], &row[2], &row[4]),
        (&json!("file"), &json!(1), &json!(etag))
    );
    assert!(row[3].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(listing["items"][2][1], "folder");
    assert!(listing.get("next").is_none());
    let tag = reply.header("etag").unwrap().to_owned();
    let again = |tag: &str| {
        ana.raw("GET", "/api/v1/files?path=d")
            .header("If-None-Match", tag)
            .send()
    };
    assert!(again(&tag).is(304).body.is_empty());
    ana.store("/d/a", "changed");
    again(&tag).is(200);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ana
            .raw("GET", &format!("/api/v1/files?path=d&limit=3{cursor}"))
            .send()
            .is(200)
            .json();
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["a", "b", "c", "é"]);
    assert_eq!(
        names(&ana.raw("GET", "/api/v1/files").send().is(200).json()),
        ["d"]
    );
    for (query, status) in [
        ("path=none", 404),
        ("path=d/a", 409),
        ("path=d&limit=0", 422),
        ("path=d&cursor=!", 422),
    ] {
        ana.raw("GET", &format!("/api/v1/files?{query}"))
            .send()
            .is(status);
    }
    files(&ana, "GET", "", "..").is(400);
    server
        .ben()
        .raw("GET", "/api/v1/files?path=d")
        .send()
        .is(404);
}

/// Page by page, while others add and remove: what was there all the time comes once, what has gone does not come, and who may see it no longer
/// has no further page.
#[test]
fn pages_of_a_folder_that_changes_miss_nothing_that_stays() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/d").is(201);
    let at = |name: &str| server.home("ana").join("d").join(name);
    for n in 0..3000 {
        std::fs::write(at(&format!("{n:04}")), "").unwrap();
    }
    let wish = json!({"path": "/d", "to": {"account": "ben"}, "rights": "view"});
    let share = ana.api("POST", "/shares", &wish).is(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = |cursor: &str| {
        ben.raw(
            "GET",
            &format!("/api/v1/files?path=Shared%20with%20me/d&limit=100{cursor}"),
        )
        .send()
    };
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for n in 0.. {
        let page = page(&cursor).is(200).json();
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
        if n < 20 {
            // Far ahead and far behind: gone, come, and come before.
            std::fs::remove_file(at(&format!("{:04}", 2999 - n))).unwrap();
            std::fs::write(at(&format!("{:04}+", 2000 + n)), "").unwrap();
            std::fs::write(at(&format!("{n:04}-")), "").unwrap();
        }
        if n % 7 == 0 {
            // Another who begins, and sees what is there now.
            let first = names(
                &ana.raw("GET", "/api/v1/files?path=d&limit=50")
                    .send()
                    .is(200)
                    .json(),
            )
            .join(" ");
            assert!(first.contains(&format!("{:04}-", n.min(19))), "{first}");
        }
    }
    let stay: Vec<_> = seen.iter().filter(|name| name.len() == 4).collect();
    assert_eq!(
        stay,
        (0..2980)
            .map(|n| format!("{n:04}"))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    assert!(seen.is_sorted_by(|a, b| a < b));
    let cursor = page("").is(200).json()["next"].as_str().unwrap().to_owned();
    ana.api("DELETE", &format!("/shares/{share}"), &Value::Null)
        .is(204);
    page(&format!("&cursor={cursor}")).is(404);
}

#[test]
fn what_stands_at_a_path() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "12345");
    let stat = files(&ana, "GET", "/stat", NAME).is(200).json();
    assert_eq!(
        (&stat["kind"], &stat["size"], &stat["media_type"]),
        (&json!("file"), &json!(5), &json!("text/plain"))
    );
    assert_eq!(stat["path"], NAME[1..]);
    files(&ana, "GET", "/stat", "none").is(404);
    assert_eq!(
        files(&ana, "GET", "/stat", "").is(200).json()["kind"],
        "folder"
    );
}

#[test]
fn downloads_have_ranges_conditions_and_harmless_headers() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/pagé.html", "<script>alert(1)</script>");
    ana.store("/a.txt", "0123456789");
    let page = files(&ana, "GET", "/content", "pagé.html").is(200);
    assert_eq!(page.text(), "<script>alert(1)</script>");
    assert_eq!(
        page.header("content-disposition"),
        Some("attachment; filename=\"pag_.html\"; filename*=UTF-8''pag%C3%A9.html")
    );
    assert_eq!(
        page.header("content-security-policy"),
        Some("sandbox; default-src 'none'")
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let text = files(&ana, "GET", "/content", "a.txt").is(200);
    assert!(
        text.header("content-disposition")
            .unwrap()
            .starts_with("inline;")
    );
    let etag = text.header("etag").unwrap().to_owned();
    let ask = |name: &str, value: &str| {
        ana.raw("GET", "/api/v1/files/content?path=a.txt")
            .header(name, value)
            .send()
    };
    let part = ask("Range", "bytes=2-4").is(206);
    assert_eq!(
        (part.text().as_str(), part.header("content-range")),
        ("234", Some("bytes 2-4/10"))
    );
    ask("Range", "bytes=10-").is(416);
    assert!(ask("If-None-Match", &etag).is(304).body.is_empty());
    ask("If-Match", "\"other\"").is(412);
    let head = files(&ana, "HEAD", "/content", "a.txt").is(200);
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        (Some("10"), 0)
    );
    assert_eq!(
        files(&ana, "GET", "/content", "").is(409).json()["code"],
        "is_folder"
    );
    files(&ana, "GET", "/content", "none").is(404);
    server
        .ben()
        .raw("GET", "/api/v1/files/content?path=a.txt")
        .send()
        .is(404);
}

#[test]
fn a_raw_upload_is_a_put() {
    let server = TestServer::start();
    let ana = server.ana();
    let put = |query: &str, body: &[u8]| {
        ana.raw("PUT", &format!("/api/v1/files/content?path={query}"))
            .body(body)
    };
    let made = put("a.bin", b"one").send().is(201).json();
    ana.holds("/a.bin", "one");
    // Beyond what other bodies of the API may have.
    let large = vec![7; 3 << 20];
    let replaced = put("a.bin", &large).send().is(200).json();
    assert_eq!(
        (&replaced["size"], replaced["etag"] == made["etag"]),
        (&json!(3 << 20), false)
    );
    ana.holds("/a.bin", &large);
    put("a.bin", &large).chunked().send().is(200);
    assert_eq!(
        put("a.bin&overwrite=false", b"x").send().is(409).json()["code"],
        "exists"
    );
    put("b.bin&overwrite=false", b"x").send().is(201);
    put("a.bin", b"x")
        .header("If-Match", made["etag"].as_str().unwrap())
        .send()
        .is(412);
    put("b.bin", b"y")
        .header("If-None-Match", "*")
        .send()
        .is(412);
    put("none/a", b"x").send().is(409);
    put("a", b"x")
        .header("Content-Range", "bytes 0-0/2")
        .send()
        .is(400);
    assert_eq!(put("a%0ab", b"x").send().is(400).json()["code"], "bad_name");
    put(".sarang/tmp/x", b"x").send().is(400);
    let lock = ana.lock("/b.bin").send().is(200).token();
    assert_eq!(put("b.bin", b"z").send().is(423).json()["code"], "locked");
    put("b.bin", b"z")
        .header("Lock-Token", format!("<{lock}>"))
        .send()
        .is(200);
    ana.unlock("/b.bin", &lock).is(204);
    ana.holds("/b.bin", "z");
    assert!(server.staged("ana").is_empty());
}

#[test]
fn a_cut_upload_changes_nothing() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/a", "before");
    let mut connection = server.connect();
    let head = format!(
        "PUT /api/v1/files/content?path=a HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: 100\r\n\r\nhalf",
        ana.authorization()
    );
    connection.write(head).unwrap();
    connection.finish();
    let mut rest = [0; 1024];
    while connection.read_some(&mut rest).is_ok_and(|read| read > 0) {}
    assert!(crate::harness::poll(
        std::time::Duration::from_secs(10),
        || server.staged("ana").is_empty()
    ));
    ana.holds("/a", "before");
}

fn form(parts: &[(&str, &str)]) -> String {
    let part = |(name, content): &(&str, &str)| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n"
        )
    };
    parts.iter().map(part).collect::<String>() + "--x--\r\n"
}

#[test]
fn a_form_uploads_several_files() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/in").is(201);
    ana.store("/in/old", "old");
    let send = |query: &str, body: String| {
        let request = ana.raw("POST", &format!("/api/v1/files?{query}"));
        request
            .header("Content-Type", "multipart/form-data; boundary=x")
            .body(body)
            .send()
    };
    let big = "é".repeat(1 << 20);
    let parts = [
        ("a b.txt", "one"),
        ("old", "new"),
        ("../up", "x"),
        (".sarang", "x"),
        ("große", big.as_str()),
        ("", ""),
    ];
    let results = send("path=in", form(&parts)).is(200).json();
    let told: Vec<(&str, u64, Option<&str>)> = results["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            (
                r["path"].as_str().unwrap(),
                r["status"].as_u64().unwrap(),
                r["code"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("in/a b.txt", 201, None),
            ("in/old", 409, Some("exists")),
            ("in/../up", 400, Some("bad_name")),
            ("in/.sarang", 400, Some("bad_name")),
            ("in/große", 201, None)
        ]
    );
    ana.holds("/in/a b.txt", "one");
    ana.holds("/in/old", "old");
    ana.holds("/in/große", &big);
    let results = send("path=in&overwrite=true", form(&[("old", "new")]))
        .is(200)
        .json();
    assert_eq!(results["results"][0]["status"], 200);
    ana.holds("/in/old", "new");
    // What does not end has not arrived, but what arrived before it stays.
    let body = form(&[("whole", "1"), ("half", "2")]).replace("2\r\n--x--", "2");
    let cut = send("path=in", body).is(400).json();
    assert_eq!(cut["code"], "truncated");
    assert_eq!(
        cut["detail"],
        "The form did not arrive whole. Stored before that: in/whole."
    );
    let first = form(&[("half", "2")]).replace("2\r\n--x--", "2");
    let first = send("path=in", first).is(400).json();
    assert!(
        first["detail"]
            .as_str()
            .unwrap()
            .contains("nothing was changed"),
        "{first}"
    );
    ana.holds("/in/whole", "1");
    ana.lacks("/in/half");
    ana.raw("POST", "/api/v1/files?path=in")
        .header("Content-Type", "text/plain")
        .body("x")
        .send()
        .is(400);
    assert!(server.staged("ana").is_empty());
}

#[test]
fn names_are_found_in_a_subtree() {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/docs", "/docs/Résumés", "/other"] {
        ana.mkcol(folder).is(201);
    }
    for file in [
        "/docs/RESUME.txt",
        "/docs/Résumés/my re\u{301}sume\u{301}.pdf",
        "/docs/x",
        "/other/resume",
    ] {
        ana.store(file, "1");
    }
    let find = |query: &str| {
        ana.raw("GET", &format!("/api/v1/files/search?{query}"))
            .send()
    };
    let found = find("path=docs&name=R%C3%A9sum").is(200).json();
    let mut paths = names(&found);
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "docs/RESUME.txt",
            "docs/Résumés",
            "docs/Résumés/my re\u{301}sume\u{301}.pdf"
        ]
    );
    assert!(found.get("cut").is_none());
    assert_eq!(find("name=resum&limit=2").is(200).json()["cut"], "results");
    assert!(names(&find("name=nothing").is(200).json()).is_empty());
    find("name=").is(422);
    find("name=a&limit=0").is(422);
    find("path=none&name=a").is(404);
    assert!(
        names(
            &server
                .ben()
                .raw("GET", "/api/v1/files/search?name=resume")
                .send()
                .is(200)
                .json()
        )
        .is_empty()
    );
}

#[test]
fn many_paths_change_in_one_call() {
    let server = TestServer::start();
    let ana = server.ana();
    assert_eq!(
        post(&ana, "folder", &json!({"path": "d"})).is(201).json()["kind"],
        "folder"
    );
    assert_eq!(
        post(&ana, "folder", &json!({"path": "d"})).is(409).json()["code"],
        "exists"
    );
    for name in ["/a", "/b", "/c"] {
        ana.store(name, name);
    }
    let statuses = |reply: Reply| -> Vec<(u64, Option<String>)> {
        let results = reply.is(200).json();
        let results = results["results"].as_array().unwrap().clone();
        results
            .iter()
            .map(|r| {
                (
                    r["status"].as_u64().unwrap(),
                    r["code"].as_str().map(str::to_owned),
                )
            })
            .collect()
    };
    let failed = |status, code: &str| (status, Some(code.to_owned()));
    let items = json!({"items": [{"from": "a", "to": "d/a"}, {"from": "none", "to": "d/n"}, {"from": "b", "to": "c"}]});
    let moved = statuses(post(&ana, "move", &items));
    assert_eq!(
        moved,
        [(201, None), failed(404, "not_found"), failed(409, "exists")]
    );
    ana.holds("/d/a", "/a");
    ana.holds("/c", "/c");
    let items = json!({"items": [{"from": "d", "to": "e"}, {"from": "b", "to": "c"}, {"from": "e", "to": "e/in"}], "overwrite": true});
    assert_eq!(
        statuses(post(&ana, "copy", &items)),
        [(201, None), (204, None), failed(403, "forbidden")]
    );
    ana.holds("/e/a", "/a");
    ana.holds("/c", "/b");
    ana.lock("/c").send().is(200);
    let deleted = statuses(post(
        &ana,
        "delete",
        &json!({"paths": ["d", "none", "c", "", "../x"]}),
    ));
    assert_eq!(
        deleted,
        [
            (204, None),
            failed(404, "not_found"),
            failed(423, "locked"),
            failed(403, "forbidden"),
            failed(400, "bad_name")
        ]
    );
    ana.lacks("/d");
    ana.holds("/c", "/b");
    let many: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
    assert_eq!(
        post(&ana, "delete", &json!({"paths": many})).is(422).json()["errors"][0]["pointer"],
        "/paths"
    );
    assert_eq!(
        post(&ana, "delete", &json!({"path": "b"})).is(422).json()["code"],
        "invalid"
    );
    ana.holds("/b", "/b");
}

/// Reads an archive by its directory, and checks each member against its head and checksum.
pub fn unzip(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let n = |at: usize, len: usize| -> usize {
        archive[at..at + len]
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let end = archive.len() - 22;
    assert_eq!(n(end, 4), 0x0605_4b50, "no end of the directory");
    let (count, mut line) = (n(end + 10, 2), n(end + 16, 4));
    let mut members = BTreeMap::new();
    for _ in 0..count {
        assert_eq!(n(line, 4), 0x0201_4b50);
        assert_eq!(n(line + 8, 2) & 0x800, 0x800, "names are UTF-8");
        let (crc, len, name_len, extra, head) = (
            n(line + 16, 4),
            n(line + 20, 4),
            n(line + 28, 2),
            n(line + 30, 2),
            n(line + 42, 4),
        );
        let name = String::from_utf8(archive[line + 46..line + 46 + name_len].to_vec()).unwrap();
        assert_eq!(n(head, 4), 0x0403_4b50);
        let start = head + 30 + n(head + 26, 2) + n(head + 28, 2);
        let content = archive[start..start + len].to_vec();
        assert_eq!(crc32(&content), u32::try_from(crc).unwrap(), "{name}");
        if !name.ends_with('/') {
            assert_eq!(
                (
                    n(start + len, 4),
                    n(start + len + 4, 4),
                    n(start + len + 12, 4)
                ),
                (0x0807_4b50, crc, len),
                "{name}"
            );
        }
        assert!(
            members.insert(name.clone(), content).is_none(),
            "{name} is there twice"
        );
        line += 46 + name_len + extra;
    }
    assert_eq!(line, end);
    members
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn folders_are_downloaded_as_archives() {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/d", "/d/empty", "/d/sub", "/other"] {
        ana.mkcol(folder).is(201);
    }
    let large: Vec<u8> = (0..700_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    ana.store("/d/é.bin", &large);
    ana.store("/d/sub/none", "");
    ana.store("/d/..\\..\\evil", "hostile");
    ana.store("/d/C:evil", "hostile");
    ana.store("/other/sub", "a file of the same name");
    let reply = ana.raw("GET", "/api/v1/zip?path=d").send().is(200);
    assert_eq!(reply.header("content-type"), Some("application/zip"));
    assert!(
        reply
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment; filename=\"d.zip\"")
    );
    let members = unzip(&reply.body);
    let known: Vec<&str> = members
        .keys()
        .map(String::as_str)
        .filter(|name| !name.contains('~'))
        .collect();
    assert_eq!(known, ["d/", "d/empty/", "d/sub/", "d/sub/none", "d/é.bin"]);
    assert_eq!(members["d/é.bin"], large);
    let made_safe: Vec<&String> = members.keys().filter(|name| name.contains('~')).collect();
    assert_eq!(made_safe.len(), 2);
    assert!(
        made_safe
            .iter()
            .all(|name| !name.contains('\\') && !name[2..].contains(':')),
        "{made_safe:?}"
    );
    // Two of one name get two names.
    let reply = ana
        .raw("GET", "/api/v1/zip?path=d/sub&path=other/sub")
        .send()
        .is(200);
    assert!(
        reply
            .header("content-disposition")
            .unwrap()
            .contains("files.zip")
    );
    let members = unzip(&reply.body);
    assert_eq!(
        members.keys().collect::<Vec<_>>(),
        ["sub (2)", "sub/", "sub/none"]
    );
    let whole = unzip(&ana.raw("GET", "/api/v1/zip?path=").send().is(200).body);
    assert!(whole.contains_key("other/sub") && !whole.keys().any(|name| name.contains(".sarang")));
    ana.raw("GET", "/api/v1/zip?path=d&path=none")
        .send()
        .is(404);
    ana.raw("GET", "/api/v1/zip").send().is(422);
    server.ben().raw("GET", "/api/v1/zip?path=d").send().is(404);
    other_programs_agree(&ana.raw("GET", "/api/v1/zip?path=d").send().body);
}

/// Python's zipfile reads the archive and checks every checksum, where there is one.
fn other_programs_agree(archive: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    std::fs::write(&path, archive).unwrap();
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), len(z.namelist()))";
    let Ok(output) = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&path)
        .output()
    else {
        return;
    };
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "None 7",
        "{output:?}"
    );
    if let Ok(output) = std::process::Command::new("unzip")
        .arg("-tq")
        .arg(&path)
        .output()
    {
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
#[ignore = "sends 4 GiB: cargo test --test suite four_gibibytes -- --ignored"]
fn a_file_beyond_four_gibibytes_is_archived() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/large", "");
    let len = (4_u64 << 30) + 5;
    std::fs::File::options()
        .write(true)
        .open(server.home("ana").join("large"))
        .unwrap()
        .set_len(len)
        .unwrap();
    ana.store("/z", "after it");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    let output = std::process::Command::new("curl")
        .args([
            "-sS",
            "-o",
            path.to_str().unwrap(),
            "-H",
            &format!("Authorization: {}", ana.authorization()),
        ])
        .arg(format!(
            "http://{}/api/v1/zip?path=large&path=z",
            server.address()
        ))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), [i.file_size for i in z.infolist()], z.read('z'))";
    let output = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        format!("None [{len}, 8] b'after it'"),
        "{output:?}"
    );
}
