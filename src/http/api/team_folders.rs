//! Team folders: they belong to no account, have a quota of their own, and show in the drives of their members.

use super::ApiTag;
use super::caller::AdminCaller;
use super::field_patch::FieldPatch;
use super::fields::date;
use super::json::{Json as Body, Query, stated};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem, invalid};
use super::shares::{Granted, bind_grantee};
use crate::admin::teams::describe_team;
use crate::admin::{FilesDisposal, check_quota};
use crate::app::{App, TreeKind};
use crate::audit::{AuditKind, Reporter};
use crate::model::{Error, RelPath};
use crate::sharing::groups::Grantee;
use crate::sharing::teams::{Team, TeamFolderMember};
use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Who may use a team folder, and how.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamMember {
    /// An account or group.
    pub to: Grantee,
    /// What they may do.
    pub rights: Granted,
}

/// A team folder to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamRequest {
    /// Its name, the same for all.
    pub name: String,
    /// Who may use it.
    #[serde(default)]
    pub members: Vec<TeamMember>,
    /// Its quota in bytes; unlimited if not said.
    pub quota: Option<u64>,
    /// A folder on the server's disk, by its whole path, that its files lie in from now on, with all that is there already; it must lie in one
    /// that the settings name (`[storage] allowed`). One of the data folder if not said.
    #[serde(
        default,
        deserialize_with = "stated",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false, min_length = 1)]
    pub folder: Option<String>,
}

/// A change to a team folder.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamChange {
    /// All who may use it from now on.
    pub members: Option<Vec<TeamMember>>,
    /// Its quota in bytes; `null` for unlimited.
    #[serde(default, skip_serializing_if = "FieldPatch::is_keep")]
    #[schema(value_type = Option<u64>)]
    pub quota: FieldPatch<u64>,
}

/// How a team folder is removed.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TeamRemovalQuery {
    /// Whether its files are deleted too, for good; else they stay on the server's disk, aside.
    #[serde(default)]
    pub purge: bool,
    /// With `purge`, the folder that its files lie in, if that was there before (`folder`): such a folder is deleted from only for whoever
    /// names it, and stays where it is without `purge`.
    pub path: Option<String>,
}

impl TeamRemovalQuery {
    /// What becomes of the files.
    pub(super) fn disposal(self) -> Result<FilesDisposal, Error> {
        match (self.purge, self.path) {
            (true, None) => Ok(FilesDisposal::Purge),
            (true, Some(path)) => Ok(FilesDisposal::PurgeAt(path)),
            (false, None) => Ok(FilesDisposal::Keep),
            (false, Some(_)) => Err(invalid(
                "/path",
                "Only files that are deleted are named by their path.",
            )),
        }
    }
}

/// A team folder.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TeamView {
    /// Its name.
    pub name: String,
    /// Who may use it.
    pub members: Vec<TeamMember>,
    /// Its quota in bytes; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// When it was made.
    pub created: String,
    /// The folder on the server's disk that its files lie in, if that was there before; absent for one of the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub folder: Option<String>,
}

impl TeamView {
    fn of(app: &App, name: String, team: &Team) -> Self {
        let members = team.members.iter().map(|member| TeamMember {
            to: member.to.named.clone(),
            rights: member.rights.into(),
        });
        let created = date(team.created);
        let folder = app.existing_folder(TreeKind::Team, &name);
        Self {
            name,
            members: members.collect(),
            quota: team.quota,
            created,
            folder,
        }
    }
}

fn check_members(app: &App, members: Vec<TeamMember>) -> Result<Vec<TeamFolderMember>, Error> {
    let checked = members.into_iter().enumerate().map(|(index, member)| {
        let to = bind_grantee(app, &member.to, &format!("/members/{index}/to"))?;
        Ok(TeamFolderMember {
            to,
            rights: member.rights.into(),
        })
    });
    checked.collect()
}

/// All team folders.
#[utoipa::path(get, path = "/api/v1/team-folders", tag = ApiTag::TEAM_FOLDERS, operation_id = "listTeamFolders",
    params(PageQuery), responses((status = 200, body = Page<TeamView>), Failures))]
