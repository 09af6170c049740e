//! What settings may say; each error names its key.

use super::{Config, DriveConfig, HistoryConfig, LogConfig, Mode, ServerConfig, StorageConfig};
use crate::model::path::check_portable;
use anyhow::{Context, Result, bail, ensure};

impl Config {
    /// Whether every setting has a value that it may have.
    pub(super) fn validate(&self) -> Result<()> {
        let server = &self.server;
        ensure!(
            !self.data_dir.as_os_str().is_empty(),
            "data_dir must name a folder."
        );
        ensure!(
            !server.listen.is_empty(),
            "server.listen needs at least one address, such as \"127.0.0.1:4918\"."
        );
        for (key, value) in [
            ("server.header_timeout", server.header_timeout),
            ("server.body_timeout", server.body_timeout),
            ("server.keep_alive", server.keep_alive),
            ("locks.default_timeout", self.locks.default_timeout),
        ] {
            ensure!(
                (1..=86_400).contains(&value),
                "{key} must be between 1 second and 86400 seconds (a day)."
            );
        }
        server.validate_limits()?;
        ensure!(
            self.locks.max_timeout >= self.locks.default_timeout,
            "locks.max_timeout must not be less than locks.default_timeout."
        );
        ensure!(
            self.locks.max_timeout <= 31_622_400,
            "locks.max_timeout must be at most 31622400 seconds (a year)."
        );
        ensure!(
            self.locks.per_account > 0 && self.locks.per_resource > 0,
            "locks.per_* must be at least 1."
        );
        ensure!(
            (1..=128).contains(&self.accounts.min_password_length),
            "accounts.min_password_length must be 1 to 128."
        );
        ensure!(
            self.accounts.failures_per_network > 0 && self.accounts.failures_per_account > 0,
            "accounts.failures_per_* must be at least 1: 0 would refuse every first sign-in."
        );
        ensure!(
            self.storage.open_homes > 0,
            "storage.open_homes must be at least 1."
        );
        self.storage.validate()?;
        server.validate_hosts()?;
        self.drive.validate()?;
        self.history.validate()?;
        server.validate_public_url()?;
        self.tls.validate()?;
        self.metrics.validate(self)?;
        self.openid.validate(&server.public_url)?;
        self.log.validate()
    }
}

impl ServerConfig {
    fn validate_limits(&self) -> Result<()> {
        ensure!(
            self.shutdown_grace <= 3600,
            "server.shutdown_grace must be at most 3600 seconds."
        );
        ensure!(
            self.max_connections > 0,
            "server.max_connections must be at least 1."
        );
        ensure!(
            self.max_connections_per_address > 0,
            "server.max_connections_per_address must be at least 1."
        );
        Ok(())
    }

    fn validate_hosts(&self) -> Result<()> {
        for host in &self.hosts {
            let plain = !host.is_empty() && !host.contains(['/', '@', ' ', '?', '#']);
            ensure!(
                plain,
                "server.hosts: {host:?} is not a host name; write it like \"files.example.org\"."
            );
        }
        Ok(())
    }
}

impl StorageConfig {
    fn validate(&self) -> Result<()> {
        for (key, mode, least) in [
            ("file_mode", self.file_mode, Mode::PRIVATE_FILE),
            ("folder_mode", self.folder_mode, Mode::PRIVATE_FOLDER),
        ] {
            let mode = mode.bits();
            let least = least.bits();
            ensure!(
                mode & least == least,
                "storage.{key} is {mode:04o}; it must have {least:04o} in it, since the server itself has to get at what it stores."
            );
        }
        for path in &self.allowed {
            ensure!(
                path.is_absolute(),
                "storage.allowed: {} is no whole path; write it from the root on.",
                path.display()
            );
        }
        Ok(())
    }
}

impl HistoryConfig {
    fn validate(&self) -> Result<()> {
        ensure!(
            (0.0..=1.0).contains(&self.burst_share),
            "history.burst_share is {}; it must be a share from 0 to 1, such as 0.3.",
            self.burst_share
        );
        Ok(())
    }
}

impl DriveConfig {
    fn validate(&self) -> Result<()> {
        ensure!(
            self.upload_days > 0,
            "drive.upload_days must be at least 1: with 0 an upload would be given up at once."
        );
        let names = [
            ("shared_folder", Some(&self.shared_folder)),
            ("team_folder", Some(&self.team_folder)),
            ("trash_folder", self.trash_folder.as_ref()),
        ];
        let names: Vec<_> = names
            .into_iter()
            .filter_map(|(key, name)| Some((key, name?.as_str())))
            .collect();
        for (at, (key, name)) in names.iter().enumerate() {
            let mut before = names.iter().take(at);
            if let Some((other, _)) =
                before.find(|(_, other)| other.to_lowercase() == name.to_lowercase())
            {
                bail!("drive.{other} and drive.{key} are both {name:?}; they must be two names.");
            }
            let portable = if self.portable_names {
                check_portable(name)
            } else {
                Ok(())
            };
            portable.with_context(|| format!("drive.{key} is {name:?}"))?;
        }
        Ok(())
    }
}

impl LogConfig {
    fn validate(&self) -> Result<()> {
        let known = ["error", "warn", "info", "debug", "trace"].contains(&self.level.as_str());
        ensure!(
            known,
            "log.level is {:?}; it must be error, warn, info, debug or trace.",
            self.level
        );
        Ok(())
    }
}
