//! How many connections there may be at once, in total and from one network.

use crate::config::ServerConfig;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts connections.
#[derive(Debug)]
pub(super) struct Admission {
    total: usize,
    per_network: usize,
    /// Addresses through which many come: they have no limit of their own.
    shared: Vec<IpAddr>,
    present: Mutex<Present>,
    /// How many are present, for whoever counts.
    open: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Present {
    total: usize,
    networks: HashMap<u128, usize>,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    admission: Arc<Admission>,
    network: u128,
}

impl Admission {
    pub(super) fn new(config: &ServerConfig, open: Arc<AtomicU64>) -> Arc<Self> {
        let shared = config.trusted_proxies.iter().map(IpAddr::to_canonical).collect();
        let (total, per_network) = (config.max_connections, config.max_connections_per_address);
        Arc::new(Self { total, per_network, shared, present: Mutex::default(), open })
    }

    /// A place for one more connection from this address, or `None`.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Ticket> {
        let network = network_of(address);
        let mut present = self.present.lock();
        if present.total >= self.total {
            return None;
        }
        let here = present.networks.entry(network).or_default();
        if *here >= self.per_network && !self.shared.contains(&address.to_canonical()) {
            return None;
        }
        *here += 1;
        present.total += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Ticket { admission: Arc::clone(self), network })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut present = self.admission.present.lock();
        present.total -= 1;
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(here) = present.networks.get_mut(&self.network) {
            *here -= 1;
            if *here == 0 {
                present.networks.remove(&self.network);
            }
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
        let admission = Admission::new(&config, Arc::default());
        let admit = |text: &str| admission.admit(text.parse().unwrap());
        let first = admit("2001:db8::1").unwrap();
        let second = admit("2001:db8::ffff:1").unwrap();
        assert!(admit("2001:db8::2").is_none(), "the /64 is full");
        let third = admit("1.2.3.4").unwrap();
        assert!(admit("2001:db8:0:1::1").is_none(), "all is full");
        drop(first);
        assert!(admit("::ffff:1.2.3.4").is_some(), "a second from the same IPv4 address");
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
        let config = ServerConfig { trusted_proxies: vec![proxy], ..limits(3, 1) };
        let admission = Admission::new(&config, Arc::default());
        let _places: Vec<_> = (0..3).map(|_| admission.admit("::ffff:10.0.0.1".parse().unwrap()).unwrap()).collect();
        assert!(admission.admit(proxy).is_none());
    }

    fn limits(total: usize, each: usize) -> ServerConfig {
        ServerConfig { max_connections: total, max_connections_per_address: each, ..ServerConfig::default() }
    }
}
