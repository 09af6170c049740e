//! Sign-ins under way, so that many at once with the same password hash it once.

use super::credential_cache::CredentialKey;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Sign-ins under way: who comes with the same credential waits for the first and finds its verdict.
#[derive(Debug, Default)]
pub struct SingleFlight(Mutex<HashMap<CredentialKey, Arc<tokio::sync::Mutex<()>>>>);

/// A part in a flight; the last to leave clears it away.
#[derive(Debug)]
pub struct FlightGuard<'a> {
    flights: &'a SingleFlight,
    key: CredentialKey,
    /// Held by the first until its verdict is known.
    pub mutex: Arc<tokio::sync::Mutex<()>>,
}

impl SingleFlight {
    /// Takes part in the flight of a key.
    pub fn join(&self, key: CredentialKey) -> FlightGuard<'_> {
        let mutex = Arc::clone(self.0.lock().entry(key).or_default());
        FlightGuard {
            flights: self,
            key,
            mutex,
        }
    }
}

impl Drop for FlightGuard<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock();
        // Two are left: this one and the map's. Nobody can join meanwhile, for that takes the map.
        if Arc::strong_count(&self.mutex) == 2 {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flights_are_shared_and_cleared_away() {
        let flights = SingleFlight::default();
        let one = flights.join([1; 32]);
        let two = flights.join([1; 32]);
        let other = flights.join([2; 32]);
        assert!(Arc::ptr_eq(&one.mutex, &two.mutex) && !Arc::ptr_eq(&one.mutex, &other.mutex));
        drop(one);
        assert_eq!(flights.0.lock().len(), 2);
        drop((two, other));
        assert!(flights.0.lock().is_empty());
    }
}
