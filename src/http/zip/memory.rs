//! Room in memory for the directories of the archives that visitors of links load. Anybody may begin many of large folders and read slowly,
//! so all have a bound together, of which a link and a network have a part each: who fills theirs keeps nobody else waiting. Who finds no
//! room waits; of each link one at a time may go beyond, so that all come to an end; and who reads slowly while somebody waits is cut off.

use crate::auth::ClientNetwork;
use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What each has without asking: the lines of some hundred members.
const FREE: usize = 64 << 10;
/// What is taken at a time.
const UNIT: usize = 64 << 10;
/// For all together.
const TOTAL: usize = 24 << 20;
/// For the archives of one link.
const OF_LINK: usize = TOTAL / 2;
/// For the archives that one network loads.
const OF_NETWORK: usize = TOTAL / 4;
/// Bytes a second that who has taken room reads at least, on average over [`PATIENCE`], while somebody waits for room.
const FAIR: u64 = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

static ROOMS: LazyLock<Arc<ZipMemoryPool>> = LazyLock::new(Arc::default);

/// The room of all archives.
#[derive(Debug)]
struct ZipMemoryPool {
    units: Arc<Semaphore>,
    links: ZipMemoryQuotas<String>,
    networks: ZipMemoryQuotas<ClientNetwork>,
    waiting: AtomicUsize,
}

/// The parts of those that have an archive under way.
type ZipMemoryQuotas<K> = Mutex<HashMap<K, Weak<ZipMemoryQuota>>>;

/// What one link or network may take.
#[derive(Debug)]
struct ZipMemoryQuota {
    units: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
}

impl Default for ZipMemoryPool {
    fn default() -> Self {
        let units = Arc::new(Semaphore::new(TOTAL / UNIT));
        Self {
            units,
            links: ZipMemoryQuotas::default(),
            networks: ZipMemoryQuotas::default(),
            waiting: AtomicUsize::new(0),
        }
    }
}

fn part_of<K: std::hash::Hash + Eq>(
    parts: &ZipMemoryQuotas<K>,
    key: K,
    bytes: usize,
) -> Arc<ZipMemoryQuota> {
    let mut parts = parts.lock();
    if let Some(part) = parts.get(&key).and_then(Weak::upgrade) {
        return part;
    }
    parts.retain(|_, part| part.strong_count() > 0);
    let units = Arc::new(Semaphore::new(bytes / UNIT));
    let beyond = Arc::new(Semaphore::new(1));
    let part = Arc::new(ZipMemoryQuota { units, beyond });
    parts.insert(key, Arc::downgrade(&part));
    part
}

/// The room of one archive, given back when dropped.
#[derive(Debug)]
pub struct ZipMemory {
    rooms: Arc<ZipMemoryPool>,
    link: Arc<ZipMemoryQuota>,
    network: Arc<ZipMemoryQuota>,
    units: Vec<[OwnedSemaphorePermit; 3]>,
    beyond: Option<OwnedSemaphorePermit>,
    /// Bytes that were read lately, and how long that took.
    read: (u64, Duration),
}

impl ZipMemory {
    /// Room for an archive that a visitor of this link loads from this network.
    pub fn new(link: &str, network: ClientNetwork) -> Self {
        Self::in_pool(&ROOMS, link, network)
    }

    fn in_pool(rooms: &Arc<ZipMemoryPool>, link: &str, network: ClientNetwork) -> Self {
        let link = part_of(&rooms.links, link.into(), OF_LINK);
        let network = part_of(&rooms.networks, network, OF_NETWORK);
        Self {
            rooms: rooms.clone(),
            link,
            network,
            units: Vec::new(),
            beyond: None,
            read: Default::default(),
        }
    }

    /// Waits until there is room for so many bytes.
    pub async fn reserve(&mut self, bytes: usize) {
        while self.beyond.is_none() && bytes > FREE + self.units.len() * UNIT {
            let _waiting = ZipMemoryWaiter::new(&self.rooms.waiting);
            tokio::select! {
                biased;
                // The network's first: who waits for that keeps nothing of what others wait for.
                Ok(unit) = async {
                    let of_network = self.network.units.clone().acquire_owned().await?;
                    let of_link = self.link.units.clone().acquire_owned().await?;
                    Ok::<_, tokio::sync::AcquireError>([of_network, of_link, self.rooms.units.clone().acquire_owned().await?])
                } => self.units.push(unit),
                Ok(turn) = self.link.beyond.clone().acquire_owned() => self.beyond = Some(turn),
                else => return,
            }
        }
    }

