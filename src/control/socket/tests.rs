//! Tests of socket.

use super::*;
use crate::config::Config;
use crate::control::{ApiCall, CallError, Client};
use crate::http::api::admin::accounts::NewPassword;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// Where the answer is more than the system keeps for who does not read it.
const LARGE: &str = "/large";

/// A server that answers with what it was asked, until `stop` is sent.
async fn serve(data_dir: &Path) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let socket = Socket::bind(data_dir).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let answer = |request: Request<RequestBody>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if parts.uri.path() == LARGE {
            return Response::new(Body::full(vec![b'x'; 32 << 20]));
        }
        let seen = json!([parts.method.as_str(), parts.uri.to_string(), body.len()]);
        Response::new(Body::full(seen.to_string()))
    };
    (
        stop,
        tokio::spawn(socket.serve(answer, async { drop(stopped.await) })),
    )
}

async fn send(data_dir: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(data_dir.join(NAME)).await.unwrap();
    // A server that refuses what it has read may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8(reply).unwrap()
}

async fn client(data_dir: &Path) -> Option<Client> {
    Client::connect(data_dir).await.map(Result::unwrap)
}

fn call() -> ApiCall {
    ApiCall::get(&["accounts"])
}

#[tokio::test]
async fn a_call_reaches_the_server_and_its_answer_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    assert!(client(dir.path()).await.is_none(), "no server yet");
    let (stop, server) = serve(dir.path()).await;
    let mode = std::fs::metadata(dir.path().join(NAME)).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let asking = client(dir.path()).await.unwrap();
    let password = "blue kettle 77".to_owned().into();
    let call = ApiCall::put(&["accounts", "ana", "password"]).json(&NewPassword { password });
    let seen: Value = asking.ask(call).await.unwrap();
    assert_eq!(seen, json!(["PUT", "/api/v1/accounts/ana/password", 29]));
    stop.send(()).unwrap();
    server.await.unwrap();
    assert!(client(dir.path()).await.is_none(), "the server has gone");
    assert!(!dir.path().join(NAME).exists());
}

#[tokio::test]
async fn what_is_no_request_or_too_large_is_refused_and_the_server_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (stop, server) = serve(dir.path()).await;
    // As a program of a former version asks.
    assert!(
        send(dir.path(), b"{\"do\":\"user-list\"}\n")
            .await
            .starts_with("HTTP/1.1 400")
    );
    let head = [
        b"GET / HTTP/1.1\r\nx: ".as_slice(),
        &vec![b'x'; 128 << 10],
        b"\r\n\r\n",
    ]
    .concat();
    assert!(send(dir.path(), &head).await.starts_with("HTTP/1.1 431"));
    let many = "x: y\r\n".repeat(MAX_HEADERS + 1);
    let head = format!("GET / HTTP/1.1\r\n{many}\r\n");
    assert!(
        send(dir.path(), head.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    let announced = format!("PUT / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", MAX_BODY + 1);
    let body = [announced.into_bytes(), vec![b'x'; MAX_BODY + 1]].concat();
    assert!(send(dir.path(), &body).await.starts_with("HTTP/1.1 413"));
    let seen: Value = client(dir.path()).await.unwrap().ask(call()).await.unwrap();
    assert_eq!(seen[0], "GET");
    stop.send(()).unwrap();
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_sends_no_whole_request_or_takes_no_answer_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (stop, server) = serve(dir.path()).await;
    let began = tokio::time::Instant::now();
    assert_eq!(send(dir.path(), b"GET / HT").await, "");
    let body = send(dir.path(), b"PUT / HTTP/1.1\r\ncontent-length: 5\r\n\r\nx").await;
    assert!(body.starts_with("HTTP/1.1 400"), "{body}");
    assert!(began.elapsed() >= TIMEOUT * 2);
    // At the end of the server nothing of this is waited for any longer.
    let silent = UnixStream::connect(dir.path().join(NAME)).await.unwrap();
    let mut unread = UnixStream::connect(dir.path().join(NAME)).await.unwrap();
    let large = format!("GET {LARGE} HTTP/1.1\r\n\r\n");
    unread.write_all(large.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    stop.send(()).unwrap();
    let began = tokio::time::Instant::now();
    server.await.unwrap();
    assert!(began.elapsed() <= TIMEOUT * 2);
    let mut taken = Vec::new();
    let _ = unread.read_to_end(&mut taken).await;
    assert!(taken.len() < 32 << 20, "{} bytes", taken.len());
    drop(silent);
}

#[tokio::test]
async fn a_server_of_another_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    let app = App::open(config).await.unwrap();
    let newer = [
        ApiCall::post(&["local", "nothing-yet"]),
        ApiCall::put(&["overview"]),
        ApiCall::post(&["local", "replaced-trees"]).json(&json!({"place": "x", "new": 1})),
        ApiCall::get(&["locks"]).query(&json!({"new": 1})),
    ];
    for call in newer {
        let name = format!("{call:?}");
        let error = Client::in_process(&app)
            .ask::<Value>(call)
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::OtherVersion),
            "{name}: {error:?}"
        );
        assert_eq!(
            error.to_string(),
            "The running server is of another version: restart it."
        );
    }
    app.close().await.unwrap();
    // One that has the protocol of before: a line of JSON.
    let listener = UnixListener::bind(dir.path().join(NAME)).unwrap();
    let former = tokio::spawn(async move {
        drop(listener.accept().await.unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 64];
        let _ = stream.read(&mut asked).await.unwrap();
        stream
            .write_all(b"{\"refused\":\"What?\"}\n")
            .await
            .unwrap();
    });
    let asking = client(dir.path()).await.unwrap();
    let error = asking.ask::<Value>(call()).await.unwrap_err();
    assert!(matches!(error, CallError::OtherVersion), "{error:?}");
    former.await.unwrap();
}

#[tokio::test]
async fn a_leftover_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join(NAME)).unwrap());
    assert!(
        client(dir.path()).await.is_none(),
        "nobody answers on a leftover"
    );
    let (stop, server) = serve(dir.path()).await;
    assert!(matches!(
        Socket::bind(dir.path()).await,
        Err(Error::Forbidden(_))
    ));
    let first = client(dir.path()).await.unwrap();
    assert!(
        first.ask::<Value>(call()).await.is_ok(),
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
    assert!(client(&deep).await.is_none());
    let (stop, server) = serve(&deep).await;
    let asking = client(&deep).await.unwrap();
    assert!(asking.ask::<Value>(call()).await.is_ok());
    stop.send(()).unwrap();
    server.await.unwrap();
    assert!(
        std::fs::read_dir(&deep).unwrap().next().is_none(),
        "nothing is left behind"
    );
    assert!(client(&dir.path().join("absent")).await.is_none());
}

#[test]
fn only_the_owner_and_root_may_ask() {
    assert!(is_allowed(1000, 1000) && is_allowed(0, 1000));
    assert!(!is_allowed(1001, 1000) && !is_allowed(1000, 0));
}
