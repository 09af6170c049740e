//! Bearers: short-lived JSON Web Tokens (RFC 7519, HS256) that name a session. Whether the session still stands is asked
//! at every use; a bearer saves the client the long secret, not the server the look.

use crate::model::{Error, Result};
use crate::state::{StateStore, stored_key};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seconds a bearer is good for.
pub const LIFE: i64 = 15 * 60;

/// `{"alg":"HS256","typ":"JWT"}`: the one head that is written, and the only one that is read.
const HEAD: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// What a bearer says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BearerClaims {
    /// The session's id.
    pub sid: String,
    /// The generation of the account's credentials that the session is of.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
}

/// Writes and reads bearers; without its key it does neither.
pub struct BearerSigner(Option<Hmac<Sha256>>);

impl std::fmt::Debug for BearerSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer").field(&self.0.is_some()).finish()
    }
}

impl BearerSigner {
    /// Takes the key from the store, and makes it at the first start. `Corrupt` when there is one that cannot be right.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        match stored_key::open(store, "bearer").await {
            Ok(key) => Self::new(Some(key.as_slice())),
            Err(Error::Corrupt(why)) => Err(Error::Corrupt(why)),
            Err(error) => {
                tracing::warn!(%error, "no key for bearers could be stored: there are none until the next start");
                Self::new(None)
            }
        }
    }

    fn new(key: Option<&[u8]>) -> Result<Self> {
        let keyed = key.map(Hmac::new_from_slice).transpose();
        keyed
            .map(Self)
            .map_err(|e| Error::io("make a key", std::io::Error::other(e)))
    }

    /// A bearer with these claims.
    pub fn sign(&self, claims: &BearerClaims) -> Result<Zeroizing<String>> {
        let mut mac = self.0.clone().ok_or(Error::ReadOnly)?;
        let text = serde_json::to_vec(claims).map_err(|e| Error::io("write a bearer", e))?;
        let signed = format!("{HEAD}.{}", BASE64_URL_SAFE_NO_PAD.encode(text));
        mac.update(signed.as_bytes());
        let tag = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        Ok(Zeroizing::new(format!("{signed}.{tag}")))
    }

    /// What a bearer says, if this server wrote it and it has not ended.
    pub fn read(&self, bearer: &str, now: i64) -> Option<BearerClaims> {
        let (signed, tag) = bearer.rsplit_once('.')?;
        let claims = signed.strip_prefix(HEAD)?.strip_prefix('.')?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        let mut mac = self.0.clone()?;
        mac.update(signed.as_bytes());
        mac.verify_slice(&tag).ok()?;
        let claims: BearerClaims =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        (now < claims.exp).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Batch;
    use crate::state::memory::MemoryStore;

    fn claims() -> BearerClaims {
        BearerClaims {
            sid: "abc".into(),
            generation: 7,
            iat: 100,
            exp: 200,
        }
    }

    #[tokio::test]
    async fn a_bearer_is_read_until_it_ends_and_by_its_server_only() {
        let store = MemoryStore::new();
        let signer = BearerSigner::open(store.clone()).await.unwrap();
        let bearer = signer.sign(&claims()).unwrap();
        assert_eq!(signer.read(&bearer, 199), Some(claims()));
        assert_eq!(signer.read(&bearer, 200), None);
        assert_eq!(
            BearerSigner::open(store).await.unwrap().read(&bearer, 150),
            Some(claims()),
            "the key is kept"
        );
        assert_eq!(
            BearerSigner::open(MemoryStore::new())
                .await
                .unwrap()
                .read(&bearer, 150),
            None
        );
    }

    #[tokio::test]
    async fn two_who_start_at_once_read_each_others_bearers() {
        let store = MemoryStore::new();
        store.slow_down();
        let (one, two) = tokio::join!(
            BearerSigner::open(store.clone()),
            BearerSigner::open(store.clone())
        );
        let bearer = one.unwrap().sign(&claims()).unwrap();
        assert_eq!(two.unwrap().read(&bearer, 150), Some(claims()));
    }

    #[tokio::test]
    async fn forged_bearers_are_refused() {
        let signer = BearerSigner::open(MemoryStore::new()).await.unwrap();
        let bearer = signer.sign(&claims()).unwrap();
        let [head, body, tag]: [&str; 3] =
            bearer.split('.').collect::<Vec<_>>().try_into().unwrap();
        let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let more = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sid":"abc","gen":7,"iat":100,"exp":999}"#);
        for forged in [
            format!("{none}.{body}."),
            format!("{none}.{body}.{tag}"),
            format!("{head}.{more}.{tag}"),
            format!("{head}.{body}."),
            format!("{head}.{body}"),
            format!("{head}.{body}.{}", &tag[1..]),
            String::new(),
            ".".into(),
            "..".into(),
        ] {
            assert_eq!(signer.read(&forged, 150), None, "{forged}");
        }
    }

    #[tokio::test]
    async fn without_a_key_nobody_gets_in() {
        let none = BearerSigner::new(None).unwrap();
        assert!(matches!(none.sign(&claims()), Err(Error::ReadOnly)));
        let empty = BearerSigner::new(Some(b"")).unwrap();
        assert_eq!(none.read(&empty.sign(&claims()).unwrap(), 150), None);
        let store = MemoryStore::new();
        store
            .commit(Batch::new().put("key/bearer", r#"{"v":1,"key":""}"#))
            .await
            .unwrap();
        assert!(matches!(
            BearerSigner::open(store).await,
            Err(Error::Corrupt(_))
        ));
    }
}
