//! Follows the framing of a request stream, to notice what hyper hides: a request with both `Content-Length` and
//! `Transfer-Encoding` reaches the service without the former, a bare LF ends a line, and of the codings only the last
//! counts. Proxies may read all of them otherwise.

/// A longer line than this is cut; no line that matters here is longer.
const LINE: usize = 128;
/// How the line begins that says the coding.
const CODING: &[u8] = b"transfer-encoding:";
/// What [`UNKNOWN_CODING`](crate::http::framing::UNKNOWN_CODING) begins with.
const UNKNOWN_INITIAL: u8 = b'!';

/// Whether a value of `Transfer-Encoding` is one `chunked`; a CR at its end belongs to the line's.
fn is_chunked(value: &[u8]) -> bool {
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !is_blank(byte))
        .map_or(start, |last| last + 1);
    value
        .get(start..end)
        .is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
}

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
enum FramingState {
    #[default]
    Head,
    Skip(u64),
    ChunkSize,
    Chunk(u64),
    Trailer,
}

/// The state of one connection's request stream.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of one head that do not depend on each other"
)]
pub(super) struct Http1Framing {
    place: FramingState,
    line: Vec<u8>,
    cut: bool,
    /// Lines of the present head so far.
    lines: usize,
    requests: usize,
    length: Option<u64>,
    chunked: bool,
    /// The present head has a `Transfer-Encoding` other than one `chunked`.
    unknown_coding: bool,
    ambiguous: bool,
}

impl Http1Framing {
    /// Whether some head up to now can be read in two ways.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// What the next byte belongs to.
    pub(super) fn phase(&self) -> Phase {
        match self.place {
            FramingState::Head if self.requests > 0 && self.lines == 0 && self.line.is_empty() => {
                Phase::Idle
            }
            FramingState::Head => Phase::Head,
            _ => Phase::Body,
        }
    }

