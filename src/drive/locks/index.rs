//! The locks in memory: which cover a place, which lie below it, and whether a change may pass them.

use super::Lock;
use crate::config::LocksConfig;
use crate::drive::place::Spot;
use crate::model::{AccountName, Error, RelPath, Result};
use parking_lot::RwLockReadGuard;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// Every lock, by place and by token.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) by_root: HashMap<Arc<str>, BTreeMap<RelPath, Vec<Arc<Lock>>>>,
    pub(super) by_token: HashMap<String, Arc<Lock>>,
}

/// The locks as they stand while this is held: none is granted or ended meanwhile.
pub struct Held<'a>(RwLockReadGuard<'a, Index>);

impl<'a> Held<'a> {
    pub(super) fn new(guard: RwLockReadGuard<'a, Index>) -> Self {
        Self(guard)
    }

    /// Whether a live lock with this token covers `spot`.
    pub fn covers(&self, spot: &Spot, token: &str, now: Instant) -> bool {
        self.0.by_token.get(token).is_some_and(|lock| lock.is_live(now) && lock.covers(spot))
    }

    /// The live locks that cover `spot`.
    pub fn on(&self, spot: &Spot, now: Instant) -> Vec<Arc<Lock>> {
        self.0.covering(spot, now).cloned().collect()
    }

    /// Whether a root has no locks at all.
    pub fn none_in(&self, root: &str) -> bool {
        self.0.by_root.get(root).is_none_or(BTreeMap::is_empty)
    }

    /// The tokens of all locks on `spot` and below it.
    pub fn tokens_within(&self, spot: &Spot) -> Vec<String> {
        self.0.below(spot).flatten().map(|lock| lock.token.clone()).collect()
    }

    /// Whether `who`, submitting `tokens`, may change what is at `spot`; `Locked` says who may.
    pub fn admit_content(&self, spot: &Spot, who: &AccountName, tokens: &[&str], now: Instant) -> Result<()> {
        admit_group(self.0.covering(spot, now), who, tokens)
    }

    /// Whether `who` may add or remove members of the folder at `spot`: a lock of any depth on it guards that.
    pub fn admit_members(&self, spot: &Spot, who: &AccountName, tokens: &[&str], now: Instant) -> Result<()> {
        admit_group(self.0.at(spot, now), who, tokens)
    }

    /// Whether `who` may take away everything below `spot`: every locked thing there asks for its own token.
    pub fn admit_subtree(&self, spot: &Spot, who: &AccountName, tokens: &[&str], now: Instant) -> Result<()> {
        self.0.below(spot).try_for_each(|locks| admit_group(locks.iter().filter(|l| l.is_live(now)), who, tokens))
    }
}

/// Locks on one thing let through who submits the token of one of them.
fn admit_group<'a>(locks: impl Iterator<Item = &'a Arc<Lock>>, who: &AccountName, tokens: &[&str]) -> Result<()> {
    let mut holder = None;
    for lock in locks {
        if lock.holder == *who && tokens.contains(&lock.token.as_str()) {
            return Ok(());
        }
        holder = Some(lock.holder.to_string());
    }
    holder.map_or(Ok(()), |holder| Err(Error::Locked { holder }))
}

impl Index {
    pub(super) fn insert(&mut self, lock: Arc<Lock>) {
        let places = self.by_root.entry(lock.spot.root.clone()).or_default();
        places.entry(lock.spot.path.clone()).or_default().push(lock.clone());
        self.by_token.insert(lock.token.clone(), lock);
    }

    pub(super) fn remove(&mut self, token: &str) {
        let Some(lock) = self.by_token.remove(token) else { return };
        let Some(places) = self.by_root.get_mut(&lock.spot.root) else { return };
        if let Some(locks) = places.get_mut(&lock.spot.path) {
            locks.retain(|l| l.token != token);
            if locks.is_empty() {
                places.remove(&lock.spot.path);
            }
        }
    }

    fn at(&self, spot: &Spot, now: Instant) -> impl Iterator<Item = &Arc<Lock>> {
        let locks = self.by_root.get(&spot.root).and_then(|places| places.get(&spot.path));
        locks.into_iter().flatten().filter(move |lock| lock.is_live(now))
    }

    fn covering<'a>(&'a self, spot: &'a Spot, now: Instant) -> impl Iterator<Item = &'a Arc<Lock>> {
        let places = self.by_root.get(&spot.root).filter(|places| !places.is_empty());
        let ancestors = std::iter::successors(Some(spot.path.clone()), RelPath::parent);
        let chain = places.into_iter().flat_map(move |places| ancestors.clone().filter_map(|path| places.get(&path)));
        chain.flatten().filter(move |lock| lock.is_live(now) && lock.covers(spot))
    }

    fn below<'a>(&'a self, spot: &'a Spot) -> impl Iterator<Item = &'a Vec<Arc<Lock>>> {
        let places = self.by_root.get(&spot.root).into_iter();
        let from_here = places.flat_map(move |places| places.range(spot.path.clone()..));
        // Names sort such that a sibling like `a-b` stands between `a` and `a/b`: look on while the text still begins alike.
        from_here
            .take_while(move |(path, _)| path.as_str().starts_with(spot.path.as_str()))
            .filter(move |(path, _)| path.is_within(&spot.path))
            .map(|(_, locks)| locks)
    }

    pub(super) fn admit(&self, new: &Lock, limits: &LocksConfig, now: Instant) -> Result<()> {
        let below = self.below(&new.spot).flatten().filter(|l| new.deep && l.is_live(now));
        for present in self.covering(&new.spot, now).chain(below) {
            if !(present.shared && new.shared) {
                return Err(Error::Locked { holder: present.holder.to_string() });
            }
        }
        if self.at(&new.spot, now).count() >= limits.per_resource {
            return Err(Error::LimitReached("This already has as many locks as one file may have."));
        }
        let held = self.by_token.values().filter(|l| l.holder == new.holder && l.is_live(now)).count();
        if held >= limits.per_account {
            return Err(Error::LimitReached("Your account already holds as many locks as it may have."));
        }
        Ok(())
    }
}
