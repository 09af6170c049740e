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
    let nothing = "Nothing was restored";
    // Whoever runs the command may read it; the owner of the data folder need not.
    let records = SledStore::read_export(&file).context(nothing)?;
    let restore = async move || Ok(SledStore::replace(&dir, &records)?);
    process::as_owner_of(&config.data_dir, restore)
        .await
        .context(nothing)?;
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

    #[tokio::test]
    async fn root_restores_an_export_that_the_owner_of_the_data_folder_may_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let closed = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        let config = Config {
            data_dir: data_dir.clone(),
            ..Config::default()
        };
        let store = SledStore::open(&data_dir.join("state")).unwrap();
        store
            .commit(Batch::new().put("a", "exported"))
            .await
            .unwrap();
        let file = closed.path().join("export");
        std::fs::copy(store.export_daily().unwrap(), &file).unwrap();
        store.close().await.unwrap();
        let given = std::process::Command::new("chown")
            .args(["-R", "4242:4242"])
            .arg(dir.path())
            .status();
        if !rustix::process::geteuid().is_root() || !given.is_ok_and(|given| given.success()) {
            return eprintln!("skipped: only root can act as another user");
        }
        run(StoreCommand::Restore { file }, &config).await.unwrap();
        assert_eq!(value_of_a(&config).await.as_deref(), Some("exported"));
    }

    async fn value_of_a(config: &Config) -> Option<String> {
        let store = SledStore::open(&config.data_dir.join("state")).unwrap();
        let value = store.get("a").await.unwrap();
        store.close().await.unwrap();
        value
    }
}
