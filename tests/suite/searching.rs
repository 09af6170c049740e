//! A search whose results come as they are found: it ends with its client, with the access to what it looks through, and says how it ended.

use crate::harness::{Client, Connection, TestServer};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use sarang::auth::AccountUpdate;
use sarang::model::AccountName;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

const LINES: &str = "application/x-ndjson";
/// Enough that a search through them is under way for as long as a test needs.
const FOLDERS: usize = 8000;

/// A server where ana has many folders and, beside them, what is looked for; made beside it, so that nothing else goes through them.
fn server() -> TestServer {
    let server = TestServer::start();
    server.ana().propfind("/", "0").is(207);
    let many = server.home("ana").join("many");
    for number in 0..FOLDERS {
        std::fs::create_dir_all(many.join(format!("{number:05}"))).unwrap();
    }
    std::fs::write(many.join("needle"), "x").unwrap();
    server
}

/// Asks for lines, and waits for the first of them; what has come by then.
fn begin(server: &TestServer, by: &Client, path: &str) -> (Connection, String) {
    let request = by
        .raw(
            "GET",
            &format!("/api/v1/files/search?path={path}&name=needle"),
        )
        .header("Accept", LINES);
    let mut connection = server.connect();
    connection.write(request.bytes()).unwrap();
    let head = connection.read_head("search").unwrap().is(200);
    assert_eq!(head.header("content-type"), Some(LINES));
    let mut text = String::new();
    while !text.contains("needle") {
        text += &some(&mut connection);
    }
    (connection, text)
}

fn some(connection: &mut Connection) -> String {
    let mut buffer = [0; 4096];
    let read = connection.read_some(&mut buffer).unwrap();
    assert!(read > 0, "the connection ended in the middle of a search");
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

/// The last line of a search that goes on after its first.
fn last((mut connection, mut text): (Connection, String)) -> Value {
    while !text.ends_with("0\r\n\r\n") {
        text += &some(&mut connection);
    }
    let line = text
        .lines()
        .rfind(|line| line.starts_with('{'))
        .unwrap_or_else(|| panic!("no last line: {text}"));
    serde_json::from_str(line).unwrap()
}

/// Counts the folders in a folder that are opened.
struct Opened {
    queue: OwnedFd,
    names: HashSet<Vec<u8>>,
}

impl Opened {
    fn below(folder: &Path) -> Self {
        let queue = inotify::init(CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&queue, folder, WatchFlags::OPEN | WatchFlags::ONLYDIR).unwrap();
        Self {
            queue,
            names: HashSet::new(),
        }
    }

    fn count(&mut self) -> usize {
        let mut buffer = vec![MaybeUninit::uninit(); 64 << 10];
        let mut events = inotify::Reader::new(&self.queue, &mut buffer);
        while let Ok(event) = events.next() {
            self.names
                .extend(event.file_name().map(|name| name.to_bytes().to_owned()));
        }
        self.names.len()
    }
}

#[test]
fn a_client_that_leaves_ends_its_search() {
    let server = server();
    let mut opened = Opened::below(&server.home("ana").join("many"));
    drop(begin(&server, &server.ana(), "many"));
    let mut before = usize::MAX;
    while before != opened.count() {
        before = opened.count();
        sleep(Duration::from_millis(500));
    }
    assert!(before < FOLDERS, "it went on to its end");
}

#[test]
fn a_search_that_is_not_left_looks_into_every_folder() {
    let server = server();
    let mut opened = Opened::below(&server.home("ana").join("many"));
    let last = last(begin(&server, &server.ana(), "many"));
    assert_eq!(last, json!({"done": true, "found": 1}));
    // And the file beside them is not opened.
    assert_eq!(opened.count(), FOLDERS);
}

#[test]
fn a_search_ends_with_the_access_it_came_by() {
    let server = server();
    let under_way = begin(&server, &server.ana(), "many");
    let disabled = AccountUpdate {
        disabled: Some(true),
        ..AccountUpdate::default()
    };
    server
        .block_on(
            server
                .app()
                .auth
                .update(&AccountName::parse("ana").unwrap(), disabled, None),
        )
        .unwrap();
    let last = last(under_way);
    assert_eq!(
        (&last["error"]["status"], &last["error"]["code"]),
        (&json!(401), &json!("access_ended")),
        "{last}"
    );
    assert!(last.get("done").is_none());
}

#[test]
fn a_search_ends_with_the_share_it_looks_through() {
    let server = server();
    let wish = json!({"path": "/many", "to": {"account": "ben"}, "rights": "view"});
    let share = server.ana().api("POST", "/shares", &wish).is(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let under_way = begin(&server, &server.ben(), "Shared%20with%20me/many");
    server
        .ana()
        .api("DELETE", &format!("/shares/{share}"), &Value::Null)
        .is(204);
    let last = last(under_way);
    assert_eq!(
        (&last["error"]["status"], &last["error"]["code"]),
        (&json!(404), &json!("not_found")),
        "{last}"
    );
}

/// Of the whole drive, a share that ends is passed over: what is ben's own is found all the same.
#[test]
fn what_is_seen_no_longer_hides_nothing_else() {
    let server = server();
    let wish = json!({"path": "/many", "to": {"account": "ben"}, "rights": "view"});
    let share = server.ana().api("POST", "/shares", &wish).is(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let under_way = begin(&server, &server.ben(), "");
    server
        .ana()
        .api("DELETE", &format!("/shares/{share}"), &Value::Null)
        .is(204);
    assert_eq!(last(under_way), json!({"done": true, "found": 1}));
}

#[test]
fn lines_are_rows_and_the_last_says_how_it_ended() {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/docs", "/docs/Résumés"] {
        ana.mkcol(folder).is(201);
    }
    for file in ["/docs/RESUME.txt", "/docs/Résumés/resume.pdf", "/docs/x"] {
        ana.store(file, "1");
    }
    let find = |query: &str| {
        let request = ana
            .raw("GET", &format!("/api/v1/files/search?{query}"))
            .header("Accept", LINES);
        let text = request.send().is(200).text();
        assert!(text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    let lines = find("path=docs&name=resum");
    let list = ana
        .raw("GET", "/api/v1/files/search?path=docs&name=resum")
        .send()
        .is(200)
        .json();
    assert_eq!(lines[..3], *list["items"].as_array().unwrap());
    assert_eq!(lines[3..], [json!({"done": true, "found": 3})]);
    assert_eq!(
        find("name=resum&limit=2")[2..],
        [json!({"done": true, "found": 2, "cut": "results"})]
    );
    assert_eq!(find("name=nothing"), [json!({"done": true, "found": 0})]);
    for (query, status) in [
        ("path=none&name=a", 404),
        ("path=docs/x&name=a", 409),
        ("name=", 422),
        ("name=a&limit=0", 422),
    ] {
        let request = ana
            .raw("GET", &format!("/api/v1/files/search?{query}"))
            .header("Accept", LINES);
        let reply = request.send().is(status);
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json"),
            "{query}"
        );
    }
}
