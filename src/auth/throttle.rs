//! How often sign-in may fail: by network, and by account from one network; and which accounts have signed in from where.
//! Memory is bounded; the clock is the caller's.

use super::attempt_limiter::{AttemptLimiter, MAX_KEYS, SecretFingerprint, unique_fingerprint};
use crate::model::{AccountName, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a try counts.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How long a sign-in proves that an account belongs to a network.
const PROOF: Duration = Duration::from_secs(24 * 3600);

/// Where a request comes from, as coarse as one owner's addresses: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientNetwork {
    /// One IPv4 address, also when written as IPv6.
    V4(u32),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
}

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

/// A try that is counted from before it is judged; `Throttle::refund` gives it back, dropping it does not.
#[derive(Debug)]
#[must_use = "a try that was right is given back"]
pub struct AttemptReservation {
    network: ClientNetwork,
    account: Option<AccountName>,
    print: SecretFingerprint,
}

/// Counts tries, and knows which accounts have signed in from where.
///
/// A secret that is judged by something slow goes this way, and the order is what makes it safe:
/// 1. [`reserve`](Self::reserve), before anything that waits: the account's budget is taken from, the network's is looked at;
/// 2. wait for a turn;
/// 3. [`charge`](Self::charge), with nothing more to wait for: the network's budget is taken from;
/// 4. judge; [`refund`](Self::refund) when it was right. Whatever else comes of it, it stays counted: also what was not judged
///    because the server is busy, or to keep it busy would be a way to ask without being counted. The same secret again is no
///    new try, so that nobody is locked out by that.
#[derive(Debug)]
pub struct Throttle {
    networks: AttemptLimiter<ClientNetwork>,
    accounts: AttemptLimiter<(ClientNetwork, AccountName)>,
    proofs: Mutex<HashMap<(ClientNetwork, AccountName), Instant>>,
}

impl Throttle {
    /// Limits of failures a minute; a limit of 0 counts as 1.
    pub fn new(per_network: u32, per_account: u32) -> Self {
        let networks = AttemptLimiter::new(per_network, WINDOW);
        let accounts = AttemptLimiter::new(per_account, WINDOW);
        Self {
            networks,
            accounts,
            proofs: Mutex::default(),
        }
    }

    /// Whether another try on an account is allowed, as far as the account's own budget goes. `Throttled`.
    pub fn check(&self, network: ClientNetwork, account: &AccountName, now: Instant) -> Result<()> {
        self.accounts.check(&(network, account.clone()), now)
    }

    /// Counts a try on an account (or on none) that shall be judged. `secret` stands for what is tried: the same again is no new
    /// try; without it each counts. `Throttled` when the account's budget on this network, or the network's, is used up. The
    /// network's does not bind an account that has signed in from it before: others behind the same address cannot lock it out.
    pub fn reserve(
        &self,
        network: ClientNetwork,
        account: Option<&AccountName>,
        secret: Option<SecretFingerprint>,
        now: Instant,
    ) -> Result<AttemptReservation> {
        if !self.is_proven(network, account, now) {
            self.networks.check(&network, now)?;
        }
        let print = secret.unwrap_or_else(unique_fingerprint);
        if let Some(name) = account {
            self.accounts
                .reserve(&(network, name.clone()), Some(print), now)?;
        }
        Ok(AttemptReservation {
            network,
            account: account.cloned(),
            print,
        })
    }

    /// Counts the same try against its network, unless the account has signed in from there. `Throttled` when others have used
    /// its budget up meanwhile.
    pub fn charge(&self, reserved: &AttemptReservation, now: Instant) -> Result<()> {
        if self.is_proven(reserved.network, reserved.account.as_ref(), now) {
            return Ok(());
        }
        self.networks
            .reserve(&reserved.network, Some(reserved.print), now)
            .map(drop)
    }

    /// Gives a try back that was right.
    pub fn refund(&self, reserved: AttemptReservation) {
        let AttemptReservation {
            network,
            account,
            print,
        } = reserved;
        self.networks.refund(&network, print);
        if let Some(name) = account {
            self.accounts.refund(&(network, name), print);
        }
    }

    /// Counts a failure that no [`reserve`](Self::reserve) went before.
    pub fn count(
        &self,
        network: ClientNetwork,
        account: Option<&AccountName>,
        secret: Option<SecretFingerprint>,
        now: Instant,
    ) {
        let secret = Some(secret.unwrap_or_else(unique_fingerprint));
        if let Some(name) = account {
            self.accounts.count(&(network, name.clone()), secret, now);
        }
        if !self.is_proven(network, account, now) {
            self.networks.count(&network, secret, now);
        }
    }

    /// Whether this account has signed in from this network within a day.
    pub fn is_proven(
        &self,
        network: ClientNetwork,
        account: Option<&AccountName>,
        now: Instant,
    ) -> bool {
        let Some(name) = account else { return false };
        let proofs = self.proofs.lock();
        proofs
            .get(&(network, name.clone()))
            .is_some_and(|since| now.saturating_duration_since(*since) < PROOF)
    }

