//! Who has given a link's password, for an hour. A pass is a signed text for a browser's cookie, so that nobody's pass takes memory or
//! pushes out another's; what a client proved by Basic is remembered apart, by link and network, until a restart.

use super::{Link, now, random_bytes};
use crate::auth::ClientNetwork;
use crate::model::{Error, Result};
use crate::state::{StateStore, stored_key};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// How long a pass or a proof lasts.
pub const LIFE: Duration = Duration::from_secs(3600);
/// The most networks whose proofs are remembered for one link.
const MAX_NETWORKS: usize = 100;
/// From this many links on, a new proof lets go of those that are over.
const MANY_LINKS: usize = 1000;

const STAMP: usize = 8;
const NONCE: usize = 16;
const TAG: usize = 32;

/// Passes and proofs of all links.
#[derive(Debug)]
pub struct Passes {
    signer: PassSigner,
    proofs: Mutex<HashMap<String, HashMap<ClientNetwork, PasswordProof>>>,
}

/// Signs what is said of a link, with a key in the store.
struct PassSigner(Hmac<Sha256>);

impl std::fmt::Debug for PassSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// The password that a network proved to know.
#[derive(Debug)]
struct PasswordProof {
    key: [u8; TAG],
    until: Instant,
}

impl Passes {
    /// Passes of whoever uses this store.
    pub(super) async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let key = stored_key::open_or_own(store, "link-passes").await?;
        let signer = Hmac::new_from_slice(key.as_slice())
            .map_err(|e| Error::io("make a key", std::io::Error::other(e)))?;
        Ok(Self {
            signer: PassSigner(signer),
            proofs: Mutex::default(),
        })
    }

    /// How long a pass lasts.
    pub fn life(&self) -> Duration {
        LIFE
    }

    /// A new pass for a link, as text for a cookie.
    pub fn issue(&self, link: &Link) -> Result<String> {
        let until = now().saturating_add_unsigned(LIFE.as_secs());
        let mut pass = [until.to_be_bytes().as_slice(), &random_bytes::<NONCE>()?].concat();
        let tag = self.signer.mac("pass", link, &pass).finalize().into_bytes();
        pass.extend_from_slice(&tag);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(pass))
    }

    /// Whether `text` is a pass that was issued for this link and is not over. A new password of the link voids all passes.
    pub fn is_valid(&self, link: &Link, text: &str) -> bool {
        let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(text) else {
            return false;
        };
        let Some((said, tag)) = bytes.split_at_checked(STAMP + NONCE) else {
            return false;
        };
        let Some(until) = said
            .first_chunk::<STAMP>()
            .map(|stamp| i64::from_be_bytes(*stamp))
        else {
            return false;
        };
        // No clock that was set back makes one last longer.
        let left = until.saturating_sub(now());
        (1..=i64::try_from(LIFE.as_secs()).unwrap_or(i64::MAX)).contains(&left)
            && self
                .signer
                .mac("pass", link, said)
                .verify_slice(tag)
                .is_ok()
    }

    /// What stands for a password of this link in memory; nobody can compute it.
    pub fn key(&self, link: &Link, password: &[u8]) -> [u8; TAG] {
        self.signer
            .mac("basic", link, password)
            .finalize()
            .into_bytes()
            .into()
    }

    /// Remembers that somebody in this network gave the link's password, whose key this is.
    pub fn prove(&self, link: &Link, from: ClientNetwork, key: [u8; TAG]) {
        let now = Instant::now();
        let proof = PasswordProof {
            key,
            until: now + LIFE,
        };
        let mut proofs = self.proofs.lock();
        if proofs.len() >= MANY_LINKS {
            proofs.retain(|_, networks| networks.values().any(|proof| proof.until > now));
        }
        let networks = proofs.entry(link.id.clone()).or_default();
        if networks.len() >= MAX_NETWORKS && !networks.contains_key(&from) {
            let oldest = networks
                .iter()
                .min_by_key(|(_, proof)| proof.until)
                .map(|(network, _)| *network);
            oldest.map(|network| networks.remove(&network));
        }
        networks.insert(from, proof);
    }

    /// Whether somebody in this network gave the password of this key, which still is the link's, within the hour.
    pub fn is_proven(&self, link: &Link, from: ClientNetwork, key: &[u8; TAG]) -> bool {
        let proofs = self.proofs.lock();
        let Some(proof) = proofs
            .get(&link.id)
            .and_then(|networks| networks.get(&from))
        else {
            return false;
        };
        proof.until > Instant::now() && bool::from(proof.key.ct_eq(key))
    }
}

