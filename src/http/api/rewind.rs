//! Rewinds a folder to the state it had at a moment.

use super::ApiTag;
use super::bulk::submitted;
use super::caller::AccountCaller;
use super::json::Json;
use super::problem::{Failures, Problem};
use crate::admin::history::{RewindReport, Rewinding, rewind};
use http::HeaderMap;

/// Makes a folder, or some of what is in it, as it was; or says what that would change.
#[utoipa::path(post, path = "/api/v1/rewind", tag = ApiTag::HISTORY, operation_id = "rewind", request_body = Rewinding,
    responses((status = 200, body = RewindReport), Failures))]
pub async fn create(
    account: AccountCaller,
    headers: HeaderMap,
    Json(wish): Json<Rewinding>,
) -> Result<axum::Json<RewindReport>, Problem> {
    let tokens = submitted(&headers)?;
    let drive = account.app.drive(&account.identity).await?;
    let reporter = account.reporter();
    let work = async move { rewind(&drive, &reporter, wish, tokens).await };
    Ok(axum::Json(account.app.run_to_completion(work).await?))
}
