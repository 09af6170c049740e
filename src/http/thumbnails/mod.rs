//! Small pictures of pictures, for the app and for visitors of links. At most so many are made at a time as leave a core for everybody
//! else, of visitors half of that; how many wait is bounded, in all and for each account and link. What is made is kept beside the file
//! ([`Reader::keep_picture`]), what cannot be is remembered.

mod decoder_memory;
pub mod downscale;
mod failed;

use crate::http::conditional::{ReadCondition, evaluate};
use crate::http::read_file::read_whole;
use crate::model::{Error, Result};
use crate::storage::{Etag, MAX_THUMBNAIL_BYTES, Node, Reader};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use downscale::{MAX_FILE, downscale, unfit};
use failed::FailedThumbnails;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The longest side of a picture whose size nobody says.
pub const USUAL: u32 = 320;
/// How many may wait, visitors of links among them.
const MAX_WAITING: usize = 256;
/// How many visitors of links may wait.
const MAX_VISITORS: usize = 128;
/// How many visitors of one link may wait.
const MAX_OF_LINK: usize = 64;
/// How many may wait that one account asks for.
const MAX_OF_ACCOUNT: usize = 32;
/// How long its file may take to be read: a disk that hangs has a turn no longer.
const READING: Duration = Duration::from_secs(5);
/// How long one waits for its turn, and how long it may take to be made then. Its decoder goes on, and has its turn until it ends.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long who asked waits until it is kept.
const KEEPING: Duration = Duration::from_secs(2);

static TURNS: LazyLock<DecoderSlots> = LazyLock::new(|| {
    DecoderSlots::new(available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1)))
});
static WAITING: Mutex<ThumbnailQueue> = Mutex::new(ThumbnailQueue {
    all: 0,
    visitors: 0,
    each: None,
});
static REFUSED: LazyLock<FailedThumbnails> = LazyLock::new(FailedThumbnails::default);

/// Who asks for a picture.
#[derive(Clone, Copy, Debug)]
pub enum ThumbnailRequester<'a> {
    /// Somebody who has signed in to the account with this id.
    ByMember(&'a str),
    /// A visitor of the link with this id.
    ByLink(&'a str),
}

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
    // It may have been tried for somebody else meanwhile.
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
        // A disk that is slow to take it keeps nobody waiting.
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

fn busy() -> Error {
    Error::Busy {
        retry_after: Duration::from_secs(1),
    }
}

/// How many are made at a time.
struct DecoderSlots {
    all: Arc<Semaphore>,
    /// Who has signed in waits behind no more visitors than these.
    visitors: Arc<Semaphore>,
}

/// Given back when the decoder has ended.
struct DecoderPermit {
    _any: OwnedSemaphorePermit,
    _visitors: Option<OwnedSemaphorePermit>,
}

impl DecoderSlots {
    fn new(most: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most)),
            visitors: Arc::new(Semaphore::new(most.div_ceil(2))),
        }
    }

    async fn take(&self, asked: ThumbnailRequester<'_>) -> Result<DecoderPermit> {
        let take = async |turns: &Arc<Semaphore>| {
            Arc::clone(turns).acquire_owned().await.map_err(|_| busy())
        };
        let visitors = match asked {
            ThumbnailRequester::ByMember(_) => None,
            ThumbnailRequester::ByLink(_) => Some(take(&self.visitors).await?),
        };
        Ok(DecoderPermit {
            _any: take(&self.all).await?,
            _visitors: visitors,
        })
    }
}

/// How many wait, or have their turn.
struct ThumbnailQueue {
    all: usize,
    visitors: usize,
    /// Of each that any wait for.
    each: Option<HashMap<ThumbnailQueueKey, usize>>,
}

/// What a place counts towards: an account or a link.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ThumbnailQueueKey {
    is_visitor: bool,
    id: String,
}

impl From<ThumbnailRequester<'_>> for ThumbnailQueueKey {
    fn from(asked: ThumbnailRequester<'_>) -> Self {
        match asked {
            ThumbnailRequester::ByMember(id) => Self {
                is_visitor: false,
                id: id.to_owned(),
            },
            ThumbnailRequester::ByLink(id) => Self {
                is_visitor: true,
                id: id.to_owned(),
            },
        }
    }
}

