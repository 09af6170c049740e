//! Changes of several records of a registry at once.

use super::{ATTEMPTS, BUSY, RecordIndex, Registry, Stored, back_off};
use crate::model::{Error, Result};
use crate::state::Batch;
use crate::state::table::{DELETED_AT_ONCE, Record, encode};
use std::sync::Arc;

impl<R: Record + Send + Sync + 'static, I: RecordIndex<R>> Registry<R, I> {
    /// Stores (or with `None` removes) what `plan` makes of all records, in one step. The look that it rests on is still true then, if all
    /// that could make it untrue is [guarded](super::Edit::guarded) too. The plan may be asked several times. `Busy`.
    pub async fn edit_many(
        &self,
        mut plan: impl FnMut(&Self) -> Result<Vec<(String, Option<R>)>>,
    ) -> Result<()> {
        let _turn = self.turn.lock().await;
        for attempt in 0..ATTEMPTS {
            let guard = self.catch_up().await?;
            let changes = plan(self)?;
            if changes.is_empty() {
                return Ok(());
            }
            let next = guard.after(changes.iter().map(|(id, _)| id.clone()).collect());
            let mut batch = self.guard.renew_in(Batch::new(), guard.text, &next)?;
            let mut shown: Vec<(String, Stored<R>)> = Vec::with_capacity(changes.len());
            for (id, record) in changes {
                let Some(record) = record else {
                    batch = self.table.delete_in(batch, &id);
                    shown.push((id, None));
                    continue;
                };
                let text = encode(&record)?;
                batch = batch.put(self.table.key(&id), &text);
                shown.push((id, Some((Arc::new(record), text))));
            }
            match self.table.commit(batch).await {
                Err(Error::Conflict) => back_off(attempt).await,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.show(shown, Some(next.number())).await;
                    return Ok(());
                }
            }
        }
        Err(BUSY)
    }

    /// Removes all records that `wanted` finds, in steps that a store takes, and says how many they were. What fails in between leaves
    /// the rest.
    pub async fn remove_all(&self, wanted: impl Fn(&str, &R) -> bool) -> Result<usize> {
        let _turn = self.turn.lock().await;
        let ids: Vec<String> = {
            let view = self.view.read();
            let found = view.iter().filter(|(id, record)| wanted(id, record));
            found.map(|(id, _)| id.to_owned()).collect()
        };
        let mut removed = 0;
        for some in ids.chunks(DELETED_AT_ONCE) {
            removed += self.remove_some(some, &wanted).await?;
        }
        Ok(removed)
    }

    async fn remove_some(
        &self,
        ids: &[String],
        wanted: &impl Fn(&str, &R) -> bool,
    ) -> Result<usize> {
        for attempt in 0..ATTEMPTS {
            let mut batch = Batch::new();
            for id in ids {
                if let Some((record, text)) = self.table.get_exact(id).await?
                    && wanted(id, &record)
                {
                    batch = self.table.unchanged_in(batch, id, text);
                    batch = self.table.delete_in(batch, id);
                }
            }
            let removed = batch.delete.len();
            if removed == 0 {
                self.refresh(ids.to_vec()).await?;
                return Ok(0);
            }
            match self.table.commit(batch).await {
                Err(Error::Conflict) => back_off(attempt).await,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.refresh(ids.to_vec()).await?;
                    return Ok(removed);
                }
            }
        }
        Err(BUSY)
    }
}
