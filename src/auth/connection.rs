//! Where a credential comes from: an address, and the connection it came over.

use super::credential_cache::CredentialKey;
use crate::failures::ClientKind;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;

/// One connection of a client. It knows the password that signed in over it last: who has shown it there may go on, also while
/// guesses of others on the same network are refused. What else is tried over it ends that, as proxies let many share one.
#[derive(Default)]
pub struct Connection(Mutex<Option<CredentialKey>>);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct RequestOrigin {
    /// The client's address.
    pub address: IpAddr,
    /// The connection, where it is known.
    pub connection: Option<Arc<Connection>>,
    /// Whether this server itself ended its TLS.
    pub is_tls: bool,
    /// Which client it is, by its own word; only a sign-in asks.
    pub client: ClientKind,
}

impl From<IpAddr> for RequestOrigin {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            connection: None,
            is_tls: false,
            client: ClientKind::default(),
        }
    }
}

impl RequestOrigin {
    /// Whether this credential signed in over the connection, and nothing else was tried since.
    pub fn is_proven(&self, key: &CredentialKey) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.0.lock().as_ref() == Some(key))
    }

    /// Notes what has signed in over the connection; `None` after a failure.
    pub fn note(&self, signed_in: Option<CredentialKey>) {
        if let Some(connection) = &self.connection {
            *connection.0.lock() = signed_in;
        }
    }
}
