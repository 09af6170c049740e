//! The bodies of an HTTP/2 stream on their way: the request's gathered into pieces as large as those of HTTP/1.1, the answer's cut into
//! pieces as small as frames, so that it is seen how fast each moves.

use super::streams::Http2Stream;
use crate::http::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

/// A frame of DATA with its head fills one TLS record.
const PIECE: usize = (16 << 10) - 9;
/// What a request's body comes in at most: one write to the disk instead of one for each frame.
const GATHERED: usize = 256 << 10;

/// The body of a request.
#[derive(Debug)]
pub(in crate::server) struct StreamRequestBody {
    incoming: Incoming,
    stream: Arc<Http2Stream>,
    /// What came behind the pieces that were gathered last.
    behind: NextFrame,
}

/// What came behind some pieces.
#[derive(Debug, Default)]
enum NextFrame {
    #[default]
    Nothing,
    Frame(io::Result<Frame<Bytes>>),
    End,
}

impl StreamRequestBody {
    pub(in crate::server) fn new(incoming: Incoming, stream: Arc<Http2Stream>) -> Self {
        Self {
            incoming,
            stream,
            behind: NextFrame::Nothing,
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match std::mem::take(&mut self.behind) {
            NextFrame::Nothing => {}
            NextFrame::Frame(frame) => return Poll::Ready(Some(frame)),
            NextFrame::End => return Poll::Ready(None),
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx))
            .map(|frame| frame.map_err(io::Error::other));
        if let Some(data) = frame
            .as_ref()
            .and_then(|frame| frame.as_ref().ok())
            .and_then(Frame::data_ref)
        {
            self.stream
                .came
                .fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    /// What else has come already, behind a first piece.
    fn gather(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut pieces = BytesMut::new();
        while first.len().max(pieces.len()) < GATHERED {
            let Poll::Ready(next) = self.poll_incoming(cx) else {
                break;
            };
            match next.map(|next| next.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    if pieces.is_empty() {
                        pieces.reserve(4 * PIECE);
                        pieces.extend_from_slice(&first);
                    }
                    pieces.extend_from_slice(&data);
                }
                Some(Ok(Err(other))) => self.behind = NextFrame::Frame(Ok(other)),
                Some(Err(error)) => self.behind = NextFrame::Frame(Err(error)),
                None => self.behind = NextFrame::End,
            }
            if !matches!(self.behind, NextFrame::Nothing) {
                break;
            }
        }
        if pieces.is_empty() {
            first
        } else {
            pieces.freeze()
        }
    }
}

impl http_body::Body for StreamRequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        this.stream.reader.register(cx.waker());
        let frame = this.poll_incoming(cx);
        this.stream
            .is_wanted
            .store(frame.is_pending(), Ordering::Relaxed);
        let Poll::Ready(frame) = frame else {
            let is_late = this.stream.is_late.load(Ordering::Relaxed);
            return if is_late {
                Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
            } else {
                Poll::Pending
            };
        };
        let frame = match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => Some(Ok(Frame::data(this.gather(data, cx)))),
            Some(Ok(Err(other))) => Some(Ok(other)),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self.behind {
            NextFrame::Nothing => self.incoming.is_end_stream(),
            NextFrame::Frame(_) => false,
            NextFrame::End => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(in crate::server) struct StreamResponseBody {
    body: Body,
    /// What is left of the piece that it gave last.
    rest: Bytes,
    /// `None` for a refusal that nobody waits for.
    stream: Option<Arc<Http2Stream>>,
}

impl StreamResponseBody {
    pub(in crate::server) fn new(body: Body, stream: Option<Arc<Http2Stream>>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            stream,
        }
    }

    /// Waits until what it gave before has been sent: with more of it in its buffers than there is a window for, the library could not
    /// take the answer back.
    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &self.stream else {
            return Poll::Ready(Ok(()));
        };
        stream.writer.register(cx.waker());
        if stream.is_given_up.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if stream.pieces.load(Ordering::Acquire) == 0 {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

impl http_body::Body for StreamResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        ready!(this.poll_sent(cx))?;
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let bytes = this.rest.split_to(this.rest.len().min(PIECE));
        let piece = match &this.stream {
            Some(stream) => {
                stream.pieces.fetch_add(1, Ordering::Relaxed);
                Bytes::from_owner(UnsentPiece {
                    bytes,
                    stream: Arc::clone(stream),
                })
            }
            None => bytes,
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        self.body
            .len()
            .map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + rest))
    }
}

/// A piece of an answer until it has been sent.
struct UnsentPiece {
    bytes: Bytes,
    stream: Arc<Http2Stream>,
}

impl AsRef<[u8]> for UnsentPiece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for UnsentPiece {
    fn drop(&mut self) {
        self.stream
            .sent
            .fetch_add(self.bytes.len() as u64, Ordering::Relaxed);
        if self.stream.pieces.fetch_sub(1, Ordering::Release) == 1 {
            self.stream.writer.wake();
        }
    }
}
