//! What administrators see of the past of somebody's drive, and do about it; each act is in the audit log.

use super::Administrator;
use crate::audit::{AuditKind, Reporter};
use crate::drive::{Drive, RequestPreconditions, RewindAction, RewindRequest, RewindSummary};
use crate::model::{AccountName, Error, Identity, Result, VPath, time};
use crate::storage::history::{TrashedItem, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::ToSchema;

/// Paths in one call.
const MAX_ITEMS: usize = 1000;

/// What is asked of the past of a drive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryRequest {
    /// What lies in the trash.
    Trash,
    /// Restore an item of the trash, to a path or where it lay.
    Untrash {
        /// Its id.
        id: String,
        /// The path.
        to: Option<String>,
    },
    /// Delete an item of the trash for good.
    Purge {
        /// Its id.
        id: String,
    },
    /// Delete all of the trash for good.
    Empty,
    /// The versions of a file.
    Versions {
        /// Its path.
        path: String,
    },
    /// Give a file a former content again.
    Revert {
        /// Its path.
        path: String,
        /// The version.
        id: String,
    },
    /// Make a folder, or some of what is in it, as it was.
    Rewind(Rewinding),
}

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

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryResponse {
    /// What lies in the trash, newest first.
    Trash(Vec<DriveTrashItem>),
    /// The versions of a file, newest first.
    Versions(Vec<DriveVersion>),
    /// It was restored to this path.
    Restored(String),
    /// So many items were deleted for good.
    Purged(u64),
    /// It was rewound, or would be.
    Rewound(RewindReport),
}

/// Something in the trash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DriveTrashItem {
    /// What it is called in the trash.
    pub id: String,
    /// Where it lay.
    pub path: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its length in bytes; 0 for a folder.
    pub size: u64,
    /// When it was deleted or replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AccountName>,
}

/// A former content of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DriveVersion {
    /// What it is called among the versions of the file.
    pub id: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: String,
    /// When another content took its place.
    pub replaced: String,
}

impl Administrator {
    /// Looks at the past of an account's drive, or restores from it. `NotFound`.
    pub async fn history(
        &self,
        name: &AccountName,
        what: HistoryRequest,
    ) -> Result<HistoryResponse> {
        let account = self.app.auth.account(name).ok_or(Error::NotFound)?;
        let identity = Arc::new(Identity::whole(
            account.name,
            account.role,
            account.quota,
            self.access.clone(),
        ));
        let drive = self.app.drive(&identity).await?;
        match what {
            HistoryRequest::Trash => {
                let items = drive.list_trash(None, None, usize::MAX).await?;
                Ok(HistoryResponse::Trash(
                    items.into_iter().map(DriveTrashItem::from).collect(),
                ))
            }
            HistoryRequest::Versions { path } => {
                let versions = drive.versions(&VPath::parse(&path)?).await?;
                Ok(HistoryResponse::Versions(
                    versions.into_iter().map(DriveVersion::from).collect(),
                ))
            }
            HistoryRequest::Purge { .. } | HistoryRequest::Empty => {
                self.purge_history(name, &drive, what).await
            }
            HistoryRequest::Rewind(wish) => rewind(&drive, &self.reporter, wish)
                .await
                .map(HistoryResponse::Rewound),
            HistoryRequest::Untrash { .. } | HistoryRequest::Revert { .. } => {
                self.restore_history(name, &drive, what).await
            }
        }
    }

    async fn purge_history(
        &self,
        name: &AccountName,
        drive: &Drive,
        what: HistoryRequest,
    ) -> Result<HistoryResponse> {
        let (purged, note) = if let HistoryRequest::Purge { id } = what {
            (
                drive.purge(&id).await.map(|()| 1),
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
        purged.map(HistoryResponse::Purged)
    }

    async fn restore_history(
        &self,
        name: &AccountName,
        drive: &Drive,
        what: HistoryRequest,
    ) -> Result<HistoryResponse> {
        let restored = match what {
            HistoryRequest::Untrash { id, to } => {
                let wish = to.map(|to| VPath::parse(&to)).transpose()?;
                drive.restore_from_trash(None, &id, wish).await
            }
            HistoryRequest::Revert { path, id } => {
                let path = VPath::parse(&path)?;
                drive
                    .restore_version(&path, &id, RequestPreconditions::default())
                    .await
                    .map(|()| path)
            }
            _ => return Err(Error::NotFound),
        };
        let note = restored
            .as_ref()
            .map(|path| format!("/{path}"))
            .unwrap_or_default();
        self.reporter
            .report(
                AuditKind::HistoryRestored,
                name.as_str(),
                note.clone(),
                &restored,
            )
            .await;
        restored.map(|_| HistoryResponse::Restored(note))
    }
}

/// Rewinds what a drive shows, with its entry in the audit log.
pub async fn rewind(drive: &Drive, reporter: &Reporter, wish: Rewinding) -> Result<RewindReport> {
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

impl From<TrashedItem> for DriveTrashItem {
    fn from(item: TrashedItem) -> Self {
        let path = format!("/{}", item.path);
        let deleted = item.deleted_at.map(time::iso_date);
        Self {
            id: item.id,
            path,
            folder: item.node.folder,
            size: item.node.len,
            deleted,
            by: item.deleted_by,
        }
    }
}

impl From<Version> for DriveVersion {
    fn from(version: Version) -> Self {
        let modified = time::iso_date(version.node.modified);
        let replaced = time::iso_date(version.replaced_at);
        Self {
            id: version.id,
            size: version.node.len,
            modified,
            replaced,
        }
    }
}
