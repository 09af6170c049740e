//! The audit log as one file, newest first: JSON lines, or CSV that spreadsheets do not take for formulas.

use super::audit::filter;
use crate::audit::{Audit, AuditEntry, AuditFilter, AuditKind};
use crate::http::api::caller::AdminCaller;
use crate::http::api::document::ApiTag;
use crate::http::api::json::Query;
use crate::http::api::problem::{Failures, Problem};
use crate::model::{AccessCheck, AccountName, Result};
use axum::body::Body;
use axum::http::{HeaderName, header};
use axum::response::AppendHeaders;
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Entries read at once.
const AT_ONCE: usize = 1000;
const COLUMNS: &str = "id,at,by,who,from,kind,target,note,outcome,count\r\n";

/// The form of an export.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// One JSON document a line.
    Jsonl,
    /// Comma-separated values.
    Csv,
}

/// Which entries, and in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// The form, `jsonl` if not said.
    #[param(inline)]
    format: Option<ExportFormat>,
    /// Only what this account did, or what was done to it.
    #[param(value_type = Option<AccountName>)]
    account: Option<AccountName>,
    /// Only acts of this kind.
    kind: Option<AuditKind>,
    /// Only what happened then or later (RFC 3339).
    #[param(format = DateTime)]
    from: Option<String>,
    /// Only what happened before then (RFC 3339).
    #[param(format = DateTime)]
    to: Option<String>,
}

/// The audit log as a file.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = ApiTag::SERVER, operation_id = "exportAudit", params(ExportQuery),
    responses((status = 200, description = "The entries, newest first.",
        content((String = "application/jsonl"), (String = "text/csv"))), Failures))]
pub async fn export(
    admin: AdminCaller,
    Query(asked): Query<ExportQuery>,
) -> Result<(AppendHeaders<[(HeaderName, &'static str); 2]>, Body), Problem> {
    let filter = filter(asked.account, asked.kind, asked.from, asked.to)?;
    let format = asked.format.unwrap_or(ExportFormat::Jsonl);
    admin.app.audit.flush(false).await;
    let (kind, name) = match format {
        ExportFormat::Jsonl => ("application/jsonl", "attachment; filename=\"audit.jsonl\""),
        ExportFormat::Csv => (
            "text/csv; charset=utf-8",
            "attachment; filename=\"audit.csv\"",
        ),
    };
    let headers = AppendHeaders([
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, name),
    ]);
    let audit = admin.app.audit.clone();
    let access = admin.access();
    let begin = AuditExport {
        audit,
        access,
        filter,
        format,
        below: u64::MAX,
        over: false,
    };
    Ok((
        headers,
        Body::from_stream(stream::try_unfold(begin, AuditExport::next)),
    ))
}

/// An export under way.
struct AuditExport {
    audit: Audit,
    /// Of who reads it: asked before each piece.
    access: Arc<dyn AccessCheck>,
    filter: AuditFilter,
    format: ExportFormat,
    below: u64,
    over: bool,
}

impl AuditExport {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if self.over {
            return Ok(None);
        }
        self.access.check()?;
        let mut text = String::new();
        if self.below == u64::MAX && matches!(self.format, ExportFormat::Csv) {
            text.push_str(COLUMNS);
        }
        let entries = self
            .audit
            .read(self.filter.clone(), self.below, AT_ONCE)
            .await?;
        self.over = entries.len() < AT_ONCE;
        for entry in &entries {
            self.below = entry.id;
            text.push_str(&match self.format {
                ExportFormat::Jsonl => serde_json::to_string(entry).unwrap_or_default() + "\n",
                ExportFormat::Csv => row(entry),
            });
        }
        Ok(Some((text.into(), self)))
    }
}

fn row(entry: &AuditEntry) -> String {
    let cells = [
        entry.id.to_string(),
        entry.at.clone(),
        word(entry.by),
        entry.who.clone().unwrap_or_default(),
        entry.from.clone().unwrap_or_default(),
        word(entry.kind),
        entry.target.clone(),
        entry.note.clone(),
        word(entry.outcome),
        entry.count.to_string(),
    ];
    cells.map(|text| cell(&text)).join(",") + "\r\n"
}

/// A value as it is in JSON.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A cell in quotes. What a spreadsheet would calculate begins with an apostrophe, which makes it text.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
    {
        "'"
    } else {
        ""
    };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_ends_early() {
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(cell("a\",\"=b"), "\"a\"\",\"\"=b\"");
        assert_eq!(cell("ana"), "\"ana\"");
    }
}
