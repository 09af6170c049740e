//! Who has given a link's password: short-lived passes in memory, bounded in number. A restart asks for the password again.

use super::{Link, random_text};
use crate::model::{Error, Result};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a pass lasts.
pub const LIFE: Duration = Duration::from_secs(3600);
const MAX_PASSES: usize = 10_000;

/// What somebody shows instead of the password that was verified.
type Key = [u8; 32];

/// The passes given out.
#[derive(Debug)]
pub struct Passes {
    /// Lets nobody compute a key beforehand.
    secret: [u8; 32],
    until: Mutex<HashMap<Key, Instant>>,
}

impl Passes {
    /// No passes yet.
    pub(super) fn new() -> Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|e| Error::io("get random bytes", std::io::Error::other(e.to_string())))?;
        Ok(Self { secret, until: Mutex::default() })
    }

    /// How long a pass lasts.
    pub fn life(&self) -> Duration {
        LIFE
    }

    /// A new pass for a link, as text for a cookie.
    pub fn issue(&self, link: &Link) -> Result<String> {
        let text = random_text::<32>()?;
        self.remember(link, &text);
        Ok(text)
    }

    /// Lets `text` pass for a link: what was verified for it.
    pub fn remember(&self, link: &Link, text: &str) {
        let (key, now) = (self.key(link, text), Instant::now());
        let mut until = self.until.lock();
        if until.len() >= MAX_PASSES {
            until.retain(|_, end| *end > now);
        }
        if until.len() >= MAX_PASSES {
            let oldest = until.iter().min_by_key(|(_, end)| **end).map(|(key, _)| *key);
            oldest.map(|key| until.remove(&key));
        }
        until.insert(key, now + LIFE);
    }

    /// Whether `text` passes for a link now. A new password of the link voids all passes.
    pub fn admits(&self, link: &Link, text: &str) -> bool {
        self.until.lock().get(&self.key(link, text)).is_some_and(|end| *end > Instant::now())
    }

    fn key(&self, link: &Link, text: &str) -> Key {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(link.record.generation.to_le_bytes());
        hash.update((link.id.len() as u64).to_le_bytes());
        hash.update(&link.id);
        hash.update(text);
        hash.finalize().into()
    }
}
