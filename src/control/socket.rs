//! The control socket of a running server: HTTP/1.1 on `control.sock` in the data folder, one request a connection.
//! Only the user the server runs as, and root, may ask.

use super::{NAME, address, connect};
use crate::app::App;
use crate::http::body::Body;
use crate::http::request_body::RequestBody;
use crate::http::{local, reply};
use crate::model::{Error, Result};
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

const FRESH_NAME: &str = "control.new";
/// Bytes of a request's head, which is its line and few headers.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 32;
/// Bytes of a request's body: the members of a large group.
const MAX_BODY: usize = 8 << 20;
/// For the head, for the body, and for the answer to be taken.
const TIMEOUT: Duration = Duration::from_secs(10);
const ROOT: u32 = 0;

/// Where the administrator at the command line is answered.
#[derive(Debug)]
pub struct ControlServer {
    app: Arc<App>,
    socket: Socket,
}

impl ControlServer {
    /// Opens the socket of the data folder: from now on requests wait to be answered.
    pub async fn open(app: Arc<App>) -> Result<Self> {
        Ok(Self {
            socket: Socket::bind(&app.config.data_dir).await?,
            app,
        })
    }

    /// Answers until `shutdown` ends; requests under way are finished.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let app = self.app;
        let answer = move |request| {
            let app = Arc::clone(&app);
            async move { local::answer(&app, request).await }
        };
        self.socket.serve(answer, shutdown).await;
    }
}

/// A bound socket; its name is removed when dropped.
#[derive(Debug)]
struct Socket {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl Socket {
    /// Binds beside the name and moves into place with its mode set: at no time may others connect.
    /// A socket that nobody answers on is left over from a crash and replaced.
    async fn bind(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(NAME);
        if connect(data_dir).await.is_ok() {
            return Err(Error::Forbidden(
                "Another server already answers on the control socket of this data folder.",
            ));
        }
        let failed = |e| {
            Error::io(
                "open its control socket (control.sock in the data folder)",
                e,
            )
        };
        let fresh = data_dir.join(FRESH_NAME);
        match std::fs::remove_file(&fresh) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let folder = File::open(data_dir).map_err(failed)?;
        let listener =
            UnixListener::bind(address(data_dir, &folder, FRESH_NAME)).map_err(failed)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let owner = std::fs::metadata(&fresh).map_err(failed)?.uid();
        std::fs::rename(&fresh, &path).map_err(failed)?;
        Ok(Self {
            listener,
            path,
            owner,
        })
    }

    async fn serve<F>(
        self,
        answer: impl Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
        shutdown: impl Future<Output = ()> + Send,
    ) where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if self.may_ask(&stream) => {
                        let answer = answer.clone();
                        connections.spawn(serve_connection(stream, answer));
                    }
                    Ok(_) => tracing::warn!("refused a control connection from another user"),
                    // Out of descriptors, most likely: let some be closed.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
        while connections.join_next().await.is_some() {}
    }

    fn may_ask(&self, stream: &UnixStream) -> bool {
        stream
            .peer_cred()
            .is_ok_and(|peer| is_allowed(peer.uid(), self.owner))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Root could become the owner anyway.
fn is_allowed(peer: u32, owner: u32) -> bool {
    peer == owner || peer == ROOT
}

/// Serves the one request of a connection. The answer may take any time; who does not take it then is cut off.
async fn serve_connection<F>(stream: UnixStream, answer: impl Fn(Request<RequestBody>) -> F + Clone)
where
    F: Future<Output = Response<Body>>,
{
    let answered = Notify::new();
    let service = service_fn(|request| {
        let (answer, answered) = (answer.clone(), &answered);
        async move {
            let response = match whole(request).await {
                Ok(request) => answer(request).await,
                Err(error) => reply::problem(&error),
            };
            answered.notify_one();
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIMEOUT)
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let overdue = async {
        answered.notified().await;
        tokio::time::sleep(TIMEOUT).await;
    };
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "a control connection ended early");
        },
        () = overdue => tracing::debug!("the answer on a control connection was not taken"),
    }
}

/// The request with all of its body.
async fn whole(request: Request<Incoming>) -> Result<Request<RequestBody>> {
    let (parts, body) = request.into_parts();
    let body = tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_BODY).collect());
    let body = match body.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Error::TooLarge),
        Ok(Err(_)) | Err(_) => return Err(Error::Truncated),
    };
    Ok(Request::from_parts(parts, body.into()))
}

#[cfg(test)]
mod tests;