pub async fn list(
    caller: AdminCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TeamView>>, Problem> {
    let page = page.cut(caller.app.sharing.teams.list(), |(name, _)| name.clone())?;
    let items = page
        .items
        .into_iter()
        .map(|(name, team)| TeamView::of(&caller.app, name, &team))
        .collect();
    Ok(Json(Page {
        items,
        next: page.next,
    }))
}

/// Makes a team folder.
#[utoipa::path(post, path = "/api/v1/team-folders", tag = ApiTag::TEAM_FOLDERS, operation_id = "createTeamFolder",
    request_body = TeamRequest, responses((status = 201, body = TeamView), Failures))]
pub async fn create(
    caller: AdminCaller,
    Body(asked): Body<TeamRequest>,
) -> Result<(StatusCode, Json<TeamView>), Problem> {
    let members = check_members(&caller.app, asked.members)?;
    let work = caller.at_work();
    let name = asked.name.clone();
    let folder = asked.folder;
    let made = async move {
        work.create_team(&name, members, asked.quota, folder.as_deref())
            .await
    };
    let made = caller.app.run_to_completion(made).await;
    let team = made.map_err(|error| match error {
        Error::BadName(why) => invalid("/name", why),
        error => error,
    })?;
    // Names are stored in NFC, and folders by them.
    let view = TeamView::of(
        &caller.app,
        RelPath::parse(&asked.name)?.to_nfc().as_str().to_owned(),
        &team,
    );
    Ok((
        StatusCode::CREATED,
        Json(TeamView {
            name: asked.name,
            ..view
        }),
    ))
}

/// Changes who may use a team folder, and its quota.
#[utoipa::path(patch, path = "/api/v1/team-folders/{name}", tag = ApiTag::TEAM_FOLDERS, operation_id = "changeTeamFolder",
    params(("name" = String, Path)), request_body = TeamChange, responses((status = 200, body = TeamView), Failures))]
pub async fn change(
    caller: AdminCaller,
    Path(name): Path<String>,
    Body(asked): Body<TeamChange>,
) -> Result<Json<TeamView>, Problem> {
    if let FieldPatch::Set(quota) = asked.quota {
        check_quota(quota)?;
    }
    let members = asked
        .members
        .map(|members| check_members(&caller.app, members))
        .transpose()?;
    let change = move |team: &mut Team| {
        if let Some(members) = &members {
            team.members.clone_from(members);
        }
        team.quota = asked.quota.clone().apply(team.quota);
    };
    edit(&caller.app, caller.reporter(), name, change)
        .await
        .map(Json)
}

/// Changes a team folder, in one step.
pub(super) async fn edit(
    app: &Arc<App>,
    reporter: Reporter,
    name: String,
    change: impl Fn(&mut Team) + Send + Sync + 'static,
) -> Result<TeamView, Problem> {
    let work = app.clone();
    let of = name.clone();
    let changed = async move {
        let before = work.sharing.teams.find(&of);
        let changed = work.sharing.teams.change(&of, change).await;
        let note = changed.as_deref().map(describe_team).unwrap_or_default();
        let is_change = work.sharing.teams.find(&of) != before;
        reporter
            .report_change(
                AuditKind::TeamFolderChanged,
                &of,
                note,
                (&changed, is_change),
            )
            .await;
        let sharing = &work.sharing;
        sharing.release_lost_in_team(&*work.locks, &of).await?;
        changed
    };
    let team = app.run_to_completion(changed).await?;
    Ok(TeamView::of(app, name, &team))
}

/// Removes a team folder from every drive.
#[utoipa::path(delete, path = "/api/v1/team-folders/{name}", tag = ApiTag::TEAM_FOLDERS, operation_id = "removeTeamFolder",
    params(("name" = String, Path), TeamRemovalQuery), responses((status = 204), Failures))]
pub async fn remove(
    caller: AdminCaller,
    Path(name): Path<String>,
    Query(how): Query<TeamRemovalQuery>,
) -> Result<StatusCode, Problem> {
    let files = how.disposal()?;
    let work = caller.at_work();
    caller
        .app
        .run_to_completion(async move { work.remove_team(&name, files).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
