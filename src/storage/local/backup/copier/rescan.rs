//! What is done once all was copied: changed folders are looked through again, and folders get their times and permissions.

use super::{TreeCopier, TreeCopyLevel, look};
use crate::model::Result;
use crate::storage::local::backup::{ATTEMPTS, DOING};
use crate::storage::local::errors::map_errno;
use crate::storage::local::internal_dirs::{self, TMP, TRASH_INFO};
use crate::storage::local::sys::{self, FileKind, Lookup, fd};
use crate::storage::local::tmp_names::entry_of_pending;
use crate::storage::local::trashinfo::TRASHINFO;
use crate::storage::local::walk;
use std::os::fd::BorrowedFd;

impl TreeCopier<'_> {
    /// Goes through the folders that have changed since they were read.
    pub(super) fn rescan_changed(&mut self) -> Result<()> {
        for index in 0..self.folders.len() {
            let Some((path, before)) = self.folders.get(index).cloned() else {
                continue;
            };
            let Ok(from) = sys::open_folder(self.source, &path, Lookup::Full) else {
                continue;
            };
            let facts = look(&from)?;
            if facts.changed != 0
                && (facts.changed, facts.found.inode) == (before.changed, before.found.inode)
            {
                continue;
            }
            let to = sys::open_folder(self.target, &path, Lookup::Full)
                .map_err(|e| map_errno(DOING, e))?;
            if let Some(folder) = self.folders.get_mut(index) {
                folder.1 = facts;
            }
            let level = self.read(TreeCopyLevel {
                from,
                to,
                path,
                waiting: Vec::new(),
            })?;
            self.descend(level)?;
        }
        Ok(())
    }

    /// Copies what is on its way to another tree and meanwhile lies in what is temporary, which is left out else: as it lies there, with the note
    /// that says where it lay, so that it goes back when the copy is used.
    pub(super) fn copy_trash_pending(&mut self) -> Result<()> {
        let source = self.source;
        let find = |path| internal_dirs::find(source, path).map_err(|e| map_errno(DOING, e));
        let (Some(tmp), Some(info)) = (find(TMP)?, find(TRASH_INFO)?) else {
            return Ok(());
        };
        if !self.options.skip.contains(&TMP) {
            return Ok(());
        }
        let names = walk::names(fd(&tmp)).map_err(|e| map_errno(DOING, e))?;
        for (name, trash_entry) in names
            .iter()
            .filter_map(|name| Some((name, entry_of_pending(name)?)))
        {
            let Ok(found) = sys::stat_at(fd(&tmp), name) else {
                continue;
            };
            if self.copied.contains_inode(found.node.inode()) {
                continue;
            }
            internal_dirs::make(self.target)?;
            let to = internal_dirs::open(self.target, TMP)?;
            let notes = internal_dirs::open(self.target, TRASH_INFO)?;
            let note = format!("{trash_entry}{TRASHINFO}");
            self.copy_file(fd(&info), fd(&notes), &note, format!("{TRASH_INFO}/{note}"))?;
            let from =
                sys::open_folder(fd(&tmp), "", Lookup::Full).map_err(|e| map_errno(DOING, e))?;
            if found.kind == FileKind::File {
                self.copy_file(fd(&from), fd(&to), name, format!("{TMP}/{name}"))?;
            } else {
                self.descend(TreeCopyLevel {
                    from,
                    to,
                    path: TMP.to_owned(),
                    waiting: vec![name.clone()],
                })?;
            }
        }
        Ok(())
    }

    /// Gives the folders of the copy their times and permissions, now that nothing is put into them any more.
    pub(in super::super) fn finish_folders(&mut self) -> Result<()> {
        for (path, facts) in std::mem::take(&mut self.folders).into_iter().rev() {
            let made = sys::open_folder(self.target, &path, Lookup::Full)
                .map_err(|e| map_errno(DOING, e))?;
            sys::set_access(fd(&made), &facts).map_err(|e| map_errno(DOING, e))?;
            self.copy_attributes_of(&path, fd(&made))?;
            sys::set_modified(fd(&made), facts.found.node.modified)
                .map_err(|e| map_errno(DOING, e))?;
        }
        Ok(())
    }

    /// Our attributes of a folder, if it is still there.
    fn copy_attributes_of(&mut self, path: &str, made: BorrowedFd<'_>) -> Result<()> {
        let Ok(from) = sys::open_folder(self.source, path, Lookup::Full) else {
            return Ok(());
        };
        for _ in 0..ATTEMPTS {
            if self.copy_attributes(fd(&from), made)? {
                return self.ids.transfer(fd(&from), made);
            }
        }
        self.record_failure(
            path,
            "its properties changed again and again while they were copied",
        );
        Ok(())
    }
}
