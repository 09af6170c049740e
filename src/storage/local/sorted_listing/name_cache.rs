//! The names of a folder in order, of a very large one as many of the first as there is room for; and those kept for a while, so that who reads
//! a folder page by page has its names read once.

use crate::storage::FileId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// What the names of one folder may take, and what is kept of all folders.
const ROOM: usize = 16 << 20;
const ROOM_OF_ALL: usize = 32 << 20;
/// What a name takes beside its bytes.
const OVERHEAD: usize = 48;
/// How long names are kept.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A folder: its disk and what it is there. Whoever asks for its names has opened it.
pub(super) type FolderKey = (u64, FileId);

static NAME_CACHE: LazyLock<Mutex<NameCache>> =
    LazyLock::new(|| Mutex::new(NameCache::new(ROOM_OF_ALL)));

/// Names in order, each once.
#[derive(Debug)]
pub(super) struct SortedNames {
    /// Where they begin: after this name.
    after: Option<String>,
    sorted: Vec<Box<str>>,
    bytes: usize,
    /// Whether the folder had no others after them.
    pub is_all: bool,
    /// What the folder held from then on, and until they were read, is among them.
    begun: Instant,
}

impl SortedNames {
    /// From which of them on they follow a name, if all that do are there as far as they reach.
    pub fn following(&self, after: Option<&str>) -> Option<usize> {
        let Some(after) = after else {
            return self.after.is_none().then_some(0);
        };
        let begins = self.after.as_deref().is_none_or(|begin| begin <= after);
        let at = self.sorted.partition_point(|name| **name <= *after);
        (begins && (self.is_all || at < self.sorted.len())).then_some(at)
    }

    /// So many names from there on.
    pub fn from(&self, at: usize, most: usize) -> &[Box<str>] {
        let rest = self.sorted.get(at..).unwrap_or_default();
        rest.get(..most).unwrap_or(rest)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }
}

/// Names as they are read, in no order.
#[derive(Debug)]
pub(super) struct NameCollector {
    after: Option<String>,
    names: Vec<Box<str>>,
    bytes: usize,
    room: usize,
    /// Once there are more than there is room for: those beyond this are left for later.
    bound: Option<Box<str>>,
    begun: Instant,
}

impl NameCollector {
    /// Of the names after this one.
    pub fn after(after: Option<String>) -> Self {
        Self {
            after,
            names: Vec::new(),
            bytes: 0,
            room: ROOM,
            bound: None,
            begun: Instant::now(),
        }
    }

    /// How many have been kept so far.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Adds a name.
    pub fn add(&mut self, name: &str) {
        let is_before = self.after.as_deref().is_some_and(|after| name <= after);
        if is_before || self.bound.as_deref().is_some_and(|bound| name > bound) {
            return;
        }
        self.bytes += name.len() + OVERHEAD;
        self.names.push(name.into());
        if self.bytes > self.room && self.names.len() > 1 {
            let half = (self.names.len() - 1) / 2;
            let (_, last, _) = self.names.select_nth_unstable(half);
            self.bound = Some(last.clone());
            self.names.truncate(half + 1);
            self.bytes = self.names.iter().map(|name| name.len() + OVERHEAD).sum();
        }
    }

    /// All of them, in order.
    pub fn finish(self) -> SortedNames {
        let Self {
            after,
            names: mut sorted,
            bytes,
            bound,
            begun,
            ..
        } = self;
        sorted.sort_unstable();
        SortedNames {
            after,
            sorted,
            bytes,
            is_all: bound.is_none(),
            begun,
        }
    }
}

/// Keeps names for who reads on in the folder.
pub(super) fn store(key: FolderKey, names: &Arc<SortedNames>) {
    let mut kept = NAME_CACHE.lock();
    kept.sweep(Instant::now());
    kept.store(key, names);
}

/// The names that are kept of a folder and follow this one, and from which on.
pub(super) fn cached(key: FolderKey, after: &str) -> Option<(Arc<SortedNames>, usize)> {
    NAME_CACHE.lock().find(key, after)
}

struct NameCache {
    room: usize,
    bytes: usize,
    folders: HashMap<FolderKey, Arc<SortedNames>>,
    /// When those were read that are kept no longer. What was begun before is not kept: it may lack what has come since, and who
    /// began to read after that must not miss it.
    gone: Option<Instant>,
}

impl NameCache {
    fn new(room: usize) -> Self {
        Self {
            room,
            bytes: 0,
            folders: HashMap::new(),
            gone: None,
        }
    }

