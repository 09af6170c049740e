//! The whole program without its sockets, over a data folder of its own: requests go in and answers come out as they do on a connection.

use crate::operations::{Root, Who};
use crate::world::{TEAM, quota};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use sarang::app::App;
use sarang::config::{Config, Durability};
use sarang::http::request_body::RequestBody;
use sarang::model::{AccountName, Role};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const HOST: &str = "nest.example";
/// Ana's quota: a few files.
pub const QUOTA: u64 = 300;
pub const TEAM_QUOTA: u64 = 200;
const PASSWORD: &str = "password of the nest";
const ADMINISTRATOR: &str = "zoe";

pub struct Server {
    runtime: Runtime,
    app: Arc<App>,
    data: TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What became of the one path of a call that takes many.
    pub fn of_item(self) -> Self {
        let status = self.json()["results"][0]["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok());
        Self {
            status: status.unwrap_or(self.status),
            ..self
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request being built.
pub struct Ask<'a> {
    server: &'a Server,
    request: http::request::Builder,
    body: Bytes,
}

impl Server {
    /// In memory where that can hold all that a drive keeps beside its files, else where temporary files go.
    pub fn open() -> Self {
        let memory = Path::new("/dev/shm");
        let data = if keeps_attributes(memory) {
            TempDir::new_in(memory)
        } else {
            TempDir::new()
        }
        .expect("a folder");
        let mut config = Config {
            data_dir: data.path().to_owned(),
            ..Config::default()
        };
        config.drive.durability = Durability::Relaxed;
        config.drive.reserve = 0;
        config.history.burst_share = 0.0;
        config.log.requests = false;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let app = runtime.block_on(async {
            let app = App::open(config).await.expect("a data folder");
            let accounts = [
                (ADMINISTRATOR, Role::Admin, None),
                ("ana", Role::User, Some(QUOTA)),
                ("ben", Role::User, None),
            ];
            for (name, role, quota) in accounts {
                app.auth
                    .create(&account(name), PASSWORD.as_bytes(), role, quota)
                    .await
                    .expect("an account");
            }
            app
        });
        Self { runtime, app, data }
    }

    /// Takes away all files, locks, shares, links and the team folder.
    pub fn clear(&self) {
        let app = &self.app;
        if app.sharing.teams.find(TEAM).is_some() {
            let reply = self
                .administer("DELETE", "/api/v1/team-folders/T?purge=true")
                .send();
            assert_eq!(reply.status, 204, "the team folder can be deleted");
        }
        self.runtime.block_on(async {
            for who in Who::ACCOUNTS {
                app.reset_account(&account(who.name()))
                    .await
                    .expect("the home can be deleted");
            }
            for files in app.removed_files() {
                app.purge_removed_files(&files.id)
                    .await
                    .expect("what lies aside can be deleted");
            }
        });
    }

    /// Makes an account anew, as it was at first.
    pub fn make_account(&self, who: Who) {
        let name = account(who.name());
        let made = self
            .app
            .auth
            .create(&name, PASSWORD.as_bytes(), Role::User, quota(who.home()));
        self.runtime.block_on(made).expect("an account");
    }

    /// The places of the files that were kept of removed accounts and team folders.
    pub fn kept(&self) -> Vec<PathBuf> {
        self.app
            .removed_files()
            .iter()
            .map(|files| self.data.path().join(&files.place))
            .collect()
    }

    /// The folder that a root is on the disk.
    pub fn folder(&self, root: Root) -> PathBuf {
        let below = match root {
            Root::Ana => "homes/ana",
            Root::Ben => "homes/ben",
            Root::Team => "teams/T",
        };
        self.data.path().join(below)
    }

    /// Lets the server count files anew, as it does in time where others change them.
    pub fn count_anew(&self) {
        self.runtime
            .block_on(self.app.recount_usage())
            .expect("the files can be counted");
    }

    /// A request on a target that is escaped already.
    pub fn ask(&self, who: Who, method: &str, target: &str) -> Ask<'_> {
        self.by(who.name(), method, target)
    }

    fn by(&self, name: &str, method: &str, target: &str) -> Ask<'_> {
        let credentials = STANDARD.encode(format!("{name}:{PASSWORD}"));
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", HOST);
        Ask {
            server: self,
            request,
            body: Bytes::new(),
        }
        .header("authorization", format!("Basic {credentials}"))
    }

    /// A request by a visitor of a link.
    pub fn visit(&self, password: Option<&str>, method: &str, target: &str) -> Ask<'_> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", HOST);
        let basic = |password| format!("Basic {}", STANDARD.encode(format!("anybody:{password}")));
        Ask {
            server: self,
            request,
            body: Bytes::new(),
        }
        .maybe("authorization", password.map(basic))
    }

    /// A request by the administrator.
    pub fn administer(&self, method: &str, target: &str) -> Ask<'_> {
        self.by(ADMINISTRATOR, method, target)
    }
}

impl Ask<'_> {
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.request = self.request.header(name, value.as_ref());
        self
    }

    pub fn with(self, header: Option<(&'static str, String)>) -> Self {
        match header {
            Some((name, value)) => self.header(name, value),
            None => self,
        }
    }

    pub fn maybe(self, name: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// A body whose length is said.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let ask = self.header("content-length", body.len().to_string());
        ask.unannounced(body)
    }

    pub fn unannounced(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &serde_json::Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    pub fn send(self) -> Reply {
        let request = self
            .request
            .body(RequestBody::from(self.body))
            .expect("a request");
        let app = &self.server.app;
        self.server.runtime.block_on(async {
            let response =
                sarang::http::handle(app, IpAddr::from([127, 0, 0, 1]).into(), request).await;
            assert_eq!(app.metrics.panics.get(), 0, "handling a request panicked");
            let (parts, body) = Response::into_parts(response);
            let body = body.collect().await.expect("a whole body").to_bytes();
            Reply {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body,
            }
        })
    }
}

fn account(name: &str) -> AccountName {
    AccountName::parse(name).expect("a name")
}

fn keeps_attributes(dir: &Path) -> bool {
    let probe = tempfile::NamedTempFile::new_in(dir);
    probe.is_ok_and(|probe| {
        rustix::fs::fsetxattr(
            probe.as_file(),
            "user.sarang.probe",
            b"x",
            rustix::fs::XattrFlags::empty(),
        )
        .is_ok()
    })
}
