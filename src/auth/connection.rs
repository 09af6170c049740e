//! Where a credential comes from: an address, and the connection it came over.

use super::cache::Key;
use crate::failures::Client;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;

/// One connection of a client. It knows the password that signed in over it last: who has shown it there may go on, also while
/// guesses of others on the same network are refused. What else is tried over it ends that, as proxies let many share one.
#[derive(Default)]
pub struct Connection(Mutex<Option<Key>>);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The connection, where it is known.
    pub connection: Option<Arc<Connection>>,
    /// Whether this server itself ended its TLS.
    pub is_tls: bool,
    /// Which client it is, by its own word; only a sign-in asks.
    pub client: Client,
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            connection: None,
            is_tls: false,
            client: Client::default(),
        }
    }
}

impl Origin {
    /// Whether this credential signed in over the connection, and nothing else was tried since.
    pub fn is_proven(&self, key: &Key) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.0.lock().as_ref() == Some(key))
    }

    /// Notes what has signed in over the connection; `None` after a failure.
    pub fn note(&self, signed_in: Option<Key>) {
        if let Some(connection) = &self.connection {
            *connection.0.lock() = signed_in;
        }
    }
}
