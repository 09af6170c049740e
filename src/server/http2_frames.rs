//! Follows the frames that come over an HTTP/2 connection (RFC 9113): what the next byte belongs to, and whether more comes of what
//! asks for nothing and costs the server work than any client needs. The HTTP library reads the frames; what it bounds itself
//! (streams at once, header lists, CONTINUATION, resets before a request was read) is not bounded here again.

use super::http1_framing::Phase;
use std::time::Duration;
use tokio::time::Instant;

/// The bytes that a client's side begins with.
const PREFACE: usize = 24;
/// The bytes that a frame begins with.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Streams that a client may reset: a browser that turns a page cancels the pictures of the last one, all at once.
const RESETS: FrameRate = FrameRate {
    at_once: 200,
    each_second: 20,
};
/// Frames that neither ask nor bring anything: SETTINGS, PING, PRIORITY, empty DATA, unknown ones, and `WINDOW_UPDATE` beyond what was sent.
const IDLE_TALK: FrameRate = FrameRate {
    at_once: 1000,
    each_second: 100,
};
/// For each so many bytes that were sent there may be a `WINDOW_UPDATE`: the smallest windows in use are 64 KiB.
const FOR_UPDATE: u64 = 1024;
/// So many bytes are remembered for it at most.
const REMEMBERED: u64 = 64 << 20;

/// How many of something there may be.
#[derive(Clone, Copy, Debug)]
struct FrameRate {
    at_once: u32,
    each_second: u32,
}

/// What is left of it.
#[derive(Debug)]
struct TokenBucket {
    rate: FrameRate,
    left: u32,
    since: Instant,
}

impl TokenBucket {
    fn new(rate: FrameRate) -> Self {
        Self {
            rate,
            left: rate.at_once,
            since: Instant::now(),
        }
    }

    /// Takes one; `false` when there is none.
    fn take(&mut self) -> bool {
        if self.left == 0 {
            let seconds = self.since.elapsed().as_secs();
            let more = u64::from(self.rate.each_second)
                .saturating_mul(seconds)
                .min(self.rate.at_once.into());
            self.left = u32::try_from(more).unwrap_or(self.rate.at_once);
            self.since += Duration::from_secs(seconds);
        }
        let is_one = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_one
    }
}

/// The state of one connection's frames.
#[derive(Debug)]
pub(super) struct FrameTracker {
    /// Bytes of the preface still to come.
    preface: usize,
    head: [u8; HEAD],
    /// How much of the next frame's head has come.
    filled: usize,
    /// Bytes of the present frame still to come.
    left: usize,
    kind: u8,
    has_begun: bool,
    /// A header list has begun and has not ended.
    in_list: bool,
    resets: TokenBucket,
    talk: TokenBucket,
    /// Bytes that were sent and answered by no `WINDOW_UPDATE` yet.
    sent: u64,
}

impl Default for FrameTracker {
    fn default() -> Self {
        Self {
            preface: PREFACE,
            head: [0; HEAD],
            filled: 0,
            left: 0,
            kind: DATA,
            has_begun: false,
            in_list: false,
            resets: TokenBucket::new(RESETS),
            talk: TokenBucket::new(IDLE_TALK),
            sent: 0,
        }
    }
}

impl FrameTracker {
    /// What the next byte belongs to. DATA is as no byte at all: who waits for it knows how long.
    pub(super) fn phase(&self) -> Phase {
        let is_frame = self.filled > 0 || (self.left > 0 && self.kind != DATA);
        if !self.has_begun || self.in_list || is_frame {
            Phase::Head
        } else {
            Phase::Idle
        }
    }