    /// Remembers a success.
    pub fn prove(&self, network: ClientNetwork, account: AccountName, now: Instant) {
        let mut proofs = self.proofs.lock();
        let key = (network, account);
        if proofs.len() >= MAX_KEYS && !proofs.contains_key(&key) {
            proofs.retain(|_, since| now.saturating_duration_since(*since) < PROOF);
        }
        if proofs.len() >= MAX_KEYS && !proofs.contains_key(&key) {
            let oldest = proofs
                .iter()
                .min_by_key(|(_, since)| **since)
                .map(|(key, _)| key.clone());
            oldest.map(|oldest| proofs.remove(&oldest));
        }
        proofs.insert(key, now);
    }

    /// Forgets where an account that was removed has signed in from: the next of its name has not.
    pub fn forget(&self, account: &AccountName) {
        self.proofs
            .lock()
            .retain(|(_, proven), _| proven != account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Error;

    fn net(text: &str) -> ClientNetwork {
        ClientNetwork::from(text.parse::<IpAddr>().unwrap())
    }

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).unwrap()
    }

    /// A try that turns out to be wrong; whether it was judged.
    fn guess(
        throttle: &Throttle,
        network: ClientNetwork,
        account: Option<&AccountName>,
        now: Instant,
    ) -> bool {
        let judged = throttle
            .reserve(network, account, None, now)
            .and_then(|tried| throttle.charge(&tried, now));
        assert!(matches!(judged, Ok(()) | Err(Error::Throttled { .. })));
        judged.is_ok()
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
        let now = Instant::now();
        let here = net("192.0.2.1");
        let ana = name("ana");
        for _ in 0..3 {
            assert!(guess(&throttle, here, Some(&ana), now));
        }
        assert!(
            !guess(&throttle, here, Some(&ana), now) && throttle.check(here, &ana, now).is_err()
        );
        assert!(
            guess(&throttle, net("192.0.2.2"), Some(&ana), now),
            "other networks go on"
        );
        assert!(
            guess(&throttle, here, Some(&name("ben")), now),
            "other accounts go on"
        );
        assert!(guess(&throttle, here, Some(&ana), now + WINDOW));
    }

    #[test]
    fn a_network_that_guesses_names_is_closed_except_to_those_who_belong() {
        let throttle = Throttle::new(4, 3);
        let now = Instant::now();
        let here = net("2001:db8::1");
        let ana = name("ana");
        throttle.prove(here, ana.clone(), now);
        for _ in 0..2 {
            assert!(
                guess(&throttle, here, Some(&ana), now),
                "who belongs takes nothing from the network's budget"
            );
        }
        for other in ["a", "b", "c"] {
            assert!(guess(&throttle, here, Some(&name(other)), now));
        }
        assert!(guess(&throttle, here, None, now));
        assert!(
            !guess(&throttle, here, Some(&name("ben")), now) && !guess(&throttle, here, None, now)
        );
        assert!(guess(
            &throttle,
            net("2001:db8:1::1"),
            Some(&name("ben")),
            now
        ));
        assert!(guess(&throttle, here, Some(&ana), now));
        assert!(
            !guess(&throttle, here, Some(&ana), now),
            "its own limit still binds"
        );
        assert!(!throttle.is_proven(here, Some(&ana), now + PROOF));
    }

    #[test]
    fn those_who_wait_for_a_turn_take_nothing_from_their_network_yet() {
        let throttle = Throttle::new(2, 5);
        let now = Instant::now();
        let here = net("192.0.2.1");
        let tried: Vec<_> = (0..9)
            .map(|n| {
                throttle
                    .reserve(here, Some(&name(&format!("a{n}"))), Some(n), now)
                    .unwrap()
            })
            .collect();
        for one in tried {
            throttle.charge(&one, now).unwrap();
            throttle.refund(one);
        }
        for n in 0..2 {
            assert!(guess(&throttle, here, Some(&name(&format!("b{n}"))), now));
        }
        assert!(!guess(&throttle, here, Some(&name("c")), now));
    }

    #[test]
    fn a_right_try_is_given_back_to_both_budgets() {
        let throttle = Throttle::new(1, 1);
        let now = Instant::now();
        let here = net("192.0.2.1");
        let ana = name("ana");
        for _ in 0..3 {
            let tried = throttle.reserve(here, Some(&ana), Some(5), now).unwrap();
            throttle.charge(&tried, now).unwrap();
            assert!(
                throttle.reserve(here, Some(&ana), Some(6), now).is_err(),
                "counted while it is judged"
            );
            throttle.refund(tried);
        }
        assert!(
            guess(&throttle, here, Some(&ana), now) && !guess(&throttle, here, Some(&ana), now)
        );
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new(1, 1);
        let start = Instant::now();
        for n in 0..u32::try_from(MAX_KEYS).unwrap() + 10 {
            let now = start + Duration::from_micros(u64::from(n));
            throttle.count(ClientNetwork::V4(n), Some(&name("ana")), None, now);
            throttle.prove(ClientNetwork::V4(n), name("ana"), now);
        }
        assert!(throttle.networks.len() <= MAX_KEYS && throttle.accounts.len() <= MAX_KEYS);
        assert_eq!(throttle.proofs.lock().len(), MAX_KEYS);
        assert!(!throttle.is_proven(ClientNetwork::V4(9), Some(&name("ana")), start));
        assert!(throttle.is_proven(ClientNetwork::V4(10), Some(&name("ana")), start));
    }
}
