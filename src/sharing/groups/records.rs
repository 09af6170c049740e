//! Groups as records. A small one is one record; a large one has its members in parts, so that a record stays small and somebody who joins
//! costs one part. A change too large for one batch writes all parts under a new generation, which the last batch makes the one that
//! counts: whatever cuts it short, the group is as it was.

use super::{Group, GroupName};
use crate::model::{AccountName, Result};
use crate::state::table::{Record, Table};
use crate::state::{Batch, StateStore};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes of names up to which a group is one record.
const SMALL: usize = 16 << 10;
/// Bytes of names that a part has when it is made.
const PART: usize = 8 << 10;
/// Bytes of names beyond which a part is too large; a record may have 32 KiB.
const LARGEST: usize = 24 << 10;
/// Bytes of names in one batch; it may have 256 KiB.
const BATCH: usize = 128 << 10;

/// A group, but for members that are in parts.
#[derive(Debug, Serialize, Deserialize)]
struct GroupHead {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default)]
    members: BTreeSet<AccountName>,
    created: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<GroupPartition>,
}

/// Version 1 had all members here.
impl Record for GroupHead {
    const VERSION: u32 = 2;
}

/// Which parts the members of a group are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupPartition {
    generation: u64,
    count: usize,
}

/// Some members of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
struct GroupPart {
    members: BTreeSet<AccountName>,
}

impl Record for GroupPart {
    const VERSION: u32 = 1;
}

/// A group and how it is stored.
#[derive(Clone, Debug)]
pub(super) struct StoredGroup {
    pub group: Arc<Group>,
    parts: Option<GroupPartition>,
}

/// The records of all groups.
#[derive(Debug)]
pub(super) struct GroupRecords {
    heads: Table<GroupHead>,
    parts: Table<GroupPart>,
}

