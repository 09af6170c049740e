//! Calls the API: over the control socket of a running server, or in the process that has the data folder open.

use super::api_call::ApiCall;
use super::call_error::CallError;
use super::connect;
use crate::app::App;
use crate::http::api::page::{Page, PageQuery};
use crate::http::local;
use crate::http::request_body::RequestBody;
use crate::model::{Error, Result};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one answer.
const MAX_ANSWER: usize = 64 << 20;
/// Purging a home can take its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// The most items that a page may have.
const PAGE: u16 = 1000;

/// What calls the API as the administrator at the command line.
#[derive(Clone, Debug)]
pub struct Client(ClientRoute);

#[derive(Clone, Debug)]
enum ClientRoute {
    /// To the server that runs on this data folder, a connection for each call.
    Socket(PathBuf),
    /// In this process.
    InProcess(Arc<App>),
}

impl Client {
    /// A client of the server that runs on a data folder; `None` when none does.
    pub async fn connect(data_dir: &Path) -> Option<Result<Self>> {
        match connect(data_dir).await {
            Ok(_) => Some(Ok(Self(ClientRoute::Socket(data_dir.to_owned())))),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                None
            }
            Err(e) => Some(Err(unreached(e))),
        }
    }

    /// A client of the data folder that this process has open.
    pub fn in_process(app: &Arc<App>) -> Self {
        Self(ClientRoute::InProcess(Arc::clone(app)))
    }

    /// Makes a call, and reads the document of the answer; `()` where there is none.
    pub async fn ask<T: DeserializeOwned>(&self, call: ApiCall) -> Result<T, CallError> {
        let request = call
            .into_request()
            .map_err(|_| Error::BadRequest("This cannot be asked: an address is malformed."))?;
        let (status, body) = match &self.0 {
            ClientRoute::Socket(data_dir) => exchange(data_dir, request).await?,
            ClientRoute::InProcess(app) => {
                let answer = local::answer(app, request.map(RequestBody::from)).await;
                let status = answer.status();
                let whole = answer.into_body().collect().await;
                (status, whole.map_err(interrupted)?.to_bytes())
            }
        };
        if !status.is_success() {
            return Err(CallError::of(status, &body));
        }
        let document: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(document).map_err(|_| CallError::OtherVersion)
    }

    /// All items of a list that comes in pages.
    pub async fn list<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<Vec<T>, CallError> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let page = PageQuery {
                limit: Some(PAGE),
                cursor,
            };
            let page: Page<T> = self.ask(ApiCall::get(segments).query(&page)).await?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    /// Whether something is at an address.
    pub async fn exists(&self, segments: &[&str]) -> Result<bool, CallError> {
        match self.ask::<Value>(ApiCall::get(segments)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// One call on a connection of its own.
async fn exchange(
    data_dir: &Path,
    request: Request<Bytes>,
) -> Result<(StatusCode, Bytes), CallError> {
    let stream = connect(data_dir).await.map_err(unreached)?;
    let exchanged = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(not_http)?;
        let driver = AbortOnDrop(tokio::spawn(connection));
        let answer = sender
            .send_request(request.map(Full::new))
            .await
            .map_err(not_http)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER);
        let body = body
            .collect()
            .await
            .map_err(|error| interrupted(std::io::Error::other(error)))?;
        drop(driver);
        Ok((status, body.to_bytes()))
    };
    tokio::time::timeout(ANSWER_TIMEOUT, exchanged)
        .await
        .unwrap_or_else(|_| Err(interrupted(ErrorKind::TimedOut.into()).into()))
}

/// The task of a connection, ended with what uses it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A server that speaks another protocol on its socket is of a former version.
fn not_http(error: hyper::Error) -> CallError {
    if error.is_parse() {
        CallError::OtherVersion
    } else {
        interrupted(std::io::Error::other(error)).into()
    }
}

fn unreached(error: std::io::Error) -> Error {
    Error::io("reach the running server over its control socket", error)
}

fn interrupted(error: std::io::Error) -> Error {
    Error::io("talk to the running server over its control socket", error)
}
