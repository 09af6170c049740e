//! What a browser keeps for us meanwhile: readable by it, but nobody else can make it, and it is good for a short time only.

use crate::model::{Error, Result};
use crate::state::{StateStore, stored_key};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seals under a key in the store.
pub struct StateSigner(Hmac<Sha256>);

#[derive(Serialize, Deserialize)]
struct SignedState<T> {
    kind: String,
    ends: i64,
    what: T,
}

impl std::fmt::Debug for StateSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl StateSigner {
    /// With the key of whoever uses this store.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let key = stored_key::open_or_own(store, "openid").await?;
        Hmac::new_from_slice(key.as_slice())
            .map(Self)
            .map_err(|e| Error::io("make a key", std::io::Error::other(e)))
    }

    /// `what`, good until `ends`; only [`verify`](Self::verify) for the same kind reads it.
    pub fn sign<T: Serialize>(&self, kind: &str, what: T, ends: i64) -> Zeroizing<String> {
        let text = Zeroizing::new(
            serde_json::to_vec(&SignedState {
                kind: kind.to_owned(),
                ends,
                what,
            })
            .unwrap_or_default(),
        );
        let tag = self.mac(&text).finalize().into_bytes();
        Zeroizing::new(format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(&*text),
            BASE64_URL_SAFE_NO_PAD.encode(tag)
        ))
    }

    /// What was sealed, if it was here, for this, and its time is not over.
    pub fn verify<T: DeserializeOwned>(&self, kind: &str, sealed: &str, now: i64) -> Option<T> {
        let (text, tag) = sealed.split_once('.')?;
        let text = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?);
        self.mac(&text)
            .verify_slice(&BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?)
            .ok()?;
        let sealed: SignedState<T> = serde_json::from_slice(&text).ok()?;
        (sealed.kind == kind && now < sealed.ends).then_some(sealed.what)
    }

    fn mac(&self, text: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(text);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::memory::MemoryStore;

    #[tokio::test]
    async fn only_what_was_sealed_here_for_this_is_opened_and_only_in_time() {
        let store = MemoryStore::new();
        let ours = StateSigner::open(store.clone()).await.unwrap();
        let other = StateSigner::open(MemoryStore::new()).await.unwrap();
        let second = StateSigner::open(store).await.unwrap();
        let sealed = ours.sign("a", "kettle".to_owned(), 100);
        let open = |by: &StateSigner, kind, text: &str, now| by.verify::<String>(kind, text, now);
        assert_eq!(open(&ours, "a", &sealed, 99).as_deref(), Some("kettle"));
        assert_eq!(
            open(&second, "a", &sealed, 99).as_deref(),
            Some("kettle"),
            "another process on the store"
        );
        assert_eq!(open(&ours, "a", &sealed, 100), None);
        assert_eq!(open(&ours, "b", &sealed, 1), None);
        assert_eq!(open(&other, "a", &sealed, 1), None);
        let (text, tag) = sealed.split_once('.').unwrap();
        for forged in [
            text,
            &format!("{text}."),
            &format!("{text}A.{tag}"),
            &format!(".{tag}"),
            "",
        ] {
            assert_eq!(open(&ours, "a", forged, 1), None, "{forged}");
        }
    }
}
