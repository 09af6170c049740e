//! Keeps the certificates of all names: orders what is missing or due, one after the other, and says what does not come.

use super::issuer::{CertificateIssuer, IssueError};
use super::schedule::{RetryState, after_success, renewal};
use super::{blocking, certificate_in, note_in};
use crate::certs::authority::names_of;
use crate::certs::file::{self, Stamp};
use crate::certs::root::{first_certificate, key_in};
use crate::model::time::{from_unix_seconds, iso_date, unix_seconds};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::Instant;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Looks come at least so often: a clock may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(60);
/// How often it is said again that a certificate does not come.
const REMIND: Duration = Duration::from_secs(3600);
/// How long an order may take.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) struct CertificateRenewer<D, C> {
    names: Vec<ManagedDomain>,
    folder: PathBuf,
    directory: D,
    clock: C,
    changed: Arc<dyn Fn() + Send + Sync>,
}

/// What is known of a name.
struct ManagedDomain {
    domain: String,
    /// From when until when the certificate is valid that is there, in seconds since 1970.
    valid: Option<(i64, i64)>,
    /// Set while tries fail.
    note: Option<RetryState>,
    /// Set by a success.
    rest: Option<RetryState>,
    /// The file of the certificate as it was last read.
    stamp: Stamp,
    why: String,
    told: Option<Instant>,
}

impl<D: CertificateIssuer, C: Fn() -> SystemTime + Send + Sync> CertificateRenewer<D, C> {
    pub(super) fn new(
        domains: &[String],
        folder: &Path,
        directory: D,
        clock: C,
        changed: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let names = domains.iter().map(|domain| ManagedDomain {
            domain: domain.clone(),
            valid: None,
            note: None,
            rest: None,
            stamp: None,
            why: String::new(),
            told: None,
        });
        Self {
            names: names.collect(),
            folder: folder.to_owned(),
            directory,
            clock,
            changed,
        }
    }

    /// Never ends.
    pub(super) async fn run(mut self, asked: &Notify) {
        let mut names = std::mem::take(&mut self.names);
        for name in &mut names {
            self.load_state(name).await;
        }
        loop {
            for name in &mut names {
                if name.due(self.now()) <= self.now() {
                    self.renew(name).await;
                } else {
                    name.remind();
                }
            }
            let now = self.now();
            let next = names
                .iter()
                .map(|name| name.due(now))
                .min()
                .unwrap_or(i64::MAX);
            let until_next =
                Duration::from_secs(u64::try_from(next.saturating_sub(now)).unwrap_or(0));
            tokio::select! {
                () = tokio::time::sleep(until_next.min(LOOK)) => {}
                () = asked.notified() => names.iter_mut().for_each(ManagedDomain::ask_again),
            }
            for name in &mut names {
                self.check_files(name).await;
            }
        }
    }

    fn now(&self) -> i64 {
        unix_seconds((self.clock)())
    }

    /// What an earlier run has left.
    async fn load_state(&self, name: &mut ManagedDomain) {
        let certificate = certificate_in(&self.folder, &name.domain);
        let note = note_in(&self.folder, &name.domain);
        let domain = name.domain.clone();
        let read = move || {
            let stamp = file::stamp(&certificate);
            let valid = file::read(&certificate)
                .ok()
                .flatten()
                .and_then(|pem| validity(&pem, &domain).ok());
            let note: Option<RetryState> = file::read(&note)
                .ok()
                .flatten()
                .and_then(|text| serde_json::from_slice(&text).ok());
            (stamp, valid, note)
        };
        (name.stamp, name.valid, name.note) =
            tokio::task::spawn_blocking(read).await.unwrap_or_default();
        if let Some(note) = &mut name.note {
            *note = note.soonest();
            name.why = "it failed before the start".into();
        }
        if name.valid.is_none() {
            tracing::warn!(
                domain = name.domain,
                "there is no certificate yet; until the ACME server has sent one, clients get another certificate or no connection"
            );
        }
    }

    /// Looks whether the certificate is still there: one that is lost or damaged is due.
    async fn check_files(&self, name: &mut ManagedDomain) {
        let path = certificate_in(&self.folder, &name.domain);
        let domain = name.domain.clone();
        let before = name.stamp;
        let read = blocking(move || {
            let stamp = file::stamp(&path);
            if stamp.is_some() && stamp == before {
                return Ok(None);
            }
            let valid = file::read(&path)?.and_then(|pem| validity(&pem, &domain).ok());
            Ok(Some((stamp, valid)))
        });
        // What cannot be read now, as for want of open files, may be sound: it is no reason for an order.
        let Ok(Some((stamp, valid))) = read.await else {
            return;
        };
        if name.valid.is_some() && valid.is_none() {
            tracing::warn!(
                domain = name.domain,
                "the file of the certificate is missing or damaged: another is ordered, and what was read before stays in use"
            );
        }
        (name.stamp, name.valid) = (stamp, valid);
    }

