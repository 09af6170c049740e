//! The ids of what is copied: a copy of a whole tree has the same files as the tree, on other inodes.

use super::DOING;
use crate::model::Result;
use crate::storage::local::errors::map_errno;
use crate::storage::local::file_meta::{FileMeta, TreeLocation};
use crate::storage::local::relocated;
use crate::storage::local::sys::{self, Errno};
use crate::storage::{FileId, Node};
use std::collections::HashSet;
use std::os::fd::BorrowedFd;

/// The ids of what is copied from one tree.
#[derive(Debug)]
pub(super) struct CopiedFileIds {
    /// How they are to be read; `None` for what is no tree of ours: nothing in it has one.
    lies: Option<TreeLocation>,
    /// Those of files with several names, which become several files: the first keeps it.
    linked: HashSet<FileId>,
}

impl CopiedFileIds {
    /// Of the tree in a folder.
    pub fn of(top: BorrowedFd<'_>) -> Result<Self> {
        let lies = relocated::locate(top).map_err(|e| map_errno(DOING, e))?;
        Ok(Self {
            lies,
            linked: HashSet::new(),
        })
    }

    /// That of an open file or folder, which is `node`.
    pub fn of_file(&self, file: BorrowedFd<'_>, node: &Node) -> Result<Option<FileId>> {
        let Some(lies) = self.lies else {
            return Ok(None);
        };
        Ok(meta(file)?.map(|meta| meta.id_where(lies, node)))
    }

    /// As [`transfer`](Self::transfer), to a second name of what a former copy holds: only where that was made before files had ids,
    /// for its meta is that of all its names.
    pub fn transfer_if_missing(
        &mut self,
        from: BorrowedFd<'_>,
        copy: BorrowedFd<'_>,
    ) -> Result<()> {
        let has_id = meta(copy)?.is_some_and(|meta| meta.stored_id().is_some());
        if has_id {
            Ok(())
        } else {
            self.transfer(from, copy)
        }
    }

    /// Lets a copy that is finished have the id of what it is a copy of, and what else its meta says.
    pub fn transfer(&mut self, from: BorrowedFd<'_>, copy: BorrowedFd<'_>) -> Result<()> {
        let (Some(lies), Some(meta)) = (self.lies, meta(from)?) else {
            return Ok(());
        };
        let look = |file| sys::stat_fd(file).map_err(|e| map_errno(DOING, e));
        let old = look(from)?;
        let new = look(copy)?.node;
        let is_taken = !old.node.folder
            && old.links > 1
            && !self.linked.insert(meta.id_where(lies, &old.node));
        let meta = if is_taken {
            FileMeta::new(FileId::new()?, meta.digest(&old.node).as_ref(), &new)
        } else {
            meta.for_tree_copy(lies, &old.node, &new)
        };
        match meta.store(copy) {
            // Metadata that were there have been copied, or it has failed for them.
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(e) => Err(map_errno(DOING, e)),
        }
    }
}

/// `None` where the file system has no attributes.
fn meta(file: BorrowedFd<'_>) -> Result<Option<FileMeta>> {
    match FileMeta::of_file(file) {
        Ok(meta) => Ok(Some(meta)),
        Err(Errno::OPNOTSUPP) => Ok(None),
        Err(e) => Err(map_errno(DOING, e)),
    }
}
