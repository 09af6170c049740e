//! The audit log in pages, newest first.

use crate::audit::{AuditEntry, AuditFilter, AuditKind};
use crate::http::api::caller::AdminCaller;
use crate::http::api::document::ApiTag;
use crate::http::api::json::Query;
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem};
use crate::model::{AccountName, Error, time};
use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Which entries of the audit log.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// The most items wanted, 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Only what this account did, or what was done to it.
    #[param(value_type = Option<AccountName>)]
    pub account: Option<AccountName>,
    /// Only acts of this kind.
    pub kind: Option<AuditKind>,
    /// Only what happened then or later (RFC 3339).
    #[param(format = DateTime)]
    pub from: Option<String>,
    /// Only what happened before then (RFC 3339).
    #[param(format = DateTime)]
    pub to: Option<String>,
}

/// Entries of the audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = ApiTag::SERVER, operation_id = "listAudit", params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>), Failures))]
pub async fn list(
    AdminCaller { app, .. }: AdminCaller,
    Query(asked): Query<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let page = PageQuery {
        limit: asked.limit,
        cursor: asked.cursor,
    };
    let below = page.after()?.map_or(Ok(u64::MAX), |cursor| {
        cursor.parse().map_err(|_| PageQuery::wrong_cursor())
    })?;
    let filter = filter(asked.account, asked.kind, asked.from, asked.to)?;
    app.audit.flush(false).await;
    let found = app.audit.read(filter, below, page.size()? + 1).await?;
    Ok(Json(page.close(found, |entry| entry.id.to_string())?))
}

/// A filter of the parameters; `Invalid` for a time that is none.
pub(super) fn filter(
    account: Option<AccountName>,
    kind: Option<AuditKind>,
    from: Option<String>,
    to: Option<String>,
) -> Result<AuditFilter, Problem> {
    let moment = |pointer: &str, text: Option<String>| {
        let wrong = || Error::Invalid {
            pointer: pointer.into(),
            why: "This is no time as RFC 3339 writes it.".into(),
        };
        text.map(|text| {
            time::parse_iso_date(&text)
                .map(time::iso_date)
                .ok_or_else(wrong)
        })
        .transpose()
    };
    let from = moment("/from", from)?;
    let to = moment("/to", to)?;
    Ok(AuditFilter {
        account: account.map(String::from),
        kind,
        from,
        to,
    })
}
