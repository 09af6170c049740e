//! `sarang trust`: the root certificate of the server's own authority, to compare with and to hand out.

use super::print;
use crate::certs::RootCertificate;
use crate::config::Config;
use anyhow::{Context, Result, bail};

/// Prints the fingerprint, or the certificate itself.
pub(super) fn run(certificate: bool, config: &Config) -> Result<()> {
    let folder = config.data_dir.display();
    let root = RootCertificate::read(&config.data_dir)
        .with_context(|| format!("The authority in {folder} cannot be read"))?;
    let Some(root) = root else {
        bail!(
            "The server with the data folder {folder} has no certificate authority of its own: set tls.local = true and start it."
        );
    };
    if certificate {
        return print(&root.pem());
    }
    print(&format!(
        "{}\nSHA-256 {}\n",
        root.name(),
        root.fingerprint()
    ))
}
