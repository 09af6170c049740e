//! Passwords: which are good enough, and argon2id at a bounded rate.
//! Never more hashes at once than cores less one; a short queue; then `Busy`.

use crate::config::HashCost;
use crate::model::{AccountName, Error, Result};
use argon2::password_hash::PasswordHash;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A password on its way to the hasher, wiped when dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// How long a sign-in may wait for its turn.
pub const WAIT: Duration = Duration::from_secs(2);
/// What a refused caller is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Callers that may wait for a turn.
const QUEUE: usize = 32;
/// Of these, how many may be strangers; the rest is kept for those who signed in before.
const QUEUE_FOR_STRANGERS: usize = 24;

const LANES: u32 = 1;
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
const MAX_PASSWORD_LEN: usize = 1024;
/// The default of `min_password_length`, which its refusal can therefore name.
const USUAL_MIN_LENGTH: usize = 10;

static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common-passwords.txt").lines().collect());

/// A password as it is hashed: keyboards of different systems write the same letters in different forms of Unicode (RFC 8265 section 4.2).
fn normal(password: &[u8]) -> Secret {
    match std::str::from_utf8(password) {
        Ok(text) if !text.is_ascii() => Secret::new(text.nfc().collect::<String>().into_bytes()),
        _ => Secret::new(password.to_vec()),
    }
}

/// Refuses a password that is too short, too long, well known, or the account's name; the sentence says which.
pub fn check_strength(name: &AccountName, password: &[u8], min_length: usize) -> Result<()> {
    let text = String::from_utf8_lossy(password);
    let folded = Zeroizing::new(text.to_lowercase());
    let refuse = |sentence| Err(Error::BadRequest(sentence));
    if text.chars().count() < min_length {
        return refuse(match min_length {
            USUAL_MIN_LENGTH => "The password is too short: it needs at least 10 characters.",
            _ => "The password is too short for this server (its setting `min_password_length`).",
        });
    }
    if password.len() > MAX_PASSWORD_LEN {
        return refuse("The password is too long: at most 1024 bytes are kept.");
    }
    if password.iter().any(u8::is_ascii_control) {
        return refuse(
            "The password has a control character, which sign-in over HTTP cannot carry.",
        );
    }
    if folded.as_str() == name.as_str() {
        return refuse("The password cannot be the account's name.");
    }
    if COMMON.contains(folded.as_str()) {
        return refuse(
            "This password is on the list of common ones, which are guessed first; choose another.",
        );
    }
    Ok(())
}

/// Bytes from the operating system's random source.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|e| Error::io("read the system's random source", std::io::Error::other(e)))?;
    Ok(bytes)
}

/// A hash that no password matches and that costs as much to check as a real one.
pub fn dummy_hash(cost: HashCost) -> Result<String> {
    Ok(phc(
        &params_of(cost)?,
        &random_bytes::<SALT_LEN>()?,
        &random_bytes::<HASH_LEN>()?,
    ))
}

/// Who waits for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashPriority {
    /// Has signed in from this network before, or is the administrator.
    Known,
    /// Everybody else.
    Stranger,
}

/// The place where passwords are hashed, a few at a time.
#[derive(Debug)]
pub struct HashQueue {
    cost: HashCost,
    permits: Arc<Semaphore>,
    /// How many turns there are.
    permit_count: usize,
    pub(super) waiting: AtomicUsize,
    /// Memory for those who wait for a turn; none while nobody does.
    pub(super) spare: Mutex<Vec<Vec<Block>>>,
    #[cfg(test)]
    pub(super) hashes: AtomicUsize,
}

/// The right to hash once.
#[derive(Debug)]
pub struct HashPermit {
    hasher: Arc<HashQueue>,
    _permit: OwnedSemaphorePermit,
}

/// What checking a password brought.
#[derive(Debug)]
pub struct PasswordMatch {
    /// Whether the password is the right one.
    pub matches: bool,
    /// A hash of the same password with today's parameters, when the stored one has others.
    pub renewed: Option<String>,
}

