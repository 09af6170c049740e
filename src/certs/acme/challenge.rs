//! What the ACME server is shown as proof that a name leads here: a certificate that holds the digest it expects.

use parking_lot::RwLock;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// A certificate and its key, in DER.
#[derive(Debug)]
pub struct ChallengeCertificate {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// Its key, as PKCS #8.
    pub key: Vec<u8>,
}

/// The proofs that the server shows now, by name.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Arc<RwLock<HashMap<String, Arc<ChallengeCertificate>>>>);

/// A proof that is shown until this is dropped.
#[derive(Debug)]
pub struct ChallengeGuard {
    all: Challenges,
    domain: String,
}

impl Challenges {
    /// The proof for a name.
    pub fn find(&self, name: &str) -> Option<Arc<ChallengeCertificate>> {
        self.0.read().get(&name.to_ascii_lowercase()).cloned()
    }

    /// Shows the proof for a name: the SHA-256 of the key authorization.
    pub fn show(&self, domain: &str, digest: &[u8]) -> io::Result<ChallengeGuard> {
        if digest.len() != 32 {
            return Err(io::Error::other(
                "the digest of an ACME challenge has 32 bytes",
            ));
        }
        let domain = domain.to_ascii_lowercase();
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(vec![domain.clone()]).map_err(io::Error::other)?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        let proof = ChallengeCertificate {
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
        };
        self.0.write().insert(domain.clone(), Arc::new(proof));
        Ok(ChallengeGuard {
            all: self.clone(),
            domain,
        })
    }
}

impl Drop for ChallengeGuard {
    fn drop(&mut self) {
        self.all.0.write().remove(&self.domain);
    }
}
