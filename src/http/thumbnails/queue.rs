//! The queue for thumbnails: so many decoders at a time, and a bounded number of waiting requests that nobody fills alone.

use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many may wait, visitors of links among them.
const MAX_WAITING: usize = 256;

/// How many visitors of links may wait.
const MAX_VISITORS: usize = 128;

/// How many visitors of one link may wait.
const MAX_OF_LINK: usize = 64;

/// How many may wait that one account asks for.
const MAX_OF_ACCOUNT: usize = 32;

/// Who asks for a picture.
#[derive(Clone, Copy, Debug)]
pub enum ThumbnailRequester<'a> {
    /// Somebody who has signed in to the account with this id.
    ByMember(&'a str),
    /// A visitor of the link with this id.
    ByLink(&'a str),
}

pub(super) fn busy() -> Error {
    Error::Busy {
        retry_after: Duration::from_secs(1),
    }
}

/// How many are made at a time.
pub(super) struct DecoderSlots {
    all: Arc<Semaphore>,
    /// Who has signed in waits behind no more visitors than these.
    visitors: Arc<Semaphore>,
}

/// Given back when the decoder has ended.
pub(super) struct DecoderPermit {
    _any: OwnedSemaphorePermit,
    _visitors: Option<OwnedSemaphorePermit>,
}

impl DecoderSlots {
    pub(super) fn new(most: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most)),
            visitors: Arc::new(Semaphore::new(most.div_ceil(2))),
        }
    }

    pub(super) async fn take(&self, asked: ThumbnailRequester<'_>) -> Result<DecoderPermit> {
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
pub(super) struct ThumbnailQueue {
    all: usize,
    visitors: usize,
    /// Of each that any wait for.
    each: Option<HashMap<ThumbnailQueueKey, usize>>,
}

impl ThumbnailQueue {
    pub(super) const fn new() -> Self {
        Self {
            all: 0,
            visitors: 0,
            each: None,
        }
    }
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
pub(super) struct ThumbnailQueueSlot {
    waiting: &'static Mutex<ThumbnailQueue>,
    asker: ThumbnailQueueKey,
}

impl ThumbnailQueueSlot {
    pub(super) fn take(
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
    use tokio::time::timeout;

    fn is_busy<T>(outcome: &Result<T>) -> bool {
        matches!(outcome, Err(Error::Busy { .. }))
    }

    #[test]
    fn an_account_and_a_link_leave_places_for_others_and_all_visitors_for_members() {
        static NOBODY: Mutex<ThumbnailQueue> = Mutex::new(ThumbnailQueue::new());
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
}