    fn store(&mut self, key: FolderKey, names: &Arc<SortedNames>) {
        let is_older = |than: Instant| names.begun < than;
        if self.gone.is_some_and(is_older)
            || self
                .folders
                .get(&key)
                .is_some_and(|old| is_older(old.begun))
        {
            return;
        }
        self.bytes += names.bytes;
        if let Some(old) = self.folders.insert(key, Arc::clone(names)) {
            self.bytes -= old.bytes;
        }
        while self.bytes > self.room
            && let Some(oldest) = self
                .folders
                .iter()
                .min_by_key(|(_, names)| names.begun)
                .map(|(key, _)| *key)
        {
            self.drop(oldest);
        }
    }

    fn find(&mut self, key: FolderKey, after: &str) -> Option<(Arc<SortedNames>, usize)> {
        self.sweep(Instant::now());
        let names = self.folders.get(&key)?;
        names
            .following(Some(after))
            .map(|at| (Arc::clone(names), at))
    }

    /// Lets go of what has been kept long enough.
    fn sweep(&mut self, now: Instant) {
        let old = self
            .folders
            .iter()
            .filter(|(_, names)| now.duration_since(names.begun) >= KEPT_FOR);
        for key in old.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.drop(key);
        }
    }

    fn drop(&mut self, key: FolderKey) {
        if let Some(names) = self.folders.remove(&key) {
            self.bytes -= names.bytes;
            self.gone = self.gone.max(Some(names.begun));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Node;

    fn read(names: &[&str], after: Option<&str>, room: usize) -> SortedNames {
        let mut reading = NameCollector {
            room,
            ..NameCollector::after(after.map(str::to_owned))
        };
        for name in names {
            reading.add(name);
        }
        reading.finish()
    }

    fn key(disk: u64) -> FolderKey {
        (disk, FileId::derived(&Node::unseen(true)))
    }

    #[test]
    fn names_that_have_no_room_are_left_for_later_and_none_is_lost() {
        let all: Vec<String> = (0..500).map(|n| format!("{:03}", n * 37 % 500)).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut seen: Vec<String> = Vec::new();
        let mut after: Option<String> = None;
        let mut windows = 0;
        loop {
            let names = read(&all, after.as_deref(), 100 * (3 + OVERHEAD));
            assert!(
                names.bytes <= 100 * (3 + OVERHEAD) && names.following(after.as_deref()) == Some(0)
            );
            seen.extend(names.from(0, usize::MAX).iter().map(ToString::to_string));
            windows += 1;
            if names.is_all {
                break;
            }
            after = seen.last().cloned();
        }
        assert_eq!(
            seen,
            (0..500).map(|n| format!("{n:03}")).collect::<Vec<_>>()
        );
        assert!((5..=11).contains(&windows), "{windows}");
    }

    #[test]
    fn names_are_good_for_what_they_reach_only() {
        let part = read(
            &["a", "b", "c", "d", "e", "f"],
            Some("a"),
            4 * (1 + OVERHEAD),
        );
        assert!(!part.is_all);
        assert_eq!(
            (part.following(None), part.following(Some("A"))),
            (None, None)
        );
        assert_eq!(
            (
                part.following(Some("a")),
                part.following(Some("b")),
                part.following(Some("f"))
            ),
            (Some(0), Some(1), None)
        );
        let all = read(&["b", "a"], None, ROOM);
        assert_eq!(
            (
                all.following(None),
                all.following(Some("aa")),
                all.following(Some("z"))
            ),
            (Some(0), Some(1), Some(2))
        );
    }

    #[test]
    fn what_is_kept_is_bounded_and_never_older_than_what_was() {
        let one = 2 + 2 * OVERHEAD;
        let mut kept = NameCache::new(2 * one);
        let older = Arc::new(read(&["a", "b"], None, ROOM));
        let names: Vec<_> = (0..3)
            .map(|_| Arc::new(read(&["a", "c"], None, ROOM)))
            .collect();
        kept.store(key(1), &names[0]);
        kept.store(key(1), &older);
        assert!(
            Arc::ptr_eq(&kept.find(key(1), "a").unwrap().0, &names[0]),
            "newer names are not replaced by older"
        );
        kept.store(key(2), &names[1]);
        kept.store(key(3), &names[2]);
        assert!(kept.find(key(1), "a").is_none() && kept.find(key(3), "a").is_some());
        assert_eq!(kept.bytes, 2 * one);
        kept.store(key(1), &older);
        assert!(
            kept.find(key(1), "a").is_none(),
            "what was let go of does not come back older"
        );
        kept.sweep(Instant::now() + KEPT_FOR);
        assert_eq!((kept.bytes, kept.folders.len()), (0, 0));
    }
}
