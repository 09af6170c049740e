//! Mass changes: one credential that overwrites or deletes a large part of a drive within minutes may be ransomware, or a mistake.
//! Nothing is refused, but the history of that drive gets a retention hold, and the audit log says so.

use super::Drive;
use super::named_tree::NamedTree;
use crate::audit::{Actor, AuditKind};
use crate::config::HistoryConfig;
use crate::model::{Identity, Result, time};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Within which time changes belong together.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How long the history is held.
const HOLD: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many changes later a look is tried again that failed.
const RETRY_AFTER: u64 = 10;
/// Beyond so many windows those that are over are forgotten.
const MANY: usize = 1000;

/// Who has lately changed how much.
#[derive(Debug)]
pub struct MassChangeDetector {
    share: f64,
    least: u64,
    windows: Mutex<HashMap<MassChangeKey, MassChangeWindow>>,
}

/// A root, and a credential as text.
type MassChangeKey = (Arc<str>, String);

#[derive(Clone, Copy, Debug)]
struct MassChangeWindow {
    began: Instant,
    changed: u64,
    removed: u64,
    /// From how many changes on it is looked how many files there are.
    next_check: u64,
}

/// What was moved to the trash.
#[derive(Debug)]
pub(super) struct DeletedItem {
    /// What it is called there.
    pub id: String,
    /// Whether it is a folder.
    pub folder: bool,
}

/// Files that were overwritten, or deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChangeCounts {
    pub overwritten: u64,
    pub removed: u64,
}

impl MassChangeDetector {
    /// By what share, and by how many changes, it is one.
    pub fn new(config: &HistoryConfig) -> Self {
        Self {
            share: config.burst_share,
            least: u64::from(config.burst_count.max(1)),
            windows: Mutex::default(),
        }
    }

    /// Counts changes; returns what was counted when it is time to look how many files there are.
    fn count(&self, key: &MassChangeKey, counts: ChangeCounts) -> Option<MassChangeWindow> {
        if self.share <= 0.0 {
            return None;
        }
        let mut windows = self.windows.lock();
        if windows.len() > MANY {
            windows.retain(|_, window| window.began.elapsed() < WINDOW);
        }
        let fresh = MassChangeWindow {
            began: Instant::now(),
            changed: 0,
            removed: 0,
            next_check: self.least,
        };
        let window = windows.entry(key.clone()).or_insert(fresh);
        if window.began.elapsed() >= WINDOW {
            *window = fresh;
        }
        window.changed += counts.overwritten + counts.removed;
        window.removed += counts.removed;
        if window.changed < window.next_check {
            return None;
        }
        // Nobody else looks meanwhile.
        window.next_check = u64::MAX;
        Some(*window)
    }

    /// How many changes are a burst, where there were so many files.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share"
    )]
    fn bound(&self, files: u64) -> u64 {
        ((files as f64 * self.share).ceil() as u64).max(self.least)
    }

    /// Says from how many changes on to look again.
    fn recheck_at(&self, key: &MassChangeKey, due: u64) {
        if let Some(window) = self.windows.lock().get_mut(key) {
            window.next_check = due.max(window.changed + 1);
        }
    }

    fn forget(&self, key: &MassChangeKey) {
        self.windows.lock().remove(key);
    }
}

impl Drive {
    /// Notes files that were overwritten or deleted; `item` is a folder in the trash whose files are to be counted.
    pub(super) fn count_mass_change(
        &self,
        root: &Arc<NamedTree>,
        counts: ChangeCounts,
        item: Option<String>,
    ) {
        let Some(context) = &self.context else { return };
        let key = (root.id.clone(), credential(&self.identity));
        if item.is_none() {
            if let Some(window) = context.mass_changes.count(&key, counts) {
                let drive = self.clone();
                let root = root.clone();
                tokio::spawn(async move { log(drive.check_mass_change(&root, key, window).await) });
            }
            return;
        }
        let drive = self.clone();
        let root = root.clone();
        // Large folders take their time to count: nobody waits for it.
        tokio::spawn(async move { log(drive.count_item(&root, key, item).await) });
    }

    /// As [`count_mass_change`](Self::count_mass_change), of what went to the trash.
    pub(super) fn count_deleted(&self, root: &Arc<NamedTree>, removed: DeletedItem) {
        self.count_mass_change(
            root,
            ChangeCounts {
                removed: 1,
                overwritten: 0,
            },
            Some(removed.id).filter(|_| removed.folder),
        );
    }

    async fn count_item(
        &self,
        root: &NamedTree,
        key: MassChangeKey,
        item: Option<String>,
    ) -> Result<()> {
        let removed = root.tree.count_files(item.as_deref()).await?;
        let window = self.context.as_ref().and_then(|context| {
            context.mass_changes.count(
                &key,
                ChangeCounts {
                    removed,
                    overwritten: 0,
                },
            )
        });
        match window {
            Some(window) => self.check_mass_change(root, key, window).await,
            None => Ok(()),
        }
    }

    /// Looks whether so many changes are a burst, and holds the history if they are. Where that fails the next changes look again.
    async fn check_mass_change(
        &self,
        root: &NamedTree,
        key: MassChangeKey,
        window: MassChangeWindow,
    ) -> Result<()> {
        let checked = self.hold_if_burst(root, &key, window).await;
        if let Some(context) = self.context.as_ref().filter(|_| checked.is_err()) {
            let due = window.changed.saturating_add(RETRY_AFTER);
            context.mass_changes.recheck_at(&key, due);
        }
        checked
    }

    async fn hold_if_burst(
        &self,
        root: &NamedTree,
        key: &MassChangeKey,
        window: MassChangeWindow,
    ) -> Result<()> {
        let Some(context) = &self.context else {
            return Ok(());
        };
        let files = root
            .tree
            .count_files(None)
            .await?
            .saturating_add(window.removed);
        let bound = context.mass_changes.bound(files);
        if window.changed < bound {
            context.mass_changes.recheck_at(key, bound);
            return Ok(());
        }
        let now = SystemTime::now();
        let is_new = root.tree.retention_hold().is_none();
        root.tree.set_retention_hold(now + HOLD).await?;
        context.mass_changes.forget(key);
        if is_new {
            let until = time::iso_date(now + HOLD);
            let changed = window.changed;
            tracing::warn!(root = &*root.id, account = %self.identity.account, changed, files, until,
                "a large part of a drive was overwritten or deleted within minutes: its history is held");
            let note = format!(
                "{changed} of {files} files overwritten or deleted within minutes; held until {until}"
            );
            let owner = root.id.strip_prefix("home/").unwrap_or(&root.id);
            let reporter = context.audit.reporter(Actor::from(&*self.identity), None);
            reporter.done(AuditKind::HistoryHeld, owner, note).await;
        }
        Ok(())
    }
}

fn credential(identity: &Identity) -> String {
    format!("{} {:?}", identity.account, identity.via)
}

fn log(outcome: Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "mass-change check failed");
    }
}
