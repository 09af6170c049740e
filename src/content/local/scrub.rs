//! Reads every file again and compares it with the hash that was kept when it came.

use super::digest;
use super::label;
use super::os::{self, Errno, Lookup, fd};
use super::read::{TICK, may_change_unseen};
use super::root::{existing, explain};
use super::walk::{self, Met, Top};
use crate::content::{Node, Scrubbed};
use crate::model::{Error, Result};
use std::os::fd::BorrowedFd;

/// The folders of a tree whose files are kept, beside the tree itself.
const KEPT: [&str; 2] = [".sarang/trash/files", ".sarang/versions"];

/// What went wrong in a walk: a system call, or something that has a sentence already.
enum Failure {
    System(Errno),
    Told(Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

/// Reads all files, trash and versions too. Files whose hash is not known get one, so that the next scrub can compare.
pub(super) fn scrub(root: BorrowedFd<'_>) -> Result<Scrubbed> {
    let mut scrubbed = Scrubbed::default();
    for top in [""].into_iter().chain(KEPT) {
        let dir = match os::open_folder(root, top, Lookup::Full) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(explain("read the files", e)),
        };
        let at = if top.is_empty() {
            Top::Tree
        } else {
            Top::Folder
        };
        walk::files(dir, at, |met, _| look(met, top, &mut scrubbed)).map_err(|failure| {
            match failure {
                Failure::System(errno) => explain("read the files", errno),
                Failure::Told(error) => error,
            }
        })?;
    }
    Ok(scrubbed)
}

fn look(met: &Met<'_>, top: &str, scrubbed: &mut Scrubbed) -> Result<(), Failure> {
    let path = || {
        if top.is_empty() {
            met.path()
        } else {
            format!("{top}/{}", met.path())
        }
    };
    let file = match os::open_read_raw(met.dir, met.raw) {
        Ok(file) => file,
        // It went away, or may not be read.
        Err(Errno::NOENT | Errno::LOOP | Errno::ACCESS | Errno::PERM) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let see = || -> Result<Node, Failure> {
        existing(os::stat_fd(fd(&file))?)
            .map(|found| found.node)
            .map_err(Failure::Told)
    };
    let mut before = see()?;
    if may_change_unseen(&before) {
        std::thread::sleep(TICK);
        before = see()?;
    }
    let known = label::digest_of(fd(&file), &before);
    let Ok(read) = digest::read(fd(&file)) else {
        scrubbed.unreadable.push(path());
        return Ok(());
    };
    if os::stat_fd(fd(&file))?.node.etag != before.etag {
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
            label::note_digest(fd(&file), &read, &before).map_err(Failure::Told)?;
        }
    }
    Ok(())
}
