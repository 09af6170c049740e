//! `sarang store`: the state store by hand, while no server has it open.

use super::{print, process};
use crate::config::Config;
use crate::state::sled::SledStore;
use anyhow::{Context, Result};
use clap::Subcommand;
use std::path::PathBuf;

/// What to do with the state store.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Replace accounts, locks and all other state by an export; stop the server first
    Restore {
        /// One of the files in the data folder's state/exports, or a copy of one
        file: PathBuf,
    },
}

/// Carries out a command and says what it did.
pub(super) async fn run(
    StoreCommand::Restore { file }: StoreCommand,
    config: &Config,
) -> Result<()> {
    let dir = config.data_dir.join("state");
    let export = file.clone();
    let restore = async move || Ok(SledStore::restore(&dir, &export)?);
    process::as_owner_of(&config.data_dir, restore)
        .await
        .context("Nothing was restored")?;
    print(&format!(
        "The state is as {} has it; what was there before is kept in {}.\n",
        file.display(),
        config.data_dir.join("state/broken-<time>").display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Batch, StateStore};

    #[tokio::test]
    async fn an_export_is_restored_unless_the_store_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().into(),
            ..Config::default()
        };
        let store = SledStore::open(&dir.path().join("state")).unwrap();
        store
            .commit(Batch::new().put("a", "exported"))
            .await
            .unwrap();
        let file = store.export_daily().unwrap();
        store.commit(Batch::new().put("a", "later")).await.unwrap();
        let restore = |file: PathBuf| StoreCommand::Restore { file };
        let refusal = format!(
            "{:#}",
            run(restore(file.clone()), &config).await.unwrap_err()
        );
        assert!(refusal.contains("is in use by process"), "{refusal}");
        store.close().await.unwrap();

        std::fs::write(dir.path().join("torn"), &std::fs::read(&file).unwrap()[1..]).unwrap();
        let refusal = format!(
            "{:#}",
            run(restore(dir.path().join("torn")), &config)
                .await
                .unwrap_err()
        );
        assert!(refusal.contains("not a whole export"), "{refusal}");
        assert_eq!(value_of_a(&config).await.as_deref(), Some("later"));
        run(restore(file), &config).await.unwrap();
        assert_eq!(value_of_a(&config).await.as_deref(), Some("exported"));
    }

    async fn value_of_a(config: &Config) -> Option<String> {
        let store = SledStore::open(&config.data_dir.join("state")).unwrap();
        let value = store.get("a").await.unwrap();
        store.close().await.unwrap();
        value
    }
}
