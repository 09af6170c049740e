//! A connection's bytes on their way to and from hyper: patience with slow clients ends here, and heads that two
//! readers could read differently are noticed here, since hyper resolves them silently.

use super::connection_flags::ConnectionFlags;
use super::http1_framing::{Http1Framing, Phase};
use super::http2_frames::FrameTracker;
use super::idle_timeout::IdleTimeout;
use super::proxy;
use crate::metrics::Metrics;
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// After the last answer, what the client still sends is read for so long: closing with unread bytes resets the
/// connection, and the client may never see the answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 << 20;
/// Bytes that are read before a request is served again: the head of most.
const READ_AHEAD: usize = 1 << 10;

/// What follows the bytes of a client, by the version of HTTP that it speaks.
#[derive(Debug)]
pub(super) enum ProtocolTracker {
    Http1(Box<Http1Framing>),
    Http2(Box<FrameTracker>),
}

impl ProtocolTracker {
    fn phase(&self) -> Phase {
        match self {
            Self::Http1(framing) => framing.phase(),
            Self::Http2(frames) => frames.phase(),
        }
    }
}

/// A stream with timeouts and a watch on framing.
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    tracker: ProtocolTracker,
    /// The beginning of a line of a head that hyper does not see before its end has come.
    held: Vec<u8>,
    flags: Arc<ConnectionFlags>,
    head: IdleTimeout,
    body: IdleTimeout,
    answer: IdleTimeout,
    linger: Option<Linger>,
    /// What was read already and followed, and comes again.
    unread: Bytes,
    /// Everything that was written has been flushed.
    is_flushed: bool,
    /// The last answer has been given.
    is_closing: bool,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Linger {
    timeout: IdleTimeout,
    bytes: usize,
}

impl<S> TimedStream<S> {
    /// Wraps a fresh connection with the time for a head and for a pause in a body; `noticed` tells before hyper sees the request in question.
    pub(super) fn new(
        stream: S,
        (head, body): (Duration, Duration),
        course: ProtocolTracker,
        noticed: Arc<ConnectionFlags>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            stream,
            tracker: course,
            held: Vec::new(),
            flags: noticed,
            head: IdleTimeout::new(head, None),
            body: IdleTimeout::new(body, Some(1024)),
            answer: IdleTimeout::new(body, Some(1024)),
            linger: None,
            unread: Bytes::new(),
            is_flushed: true,
            is_closing: false,
            metrics,
        }
    }

    /// Gives back what was read and not used: it is what the next read brings.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
        self.note_state();
    }

    /// Gives back the memory that a connection needs only while a request is under way.
    pub(super) fn release_buffers(&mut self) {
        self.held = Vec::new();
        for timeout in [&mut self.head, &mut self.body, &mut self.answer] {
            timeout.release();
        }
    }

    /// Tells whether this is the time between two requests.
    fn note_state(&self) {
        let is_between = self.is_flushed
            && !self.is_closing
            && self.unread.is_empty()
            && self.held.is_empty()
            && self.tracker.phase() == Phase::Idle;
        self.flags
            .is_between_requests
            .store(is_between, Ordering::Relaxed);
    }

    /// Whether the client had its time for what is to come next.
    fn read_timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        match self.tracker.phase() {
            Phase::Idle => false,
            Phase::Head => self.head.has_expired(cx),
            Phase::Body => self.body.has_expired(cx),
        }
    }

    /// Follows what came: `new` bytes, and before them those that were held. Says how many hyper may see.
    fn note_read(&mut self, bytes: &mut [u8], new: usize) -> io::Result<usize> {
        if new == 0 {
            // What is held ends here.
            self.held.clear();
            return Ok(bytes.len());
        }
        self.metrics.received.add(new as u64);
        match self.tracker.phase() {
            Phase::Body => self.body.progress(new),
            Phase::Head => self.head.progress(new),
            Phase::Idle => {}
        }
        let seen = match &mut self.tracker {
            ProtocolTracker::Http1(framing) => {
                if !self.flags.began.swap(true, Ordering::Relaxed) && proxy::is_header(bytes) {
                    self.flags.proxy.store(true, Ordering::Relaxed);
                }
                let seen = framing.read(bytes);
                if framing.is_ambiguous() {
                    self.flags.ambiguous.store(true, Ordering::Relaxed);
                }
                seen
            }
            ProtocolTracker::Http2(frames) => {
                if !frames.read(bytes) {
                    self.metrics.floods.add(1);
                    return Err(io::Error::other(
                        "more resets, or frames that ask nothing, than any client needs",
                    ));
                }
                bytes.len()
            }
        };
        self.held.clear();
        self.held
            .extend_from_slice(bytes.get(seen..).unwrap_or_default());
        if self.tracker.phase() != Phase::Head {
            self.head.renew();
        }
        self.note_state();
        Ok(seen)
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client was too slow")
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            let length = this.unread.len().min(buf.remaining());
            buf.put_slice(&this.unread.split_to(length));
            this.note_state();
            return Poll::Ready(Ok(()));
        }
        loop {
            let start = buf.filled().len();
            if buf.remaining() <= this.held.len() {
                return Poll::Ready(Err(io::Error::other("hyper leaves no room for a header")));
            }
            buf.put_slice(&this.held);
            let old = buf.filled().len();
            let read = Pin::new(&mut this.stream).poll_read(cx, buf);
            if matches!(read, Poll::Ready(Ok(()))) {
                let new = buf.filled().len() - old;
                let seen = match this
                    .note_read(buf.filled_mut().get_mut(start..).unwrap_or_default(), new)
                {
                    Ok(seen) => seen,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                buf.set_filled(start + seen);
                if seen == 0 && new > 0 {
                    // Nothing would mean the end.
                    continue;
                }
                return read;
            }
            buf.set_filled(start);
            return match read {
                Poll::Pending if this.read_timed_out(cx) => Poll::Ready(Err(too_slow())),
                other => other,
            };
        }
    }
}

