//! The body of every answer: nothing, one piece, or a stream whose length may be known.

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body::{Frame, SizeHint};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Marks, among the extensions of an answer, one that brings bytes of a file, or a file without any: what a download is.
#[derive(Clone, Copy, Debug)]
pub struct Download;

/// What a streamed body is made of.
pub type BodyStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The body of an answer.
#[derive(Default)]
pub enum Body {
    /// No bytes.
    #[default]
    Empty,
    /// All bytes at once, never none of them.
    Full(Bytes),
    /// Piece by piece; an error ends the connection, so that no client takes a part for the whole.
    Stream {
        /// Where the bytes come from.
        pieces: BodyStream,
        /// Bytes still to come, if known; a stream that disagrees is an error.
        left: Option<u64>,
    },
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Self {
        Self::Empty
    }

    /// All bytes at once.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Full(bytes)
        }
    }

    /// Piece by piece; `len` is the exact length, if known.
    pub fn stream(
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        len: Option<u64>,
    ) -> Self {
        Self::Stream {
            pieces: Box::pin(pieces),
            left: len,
        }
    }

    /// What axum made, piece by piece.
    pub fn from_axum(body: axum::body::Body) -> Self {
        let len = http_body::Body::size_hint(&body).exact();
        if len == Some(0) {
            return Self::Empty;
        }
        Self::stream(body.into_data_stream().map_err(io::Error::other), len)
    }

    /// The exact number of bytes still to come, if known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Stream { left, .. } => *left,
        }
    }

    /// Whether surely no bytes are to come.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        match body {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *body = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream { pieces, left } => {
                let piece = std::task::ready!(pieces.as_mut().poll_next(context));
                let piece = count(piece, left);
                if !matches!(piece, Some(Ok(_))) {
                    *body = Self::Empty;
                }
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.len()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Takes a piece off what is left, and turns a wrong total into an error.
fn count(piece: Option<io::Result<Bytes>>, left: &mut Option<u64>) -> Option<io::Result<Bytes>> {
    let Some(rest) = left else { return piece };
    match piece {
        Some(Ok(bytes)) => match rest.checked_sub(bytes.len() as u64) {
            Some(fewer) => {
                *rest = fewer;
                Some(Ok(bytes))
            }
            None => Some(Err(io::Error::other("the body is longer than announced"))),
        },
        None if *rest > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        end => end,
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => f.debug_tuple("Full").field(bytes).finish(),
            Self::Stream { left, .. } => f
                .debug_struct("Stream")
                .field("left", left)
                .finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Body as _;
    use http_body_util::BodyExt;

    fn pieces(texts: &'static [&'static str]) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::iter(texts.iter().map(|t| Ok(Bytes::from_static(t.as_bytes()))))
    }

    #[tokio::test]
    async fn whole_bodies_know_their_length_and_end() {
        assert!(Body::empty().is_end_stream());
        assert!(Body::full("").is_end_stream());
        let mut body = Body::full("abc");
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(!body.is_end_stream());
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "abc"
        );
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }

    #[tokio::test]
    async fn streams_pass_through_and_count() {
        let body = Body::stream(pieces(&["ab", "c"]), Some(3));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
        let body = Body::stream(pieces(&["ab"]), None);
        assert_eq!(body.size_hint().exact(), None);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ab");
    }

    #[tokio::test]
    async fn a_stream_of_another_length_fails() {
        let short = Body::stream(pieces(&["ab"]), Some(3)).collect().await;
        assert_eq!(short.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(
            Body::stream(pieces(&["ab", "cd"]), Some(3))
                .collect()
                .await
                .is_err()
        );
    }
}
