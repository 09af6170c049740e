//! The PROXY protocol, versions 1 and 2: a header before all else by which a proxy says whose connection it passes on. It is
//! read from the networks that the settings name, which must send it, and from nobody else.

use crate::config::IpNetwork;
use parking_lot::Mutex;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How the binary header begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// How the line of version 1 begins.
const LINE: &[u8] = b"PROXY ";
/// The longest such line, with its end.
const MAX_LINE: usize = 107;
/// The most that may follow the first 16 bytes of a binary header: addresses and what proxies add about TLS and themselves.
const MAX_REST: usize = 1024;
/// How often it is said again that a header is missing, or comes from a stranger.
const REMIND: Duration = Duration::from_secs(60);
const REFUSAL: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 77\r\n\r\n\
    This server expects a PROXY protocol header from this address, and got none.\n";

/// The networks whose headers are read.
#[derive(Debug)]
pub(super) struct TrustedProxies {
    networks: Vec<IpNetwork>,
    /// That one of them sends no header.
    missing: LogRateLimit,
    /// That somebody else sends one.
    stranger: LogRateLimit,
}

/// When something was last said.
#[derive(Debug, Default)]
struct LogRateLimit(Mutex<Option<Instant>>);

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProxiedPeer {
    Client(SocketAddr),
    /// The proxy's own, or that of a client without an address.
    Local,
}

impl TrustedProxies {
    pub(super) fn new(networks: &[IpNetwork]) -> Self {
        Self {
            networks: networks.to_vec(),
            missing: LogRateLimit::default(),
            stranger: LogRateLimit::default(),
        }
    }

    /// Whether a peer must send a header.
    pub(super) fn contain(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(peer))
    }

    /// Reads the header of such a peer, and nothing that follows it. The client's address; the peer's own where the header tells of none;
    /// `None` when the connection was refused.
    pub(super) async fn read(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        patience: Duration,
    ) -> Option<SocketAddr> {
        let told = tokio::time::timeout(patience, read(stream)).await;
        match told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(ProxiedPeer::Client(client)) if may_be_a_client(client.ip(), peer.ip()) => {
                Some(client)
            }
            Ok(_) => Some(peer),
            // One that connects and goes looks whether somebody listens.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                ) =>
            {
                None
            }
            Err(error) => {
                if self.missing.is_due() {
                    tracing::warn!(
                        %peer, %error,
                        "a connection from an address in server.proxy_protocol was refused, since it did not begin with a PROXY protocol \
                         header: have the proxy send it (haproxy: send-proxy-v2), or take the address out of that setting"
                    );
                }
                // What is left unread would reset the connection, and the peer would not see the answer.
                let _ = stream.try_read(&mut [0; 4 << 10]);
                let _ = stream.write_all(REFUSAL).await;
                None
            }
        }
    }

    /// Tells of a peer that sent a header and is none of them.
    pub(super) fn warn_untrusted_peer(&self, peer: SocketAddr) {
        if self.stranger.is_due() {
            tracing::warn!(
                %peer,
                "a connection was refused that began with a PROXY protocol header, since its address is not in server.proxy_protocol: \
                 if it is your proxy, name it there"
            );
        }
    }
}

impl LogRateLimit {
    /// Whether it is to be said again, which is taken for said.
    fn is_due(&self) -> bool {
        let mut said = self.0.lock();
        let is_due = said.is_none_or(|at| at.elapsed() >= REMIND);
        if is_due {
            *said = Some(Instant::now());
        }
        is_due
    }
}

/// Whether bytes begin like a header of either version.
pub(super) fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(LINE) || bytes.starts_with(&SIGNATURE)
}

/// Whether a proxy at `proxy` can mean this: that it talks to itself says nothing about this machine.
fn may_be_a_client(client: IpAddr, proxy: IpAddr) -> bool {
    let client = client.to_canonical();
    let proxy = proxy.to_canonical();
    !client.is_unspecified()
        && !client.is_multicast()
        && (!client.is_loopback() || proxy.is_loopback())
}

