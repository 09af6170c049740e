//! Small pictures of pictures, for the app and for visitors of links. At most so many are made at a time as leave a core for everybody
//! else, of visitors half of that; how many wait is bounded, in all and for each account and link. What is made is kept beside the file
//! ([`Reader::cache_thumbnail`]), what cannot be is remembered.

mod decoder_memory;
pub mod downscale;
mod failed;
mod queue;

use crate::http::conditional::{ReadCondition, evaluate};
use crate::http::read_file::read_whole;
use crate::model::Result;
use crate::storage::{Etag, MAX_THUMBNAIL_BYTES, Node, Reader};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use downscale::{MAX_FILE, downscale, unfit};
use failed::FailedThumbnails;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
pub use queue::ThumbnailRequester;
use queue::{DecoderSlots, ThumbnailQueue, ThumbnailQueueSlot, busy};
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::time::timeout;

/// The default size: the longest side in pixels.
pub const USUAL: u32 = 320;

/// How long its file may take to be read: a disk that hangs has a turn no longer.
const READING: Duration = Duration::from_secs(5);

/// How long one waits for its turn, and how long it may take to be made then. Its decoder goes on, and has its turn until it ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long who asked waits until it is kept.
const KEEPING: Duration = Duration::from_secs(2);

static TURNS: LazyLock<DecoderSlots> = LazyLock::new(|| {
    DecoderSlots::new(available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1)))
});

static WAITING: Mutex<ThumbnailQueue> = Mutex::new(ThumbnailQueue::new());

static REFUSED: LazyLock<FailedThumbnails> = LazyLock::new(FailedThumbnails::default);

/// The answer with a small picture of what is open, its longest side at most `size`. `Invalid` for what is no picture that can be made
/// smaller, `Busy`, and what reading fails with.
pub async fn answer(
    reader: Arc<dyn Reader>,
    size: u32,
    headers: &HeaderMap,
    asked: ThumbnailRequester<'_>,
) -> Result<Response> {
    let etag = tag(reader.node(), size);
    let is_known = headers.contains_key(IF_NONE_MATCH)
        && evaluate(headers, &etag, reader.node().modified)? == ReadCondition::NotModified;
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let picture = match reader.cached_thumbnail(size).await? {
            Some(picture) => picture,
            None => make(reader, size, asked).await?,
        };
        // A PNG begins with this byte, a JPEG with another.
        let kind = if picture.first() == Some(&0x89) {
            "image/png"
        } else {
            "image/jpeg"
        };
        ([(CONTENT_TYPE, kind)], picture).into_response()
    };
    response
        .headers_mut()
        .extend(HeaderValue::try_from(etag).ok().map(|etag| (ETAG, etag)));
    Ok(response)
}

/// The tag of a picture of this size of this content.
fn tag(node: &Node, size: u32) -> String {
    format!("\"{}-{size}\"", node.etag.to_string().trim_matches('"'))
}

/// Makes a picture when it is its turn, and keeps it. Once begun it is made, though who asked has left.
async fn make(reader: Arc<dyn Reader>, size: u32, asked: ThumbnailRequester<'_>) -> Result<Bytes> {
    let etag = reader.node().etag;
    if reader.node().len > MAX_FILE || REFUSED.has(etag, size) {
        return Err(unfit());
    }
    let place = ThumbnailQueueSlot::take(&WAITING, asked)?;
    let turn = timeout(PATIENCE, TURNS.take(asked))
        .await
        .map_err(|_| busy())??;
    // Another request may have tried it meanwhile.
    if REFUSED.has(etag, size) {
        return Err(unfit());
    }
    let work = tokio::spawn(async move {
        let _place = place;
        let bytes = timeout(READING, read_whole(&*reader, MAX_FILE))
            .await
            .map_err(|_| busy())??;
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            downscale(bytes.into(), size)
        });
        // A decoder that panics has told its own task.
        let picture = remember_failure(made.await.unwrap_or_else(|_| Err(unfit())), etag, size)?;
        // A slow disk delays no answer.
        let _ = timeout(KEEPING, reader.cache_thumbnail(size, picture.clone())).await;
        Ok(picture)
    });
    timeout(PATIENCE, work)
        .await
        .map_err(|_| unfit())?
        .map_err(|_| unfit())?
}

/// What was made, if it can be given; else it is not tried again.
fn remember_failure(made: Result<Bytes>, etag: Etag, size: u32) -> Result<Bytes> {
    let from = match &made {
        Ok(picture) if picture.len() <= MAX_THUMBNAIL_BYTES => return made,
        // It would not be kept, and made each time.
        Ok(_) => size,
        Err(_) => 0,
    };
    REFUSED.add(etag, from);
    Err(unfit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Error;
    use crate::storage::Digest;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn is_busy<T>(outcome: &Result<T>) -> bool {
        matches!(outcome, Err(Error::Busy { .. }))
    }

    /// A text, on a disk that hangs or does not.
    struct Text {
        node: Node,
        hangs: bool,
        reads: AtomicUsize,
    }

    impl Text {
        fn new(inode: u64, hangs: bool) -> Arc<Self> {
            let node = Node {
                len: 4,
                etag: Etag([inode, 0, 0, 4]),
                ..Node::unseen(false)
            };
            Arc::new(Self {
                node,
                hangs,
                reads: AtomicUsize::new(0),
            })
        }

        async fn make(self: &Arc<Self>) -> Result<Bytes> {
            make(
                Arc::clone(self) as Arc<dyn Reader>,
                USUAL,
                ThumbnailRequester::ByMember("ana"),
            )
            .await
        }
    }

    #[async_trait]
    impl Reader for Text {
        fn node(&self) -> &Node {
            &self.node
        }
        fn digest(&self) -> Option<Digest> {
            None
        }
        async fn read_at(&self, _: u64, _: usize) -> Result<Bytes> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            if self.hangs {
                std::future::pending::<()>().await;
            }
            Ok(Bytes::from_static(b"text"))
        }
    }

    #[tokio::test]
    async fn what_cannot_be_made_is_read_once_and_what_cannot_be_read_again() {
        let text = Text::new(1, false);
        for _ in 0..3 {
            assert!(matches!(text.make().await, Err(Error::Invalid { .. })));
        }
        assert_eq!(text.reads.load(Ordering::Relaxed), 1);
        // A disk that hangs says nothing of the picture.
        tokio::time::pause();
        let text = Text::new(2, true);
        for _ in 0..2 {
            assert!(is_busy(&text.make().await));
        }
        assert_eq!(text.reads.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_is_too_large_to_be_kept_is_not_given() {
        let etag = Etag([3, 0, 0, 4]);
        assert!(remember_failure(Ok(vec![0; MAX_THUMBNAIL_BYTES].into()), etag, 640).is_ok());
        assert!(remember_failure(Ok(vec![0; MAX_THUMBNAIL_BYTES + 1].into()), etag, 640).is_err());
        assert!(REFUSED.has(etag, 640) && !REFUSED.has(etag, USUAL));
    }
}
