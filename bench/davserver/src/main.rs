//! A peer for the benchmark: the dav-server crate as its examples use it. `davserver PORT FOLDER`

use dav_server::{DavHandler, body::Body, localfs::LocalFs, memls::MemLs};
use headers::{Authorization, HeaderMapExt, authorization::Basic};
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, net::SocketAddr};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let dav = DavHandler::builder()
        .filesystem(LocalFs::new(&args[2], false, false, false))
        .locksystem(MemLs::new())
        .strip_prefix("/")
        .build_handler();
    let address = SocketAddr::from(([127, 0, 0, 1], args[1].parse().unwrap()));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let dav = dav.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(dav.clone(), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(dav: DavHandler, request: hyper::Request<hyper::body::Incoming>) -> Result<Response<Body>, Infallible> {
    let who = request.headers().typed_get::<Authorization<Basic>>();
    if who.is_some_and(|basic| basic.username() == "bench" && basic.password() == "bench-pass-1") {
        return Ok(dav.handle(request).await);
    }
    Ok(Response::builder().status(401).header("WWW-Authenticate", "Basic realm=x").body(Body::empty()).unwrap())
}
