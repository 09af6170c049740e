//! Reads every file again and compares it with the hash that was kept when it came.

use super::digest;
use super::errors::map_errno;
use super::file_meta;
use super::names::require_file_or_folder;
use super::read::{TICK, may_change_unseen};
use super::sys::{self, Errno, Lookup, fd};
use super::walk::{self, WalkEntry, WalkStart};
use crate::model::{Error, Result};
use crate::storage::{Node, ScrubReport};
use std::os::fd::BorrowedFd;

/// The folders of a tree whose files are kept, beside the tree itself.
const KEPT: [&str; 2] = [".sarang/trash/files", ".sarang/versions"];

/// What went wrong in a walk: a system call, or something that has a sentence already.
enum ScrubError {
    System(Errno),
    Explained(Error),
}

impl From<Errno> for ScrubError {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

/// Reads all files, trash and versions too. Files whose hash is not known get one, so that the next scrub can compare.
pub(super) fn scrub(root: BorrowedFd<'_>) -> Result<ScrubReport> {
    let mut scrubbed = ScrubReport::default();
    for top in [""].into_iter().chain(KEPT) {
        let dir = match sys::open_folder(root, top, Lookup::Full) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(map_errno("read the files", e)),
        };
        let at = if top.is_empty() {
            WalkStart::Tree
        } else {
            WalkStart::Folder
        };
        walk::files(dir, at, |met, _| look(met, top, &mut scrubbed)).map_err(|failure| {
            match failure {
                ScrubError::System(errno) => map_errno("read the files", errno),
                ScrubError::Explained(error) => error,
            }
        })?;
    }
    Ok(scrubbed)
}

fn look(met: &WalkEntry<'_>, top: &str, scrubbed: &mut ScrubReport) -> Result<(), ScrubError> {
    let path = || {
        if top.is_empty() {
            met.path()
        } else {
            format!("{top}/{}", met.path())
        }
    };
    let file = match sys::open_read_raw(met.dir, met.raw) {
        Ok(file) => file,
        // It went away, or may not be read.
        Err(Errno::NOENT | Errno::LOOP | Errno::ACCESS | Errno::PERM) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let see = || -> Result<Node, ScrubError> {
        require_file_or_folder(sys::stat_fd(fd(&file))?)
            .map(|found| found.node)
            .map_err(ScrubError::Explained)
    };
    let mut before = see()?;
    if may_change_unseen(&before) {
        std::thread::sleep(TICK);
        before = see()?;
    }
    let known = file_meta::digest_of(fd(&file), &before);
    let Ok(read) = digest::hash_file(fd(&file)) else {
        scrubbed.unreadable.push(path());
        return Ok(());
    };
    if sys::stat_fd(fd(&file))?.node.etag != before.etag {
        return Ok(());
    }
    scrubbed.files += 1;
    scrubbed.bytes = scrubbed.bytes.saturating_add(before.len);
    match known {
        Some(known) if known != read => scrubbed.damaged.push(path()),
        Some(_) => {}
        // Being written again and again; what is noted now could be told of something else.
        None if may_change_unseen(&before) => {}
        None => {
            scrubbed.new += 1;
            file_meta::note_digest(fd(&file), &read, &before).map_err(ScrubError::Explained)?;
        }
    }
    Ok(())
}
