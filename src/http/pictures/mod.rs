//! Small pictures of pictures, for the app and for visitors of links. At most so many are made at a time as leave a core for everybody
//! else, of visitors half of that; how many wait is bounded, in all and for each link. What is made is kept beside the file
//! ([`Reader::keep_picture`]).

mod cost;
pub mod shrink;

use crate::content::{Node, Reader};
use crate::http::api::files::whole;
use crate::http::dav::conditional::{Verdict, judge};
use crate::model::{Error, Result};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use shrink::{MAX_FILE, shrink, unfit};
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
/// How long one may take to be made. Its decoder goes on, and has its turn until it ends.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long who asked waits until it is kept.
const KEEPING: Duration = Duration::from_secs(2);

static TURNS: LazyLock<Turns> =
    LazyLock::new(|| Turns::new(available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1))));
static WAITING: Mutex<Waiting> = Mutex::new(Waiting { all: 0, visitors: 0, links: None });

/// Who asks for a picture.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// Somebody who has signed in.
    ByMember,
    /// A visitor of the link with this id.
    ByLink(&'a str),
}

/// The answer with a small picture of what is open, its longest side at most `size`. `Invalid` for what is no picture that can be made
/// smaller, `Busy`, and what reading fails with.
pub async fn answer(reader: Arc<dyn Reader>, size: u32, headers: &HeaderMap, asked: Asked<'_>) -> Result<Response> {
    let etag = tag(reader.node(), size);
    let is_known =
        headers.contains_key(IF_NONE_MATCH) && judge(headers, &etag, reader.node().modified)? == Verdict::NotModified;
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let picture = match reader.kept_picture(size).await? {
            Some(picture) => picture,
            None => make(reader, size, asked).await?,
        };
        // A PNG begins with this byte, a JPEG with another.
        let kind = if picture.first() == Some(&0x89) { "image/png" } else { "image/jpeg" };
        ([(CONTENT_TYPE, kind)], picture).into_response()
    };
    response.headers_mut().extend(HeaderValue::try_from(etag).ok().map(|etag| (ETAG, etag)));
    Ok(response)
}

/// The tag of a picture of this size of this content.
fn tag(node: &Node, size: u32) -> String {
    format!("\"{}-{size}\"", node.etag.to_string().trim_matches('"'))
}

/// Makes a picture when it is its turn, and keeps it. Once begun it is made, though who asked has left.
async fn make(reader: Arc<dyn Reader>, size: u32, asked: Asked<'_>) -> Result<Bytes> {
    let place = Place::take(&WAITING, asked)?;
    let turn = TURNS.take(asked).await?;
    let work = tokio::spawn(async move {
        let _place = place;
        let bytes = whole(&*reader, MAX_FILE).await;
        let bytes = bytes.map_err(|error| if matches!(error, Error::TooLarge) { unfit() } else { error })?;
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            shrink(bytes.into(), size)
        });
        // A decoder that panics has told its own task.
        let picture = made.await.map_err(|_| unfit())??;
        // A disk that is slow to take it keeps nobody waiting.
        let _ = timeout(KEEPING, reader.keep_picture(size, picture.clone())).await;
        Ok(picture)
    });
    timeout(PATIENCE, work).await.map_err(|_| unfit())?.map_err(|_| unfit())?
}

fn busy() -> Error {
    Error::Busy { retry_after: Duration::from_secs(1) }
}

/// How many are made at a time.
struct Turns {
    all: Arc<Semaphore>,
    /// Who has signed in waits behind no more visitors than these.
    visitors: Arc<Semaphore>,
}

/// Given back when the decoder has ended.
struct Turn {
    _any: OwnedSemaphorePermit,
    _visitors: Option<OwnedSemaphorePermit>,
}

impl Turns {
    fn new(most: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most)), visitors: Arc::new(Semaphore::new(most.div_ceil(2))) }
    }

    async fn take(&self, asked: Asked<'_>) -> Result<Turn> {
        let take = async |turns: &Arc<Semaphore>| Arc::clone(turns).acquire_owned().await.map_err(|_| busy());
        let visitors = match asked {
            Asked::ByMember => None,
            Asked::ByLink(_) => Some(take(&self.visitors).await?),
        };
        Ok(Turn { _any: take(&self.all).await?, _visitors: visitors })
    }
}

/// How many wait, or have their turn.
struct Waiting {
    all: usize,
    visitors: usize,
    /// Of each link that any wait for.
    links: Option<HashMap<String, usize>>,
}

/// A place among those who wait.
struct Place {
    waiting: &'static Mutex<Waiting>,
    link: Option<String>,
}

impl Place {
    fn take(waiting: &'static Mutex<Waiting>, asked: Asked<'_>) -> Result<Self> {
        let mut now = waiting.lock();
        if now.all >= MAX_WAITING {
            return Err(busy());
        }
        let link = match asked {
            Asked::ByMember => None,
            Asked::ByLink(id) => {
                let is_full = now.visitors >= MAX_VISITORS;
                let links = now.links.get_or_insert_default();
                let own = links.get(id).copied().unwrap_or_default();
                if is_full || own >= MAX_OF_LINK {
                    return Err(busy());
                }
                links.insert(id.to_owned(), own + 1);
                now.visitors += 1;
                Some(id.to_owned())
            }
        };
        now.all += 1;
        drop(now);
        Ok(Self { waiting, link })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.waiting.lock();
        now.all -= 1;
        let Some(link) = &self.link else { return };
        now.visitors -= 1;
        let links = now.links.get_or_insert_default();
        if let Some(own) = links.get_mut(link) {
            *own -= 1;
            if *own == 0 {
                links.remove(link);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visitors_of_a_link_leave_places_for_others_and_all_of_them_for_members() {
        static NOBODY: Mutex<Waiting> = Mutex::new(Waiting { all: 0, visitors: 0, links: None });
        let take = |asked| Place::take(&NOBODY, asked);
        let fill = |asked, most| (0..most).map(|_| take(asked).unwrap()).collect::<Vec<_>>();
        let one = fill(Asked::ByLink("one"), MAX_OF_LINK);
        assert!(matches!(take(Asked::ByLink("one")), Err(Error::Busy { .. })));
        let two = fill(Asked::ByLink("two"), MAX_VISITORS - MAX_OF_LINK);
        assert!(take(Asked::ByLink("three")).is_err());
        let members = fill(Asked::ByMember, MAX_WAITING - MAX_VISITORS);
        assert!(take(Asked::ByMember).is_err());
        drop((one, members));
        drop(fill(Asked::ByLink("three"), MAX_OF_LINK));
        drop(two);
        let now = NOBODY.lock();
        assert!(now.all == 0 && now.visitors == 0 && now.links.as_ref().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_member_waits_behind_half_of_the_turns_at_most_that_visitors_have() {
        let turns = Turns::new(2);
        let visitor = turns.take(Asked::ByLink("one")).await.unwrap();
        let waiting = timeout(Duration::from_millis(20), turns.take(Asked::ByLink("two"))).await;
        assert!(waiting.is_err(), "the other turn is none for visitors");
        turns.take(Asked::ByMember).await.unwrap();
        drop(visitor);
        turns.take(Asked::ByLink("two")).await.unwrap();
    }
}
