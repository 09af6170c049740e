//! The one table of failures: from each [`Error`] to a status, a code for programs, and what dav-server knows of it.

use crate::model::Error;
use dav_server::fs::FsError;
use http::StatusCode;
use std::time::Duration;

/// What is told of a want of descriptors.
static BUSY: Error = Error::Busy {
    retry_after: Duration::from_secs(1),
};

/// The failure as it is told: without descriptors, the request that met it may just come again.
pub(super) fn told(error: &Error) -> &Error {
    if error.lacks_descriptors() {
        &BUSY
    } else {
        error
    }
}

/// The status of a failure.
pub fn status(error: &Error) -> StatusCode {
    match told(error) {
        Error::NotFound => StatusCode::NOT_FOUND,
        Error::ParentMissing | Error::NotFolder | Error::NoSuchLock | Error::Conflict => {
            StatusCode::CONFLICT
        }
        Error::Exists | Error::IsFolder => StatusCode::METHOD_NOT_ALLOWED,
        Error::BadName(_) | Error::BadRequest(_) | Error::Truncated | Error::Checksum => {
            StatusCode::BAD_REQUEST
        }
        Error::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Forbidden(_) | Error::NotCopied(_) => StatusCode::FORBIDDEN,
        Error::PreconditionFailed | Error::Stale { .. } => StatusCode::PRECONDITION_FAILED,
        Error::Locked { .. } => StatusCode::LOCKED,
        Error::NoSpace | Error::LimitReached(_) | Error::Unsupported => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        Error::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Error::UnexpectedBody | Error::ContentCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Error::Unauthenticated | Error::CodeRequired | Error::AccessEnded => {
            StatusCode::UNAUTHORIZED
        }
        Error::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::Busy { .. }
        | Error::ReadOnly
        | Error::ProviderDown
        | Error::Missing(_)
        | Error::Unfit(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Corrupt(_) | Error::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of a failure in the API, where 405 speaks of methods only.
pub fn api_status(error: &Error) -> StatusCode {
    match error {
        Error::Exists | Error::IsFolder => StatusCode::CONFLICT,
        // tus has a status of its own for this.
        Error::Checksum => StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST),
        other => status(other),
    }
}

/// The nearest that dav-server knows; where it has nothing near, the caller keeps the [`Error`] aside.
pub fn fs_error(error: &Error) -> FsError {
    match error {
        Error::NotFound | Error::ParentMissing | Error::NoSuchLock => FsError::NotFound,
        Error::Exists => FsError::Exists,
        Error::IsFolder
        | Error::NotFolder
        | Error::BadName(_)
        | Error::BadRequest(_)
        | Error::Invalid { .. }
        | Error::UnexpectedBody
        | Error::ContentCoding
        | Error::Forbidden(_)
        | Error::NotCopied(_)
        | Error::PreconditionFailed
        | Error::Stale { .. }
        | Error::Locked { .. }
        | Error::Unauthenticated
        | Error::CodeRequired
        | Error::AccessEnded => FsError::Forbidden,
        Error::NoSpace | Error::LimitReached(_) | Error::Unsupported => {
            FsError::InsufficientStorage
        }
        Error::TooLarge => FsError::TooLarge,
        Error::Truncated
        | Error::Checksum
        | Error::Throttled { .. }
        | Error::Busy { .. }
        | Error::ProviderDown
        | Error::Missing(_)
        | Error::Unfit(_)
        | Error::ReadOnly
        | Error::Conflict
        | Error::Corrupt(_)
        | Error::Io { .. } => FsError::GeneralFailure,
    }
}

/// The name of a failure that programs may rely on.
pub fn code(error: &Error) -> &'static str {
    match told(error) {
        Error::NotFound => "not_found",
        Error::ParentMissing => "parent_missing",
        Error::Exists => "exists",
        Error::IsFolder => "is_folder",
        Error::NotFolder => "not_folder",
        Error::BadName(_) => "bad_name",
        Error::BadRequest(_) => "bad_request",
        Error::Invalid { .. } => "invalid",
        Error::UnexpectedBody => "unexpected_body",
        Error::ContentCoding => "content_coding",
        Error::Forbidden(_) => "forbidden",
        Error::NotCopied(_) => "not_copied",
        Error::PreconditionFailed | Error::Stale { .. } => "precondition_failed",
        Error::Locked { .. } => "locked",
        Error::NoSuchLock => "no_such_lock",
        Error::NoSpace => "no_space",
        Error::TooLarge => "too_large",
        Error::LimitReached(_) => "limit_reached",
        Error::Truncated => "truncated",
        Error::Checksum => "checksum",
        Error::Unauthenticated => "unauthenticated",
        Error::CodeRequired => "code_required",
        Error::AccessEnded => "access_ended",
        Error::Throttled { .. } => "throttled",
        Error::Busy { .. } => "busy",
        Error::ProviderDown => "provider_down",
        Error::Missing(_) => "missing",
        Error::Unfit(_) => "unfit",
        Error::ReadOnly => "read_only",
        Error::Conflict => "conflict",
        Error::Corrupt(_) => "corrupt",
        Error::Unsupported => "unsupported",
        Error::Io { .. } => "io",
    }
}
