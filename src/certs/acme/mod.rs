//! Certificates from an ACME server (RFC 8555), proven by TLS-ALPN-01 (RFC 8737) on the port that they are for: one for each name of the
//! settings, so that a name that cannot be proven keeps no other from its certificate.

mod challenge;
mod issuer;
mod renewer;
mod schedule;

use super::{file, folder_in};
use crate::config::{AcmeConfig, Config};
pub use challenge::{ChallengeCertificate, ChallengeGuard, Challenges};
use issuer::AcmeIssuer;
use renewer::CertificateRenewer;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Notify;

/// The names of the settings, and where their certificates lie.
#[derive(Debug)]
pub struct Acme {
    config: AcmeConfig,
    folder: PathBuf,
    challenges: Challenges,
    asked: Notify,
}

impl Acme {
    pub(super) fn open(config: &Config) -> io::Result<Self> {
        let acme = config.tls.acme.clone();
        // Each directory has a folder of its own: an account is known to one, and a certificate for trying does not serve for real.
        let url = acme.directory_url().trim_start_matches("https://");
        let name = url.replace(
            |c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-',
            "_",
        );
        let folder = folder_in(&config.data_dir).join("acme").join(name);
        file::make_folder(&config.data_dir, &folder)?;
        Ok(Self {
            config: acme,
            folder,
            challenges: Challenges::default(),
            asked: Notify::new(),
        })
    }

    /// The PEM files of the certificates with their keys, of which some may not be there yet.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.config
            .domains
            .iter()
            .map(|domain| certificate_in(&self.folder, domain))
    }

    /// What the ACME server is shown.
    pub fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// Lets what has failed be tried again soon, though not more often than an ACME server allows.
    pub fn ask_again(&self) {
        self.asked.notify_one();
    }

    /// Orders what is missing or due, for ever; calls `changed` after each certificate that was stored.
    pub async fn run(&self, changed: impl Fn() + Send + Sync + 'static) {
        let directory = AcmeIssuer::new(
            self.config.clone(),
            self.folder.clone(),
            self.challenges.clone(),
        );
        let keeper = CertificateRenewer::new(
            &self.config.domains,
            &self.folder,
            directory,
            SystemTime::now,
            Arc::new(changed),
        );
        keeper.run(&self.asked).await;
    }
}

fn certificate_in(folder: &Path, domain: &str) -> PathBuf {
    folder.join(format!("{}.pem", domain.to_ascii_lowercase()))
}

fn note_in(folder: &Path, domain: &str) -> PathBuf {
    folder.join(format!("{}.json", domain.to_ascii_lowercase()))
}

/// Work on files, away from the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|failed| Err(io::Error::other(failed)))
}

#[cfg(test)]
mod tests;
