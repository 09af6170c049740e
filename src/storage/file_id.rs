//! Which file or folder something is, whatever it is called, holds and lies on.

use super::Node;
use crate::model::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The identity of a file or folder: 128 bits that stay through saving, moving, the trash, versions, a backup and a restore. A copy has
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId([u64; 2]);

impl FileId {
    /// A random one.
    pub fn new() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::io("get random bytes", std::io::Error::other(e.to_string())))?;
        Ok(Self::from_bytes(bytes))
    }

    /// That of what has none yet: its inode and birth.
    pub const fn derived(node: &Node) -> Self {
        Self(node.inode())
    }

    /// As it is stored.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [low, high] = [0, 8].map(|at| {
            bytes
                .iter()
                .skip(at)
                .take(8)
                .rev()
                .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
        });
        Self([low, high])
    }

    /// As it is stored.
    pub fn to_bytes(self) -> [u8; 16] {
        let [low, high] = self.0;
        (u128::from(low) | (u128::from(high) << 64)).to_le_bytes()
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.0;
        write!(f, "{low:016x}{high:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_stored_as_it_is() {
        let id = FileId::new().unwrap();
        assert_eq!(FileId::from_bytes(id.to_bytes()), id);
        assert_eq!(
            FileId([1, 2]).to_string(),
            "00000000000000010000000000000002"
        );
        assert_eq!(serde_json::to_string(&FileId([1, 2])).unwrap(), "[1,2]");
        assert_ne!(FileId::new().unwrap(), id);
    }
}
