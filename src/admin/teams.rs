//! Team folders, as administrators make and remove them.

use super::{Administrator, FilesDisposal, check_quota};
use crate::app::removal::{RemovalOutcome, note_of};
use crate::audit::AuditKind;
use crate::model::Result;
use crate::sharing::teams::{Team, TeamFolderMember};
use std::sync::Arc;

impl Administrator {
    /// Makes a team folder. As [`App::create_team`](crate::app::App::create_team); the members must be there.
    pub async fn create_team(
        &self,
        name: &str,
        members: Vec<TeamFolderMember>,
        quota: Option<u64>,
        folder: Option<&str>,
    ) -> Result<Arc<Team>> {
        check_quota(quota)?;
        let made = self.app.create_team(name, members, quota, folder).await;
        let mut note = made.as_deref().map(describe_team).unwrap_or_default();
        if let Some(folder) = folder.filter(|_| made.is_ok()) {
            note = format!("{note}; its files in {folder}");
        }
        self.reporter
            .report(AuditKind::TeamFolderCreated, name, note, &made)
            .await;
        made
    }

    /// Removes a team folder. As [`App::remove_team`](crate::app::App::remove_team).
    pub async fn remove_team(&self, name: &str, files: FilesDisposal) -> Result<RemovalOutcome> {
        let kept = note_of(&files);
        let removed = self.app.remove_team(name, files).await;
        let place = removed.as_ref().ok().and_then(|done| done.aside.as_deref());
        let note = place.map_or(kept, |place| format!("its files are kept, in {place}"));
        self.reporter
            .report(AuditKind::TeamFolderRemoved, name, note, &removed)
            .await;
        removed
    }
}

/// `ana edit, group crew view; quota 10 bytes`
pub fn describe_team(team: &Team) -> String {
    let members: Vec<String> = team
        .members
        .iter()
        .map(|member| format!("{} {}", member.to, member.rights))
        .collect();
    let quota = team
        .quota
        .map_or_else(|| "unlimited".to_owned(), |bytes| format!("{bytes} bytes"));
    format!(
        "{}; quota {quota}",
        if members.is_empty() {
            "no members".to_owned()
        } else {
            members.join(", ")
        }
    )
}
