//! As whom this process acts, and what it may do.

use super::SysResult;
use rustix::fs::{self, Access, AtFlags};
use std::path::Path;

/// The user that this thread acts as.
pub(in crate::storage::local) fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether this process may look, read and write in a folder.
pub(in crate::storage::local) fn may_use(dir: &Path) -> SysResult<()> {
    fs::accessat(
        fs::CWD,
        dir,
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
}
