//! Bytes that homes and team folders hold, and which histories are held from expiry.

use super::homes::TreeKind;
use super::{App, blocking};
use crate::model::{AccountName, Error, Result};
use crate::storage::Tree as _;
use crate::storage::local::LocalTree;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long the count of a home is waited for that somebody only looks at; it goes on, and is there for the next.
pub(super) const COUNT_TIMEOUT: Duration = Duration::from_secs(5);

impl App {
    /// Bytes of live files in the home of an account, as last counted; none where it has not been used yet. `Missing`, `Busy` where that is
    /// not known soon.
    pub async fn usage(&self, account: &AccountName) -> Result<u64> {
        with_count_timeout(async {
            if !self.homes.is_made(account) && !self.homes.exists(account).await? {
                return Ok(0);
            }
            Ok(self.homes.home_of(account).await?.tree.usage().await?.used)
        })
        .await
    }

    /// Until when nothing of the history of an account's home expires, if it has been open.
    pub fn retention_hold_of(&self, account: &AccountName) -> Option<SystemTime> {
        let id = TreeKind::Home.id(account.as_str());
        self.retention_holds()
            .into_iter()
            .find(|(root, _)| **root == *id)
            .map(|(_, until)| until)
    }

    /// The drives whose history is held, and until when, of those that have been open.
    pub fn retention_holds(&self) -> Vec<(Arc<str>, SystemTime)> {
        self.homes.retention_holds()
    }

    /// Bytes of live files in the homes and team folders that have been open, as last counted, but for those that do not answer.
    pub async fn usage_of_open_homes(&self) -> Result<u64> {
        let count = |(id, tree): (Arc<str>, Arc<LocalTree>)| async move {
            // What is known is asked nobody for.
            let used = match tree.known_used() {
                Some(used) => Ok(used),
                None => with_count_timeout(async { Ok(tree.usage().await?.used) }).await,
            };
            used.inspect_err(
                |error| tracing::warn!(root = &*id, %error, "its files cannot be counted"),
            )
            .unwrap_or(0)
        };
        let counted = join_all(self.homes.open_trees().into_iter().map(count)).await;
        Ok(counted
            .into_iter()
            .fold(self.homes.used_in_closed(), u64::saturating_add))
    }

    /// Counts the files of the homes and team folders that are open anew; returns those whose count was wrong, with what it said
    /// and what there is.
    pub async fn recount_usage(&self) -> Result<Vec<(String, u64, u64)>> {
        let mut wrong = Vec::new();
        for (id, tree) in self.homes.open_trees() {
            wrong.extend(
                tree.recount_usage()
                    .await?
                    .map(|(said, counted)| (id.to_string(), said, counted)),
            );
        }
        Ok(wrong)
    }

    /// Bytes that the disk of the homes has left, without the reserve.
    pub async fn free(&self) -> Result<u64> {
        let dir = self.config.data_dir.clone();
        let reserve = self.config.drive.reserve;
        blocking(move || Ok(LocalTree::free_at(&dir)?.saturating_sub(reserve))).await
    }
}

async fn with_count_timeout<T>(count: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(COUNT_TIMEOUT, count)
        .await
        .unwrap_or(Err(Error::Busy {
            retry_after: COUNT_TIMEOUT,
        }))
}
