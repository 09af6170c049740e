//! What administrators see of the past of somebody's drive, and do about it; each act is in the audit log.

use super::Administrator;
use crate::audit::{AuditKind, Reporter};
use crate::drive::{Drive, RequestPreconditions, RewindAction, RewindRequest, RewindSummary};
use crate::model::{AccountName, Error, Identity, Result, VPath, time};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::ToSchema;

/// Paths in one call.
const MAX_ITEMS: usize = 1000;

/// What to make as it was.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rewinding {
    /// The folder or file.
    pub path: String,
    /// The moment to go back to (RFC 3339).
    pub to: String,
    /// Whether it is only said what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// What of the folder, as paths from the top of the drive; all of it if not said.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub only: Vec<String>,
}

/// What a rewind has changed, or would change.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RewindReport {
    /// The changes, in this order; of very many the first 10,000.
    pub changes: Vec<RewindChange>,
    /// How many changes there are in all.
    #[serde(default)]
    pub change_count: u64,
    /// What was there and is not kept any more; of very much the first 10,000.
    pub lost: Vec<String>,
    /// How much that is in all.
    #[serde(default)]
    pub lost_count: u64,
    /// Since when every change is known; absent when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub since: Option<String>,
}

/// One change of a rewind.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RewindChange {
    /// What happens.
    pub change: RewindAct,
    /// To what.
    pub path: String,
    /// Where it lay before it was moved back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from: Option<String>,
}

/// What a rewind does to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RewindAct {
    /// It comes back from the trash.
    Restored,
    /// It comes back from where it was moved to.
    Moved,
    /// It goes back to a former content.
    Reverted,
    /// It was not there, and goes to the trash.
    Discarded,
    /// The folder is made anew.
    Made,
}

impl Administrator {
    /// The drive of an account. `NotFound`.
    pub async fn drive_of(&self, name: &AccountName) -> Result<Drive> {
        let account = self.app.auth.account(name).ok_or(Error::NotFound)?;
        let identity = Arc::new(Identity::whole(
            account.name,
            account.role,
            account.quota,
            self.access.clone(),
        ));
        self.app.drive(&identity).await
    }

    /// Deletes an item of the trash of an account for good, or all of it; how many items that were. `NotFound`.
    pub async fn purge_trash(&self, name: &AccountName, id: Option<&str>) -> Result<u64> {
        let drive = self.drive_of(name).await?;
        let (purged, note) = if let Some(id) = id {
            (
                drive.purge(id).await.map(|()| 1),
                format!("{id:?} of the trash"),
            )
        } else {
            let emptied = drive.empty_trash().await;
            let note = emptied
                .as_ref()
                .map(|items| format!("all of the trash: {items}"))
                .unwrap_or_default();
            (emptied, note)
        };
        let is_change = purged.as_ref().is_ok_and(|items| *items > 0);
        self.reporter
            .report_change(
                AuditKind::HistoryPurged,
                name.as_str(),
                note,
                (&purged, is_change),
            )
            .await;
        purged
    }

    /// Restores an item of the trash of an account, to a path or where it lay; where it is now. `NotFound`.
    pub async fn restore_from_trash(
        &self,
        name: &AccountName,
        id: &str,
        to: Option<&str>,
    ) -> Result<VPath> {
        let drive = self.drive_of(name).await?;
        let wish = to.map(VPath::parse).transpose()?;
        let restored = drive
            .restore_from_trash(None, id, wish, RequestPreconditions::default())
            .await;
        self.report_restored(name, &restored).await;
        restored
    }

    /// Gives a file of an account a former content again; its path. `NotFound`.
    pub async fn restore_version(&self, name: &AccountName, path: &str, id: &str) -> Result<VPath> {
        let drive = self.drive_of(name).await?;
        let path = VPath::parse(path)?;
        let restored = drive
            .restore_version(&path, id, RequestPreconditions::default())
            .await
            .map(|()| path);
        self.report_restored(name, &restored).await;
        restored
    }

    /// Rewinds a folder or file of an account. As [`rewind`]; `NotFound`.
    pub async fn rewind(&self, name: &AccountName, wish: Rewinding) -> Result<RewindReport> {
        let no_tokens = RequestPreconditions::default();
        rewind(&self.drive_of(name).await?, &self.reporter, wish, no_tokens).await
    }

    async fn report_restored(&self, name: &AccountName, restored: &Result<VPath>) {
        let note = restored
            .as_ref()
            .map(|path| format!("/{path}"))
            .unwrap_or_default();
        self.reporter
            .report(AuditKind::HistoryRestored, name.as_str(), note, restored)
            .await;
    }
}

/// Rewinds what a drive shows, with its entry in the audit log; `submitted` has the tokens of the locks that may be passed.
pub async fn rewind(
    drive: &Drive,
    reporter: &Reporter,
    wish: Rewinding,
    submitted: RequestPreconditions,
) -> Result<RewindReport> {
    let wrong = |pointer: &str, why: &str| Error::Invalid {
        pointer: pointer.into(),
        why: why.into(),
    };
    let moment = time::parse_iso_moment(&wish.to).ok_or_else(|| {
        wrong(
            "/to",
            "Write a time as 2026-11-21T10:00:00Z, with any offset.",
        )
    })?;
    if moment > SystemTime::now() {
        return Err(wrong("/to", "This lies in the future."));
    }
    if wish.only.len() > MAX_ITEMS {
        return Err(wrong("/only", "One call takes at most 1000 paths."));
    }
    let path = VPath::parse(&wish.path)?;
    let only = wish
        .only
        .iter()
        .map(|path| VPath::parse(path))
        .collect::<Result<Vec<_>>>()?;
    let report = drive
        .rewind(
            &path,
            RewindRequest {
                moment,
                only,
                dry_run: wish.dry_run,
                submitted,
            },
        )
        .await;
    if !wish.dry_run {
        let changes = report.as_ref().map_or(0, |report| report.count);
        let note = format!("/{path} to {}: {changes} changes", time::iso_date(moment));
        let name = drive.identity().account.as_str();
        reporter
            .report_change(
                AuditKind::HistoryRestored,
                name,
                note,
                (&report, changes > 0),
            )
            .await;
    }
    report.map(RewindReport::from)
}

impl From<RewindSummary> for RewindReport {
    fn from(report: RewindSummary) -> Self {
        let shown = |path: VPath| format!("/{path}");
        let changes = report.changes.into_iter().map(|rewound| RewindChange {
            change: match rewound.change {
                RewindAction::Restored => RewindAct::Restored,
                RewindAction::Moved => RewindAct::Moved,
                RewindAction::Reverted => RewindAct::Reverted,
                RewindAction::Discarded => RewindAct::Discarded,
                RewindAction::Made => RewindAct::Made,
            },
            path: shown(rewound.path),
            from: rewound.from.map(shown),
        });
        let lost = report.lost.into_iter().map(shown).collect();
        Self {
            changes: changes.collect(),
            change_count: report.count,
            lost,
            lost_count: report.lost_count,
            since: report.since.map(time::iso_date),
        }
    }
}
