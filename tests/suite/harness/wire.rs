//! HTTP/1.1 on a bare socket: bytes go out exactly as written, replies are read strictly.

#![allow(
    clippy::wrong_self_convention,
    reason = "`reply.is(201)` reads as what it demands"
)]

use super::multistatus::Multistatus;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A reply, its header names as sent.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What was asked, for messages.
    pub asked: String,
}

impl Reply {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All headers of a name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text()).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The lock token of the `Lock-Token` header, without its brackets.
    #[track_caller]
    pub fn token(&self) -> String {
        let value = self
            .header("lock-token")
            .unwrap_or_else(|| panic!("no Lock-Token in {self}"));
        value
            .strip_prefix('<')
            .and_then(|v| v.strip_suffix('>'))
            .expect("token in angle brackets")
            .to_owned()
    }

    /// Demands one of these statuses.
    #[track_caller]
    pub fn is_any(self, statuses: &[u16]) -> Self {
        assert!(
            statuses.contains(&self.status),
            "want {statuses:?}, got {self}"
        );
        self
    }

    /// Demands this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        self.is_any(&[status])
    }

    /// The body of a 207.
    #[track_caller]
    pub fn multistatus(&self) -> Multistatus {
        assert_eq!(self.status, 207, "want a multistatus, got {self}");
        Multistatus::parse(&self.text()).unwrap_or_else(|reason| panic!("{reason} in {self}"))
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text();
        let start: String = text.chars().take(600).collect();
        write!(
            f,
            "{} from `{}`: {:?} {start}",
            self.status, self.asked, self.headers
        )
    }
}

/// A connection that can be abused.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects; nothing blocks longer than 30 s.
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::with_capacity(64 << 10, stream),
        }
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Says that nothing more will be written.
    pub fn finish(&mut self) {
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }

    /// Writes one request and reads its reply; a server that closes without a word gives status 0.
    pub fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        let bytes = bytes.as_ref();
        let asked = String::from_utf8_lossy(&bytes[..bytes.len().min(120)])
            .lines()
            .next()
            .unwrap_or("")
            .to_owned();
        let head = asked.starts_with("HEAD ");
        let _ = self.write(bytes);
        self.read_reply(head, &asked).unwrap_or_else(|_| Reply {
            status: 0,
            headers: Vec::new(),
            body: Vec::new(),
            asked,
        })
    }

    /// Reads one reply with its whole body; fails where the body ends before it should.
    pub fn read_reply(&mut self, head_request: bool, asked: &str) -> io::Result<Reply> {
        let mut reply = self.read_head(asked)?;
        if head_request || matches!(reply.status, 204 | 304) {
            return Ok(reply);
        }
        let chunked = reply
            .header("transfer-encoding")
            .is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        if chunked {
            reply.body = self.read_chunks()?;
        } else if let Some(length) = reply.header("content-length") {
            let mut body = vec![0; length.parse().map_err(io::Error::other)?];
            self.stream.read_exact(&mut body)?;
            reply.body = body;
        } else {
            self.stream.read_to_end(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// Reads the head of the final reply, passing over interim ones.
    pub fn read_head(&mut self, asked: &str) -> io::Result<Reply> {
        loop {
            let line = self.read_line()?;
            let status = line.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok());
            let status =
                status.ok_or_else(|| io::Error::other(format!("bad status line {line:?}")))?;
            let mut headers = Vec::new();
            loop {
                let line = self.read_line()?;
                let Some((name, value)) = line.split_once(':') else {
                    break;
                };
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
            if status >= 200 {
                return Ok(Reply {
                    status,
                    headers,
                    body: Vec::new(),
                    asked: asked.to_owned(),
                });
            }
        }
    }

    /// Reads the 100 that answers `Expect: 100-continue`: the server has begun to read the body.
    pub fn read_continue(&mut self) {
        let line = self.read_line().unwrap();
        assert!(line.starts_with("HTTP/1.1 100"), "{line}");
        while !self.read_line().unwrap().is_empty() {}
    }

    /// Reads up to `buffer.len()` bytes of whatever comes; 0 at the end.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line)
            .trim_end_matches(['\r', '\n'])
            .to_owned())
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                .map_err(io::Error::other)?;
            if size == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(body);
            }
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..])?;
            self.read_line()?;
        }
    }
}
