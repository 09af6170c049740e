//! The locks in memory: which cover a place, which lie below it, and whether another may stand beside them.

use super::HolderCheck;
use crate::config::LocksConfig;
use crate::model::{AccountName, Error, RelPath, Result};
use crate::storage::{Lock, LockHolder, LockScope, LocksSeen, ResourceId};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// The most locks that the visitors of one link may hold.
const PER_LINK: usize = 50;

/// Every lock, by place and by token.
#[derive(Debug, Default)]
pub(super) struct LockIndex {
    pub(super) by_root: HashMap<Arc<str>, BTreeMap<RelPath, Vec<Arc<Lock>>>>,
    pub(super) by_token: HashMap<String, Arc<Lock>>,
    /// When each ends, and its token.
    by_end: BTreeSet<(Instant, String)>,
    /// How many there are.
    counts: HashMap<LockLimitGroup, usize>,
}

/// Whose locks have a limit together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum LockLimitGroup {
    Account(AccountName),
    VisitorsOf(String),
    VisitorsOfAll(AccountName),
}

impl LockLimitGroup {
    fn of(holder: &LockHolder) -> Vec<Self> {
        match holder.link() {
            None => vec![Self::Account(holder.account.clone())],
            Some(link) => vec![
                Self::VisitorsOf(link.to_owned()),
                Self::VisitorsOfAll(holder.account.clone()),
            ],
        }
    }

    /// Refuses one more than there may be.
    fn check(&self, count: usize, limits: &LocksConfig) -> Result<()> {
        let (limit, sentence) = match self {
            Self::Account(_) => (
                limits.per_account,
                "Your account already holds as many locks as it may have.",
            ),
            Self::VisitorsOf(_) => (
                PER_LINK,
                "The visitors of this link already hold as many locks as they may have.",
            ),
            Self::VisitorsOfAll(_) => (
                limits.per_account,
                "The visitors of this account's links already hold as many locks as they may have together.",
            ),
        };
        if count < limit {
            Ok(())
        } else {
            Err(Error::LimitReached(sentence))
        }
    }
}

/// Tells the locks that count.
#[derive(Clone, Copy)]
pub(super) struct LivenessCheck<'a> {
    pub(super) now: Instant,
    pub(super) check: Option<&'a dyn HolderCheck>,
}

impl LivenessCheck<'_> {
    pub(super) fn is_live(&self, lock: &Lock) -> bool {
        lock.is_live(self.now)
            && self
                .check
                .is_none_or(|check| check.may_change(&lock.holder, &lock.resource))
    }
}

impl LockIndex {
    /// What stands near some scopes and places.
    pub(super) fn look(
        &self,
        scopes: &[LockScope],
        named: &[ResourceId],
        alive: LivenessCheck<'_>,
    ) -> LocksSeen {
        let mut seen = LocksSeen::none(alive.now);
        let places = scopes.iter().map(LockScope::resource).chain(named);
        if places.clone().all(|place| self.is_empty_in(&place.root)) {
            return seen;
        }
        let mut known = HashSet::new();
        let mut add = |near: &mut Vec<Arc<Lock>>, lock: &Arc<Lock>| {
            if known.insert(Arc::as_ptr(lock)) {
                near.push(lock.clone());
            }
        };
        for scope in scopes {
            match scope {
                LockScope::Content(resource) => self
                    .covering(resource, alive)
                    .for_each(|lock| add(&mut seen.near, lock)),
                LockScope::Members(resource) | LockScope::NewMember(resource) => self
                    .at(resource, alive)
                    .for_each(|lock| add(&mut seen.near, lock)),
                LockScope::Subtree(resource) => {
                    for lock in self.below(resource).flatten() {
                        seen.within.push(lock.token.clone());
                        if alive.is_live(lock) {
                            add(&mut seen.near, lock);
                        }
                    }
                }
            }
        }
        for resource in named {
            self.covering(resource, alive)
                .for_each(|lock| add(&mut seen.near, lock));
        }
        seen
    }

    fn is_empty_in(&self, root: &str) -> bool {
        self.by_root.get(root).is_none_or(BTreeMap::is_empty)
    }

    pub(super) fn insert(&mut self, lock: Arc<Lock>) {
        let places = self.by_root.entry(lock.resource.root.clone()).or_default();
        places
            .entry(lock.resource.path.clone())
            .or_default()
            .push(lock.clone());
        self.by_end.insert((lock.ends, lock.token.clone()));
        for counted in LockLimitGroup::of(&lock.holder) {
            *self.counts.entry(counted).or_default() += 1;
        }
        self.by_token.insert(lock.token.clone(), lock);
    }

