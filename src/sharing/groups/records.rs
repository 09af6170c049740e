//! Groups as records. A small one is one record; a large one has its members in parts, so that a record stays small and somebody who joins
//! costs one part. A change too large for one batch writes all parts under a new generation, which the last batch makes the one that
//! counts: whatever cuts it short, the group is as it was.

mod partition;

use super::{Group, GroupName};
use crate::model::{AccountName, Error, Result};
use crate::state::registry::{ATTEMPTS, BUSY, Edit, Registry, back_off};
use crate::state::table::{Record, Table, encode};
use crate::state::{Batch, StateStore};
use partition::{GroupPartition, new_generation, owner, weight_of};
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupHead {
    /// The group's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
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

/// Some members of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct GroupPart {
    members: BTreeSet<AccountName>,
}

impl Record for GroupPart {
    const VERSION: u32 = 1;
}

/// A group and how it is stored.
struct StoredGroup {
    head: Arc<GroupHead>,
    group: Group,
}

/// The records of all groups.
#[derive(Debug)]
pub(super) struct GroupRecords {
    heads: Arc<Registry<GroupHead>>,
    parts: Arc<Registry<GroupPart>>,
    part_table: Table<GroupPart>,
}

impl GroupRecords {
    /// Reads every group, and removes parts that none has.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let parts = Registry::open(store.clone(), "group-part/").await?;
        let heads = Registry::<GroupHead>::open(store.clone(), "group/").await?;
        for (name, _) in heads.view().iter() {
            GroupName::parse(name)?;
        }
        let records = Self {
            heads,
            parts,
            part_table: Table::new(store.clone(), "group-part/"),
        };
        records.clear_loose(&Table::new(store, "group/")).await?;
        Ok(records)
    }

    /// Removes parts that no head names, as what was cut short has left them. Another handle may be about to name one: then it stays.
    async fn clear_loose(&self, heads: &Table<GroupHead>) -> Result<()> {
        let ids: Vec<String> = {
            let view = self.parts.view();
            view.iter().map(|(id, _)| id.to_owned()).collect()
        };
        let is_named = |head: Option<GroupHead>, id: &str| {
            head.and_then(|head| head.parts)
                .is_some_and(|parts| parts.has(id))
        };
        let mut loose = Vec::new();
        for id in ids {
            let name = owner(&id);
            let name = name.as_ref().map_or("", GroupName::as_str);
            let (head, text) = heads.get_exact(name).await?.unzip();
            if is_named(head, &id) {
                continue;
            }
            let batch = Batch::new().expect(heads.key(name), text);
            let batch = self.part_table.delete_in(batch, &id);
            match self.part_table.commit(batch).await {
                Ok(()) | Err(Error::Conflict) => loose.push(id),
                Err(error) => return Err(error),
            }
        }
        self.parts.refresh(loose).await
    }

    /// The names of all groups, and what is stored of each but for members that are in parts.
    pub fn heads(&self) -> Vec<(GroupName, Arc<GroupHead>)> {
        self.heads_with(|_, _| true)
    }

    /// As [`heads`](Self::heads), of the groups that an account is in.
    pub fn heads_of(&self, account: &AccountName) -> Vec<(GroupName, Arc<GroupHead>)> {
        self.heads_with(|name, head| self.has_member(name, head, account))
    }

    fn heads_with(
        &self,
        wanted: impl Fn(&str, &GroupHead) -> bool,
    ) -> Vec<(GroupName, Arc<GroupHead>)> {
        let view = self.heads.view();
        view.iter()
            .filter(|(name, head)| wanted(name, head))
            .filter_map(|(name, head)| Some((GroupName::parse(name).ok()?, Arc::clone(head))))
            .collect()
    }

    /// What is stored of a group but for members that are in parts.
    pub fn head(&self, name: &GroupName) -> Option<Arc<GroupHead>> {
        self.heads.get(name.as_str())
    }

    /// Whether an account is in the group of this head.
    pub fn has_member(&self, name: &str, head: &GroupHead, account: &AccountName) -> bool {
        let in_part = |parts: GroupPartition| {
            let part = self.parts.get(&parts.id(name, parts.of(account)));
            part.is_some_and(|part| part.members.contains(account))
        };
        head.members.contains(account) || head.parts.is_some_and(in_part)
    }

    /// The group of a head, with all its members.
    pub fn group(&self, name: &GroupName, head: &GroupHead) -> Group {
        let mut members = head.members.clone();
        let view = self.parts.view();
        for id in head
            .parts
            .into_iter()
            .flat_map(|parts| parts.ids(name.as_str()))
        {
            members.extend(
                view.get(&id)
                    .into_iter()
                    .flat_map(|part| part.members.clone()),
            );
        }
        Group {
            id: head.id.clone(),
            members,
            created: head.created,
        }
    }

    /// Stores what `edit` makes of a group, whole or not at all; it may be asked again, with what another handle stored.
    pub async fn edit(
        &self,
        name: &GroupName,
        edit: impl Fn(Option<&Group>) -> Result<Group>,
    ) -> Result<Arc<Group>> {
        for attempt in 0..ATTEMPTS {
            let before = self.head(name).map(|head| StoredGroup {
                group: self.group(name, &head),
                head,
            });
            let edited = edit(before.as_ref().map(|before| &before.group));
            let stored = match edited {
                Ok(group) => self
                    .store(name, before.as_ref(), &group)
                    .await
                    .map(|()| group),
                Err(error) => Err(error),
            };
            match stored {
                Ok(group) => return Ok(Arc::new(group)),
                Err(Error::Conflict) => back_off(attempt).await,
                Err(error) => {
                    drop(self.refresh(name).await);
                    return Err(error);
                }
            }
            self.refresh(name).await?;
        }
        Err(BUSY)
    }

    /// Removes a group, and says what its id was; `NotFound`.
    pub async fn remove(&self, name: &GroupName) -> Result<Option<String>> {
        let head = self.head(name).ok_or(Error::NotFound)?;
        let (id, parts) = (head.id.clone(), head.parts);
        let same_id = |_: &Registry<GroupHead>, present: Option<GroupHead>| {
            let is_same = present.ok_or(Error::NotFound)?.id == id;
            is_same.then(Edit::remove).ok_or(Error::NotFound)
        };
        self.heads
            .edit(name.as_str(), Batch::new(), same_id)
            .await?;
        self.clear(name, parts).await;
        Ok(id)
    }

    /// Reads a group anew.
    async fn refresh(&self, name: &GroupName) -> Result<()> {
        self.heads.refresh(vec![name.to_string()]).await?;
        let parts = self.head(name).and_then(|head| head.parts);
        let ids = parts.into_iter().flat_map(|parts| parts.ids(name.as_str()));
        self.parts.refresh(ids.collect()).await
    }

    /// Stores a group in the place of what it was. `Conflict` when that is not what it is.
    async fn store(
        &self,
        name: &GroupName,
        before: Option<&StoredGroup>,
        group: &Group,
    ) -> Result<()> {
        let old = before.and_then(|before| before.head.parts);
        let weight = weight_of(&group.members);
        let head = |members, parts| GroupHead {
            id: group.id.clone(),
            members,
            created: group.created,
            parts,
        };
        if weight > SMALL
            && let (Some(parts), Some(before)) = (old, before)
            && let Some((batch, ids)) = self
                .change(name, parts, (&before.group.members, &group.members))
                .await?
        {
            let same = GroupHead::clone(&before.head);
            self.commit_head(name, Some(before), same, batch).await?;
            return self.parts.refresh(ids).await;
        }
        let mut along = Batch::new();
        for id in old.into_iter().flat_map(|parts| parts.ids(name.as_str())) {
            along = along.expect(self.part_table.key(&id), self.part_text(&id).await?);
        }
        let head = if weight <= SMALL {
            head(group.members.clone(), None)
        } else {
            let parts = GroupPartition {
                // Another handle may be writing parts, too.
                generation: new_generation()?,
                count: weight / PART + 1,
            };
            along = along.and(self.write(name, parts, &group.members).await?);
            head(BTreeSet::new(), Some(parts))
        };
        self.commit_head(name, before, head, along).await?;
        self.clear(name, old).await;
        Ok(())
    }

    /// Lets a head be the one that counts, in the place of the one before.
    async fn commit_head(
        &self,
        name: &GroupName,
        before: Option<&StoredGroup>,
        head: GroupHead,
        along: Batch,
    ) -> Result<()> {
        let plan = |_: &Registry<GroupHead>, present: Option<GroupHead>| {
            let is_same = present.as_ref() == before.map(|before| &*before.head);
            is_same
                .then(|| Edit::store(head.clone()))
                .ok_or(Error::Conflict)
        };
        self.heads.edit(name.as_str(), along, plan).await.map(drop)
    }

    /// Removes parts that no head names any more. What stays of them is removed at the next start.
    async fn clear(&self, name: &GroupName, parts: Option<GroupPartition>) {
        let Some(parts) = parts else { return };
        let start = format!("{name}/");
        let of_group = |id: &str, _: &GroupPart| id.starts_with(&start) && parts.has(id);
        if let Err(error) = self.parts.remove_all(of_group).await {
            tracing::warn!(%error, "former parts of a group could not be removed");
        }
    }

    /// The stored text of a part. `Conflict` when memory has another part.
    async fn part_text(&self, id: &str) -> Result<Option<String>> {
        let (part, text) = self.part_table.get_exact(id).await?.unzip();
        if part.as_ref() == self.parts.get(id).as_deref() {
            Ok(text)
        } else {
            Err(Error::Conflict)
        }
    }

    /// What makes the parts have other members, and their ids; `None` where that is too much for one batch, or a part grows too large.
    async fn change(
        &self,
        name: &GroupName,
        parts: GroupPartition,
        (old, new): (&BTreeSet<AccountName>, &BTreeSet<AccountName>),
    ) -> Result<Option<(Batch, Vec<String>)>> {
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
        let mut ids = Vec::new();
        for (index, part) in &changed {
            let id = parts.id(name.as_str(), *index);
            batch = batch.expect(self.part_table.key(&id), self.part_text(&id).await?);
            batch = self.part_table.put_in(batch, &id, part)?;
            ids.push(id);
        }
        Ok(Some((batch, ids)))
    }

    /// Writes all parts, which nothing names yet; what says that they still are there.
    async fn write(
        &self,
        name: &GroupName,
        parts: GroupPartition,
        members: &BTreeSet<AccountName>,
    ) -> Result<Batch> {
        let mut all: Vec<GroupPart> = (0..parts.count).map(|_| GroupPart::default()).collect();
        for member in members {
            if let Some(part) = all.get_mut(parts.of(member)) {
                part.members.insert(member.clone());
            }
        }
        let mut there = Batch::new();
        let mut batch = Batch::new();
        let mut weight = 0;
        for (id, part) in parts.ids(name.as_str()).zip(&all) {
            let text = encode(part)?;
            let key = self.part_table.key(&id);
            there = there.expect(&key, Some(text.clone()));
            batch = batch.put(key, text);
            weight += weight_of(&part.members);
            if weight > BATCH - LARGEST {
                self.part_table.commit(std::mem::take(&mut batch)).await?;
                weight = 0;
            }
        }
        self.part_table.commit(batch).await?;
        self.parts
            .refresh(parts.ids(name.as_str()).collect())
            .await?;
        Ok(there)
    }
}

#[cfg(test)]
mod tests;