    /// Follows the next bytes and says how many of them hyper may see now; the others are to come again, with what follows
    /// them. A `Transfer-Encoding` other than one `chunked` gets the name [`UNKNOWN_CODING`](crate::http::framing::UNKNOWN_CODING) on the way.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> usize {
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let taken = match self.place {
                FramingState::Skip(left) => {
                    self.skip(rest.len(), left, FramingState::Skip, FramingState::Head)
                }
                FramingState::Chunk(left) => self.skip(
                    rest.len(),
                    left,
                    FramingState::Chunk,
                    FramingState::ChunkSize,
                ),
                FramingState::Head | FramingState::ChunkSize | FramingState::Trailer => {
                    self.read_line(rest)
                }
            };
            if taken == 0 {
                break;
            }
            read += taken;
        }
        read
    }

    fn skip(
        &mut self,
        available: usize,
        left: u64,
        here: fn(u64) -> FramingState,
        next: FramingState,
    ) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(available);
        let left = left - taken as u64;
        self.place = if left == 0 { next } else { here(left) };
        taken
    }

    /// Takes a line, or as much of it as there is; nothing while it may yet become a `Transfer-Encoding`.
    fn read_line(&mut self, bytes: &mut [u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let length = end.unwrap_or(bytes.len());
        if self.is_coding(bytes.get(..length).unwrap_or_default(), end.is_some()) {
            match end {
                None if length <= LINE => return 0,
                Some(_)
                    if length <= LINE
                        && self.may_be_chunked(bytes.get(..length).unwrap_or_default()) => {}
                _ => {
                    self.unknown_coding = true;
                    if let Some(first) = bytes.first_mut() {
                        *first = UNKNOWN_INITIAL;
                    }
                }
            }
        }
        if end.is_some() && length <= LINE && self.line.is_empty() {
            self.end_line(bytes.get(..length).unwrap_or_default());
            return length + 1;
        }
        self.keep(bytes.get(..length).unwrap_or_default());
        let Some(end) = end else { return bytes.len() };
        let mut line = std::mem::take(&mut self.line);
        self.end_line(&line);
        line.clear();
        (self.line, self.cut) = (line, false);
        end + 1
    }

    /// Keeps so much of a line as matters.
    fn keep(&mut self, text: &[u8]) {
        self.check_target(text);
        let room = LINE.saturating_sub(self.line.len());
        self.cut |= text.len() > room;
        self.line
            .extend_from_slice(text.get(..room).unwrap_or(text));
        if self.cut
            && let (Some(kept), Some(&last)) = (self.line.last_mut(), text.last())
        {
            // Whether the line ends in CR is known from its last byte even when the line is cut.
            *kept = last;
        }
    }

    /// Whether this `Transfer-Encoding` is one `chunked` and the first of its head.
    fn may_be_chunked(&self, line: &[u8]) -> bool {
        !self.chunked
            && !self.unknown_coding
            && is_chunked(line.get(CODING.len()..).unwrap_or_default())
    }

    /// Whether a line of a head is a `Transfer-Encoding`, or may become one when more of it comes. It is never taken in part.
    fn is_coding(&self, line: &[u8], whole: bool) -> bool {
        let is_at_start =
            self.place == FramingState::Head && self.lines > 0 && self.line.is_empty();
        let length = if whole {
            CODING.len()
        } else {
            CODING.len().min(line.len())
        };
        let head = line.get(..length);
        let name = CODING.get(..length);
        is_at_start
            && !line.is_empty()
            && head
                .zip(name)
                .is_some_and(|(head, name)| head.eq_ignore_ascii_case(name))
    }

    fn end_line(&mut self, line: &[u8]) {
        let (line, is_bare) = line
            .strip_suffix(b"\r")
            .map_or((line, true), |line| (line, false));
        self.ambiguous |= is_bare;
        match self.place {
            FramingState::Head if !line.is_empty() => self.head_line(line),
            // Empty lines before a request are passed over (RFC 9112 section 2.2).
            FramingState::Head if self.lines == 0 => {}
            FramingState::Head => self.end_head(),
            FramingState::ChunkSize => self.chunk_line(line),
            FramingState::Trailer if line.is_empty() => self.place = FramingState::Head,
            _ => {}
        }
    }

    fn head_line(&mut self, line: &[u8]) {
        self.check_target(line);
        self.lines += 1;
        if self.lines == 1 {
            return;
        }
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // An unknown one has another name here.
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.get(1..).unwrap_or_default().trim_ascii();
            let number = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse().ok());
            self.ambiguous |= self.cut || number.is_none();
            self.length = number;
        }
    }

    /// A target has no fragment (RFC 9112 section 3.2): hyper would drop it, and the request would be for something else.
    fn check_target(&mut self, line: &[u8]) {
        self.ambiguous |=
            self.place == FramingState::Head && self.lines == 0 && line.contains(&b'#');
    }

    fn end_head(&mut self) {
        self.ambiguous |= self.chunked && self.length.is_some();
        self.place = match self.length {
            // Nobody can tell where its body ends.
            _ if self.unknown_coding => FramingState::Skip(u64::MAX),
            _ if self.chunked => FramingState::ChunkSize,
            Some(length) if length > 0 => FramingState::Skip(length),
            _ => FramingState::Head,
        };
        (self.lines, self.length, self.chunked, self.unknown_coding) = (0, None, false, false);
        self.requests += 1;
    }

    fn chunk_line(&mut self, line: &[u8]) {
        let end = line
            .iter()
            .position(|byte| !byte.is_ascii_hexdigit())
            .unwrap_or(line.len());
        let digits = line
            .get(..end)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .unwrap_or_default();
        match u64::from_str_radix(digits, 16) {
            Ok(0) => self.place = FramingState::Trailer,
            // The chunk's own CRLF follows its bytes.
            Ok(size) => self.place = FramingState::Chunk(size.saturating_add(2)),
            Err(_) => self.ambiguous = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a stream is ambiguous and where it stands, the same however it is cut into pieces.
    fn follow(stream: &str) -> (bool, Phase) {
        let (whole, _) = pass(stream, stream.len().max(1));
        for size in [1, 2, 7] {
            let (pieces, _) = pass(stream, size);
            assert_eq!(
                (pieces.is_ambiguous(), pieces.phase()),
                (whole.is_ambiguous(), whole.phase()),
                "{stream:?}"
            );
        }
        (whole.is_ambiguous(), whole.phase())
    }

    /// What comes of a stream in pieces: the state after it, and the bytes that hyper sees.
    fn pass(stream: &str, size: usize) -> (Http1Framing, String) {
        let mut framing = Http1Framing::default();
        let mut held = Vec::new();
        let mut seen = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            held.extend_from_slice(piece);
            let read = framing.read(&mut held);
            seen.extend(held.drain(..read));
        }
        (framing, String::from_utf8(seen).unwrap())
    }

    #[test]
    fn codings_other_than_one_chunked_get_another_name() {
        let head = |lines: &str| format!("PUT / HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n");
        for (lines, seen) in [
            (
                "transfer-encoding:\tChunked ",
                "transfer-encoding:\tChunked ",
            ),
            (
                "transfer-encodin: gzip\r\nTrailer: transfer-encoding: x",
                "transfer-encodin: gzip\r\nTrailer: transfer-encoding: x",
            ),
            ("TE: trailers", "TE: trailers"),
            ("Transfer-Encoding: gzip", "!ransfer-Encoding: gzip"),
            ("transfer-encoding:", "!ransfer-encoding:"),
            (
                "transfer-encoding: gzip, chunked",
                "!ransfer-encoding: gzip, chunked",
            ),
            (
                "Transfer-encoding: chunked\r\ntransfer-encoding: chunked",
                "Transfer-encoding: chunked\r\n!ransfer-encoding: chunked",
            ),
        ] {
            for size in [1, 2, 7, 500] {
                assert_eq!(
                    pass(&head(lines), size).1,
                    head(seen),
                    "{lines:?} by {size}"
                );
            }
        }
        let long = head(&format!("transfer-encoding: {}chunked", " ".repeat(300)));
        for size in [1, 7, 500] {
            assert_eq!(pass(&long, size).1, long.replace("\r\nt", "\r\n!"));
        }
        assert_eq!(
            pass("transfer-encoding: gzip\r\n\r\n", 1).1,
            "transfer-encoding: gzip\r\n\r\n",
            "no header"
        );
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
        assert_eq!(
            follow("PUT / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab"),
            (false, Phase::Body)
        );
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