impl HashQueue {
    /// A hasher for this machine: cores less one at a time, but one at least.
    pub fn for_this_machine(cost: HashCost) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_permits(cost, cores.saturating_sub(1).max(1))
    }

    pub(super) fn with_permits(cost: HashCost, turns: usize) -> Arc<Self> {
        Arc::new(Self {
            cost,
            permits: Arc::new(Semaphore::new(turns)),
            permit_count: turns,
            waiting: AtomicUsize::new(0),
            spare: Mutex::new(Vec::new()),
            #[cfg(test)]
            hashes: AtomicUsize::new(0),
        })
    }

    /// Waits for a turn; `Busy` when the queue is full or the deadline passes.
    pub async fn acquire(
        self: &Arc<Self>,
        lane: HashPriority,
        deadline: Instant,
    ) -> Result<HashPermit> {
        let _place = self.enqueue(lane)?;
        match tokio::time::timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(HashPermit {
                hasher: Arc::clone(self),
                _permit: permit,
            }),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// How many hash, and how many wait for a turn.
    pub fn load(&self) -> (usize, usize) {
        let running = self
            .permit_count
            .saturating_sub(self.permits.available_permits());
        (running, self.waiting.load(Ordering::Relaxed))
    }

    fn enqueue(&self, lane: HashPriority) -> Result<HashQueueSlot<'_>> {
        let room = match lane {
            HashPriority::Known => QUEUE,
            HashPriority::Stranger => QUEUE_FOR_STRANGERS,
        };
        let joined = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < room).then_some(n + 1)
            });
        joined
            .map(|_| HashQueueSlot(&self.waiting))
            .map_err(|_| busy())
    }

    /// One argon2id run. Its memory is kept while somebody waits for it, and else given back at once: a server that idles has none.
    fn run(
        &self,
        argon: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
    ) -> Result<Zeroizing<[u8; HASH_LEN]>> {
        #[cfg(test)]
        self.hashes.fetch_add(1, Ordering::Relaxed);
        let mut memory = self.spare.lock().pop().unwrap_or_default();
        memory.resize(argon.params().block_count(), Block::default());
        let mut out = Zeroizing::new([0; HASH_LEN]);
        let outcome =
            argon.hash_password_into_with_memory(password, salt, out.as_mut(), &mut memory);
        self.keep(memory);
        outcome.map_err(|_| unreadable_hash())?;
        Ok(out)
    }

    fn keep(&self, memory: Vec<Block>) {
        let mut spare = self.spare.lock();
        if self.waiting.load(Ordering::Relaxed) > 0 {
            spare.push(memory);
        } else {
            spare.clear();
        }
    }

    fn hash(&self, password: &[u8]) -> Result<String> {
        let params = params_of(self.cost)?;
        let salt = random_bytes::<SALT_LEN>()?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let hash = self.run(&argon, &normal(password), &salt)?;
        Ok(phc(&params, &salt, hash.as_ref()))
    }

    fn verify(&self, stored: &str, password: &[u8]) -> Result<PasswordMatch> {
        let stored = PasswordHash::new(stored).map_err(|_| unreadable_hash())?;
        let algorithm = Algorithm::try_from(stored.algorithm).map_err(|_| unreadable_hash())?;
        let version = stored
            .version
            .map_or(Ok(Version::V0x13), Version::try_from)
            .map_err(|_| unreadable_hash())?;
        let params = Params::try_from(&stored).map_err(|_| unreadable_hash())?;
        let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else {
            return Err(unreadable_hash());
        };
        let mut buffer = [0; 64];
        let salt = salt
            .decode_b64(&mut buffer)
            .map_err(|_| unreadable_hash())?;
        let today = params_of(self.cost)?;
        let is_current = algorithm == Algorithm::Argon2id
            && version == Version::V0x13
            && (params.m_cost(), params.t_cost(), params.p_cost())
                == (today.m_cost(), today.t_cost(), today.p_cost());
        let argon = Argon2::new(algorithm, version, params);
        let run = |password: &[u8]| self.run(&argon, password, salt);
        let is_right = |password: &[u8]| {
            run(password).map(|it| bool::from(it.as_slice().ct_eq(expected.as_bytes())))
        };
        let normal = normal(password);
        let matches = is_right(&normal)? || (*normal != password && is_right(password)?);
        let renewed = if matches && !is_current {
            Some(self.hash(password)?)
        } else {
            None
        };
        Ok(PasswordMatch { matches, renewed })
    }
}

impl HashPermit {
    /// Hashes a new password to a PHC string.
    pub async fn hash(self, password: Secret) -> Result<String> {
        self.work(move |hasher| hasher.hash(&password)).await
    }

    /// Compares a password with a stored PHC string.
    pub async fn verify(self, stored: String, password: Secret) -> Result<PasswordMatch> {
        self.work(move |hasher| hasher.verify(&stored, &password))
            .await
    }

    /// The turn ends with the work, not with whoever waits for it: a caller that goes away frees no core.
    async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce(&HashQueue) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let done = tokio::task::spawn_blocking(move || work(&self.hasher)).await;
        done.unwrap_or_else(|e| Err(Error::io("hash a password", std::io::Error::other(e))))
    }
}

/// A place in the queue, given up when dropped.
struct HashQueueSlot<'a>(&'a AtomicUsize);

impl Drop for HashQueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The refusal of a server that has too many passwords to check.
pub fn busy() -> Error {
    Error::Busy {
        retry_after: RETRY_AFTER,
    }
}

fn unreadable_hash() -> Error {
    Error::Corrupt(
        "A stored password hash cannot be read; set a new one with `sarang user passwd`.".into(),
    )
}

fn params_of(cost: HashCost) -> Result<Params> {
    Params::new(cost.memory_kib, cost.passes, LANES, Some(HASH_LEN)).map_err(|_| unreadable_hash())
}

fn phc(params: &Params, salt: &[u8], hash: &[u8]) -> String {
    let m = params.m_cost();
    let t = params.t_cost();
    let p = params.p_cost();
    let salt = STANDARD_NO_PAD.encode(salt);
    let hash = STANDARD_NO_PAD.encode(hash);
    format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${hash}")
}

/// A hash with the least of everything, as an older Sarang might have left it.
#[cfg(test)]
pub(super) fn old_hash(password: &[u8]) -> String {
    let params = Params::new(8, 1, 1, Some(HASH_LEN)).unwrap();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut out = [0; HASH_LEN];
    argon
        .hash_password_into(password, b"sixteen bytes ok", &mut out)
        .unwrap();
    phc(&params, b"sixteen bytes ok", &out)
}

#[cfg(test)]
mod tests;
