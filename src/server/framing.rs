//! Follows the framing of a request stream, only to notice what hyper hides: a request with both `Content-Length` and
//! `Transfer-Encoding` reaches the service without the former, and a bare LF ends a line. Proxies may read either otherwise.

/// A longer line than this is cut; no line that matters here is longer.
const LINE: usize = 128;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No request has begun; there was one before.
    Idle,
    /// The head of a request (or its first byte, on a new connection).
    Head,
    /// The body of a request.
    Body,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    Skip(u64),
    ChunkSize,
    Chunk(u64),
    Trailer,
}

/// The state of one connection's request stream.
#[derive(Debug, Default)]
pub(super) struct Framing {
    place: Place,
    line: Vec<u8>,
    cut: bool,
    /// Lines of the present head so far.
    lines: usize,
    requests: usize,
    length: Option<u64>,
    chunked: bool,
    ambiguous: bool,
}

impl Framing {
    /// Whether some head up to now can be read in two ways.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// What the next byte belongs to.
    pub(super) fn phase(&self) -> Phase {
        match self.place {
            Place::Head if self.requests > 0 && self.lines == 0 && self.line.is_empty() => Phase::Idle,
            Place::Head => Phase::Head,
            _ => Phase::Body,
        }
    }

    /// Follows the next bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Skip(left) => self.skip(bytes, left, Place::Skip, Place::Head),
                Place::Chunk(left) => self.skip(bytes, left, Place::Chunk, Place::ChunkSize),
                Place::Head | Place::ChunkSize | Place::Trailer => self.read_line(bytes),
            };
        }
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, here: fn(u64) -> Place, next: Place) -> &'a [u8] {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - taken as u64;
        self.place = if left == 0 { next } else { here(left) };
        bytes.get(taken..).unwrap_or_default()
    }

    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (text, rest) = match end {
            Some(end) => (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default()),
            None => (bytes, &[][..]),
        };
        let room = LINE.saturating_sub(self.line.len());
        self.cut |= text.len() > room;
        self.line.extend_from_slice(text.get(..room).unwrap_or(text));
        if self.cut
            && let (Some(kept), Some(&last)) = (self.line.last_mut(), text.last())
        {
            // Whether the line ends in CR is known from its last byte even when the line is cut.
            *kept = last;
        }
        if end.is_some() {
            let mut line = std::mem::take(&mut self.line);
            if line.pop_if(|last| *last == b'\r').is_none() {
                self.ambiguous = true;
            }
            self.end_line(&line);
            line.clear();
            (self.line, self.cut) = (line, false);
        }
        rest
    }

    fn end_line(&mut self, line: &[u8]) {
        match self.place {
            Place::Head if !line.is_empty() => self.head_line(line),
            // Empty lines before a request are passed over (RFC 9112 section 2.2).
            Place::Head if self.lines == 0 => {}
            Place::Head => self.end_head(),
            Place::ChunkSize => self.chunk_line(line),
            Place::Trailer if line.is_empty() => self.place = Place::Head,
            _ => {}
        }
    }

    fn head_line(&mut self, line: &[u8]) {
        self.lines += 1;
        if self.lines == 1 {
            return;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.get(1..).unwrap_or_default().trim_ascii();
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            self.ambiguous |= self.cut || number.is_none();
            self.length = number;
        }
    }

    fn end_head(&mut self) {
        self.ambiguous |= self.chunked && self.length.is_some();
        self.place = match self.length {
            _ if self.chunked => Place::ChunkSize,
            Some(length) if length > 0 => Place::Skip(length),
            _ => Place::Head,
        };
        (self.lines, self.length, self.chunked) = (0, None, false);
        self.requests += 1;
    }

    fn chunk_line(&mut self, line: &[u8]) {
        let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let digits = line.get(..end).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        match u64::from_str_radix(digits, 16) {
            Ok(0) => self.place = Place::Trailer,
            // The chunk's own CRLF follows its bytes.
            Ok(size) => self.place = Place::Chunk(size.saturating_add(2)),
            Err(_) => self.ambiguous = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a stream is ambiguous and where it stands, the same however it is cut into pieces.
    fn follow(stream: &str) -> (bool, Phase) {
        let mut whole = Framing::default();
        whole.read(stream.as_bytes());
        for size in [1, 2, 7] {
            let mut pieces = Framing::default();
            stream.as_bytes().chunks(size).for_each(|piece| pieces.read(piece));
            assert_eq!((pieces.is_ambiguous(), pieces.phase()), (whole.is_ambiguous(), whole.phase()), "{stream:?}");
        }
        (whole.is_ambiguous(), whole.phase())
    }

    #[test]
    fn plain_streams_are_followed_to_their_end() {
        let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(300));
        for stream in [
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length:  30 \r\n\r\ncontent-length: 1\r\n\ntransfer-eGET / HTTP/1.1\r\n\r\n",
            "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1c;x=y\r\ncontent-length: 1\n\ntransfer-\r\n0\r\nx: y\r\n\r\n",
            "PUT / HTTP/1.1\r\ncontent-length: 0\r\n\r\nPUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            &long,
        ] {
            assert_eq!(follow(stream), (false, Phase::Idle), "{stream:?}");
        }
        assert_eq!(follow(""), (false, Phase::Head));
        assert_eq!(follow("GET / HT"), (false, Phase::Head));
        assert_eq!(follow("PUT / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab"), (false, Phase::Body));
    }

    #[test]
    fn two_framings_and_bare_line_ends_are_noticed() {
        for stream in [
            "PUT / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
            "PUT / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\nCONTENT-LENGTH: 3\r\n\r\n",
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
            "PUT / HTTP/1.1\r\ncontent-length: 1x\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\nPUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
            "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
        ] {
            assert!(follow(stream).0, "{stream:?}");
        }
    }
}
