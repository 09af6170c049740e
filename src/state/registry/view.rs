//! What a registry shows: the records, and what a collection keeps beside them to find them by.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a collection keeps beside the records of a [`Registry`](super::Registry), in step with them.
pub trait RecordIndex<R>: fmt::Debug + Default + Send + Sync + 'static {
    /// Takes in that a record was stored (`before` is `None`), replaced, or removed (`now` is `None`). It may be told of the same
    /// record again.
    fn update(&mut self, id: &str, before: Option<&Arc<R>>, now: Option<&Arc<R>>);
}

impl<R> RecordIndex<R> for () {
    fn update(&mut self, _: &str, _: Option<&Arc<R>>, _: Option<&Arc<R>>) {}
}

/// All records of one kind, and their index.
#[derive(Debug)]
pub struct RegistryView<R, I = ()> {
    records: BTreeMap<String, Arc<R>>,
    /// The index.
    pub index: I,
}

impl<R, I: Default> Default for RegistryView<R, I> {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            index: I::default(),
        }
    }
}

impl<R, I: RecordIndex<R>> RegistryView<R, I> {
    /// The record with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<R>> {
        self.records.get(id)
    }

    /// All ids and records, in byte order of the ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<R>)> {
        self.records
            .iter()
            .map(|(id, record)| (id.as_str(), record))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn set(&mut self, id: &str, now: Option<&Arc<R>>) {
        let before = match now {
            Some(now) => self.records.insert(id.to_owned(), Arc::clone(now)),
            None => self.records.remove(id),
        };
        if before.is_some() || now.is_some() {
            self.index.update(id, before.as_ref(), now);
        }
    }

    /// Shows these records and no others.
    pub(super) fn replace(&mut self, all: Vec<(String, R)>) {
        let mut gone = std::mem::take(&mut self.records);
        for (id, record) in all {
            let now = Arc::new(record);
            let before = gone.remove(&id);
            self.index.update(&id, before.as_ref(), Some(&now));
            self.records.insert(id, now);
        }
        for (id, before) in gone {
            self.index.update(&id, Some(&before), None);
        }
    }
}