impl GroupRecords {
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self {
            heads: Table::new(store.clone(), "group/"),
            parts: Table::new(store, "group-part/"),
        }
    }

    /// Reads every group, and removes parts that none has.
    pub async fn read(&self) -> Result<BTreeMap<GroupName, StoredGroup>> {
        let mut all = BTreeMap::new();
        for (name, head) in self.heads.all().await? {
            let GroupHead {
                id,
                members,
                created,
                parts,
            } = head;
            all.insert(
                GroupName::parse(&name)?,
                (
                    Group {
                        id,
                        members,
                        created,
                    },
                    parts,
                ),
            );
        }
        let mut loose = Vec::new();
        for (id, part) in self.parts.all().await? {
            match owner(&id).and_then(|name| all.get_mut(&name)) {
                Some((group, Some(parts))) if parts.has(&id) => group.members.extend(part.members),
                _ => loose.push(id),
            }
        }
        self.parts.delete_all(&loose).await?;
        let stored = |(group, parts)| StoredGroup {
            group: Arc::new(group),
            parts,
        };
        Ok(all
            .into_iter()
            .map(|(name, found)| (name, stored(found)))
            .collect())
    }

    /// Stores a group in the place of what it was, whole or not at all.
    pub async fn store(
        &self,
        name: &GroupName,
        before: Option<&StoredGroup>,
        group: Group,
    ) -> Result<StoredGroup> {
        let old = before.and_then(|before| before.parts);
        let weight = weight_of(&group.members);
        let head = |members, parts| GroupHead {
            id: group.id.clone(),
            members,
            created: group.created,
            parts,
        };
        if weight <= SMALL {
            let head = head(group.members.clone(), None);
            self.commit_head(name, &head, old).await?;
            return Ok(StoredGroup {
                group: Arc::new(group),
                parts: None,
            });
        }
        if let (Some(parts), Some(before)) = (old, before)
            && let Some(batch) =
                self.change(name, parts, (&before.group.members, &group.members))?
        {
            self.parts.commit(batch).await?;
            return Ok(StoredGroup {
                group: Arc::new(group),
                parts: old,
            });
        }
        let parts = GroupPartition {
            generation: old.map_or(0, |old| old.generation) + 1,
            count: weight / PART + 1,
        };
        self.write(name, parts, &group.members).await?;
        self.commit_head(name, &head(BTreeSet::new(), Some(parts)), old)
            .await?;
        Ok(StoredGroup {
            group: Arc::new(group),
            parts: Some(parts),
        })
    }

    /// Removes a group.
    pub async fn remove(&self, name: &GroupName, stored: &StoredGroup) -> Result<()> {
        let batch = self.heads.delete_in(Batch::new(), name.as_str());
        self.heads
            .commit(self.without(batch, name, stored.parts))
            .await
    }

    /// Lets a head be the one that counts.
    async fn commit_head(
        &self,
        name: &GroupName,
        head: &GroupHead,
        old: Option<GroupPartition>,
    ) -> Result<()> {
        let batch = self.heads.put_in(Batch::new(), name.as_str(), head)?;
        self.heads.commit(self.without(batch, name, old)).await
    }

    fn without(&self, batch: Batch, name: &GroupName, parts: Option<GroupPartition>) -> Batch {
        let ids = parts
            .into_iter()
            .flat_map(|parts| (0..parts.count).map(move |index| parts.id(name, index)));
        ids.fold(batch, |batch, id| self.parts.delete_in(batch, &id))
    }

    /// What makes the parts have other members; `None` where that is too much for one batch, or a part grows too large.
    fn change(
        &self,
        name: &GroupName,
        parts: GroupPartition,
        (old, new): (&BTreeSet<AccountName>, &BTreeSet<AccountName>),
    ) -> Result<Option<Batch>> {
        let touched: BTreeSet<usize> = old
            .symmetric_difference(new)
            .map(|member| parts.of(member))
            .collect();
        let mut changed: BTreeMap<usize, GroupPart> = touched
            .into_iter()
            .map(|index| (index, GroupPart::default()))
            .collect();
        for member in new {
            if let Some(part) = changed.get_mut(&parts.of(member)) {
                part.members.insert(member.clone());
            }
        }
        let weights: Vec<usize> = changed
            .values()
            .map(|part| weight_of(&part.members))
            .collect();
        if weights.iter().any(|weight| *weight > LARGEST) || weights.iter().sum::<usize>() > BATCH {
            return Ok(None);
        }
        let mut batch = Batch::new();
        for (index, part) in &changed {
            batch = self.parts.put_in(batch, &parts.id(name, *index), part)?;
        }
        Ok(Some(batch))
    }

    /// Writes all parts, which nothing names yet.
    async fn write(
        &self,
        name: &GroupName,
        parts: GroupPartition,
        members: &BTreeSet<AccountName>,
    ) -> Result<()> {
        let mut all: Vec<GroupPart> = (0..parts.count).map(|_| GroupPart::default()).collect();
        for member in members {
            if let Some(part) = all.get_mut(parts.of(member)) {
                part.members.insert(member.clone());
            }
        }
        let mut batch = Batch::new();
        let mut weight = 0;
        for (index, part) in all.iter().enumerate() {
            batch = self.parts.put_in(batch, &parts.id(name, index), part)?;
            weight += weight_of(&part.members);
            if weight > BATCH - LARGEST {
                self.parts.commit(std::mem::take(&mut batch)).await?;
                weight = 0;
            }
        }
        self.parts.commit(batch).await
    }
}

impl GroupPartition {
    /// In which part a member is.
    fn of(self, member: &AccountName) -> usize {
        let hash = member
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
            });
        usize::try_from(hash % (self.count as u64)).unwrap_or_default()
    }

    fn id(self, name: &GroupName, index: usize) -> String {
        format!("{name}/{}/{index}", self.generation)
    }

    /// Whether the part with this id is one of them.
    fn has(self, id: &str) -> bool {
        let mut numbers = id.rsplit('/');
        let index = numbers.next().and_then(|index| index.parse::<usize>().ok());
        let generation = numbers
            .next()
            .and_then(|generation| generation.parse().ok());
        index.is_some_and(|index| index < self.count) && generation == Some(self.generation)
    }
}

/// The group that a part is of.
fn owner(id: &str) -> Option<GroupName> {
    id.split_once('/')
        .and_then(|(name, _)| GroupName::parse(name).ok())
}

/// Bytes that names take in a record.
fn weight_of(members: &BTreeSet<AccountName>) -> usize {
    members.iter().map(|member| member.as_str().len() + 3).sum()
}

#[cfg(test)]
mod tests;
