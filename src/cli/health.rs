//! `sarang health`: whether the server of these settings is ready, for what watches it where there is no other program to ask with.

use super::print;
use crate::config::{Config, ServerConfig};
use crate::server::reachable;
use anyhow::{Context, Result, anyhow, bail};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// As long as `/readyz` may take on a disk that hangs, and a second.
const PATIENCE: Duration = Duration::from_secs(6);
const QUESTION: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// Before it, where proxies speak of their clients.
const NOBODY: &[u8] = b"PROXY UNKNOWN\r\n";
const READY: &str = "200";

/// Asks the first listener without TLS. An error says what is wrong, also where none can be asked.
pub(super) async fn run(config: &Config) -> Result<()> {
    let Some(address) = config
        .server
        .listen
        .first()
        .copied()
        .filter(|address| address.port() != 0)
    else {
        bail!(
            "Nothing can be asked: server.listen names no address with a port. One on 127.0.0.1 is enough."
        );
    };
    let address = reachable(address);
    let answered = timeout(PATIENCE, ask(address, &config.server)).await;
    let status = answered
        .unwrap_or_else(|_| {
            Err(anyhow!(
                "there was no answer within {} seconds",
                PATIENCE.as_secs()
            ))
        })
        .with_context(|| format!("The server does not answer on {address}"))?;
    if status != READY {
        bail!("The server on {address} is not ready: it answers {status}. Its log says why.");
    }
    print("The server is ready.\n")
}

/// The status of `/readyz`.
async fn ask(address: SocketAddr, config: &ServerConfig) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let own = stream.local_addr()?.ip();
    let before: &[u8] = if config
        .proxy_protocol
        .iter()
        .any(|network| network.contains(own))
    {
        NOBODY
    } else {
        b""
    };
    stream.write_all(&[before, QUESTION].concat()).await?;
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await?;
    let line = String::from_utf8_lossy(&begin);
    let status = line
        .strip_prefix("HTTP/1.1 ")
        .context("what answers there is no HTTP server")?;
    Ok(status.to_owned())
}
