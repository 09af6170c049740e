//! The JSON document of a failure (RFC 9457), as [`reply`](super::reply) writes it.

use serde::Serialize;
use utoipa::ToSchema;

/// A failure: what happened, for programs (`code`) and for people (`detail`).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// Always `about:blank`: `code` says more.
    pub r#type: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The status.
    pub status: u16,
    /// A stable name of what happened.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// What is wrong with one field of the request.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Where it is, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// A sentence for people.
    pub detail: String,
}
