//! A client of HTTP/2 that sends frames exactly as they are given to it.

use crate::program::{PASSWORD, Serving};
use crate::tls::{Browser, Tls, tls_address};
use base64::Engine as _;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ACK: u8 = 1;

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    Reset,
    /// The whole connection ended.
    Ended,
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header list as literals that nobody has to remember.
pub fn list(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |out: &mut Vec<u8>, text: &[u8]| {
        if text.len() < 127 {
            out.push(u8::try_from(text.len()).unwrap());
        } else {
            out.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                out.push(u8::try_from(rest % 128 + 128).unwrap());
                rest /= 128;
            }
            out.push(u8::try_from(rest).unwrap());
        }
        out.extend_from_slice(text);
    };
    for (name, value) in pairs {
        out.push(0);
        text(&mut out, name);
        text(&mut out, value);
    }
    out
}

/// The list of a request of ana's with these headers besides.
pub fn request(method: &str, path: &str, more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let signed = base64::engine::general_purpose::STANDARD.encode(format!("ana:{PASSWORD}"));
    let signed = format!("Basic {signed}");
    let mut pairs: Vec<(&[u8], &[u8])> = vec![
        (b":method", method.as_bytes()),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", path.as_bytes()),
        (b"authorization", signed.as_bytes()),
    ];
    pairs.extend_from_slice(more);
    list(&pairs)
}

/// A connection of it.
pub struct Raw(Tls);

impl Raw {
    /// A connection that has said its preface and these settings.
    pub fn begin(serving: &Serving, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self::silent(serving);
        let pairs = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        let settings = frame(SETTINGS, 0, 0, pairs.collect::<Vec<_>>());
        raw.send(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat())
            .unwrap();
        raw
    }

    /// A connection over which nothing was said.
    pub fn silent(serving: &Serving) -> Self {
        let mut tls = Browser::asking_for(&[b"h2"]).connect(tls_address(serving), "localhost");
        tls.stream()
            .sock
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(tls)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.stream().write_all(bytes)?;
        self.0.stream().flush()
    }

    /// Sends a request whose body has ended.
    pub fn ask(&mut self, stream: u32, method: &str, path: &str) {
        self.send(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            request(method, path, &[]),
        ))
        .unwrap();
    }

    /// The next frame; `None` when the connection has ended.
    pub fn receive(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.read(9)?.try_into().unwrap();
        let payload = self
            .read(usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]))?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }

    fn read(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        match self.0.stream().read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                panic!("nothing comes, and nothing ends")
            }
            Err(_) => None,
        }
    }

    /// The next frame of a kind.
    pub fn find(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.receive()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// What comes of a stream, the first that was answered on this connection.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        while let Some(frame) = self.receive() {
            match frame.kind {
                HEADERS if frame.stream == stream => {
                    return Outcome::Status(status(&frame.payload));
                }
                RST_STREAM if frame.stream == stream => return Outcome::Reset,
                _ => {}
            }
        }
        Outcome::Ended
    }

    /// Whether it ends within a time, whatever comes before.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut scratch = [0; 16 << 10];
        loop {
            let left = until
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1));
            self.0.stream().sock.set_read_timeout(Some(left)).unwrap();
            match self.0.stream().read(&mut scratch) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return !matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    );
                }
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }

    /// Whether the server answers a PING on it.
    pub fn lives(&mut self) -> bool {
        let sent = self.send(&frame(PING, 0, 0, b"are you?"));
        sent.is_ok() && std::iter::from_fn(|| self.find(PING)).any(|frame| frame.flags & ACK != 0)
    }
}

/// The status at the beginning of a list, the first of its connection.
fn status(list: &[u8]) -> u16 {
    match list[0] {
        // A table size that the server tells first.
        0x20..=0x3f => status(&list[1..]),
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // A literal with the name of the static table, its digits in Huffman's code or as they are.
        0x48 | 0x08 if list[1] & 0x80 == 0 => {
            std::str::from_utf8(&list[2..5]).unwrap().parse().unwrap()
        }
        0x48 | 0x08 => digits(&list[2..2 + usize::from(list[1] & 0x7f)]),
        other => panic!("no status begins with {other:#x}"),
    }
}

/// Three digits in the code of HPACK: 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> = bytes
        .iter()
        .flat_map(|b| (0..8).rev().map(move |at| u16::from(b >> at & 1)))
        .collect();
    let number = |bits: &[u16]| bits.iter().fold(0, |sum, bit| sum * 2 + bit);
    let (mut at, mut value) = (0, 0);
    for _ in 0..3 {
        let (digit, length) = match number(&bits[at..at + 5]) {
            short @ 0..=2 => (short, 5),
            _ => (number(&bits[at..at + 6]) - 0b01_1001 + 3, 6),
        };
        (at, value) = (at + length, value * 10 + digit);
    }
    value
}
