//! One file of a copy: a second name for what a former copy holds unchanged, else its bytes, read from one open file and read
//! again should it change meanwhile.

use super::copier::TreeCopier;
use super::{ATTEMPTS, DOING, IndexEntry, ParentCopy};
use crate::model::{Error, Result};
use crate::storage::local::errors::map_errno;
use crate::storage::local::sys::{self, CopyMetadata, Errno, FileKind, Lookup, fd};
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

/// What became of one try to copy.
pub(super) enum CopyAttempt {
    Done(OwnedFd),
    Changed(CopyMetadata),
    Failed(Errno),
}

impl TreeCopier<'_> {
    /// Brings the file `name` into the copy.
    pub fn copy_file(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &str,
        path: String,
    ) -> Result<()> {
        let opened = sys::open_read(from, name, Lookup::Full)
            .and_then(|file| Ok((sys::facts_fd(fd(&file))?, file)));
        let (mut facts, file) = match opened {
            Ok((facts, file)) if facts.found.kind == FileKind::File => (facts, file),
            Ok(_) => return Ok(()),
            Err(e) => return self.handle_read_error(to, &path, e),
        };
        let id = self.ids.of_file(fd(&file), &facts.found.node)?;
        let mark = IndexEntry::new(path.clone(), &facts, id);
        if !self.needs_copy(&mark) {
            return Ok(());
        }
        if self.link((to, name), &mark, fd(&file))? {
            self.stats.linked += 1;
            return self.record_file(&mark);
        }
        let raw = CString::new(name).map_err(|_| Error::NotFound)?;
        for _ in 0..ATTEMPTS {
            match copy(self, &file, &facts, (to, &raw))? {
                CopyAttempt::Done(copy) => {
                    let made = sys::stat_fd(fd(&copy)).map_err(|e| map_errno(DOING, e))?;
                    self.stats.copied += 1;
                    self.stats.copied_bytes += made.node.len;
                    return self.record_file(&IndexEntry::new(path, &facts, id));
                }
                CopyAttempt::Changed(now) => facts = now,
                CopyAttempt::Failed(errno) => {
                    let _ = sys::unlink_file(to, name);
                    return self.use_fallback(
                        to,
                        path.as_ref(),
                        &format!("it cannot be copied ({errno})"),
                    );
                }
            }
        }
        let _ = sys::unlink_file(to, name);
        self.use_fallback(
            to,
            path.as_ref(),
            "it changed again and again while it was copied",
        )
    }

    /// Gives what a former copy holds of the same file a name in this one, with the overflow file of its properties; `false` when there
    /// is nothing of the kind.
    fn link(
        &mut self,
        to: (BorrowedFd<'_>, &str),
        mark: &IndexEntry,
        from: BorrowedFd<'_>,
    ) -> Result<bool> {
        if !self.parents().any(|former| link(former, mark, to)) {
            return Ok(false);
        }
        let copy = sys::open_read(to.0, to.1, Lookup::Full).map_err(|e| map_errno(DOING, e))?;
        if self.copy_overflow(fd(&copy))? {
            return self.ids.transfer_if_missing(from, fd(&copy)).map(|()| true);
        }
        let _ = sys::unlink_file(to.0, to.1);
        Ok(false)
    }

    fn record_file(&mut self, mark: &IndexEntry) -> Result<()> {
        self.stats.files += 1;
        self.stats.bytes += mark.len;
        self.record(mark)
    }
}

/// Gives what a former copy holds of the same file a name in this one; `false` when it holds nothing, or not this.
fn link(former: &ParentCopy, mark: &IndexEntry, to: (BorrowedFd<'_>, &str)) -> bool {
    let Some(path) = former.unchanged_path(mark) else {
        return false;
    };
    let from = (fd(&former.dir), path.as_str());
    let linked = sys::link(from, to).or_else(|e| {
        // What was there before has another file in its place.
        if e == Errno::EXIST {
            sys::unlink_file(to.0, to.1).and_then(|()| sys::link(from, to))
        } else {
            Err(e)
        }
    });
    let copy = linked.and_then(|()| sys::stat_at(to.0, to.1));
    let is_it = copy.as_ref().is_ok_and(|copy| {
        let [_, _, modified, len] = copy.node.etag.0;
        copy.kind == FileKind::File && (modified, len) == (mark.modified, mark.len)
    });
    if copy.is_ok() && !is_it {
        let _ = sys::unlink_file(to.0, to.1);
    }
    is_it
}

pub(super) fn copy(
    walk: &mut TreeCopier<'_>,
    file: &OwnedFd,
    facts: &CopyMetadata,
    to: (BorrowedFd<'_>, &CStr),
) -> Result<CopyAttempt> {
    let made = sys::create_file_raw(to.0, to.1).or_else(|e| {
        if e == Errno::EXIST {
            sys::unlink(to.0, to.1).and_then(|()| sys::create_file_raw(to.0, to.1))
        } else {
            Err(e)
        }
    });
    let made = made.map_err(|e| map_errno(DOING, e))?;
    match sys::copy_content(fd(file), fd(&made), facts.found.node.len) {
        Ok(_) => {}
        Err(e @ (Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::FBIG)) => {
            return Err(map_errno(DOING, e));
        }
        Err(e) => return Ok(CopyAttempt::Failed(e)),
    }
    if !walk.copy_attributes(fd(file), fd(&made))? {
        return sys::facts_fd(fd(file))
            .map(CopyAttempt::Changed)
            .map_err(|e| map_errno(DOING, e));
    }
    sys::set_modified(fd(&made), facts.found.node.modified).map_err(|e| map_errno(DOING, e))?;
    let now = sys::facts_fd(fd(file)).map_err(|e| map_errno(DOING, e))?;
    // Taking away or adding a name changes nothing in it.
    let is_same = now.found.node.etag == facts.found.node.etag
        && sys::stat_fd(fd(&made)).is_ok_and(|copy| copy.node.len == facts.found.node.len);
    if !is_same {
        return Ok(CopyAttempt::Changed(now));
    }
    walk.ids.transfer(fd(file), fd(&made))?;
    // Last, since a mode may be read-only.
    sys::set_access(fd(&made), facts).map_err(|e| map_errno(DOING, e))?;
    Ok(CopyAttempt::Done(made))
}
