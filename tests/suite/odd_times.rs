//! Files of any time: before 1970, at both ends of the calendar, beyond what the file system keeps. What was stored is answered with
//! success by every method and door, and shown with the time that it has.

use crate::harness::{Client, LOCK_BODY, NAME, Reply, TestServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sarang::model::time::{from_unix_seconds, http_date, iso_date, unix_millis, unix_seconds};
use serde_json::json;
use std::fs::{self, File};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// In seconds, which is what clients ask for: an hour and a second before 1970, 1970 itself, 1900, both ends of the calendar.
const TIMES: [i64; 6] = [
    -3600,
    -1,
    0,
    -2_208_988_800,
    -62_135_596_800,
    253_402_300_799,
];

fn on_disk(server: &TestServer, path: &str) -> SystemTime {
    fs::metadata(server.home("ana").join(path.trim_start_matches('/')))
        .unwrap()
        .modified()
        .unwrap()
}

/// Demands that every way of looking at a file tells the time it has on disk.
fn is_shown(server: &TestServer, path: &str) {
    let (ana, time) = (server.ana(), on_disk(server, path));
    let date = http_date(time);
    for reply in [ana.head(path), ana.get(path)] {
        assert_eq!(reply.is(200).header("last-modified"), Some(date.as_str()));
    }
    for (target, depth) in [(path, "0"), ("/", "1")] {
        let listing = ana
            .props(target, depth, "<D:getlastmodified/>")
            .is(207)
            .text();
        assert!(
            listing.contains(&format!("<D:getlastmodified>{date}<")),
            "{date}: {listing}"
        );
    }
    ana.request("GET", path)
        .header("If-Modified-Since", &date)
        .send()
        .is(304);
    ana.request("GET", path)
        .header("If-Unmodified-Since", &date)
        .send()
        .is(200);
    let stat = ana
        .raw(
            "GET",
            &format!("/api/v1/files/stat?path={}", crate::harness::url(path)),
        )
        .send()
        .is(200)
        .json();
    assert_eq!(stat["modified"], unix_millis(time));
    ana.raw("GET", "/api/v1/files").send().is(200);
    ana.raw("GET", "/api/v1/zip?path=").send().is(200);
}

fn accepted(reply: &Reply) -> bool {
    reply.header("x-oc-mtime") == Some("accepted")
}

#[test]
fn a_put_of_any_time_is_a_success() {
    let server = TestServer::start();
    let ana = server.ana();
    for seconds in TIMES {
        let put = || {
            ana.request("PUT", NAME)
                .header("X-OC-Mtime", seconds.to_string())
        };
        let first = put().body("one").send().is(201);
        let kept = unix_seconds(on_disk(&server, NAME)) == seconds;
        assert!(
            kept || !(-3600..=0).contains(&seconds),
            "{seconds}: every file system keeps this"
        );
        assert_eq!(accepted(&first), kept, "{seconds}: {first}");
        assert_eq!(
            first.header("last-modified"),
            Some(http_date(on_disk(&server, NAME)).as_str()),
            "{seconds}"
        );
        let etag = first.header("etag").unwrap().to_owned();
        let second = put().header("If-Match", &etag).body("two").send().is(204);
        assert_eq!(second.header("etag"), ana.head(NAME).header("etag"));
        assert_eq!(accepted(&second), kept);
        is_shown(&server, NAME);
        ana.delete(NAME).is(204);
    }
}

/// What changes a file that has such a time already, by every method.
fn change_all(ana: &Client, path: &str) {
    let append = ana
        .request("PATCH", path)
        .header("Content-Type", "application/x-sabredav-partialupdate");
    ana.transfer("COPY", path, "/copy").send().is(201);
    ana.transfer("COPY", path, "/copy").send().is(204);
    ana.transfer("MOVE", "/copy", "/moved").send().is(201);
    ana.transfer("COPY", path, "/copy").send().is(201);
    ana.transfer("MOVE", "/copy", "/moved").send().is(204);
    ana.proppatch(path, "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
        .send()
        .multistatus();
    let token = ana.lock(path).send().is(200).token();
    ana.request("LOCK", path)
        .header("If", format!("(<{token}>)"))
        .send()
        .is(200);
    ana.unlock(path, &token).is(204);
    for (api, body) in [
        (
            "/files/copy",
            json!({"items": [{"from": path, "to": "/by api"}]}),
        ),
        (
            "/files/move",
            json!({"items": [{"from": "/by api", "to": "/by api 2"}]}),
        ),
        ("/files/delete", json!({"paths": ["/by api 2", "/moved"]})),
    ] {
        for result in ana.api("POST", api, &body).is(200).json()["results"]
            .as_array()
            .unwrap()
        {
            assert!(result["status"].as_u64().unwrap() < 300, "{api}: {result}");
        }
    }
    append
        .header("X-Update-Range", "append")
        .header("X-OC-Mtime", "-7200")
        .body("x")
        .send()
        .is(204);
    ana.delete(path).is(204);
}

#[test]
fn a_file_of_any_time_made_beside_the_server_is_shown_and_changed() {
    let server = TestServer::start();
    let (ana, ms) = (server.ana(), Duration::from_millis);
    ana.store("/first", "x");
    let odd = [
        UNIX_EPOCH - ms(1500),
        UNIX_EPOCH - Duration::from_nanos(1),
        UNIX_EPOCH + ms(1),
    ];
    let far = TIMES
        .into_iter()
        .chain([i64::MIN >> 20, i64::MAX >> 20, i64::MIN, i64::MAX])
        .map(from_unix_seconds);
    for time in odd.into_iter().chain(far) {
        fs::write(server.home("ana").join("beside"), "x").unwrap();
        // A file system that cannot hold the time says so, or takes the nearest it can.
        let _ = File::options()
            .write(true)
            .open(server.home("ana").join("beside"))
            .unwrap()
            .set_modified(time);
        is_shown(&server, "/beside");
        change_all(&ana, "/beside");
    }
    let folder = server.home("ana").join("folder");
    fs::create_dir(&folder).unwrap();
    File::open(&folder)
        .unwrap()
        .set_modified(UNIX_EPOCH - ms(1500))
        .unwrap();
    let listing = ana.props("/", "1", "<D:getlastmodified/>").is(207).text();
    assert!(
        listing.contains("Wed, 31 Dec 1969 23:59:58 GMT"),
        "{listing}"
    );
    ana.request("LOCK", "/folder/new")
        .header("Depth", "0")
        .xml(LOCK_BODY)
        .send()
        .is(201);
}

/// What is answered with success is on disk; a time that the file system does not keep is 409, and nothing is changed.
#[test]
fn properties_set_any_time() {
    const PROP: &str = "<x:a xmlns:x=\"http://example.org/x/\"/>";
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let windows = |date: &str| format!("<Z:Win32LastModifiedTime>{date}</Z:Win32LastModifiedTime>");
    let cases = [
        ("<D:lastmodified>-3600</D:lastmodified>".to_owned(), -3600),
        (windows("Wed, 31 Dec 1969 22:00:00 GMT"), -7200),
        (windows("Mon, 01 Jan 1900 00:00:00 GMT"), -2_208_988_800),
        (windows("Fri, 31 Dec 9999 23:59:59 GMT"), 253_402_300_799),
        (
            "<D:lastmodified>-62135596800</D:lastmodified>".to_owned(),
            -62_135_596_800,
        ),
    ];
    for (set, seconds) in cases {
        let before = (
            on_disk(&server, NAME),
            ana.head(NAME).header("etag").unwrap().to_owned(),
        );
        let answer = ana
            .proppatch(
                NAME,
                &format!("<D:set><D:prop><x:a>{seconds}</x:a>{set}</D:prop></D:set>"),
            )
            .send()
            .is(207)
            .text();
        let time = on_disk(&server, NAME);
        let props = ana.props(NAME, "0", PROP).is(207).text();
        if unix_seconds(time) == seconds {
            assert!(
                answer.contains("HTTP/1.1 200 OK") && !answer.contains(" 409 "),
                "{set}: {answer}"
            );
            assert!(props.contains(&format!(">{seconds}<")), "{props}");
        } else {
            assert!(
                answer.contains(" 409 ")
                    && answer.contains(" 424 ")
                    && answer.contains("keeps no such time")
                    && !answer.contains("HTTP/1.1 200 OK"),
                "{set}: {answer}"
            );
            assert!(!props.contains(&format!(">{seconds}<")), "{props}");
            let after = ana.head(NAME).header("etag").unwrap().to_owned();
            assert_eq!((time, after), before, "{set}: nothing was changed");
            assert!(!(-7200..0).contains(&seconds), "{set}: {time:?}");
        }
        is_shown(&server, NAME);
        let etag = ana.head(NAME).header("etag").unwrap().to_owned();
        ana.request("PUT", NAME)
            .header("If-Match", etag)
            .body("x")
            .send()
            .is(204);
    }
    let set = "<D:set><D:prop><D:lastmodified>Sat, 01 Jan 0000 00:00:00 GMT</D:lastmodified></D:prop></D:set>";
    assert!(
        ana.proppatch(NAME, set)
            .send()
            .is(207)
            .text()
            .contains(" 409 "),
        "there is no year 0"
    );
}

#[test]
fn the_api_takes_any_time() {
    let server = TestServer::start();
    let ana = server.ana();
    for seconds in TIMES {
        let raw = ana
            .raw("PUT", "/api/v1/files/content?path=raw")
            .header("X-OC-Mtime", seconds.to_string());
        let stat = raw.body("x").send().is_any(&[200, 201]).json();
        assert_eq!(stat["modified"], unix_millis(on_disk(&server, "raw")));
        is_shown(&server, "/raw");
        let pair = |key: &str, value: &str| format!("{key} {}", STANDARD.encode(value));
        let begin = |metadata: &[String]| {
            let request = ana
                .raw("POST", "/api/v1/uploads")
                .header("Tus-Resumable", "1.0.0")
                .header("Upload-Length", "3");
            let request = request.header("Content-Type", "application/offset+octet-stream");
            // Lines of a list are one list, here as elsewhere.
            metadata
                .iter()
                .fold(request, |request, line| {
                    request.header("Upload-Metadata", line)
                })
                .body("abc")
                .send()
        };
        let made = begin(&[
            pair("path", "tus"),
            pair("modified", &(seconds * 1000).to_string()),
        ])
        .is(201);
        let time = on_disk(&server, "tus");
        assert!(
            unix_seconds(time) == seconds || !(-3600..=0).contains(&seconds),
            "{seconds}: {time:?}"
        );
        assert_eq!(made.header("etag"), ana.head("/tus").header("etag"));
        let at = made.header("location").unwrap().to_owned();
        assert_eq!(
            ana.raw("HEAD", &at)
                .header("Tus-Resumable", "1.0.0")
                .send()
                .is(200)
                .header("upload-offset"),
            Some("3")
        );
        is_shown(&server, "/tus");
    }
    let old = on_disk(&server, "raw");
    ana.store("/raw", "new");
    let versions = ana
        .raw("GET", "/api/v1/versions?path=raw")
        .send()
        .is(200)
        .json();
    let id = versions["items"][0]["id"].as_str().unwrap();
    assert_eq!(versions["items"][0]["modified"], iso_date(old));
    ana.raw("GET", &format!("/api/v1/versions/content?path=raw&id={id}"))
        .send()
        .is(200);
    ana.api(
        "POST",
        "/versions/restore",
        &json!({"path": "raw", "id": id}),
    )
    .is(204);
    ana.mkcol("/shown").is(201);
    ana.transfer("COPY", "/tus", "/shown/tus").send().is(201);
    let link = ana
        .api(
            "POST",
            "/links",
            &json!({"path": "/shown", "rights": "edit"}),
        )
        .is(201)
        .json();
    let page = format!("/s/{}", link["token"].as_str().unwrap());
    let shown = server.stranger().raw("GET", &page).send().is(200).text();
    assert!(
        shown.contains(&iso_date(on_disk(&server, "tus"))),
        "{shown}"
    );
    server
        .stranger()
        .raw("GET", &format!("{page}/file?path=tus"))
        .send()
        .is(200);
}