/// A place among those who wait.
struct ThumbnailQueueSlot {
    waiting: &'static Mutex<ThumbnailQueue>,
    asker: ThumbnailQueueKey,
}

impl ThumbnailQueueSlot {
    fn take(
        waiting: &'static Mutex<ThumbnailQueue>,
        asked: ThumbnailRequester<'_>,
    ) -> Result<Self> {
        let who = ThumbnailQueueKey::from(asked);
        let most = if who.is_visitor {
            MAX_OF_LINK
        } else {
            MAX_OF_ACCOUNT
        };
        let mut now = waiting.lock();
        let is_full = now.all >= MAX_WAITING || (who.is_visitor && now.visitors >= MAX_VISITORS);
        let each = now.each.get_or_insert_default();
        let own = each.get(&who).copied().unwrap_or_default();
        if is_full || own >= most {
            return Err(busy());
        }
        each.insert(who.clone(), own + 1);
        now.all += 1;
        now.visitors += usize::from(who.is_visitor);
        drop(now);
        Ok(Self {
            waiting,
            asker: who,
        })
    }
}

impl Drop for ThumbnailQueueSlot {
    fn drop(&mut self) {
        let mut now = self.waiting.lock();
        now.all -= 1;
        now.visitors -= usize::from(self.asker.is_visitor);
        let each = now.each.get_or_insert_default();
        if let Some(own) = each.get_mut(&self.asker) {
            *own -= 1;
            if *own == 0 {
                each.remove(&self.asker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Digest;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn is_busy<T>(outcome: &Result<T>) -> bool {
        matches!(outcome, Err(Error::Busy { .. }))
    }

    #[test]
    fn an_account_and_a_link_leave_places_for_others_and_all_visitors_for_members() {
        static NOBODY: Mutex<ThumbnailQueue> = Mutex::new(ThumbnailQueue {
            all: 0,
            visitors: 0,
            each: None,
        });
        let take = |asked| ThumbnailQueueSlot::take(&NOBODY, asked);
        let fill = |asked, most| (0..most).map(|_| take(asked).unwrap()).collect::<Vec<_>>();
        let one = fill(ThumbnailRequester::ByLink("one"), MAX_OF_LINK);
        assert!(is_busy(&take(ThumbnailRequester::ByLink("one"))));
        let two = fill(
            ThumbnailRequester::ByLink("two"),
            MAX_VISITORS - MAX_OF_LINK,
        );
        assert!(is_busy(&take(ThumbnailRequester::ByLink("three"))));
        let same = fill(ThumbnailRequester::ByMember("one"), MAX_OF_ACCOUNT);
        assert!(is_busy(&take(ThumbnailRequester::ByMember("one"))));
        let ids: Vec<_> = (1..(MAX_WAITING - MAX_VISITORS) / MAX_OF_ACCOUNT)
            .map(|id| id.to_string())
            .collect();
        let members: Vec<_> = ids
            .iter()
            .map(|id| fill(ThumbnailRequester::ByMember(id), MAX_OF_ACCOUNT))
            .collect();
        assert!(
            is_busy(&take(ThumbnailRequester::ByMember("last"))),
            "there is no place left"
        );
        drop((one, same, members));
        drop(fill(ThumbnailRequester::ByLink("three"), MAX_OF_LINK));
        drop(fill(ThumbnailRequester::ByMember("one"), MAX_OF_ACCOUNT));
        drop(two);
        let now = NOBODY.lock();
        assert!(now.all == 0 && now.visitors == 0 && now.each.as_ref().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_member_waits_behind_half_of_the_turns_at_most_that_visitors_have() {
        let turns = DecoderSlots::new(2);
        let visitor = turns.take(ThumbnailRequester::ByLink("one")).await.unwrap();
        let waiting = timeout(
            Duration::from_millis(20),
            turns.take(ThumbnailRequester::ByLink("two")),
        )
        .await;
        assert!(waiting.is_err(), "the other turn is none for visitors");
        turns
            .take(ThumbnailRequester::ByMember("ana"))
            .await
            .unwrap();
        drop(visitor);
        turns.take(ThumbnailRequester::ByLink("two")).await.unwrap();
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
