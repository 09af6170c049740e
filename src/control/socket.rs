//! The way to a running server: `control.sock` in the data folder, one JSON line in, one JSON line out.
//! Only the user the server runs as, and root, may ask.

use super::{Request, Response, execute};
use crate::app::App;
use crate::model::{Error, Result};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

const NAME: &str = "control.sock";
const FRESH_NAME: &str = "control.new";
const MAX_ADDRESS: usize = 107;
const MAX_REQUEST: u64 = 64 * 1024;
/// Room for a list of tens of thousands of accounts.
const MAX_RESPONSE: u64 = 64 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Purging a home can take its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
const ROOT: u32 = 0;

/// Where administrators' requests arrive.
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
            async move { execute(&app, request).await }
        };
        self.socket.serve(answer, shutdown).await;
    }
}

/// Asks the server that runs on a data folder; `None` when none does.
pub async fn call(data_dir: &Path, request: &Request) -> Option<Result<Response>> {
    match connect(data_dir).await {
        Ok(stream) => Some(ask(stream, request).await),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => None,
        Err(e) => Some(Err(Error::io(
            "reach the running server over its control socket",
            e,
        ))),
    }
}

async fn connect(data_dir: &Path) -> std::io::Result<UnixStream> {
    let folder = File::open(data_dir)?;
    UnixStream::connect(address(data_dir, &folder, NAME)).await
}

