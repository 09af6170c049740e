//! System errors as what happened to a file or folder. `doing` says what the server was about to do.

use super::sys::Errno;
use crate::model::Error;
use std::time::Duration;

/// What is done when it fails to give a file or folder its permissions.
pub(super) const GIVE_ACCESS: &str = "set who may read it";

/// A system error as what happened.
pub(super) fn map_errno(doing: &'static str, errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV => Error::NotFound,
        Errno::EXIST => Error::Conflict,
        Errno::ISDIR => Error::IsFolder,
        Errno::NOSPC | Errno::DQUOT => Error::NoSpace,
        Errno::FBIG => Error::TooLarge,
        Errno::NAMETOOLONG => Error::BadName("This name or path is too long for the server."),
        Errno::ACCESS | Errno::PERM => {
            Error::Forbidden("The server may not do this to the files on its disk.")
        }
        Errno::ROFS => Error::ReadOnly,
        Errno::MFILE | Errno::NFILE => Error::Busy {
            retry_after: Duration::from_secs(1),
        },
        // Another program keeps its lease on the file.
        Errno::AGAIN => Error::Busy {
            retry_after: Duration::from_secs(5),
        },
        Errno::XDEV | Errno::BUSY => Error::Forbidden(
            "This lies on another file system than the rest of the drive, mounted inside it: nothing can be stored there or moved.",
        ),
        Errno::OPNOTSUPP | Errno::NOSYS => Error::Unsupported,
        other => Error::io(doing, other),
    }
}

/// Why properties could not be stored.
pub(super) fn explain_store(errno: Errno) -> Error {
    if is_refused_for_size(errno) {
        Error::NoSpace
    } else {
        map_errno("store properties", errno)
    }
}

/// Whether an attribute may have been too large for the file system, which says so in several ways; a full disk, too.
pub(super) fn is_refused_for_size(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOSPC | Errno::DQUOT | Errno::TOOBIG | Errno::RANGE
    )
}
