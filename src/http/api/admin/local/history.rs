//! The trash, versions and rewinds of any account's drive, for the administrator at the command line.

use crate::admin::history::{RewindReport, Rewinding};
use crate::http::api::caller::LocalCaller;
use crate::http::api::history::{
    FileQuery, FileVersion, FileVersions, Purged, RestoredItem, Restoring, TrashItemView, VersionOf,
};
use crate::http::api::json::{Json, Path, Query};
use crate::http::api::page::Page;
use crate::http::api::problem::{Problem, invalid};
use crate::model::{AccountName, VPath};
use axum::Router;
use axum::routing::{delete, get, post};

/// The routes.
pub(super) fn routes() -> Router {
    const ACCOUNT: &str = "/api/v1/local/accounts/{name}";
    let at = |rest: &str| format!("{ACCOUNT}/{rest}");
    Router::new()
        .route(&at("trash"), get(trash).delete(empty))
        .route(&at("trash/{id}"), delete(purge))
        .route(&at("trash/{id}/restore"), post(restore))
        .route(&at("versions"), get(versions))
        .route(&at("versions/restore"), post(revert))
        .route(&at("rewind"), post(rewind))
}

/// All that lies in the trash, newest first: one page, as each would read the whole trash.
async fn trash(
    caller: LocalCaller,
    Path(name): Path<AccountName>,
) -> Result<axum::Json<Page<TrashItemView>>, Problem> {
    let drive = caller.at_work().drive_of(&name).await?;
    let items = drive.list_trash(None, None, usize::MAX).await?;
    Ok(axum::Json(Page {
        items: items.into_iter().map(TrashItemView::from).collect(),
        next: None,
    }))
}

async fn restore(
    caller: LocalCaller,
    Path((name, id)): Path<(AccountName, String)>,
    Json(wish): Json<Restoring>,
) -> Result<axum::Json<RestoredItem>, Problem> {
    if wish.folder.is_some() {
        return Err(invalid("/folder", "The trash is that of the whole drive.").into());
    }
    let work = caller.at_work();
    let restored = async move {
        work.restore_from_trash(&name, &id, wish.to.as_deref())
            .await
    };
    let path = caller.app.run_to_completion(restored).await?;
    Ok(axum::Json(RestoredItem {
        path: format!("/{path}"),
    }))
}

async fn purge(
    caller: LocalCaller,
    Path((name, id)): Path<(AccountName, String)>,
) -> Result<axum::Json<Purged>, Problem> {
    purged(&caller, name, Some(id)).await
}

async fn empty(
    caller: LocalCaller,
    Path(name): Path<AccountName>,
) -> Result<axum::Json<Purged>, Problem> {
    purged(&caller, name, None).await
}

async fn purged(
    caller: &LocalCaller,
    name: AccountName,
    id: Option<String>,
) -> Result<axum::Json<Purged>, Problem> {
    let work = caller.at_work();
    let purged = async move { work.purge_trash(&name, id.as_deref()).await };
    let items = caller.app.run_to_completion(purged).await?;
    Ok(axum::Json(Purged { items }))
}

async fn versions(
    caller: LocalCaller,
    Path(name): Path<AccountName>,
    Query(file): Query<FileQuery>,
) -> Result<axum::Json<FileVersions>, Problem> {
    let drive = caller.at_work().drive_of(&name).await?;
    let versions = drive.versions(&VPath::parse(&file.path)?).await?;
    Ok(axum::Json(FileVersions {
        items: versions.into_iter().map(FileVersion::from).collect(),
    }))
}

async fn revert(
    caller: LocalCaller,
    Path(name): Path<AccountName>,
    Json(version): Json<VersionOf>,
) -> Result<axum::Json<RestoredItem>, Problem> {
    let work = caller.at_work();
    let restored = async move {
        work.restore_version(&name, &version.path, &version.id)
            .await
    };
    let path = caller.app.run_to_completion(restored).await?;
    Ok(axum::Json(RestoredItem {
        path: format!("/{path}"),
    }))
}

async fn rewind(
    caller: LocalCaller,
    Path(name): Path<AccountName>,
    Json(wish): Json<Rewinding>,
) -> Result<axum::Json<RewindReport>, Problem> {
    let work = caller.at_work();
    let rewound = async move { work.rewind(&name, wish).await };
    Ok(axum::Json(caller.app.run_to_completion(rewound).await?))
}
