//! What an upload is refused for, before a byte has come and at its end.

use super::TreeRoot;
use crate::model::{Error, RelPath, Result};

/// Whether a file may have this name.
pub(super) fn check_path(root: &TreeRoot, path: &RelPath) -> Result<()> {
    if path.is_root() {
        Err(Error::IsFolder)
    } else {
        root.check_new_name(path)
    }
}

/// Whether something stands at a name, made beside the server in this moment too, or is locked there.
pub(super) fn is_taken(error: &Error) -> bool {
    matches!(
        error,
        Error::PreconditionFailed | Error::IsFolder | Error::Locked { .. } | Error::Conflict
    )
}
