//! Checksums that clients send along, computed again while the bytes come.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;

/// What bytes must come to.
#[derive(Clone)]
pub struct Checksum {
    hash: Hash,
    expected: Vec<u8>,
}

#[derive(Clone)]
enum Hash {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// A checksum by `sha1` or `sha256`, however spelled; `None` for another algorithm.
    pub fn new(algorithm: &str, expected: Vec<u8>) -> Option<Self> {
        let hash = match algorithm.to_ascii_lowercase().as_str() {
            "sha1" => Hash::Sha1(Sha1::new()),
            "sha256" => Hash::Sha256(Sha256::new()),
            _ => return None,
        };
        Some(Self { hash, expected })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.hash {
            Hash::Sha1(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
        }
    }

    /// Whether the bytes are those that were meant.
    pub fn matches(self) -> bool {
        match self.hash {
            Hash::Sha1(hash) => *hash.finalize() == *self.expected,
            Hash::Sha256(hash) => *hash.finalize() == *self.expected,
        }
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checksum").finish_non_exhaustive()
    }
}
