//! What the program is on its machine: for whom it makes files, as whom, and how many it may have open.

use anyhow::{Result, bail};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit, umask};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Keeps what is made from now on from other users: password hashes lie in the data folder.
pub(super) fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Takes as many descriptors as the system allows: the usual 1024 are fewer than the connections that are let in.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the number of open files stays as it is");
    }
}

/// Refuses to work as root in a data folder that another user works in: that user could not write what root makes there.
pub(super) fn refuse_root_beside(data_dir: &Path) -> Result<()> {
    let Ok(state) = std::fs::metadata(data_dir.join("state")) else { return Ok(()) };
    if geteuid().is_root() && state.uid() != 0 {
        let (folder, user) = (data_dir.display(), state.uid());
        bail!(
            "The data folder {folder} belongs to the user with id {user}. Run this as that user (sudo -u '#{user}' …); \
             root may change its accounts while its server runs."
        );
    }
    Ok(())
}