fn is_empty_lines(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

impl<S: AsyncRead + Unpin> TimedStream<S> {
    /// Waits for bytes of a request, which the next read brings; `false` at the end. Empty lines begin none (RFC 9112 section 2.2).
    pub(super) async fn read_ahead(&mut self) -> io::Result<bool> {
        if !is_empty_lines(&self.unread) {
            return Ok(true);
        }
        self.unread.clear();
        // The buffer is there only while the stream is looked at.
        poll_fn(|cx| {
            loop {
                let mut buffer = [0_u8; READ_AHEAD];
                let mut buf = ReadBuf::new(&mut buffer);
                ready!(Pin::new(&mut *self).poll_read(cx, &mut buf))?;
                if buf.filled().is_empty() {
                    return Poll::Ready(Ok(false));
                }
                if !is_empty_lines(buf.filled()) {
                    self.unread(Bytes::copy_from_slice(buf.filled()));
                    return Poll::Ready(Ok(true));
                }
            }
        })
        .await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TimedStream<S> {
    fn check_write(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.is_flushed = false;
        self.note_state();
        match wrote {
            Poll::Ready(Ok(length)) => {
                self.metrics.sent.add(length as u64);
                self.answer.progress(length);
                if let ProtocolTracker::Http2(frames) = &mut self.tracker {
                    frames.sent(length);
                }
            }
            Poll::Pending if self.answer.has_expired(cx) => return Poll::Ready(Err(too_slow())),
            _ => {}
        }
        wrote
    }

    /// Reads what a client still sends after the last answer, within bounds.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Linger {
            timeout: IdleTimeout::new(LINGER, None),
            bytes: LINGER_BYTES,
        });
        let mut scratch = [0_u8; 16 << 10];
        // The end of patience is asked for on each turn, since a client that sends without pause is never waited for.
        let began = Instant::now();
        while linger.bytes > 0 && began.elapsed() < LINGER {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    linger.timeout.progress(buf.filled().len());
                    linger.bytes = linger.bytes.saturating_sub(buf.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if linger.timeout.has_expired(cx) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.check_write(cx, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.check_write(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.is_flushed = true;
        this.note_state();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.is_closing = true;
        this.note_state();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        if this.tracker.phase() == Phase::Body {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
