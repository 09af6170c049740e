//! Why a call of the API brought nothing, as a sentence for people.

use crate::http::problem_document::ProblemDocument;
use crate::http::reply::{NO_ADDRESS, NO_METHOD};
use crate::model::Error;
use http::StatusCode;

/// What serde says of a field that the other side does not know.
const UNKNOWN_FIELD: &str = "nknown field";

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It was refused.
    #[error("{}", .0.detail)]
    Refused(Box<ProblemDocument>),
    /// The server does not know the call, or its answer is not understood.
    #[error("The running server is of another version: restart it.")]
    OtherVersion,
    /// The server did not answer.
    #[error(transparent)]
    Unanswered(#[from] Error),
}

impl CallError {
    /// The error of an answer that is no success.
    pub(super) fn of(status: StatusCode, body: &[u8]) -> Self {
        let Ok(problem) = serde_json::from_slice::<ProblemDocument>(body) else {
            return Self::OtherVersion;
        };
        let is_unknown = [NO_ADDRESS, NO_METHOD].contains(&problem.code.as_str());
        let has_unknown =
            status == StatusCode::UNPROCESSABLE_ENTITY && problem.detail.contains(UNKNOWN_FIELD);
        if is_unknown || has_unknown {
            return Self::OtherVersion;
        }
        Self::Refused(Box::new(problem))
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(&problem.code),
            Self::OtherVersion | Self::Unanswered(_) => None,
        }
    }

    /// Where the first wrong field of the request is, as a JSON pointer (RFC 6901).
    fn pointer(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.errors.first().map(|field| field.pointer.as_str()),
            Self::OtherVersion | Self::Unanswered(_) => None,
        }
    }

    /// Which item of the list below this pointer is the first that is wrong.
    pub fn wrong_item(&self, list: &str) -> Option<usize> {
        let rest = self.pointer()?.strip_prefix(list)?;
        rest.split('/').next()?.parse().ok()
    }

    /// Whether there is nothing of that name or id.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some("not_found")
    }

    /// Whether there is already something of that name.
    pub fn is_taken(&self) -> bool {
        self.code() == Some("exists")
    }
}