/// The path of a socket in the data folder. The system takes no more than 107 bytes; a longer one goes through the open folder.
fn address(data_dir: &Path, folder: &File, name: &str) -> PathBuf {
    let direct = data_dir.join(name);
    if direct.as_os_str().len() <= MAX_ADDRESS {
        return direct;
    }
    PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

async fn ask(mut stream: UnixStream, request: &Request) -> Result<Response> {
    let failed =
        |e: std::io::Error| Error::io("talk to the running server over its control socket", e);
    let mut line = Zeroizing::new(serde_json::to_vec(request).map_err(|e| failed(e.into()))?);
    line.push(b'\n');
    stream.write_all(&line).await.map_err(failed)?;
    let mut reply = Vec::new();
    let mut reader = BufReader::new(stream.take(MAX_RESPONSE));
    let read = tokio::time::timeout(ANSWER_TIMEOUT, reader.read_until(b'\n', &mut reply)).await;
    read.map_err(|_| failed(ErrorKind::TimedOut.into()))?
        .map_err(failed)?;
    serde_json::from_slice(&reply).map_err(|e| failed(e.into()))
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
        answer: impl Fn(Request) -> F + Clone + Send + 'static,
        shutdown: impl Future<Output = ()> + Send,
    ) where
        F: Future<Output = Response> + Send + 'static,
    {
        let mut conversations = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = conversations.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if self.may_ask(&stream) => {
                        let answer = answer.clone();
                        conversations.spawn(converse(stream, answer));
                    }
                    Ok(_) => tracing::warn!("refused a control connection from another user"),
                    // Out of descriptors, most likely: let some be closed.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
        while conversations.join_next().await.is_some() {}
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

async fn converse<F>(mut stream: UnixStream, answer: impl Fn(Request) -> F)
where
    F: Future<Output = Response>,
{
    let response = match tokio::time::timeout(TIMEOUT, read_request(&mut stream)).await {
        Ok(Ok(request)) => answer(request).await,
        Ok(Err(sentence)) => Response::Refused(sentence.into()),
        Err(_) => Response::Refused("The request did not arrive in time.".into()),
    };
    if let Ok(mut line) = serde_json::to_vec(&response) {
        line.push(b'\n');
        // Whoever asked may have gone; what was asked is done all the same.
        let _ = tokio::time::timeout(TIMEOUT, stream.write_all(&line)).await;
    }
}

async fn read_request(stream: &mut UnixStream) -> Result<Request, &'static str> {
    let mut line = Zeroizing::new(Vec::new());
    let mut reader = BufReader::new(stream.take(MAX_REQUEST));
    let read = reader.read_until(b'\n', &mut line).await;
    match read {
        Ok(_) if line.ends_with(b"\n") => serde_json::from_slice(&line)
            .map_err(|_| "The server does not understand this request; is it another version than this program?"),
        Ok(_) => Err("The request is cut short, or larger than 64 KiB."),
        Err(_) => Err("The request could not be read."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    /// A server that answers with what it understood, until `stop` is sent.
    async fn serve(data_dir: &Path) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let socket = Socket::bind(data_dir).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let answer = |request: Request| async move { Response::Refused(format!("{request:?}")) };
        (
            stop,
            tokio::spawn(socket.serve(answer, async { drop(stopped.await) })),
        )
    }

    async fn send(data_dir: &Path, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(data_dir.join(NAME)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let _ = stream.shutdown().await;
        let mut reply = Vec::new();
        // A server that did not read all resets the connection after its answer.
        let _ = stream.read_to_end(&mut reply).await;
        String::from_utf8(reply).unwrap()
    }

    #[tokio::test]
    async fn a_request_reaches_the_server_and_its_answer_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            call(dir.path(), &Request::UserList).await.is_none(),
            "no server yet"
        );
        let (stop, server) = serve(dir.path()).await;
        let mode = std::fs::metadata(dir.path().join(NAME)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let request = Request::UserPasswd {
            name: "ana".to_owned().try_into().unwrap(),
            password: super::super::Password::new("blue kettle 77".into()),
        };
        let Some(Ok(Response::Refused(seen))) = call(dir.path(), &request).await else {
            panic!()
        };
        assert!(
            seen.contains("UserPasswd") && seen.contains("ana") && !seen.contains("kettle"),
            "{seen}"
        );
        stop.send(()).unwrap();
        server.await.unwrap();
        assert!(
            call(dir.path(), &Request::UserList).await.is_none(),
            "the server has gone"
        );
        assert!(!dir.path().join(NAME).exists());
    }

    #[tokio::test]
    async fn bad_requests_are_refused_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let (stop, server) = serve(dir.path()).await;
        assert!(
            send(dir.path(), b"{}\n")
                .await
                .contains("does not understand")
        );
        assert!(
            send(dir.path(), b"{\"do\":\"user-disable\",\"name\":\"../x\"}\n")
                .await
                .contains("not understand")
        );
        assert!(
            send(dir.path(), b"{\"do\":\"user-list\"}")
                .await
                .contains("cut short")
        );
        let large = [b"\"".as_slice(), &vec![b'x'; 64 * 1024], b"\"\n"].concat();
        assert!(
            send(dir.path(), &large)
                .await
                .contains("larger than 64 KiB")
        );
        assert!(
            send(dir.path(), b"{\"do\":\"user-list\"}\n")
                .await
                .contains("UserList"),
            "the server goes on"
        );
        stop.send(()).unwrap();
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_leftover_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(NAME)).unwrap());
        assert!(
            call(dir.path(), &Request::UserList).await.is_none(),
            "nobody answers on a leftover"
        );
        let (stop, server) = serve(dir.path()).await;
        assert!(matches!(
            Socket::bind(dir.path()).await,
            Err(Error::Forbidden(_))
        ));
        assert!(
            call(dir.path(), &Request::UserList).await.unwrap().is_ok(),
            "the first still answers"
        );
        stop.send(()).unwrap();
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_data_folder_with_a_long_path_has_a_socket_too() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("long name ".repeat(12));
        std::fs::create_dir(&deep).unwrap();
        assert!(call(&deep, &Request::UserList).await.is_none());
        let (stop, server) = serve(&deep).await;
        assert!(call(&deep, &Request::UserList).await.unwrap().is_ok());
        stop.send(()).unwrap();
        server.await.unwrap();
        assert!(
            std::fs::read_dir(&deep).unwrap().next().is_none(),
            "nothing is left behind"
        );
        assert!(
            call(&dir.path().join("absent"), &Request::UserList)
                .await
                .is_none()
        );
    }

    #[test]
    fn only_the_owner_and_root_may_ask() {
        assert!(is_allowed(1000, 1000) && is_allowed(0, 1000));
        assert!(!is_allowed(1001, 1000) && !is_allowed(1000, 0));
    }
}