    pub(super) fn remove(&mut self, token: &str) {
        let Some(lock) = self.by_token.remove(token) else {
            return;
        };
        self.by_end.remove(&(lock.ends, lock.token.clone()));
        for counted in LockLimitGroup::of(&lock.holder) {
            self.count_one_less(counted);
        }
        let Some(places) = self.by_root.get_mut(&lock.resource.root) else {
            return;
        };
        if let Some(locks) = places.get_mut(&lock.resource.path) {
            locks.retain(|l| l.token != token);
            if locks.is_empty() {
                places.remove(&lock.resource.path);
            }
        }
        if places.is_empty() {
            self.by_root.remove(&lock.resource.root);
        }
    }

    fn count_one_less(&mut self, counted: LockLimitGroup) {
        if let Entry::Occupied(mut count) = self.counts.entry(counted) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// Takes out locks whose time is over, up to so many; returns their tokens.
    pub(super) fn take_expired(&mut self, now: Instant, most: usize) -> Vec<String> {
        let expired = self
            .by_end
            .iter()
            .take_while(|(ends, _)| *ends <= now)
            .take(most);
        let tokens: Vec<_> = expired.map(|(_, token)| token.clone()).collect();
        for token in &tokens {
            self.remove(token);
        }
        tokens
    }

    fn at<'a>(
        &'a self,
        resource: &ResourceId,
        alive: LivenessCheck<'a>,
    ) -> impl Iterator<Item = &'a Arc<Lock>> {
        let locks = self
            .by_root
            .get(&resource.root)
            .and_then(|places| places.get(&resource.path));
        locks
            .into_iter()
            .flatten()
            .filter(move |lock| alive.is_live(lock))
    }

    fn covering<'a>(
        &'a self,
        resource: &'a ResourceId,
        alive: LivenessCheck<'a>,
    ) -> impl Iterator<Item = &'a Arc<Lock>> {
        let places = self
            .by_root
            .get(&resource.root)
            .filter(|places| !places.is_empty());
        let ancestors = std::iter::successors(Some(resource.path.clone()), RelPath::parent);
        let chain = places
            .into_iter()
            .flat_map(move |places| ancestors.clone().filter_map(|path| places.get(&path)));
        chain
            .flatten()
            .filter(move |lock| lock.covers(resource) && alive.is_live(lock))
    }

    pub(super) fn below<'a>(
        &'a self,
        resource: &'a ResourceId,
    ) -> impl Iterator<Item = &'a Vec<Arc<Lock>>> {
        let places = self.by_root.get(&resource.root).into_iter();
        let from_here = places.flat_map(move |places| places.range(resource.path.clone()..));
        // Names sort such that a sibling like `a-b` stands between `a` and `a/b`: look on while the text still begins alike.
        from_here
            .take_while(move |(path, _)| path.as_str().starts_with(resource.path.as_str()))
            .filter(move |(path, _)| path.is_within(&resource.path))
            .map(|(_, locks)| locks)
    }

    /// Takes out the locks in the way of a new one that count no more; returns their tokens.
    pub(super) fn take_over(&mut self, new: &Lock, alive: &LivenessCheck<'_>) -> Vec<String> {
        let all = LivenessCheck {
            check: None,
            ..*alive
        };
        let below = self.below(&new.resource).flatten().filter(|_| new.deep);
        let met = self.covering(&new.resource, all).chain(below);
        let over: Vec<_> = met
            .filter(|lock| !alive.is_live(lock))
            .map(|lock| lock.token.clone())
            .collect();
        for token in &over {
            self.remove(token);
        }
        over
    }

    pub(super) fn check_grant(
        &self,
        new: &Lock,
        limits: &LocksConfig,
        alive: &LivenessCheck<'_>,
    ) -> Result<()> {
        let below = self
            .below(&new.resource)
            .flatten()
            .filter(|l| new.deep && alive.is_live(l));
        for present in self.covering(&new.resource, *alive).chain(below) {
            if !(present.shared && new.shared) {
                return Err(Error::Locked {
                    holder: present.holder.to_string(),
                });
            }
        }
        // Visitors of links have room of their own, and take none from whose files they are.
        let counts_here =
            |lock: &&Arc<Lock>| new.holder.link().is_some() || lock.holder.link().is_none();
        if self.at(&new.resource, *alive).filter(counts_here).count() >= limits.per_resource {
            return Err(Error::LimitReached(
                "This already has as many locks as one file may have.",
            ));
        }
        let count = |counted| self.counts.get(counted).copied().unwrap_or_default();
        LockLimitGroup::of(&new.holder)
            .iter()
            .try_for_each(|counted| counted.check(count(counted), limits))
    }
}