async fn read(stream: &mut TcpStream) -> io::Result<ProxiedPeer> {
    // Each header is longer than this, and so is each other beginning of a connection.
    let mut first = [0; SIGNATURE.len()];
    stream.read_exact(&mut first).await?;
    let told = if first == SIGNATURE {
        let mut fixed = [0; 4];
        stream.read_exact(&mut fixed).await?;
        let [command, family, high, low] = fixed;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > MAX_REST {
            return Err(io::Error::other(format!(
                "the header has {length} bytes, more than {MAX_REST}"
            )));
        }
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await?;
        binary(command, family, &rest)
    } else if first.starts_with(LINE) {
        line(&read_line(stream, &first).await?)
    } else {
        return Err(io::Error::other("it began with something else"));
    };
    told.ok_or_else(|| io::Error::other("the header is malformed"))
}

async fn read_line(stream: &mut TcpStream, first: &[u8]) -> io::Result<Vec<u8>> {
    let mut line = first.to_vec();
    while !line.ends_with(b"\n") {
        let mut next = [0; MAX_LINE];
        let room = next.get_mut(line.len()..).filter(|room| !room.is_empty());
        let room = room
            .ok_or_else(|| io::Error::other(format!("the line has more than {MAX_LINE} bytes")))?;
        let seen = match stream.peek(room).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            seen => room.get_mut(..seen).unwrap_or_default(),
        };
        // What stands behind the end of the line is not the header's.
        let own = memchr::memchr(b'\n', seen).map_or(seen.len(), |end| end + 1);
        let own = seen.get_mut(..own).unwrap_or_default();
        stream.read_exact(own).await?;
        line.extend_from_slice(own);
    }
    Ok(line)
}

/// What a line of version 1 says; `None` when it is malformed.
fn line(line: &[u8]) -> Option<ProxiedPeer> {
    let text = line.strip_suffix(b"\r\n")?.strip_prefix(LINE)?;
    if text == b"UNKNOWN" || text.starts_with(b"UNKNOWN ") {
        return Some(ProxiedPeer::Local);
    }
    let words: Vec<&str> = std::str::from_utf8(text).ok()?.split(' ').collect();
    let &[family, source, destination, from, to] = words.as_slice() else {
        return None;
    };
    let source: IpAddr = match family {
        "TCP4" => destination
            .parse::<Ipv4Addr>()
            .and(source.parse::<Ipv4Addr>())
            .ok()?
            .into(),
        "TCP6" => destination
            .parse::<Ipv6Addr>()
            .and(source.parse::<Ipv6Addr>())
            .ok()?
            .into(),
        _ => return None,
    };
    port(to)?;
    Some(ProxiedPeer::Client(SocketAddr::new(source, port(from)?)))
}

/// A port as it is written in one way only.
fn port(text: &str) -> Option<u16> {
    text.parse()
        .ok()
        .filter(|port: &u16| port.to_string() == text)
}

/// What a header of version 2 says; `None` when it is malformed.
fn binary(command: u8, family: u8, rest: &[u8]) -> Option<ProxiedPeer> {
    match command {
        // LOCAL: whatever else it says does not count.
        0x20 => return Some(ProxiedPeer::Local),
        0x21 => {}
        _ => return None,
    }
    let (source, from) = match family {
        0x00 => return Some(ProxiedPeer::Local),
        // TCP, or UDP for a client of HTTP/3, over IPv4: two addresses, then two ports.
        0x11 | 0x12 => {
            let &[source @ .., _, _, _, _, high, low, _, _] = rest.first_chunk::<12>()?;
            (IpAddr::from(source), [high, low])
        }
        0x21 | 0x22 => {
            let (source, rest) = rest.split_first_chunk::<16>()?;
            let ports = rest.first_chunk::<20>()?.last_chunk::<4>()?;
            let &[high, low, _, _] = ports;
            (IpAddr::from(*source), [high, low])
        }
        0x31 | 0x32 => return (rest.len() >= 216).then_some(ProxiedPeer::Local),
        _ => return None,
    };
    Some(ProxiedPeer::Client(SocketAddr::new(
        source,
        u16::from_be_bytes(from),
    )))
}

#[cfg(test)]
mod tests;
