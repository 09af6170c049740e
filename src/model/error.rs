//! What can go wrong, named by what happened. `http/reply.rs` alone turns these into statuses.

use std::time::Duration;

/// The result of everything that can fail in Sarang.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with what a caller needs to act on it; its text is a sentence for people.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing there, or nothing the caller may know of.
    #[error("There is nothing at this address.")]
    NotFound,
    /// The folder that should hold the target does not exist.
    #[error("The folder that should hold this does not exist.")]
    ParentMissing,
    /// Something is already there.
    #[error("There is already something at this address.")]
    Exists,
    /// A folder stands where a file was asked for.
    #[error("This is a folder, and the request is for a file.")]
    IsFolder,
    /// A file stands where a folder was asked for.
    #[error("This is a file, and the request is for a folder.")]
    NotFolder,
    /// A name or path the drive does not store; the text says why.
    #[error("{0}")]
    BadName(&'static str),
    /// A malformed request; the text says what.
    #[error("{0}")]
    BadRequest(&'static str),
    /// A field of a request has a value that cannot be.
    #[error("{why}")]
    Invalid {
        /// Where the field is, as a JSON pointer (RFC 6901).
        pointer: String,
        /// Why its value cannot be, as a sentence.
        why: String,
    },
    /// Understood and refused, whoever asks; the text says why.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Something in a folder cannot be copied, and so nothing is; the text says what.
    #[error("{0}")]
    NotCopied(String),
    /// A condition of the request (If, If-Match, If-None-Match, Overwrite) does not hold.
    #[error("The condition of the request does not hold: the file has changed, or already exists.")]
    PreconditionFailed,
    /// As `PreconditionFailed`, with the entity tag of what stands there now, for who may see it.
    #[error("The condition of the request does not hold: the file has changed, or already exists.")]
    Stale {
        /// The tag, quoted.
        etag: String,
    },
    /// A lock that the caller did not submit covers the target.
    #[error("This is locked by {holder}.")]
    Locked {
        /// The account that holds the lock.
        holder: String,
    },
    /// The lock named by the request does not cover the target.
    #[error("There is no such lock here.")]
    NoSuchLock,
    /// The disk or the quota is full.
    #[error("There is no room left to store this.")]
    NoSpace,
    /// The request body is larger than its limit.
    #[error("The request is larger than the limit for it.")]
    TooLarge,
    /// A body came with a method that has none.
    #[error("This method takes no request body.")]
    UnexpectedBody,
    /// A body came with a `Content-Encoding`: it would be stored as it is, and be another file than is meant.
    #[error(
        "The body is compressed (Content-Encoding), which this server does not take: send it as it is."
    )]
    ContentCoding,
    /// A count limit of the account (locks, properties) is reached; the text says which.
    #[error("{0}")]
    LimitReached(&'static str),
    /// The upload ended early, or was longer than announced.
    #[error("The upload did not arrive whole; nothing was changed.")]
    Truncated,
    /// The bytes that arrived do not come to the checksum that was sent with them.
    #[error("The bytes that arrived do not match their checksum; they were not kept.")]
    Checksum,
    /// Name and password do not match an account that may sign in.
    #[error("Sign in with your account name and password.")]
    Unauthenticated,
    /// The password is right, and the account also asks for a code.
    #[error(
        "This account also asks for a code: one that its authenticator app shows, or a recovery code."
    )]
    CodeRequired,
    /// What the request was let in by has ended while it ran: a password, an app password, a session, the account.
    #[error("What you signed in with has ended meanwhile; sign in again.")]
    AccessEnded,
    /// Too many failed sign-ins.
    #[error("Too many failed sign-ins; try again in {} seconds.", .retry_after.as_secs())]
    Throttled {
        /// When to come back.
        retry_after: Duration,
    },
    /// The server is at its limit for now.
    #[error("The server is busy; try again in {} seconds.", .retry_after.as_secs())]
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
    /// Files that were there are not, as when their disk is not mounted; the text says whose.
    #[error("{0}")]
    Missing(&'static str),
    /// Files lie on a file system that nothing can be stored on safely; the text says why.
    #[error("{0}")]
    Unfit(&'static str),
    /// The provider that people sign in by does not answer.
    #[error(
        "The sign-in provider cannot be reached. Sign in with your password, or try again later."
    )]
    ProviderDown,
    /// The state store took an I/O error: changes are refused until a restart.
    #[error("The server is read-only after a disk error; its log says more.")]
    ReadOnly,
    /// Expectations of a store commit did not hold; nothing was changed.
    #[error("This was changed by somebody else meanwhile; try again.")]
    Conflict,
    /// A stored record cannot be read, or is newer than this program; the text says what to run.
    #[error("{0}")]
    Corrupt(String),
    /// The file system lacks what this needs (extended attributes, say).
    #[error("The file system of the server does not support this.")]
    Unsupported,
    /// The operating system failed; `doing` says at what.
    #[error("The server could not {doing}: {source}")]
    Io {
        /// What was tried, as it follows "could not".
        doing: &'static str,
        /// The system's own error.
        source: std::io::Error,
    },
}

impl Error {
    /// Wraps a system error with what was tried ("read the folder").
    pub fn io(doing: &'static str, source: impl Into<std::io::Error>) -> Self {
        Self::Io {
            doing,
            source: source.into(),
        }
    }

    /// Whether the process or the system had no descriptor left for it: one more try may succeed.
    pub fn lacks_descriptors(&self) -> bool {
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        matches!(self, Self::Io { source, .. } if matches!(source.raw_os_error(), Some(ENFILE | EMFILE)))
    }

    /// A stored record that makes no sense; says how to go on without it.
    pub fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!(
            "{what} cannot be read: it is damaged, or written by a newer sarang. If it is damaged, move state/db in the \
             data folder aside; the next start then takes the newest of state/exports."
        ))
    }
}
