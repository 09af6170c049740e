//! How many different tries a key has within a time. A try is counted before it is judged, in the same step that asks whether
//! there is room for it, and given back when it was right: of many at once no more are judged than of many in a row.

use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a try is known: the same again is no new one.
const KNOWN: Duration = Duration::from_secs(10 * 60);
/// Keys that are remembered.
pub(super) const MAX_KEYS: usize = 10_000;

/// What stands for the secret of a try: part of its HMAC.
pub type SecretFingerprint = u64;

/// A print that no other try has.
pub fn unique_fingerprint() -> SecretFingerprint {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Tries by key, at most `limit` of them within `window`.
///
/// [`reserve`](Self::reserve) before judging, [`refund`](Self::refund) when the try was right (or was not judged at all and
/// nothing is learned from that); whatever else happens, also that the caller goes away, it stays counted.
#[derive(Debug)]
pub struct AttemptLimiter<K> {
    limit: usize,
    window: Duration,
    tries: Mutex<HashMap<K, Vec<CountedAttempt>>>,
}

#[derive(Clone, Copy, Debug)]
struct CountedAttempt {
    fingerprint: SecretFingerprint,
    counted: Instant,
    seen: Instant,
}

impl<K: Eq + Hash + Clone> AttemptLimiter<K> {
    /// A limit of 0 counts as 1.
    pub fn new(limit: u32, window: Duration) -> Self {
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        Self {
            limit,
            window,
            tries: Mutex::default(),
        }
    }

    /// Whether another try would be counted. `Throttled`.
    pub fn check(&self, key: &K, now: Instant) -> Result<()> {
        self.check_in(&self.tries.lock(), key, now)
    }

    /// Counts a try that is about to be judged; `Throttled` when there were too many. The same secret again is no new try;
    /// without one, each try is. What is returned gives it back.
    pub fn reserve(
        &self,
        key: &K,
        secret: Option<SecretFingerprint>,
        now: Instant,
    ) -> Result<SecretFingerprint> {
        let mut tries = self.tries.lock();
        self.check_in(&tries, key, now)?;
        Ok(self.add(&mut tries, key, secret, now))
    }

    /// Counts a try that was judged already, although there is no room for it.
    pub fn count(&self, key: &K, secret: Option<SecretFingerprint>, now: Instant) {
        self.add(&mut self.tries.lock(), key, secret, now);
    }

    /// Gives a try back.
    pub fn refund(&self, key: &K, print: SecretFingerprint) {
        let mut tries = self.tries.lock();
        let Some(own) = tries.get_mut(key) else {
            return;
        };
        own.retain(|one| one.fingerprint != print);
        if own.is_empty() {
            tries.remove(key);
        }
    }

    fn check_in(
        &self,
        tries: &HashMap<K, Vec<CountedAttempt>>,
        key: &K,
        now: Instant,
    ) -> Result<()> {
        let Some(own) = tries.get(key).filter(|own| own.len() >= self.limit) else {
            return Ok(());
        };
        let mut counted: Vec<Instant> = own
            .iter()
            .filter(|one| self.counts(one, now))
            .map(|one| one.counted)
            .collect();
        counted.sort_unstable();
        // There is room again when so many of them are over that one less than the limit is left.
        let Some(ends) = counted
            .len()
            .checked_sub(self.limit)
            .and_then(|at| counted.get(at))
        else {
            return Ok(());
        };
        let wait = self
            .window
            .saturating_sub(now.saturating_duration_since(*ends));
        // Rounded up: a client that comes back after the whole seconds it was told must get in.
        let retry_after = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        Err(Error::Throttled { retry_after })
    }

    fn add(
        &self,
        tries: &mut HashMap<K, Vec<CountedAttempt>>,
        key: &K,
        secret: Option<SecretFingerprint>,
        now: Instant,
    ) -> SecretFingerprint {
        let print = secret.unwrap_or_else(unique_fingerprint);
        self.make_room(tries, key, now);
        let own = tries.entry(key.clone()).or_default();
        own.retain(|one| now.saturating_duration_since(one.seen) < KNOWN.max(self.window));
        if let Some(known) = own.iter_mut().find(|one| one.fingerprint == print) {
            known.seen = now;
            return print;
        }
        if own.len() >= self.limit.saturating_mul(2) {
            let last = own
                .iter()
                .enumerate()
                .min_by_key(|(_, one)| (self.counts(one, now), one.seen));
            if let Some(at) = last.map(|(at, _)| at) {
                own.swap_remove(at);
            }
        }
        own.push(CountedAttempt {
            fingerprint: print,
            counted: now,
            seen: now,
        });
        print
    }

    fn counts(&self, one: &CountedAttempt, now: Instant) -> bool {
        now.saturating_duration_since(one.counted) < self.window
    }

    /// Drops what counts no more when a new key would exceed the bound, and of the rest those that were counted first.
    fn make_room(&self, tries: &mut HashMap<K, Vec<CountedAttempt>>, key: &K, now: Instant) {
        if tries.len() < MAX_KEYS || tries.contains_key(key) {
            return;
        }
        tries.retain(|_, own| own.iter().any(|one| self.counts(one, now)));
        if tries.len() < MAX_KEYS {
            return;
        }
        let last = |own: &Vec<CountedAttempt>| own.iter().map(|one| one.counted).max();
        let mut ages: Vec<_> = tries.values().map(last).collect();
        // Several at once, so that a flood of keys does not cost a pass over all of them for each.
        let (_, oldest, _) = ages.select_nth_unstable(MAX_KEYS / 16);
        let oldest = *oldest;
        tries.retain(|_, own| last(own) > oldest);
    }
}

#[cfg(test)]
impl<K> AttemptLimiter<K> {
    /// Forgets everything, as time does.
    pub fn forget(&self) {
        self.tries.lock().clear();
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.tries.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn budget(limit: u32) -> (AttemptLimiter<u32>, Instant) {
        (AttemptLimiter::new(limit, WINDOW), Instant::now())
    }

    #[test]
    fn within_any_minute_no_more_are_let_through_than_the_limit() {
        let (budget, start) = budget(3);
        for at in 0..3 {
            budget.reserve(&1, Some(at), start + seconds(at)).unwrap();
        }
        let refused = budget.reserve(&1, Some(9), start + Duration::from_millis(9500));
        assert!(
            matches!(refused, Err(Error::Throttled { retry_after }) if retry_after == seconds(51)),
            "{refused:?}"
        );
        budget.reserve(&2, Some(9), start).unwrap();
        budget.reserve(&1, Some(9), start + WINDOW).unwrap();
        assert!(
            budget.check(&1, start + WINDOW).is_err(),
            "those of the seconds 1 and 2 still count"
        );
        budget.check(&1, start + WINDOW + seconds(1)).unwrap();
    }

    #[test]
    fn the_same_secret_is_one_try_for_ten_minutes() {
        let (budget, start) = budget(2);
        for at in (0..30).chain([100, 600]) {
            budget.reserve(&1, Some(7), start + seconds(at)).unwrap();
        }
        let now = start + seconds(600);
        budget.reserve(&1, Some(8), now).unwrap();
        budget
            .check(&1, now)
            .expect("the old one is known and does not count any more");
        budget.reserve(&1, Some(9), now).unwrap();
        assert!(
            budget.reserve(&1, Some(7), now).is_err(),
            "there is no room: nothing is judged"
        );
        let later = now + KNOWN + seconds(1);
        budget.reserve(&1, Some(7), later).unwrap();
        budget.reserve(&1, Some(8), later).unwrap();
        assert!(
            budget.check(&1, later).is_err(),
            "both were forgotten and count as new"
        );
    }

    #[test]
    fn many_at_once_are_no_more_than_many_in_a_row() {
        let (budget, now) = budget(5);
        let judged = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let budget = &budget;
                let judged = &judged;
                scope.spawn(move || {
                    for n in 0..100 {
                        let let_in = budget.reserve(&1, Some(thread * 1000 + n), now).is_ok();
                        judged.fetch_add(u64::from(let_in), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(judged.into_inner(), 5);
    }

    #[test]
    fn what_was_right_is_given_back_and_what_was_left_is_not() {
        let (budget, now) = budget(1);
        let right = budget.reserve(&1, None, now).unwrap();
        assert!(budget.check(&1, now).is_err(), "counted while it is judged");
        budget.refund(&1, right);
        assert_eq!(budget.len(), 0);
        budget.reserve(&1, None, now).unwrap();
        assert!(budget.check(&1, now).is_err());
        budget.refund(&1, right);
        assert!(
            budget.check(&1, now).is_err(),
            "another try's is not given back"
        );
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let (budget, start) = budget(1);
        let total = u32::try_from(MAX_KEYS).unwrap() + 1;
        let at = |n: u32| start + Duration::from_micros(u64::from(n));
        for n in 0..total {
            budget.count(&n, Some(1), at(n));
        }
        assert!(
            (MAX_KEYS * 9 / 10..=MAX_KEYS).contains(&budget.len()),
            "{}",
            budget.len()
        );
        assert!(
            budget.check(&0, at(total)).is_ok() && budget.check(&(total - 1), at(total)).is_err()
        );
        for n in 0..1000 {
            budget.count(&5000, Some(n), at(total));
        }
        assert!(budget.tries.lock()[&5000].len() <= 2);
        budget.count(&total, Some(1), start + WINDOW * 2);
        for n in 0..u32::try_from(MAX_KEYS).unwrap() {
            budget.count(&(total + n), Some(1), start + WINDOW * 2);
        }
        assert!(budget.len() <= MAX_KEYS && budget.check(&(total - 1), start + WINDOW * 2).is_ok());
    }
}
