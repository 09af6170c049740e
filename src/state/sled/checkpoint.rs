//! sled as the place where journaled changes come to rest. One checkpoint brings all of them, in steps that sled can take
//! between two fsyncs; repeated after a crash it comes to the same, since the journal knows the last value of each key.

use super::disk::SledFiles;
use super::journal::Journal;
use super::{BATCH_LIMIT, CHANGE_COST, RecordMap, VERSION, VERSION_KEY};
use parking_lot::RwLock;
use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What to write in the log when something fails.
pub(super) type WriteResult = Result<(), String>;

/// sled and its files.
pub(super) struct SledBase {
    db: ManuallyDrop<::sled::Db>,
    disk: SledFiles,
}

impl SledBase {
    pub(super) fn new(db: ::sled::Db, disk: SledFiles) -> Self {
        Self {
            db: ManuallyDrop::new(db),
            disk,
        }
    }

    /// Gives these keys durably the values that they have in the records; one that is not there is removed.
    pub(super) fn write_records(
        &mut self,
        keys: &HashSet<String>,
        records: &RwLock<Option<RecordMap>>,
    ) -> WriteResult {
        let mut batch = ::sled::Batch::default();
        let mut size = 0;
        for key in keys {
            let value = records
                .read()
                .as_ref()
                .and_then(|records| records.get(key).cloned());
            if value.is_none() && !self.db.contains_key(key).map_err(|e| e.to_string())? {
                continue;
            }
            let weight = key.len() + value.as_ref().map_or(0, String::len) + CHANGE_COST;
            if size + weight > BATCH_LIMIT {
                self.write(std::mem::take(&mut batch))?;
                size = 0;
            }
            size += weight;
            match value {
                Some(value) => batch.insert(key.as_bytes(), value.as_bytes()),
                None => batch.remove(key.as_bytes()),
            }
        }
        if size > 0 { self.write(batch) } else { Ok(()) }
    }

    /// Makes a journal and lets the store know that it has one; only then may anything be written to it.
    pub(super) fn create_journal(&mut self) -> Result<Journal, String> {
        let journal = self.disk.create_journal().map_err(|e| e.to_string())?;
        let mut version = ::sled::Batch::default();
        version.insert(VERSION_KEY, VERSION.to_string().as_bytes());
        self.write(version)?;
        Ok(journal)
    }

    /// Whether there is room to write.
    pub(super) fn has_room(&self) -> bool {
        self.disk.has_room()
    }

    /// Sets the ballast aside again after it was needed.
    pub(super) fn restore_ballast(&self) {
        self.disk.restore_ballast();
    }

    fn write(&mut self, batch: ::sled::Batch) -> WriteResult {
        self.db.apply_batch(batch).map_err(|e| e.to_string())?;
        self.db.flush().map_err(|e| e.to_string())?;
        self.disk.sync().map_err(|e| e.to_string())
    }

    /// sled flushes and fsyncs once more as it is dropped, and panics when that fails.
    pub(super) fn close(mut self) -> WriteResult {
        let db = ManuallyDrop::into_inner(self.db);
        catch_unwind(AssertUnwindSafe(|| drop(db))).map_err(|_| "sled panicked".to_owned())?;
        self.disk.sync().map_err(|e| e.to_string())
    }
}