impl PassSigner {
    /// The signature of `said` in one use, for one link under its present password.
    fn mac(&self, what: &str, link: &Link, said: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [
            what.as_bytes(),
            link.id.as_bytes(),
            &link.record.generation.to_be_bytes(),
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.update(said);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::{LinkRecord, Target};
    use crate::model::{AccountName, Rights};
    use crate::state::memory::MemoryStore;
    use crate::storage::FileId;

    fn link(id: &str, generation: u64) -> Link {
        let record = LinkRecord {
            owner: AccountName::parse("ana").unwrap(),
            path: "x".into(),
            target: Target::new(true, FileId::new().unwrap()),
            rights: Rights::View,
            token: String::new(),
            password: None,
            generation,
            expires: None,
            max_downloads: None,
            downloads: 0,
            created: 0,
            last_used: None,
            note: String::new(),
        };
        Link {
            id: id.into(),
            record: Arc::new(record),
        }
    }

    fn network(n: u8) -> ClientNetwork {
        ClientNetwork::from(std::net::IpAddr::from([192, 0, 2, n]))
    }

    async fn open() -> Passes {
        Passes::open(MemoryStore::new()).await.unwrap()
    }

    #[tokio::test]
    async fn a_pass_is_good_for_its_link_and_password_only() {
        let passes = open().await;
        let pass = passes.issue(&link("a", 1)).unwrap();
        assert!(passes.is_valid(&link("a", 1), &pass));
        assert!(!passes.is_valid(&link("a", 2), &pass) && !passes.is_valid(&link("b", 1), &pass));
        assert!(
            !open().await.is_valid(&link("a", 1), &pass),
            "another server asks again"
        );
        for at in 0..pass.len() - 1 {
            let mut other = pass.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert!(
                !passes.is_valid(&link("a", 1), std::str::from_utf8(&other).unwrap()),
                "{at}"
            );
        }
        for text in [
            "",
            "AAAA",
            "basic:secret",
            &pass[..20],
            &format!("{pass}A"),
            &format!("{pass}{pass}"),
        ] {
            assert!(!passes.is_valid(&link("a", 1), text), "{text}");
        }
    }

    #[tokio::test]
    async fn no_pass_pushes_out_another() {
        let passes = open().await;
        let first = passes.issue(&link("a", 1)).unwrap();
        for _ in 0..20_000 {
            passes.issue(&link("a", 1)).unwrap();
        }
        assert!(passes.is_valid(&link("a", 1), &first));
    }

    fn prove(passes: &Passes, link: &Link, from: ClientNetwork, password: &[u8]) {
        passes.prove(link, from, passes.key(link, password));
    }

    fn is_proven(passes: &Passes, link: &Link, from: ClientNetwork, password: &[u8]) -> bool {
        passes.is_proven(link, from, &passes.key(link, password))
    }

    #[tokio::test]
    async fn what_was_proven_counts_for_its_network_link_and_password_and_is_no_pass() {
        let passes = open().await;
        prove(&passes, &link("a", 1), network(1), b"secret");
        assert!(is_proven(&passes, &link("a", 1), network(1), b"secret"));
        assert!(!is_proven(&passes, &link("a", 1), network(2), b"secret"));
        assert!(!is_proven(&passes, &link("a", 1), network(1), b"guess"));
        assert!(!is_proven(&passes, &link("a", 2), network(1), b"secret"));
        assert!(!is_proven(&passes, &link("b", 1), network(1), b"secret"));
        assert!(
            !passes.is_valid(&link("a", 1), "secret")
                && !passes.is_valid(&link("a", 1), "basic:secret")
        );
    }

    #[tokio::test]
    async fn proofs_are_bounded_by_link() {
        let passes = open().await;
        prove(&passes, &link("other", 1), network(0), b"x");
        for n in 0..=200 {
            prove(&passes, &link("a", 1), network(n), b"x");
        }
        assert_eq!(passes.proofs.lock()["a"].len(), MAX_NETWORKS);
        assert!(is_proven(&passes, &link("other", 1), network(0), b"x"));
        assert!(
            !is_proven(&passes, &link("a", 1), network(0), b"x")
                && is_proven(&passes, &link("a", 1), network(200), b"x")
        );
    }
}
