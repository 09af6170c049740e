//! What answers hold in memory while their readers take their time: large pieces as long as all together hold little, and beyond that one
//! small piece each, so that thousands who hardly read hold no more than hundreds who do.

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

/// A piece while there is room.
pub const LARGE: usize = 256 << 10;
/// A piece while there is none.
const SMALL: usize = 16 << 10;
/// Room for large pieces, of all answers together.
const ROOM: usize = 16 << 20;

/// Bytes that were read and not sent yet.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// The pace of one answer.
#[derive(Debug, Default)]
pub struct ResponseMemory(Arc<UnsentBytes>);

/// The pieces of one answer that were not sent yet.
#[derive(Debug, Default)]
struct UnsentBytes {
    count: AtomicUsize,
    /// Waits for the last of them to go.
    waiting: AtomicWaker,
}

/// A piece until it has been sent.
struct TrackedBytes {
    bytes: Bytes,
    out: Arc<UnsentBytes>,
}

impl ResponseMemory {
    /// How much to read next. While there is no room, all that was read before has to be sent first.
    pub async fn next_read_size(&self) -> usize {
        if HELD.load(Ordering::Relaxed) < ROOM {
            return LARGE;
        }
        let sent = poll_fn(|context| {
            self.0.waiting.register(context.waker());
            if self.0.count.load(Ordering::Acquire) == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        sent.await;
        SMALL
    }

    /// Counts a piece until it has been sent.
    pub fn track(&self, bytes: Bytes) -> Bytes {
        HELD.fetch_add(bytes.len(), Ordering::Relaxed);
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(TrackedBytes {
            bytes,
            out: Arc::clone(&self.0),
        })
    }
}

impl AsRef<[u8]> for TrackedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for TrackedBytes {
    fn drop(&mut self) {
        HELD.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        self.out.count.fetch_sub(1, Ordering::Release);
        self.out.waiting.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn without_room_a_piece_comes_only_after_the_one_before_has_gone() {
        let greedy = ResponseMemory::default();
        let modest = ResponseMemory::default();
        let mut all = Vec::new();
        while greedy.next_read_size().now_or_never() == Some(LARGE) {
            all.push(greedy.track(Bytes::from(vec![0; LARGE])));
            assert!(all.len() <= ROOM / LARGE, "there is no end of room");
        }
        assert_eq!(
            modest.next_read_size().await,
            SMALL,
            "who holds nothing goes on"
        );
        let piece = modest.track(Bytes::from_static(b"piece"));
        assert_eq!(modest.next_read_size().now_or_never(), None);
        let part = piece.slice(1..2);
        drop(piece);
        assert_eq!(
            modest.next_read_size().now_or_never(),
            None,
            "some of it was not sent yet"
        );
        let next = tokio::spawn(async move { modest.next_read_size().await });
        tokio::task::yield_now().await;
        drop(part);
        assert_eq!(next.await.unwrap(), SMALL);
        drop(all);
        assert_eq!(greedy.next_read_size().await, LARGE);
    }
}
