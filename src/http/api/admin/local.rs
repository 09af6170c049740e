//! Routes for the administrator at the command line alone. No listener serves them: they are in the router of the control socket, and
//! of the process that has the data folder open itself. They are not in openapi.json.

mod history;
mod members;

use crate::http::api::caller::LocalCaller;
use crate::http::api::invites::{self, InviteWish, NewInviteSecret};
use crate::http::api::json::{Json, Path, Query};
use crate::http::api::page::Page;
use crate::http::api::problem::Problem;
use crate::http::api::team_folders::TeamRemovalQuery;
use crate::model::AccountName;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{delete, post};
pub use members::MembersChange;
use serde::{Deserialize, Serialize};

/// An export of the state.
#[derive(Debug, Serialize, Deserialize)]
pub struct StateExport {
    /// The name of the file in `state/for-backup` of the data folder, which whoever asked is to remove.
    pub file: String,
}

/// A home or team folder whose stored usage was wrong, and was corrected.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsageCorrection {
    /// Which: `home/ana`.
    pub root: String,
    /// Bytes that were stored.
    pub stored: u64,
    /// Bytes that there are.
    pub counted: u64,
}

/// A home or team folder that is missing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingTree {
    /// Its place in the data folder: `homes/ana`.
    pub place: String,
}

/// What became of a removed team folder's files.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemovedTeam {
    /// Where they lie: aside in the data folder, or, by its whole path, in a folder that was there before; `None` if nowhere.
    pub kept: Option<String>,
}

/// The routes.
pub(in crate::http::api) fn routes() -> Router {
    Router::new()
        .route("/api/v1/local/state-exports", post(export))
        .route("/api/v1/local/usage-corrections", post(correct_usage))
        .route("/api/v1/local/replaced-trees", post(replace_missing_tree))
        .route("/api/v1/local/team-folders/{name}", delete(remove_team))
        .route("/api/v1/local/accounts/{name}/invites", post(invite))
        .merge(history::routes())
        .merge(members::routes())
}

/// Writes all state to a file, for a backup or a check.
async fn export(caller: LocalCaller) -> Result<(StatusCode, axum::Json<StateExport>), Problem> {
    let file = caller.app.export_for_backup().await?;
    Ok((StatusCode::CREATED, axum::Json(StateExport { file })))
}

/// Counts the files of open homes and team folders anew.
async fn correct_usage(caller: LocalCaller) -> Result<axum::Json<Page<UsageCorrection>>, Problem> {
    let corrected = caller.app.recount_usage().await?.into_iter();
    let items = corrected.map(|(root, stored, counted)| UsageCorrection {
        root,
        stored,
        counted,
    });
    Ok(axum::Json(Page {
        items: items.collect(),
        next: None,
    }))
}

/// Gives up a home or team folder that is missing.
async fn replace_missing_tree(
    caller: LocalCaller,
    Json(wish): Json<MissingTree>,
) -> Result<StatusCode, Problem> {
    let work = caller.at_work();
    let replaced = async move { work.replace_missing_tree(&wish.place).await };
    caller.app.run_to_completion(replaced).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a team folder, and says where its files are.
async fn remove_team(
    caller: LocalCaller,
    Path(name): Path<String>,
    Query(how): Query<TeamRemovalQuery>,
) -> Result<axum::Json<RemovedTeam>, Problem> {
    let files = how.disposal()?;
    let work = caller.at_work();
    let removed = async move { work.remove_team(&name, files).await };
    let kept = caller.app.run_to_completion(removed).await?.aside;
    Ok(axum::Json(RemovedTeam { kept }))
}

/// Makes an invite in the name of an administrator: it holds while they are one.
async fn invite(
    caller: LocalCaller,
    Path(name): Path<AccountName>,
    Json(wish): Json<InviteWish>,
) -> Result<(StatusCode, axum::Json<NewInviteSecret>), Problem> {
    let by = caller.app.auth.administrator(&name)?;
    let made = invites::make(&caller.app, by, caller.reporter(), wish).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}
