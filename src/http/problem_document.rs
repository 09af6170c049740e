//! The JSON document of a failure (RFC 9457), as [`reply`](super::reply) writes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A failure: what happened, for programs (`code`) and for people (`detail`).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemDocument {
    /// Always `about:blank`: `code` says more.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// A stable name of what happened.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// The fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// What is wrong with one field of the request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Where it is, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// A sentence for people.
    pub detail: String,
}
