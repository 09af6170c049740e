//! The state of the server, for administrators; and the locks, for them and for the owner of what is locked.

use crate::admin::{Administrator, OpenLock, Overview, open_locks, overview};
use crate::http::api::caller::{AccountOrLocalCaller, AdminCaller};
use crate::http::api::document::ApiTag;
use crate::http::api::json::{Path, Query};
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem};
use crate::model::{Identity, Role, VPath};
use crate::sharing::shares::Share;
use crate::storage::Lock;
use axum::Json;
use axum::http::StatusCode;
use std::sync::Arc;

/// How the server is.
#[utoipa::path(get, path = "/api/v1/overview", tag = ApiTag::SERVER, operation_id = "overview",
    responses((status = 200, body = Overview), Failures))]
pub async fn show(AdminCaller { app, .. }: AdminCaller) -> Result<Json<Overview>, Problem> {
    Ok(Json(overview(&app).await?))
}

/// The locks: an administrator sees all of them, others those in their own drive and their own in what others share with them.
#[utoipa::path(get, path = "/api/v1/locks", tag = ApiTag::LOCKS, operation_id = "listLocks", params(PageQuery),
    responses((status = 200, body = Page<OpenLock>), Failures))]
pub async fn locks(
    AccountOrLocalCaller { app, identity, .. }: AccountOrLocalCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<OpenLock>>, Problem> {
    let mut locks = open_locks(&app, may_break(identity.clone()));
    if let Some(identity) = identity.filter(|identity| identity.role != Role::Admin) {
        let shares = app.sharing.shares.to(&identity.account);
        for lock in &mut locks {
            hide_parents(lock, &shares);
        }
    }
    locks.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(page.cut(locks, |lock| lock.id.clone())?))
}

/// End a lock: an administrator any, others those in their own drive and their own in what others share with them.
#[utoipa::path(delete, path = "/api/v1/locks/{id}", tag = ApiTag::LOCKS, operation_id = "breakLock",
    params(("id" = String, Path)), responses((status = 204, description = "The lock is ended."), Failures))]
pub async fn break_lock(
    caller: AccountOrLocalCaller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let work = Administrator::new(&caller.app, caller.reporter(), caller.access());
    let AccountOrLocalCaller { app, identity, .. } = caller;
    app.run_to_completion(async move { work.break_lock(&id, may_break(identity)).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All locks for the command line and for administrators; else those in the own home, and the own elsewhere.
fn may_break(identity: Option<Arc<Identity>>) -> impl Fn(&Lock) -> bool {
    let bound = identity.filter(|identity| identity.role != Role::Admin);
    let account = bound.map(|identity| identity.account.clone());
    move |lock| {
        account.as_ref().is_none_or(|account| {
            let is_holder = lock.holder.account == *account && lock.holder.link().is_none();
            is_holder || *lock.resource.root == *format!("home/{account}")
        })
    }
}

/// Of what is shared, a receiver learns no folder above: the path of a lock begins with the name of what one of `shares` shows.
fn hide_parents(lock: &mut OpenLock, shares: &[Arc<Share>]) {
    let Ok(path) = VPath::parse(&lock.path) else {
        return;
    };
    let shown = shares.iter().filter_map(|share| {
        let is_owner = lock.root == format!("home/{}", share.owner);
        let parent = share.path().parent().filter(|_| is_owner)?;
        path.is_within(&share.path()).then(|| path.after(&parent))?
    });
    if let Some(path) = shown.min_by_key(|path| path.names().count()) {
        lock.path = format!("/{path}");
    }
}
