//! How often sign-in may fail: by network, and by account from one network. Memory is bounded; the clock is the caller's.

use crate::model::{AccountName, Error, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
/// How long a sign-in proves that an account belongs to a network.
const PROOF: Duration = Duration::from_secs(24 * 3600);
const MAX_ENTRIES: usize = 10_000;

/// Where a request comes from, as coarse as one owner's addresses: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// One IPv4 address, also when written as IPv6.
    V4(u32),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

/// Counts failures, and knows which accounts have signed in from where.
#[derive(Debug)]
pub struct Throttle {
    per_network: u32,
    per_account: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    networks: HashMap<Network, Failures>,
    accounts: HashMap<(Network, AccountName), Failures>,
    proofs: HashMap<(Network, AccountName), Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Throttle {
    /// Limits of failures a minute; a limit of 0 counts as 1.
    pub fn new(per_network: u32, per_account: u32) -> Self {
        Self { per_network: per_network.max(1), per_account: per_account.max(1), state: Mutex::default() }
    }

    /// Whether another try is allowed. The network's own limit does not bind an account that has signed in from it before:
    /// others behind the same address cannot lock it out.
    pub fn check(&self, network: Network, account: Option<&AccountName>, now: Instant) -> Result<()> {
        let state = self.state.lock();
        let mut wait = None;
        if let Some(name) = account {
            wait = left(state.accounts.get(&(network, name.clone())), self.per_account, now);
        }
        if wait.is_none() && !state.is_proven(network, account, now) {
            wait = left(state.networks.get(&network), self.per_network, now);
        }
        // Rounded up: a client that comes back after the whole seconds it was told must get in.
        wait.map_or(Ok(()), |wait| {
            let retry_after = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
            Err(Error::Throttled { retry_after })
        })
    }

    /// Whether this account has signed in from this network within a day.
    pub fn is_proven(&self, network: Network, account: Option<&AccountName>, now: Instant) -> bool {
        self.state.lock().is_proven(network, account, now)
    }

    /// Remembers a failure.
    pub fn count(&self, network: Network, account: Option<AccountName>, now: Instant) {
        let mut state = self.state.lock();
        add(&mut state.networks, network, now);
        if let Some(name) = account {
            add(&mut state.accounts, (network, name), now);
        }
    }

    /// Remembers a success.
    pub fn prove(&self, network: Network, account: AccountName, now: Instant) {
        let mut state = self.state.lock();
        let key = (network, account);
        make_room(&mut state.proofs, &key, |since| *since, (PROOF, now));
        state.proofs.insert(key, now);
    }
}

impl State {
    fn is_proven(&self, network: Network, account: Option<&AccountName>, now: Instant) -> bool {
        let proof = account.and_then(|name| self.proofs.get(&(network, name.clone())));
        proof.is_some_and(|since| now.duration_since(*since) < PROOF)
    }
}

/// What is left of the window, when its failures have reached the limit.
fn left(failures: Option<&Failures>, limit: u32, now: Instant) -> Option<Duration> {
    let failures = failures.filter(|f| f.count >= limit)?;
    WINDOW.checked_sub(now.duration_since(failures.since)).filter(|left| !left.is_zero())
}

fn add<K: Eq + Hash + Clone>(counts: &mut HashMap<K, Failures>, key: K, now: Instant) {
    make_room(counts, &key, |failures| failures.since, (WINDOW, now));
    let failures = counts.entry(key).or_insert(Failures { since: now, count: 0 });
    if now.duration_since(failures.since) >= WINDOW {
        *failures = Failures { since: now, count: 0 };
    }
    failures.count = failures.count.saturating_add(1);
}

/// Drops what has expired when a new key would exceed the bound, and the oldest entry when nothing has.
fn make_room<K: Eq + Hash + Clone, V>(
    map: &mut HashMap<K, V>,
    key: &K,
    since: impl Fn(&V) -> Instant,
    (life, now): (Duration, Instant),
) {
    if map.len() < MAX_ENTRIES || map.contains_key(key) {
        return;
    }
    map.retain(|_, value| now.duration_since(since(value)) < life);
    if map.len() < MAX_ENTRIES {
        return;
    }
    if let Some(oldest) = map.iter().min_by_key(|(_, value)| since(value)).map(|(key, _)| key.clone()) {
        map.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Network {
        Network::from(text.parse::<IpAddr>().unwrap())
    }

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).unwrap()
    }

    fn wait(outcome: Result<()>) -> Option<u64> {
        match outcome {
            Ok(()) => None,
            Err(Error::Throttled { retry_after }) => Some(retry_after.as_secs()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn networks_are_one_address_or_a_64() {
        assert_eq!(net("2001:db8::1"), net("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(net("2001:db8::1"), net("2001:db8:0:1::1"));
        assert_ne!(net("192.0.2.1"), net("192.0.2.2"));
        assert_eq!(net("192.0.2.1"), net("::ffff:192.0.2.1"));
    }

    #[test]
    fn an_account_is_closed_to_one_network_until_the_minute_is_over() {
        let throttle = Throttle::new(10, 3);
        let (start, here, ana) = (Instant::now(), net("192.0.2.1"), name("ana"));
        for second in 0..3 {
            let now = start + Duration::from_secs(second);
            assert_eq!(wait(throttle.check(here, Some(&ana), now)), None);
            throttle.count(here, Some(ana.clone()), now);
        }
        let now = start + Duration::from_millis(9500);
        assert_eq!(wait(throttle.check(here, Some(&ana), now)), Some(51), "rounded up");
        assert_eq!(wait(throttle.check(net("192.0.2.2"), Some(&ana), now)), None, "other networks go on");
        assert_eq!(wait(throttle.check(here, Some(&name("ben")), now)), None, "other accounts go on");
        let over = start + WINDOW;
        assert_eq!(wait(throttle.check(here, Some(&ana), over)), None);
        throttle.count(here, Some(ana.clone()), over);
        assert_eq!(wait(throttle.check(here, Some(&ana), over)), None, "a new window counts from one");
    }

    #[test]
    fn a_network_that_guesses_names_is_closed_except_to_those_who_belong() {
        let throttle = Throttle::new(4, 3);
        let (now, here, ana) = (Instant::now(), net("2001:db8::1"), name("ana"));
        throttle.prove(here, ana.clone(), now);
        for guess in ["a", "b", "c"] {
            throttle.count(here, Some(name(guess)), now);
        }
        throttle.count(here, None, now);
        assert_eq!(wait(throttle.check(here, Some(&name("ben")), now)), Some(60));
        assert_eq!(wait(throttle.check(here, None, now)), Some(60));
        assert_eq!(wait(throttle.check(here, Some(&ana), now)), None);
        assert_eq!(wait(throttle.check(net("2001:db8:1::1"), Some(&name("ben")), now)), None);
        for _ in 0..3 {
            throttle.count(here, Some(ana.clone()), now);
        }
        assert_eq!(wait(throttle.check(here, Some(&ana), now)), Some(60), "its own limit still binds");
        let next_day = now + PROOF;
        assert!(!throttle.is_proven(here, Some(&ana), next_day));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let throttle = Throttle::new(1, 1);
        let start = Instant::now();
        let total = u32::try_from(MAX_ENTRIES).unwrap() + 10;
        for n in 0..total {
            let now = start + Duration::from_micros(u64::from(n));
            throttle.count(Network::V4(n), Some(name("ana")), now);
            throttle.prove(Network::V4(n), name("ana"), now);
        }
        let now = start + Duration::from_secs(1);
        let sizes = {
            let state = throttle.state.lock();
            [state.networks.len(), state.accounts.len(), state.proofs.len()]
        };
        assert_eq!(sizes, [MAX_ENTRIES; 3]);
        assert_eq!(wait(throttle.check(Network::V4(9), None, now)), None);
        assert!(wait(throttle.check(Network::V4(10), None, now)).is_some());
        throttle.count(Network::V4(total), None, now + WINDOW);
        assert_eq!(throttle.state.lock().networks.len(), 1, "what has expired makes room");
    }
}
