//! Keys that all processes on one store share: 256 random bits under `key/<name>`, made by whoever needs one first. Who reads the store
//! can sign with them, as it can read all else that lets somebody in; the folder of the store is its owner's alone.

use super::table::{Record, Table, encode};
use super::{Batch, StateStore};
use crate::model::{Error, Result};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

const PREFIX: &str = "key/";
const LEN: usize = 32;

/// A key.
pub type Key = Zeroizing<[u8; LEN]>;

#[derive(Serialize, Deserialize)]
struct KeyRecord {
    key: Zeroizing<String>,
}

impl Record for KeyRecord {
    const VERSION: u32 = 1;
}

impl KeyRecord {
    fn of(key: &Key) -> Self {
        Self {
            key: Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(key.as_slice())),
        }
    }
}

/// The key of this name. Of two who make it at once, one does and the other reads
/// it. `Corrupt` when there is one that cannot be right; another error when it could not be stored.
pub async fn open(store: Arc<dyn StateStore>, name: &str) -> Result<Key> {
    let table = Table::<KeyRecord>::new(store, PREFIX);
    if let Some(stored) = table.get(name).await? {
        return decode(name, &stored);
    }
    let key = random()?;
    let record = KeyRecord::of(&key);
    let batch = table.put_in(table.absent_in(Batch::new(), name), name, &record)?;
    match table.commit(batch).await {
        Ok(()) => Ok(key),
        Err(Error::Conflict) => {
            let winner = table.get(name).await?.ok_or(Error::Conflict)?;
            decode(name, &winner)
        }
        Err(error) => Err(error),
    }
}

/// As [`open`], or a key that only this process knows where none can be stored.
pub async fn open_or_own(store: Arc<dyn StateStore>, name: &str) -> Result<Key> {
    match open(store, name).await {
        Err(Error::Corrupt(why)) => Err(Error::Corrupt(why)),
        Err(error) => {
            tracing::warn!(%error, key = name, "a key could not be stored: what is signed with it holds until the next start");
            random()
        }
        key => key,
    }
}

/// What uses up a key that is good for one use, to be committed with what it is used for.
pub fn spend(name: &str, key: &Key) -> Result<Batch> {
    let stored = format!("{PREFIX}{name}");
    let text = encode(&KeyRecord::of(key))?;
    Ok(Batch::new().expect(&stored, Some(text)).delete(stored))
}

fn decode(name: &str, record: &KeyRecord) -> Result<Key> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(record.key.as_bytes());
    let bytes = Zeroizing::new(bytes.unwrap_or_default());
    let key = <[u8; LEN]>::try_from(bytes.as_slice());
    key.map(Zeroizing::new)
        .map_err(|_| Error::damaged(format_args!("The key {PREFIX}{name}")))
}

/// A key that nobody else has.
pub fn random() -> Result<Key> {
    let mut key = Zeroizing::new([0; LEN]);
    getrandom::fill(key.as_mut_slice())
        .map_err(|e| Error::io("make a key", std::io::Error::other(e.to_string())))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::memory::MemoryStore;

    #[tokio::test]
    async fn of_two_who_make_a_key_at_once_one_does_and_the_other_reads_it() {
        let store = MemoryStore::new();
        // Both have seen that there is none when the first one is stored.
        store.slow_down();
        let (one, two) = tokio::join!(open(store.clone(), "x"), open(store.clone(), "x"));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one, two);
        assert_ne!(one, open(store.clone(), "y").await.unwrap());
        assert_eq!(one, open(store, "x").await.unwrap());
    }

    #[tokio::test]
    async fn a_damaged_key_stops_the_start_and_a_full_disk_does_not() {
        let store = MemoryStore::new();
        for damaged in [r#"{"v":1,"key":""}"#, r#"{"v":1,"key":"AAAA"}"#, "{"] {
            let put = Batch::new().put("key/x", damaged);
            store.commit(put).await.unwrap();
            let opened = open_or_own(store.clone(), "x").await;
            assert!(matches!(opened, Err(Error::Corrupt(_))), "{damaged}");
        }
        store.break_disk();
        assert!(matches!(
            open(store.clone(), "y").await,
            Err(Error::ReadOnly)
        ));
        open_or_own(store, "y").await.unwrap();
    }
}
