//! How a registry takes in what other handles on its store change.

use super::guard::GuardState;
use super::{RecordIndex, Registry};
use crate::model::Result;
use crate::state::table::{Record, decode};
use crate::state::{ChangeStream, StoreChange};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long until the store is asked again that could not be read.
const RETRY: Duration = Duration::from_secs(5);

/// Follows a store until it is closed or the registry is gone.
pub(super) async fn run<R: Record + Send + Sync + 'static, I: RecordIndex<R>>(
    registry: Weak<Registry<R, I>>,
    mut changes: ChangeStream,
) {
    let mut stale = false;
    loop {
        let next = if stale {
            let waited = tokio::time::timeout(RETRY, changes.next()).await;
            waited.map_or(Some(StoreChange::Lost), |next| {
                next.map(|_| StoreChange::Lost)
            })
        } else {
            changes.next().await
        };
        let Some((change, registry)) = next.zip(registry.upgrade()) else {
            return;
        };
        let taken = match change {
            StoreChange::Keys(keys) => registry.refresh_keys(keys).await,
            StoreChange::Lost => registry.reload().await,
        };
        if let Err(error) = &taken {
            tracing::warn!(%error, records = registry.table_name(), "changes of the state store could not be read; they are read again soon");
        }
        stale = taken.is_err();
    }
}

impl<R: Record + Send + Sync + 'static, I: RecordIndex<R>> Registry<R, I> {
    async fn refresh_keys(&self, keys: Vec<String>) -> Result<()> {
        let ids = |key: String| self.table.id(&key).map(str::to_owned);
        let own: Vec<String> = keys.into_iter().filter_map(ids).collect();
        if own.is_empty() {
            return Ok(());
        }
        self.refresh(own).await
    }

    /// Shows these records as they are stored now.
    pub async fn refresh(&self, ids: Vec<String>) -> Result<()> {
        let _seen = self.refreshing.lock().await;
        self.refresh_held(ids).await
    }

    /// As [`refresh`](Self::refresh), while `refreshing` is held.
    async fn refresh_held(&self, ids: Vec<String>) -> Result<()> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let text = self.store.get(&self.table.key(&id)).await?;
            let now = self.decode_shown(&id, text);
            found.push((id, now));
        }
        self.apply(&found);
        Ok(())
    }

    /// Reads all records anew.
    pub(super) async fn reload(&self) -> Result<()> {
        let mut seen = self.refreshing.lock().await;
        let number = self.read_guard().await?.record.number();
        let all = self.table.all().await?;
        self.view.write().replace(all);
        *seen = number;
        Ok(())
    }

    /// Makes memory have all guarded changes up to the guard that this returns.
    pub(super) async fn catch_up(&self) -> Result<GuardState> {
        let mut seen = self.refreshing.lock().await;
        let guard = self.read_guard().await?;
        let number = guard.record.number();
        if *seen != number {
            if let Some(ids) = guard.record.changed_since(*seen) {
                self.refresh_held(ids).await?;
            } else {
                let all = self.table.all().await?;
                self.view.write().replace(all);
            }
            *seen = number;
        }
        Ok(guard)
    }

    async fn read_guard(&self) -> Result<GuardState> {
        self.guard.read(self.store.get(self.guard.key()).await?)
    }

    /// A record as others have stored it. What cannot be read stays as it was, with a line in the log.
    pub(super) fn decode_shown(&self, id: &str, text: Option<String>) -> Option<Arc<R>> {
        match decode(&self.table.key(id), &text?) {
            Ok(record) => Some(Arc::new(record)),
            Err(error) => {
                tracing::error!(%error, "a record that was changed cannot be read");
                self.get(id)
            }
        }
    }
}
