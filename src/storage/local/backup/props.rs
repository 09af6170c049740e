//! The overflow files that attributes of a copy name: each comes with what names it, and no other comes. Where the file system of the
//! copy takes less in an attribute than that of the tree, properties go to an overflow file there.

use super::DOING;
use super::copier::{TreeCopier, explain_attributes};
use crate::model::Result;
use crate::storage::local::errors::map_errno;
use crate::storage::local::internal_dirs::PROPS;
use crate::storage::local::names::random_name;
use crate::storage::local::overflow::{parse_reference, reference};
use crate::storage::local::sys::{self, Errno, Lookup, fd};
use std::ffi::CString;
use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};

impl TreeCopier<'_> {
    /// Gives a copy our attributes, and brings the overflow file that they name. `false` when that is gone, as the properties were
    /// changed meanwhile. What is lost for the tree is lost for the copy.
    pub fn copy_attributes(&mut self, from: BorrowedFd<'_>, copy: BorrowedFd<'_>) -> Result<bool> {
        if let Some(props) = sys::copy_attributes(from, copy).map_err(explain_attributes)? {
            return self.spill(copy, &props).map(|()| true);
        }
        let look = |file| sys::props_fd(file).map_err(|e| map_errno(DOING, e));
        Ok(self.copy_overflow(copy)? || look(from)? == look(copy)?)
    }

    /// Brings the overflow file that the attribute of a copy names, if it names one; `false` when there is none.
    pub fn copy_overflow(&mut self, copy: BorrowedFd<'_>) -> Result<bool> {
        let stored = sys::props_fd(copy).map_err(|e| map_errno(DOING, e))?;
        let Some(name) = stored.as_deref().and_then(parse_reference) else {
            return Ok(true);
        };
        let path = format!("{PROPS}/{name}");
        if self.is_copied(&path) {
            return Ok(true);
        }
        let to = self.overflow_of_copy()?;
        if let Ok(from) = sys::open_folder(self.source(), PROPS, Lookup::Full) {
            self.copy_file(fd(&from), fd(&to), name, path.clone())?;
        }
        // One that was made for a former copy is in that only.
        Ok(self.is_copied(&path)
            || self
                .parents()
                .any(|former| former.link_path(&path, (fd(&to), name))))
    }

    /// Lets the attribute of a copy name a new overflow file that holds its properties.
    fn spill(&self, copy: BorrowedFd<'_>, props: &[u8]) -> Result<()> {
        let to = self.overflow_of_copy()?;
        let name = random_name()?;
        let written = sys::create_file(fd(&to), &name)
            .and_then(|file| sys::write_all(fd(&file), &mut [IoSlice::new(props)], 0))
            .and_then(|()| sys::set_props(copy, &reference(&name)));
        written.map_err(explain_attributes)
    }

    /// The open folder of overflow files of the copy.
    fn overflow_of_copy(&self) -> Result<OwnedFd> {
        let (own, _) = PROPS.split_once('/').unwrap_or_default();
        for path in [own, PROPS] {
            match CString::new(path).map_or(Err(Errno::INVAL), |path| {
                sys::make_folder_raw(self.target(), &path)
            }) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(map_errno(DOING, e)),
            }
        }
        sys::open_folder(self.target(), PROPS, Lookup::Full).map_err(|e| map_errno(DOING, e))
    }
}
