//! One file of a copy: a second name for what a former copy holds unchanged, else its bytes, read from one open file and read
//! again should it change meanwhile.

use super::walk::{DOING, Walk};
use super::{Former, Mark};
use crate::content::local::os::{self, Errno, Facts, Kind, Lookup, fd};
use crate::content::local::root::explain;
use crate::model::{Error, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

/// How often a file that changes meanwhile is copied.
pub(super) const TRIES: usize = 5;

/// What became of one try to copy.
pub(super) enum Try {
    Done(OwnedFd),
    Changed(Facts),
    Failed(Errno),
}

impl Walk<'_> {
    /// Brings the file `name` into the copy.
    pub fn copy_file(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &str,
        path: String,
    ) -> Result<()> {
        let opened = os::open_read(from, name, Lookup::Full)
            .and_then(|file| Ok((os::facts_fd(fd(&file))?, file)));
        let (mut facts, file) = match opened {
            Ok((facts, file)) if facts.found.kind == Kind::File => (facts, file),
            Ok(_) => return Ok(()),
            Err(e) => return self.pass_over(to, &path, e),
        };
        let id = self.ids.of_file(fd(&file), &facts.found.node)?;
        let mark = Mark::new(path.clone(), &facts, id);
        if !self.is_wanted(&mark) {
            return Ok(());
        }
        if self.link((to, name), &mark, fd(&file))? {
            self.tally.linked += 1;
            return self.count(&mark);
        }
        let raw = CString::new(name).map_err(|_| Error::NotFound)?;
        for _ in 0..TRIES {
            match copy(self, &file, &facts, (to, &raw))? {
                Try::Done(copy) => {
                    let made = os::stat_fd(fd(&copy)).map_err(|e| explain(DOING, e))?;
                    self.tally.copied += 1;
                    self.tally.copied_bytes += made.node.len;
                    return self.count(&Mark::new(path, &facts, id));
                }
                Try::Changed(now) => facts = now,
                Try::Failed(errno) => {
                    let _ = os::unlink_file(to, name);
                    return self.keep(to, path.as_ref(), &format!("it cannot be copied ({errno})"));
                }
            }
        }
        let _ = os::unlink_file(to, name);
        self.keep(
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
        mark: &Mark,
        from: BorrowedFd<'_>,
    ) -> Result<bool> {
        if !self.former().any(|former| link(former, mark, to)) {
            return Ok(false);
        }
        let copy = os::open_read(to.0, to.1, Lookup::Full).map_err(|e| explain(DOING, e))?;
        if self.bring_overflow(fd(&copy))? {
            return self.ids.complete(from, fd(&copy)).map(|()| true);
        }
        let _ = os::unlink_file(to.0, to.1);
        Ok(false)
    }

    fn count(&mut self, mark: &Mark) -> Result<()> {
        self.tally.files += 1;
        self.tally.bytes += mark.len;
        self.take(mark)
    }
}

/// Gives what a former copy holds of the same file a name in this one; `false` when it holds nothing, or not this.
fn link(former: &Former, mark: &Mark, to: (BorrowedFd<'_>, &str)) -> bool {
    let Some(path) = former.place_of(mark) else {
        return false;
    };
    let from = (fd(&former.dir), path.as_str());
    let linked = os::link(from, to).or_else(|e| {
        // What was there before has another file in its place.
        if e == Errno::EXIST {
            os::unlink_file(to.0, to.1).and_then(|()| os::link(from, to))
        } else {
            Err(e)
        }
    });
    let copy = linked.and_then(|()| os::stat_at(to.0, to.1));
    let is_it = copy.as_ref().is_ok_and(|copy| {
        let [_, _, modified, len] = copy.node.etag.0;
        copy.kind == Kind::File && (modified, len) == (mark.modified, mark.len)
    });
    if copy.is_ok() && !is_it {
        let _ = os::unlink_file(to.0, to.1);
    }
    is_it
}

pub(super) fn copy(
    walk: &mut Walk<'_>,
    file: &OwnedFd,
    facts: &Facts,
    to: (BorrowedFd<'_>, &CStr),
) -> Result<Try> {
    let made = os::create_file_raw(to.0, to.1).or_else(|e| {
        if e == Errno::EXIST {
            os::unlink(to.0, to.1).and_then(|()| os::create_file_raw(to.0, to.1))
        } else {
            Err(e)
        }
    });
    let made = made.map_err(|e| explain(DOING, e))?;
    match os::copy_content(fd(file), fd(&made), facts.found.node.len) {
        Ok(_) => {}
        Err(e @ (Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::FBIG)) => {
            return Err(explain(DOING, e));
        }
        Err(e) => return Ok(Try::Failed(e)),
    }
    if !walk.copy_attributes(fd(file), fd(&made))? {
        return os::facts_fd(fd(file))
            .map(Try::Changed)
            .map_err(|e| explain(DOING, e));
    }
    os::set_access(fd(&made), facts).map_err(|e| explain(DOING, e))?;
    os::set_modified(fd(&made), facts.found.node.modified).map_err(|e| explain(DOING, e))?;
    let now = os::facts_fd(fd(file)).map_err(|e| explain(DOING, e))?;
    // Taking away or adding a name changes nothing in it.
    let is_same = now.found.node.etag == facts.found.node.etag
        && os::stat_fd(fd(&made)).is_ok_and(|copy| copy.node.len == facts.found.node.len);
    if !is_same {
        return Ok(Try::Changed(now));
    }
    walk.ids.hand_over(fd(file), fd(&made))?;
    Ok(Try::Done(made))
}
