//! How many connections there may be at once, in total and from one network.

use crate::config::{IpNetwork, ServerConfig};
use crate::metrics::Metrics;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many there may be; it may change while they are counted.
#[derive(Debug)]
pub struct ConnectionLimits {
    total: AtomicUsize,
    per_network: AtomicUsize,
}

impl ConnectionLimits {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let limits = Self {
            total: AtomicUsize::new(0),
            per_network: AtomicUsize::new(0),
        };
        limits.change(config);
        limits
    }

    /// Takes those of other settings. Whoever is connected stays.
    pub fn change(&self, config: &ServerConfig) {
        self.total.store(config.max_connections, Ordering::Relaxed);
        self.per_network
            .store(config.max_connections_per_address, Ordering::Relaxed);
    }
}

/// Counts connections.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    limits: Arc<ConnectionLimits>,
    /// Addresses through which many come: they have no limit of their own.
    shared: Vec<IpAddr>,
    /// Networks of proxies that say whose connection each is: for that client it counts, and for no network before.
    proxies: Vec<IpNetwork>,
    present: Mutex<ConnectionCounts>,
    /// Where those that are present and those that are refused are counted, too.
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct ConnectionCounts {
    total: usize,
    networks: HashMap<u128, usize>,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    admission: Arc<ConnectionLimiter>,
    /// `None` for a proxy's that has not said whose it is.
    client: Option<PermitHolder>,
    /// Whether it is for one more request of a connection that has a place.
    is_beside: bool,
}

/// Whom a place counts for.
#[derive(Clone, Copy, Debug)]
struct PermitHolder {
    network: u128,
    /// Whether many come through it.
    is_shared: bool,
}

impl ConnectionLimiter {
    pub(super) fn new(
        config: &ServerConfig,
        limits: Arc<ConnectionLimits>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let shared = config
            .trusted_proxies
            .iter()
            .map(IpAddr::to_canonical)
            .collect();
        let proxies = config.proxy_protocol.clone();
        Arc::new(Self {
            limits,
            shared,
            proxies,
            present: Mutex::default(),
            metrics,
        })
    }

