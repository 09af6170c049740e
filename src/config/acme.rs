//! `[tls.acme]`: certificates from an ACME server (RFC 8555), such as Let's Encrypt.

use super::host_name::is_host_name;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The directories of Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
/// More names than one server has; each is ordered by itself, and within the limits of an account at Let's Encrypt.
const MAX_DOMAINS: usize = 100;

/// `[tls.acme]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeConfig {
    /// Names to get certificates for; none is without ACME.
    pub domains: Vec<String>,
    /// An e-mail address that the ACME server may write to; empty for none.
    pub contact: String,
    /// `letsencrypt`, `staging`, or the address of a directory.
    pub directory: String,
    /// A PEM file with the authorities that the directory's own certificate is from; empty for those that the system trusts.
    pub authority: PathBuf,
    /// Whether the terms of the ACME server are agreed to.
    pub agree_terms: bool,
}

impl Default for AcmeConfig {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            contact: String::new(),
            directory: "letsencrypt".into(),
            authority: PathBuf::new(),
            agree_terms: false,
        }
    }
}

impl AcmeConfig {
    /// The address of the directory.
    pub fn directory_url(&self) -> &str {
        match self.directory.as_str() {
            "letsencrypt" => LETS_ENCRYPT,
            "staging" => LETS_ENCRYPT_STAGING,
            url => url,
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let url = self.directory_url();
        ensure!(
            url.strip_prefix("https://")
                .is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', ' ', '?', '#'])),
            "tls.acme.directory is {url:?}; it must be \"letsencrypt\", \"staging\" or an address that begins with https://."
        );
        for domain in &self.domains {
            ensure!(
                is_host_name(domain)
                    && domain
                        .rsplit_once('.')
                        .is_some_and(|(_, top)| !top.eq_ignore_ascii_case("local")),
                "tls.acme.domains: {domain:?} is no name that the internet knows; write it like \"files.example.org\", one entry for each \
                 name. Wildcards need another challenge than this server answers."
            );
        }
        let mut known = BTreeSet::new();
        for domain in &self.domains {
            ensure!(
                known.insert(domain.to_ascii_lowercase()),
                "tls.acme.domains: {domain:?} is there twice, upper and lower case being the same; remove one of the entries."
            );
        }
        ensure!(
            self.domains.len() <= MAX_DOMAINS,
            "tls.acme.domains must be at most {MAX_DOMAINS} names."
        );
        ensure!(
            self.domains.is_empty() || self.agree_terms,
            "tls.acme needs that you agree to the terms of {url}: read what its \"termsOfService\" names, and set agree_terms = true."
        );
        let is_address = self
            .contact
            .split_once('@')
            .is_some_and(|(who, host)| !who.is_empty() && is_host_name(host));
        let is_plain = !self.contact.contains(['?', ',', ' ', ':']);
        ensure!(
            self.contact.is_empty() || (is_address && is_plain),
            "tls.acme.contact: {:?} is no e-mail address.",
            self.contact
        );
        Ok(())
    }
}