    /// Counts what its reader has taken, and how long that took; an error for who is too slow while somebody waits for room.
    pub fn progress(&mut self, bytes: usize, took: Duration) -> Result<()> {
        if self.beyond.is_none() && self.units.is_empty() {
            return Ok(());
        }
        let read = self.read.0 + bytes as u64;
        let spent = self.read.1 + took;
        self.read = if read >= FAIR * PATIENCE.as_secs() {
            (0, Duration::ZERO)
        } else {
            (read, spent)
        };
        if self.read.1 < PATIENCE || self.rooms.waiting.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        Err(Error::io(
            "send an archive so slowly while others wait for room",
            io::Error::from(io::ErrorKind::TimedOut),
        ))
    }
}

/// Somebody who waits for room.
struct ZipMemoryWaiter<'a>(&'a AtomicUsize);

impl<'a> ZipMemoryWaiter<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for ZipMemoryWaiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    fn room(rooms: &Arc<ZipMemoryPool>, link: &str, network: u32) -> ZipMemory {
        ZipMemory::in_pool(rooms, link, ClientNetwork::V4(network))
    }

    async fn fits(room: &mut ZipMemory, bytes: usize) -> bool {
        timeout(Duration::from_secs(1), room.reserve(bytes))
            .await
            .is_ok()
    }

    /// Takes all that it gets.
    async fn fill(room: &mut ZipMemory) {
        let mut bytes = FREE + UNIT;
        while fits(room, bytes).await && room.beyond.is_none() {
            bytes += UNIT;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_a_link_goes_beyond_the_bound_and_the_others_wait_for_it() {
        let rooms = Arc::<ZipMemoryPool>::default();
        let [mut all, mut small, mut first, mut second] = [0; 4].map(|_| room(&rooms, "a", 1));
        assert!(fits(&mut all, OF_NETWORK + FREE).await && fits(&mut small, FREE).await);
        assert!(fits(&mut first, 100 * TOTAL).await, "one may");
        assert!(!fits(&mut second, FREE + 1).await, "and no other");
        drop(first);
        assert!(fits(&mut second, 2 * TOTAL).await);
        drop(all);
        assert!(fits(&mut small, OF_NETWORK + FREE).await);
        drop((second, small));
        assert_eq!(rooms.units.available_permits(), TOTAL / UNIT);
        drop(room(&rooms, "b", 2));
        assert_eq!(
            (rooms.links.lock().len(), rooms.networks.lock().len()),
            (1, 1),
            "what is over is forgotten"
        );
    }

    /// However many archives one network holds up, by one link or by several, others load theirs: by other links, and by the same.
    #[tokio::test(start_paused = true)]
    async fn who_fills_the_room_of_a_link_or_network_keeps_nobody_else_waiting() {
        let rooms = Arc::<ZipMemoryPool>::default();
        let mut slow = Vec::new();
        for n in 0..300 {
            let mut held = room(&rooms, if n % 2 == 0 { "a" } else { "b" }, 1);
            fill(&mut held).await;
            slow.push(held);
        }
        assert!(!fits(&mut room(&rooms, "a", 1), FREE + 1).await);
        for (link, network) in [("a", 2), ("c", 2), ("b", 3)] {
            assert!(
                fits(&mut room(&rooms, link, network), FREE + (4 << 20)).await,
                "{link} {network}"
            );
        }
        // The same by many networks, all of one link.
        for n in 10..20 {
            let mut held = room(&rooms, "a", n);
            fill(&mut held).await;
            slow.push(held);
        }
        assert!(fits(&mut room(&rooms, "c", 2), FREE + (4 << 20)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_is_cut_off_once_somebody_waits() {
        let rooms = Arc::<ZipMemoryPool>::default();
        let mut slow = room(&rooms, "a", 1);
        let mut fast = room(&rooms, "a", 1);
        let mut small = room(&rooms, "a", 1);
        let second = Duration::from_secs(1);
        assert!(fits(&mut slow, OF_NETWORK).await && fits(&mut fast, 2 * OF_NETWORK).await);
        for _ in 0..600 {
            slow.progress(1 << 10, second).unwrap();
        }
        let waits = tokio::spawn({
            let mut waits = room(&rooms, "a", 1);
            async move { waits.reserve(FREE + 1).await }
        });
        tokio::task::yield_now().await;
        for _ in 0..600 {
            fast.progress(16 << 10, second).unwrap();
            small.progress(1, second).unwrap();
        }
        assert!(slow.progress(1 << 10, second).is_err());
        drop(slow);
        timeout(second, waits).await.unwrap().unwrap();
        assert_eq!(rooms.waiting.load(Ordering::Relaxed), 0);
    }
}
