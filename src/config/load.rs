//! Where settings come from: defaults, then the file, then the environment; each error names its source.

use super::{Config, DriveConfig, LogConfig, Mode, StorageConfig};
use crate::model::path::check_portable;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const PREFIX: &str = "SARANG_";
const FILE: &str = "config.toml";

impl Config {
    /// Where the settings come from: `file`, or what `SARANG_CONFIG` names, or `./config.toml`, which need not be there.
    pub fn source(file: Option<&Path>) -> PathBuf {
        let named = || std::env::var_os("SARANG_CONFIG").map(PathBuf::from);
        file.map(Path::to_owned)
            .or_else(named)
            .unwrap_or_else(|| FILE.into())
    }

    /// Reads what is at [`source`](Self::source), if there is one; then the environment's overrides.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name
                .into_string()
                .ok()
                .filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        let variables: Vec<(String, String)> = variables.collect();
        let path = Self::source(file);
        if file.is_none() && path == Path::new(FILE) && !path.exists() {
            return Self::assemble("", &variables);
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("The settings in {} cannot be read", path.display()))?;
        let wrong = || format!("The settings in {} are not right", path.display());
        match Self::assemble(&text, &variables) {
            Err(error) if Self::assemble(&text, &[]).is_ok() => Err(error),
            outcome => outcome.with_context(wrong),
        }
    }

    /// The settings of one file's text and these environment variables.
    pub fn assemble(text: &str, variables: &[(String, String)]) -> Result<Self> {
        let mut config: Self = toml::from_str(text)?;
        let mut table: Table = text.parse()?;
        let kinds = Table::try_from(Self::default())?;
        // Other SARANG_ variables belong to whoever set them: scripts name the program so, too.
        let settings = variables
            .iter()
            .filter(|(name, _)| name == "SARANG_DATA_DIR" || name.contains("__"));
        for (name, value) in settings {
            override_with(&mut table, &kinds, name, value)?;
            config = table.clone().try_into().with_context(|| {
                format!("The environment variable {name} is not a setting, or has a wrong value")
            })?;
        }
        config.validate()?;
        Ok(config)
    }

    /// The settings in effect, as the text of a file that would give them.
    pub fn to_text(&self) -> Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// The keys of which the other settings say something else, such as `server.listen`.
    pub fn differences(&self, other: &Self) -> Result<Vec<String>> {
        let own = Table::try_from(self)?;
        let other = Table::try_from(other)?;
        let mut found = Vec::new();
        for (section, value) in &own {
            let theirs = other.get(section);
            let (Some(keys), Some(others)) = (value.as_table(), theirs.and_then(Value::as_table))
            else {
                found.extend((theirs != Some(value)).then(|| section.clone()));
                continue;
            };
            // What is absent by default stands in one of them only.
            let all: BTreeSet<&String> = keys.keys().chain(others.keys()).collect();
            let changed = all
                .into_iter()
                .filter(|key| keys.get(*key) != others.get(*key));
            found.extend(changed.map(|key| format!("{section}.{key}")));
        }
        Ok(found)
    }

    fn validate(&self) -> Result<()> {
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
        ensure!(
            server.shutdown_grace <= 3600,
            "server.shutdown_grace must be at most 3600 seconds."
        );
        ensure!(
            server.max_connections > 0,
            "server.max_connections must be at least 1."
        );
        ensure!(
            server.max_connections_per_address > 0,
            "server.max_connections_per_address must be at least 1."
        );
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
        for host in &server.hosts {
            let plain = !host.is_empty() && !host.contains(['/', '@', ' ', '?', '#']);
            ensure!(
                plain,
                "server.hosts: {host:?} is not a host name; write it like \"files.example.org\"."
            );
        }
        self.drive.validate()?;
        server.validate_public_url()?;
        self.tls.validate()?;
        self.metrics.validate(self)?;
        self.openid.validate(&server.public_url)?;
        self.log.validate()
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

impl DriveConfig {
    fn validate(&self) -> Result<()> {
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

/// Puts the value of `SARANG_DATA_DIR` or `SARANG_<SECTION>__<KEY>` into the table; `kinds` tells what the key holds.
fn override_with(table: &mut Table, kinds: &Table, name: &str, value: &str) -> Result<()> {
    let place = name
        .strip_prefix(PREFIX)
        .unwrap_or(name)
        .to_ascii_lowercase();
    if place == "data_dir" {
        table.insert(place, Value::String(value.to_owned()));
        return Ok(());
    }
    let known = place
        .split_once("__")
        .filter(|(section, _)| kinds.get(*section).is_some_and(Value::is_table));
    let Some((section, key)) = known else {
        bail!(
            "The environment variable {name} is not a setting; settings are SARANG_<SECTION>__<KEY>, such as SARANG_LOG__LEVEL."
        );
    };
    let kind = kinds.get(section).and_then(|s| s.get(key));
    let value = read_value(kind, value)
        .with_context(|| format!("The environment variable {name} has no readable value"))?;
    let entry = table
        .entry(section.to_owned())
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(entry) = entry {
        entry.insert(key.to_owned(), value);
    }
    Ok(())
}

/// Texts are taken as they are, lists may be written `a,b`, everything else is TOML.
fn read_value(kind: Option<&Value>, text: &str) -> Result<Value> {
    match kind {
        Some(Value::String(_)) => Ok(Value::String(text.to_owned())),
        Some(Value::Array(_)) if !text.trim_start().starts_with('[') => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Ok(Value::Array(
                items.map(|item| Value::String(item.to_owned())).collect(),
            ))
        }
        Some(_) => Ok(text.trim().parse::<Value>()?),
        // A key without a default, or none at all: whoever reads the table says which.
        None => Ok(text
            .trim()
            .parse::<Value>()
            .unwrap_or_else(|_| Value::String(text.to_owned()))),
    }
}

#[cfg(test)]
mod tests;
