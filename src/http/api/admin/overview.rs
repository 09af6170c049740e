//! The state of the server, for administrators; and the locks, for them and for the owner of what is locked.

use crate::admin::{Administrator, OpenLock, Overview, open_locks, overview};
use crate::http::api::caller::{AccountOrLocalCaller, AdminCaller};
use crate::http::api::document::ApiTag;
use crate::http::api::json::{Path, Query};
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem};
use crate::model::{Identity, Role};
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

/// The locks: an administrator sees all of them, others those in their own drive.
#[utoipa::path(get, path = "/api/v1/locks", tag = ApiTag::LOCKS, operation_id = "listLocks", params(PageQuery),
    responses((status = 200, body = Page<OpenLock>), Failures))]
pub async fn locks(
    AccountOrLocalCaller { app, identity, .. }: AccountOrLocalCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<OpenLock>>, Problem> {
    let mut locks = open_locks(&app, may_break(identity));
    locks.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(page.cut(locks, |lock| lock.id.clone())?))
}

/// End a lock: an administrator any, others those in their own drive.
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

/// Of the command line all, as of an administrator.
fn may_break(identity: Option<Arc<Identity>>) -> impl Fn(&Lock) -> bool {
    let only_in = identity
        .filter(|identity| identity.role != Role::Admin)
        .map(|identity| format!("home/{}", identity.account));
    move |lock| {
        only_in
            .as_ref()
            .is_none_or(|own| *lock.resource.root == **own)
    }
}
