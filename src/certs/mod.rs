//! Certificates that the program gets for itself, as files in `tls/` of the data folder: from an authority of its own for local networks, and
//! from an ACME server.

mod acme;
mod authority;
mod file;
mod host;
mod root;

use crate::config::Config;
use crate::model::{Error, Result};
pub use acme::{Acme, ChallengeCertificate, ChallengeGuard, Challenges};
pub use authority::Authority;
pub use file::{Stamp, stamp};
pub use host::local_name;
pub use root::RootCertificate;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Who issues certificates to this server.
#[derive(Clone, Debug, Default)]
pub struct Issuers {
    /// The authority for local networks, where the settings ask for one.
    pub local: Option<Arc<Authority>>,
    /// The ACME server, where the settings name domains.
    pub acme: Option<Arc<Acme>>,
}

impl Issuers {
    /// Opens what the settings ask for; makes what is not there yet. The data folder must be there.
    pub fn open(config: &Config) -> Result<Self> {
        let local = config
            .tls
            .local
            .then(|| Authority::open(config))
            .transpose();
        let local = local.map_err(|e| Error::io("set up its own certificate authority", e))?;
        let acme = (!config.tls.acme.domains.is_empty())
            .then(|| Acme::open(config))
            .transpose();
        let acme = acme.map_err(|e| Error::io("make a folder for certificates by ACME", e))?;
        Ok(Self {
            local: local.map(Arc::new),
            acme: acme.map(Arc::new),
        })
    }

    /// The PEM files of certificates that come from elsewhere, each with its key; some may not be there yet.
    pub fn awaited(&self) -> impl Iterator<Item = PathBuf> {
        self.acme.iter().flat_map(|acme| acme.files())
    }

    /// The same of those that [`renew_if_due`](Self::renew_if_due) makes.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.local
            .iter()
            .map(|authority| authority.file().to_owned())
    }

    /// Issues anew what is due and needs nobody else.
    pub fn renew_if_due(&self, now: SystemTime) -> io::Result<()> {
        self.local
            .as_ref()
            .map_or(Ok(()), |authority| authority.renew_if_due(now))
    }
}

/// Where all of it lies.
fn folder_in(data_dir: &Path) -> PathBuf {
    data_dir.join("tls")
}

#[cfg(test)]
mod tests;