    async fn renew(&self, name: &mut ManagedDomain) {
        let note = RetryState::of_try(name.note, self.now(), random());
        name.note = Some(note);
        // Before the try: a crash must not let it be made again at once.
        if let Err(error) = self.write_note(name).await {
            name.fail(&error.to_string(), self.now());
            return;
        }
        tracing::info!(
            domain = name.domain,
            "ordering a certificate from the ACME server"
        );
        let late = |_| {
            let why = format!("the order was not done in {} seconds", PATIENCE.as_secs());
            Err(IssueError {
                why,
                is_limit: false,
            })
        };
        let obtained = tokio::time::timeout(PATIENCE, self.directory.obtain(&name.domain))
            .await
            .unwrap_or_else(late);
        let stored = match obtained {
            Ok(pem) => self.store(name, pem).await.map_err(|error| IssueError {
                why: error.to_string(),
                is_limit: false,
            }),
            Err(refusal) => Err(refusal),
        };
        match stored {
            Ok(valid) => {
                name.valid = Some(valid);
                (name.note, name.told) = (None, None);
                name.rest = Some(after_success(self.now(), valid));
                let until = iso_date(from_unix_seconds(valid.1));
                tracing::info!(
                    domain = name.domain,
                    until,
                    "the ACME server has sent a certificate"
                );
                if renewal(valid.0, valid.1) <= self.now() {
                    tracing::warn!(
                        domain = name.domain,
                        "the certificate that has just come is already due for renewal: is the clock right?"
                    );
                }
            }
            Err(refusal) => {
                if refusal.is_limit {
                    name.note = Some(note.of_limit(random()));
                    if let Err(error) = self.write_note(name).await {
                        tracing::warn!(%error, "the time of the next try is not noted for the next start");
                    }
                }
                name.fail(&refusal.why, self.now());
            }
        }
    }

    async fn write_note(&self, name: &ManagedDomain) -> io::Result<()> {
        let path = note_in(&self.folder, &name.domain);
        let text = serde_json::to_vec(&name.note).map_err(io::Error::other)?;
        blocking(move || file::put(&path, &text)).await
    }

    /// Stores a certificate, if it is one for this name, and lets it be used.
    async fn store(&self, name: &ManagedDomain, pem: String) -> io::Result<(i64, i64)> {
        let valid = validity(pem.as_bytes(), &name.domain)?;
        let path = certificate_in(&self.folder, &name.domain);
        let note = note_in(&self.folder, &name.domain);
        let changed = self.changed.clone();
        blocking(move || {
            file::put(&path, pem.as_bytes())?;
            // What is left of it only says when the next try may be, if there must be one.
            let _ = std::fs::remove_file(note);
            changed();
            Ok(())
        })
        .await?;
        Ok(valid)
    }
}

impl ManagedDomain {
    fn due(&self, now: i64) -> i64 {
        let due = self
            .valid
            .map_or(i64::MIN, |(from, until)| renewal(from, until));
        [self.note, self.rest]
            .iter()
            .flatten()
            .map(|note| note.next(now))
            .fold(due, i64::max)
    }

    fn ask_again(&mut self) {
        self.note = self.note.map(RetryState::soonest);
    }

    fn fail(&mut self, why: &str, now: i64) {
        why.clone_into(&mut self.why);
        self.told = None;
        let minutes = self.note.map_or(0, |note| (note.next(now) - now) / 60);
        tracing::error!(
            domain = self.domain,
            why,
            "no certificate came from the ACME server, {}; the next try is in {minutes} minutes",
            self.meanwhile()
        );
        self.told = Some(Instant::now());
    }

    /// Says again what has failed.
    fn remind(&mut self) {
        if self.note.is_some() && self.told.is_none_or(|at| at.elapsed() >= REMIND) {
            tracing::error!(
                domain = self.domain,
                why = self.why,
                "there is still no certificate from the ACME server, {}",
                self.meanwhile()
            );
            self.told = Some(Instant::now());
        }
    }

    fn meanwhile(&self) -> String {
        match self.valid {
            Some((_, until)) => {
                format!(
                    "the one from before stays in use until {}",
                    iso_date(from_unix_seconds(until))
                )
            }
            None => "and there is none from before".into(),
        }
    }
}

/// From when until when a certificate is valid, if it is for this name and has its key with it.
fn validity(pem: &[u8], domain: &str) -> io::Result<(i64, i64)> {
    let wrong = |why: &str| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the certificate that came {why}"),
        )
    };
    let der = first_certificate(pem)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| wrong("cannot be read"))?;
    if !names_of(&certificate).contains(&domain.to_ascii_lowercase()) {
        return Err(wrong("is for another name"));
    }
    let key = key_in(pem).ok_or_else(|| wrong("has no key with it"))?;
    if certificate.public_key().subject_public_key.data != rcgen::PublicKeyData::der_bytes(&key) {
        return Err(wrong("is for another key"));
    }
    let validity = certificate.validity();
    Ok((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// For jitter only.
fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness the waits are plain.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}
