//! Typed records in a store: JSON text with a version, `{"v":1,…}`, under one prefix of keys.

use super::{Batch, StateStore};
use crate::model::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// How many records one scan of [`Table::all`] asks for.
const PAGE: usize = 1000;
/// Records deleted in one step, which a store bounds.
pub const DELETED_AT_ONCE: usize = 1000;

/// A value that a table keeps; serialises to a JSON object without a field `v`.
pub trait Record: Serialize + DeserializeOwned {
    /// The present version of the record's fields; at least 1.
    const VERSION: u32;

    /// Turns the fields of an older version into those of the present one.
    fn migrate(_version: u32, fields: Value) -> Result<Value> {
        Ok(fields)
    }
}

/// The records of one kind, each under `prefix` + id.
pub struct Table<R> {
    store: Arc<dyn StateStore>,
    prefix: &'static str,
    record: PhantomData<fn() -> R>,
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            prefix: self.prefix,
            record: PhantomData,
        }
    }
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl<R: Record> Table<R> {
    /// A view on the keys that begin with `prefix` (`"account/"`).
    pub fn new(store: Arc<dyn StateStore>, prefix: &'static str) -> Self {
        Self {
            store,
            prefix,
            record: PhantomData,
        }
    }

    /// The store's key of a record.
    pub fn key(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    /// The id in a store's key, `None` for a key of another table.
    pub fn id<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(self.prefix)
    }

    /// The record with this id.
    pub async fn get(&self, id: &str) -> Result<Option<R>> {
        let key = self.key(id);
        self.store
            .get(&key)
            .await?
            .map(|text| decode(&key, &text))
            .transpose()
    }

    /// The record with this id and its stored text, which a later [`Batch::expect`] can demand unchanged.
    pub async fn get_exact(&self, id: &str) -> Result<Option<(R, String)>> {
        let key = self.key(id);
        let Some(text) = self.store.get(&key).await? else {
            return Ok(None);
        };
        Ok(Some((decode(&key, &text)?, text)))
    }

    /// All ids and records, in byte order of the ids.
    pub async fn all(&self) -> Result<Vec<(String, R)>> {
        self.with_prefix("").await
    }

    /// The ids that begin with `start` and their records, in byte order of the ids.
    pub async fn with_prefix(&self, start: &str) -> Result<Vec<(String, R)>> {
        let prefix = self.key(start);
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.store.scan(&prefix, &after, PAGE).await?;
            let full = page.len() == PAGE;
            for (key, text) in page {
                let record = decode(&key, &text)?;
                found.push((self.id(&key).unwrap_or_default().to_owned(), record));
                after = key;
            }
            if !full {
                return Ok(found);
            }
        }
    }

    /// Stores a record, whatever stood there.
    pub async fn put(&self, id: &str, record: &R) -> Result<()> {
        self.store
            .commit(self.put_in(Batch::new(), id, record)?)
            .await
    }

    /// Removes a record; an absent one is no error.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.store.commit(self.delete_in(Batch::new(), id)).await
    }

    /// Applies a batch that was put together with this table.
    pub async fn commit(&self, batch: Batch) -> Result<()> {
        self.store.commit(batch).await
    }

    /// Adds the storing of a record to a batch.
    pub fn put_in(&self, batch: Batch, id: &str, record: &R) -> Result<Batch> {
        Ok(batch.put(self.key(id), encode(record)?))
    }

    /// Lets the batch happen only while there is no record with this id.
    #[must_use]
    pub fn absent_in(&self, batch: Batch, id: &str) -> Batch {
        batch.expect(self.key(id), None)
    }

    /// Lets the batch happen only while the record has the text that [`Table::get_exact`] gave.
    #[must_use]
    pub fn unchanged_in(&self, batch: Batch, id: &str, text: String) -> Batch {
        batch.expect(self.key(id), Some(text))
    }

    /// Adds the removal of a record to a batch.
    #[must_use]
    pub fn delete_in(&self, batch: Batch, id: &str) -> Batch {
        batch.delete(self.key(id))
    }
}

#[derive(Serialize)]
struct Versioned<'a, R> {
    v: u32,
    #[serde(flatten)]
    fields: &'a R,
}

/// An id for a new record: 128 random bits in hexadecimal.
pub fn new_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::io("make an id", std::io::Error::other(e.to_string())))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// A record as it is stored, with its version.
pub fn encode<R: Record>(record: &R) -> Result<String> {
    let text = serde_json::to_string(&Versioned {
        v: R::VERSION,
        fields: record,
    });
    text.map_err(|e| {
        Error::Corrupt(format!(
            "A record cannot be written ({e}); this is a defect of the program."
        ))
    })
}

/// What every record has.
#[derive(Deserialize)]
struct RecordHeader {
    v: u32,
}

/// Reads what is stored under `key`; `Corrupt` when it is damaged, or of a newer version than this program knows.
pub fn decode<R: Record>(key: &str, text: &str) -> Result<R> {
    // Nearly all are of the present version: those need no tree of values between, of which a start with many accounts would make as many.
    if let Ok(RecordHeader { v }) = serde_json::from_str(text)
        && v == R::VERSION
        && let Ok(record) = serde_json::from_str(text)
    {
        return Ok(record);
    }
    decode_any(key, text)
}

/// As [`decode`], of any version, with a sentence for what cannot be read.
fn decode_any<R: Record>(key: &str, text: &str) -> Result<R> {
    let damaged = |why: &str| {
        Error::Corrupt(format!(
            "The record {key} cannot be read ({why}): stop the server and bring an export of the state back with `sarang store restore FILE`."
        ))
    };
    let mut fields: Value = serde_json::from_str(text).map_err(|e| damaged(&e.to_string()))?;
    let version = fields.as_object_mut().and_then(|object| object.remove("v"));
    let version = version
        .and_then(|v| u32::try_from(v.as_u64()?).ok())
        .ok_or_else(|| damaged("it has no version"))?;
    if version > R::VERSION {
        return Err(Error::Corrupt(format!(
            "The record {key} was written by a newer Sarang (its version is {version}, this program knows {}): \
             run that version, or restore a backup that this one made.",
            R::VERSION
        )));
    }
    let fields = if version < R::VERSION {
        R::migrate(version, fields)?
    } else {
        fields
    };
    serde_json::from_value(fields).map_err(|e| damaged(&e.to_string()))
}