    /// Counts what was sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes as u64).min(REMEMBERED);
    }

    /// Follows the next bytes; `false` when the client does more than it may.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let taken = if self.preface > 0 {
                let taken = self.preface.min(bytes.len());
                self.preface -= taken;
                taken
            } else if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                taken
            } else {
                let taken = self.fill(bytes);
                if self.filled == HEAD && !self.begin() {
                    return false;
                }
                taken
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        true
    }

    fn fill(&mut self, bytes: &[u8]) -> usize {
        let room = self.head.get_mut(self.filled..).unwrap_or_default();
        let taken = room.len().min(bytes.len());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.filled += taken;
        taken
    }

    /// Begins a frame whose head has come; whether there may be one of its kind.
    fn begin(&mut self) -> bool {
        let [a, b, c, kind, flags, ..] = self.head;
        (self.filled, self.has_begun) = (0, true);
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.kind = kind;
        match kind {
            DATA if self.left > 0 || flags & END_STREAM != 0 => true,
            HEADERS | CONTINUATION => {
                self.in_list = flags & END_HEADERS == 0;
                true
            }
            RST_STREAM => self.resets.take(),
            WINDOW_UPDATE if self.sent >= FOR_UPDATE => {
                self.sent -= FOR_UPDATE;
                true
            }
            _ => self.talk.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;
    const SETTINGS: u8 = 4;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn begun() -> FrameTracker {
        let mut frames = FrameTracker::default();
        assert_eq!(frames.phase(), Phase::Head);
        assert!(frames.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        assert_eq!(
            frames.phase(),
            Phase::Head,
            "the first SETTINGS belong to the beginning"
        );
        assert!(frames.read(&frame(SETTINGS, 0, b"")));
        frames
    }

    #[test]
    fn what_comes_next_is_known_however_it_is_cut() {
        let stream = [
            (frame(HEADERS, 0, b"list"), Phase::Head),
            (frame(CONTINUATION, 0, b""), Phase::Head),
            (frame(CONTINUATION, END_HEADERS, b"end"), Phase::Idle),
            (frame(DATA, 0, &[7; 300]), Phase::Idle),
            (frame(PING, 0, &[0; 8]), Phase::Idle),
            (frame(HEADERS, END_HEADERS, b"whole"), Phase::Idle),
        ];
        for size in [1, 2, 7, 500] {
            let mut frames = begun();
            assert_eq!(frames.phase(), Phase::Idle);
            for (bytes, phase) in &stream {
                assert!(bytes.chunks(size).all(|piece| frames.read(piece)));
                assert_eq!(frames.phase(), *phase, "{bytes:?} by {size}");
            }
        }
        let mut frames = begun();
        for (part, phase) in [(5, Phase::Head), (20, Phase::Idle)] {
            frames.read(&frame(DATA, 0, &[7; 100])[if part == 5 { 0..5 } else { 5..20 }]);
            assert_eq!(frames.phase(), phase, "{part} bytes of DATA");
        }
        let mut frames = begun();
        frames.read(&frame(PING, 0, &[0; 8])[..12]);
        assert_eq!(frames.phase(), Phase::Head);
    }

    #[test]
    fn resets_and_idle_talk_are_bounded() {
        for (bytes, rate) in [
            (frame(RST_STREAM, 0, &[0; 4]), RESETS),
            (frame(PING, 0, &[0; 8]), IDLE_TALK),
            (frame(DATA, 0, b""), IDLE_TALK),
            (frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1]), IDLE_TALK),
            (frame(200, 0, b"unknown"), IDLE_TALK),
        ] {
            let mut frames = begun();
            let used = u32::from(rate.at_once == IDLE_TALK.at_once);
            assert!(
                (used..rate.at_once).all(|_| frames.read(&bytes)),
                "{bytes:?}"
            );
            assert!(!frames.read(&bytes), "{bytes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_comes_back_with_time() {
        let mut allowance = TokenBucket::new(RESETS);
        for (passed, most) in [(0, 200), (0, 0), (2, 40), (0, 0), (1, 20), (1000, 200)] {
            tokio::time::advance(Duration::from_secs(passed)).await;
            assert!(
                (0..most).all(|_| allowance.take()) && !allowance.take(),
                "{most} after {passed} s"
            );
        }
    }

    #[test]
    fn who_reads_may_say_so_as_often_as_it_reads() {
        let mut frames = begun();
        for _ in 0..100_000 {
            frames.sent(1 << 10);
            assert!(frames.read(&frame(WINDOW_UPDATE, 0, &[0, 0, 4, 0])));
        }
        assert!(
            (0..100_000).all(
                |_| frames.read(&frame(DATA, 0, b"x")) && frames.read(&frame(HEADERS, 5, b"x"))
            )
        );
    }
}
