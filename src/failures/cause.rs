//! What a client failed at, as far as people can do something about it.

use crate::model::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The causes that are told apart; each has its words in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = FailureKind)]
pub enum Cause {
    /// The password was wrong.
    WrongPassword,
    /// The password was an app password that has expired.
    EndedAppPassword,
    /// Too many wrong passwords.
    Throttled,
    /// The account is disabled.
    Disabled,
    /// The account has two-factor sign-in, so that its password alone opens no drive.
    SecondFactor,
    /// The server wants TLS.
    PlainHttp,
    /// Windows sends no password without TLS.
    WindowsPlainHttp,
    /// What the client signed in with ended while the request ran.
    AccessEnded,
    /// No room: the quota or the disk.
    NoSpace,
    /// The request is larger than its limit.
    TooLarge,
    /// A count limit of the account is reached.
    LimitReached,
    /// Somebody holds a lock.
    Locked,
    /// The file has changed meanwhile, or exists already.
    PreconditionFailed,
    /// The folder above does not exist.
    ParentMissing,
    /// A name that drives do not store.
    BadName,
    /// The address of the target is another server's.
    Destination,
    /// The body was not as long as announced.
    Truncated,
    /// The bytes do not match their checksum.
    Checksum,
    /// A method that drives do not know.
    Method,
    /// The request is malformed.
    BadRequest,
    /// What signed in may not do this.
    Forbidden,
    /// The server could not.
    Unavailable,
}

impl Cause {
    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Self; 22] = [
        Self::WrongPassword,
        Self::EndedAppPassword,
        Self::Throttled,
        Self::Disabled,
        Self::SecondFactor,
        Self::PlainHttp,
        Self::WindowsPlainHttp,
        Self::AccessEnded,
        Self::NoSpace,
        Self::TooLarge,
        Self::LimitReached,
        Self::Locked,
        Self::PreconditionFailed,
        Self::ParentMissing,
        Self::BadName,
        Self::Destination,
        Self::Truncated,
        Self::Checksum,
        Self::Method,
        Self::BadRequest,
        Self::Forbidden,
        Self::Unavailable,
    ];
}

/// A cause with what is to be said of it: who holds the lock, why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The cause.
    pub cause: Cause,
    /// A name, or a sentence of the server; empty where there is nothing more to say.
    pub detail: String,
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            detail: String::new(),
        }
    }
}

impl Reason {
    /// Why a request failed; `None` for what clients meet all the time, and for sign-ins, of which the door tells.
    pub fn of(error: &Error) -> Option<Self> {
        let (cause, detail) = match error {
            Error::NoSpace | Error::Unsupported => (Cause::NoSpace, ""),
            Error::TooLarge => (Cause::TooLarge, ""),
            Error::LimitReached(why) => (Cause::LimitReached, *why),
            Error::Locked { holder } => (Cause::Locked, holder.as_str()),
            Error::PreconditionFailed | Error::Stale { .. } => (Cause::PreconditionFailed, ""),
            Error::ParentMissing => (Cause::ParentMissing, ""),
            Error::BadName(why) => (Cause::BadName, *why),
            Error::Truncated => (Cause::Truncated, ""),
            Error::Checksum => (Cause::Checksum, ""),
            Error::BadRequest(why) => (Cause::BadRequest, *why),
            Error::Forbidden(why) => (Cause::Forbidden, *why),
            Error::NotCopied(why) => (Cause::Forbidden, why.as_str()),
            Error::AccessEnded => (Cause::AccessEnded, ""),
            Error::Missing(why) | Error::Unfit(why) => (Cause::Unavailable, *why),
            Error::ReadOnly | Error::Corrupt(_) | Error::Io { .. } => (Cause::Unavailable, ""),
            _ => return None,
        };
        Some(Self {
            cause,
            detail: detail.to_owned(),
        })
    }
}