    /// A place for one more connection from this address, or `None`.
    pub(super) fn acquire(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPermit> {
        let ticket = self.try_acquire(address);
        if ticket.is_none() {
            self.metrics.refused.add(1);
        }
        ticket
    }

    fn try_acquire(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPermit> {
        let mut present = self.present.lock();
        if present.total >= self.limits.total.load(Ordering::Relaxed) {
            return None;
        }
        let is_proxy = self.proxies.iter().any(|network| network.contains(address));
        let client = if is_proxy {
            None
        } else {
            Some(self.enter(&mut present, self.client_at(address))?)
        };
        present.total += 1;
        self.metrics.connections.fetch_add(1, Ordering::Relaxed);
        Some(ConnectionPermit {
            admission: Arc::clone(self),
            client,
            is_beside: false,
        })
    }

    fn client_at(&self, address: IpAddr) -> PermitHolder {
        PermitHolder {
            network: network_of(address),
            is_shared: self.shared.contains(&address.to_canonical()),
        }
    }

    /// Counts one more for a client, if it may have that.
    fn enter(&self, present: &mut ConnectionCounts, client: PermitHolder) -> Option<PermitHolder> {
        let here = present.networks.get(&client.network).copied().unwrap_or(0);
        if here >= self.limits.per_network.load(Ordering::Relaxed) && !client.is_shared {
            return None;
        }
        present.networks.insert(client.network, here + 1);
        Some(client)
    }
}

impl ConnectionPermit {
    /// A place for one more request of this connection at the same time, which counts as a connection of its client does; `None` when
    /// there is none.
    pub(super) fn acquire_for_stream(&self) -> Option<Self> {
        let admission = &self.admission;
        let mut present = admission.present.lock();
        let has_room = present.total < admission.limits.total.load(Ordering::Relaxed);
        let may_enter = |client| admission.enter(&mut present, client).is_some();
        if !has_room || !self.client.is_none_or(may_enter) {
            admission.metrics.refused.add(1);
            return None;
        }
        present.total += 1;
        Some(Self {
            admission: Arc::clone(admission),
            client: self.client,
            is_beside: true,
        })
    }

    /// Counts this connection for the network of the client that it was passed on for; `false` when that has all the places it may have.
    pub(super) fn transfer_to(&mut self, client: IpAddr) -> bool {
        let mut present = self.admission.present.lock();
        let Some(client) = self
            .admission
            .enter(&mut present, self.admission.client_at(client))
        else {
            self.admission.metrics.refused.add(1);
            return false;
        };
        if let Some(before) = self.client.replace(client) {
            present.leave(before.network);
        }
        true
    }
}

impl ConnectionCounts {
    fn leave(&mut self, network: u128) {
        if let Some(here) = self.networks.get_mut(&network) {
            *here -= 1;
            if *here == 0 {
                self.networks.remove(&network);
            }
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut present = self.admission.present.lock();
        present.total -= 1;
        if !self.is_beside {
            self.admission
                .metrics
                .connections
                .fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(client) = self.client {
            present.leave(client.network);
        }
    }
}

/// One IPv4 address, or one IPv6 /64: what one client has at its disposal.
fn network_of(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_network_and_given_back() {
        let config = limits(3, 2);
        let admission = admission(&config);
        let admit = |text: &str| admission.acquire(text.parse().unwrap());
        let first = admit("2001:db8::1").unwrap();
        let second = admit("2001:db8::ffff:1").unwrap();
        assert!(admit("2001:db8::2").is_none(), "the /64 is full");
        let third = admit("1.2.3.4").unwrap();
        assert!(admit("2001:db8:0:1::1").is_none(), "all is full");
        drop(first);
        assert!(
            admit("::ffff:1.2.3.4").is_some(),
            "a second from the same IPv4 address"
        );
        let _fourth = admit("::ffff:1.2.3.4").unwrap();
        drop(second);
        assert!(admit("1.2.3.4").is_none());
        assert!(admit("1.2.3.5").is_some());
        drop(third);
        assert_eq!(admission.present.lock().networks.len(), 1);
    }

    #[test]
    fn a_trusted_proxy_has_all_the_places_that_there_are() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let config = ServerConfig {
            trusted_proxies: vec![proxy],
            ..limits(3, 1)
        };
        let admission = admission(&config);
        let _places: Vec<_> = (0..3)
            .map(|_| {
                admission
                    .acquire("::ffff:10.0.0.1".parse().unwrap())
                    .unwrap()
            })
            .collect();
        assert!(admission.acquire(proxy).is_none());
    }

    #[test]
    fn a_connection_that_was_passed_on_counts_for_its_client() {
        let config = ServerConfig {
            proxy_protocol: vec!["10.0.0.0/8".parse().unwrap()],
            ..limits(9, 2)
        };
        let admission = admission(&config);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut tickets: Vec<_> = (0..4)
            .map(|_| admission.acquire(ip("10.0.0.1")).unwrap())
            .collect();
        assert!(tickets[0].transfer_to(ip("192.0.2.1")) && tickets[1].transfer_to(ip("192.0.2.1")));
        assert!(
            !tickets[2].transfer_to(ip("192.0.2.1")),
            "the client is at its limit"
        );
        assert!(tickets[2].transfer_to(ip("192.0.2.2")));
        assert_eq!(admission.present.lock().networks.len(), 2);
        drop(tickets);
        let present = admission.present.lock();
        assert_eq!((present.total, present.networks.len()), (0, 0));
    }

    #[test]
    fn a_client_beside_the_proxies_has_the_limit_of_any_client() {
        let config = ServerConfig {
            proxy_protocol: vec!["10.0.0.0/8".parse().unwrap()],
            ..limits(9, 2)
        };
        let admission = admission(&config);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut tickets: Vec<_> = (0..4)
            .map(|_| admission.acquire(ip("10.0.0.1")).unwrap())
            .collect();
        for client in ["10.0.0.2", "10.0.0.1"] {
            let passed = tickets
                .iter_mut()
                .map(|ticket| ticket.transfer_to(ip(client)));
            assert_eq!(
                passed.collect::<Vec<_>>(),
                [true, true, false, false],
                "{client}"
            );
            tickets = (0..4)
                .map(|_| admission.acquire(ip("10.0.0.1")).unwrap())
                .collect();
        }
    }

    #[test]
    fn requests_at_once_on_one_connection_count_as_connections_and_are_shown_as_one() {
        let config = limits(5, 3);
        let admission = admission(&config);
        let ticket = admission.acquire("1.2.3.4".parse().unwrap()).unwrap();
        let shown = || admission.metrics.connections.load(Ordering::Relaxed);
        let second = ticket.acquire_for_stream().unwrap();
        let third = ticket.acquire_for_stream().unwrap();
        assert!(
            ticket.acquire_for_stream().is_none()
                && admission.acquire("1.2.3.4".parse().unwrap()).is_none()
        );
        let other = admission.acquire("1.2.3.5".parse().unwrap()).unwrap();
        let _all = other.acquire_for_stream().unwrap();
        assert!(other.acquire_for_stream().is_none(), "all is full");
        assert_eq!(shown(), 2);
        drop((second, third));
        assert!(ticket.acquire_for_stream().is_some());
        drop(ticket);
        assert_eq!((shown(), admission.present.lock().total), (1, 2));
    }

    #[test]
    fn changed_limits_count_from_the_next_connection_on() {
        let config = limits(3, 3);
        let limited = Arc::new(ConnectionLimits::new(&config));
        let admission = ConnectionLimiter::new(&config, Arc::clone(&limited), Arc::default());
        let admit = || admission.acquire("1.2.3.4".parse().unwrap());
        let _two = (admit().unwrap(), admit().unwrap());
        limited.change(&limits(3, 2));
        assert!(admit().is_none());
        limited.change(&limits(3, 3));
        assert!(admit().is_some());
    }

    fn admission(config: &ServerConfig) -> Arc<ConnectionLimiter> {
        ConnectionLimiter::new(
            config,
            Arc::new(ConnectionLimits::new(config)),
            Arc::default(),
        )
    }

    fn limits(total: usize, each: usize) -> ServerConfig {
        ServerConfig {
            max_connections: total,
            max_connections_per_address: each,
            ..ServerConfig::default()
        }
    }
}
