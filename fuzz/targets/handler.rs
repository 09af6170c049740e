//! Whole conversations with the server, from the request's head to the files on disk: no panic (in debug builds, on any thread),
//! no 5xx beyond those that are meant, refused requests change nothing, what was put is there, XML is well-formed.

#![no_main]

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use sarang::app::App;
use sarang::config::{Config, Durability};
use sarang::http::request_body::RequestBody;
use sarang::model::{AccountName, Role};
use sarang_fuzz::HOST;
use sarang_fuzz::script::{Line, Memory};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;

/// `me:password of the nest`
const CREDENTIALS: &str = "Basic bWU6cGFzc3dvcmQgb2YgdGhlIG5lc3Q=";
const MOST_REQUESTS: usize = 12;

/// Every file with its content, every folder without.
type Snapshot = Vec<(PathBuf, Option<Vec<u8>>)>;

static SERVER: LazyLock<Server> = LazyLock::new(Server::open);

fuzz_target!(|script: &[u8]| {
    let server = &*SERVER;
    server.runtime.block_on(async {
        let mut memory = Memory::default();
        let mut seen = Snapshot::new();
        for line in script.split(|&b| b == b'\n').take(MOST_REQUESTS) {
            if let Some((request, body)) = Line(line).request(&memory, HOST) {
                seen = server.converse(request, body, &mut memory, seen).await;
            }
        }
        server.check_outside();
        server
            .app
            .reset_account(&server.account)
            .await
            .expect("the home can be deleted");
    });
});

struct Server {
    runtime: Runtime,
    app: Arc<App>,
    account: AccountName,
    data: PathBuf,
    home: PathBuf,
}

impl Server {
    fn open() -> Self {
        let dir = std::env::var_os("FUZZ_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let data = dir.join(format!("sarang-fuzz-{}", std::process::id()));
        let mut config = Config {
            data_dir: data.clone(),
            ..Config::default()
        };
        config.drive.durability = Durability::Relaxed;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let account = AccountName::parse("me").unwrap();
        let app = runtime.block_on(async {
            let app = App::open(config).await.expect("a data folder");
            app.auth
                .create(&account, b"password of the nest", Role::User, None)
                .await
                .expect("an account");
            app
        });
        let home = data.join("homes/me");
        Self {
            runtime,
            app,
            account,
            data,
            home,
        }
    }

    /// Sends a request and checks all that must hold after any.
    async fn converse(
        &self,
        request: Request<RequestBody>,
        body: Bytes,
        memory: &mut Memory,
        before: Snapshot,
    ) -> Snapshot {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = self.send(request).await;
        let status = response.status();
        let shown = format!("{method} {uri} was answered {status}");
        let after = self.snapshot();
        let reads = matches!(
            method.as_str(),
            "GET" | "HEAD" | "OPTIONS" | "PROPFIND" | "PROPPATCH" | "UNLOCK"
        );
        if reads || status.is_client_error() || status.is_server_error() {
            assert_eq!(after, before, "{shown}, and yet something changed");
        }
        if let Some(etag) = response.headers().get("etag").and_then(|v| v.to_str().ok()) {
            etag.clone_into(&mut memory.etag);
        }
        if let Some(token) = response
            .headers()
            .get("lock-token")
            .and_then(|v| v.to_str().ok())
        {
            token.trim_matches(['<', '>']).clone_into(&mut memory.token);
        }
        check_answer(&shown, response).await;
        match method.as_str() {
            "PUT" if status.is_success() => {
                assert_eq!(self.content(uri.path()).await, Some(body), "{shown}")
            }
            "DELETE" if status.is_success() && status != StatusCode::MULTI_STATUS => {
                assert_eq!(self.content(uri.path()).await, None, "{shown}");
            }
            _ => {}
        }
        after
    }

    async fn send(&self, mut request: Request<RequestBody>) -> Response<sarang::http::body::Body> {
        request
            .headers_mut()
            .append("authorization", CREDENTIALS.parse().unwrap());
        let response =
            sarang::http::handle(&self.app, IpAddr::from([127, 0, 0, 1]).into(), request).await;
        assert_eq!(self.app.metrics.panics.get(), 0);
        let meant = [
            StatusCode::NOT_IMPLEMENTED,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::INSUFFICIENT_STORAGE,
        ];
        assert!(
            !response.status().is_server_error() || meant.contains(&response.status()),
            "{}",
            response.status()
        );
        response
    }

    /// What a GET finds.
    async fn content(&self, path: &str) -> Option<Bytes> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header("host", HOST)
            .body(RequestBody::from(b""))
            .unwrap();
        let response = self.send(request).await;
        match response.status() {
            StatusCode::OK => Some(
                response
                    .into_body()
                    .collect()
                    .await
                    .expect("a whole body")
                    .to_bytes(),
            ),
            StatusCode::NOT_FOUND => None,
            other => panic!("GET {path} was answered {other}"),
        }
    }

    /// All that can be seen of the home.
    fn snapshot(&self) -> Snapshot {
        let mut seen = Vec::new();
        walk(&self.home, true, &mut seen);
        seen.sort();
        seen
    }

    /// Nothing is left half done, and nothing was made outside of the home.
    fn check_outside(&self) {
        assert_eq!(
            names(&self.home.join(".sarang/tmp")),
            [""; 0],
            "an upload was left behind"
        );
        assert!(
            names(&self.data.join("homes"))
                .iter()
                .all(|name| name == "me")
        );
        assert!(names(&self.data).iter().all(|name| {
            ["homes", "state", "audit", "sarang.data"].contains(&name.as_str())
                || name.starts_with('.')
        }));
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn walk(dir: &Path, top: bool, seen: &mut Snapshot) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if top && entry.file_name() == ".sarang" {
            continue;
        }
        let folder = entry.file_type().expect("a type").is_dir();
        seen.push((
            entry.path(),
            (!folder).then(|| fs::read(entry.path()).expect("a file")),
        ));
        if folder {
            walk(&entry.path(), false, seen);
        }
    }
}

async fn check_answer(shown: &str, response: Response<sarang::http::body::Body>) {
    let is_xml = response
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/xml"));
    let written = is_xml
        && response.status() != StatusCode::OK
        && response.status() != StatusCode::PARTIAL_CONTENT;
    let body = response
        .into_body()
        .collect()
        .await
        .unwrap_or_else(|error| panic!("{shown}, then broke off: {error}"))
        .to_bytes();
    if written || body.starts_with(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:") {
        let text = std::str::from_utf8(&body).expect("XML in UTF-8");
        roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{shown}: {error}: {text}"));
    }
}
