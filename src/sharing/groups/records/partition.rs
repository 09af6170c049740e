//! Which part of a large group a member is in.

use super::GroupName;
use crate::model::{AccountName, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which parts the members of a group are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPartition {
    /// Which writing of the parts it is.
    pub generation: u64,
    /// How many parts there are.
    pub count: usize,
}

impl GroupPartition {
    /// In which part a member is.
    pub fn of(self, member: &AccountName) -> usize {
        let hash = member
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
            });
        usize::try_from(hash % (self.count as u64)).unwrap_or_default()
    }

    /// The id of a part.
    pub fn id(self, name: &str, index: usize) -> String {
        format!("{name}/{}/{index}", self.generation)
    }

    /// The ids of all parts.
    pub fn ids(self, name: &str) -> impl Iterator<Item = String> {
        (0..self.count).map(move |index| self.id(name, index))
    }

    /// Whether the part with this id is one of them.
    pub fn has(self, id: &str) -> bool {
        let mut numbers = id.rsplit('/');
        let index = numbers.next().and_then(|index| index.parse::<usize>().ok());
        let generation = numbers
            .next()
            .and_then(|generation| generation.parse().ok());
        index.is_some_and(|index| index < self.count) && generation == Some(self.generation)
    }
}

/// A generation that no other change takes.
pub fn new_generation() -> Result<u64> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::io("make an id", std::io::Error::other(e.to_string())))?;
    Ok(u64::from(u32::from_be_bytes(bytes)))
}

/// The group that a part is of.
pub fn owner(id: &str) -> Option<GroupName> {
    id.split_once('/')
        .and_then(|(name, _)| GroupName::parse(name).ok())
}

/// Bytes that names take in a record.
pub fn weight_of(members: &BTreeSet<AccountName>) -> usize {
    members.iter().map(|member| member.as_str().len() + 3).sum()
}
