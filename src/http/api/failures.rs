//! The last failures of an account's clients and their causes, for its owner and for administrators.

use super::caller::{AccountCaller, AdminCaller};
use super::document::ApiTag;
use super::json::Path;
use super::page::Page;
use super::problem::{Failures, Problem};
use crate::failures::{ClientFailure, Failure, Language};
use crate::model::AccountName;
use axum::Json;
use axum::http::{HeaderMap, header};

/// Why WebDAV clients of the account failed lately, newest first: some twenty lines at most, each with what to do. The sentences are in
/// the first language of `Accept-Language` that is one of en, id, de, ko, ar. Kept in memory, until a restart. With them stand failures
/// of clients at the address that asks which named no account, as Windows does without TLS.
#[utoipa::path(get, path = "/api/v1/me/failures", tag = ApiTag::ACCOUNT, operation_id = "listFailures",
    responses((status = 200, body = Page<ClientFailure>), Failures))]
pub async fn list(
    AccountCaller {
        app,
        identity,
        client,
    }: AccountCaller,
    headers: HeaderMap,
) -> Result<Json<Page<ClientFailure>>, Problem> {
    Ok(in_words(
        app.auth.failures_of(&identity.account, Some(client))?,
        &headers,
    ))
}

/// The same of another account.
#[utoipa::path(get, path = "/api/v1/accounts/{name}/failures", tag = ApiTag::ACCOUNTS, operation_id = "listAccountFailures",
    params(("name" = AccountName, Path)), responses((status = 200, body = Page<ClientFailure>), Failures))]
pub async fn list_of(
    AdminCaller { app, .. }: AdminCaller,
    Path(name): Path<AccountName>,
    headers: HeaderMap,
) -> Result<Json<Page<ClientFailure>>, Problem> {
    Ok(in_words(app.auth.failures_of(&name, None)?, &headers))
}

fn in_words(failures: Vec<Failure>, headers: &HeaderMap) -> Json<Page<ClientFailure>> {
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let language = Language::accepted(accepted);
    let items = failures
        .into_iter()
        .map(|failure| ClientFailure::of(failure, language))
        .collect();
    Json(Page { items, next: None })
}
