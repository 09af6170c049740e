//! What is counted while the server runs, cheap enough for every request: atomics, without a lock or a hash. What can be asked for at
//! any time, as how many locks there are, is not counted. `src/observe.rs` names and shows all of it.

mod instruments;
mod jobs;
mod requests;

pub use instruments::{CallMetrics, Counter, Durations};
pub use jobs::{Job, JobRun, Jobs};
pub use requests::{Front, RequestMetrics, Requests, RunningRequest};

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What is counted since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests, by what was asked and answered.
    pub requests: Requests,
    /// Those of them that came over HTTP/2.
    pub http2: Counter,
    /// Bytes of requests, with their heads and without TLS.
    pub received: Counter,
    /// Bytes of answers, likewise.
    pub sent: Counter,
    /// Connections that are open now.
    pub connections: AtomicU64,
    /// Connections beyond a limit, answered with 503.
    pub refused: Counter,
    /// Connections of HTTP/2 that were ended since they sent more resets, or frames that ask nothing, than any client needs.
    pub floods: Counter,
    /// Requests whose handling panicked; each was answered with 500.
    pub panics: Counter,
    /// Hourly jobs.
    pub jobs: Jobs,
    /// Whether the date of the machine is not believed, so that nothing expires.
    pub is_date_doubted: AtomicBool,
    /// Whether the server was told to stop.
    pub is_stopping: AtomicBool,
    /// Peers that look like proxies and are not trusted.
    pub untrusted_proxies: Peers,
}

/// The first few addresses that were noted: anybody may send what is noted, so they are bounded.
#[derive(Debug, Default)]
pub struct Peers(Mutex<BTreeSet<IpAddr>>);

const MAX_PEERS: usize = 8;

impl Peers {
    /// Notes an address; whether it is a new one, and is kept.
    pub fn note(&self, peer: IpAddr) -> bool {
        let mut peers = self.0.lock();
        peers.len() < MAX_PEERS && peers.insert(peer)
    }

    /// The addresses.
    pub fn all(&self) -> Vec<IpAddr> {
        self.0.lock().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_noted_once_and_bounded() {
        let peers = Peers::default();
        let peer = |n: u8| IpAddr::from([10, 0, 0, n]);
        assert!(peers.note(peer(1)) && !peers.note(peer(1)));
        for n in 2..100 {
            assert_eq!(peers.note(peer(n)), n <= 8);
        }
        assert_eq!(peers.all(), (1..=8).map(peer).collect::<Vec<_>>());
    }
}
