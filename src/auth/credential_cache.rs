//! Credentials verified lately, so that one argon2 run serves many requests. Keys are HMACs under a key of this process:
//! a copy of the memory tells no password. What one network has shown is nothing that another is told: the key has the network.
//! Verdicts hold only while the account is what it was; the clock is the caller's.

use super::accounts::Account;
use super::attempt_limiter::SecretFingerprint;
use super::password::random_bytes;
use super::throttle::ClientNetwork;
use crate::model::{Error, Identity, Result};
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const IDLE: Duration = Duration::from_secs(5 * 60);
const LIFE: Duration = Duration::from_secs(60 * 60);
const WRONG_LIFE: Duration = Duration::from_secs(30);
/// How long a wrong credential is known as a repetition, which is no new guess.
const REPEAT: Duration = Duration::from_secs(10 * 60);
const SHARDS: usize = 16;
const MAX_PER_SHARD: usize = 10_000 / SHARDS;

/// What stands for an `Authorization` header from a network, or for a secret that was tried there.
pub type CredentialKey = [u8; 32];

/// The verified-credential cache.
pub struct CredentialCache {
    keyed: Hmac<Sha256>,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    right: HashMap<CredentialKey, VerifiedCredential>,
    wrong: HashMap<CredentialKey, RejectedCredential>,
}

struct VerifiedCredential {
    account: Arc<Account>,
    generation: u64,
    verified: Instant,
    used: Instant,
}

struct RejectedCredential {
    verified: Instant,
    changes: u64,
}

impl std::fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

impl CredentialCache {
    /// An empty cache under a fresh key.
    pub fn new() -> Result<Self> {
        let keyed = Hmac::new_from_slice(&random_bytes::<32>()?)
            .map_err(|e| Error::io("make a key", std::io::Error::other(e)))?;
        Ok(Self {
            keyed,
            shards: std::array::from_fn(|_| Mutex::default()),
        })
    }

    /// The key of a header value that came from a network.
    pub fn key(&self, network: ClientNetwork, header: &[u8]) -> CredentialKey {
        let mut mac = self.keyed_for(network);
        mac.update(header);
        mac.finalize().into_bytes().into()
    }

    /// The key of a secret that is tried from a network, on something of a name and through one kind of door: what is wrong for
    /// one can be right for the other.
    pub fn attempt_key(
        &self,
        network: ClientNetwork,
        door: &str,
        (name, secret): (&[u8], &[u8]),
    ) -> CredentialKey {
        let mut mac = self.keyed_for(network);
        update_with(&mut mac, &[b"try", door.as_bytes(), name, secret]);
        mac.finalize().into_bytes().into()
    }

    /// What stands for a secret that is tried on something of a name, whatever door and form it comes in.
    pub fn fingerprint(&self, name: &[u8], secret: &[u8]) -> SecretFingerprint {
        let mut mac = self.keyed.clone();
        update_with(&mut mac, &[b"print", name, secret]);
        let tag: CredentialKey = mac.finalize().into_bytes().into();
        tag.first_chunk()
            .map_or(0, |first| SecretFingerprint::from_be_bytes(*first))
    }

    fn keyed_for(&self, network: ClientNetwork) -> Hmac<Sha256> {
        let (family, bits) = match network {
            ClientNetwork::V4(bits) => (4, u64::from(bits)),
            ClientNetwork::V6(bits) => (6, bits),
        };
        let mut mac = self.keyed.clone();
        mac.update(&[family]);
        mac.update(&bits.to_be_bytes());
        mac
    }

    /// Who a credential that was right signs in, while the verdict holds.
    pub fn get(&self, key: &CredentialKey, now: Instant) -> Option<Arc<Identity>> {
        let mut shard = self.shard(key).lock();
        let right = shard.right.get_mut(key)?;
        let identity = right.identity(now);
        if identity.is_some() {
            right.used = now;
        } else {
            shard.right.remove(key);
        }
        identity
    }

    /// Whether a credential was wrong a moment ago, and no account has changed since; `changes` is the present count of changes.
    pub fn is_wrong(&self, key: &CredentialKey, changes: u64, now: Instant) -> bool {
        let shard = self.shard(key).lock();
        let holds = |wrong: &RejectedCredential| {
            wrong.changes == changes && now.duration_since(wrong.verified) < WRONG_LIFE
        };
        shard.wrong.get(key).is_some_and(holds)
    }

    /// Remembers that a credential was right for this generation of the account.
    pub fn remember_right(
        &self,
        key: &CredentialKey,
        account: Arc<Account>,
        generation: u64,
        now: Instant,
    ) {
        let mut shard = self.shard(key).lock();
        shard.wrong.remove(key);
        make_room(&mut shard.right, key, |right| {
            (right.identity(now).is_some(), right.used)
        });
        shard.right.insert(
            *key,
            VerifiedCredential {
                account,
                generation,
                verified: now,
                used: now,
            },
        );
    }

    /// Remembers that a credential was wrong when the count of changes was this; true when that is nothing new.
    pub fn remember_wrong(&self, key: &CredentialKey, changes: u64, now: Instant) -> bool {
        let mut shard = self.shard(key).lock();
        let is_repeat = |wrong: &RejectedCredential| now.duration_since(wrong.verified) < REPEAT;
        make_room(&mut shard.wrong, key, |wrong| {
            (is_repeat(wrong), wrong.verified)
        });
        let before = shard.wrong.insert(
            *key,
            RejectedCredential {
                verified: now,
                changes,
            },
        );
        before.as_ref().is_some_and(is_repeat)
    }

    /// Forgets what was right.
    #[cfg(test)]
    pub fn forget(&self) {
        self.shards
            .iter()
            .for_each(|shard| shard.lock().right.clear());
    }

    fn shard(&self, key: &CredentialKey) -> &Mutex<Shard> {
        let [first, ..] = *key;
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length")]
        &self.shards[usize::from(first) % SHARDS]
    }
}

impl VerifiedCredential {
    fn identity(&self, now: Instant) -> Option<Arc<Identity>> {
        let is_fresh =
            now.duration_since(self.used) < IDLE && now.duration_since(self.verified) < LIFE;
        if is_fresh {
            self.account.identity_by_password(self.generation)
        } else {
            None
        }
    }
}

/// Texts one after the other, each with its length: no two lists are read as the same.
fn update_with(mac: &mut Hmac<Sha256>, parts: &[&[u8]]) {
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
}

/// Makes room for one more key: drops what no longer holds, or else what was touched longest ago.
fn make_room<V>(
    map: &mut HashMap<CredentialKey, V>,
    key: &CredentialKey,
    look: impl Fn(&V) -> (bool, Instant),
) {
    if map.len() < MAX_PER_SHARD || map.contains_key(key) {
        return;
    }
    map.retain(|_, value| look(value).0);
    if map.len() < MAX_PER_SHARD {
        return;
    }
    if let Some(oldest) = map
        .iter()
        .min_by_key(|(_, value)| look(value).1)
        .map(|(key, _)| *key)
    {
        map.remove(&oldest);
    }
}

#[cfg(test)]
mod tests;
