//! Exports of the state: once a day, and for backups.

use super::{App, FOR_BACKUP, blocking};
use crate::model::{Error, Result};
use std::time::{Duration, SystemTime};

const EXPORT_EVERY: Duration = Duration::from_secs(24 * 3600);

impl App {
    /// Exports the store into [`FOR_BACKUP`], for somebody who comes for the file; returns its name.
    pub async fn export_for_backup(&self) -> Result<String> {
        let sled = self.sled.clone();
        let dir = self.config.data_dir.join(FOR_BACKUP);
        let export = move || {
            let file = sled.export(&dir)?;
            // Two who come in the same second must not have, and remove, the same one.
            let own = file.with_file_name(format!("state-{}.jsonl", unix_nanoseconds()));
            std::fs::rename(file, &own).map_err(|e| Error::io("export the state", e))?;
            Ok(own)
        };
        let file = blocking(export).await?;
        Ok(file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default())
    }

    /// When the store was exported last.
    pub async fn newest_export(&self) -> Result<Option<SystemTime>> {
        let sled = self.sled.clone();
        blocking(move || sled.newest_export()).await
    }

    /// Exports the store when its newest export is a day old.
    pub async fn export_daily(&self) -> Result<()> {
        let sled = self.sled.clone();
        blocking(move || {
            let age = sled
                .newest_export()?
                .map(|made| made.elapsed().unwrap_or_default());
            if age.is_none_or(|age| age >= EXPORT_EVERY) {
                sled.export_daily()?;
            }
            Ok(())
        })
        .await
    }
}

fn unix_nanoseconds() -> u128 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}
