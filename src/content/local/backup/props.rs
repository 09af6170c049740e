//! The overflow files that attributes of a copy name: each comes with what names it, and no other comes. Where the file system of the
//! copy takes less in an attribute than that of the tree, properties go to an overflow file there.

use super::walk::{DOING, Walk, explain_attributes};
use crate::content::local::os::{self, Errno, Lookup, fd};
use crate::content::local::overflow::{PROPS, named, new_name, reference};
use crate::content::local::root::explain;
use crate::model::Result;
use std::ffi::CString;
use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};

impl Walk<'_> {
    /// Gives a copy our attributes, and brings the overflow file that they name. `false` when that is gone, as the properties were
    /// changed meanwhile. What is lost for the tree is lost for the copy.
    pub fn copy_attributes(&mut self, from: BorrowedFd<'_>, copy: BorrowedFd<'_>) -> Result<bool> {
        if let Some(props) = os::copy_attributes(from, copy).map_err(explain_attributes)? {
            return self.spill(copy, &props).map(|()| true);
        }
        let look = |file| os::props_fd(file).map_err(|e| explain(DOING, e));
        Ok(self.bring_overflow(copy)? || look(from)? == look(copy)?)
    }

    /// Brings the overflow file that the attribute of a copy names, if it names one; `false` when there is none.
    pub fn bring_overflow(&mut self, copy: BorrowedFd<'_>) -> Result<bool> {
        let stored = os::props_fd(copy).map_err(|e| explain(DOING, e))?;
        let Some(name) = stored.as_deref().and_then(named) else {
            return Ok(true);
        };
        let path = format!("{PROPS}/{name}");
        if self.has_taken(&path) {
            return Ok(true);
        }
        let to = self.overflow_of_copy()?;
        if let Ok(from) = os::open_folder(self.source(), PROPS, Lookup::Full) {
            self.copy_file(fd(&from), fd(&to), name, path.clone())?;
        }
        // One that was made for a former copy is in that only.
        Ok(self.has_taken(&path)
            || self
                .former()
                .any(|former| former.lend(&path, (fd(&to), name))))
    }

    /// Lets the attribute of a copy name a new overflow file that holds its properties.
    fn spill(&self, copy: BorrowedFd<'_>, props: &[u8]) -> Result<()> {
        let (to, name) = (self.overflow_of_copy()?, new_name()?);
        let written = os::create_file(fd(&to), &name)
            .and_then(|file| os::write_all(fd(&file), &mut [IoSlice::new(props)], 0))
            .and_then(|()| os::set_props(copy, &reference(&name)));
        written.map_err(explain_attributes)
    }

    /// The open folder of overflow files of the copy.
    fn overflow_of_copy(&self) -> Result<OwnedFd> {
        let (own, _) = PROPS.split_once('/').unwrap_or_default();
        for path in [own, PROPS] {
            match CString::new(path).map_or(Err(Errno::INVAL), |path| {
                os::make_folder_raw(self.target(), &path)
            }) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(explain(DOING, e)),
            }
        }
        os::open_folder(self.target(), PROPS, Lookup::Full).map_err(|e| explain(DOING, e))
    }
}
