//! Copies: made whole in `.sarang/tmp`, then shown in one rename.

use super::access;
use super::change::{check_no_overlap, ensure_trash_entry, note_if_folder, prepare_trash_entry};
use super::change_log::{self, LoggedChange};
use super::copy_content::ContentCopier;
use super::dirs::ParentDir;
use super::errors::map_errno;
use super::internal_dirs::TMP;
use super::names::{NameAt, PathAt, replaceable, require_file_or_folder};
use super::overflow::inner_mounts;
use super::props;
use super::remove_tree::remove_tree;
use super::reservation::LocalReservation;
use super::root::TreeRoot;
use super::sys::{self, FileKind, FileStat, Lookup, fd};
use super::trash::TrashEntry;
use super::usage_counter::UsageDelta;
use crate::model::{Error, RelPath, Result};
use crate::storage::{Changed, CopyDepth, Node, WriteOptions};
use std::cell::OnceCell;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

const DOING: &str = "copy it";

/// Copies `from` to `to`.
pub(super) fn copy(
    root: &Arc<TreeRoot>,
    from: &RelPath,
    to: &RelPath,
    reach: CopyDepth,
    commit: &WriteOptions,
) -> Result<Changed> {
    if check_no_overlap(from, to)? {
        return Err(Error::Forbidden("Source and target are the same."));
    }
    root.check_new_name(to)?;
    let (source, found) = open_source(root, from)?;
    let mut target = root.open_parent(to)?;
    let there = replaceable(target.find()?.1)?;
    check_preconditions_early(commit, &found.node, there.is_some())?;
    let old = there.as_ref().map_or(0, |there| there.node.len);
    let onto =
        there.filter(|there| there.kind == FileKind::Folder && found.kind == FileKind::Folder);
    if reach == CopyDepth::Zero && onto.is_some() {
        return copy_props_onto(root, (from, fd(&source)), to, commit);
    }
    let mut trash_entry = prepare_trash_entry(root, &target, to, commit)?;
    let mut copied = stage(
        root,
        (fd(&source), &found),
        reach,
        (&target, to),
        (commit, old),
    )?;
    let changed = {
        let _guard = root.lock_names();
        target.refresh()?;
        let present = root.stat(from, Lookup::Full)?;
        let (name, there) = target.find()?;
        let there = replaceable(there)?;
        if there.is_some() && !commit.overwrite {
            return Err(Error::PreconditionFailed);
        }
        let growth = UsageDelta {
            added: copied.copier.bytes(),
            removed: there.as_ref().map_or(0, |old| old.node.len),
        };
        let step = root.check_step(commit, present.as_ref())?;
        root.check_limit(growth, commit.limit)?;
        let here = (target.dir(), name.as_ref());
        copied.publish(here, there.as_ref(), &mut trash_entry, (to, commit))?;
        match there {
            Some(there) => step.made(Some(there.node)),
            None => step.made_beside(None),
        }
    };
    trash_entry.map_or(Ok(()), |trash_entry| trash_entry.sync(commit))?;
    root.sync_if_strict(target.dir())?;
    Ok(changed)
}

/// Makes the copy in `.sarang/tmp`; `replaced` bytes go when it is shown.
fn stage<'a>(
    root: &'a Arc<TreeRoot>,
    (source, found): (BorrowedFd<'_>, &FileStat),
    reach: CopyDepth,
    (target, to): (&ParentDir<'_>, &RelPath),
    (commit, replaced): (&'a WriteOptions, u64),
) -> Result<StagedCopy<'a>> {
    // Of a whole tree all is put on the disk in one go.
    let is_synced = found.kind == FileKind::File || reach == CopyDepth::Zero;
    let reservation = LocalReservation::new(root, commit.limit, replaced);
    let copier = ContentCopier::new(
        (root, root, target.dir()),
        is_synced,
        reservation,
        commit.access(),
    )?;
    let staged = StagedCopy {
        root,
        name: root.new_stamp(),
        kind: found.kind,
        copier,
        inode: OnceCell::new(),
        published: false,
    };
    staged.fill(source, found, reach, (target, to))?;
    staged.record_inode()?;
    Ok(staged)
}

/// A copy in `.sarang/tmp` that vanishes unless published.
struct StagedCopy<'a> {
    root: &'a TreeRoot,
    name: String,
    kind: FileKind,
    copier: ContentCopier<'a>,
    /// Its inode, once it is filled.
    inode: OnceCell<u64>,
    published: bool,
}

impl<'a> StagedCopy<'a> {
    /// Shows the copy in its place, from which what is there goes to the trash; called under the guard.
    fn publish(
        &mut self,
        at: NameAt<'_>,
        old: Option<&FileStat>,
        trash_entry: &mut Option<TrashEntry<'a>>,
        (to, commit): (&RelPath, &WriteOptions),
    ) -> Result<()> {
        let root = self.root;
        match old {
            Some(old) => {
                let path = format!("{TMP}/{}", self.name);
                let here = PathAt {
                    dir: fd(&root.tmp),
                    name: &self.name,
                    path: &path,
                };
                let trash_entry = ensure_trash_entry(root, trash_entry, to, commit)?;
                trash_entry.replace(here, self.kind, at, old)?;
                trash_entry.uncount(old);
                note_if_folder(root, old);
                root.change_log
                    .append(root, &[change_log::deleted(to, trash_entry.name())]);
            }
            None => root
                .publish_from_tmp(self.kind, (fd(&root.tmp), &self.name), at)
                .map_err(|e| map_errno(DOING, e))?,
        }
        self.mark_published();
        root.change_log
            .append(root, &[LoggedChange::Made(to.as_str().to_owned())]);
        Ok(())
    }

    /// Whether what lies there was made for it: it may be what it was to replace, which could neither be buried nor put back. The next start
    /// finishes that.
    fn is_own_inode(&self) -> bool {
        let found = sys::stat_at(fd(&self.root.tmp), &self.name).map(|found| found.inode);
        self.inode.get().is_none_or(|made| found == Ok(*made))
    }

    /// Notes that it has its place.
    fn mark_published(&mut self) {
        self.published = true;
        let (new, reservation) = self.copier.reserved();
        let growth = UsageDelta {
            added: *new,
            removed: 0,
        };
        reservation.apply_upload(growth, None);
    }

    /// Notes what was made.
    fn record_inode(&self) -> Result<()> {
        let found =
            sys::stat_at(fd(&self.root.tmp), &self.name).map_err(|e| map_errno(DOING, e))?;
        let _ = self.inode.set(found.inode);
        Ok(())
    }

    /// Copies the content and makes it durable, if the settings want that.
    fn fill(
        &self,
        source: BorrowedFd<'_>,
        found: &FileStat,
        reach: CopyDepth,
        (target, to): (&ParentDir<'_>, &RelPath),
    ) -> Result<()> {
        let tmp = fd(&self.root.tmp);
        let name = CString::new(self.name.as_str()).map_err(|_| Error::NotFound)?;
        if self.kind == FileKind::File {
            let made = self.copier.copy_file(source, tmp, &name)?;
            access::inherit_from_replaced(target, fd(&made))?;
            return self.root.sync_if_strict(fd(&made));
        }
        debug_assert!(found.node.folder);
        // Opened before anything is written: syncfs(2) tells each open file of a write error once, and of those since it was opened.
        let witness = sys::open_folder(tmp, "", Lookup::Full).map_err(|e| map_errno(DOING, e))?;
        let made = self.copier.create_folder(source, tmp, &name)?;
        if reach == CopyDepth::Zero {
            return self.root.sync_if_strict(fd(&made));
        }
        self.copier.copy_below(source, made, to.remaining()?)?;
        if self.root.is_strict() {
            // One wait for the whole tree instead of one a file.
            sys::sync_all(fd(&witness)).map_err(|e| Error::io("write to the disk", e))?;
        }
        Ok(())
    }
}

impl Drop for StagedCopy<'_> {
    fn drop(&mut self) {
        if !self.published && self.is_own_inode() {
            let tmp = fd(&self.root.tmp);
            // What stays is swept at the next start.
            let _ = match self.kind {
                FileKind::Folder => remove_tree(tmp, &self.name, &mut |_, _| {}),
                _ => sys::unlink_file(tmp, &self.name).map_err(|e| map_errno(DOING, e)),
            };
            self.root.overflow.note_unreferenced();
        }
    }
}

/// Spares the work when the change would be refused anyway; the judgement that counts is made under the guard.
fn check_preconditions_early(commit: &WriteOptions, source: &Node, taken: bool) -> Result<()> {
    let refused = !commit.expect().holds(Some(source)) || (taken && !commit.overwrite);
    if refused {
        Err(Error::PreconditionFailed)
    } else {
        Ok(())
    }
}

fn open_source(root: &TreeRoot, path: &RelPath) -> Result<(OwnedFd, FileStat)> {
    let opened = root
        .open_path(path, Lookup::Full, sys::open_read)?
        .ok_or(Error::NotFound)?;
    let found =
        require_file_or_folder(sys::stat_fd(fd(&opened)).map_err(|e| map_errno(DOING, e))?)?;
    Ok((opened, found))
}

fn copy_props_onto(
    root: &TreeRoot,
    from: (&RelPath, BorrowedFd<'_>),
    to: &RelPath,
    commit: &WriteOptions,
) -> Result<Changed> {
    let (target, changed) = {
        let _guard = root.lock_names();
        let present = root.stat(from.0, Lookup::Full)?;
        let (target, kept) = open_source(root, to)?;
        inner_mounts::note(root, &root.overflow, to, fd(&target))?;
        let step = root.check_step(commit, present.as_ref())?;
        props::copy_onto(root, from.1, fd(&target), commit.limit)?;
        (target, step.made_beside(Some(kept.node)))
    };
    root.sync_if_strict(fd(&target))?;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::super::tests::RELAXED;
    use super::*;
    use crate::model::Irrevocable;
    use std::fs;

    /// As after a swap whose second step, and its way back, have failed.
    #[test]
    fn what_a_copy_was_to_replace_is_not_deleted_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = Arc::new(TreeRoot::open(dir.path(), RELAXED).unwrap());
        for is_swapped in [true, false] {
            let made = dir.path().join(TMP).join("copy");
            fs::create_dir(&made).unwrap();
            let fill = ContentCopier::new(
                (&root, &root, fd(&root.dir)),
                false,
                LocalReservation::none(&root),
                &Irrevocable,
            )
            .unwrap();
            let name = "copy".to_owned();
            let made_at = OnceCell::new();
            let copied = StagedCopy {
                root: &root,
                name,
                kind: FileKind::Folder,
                copier: fill,
                inode: made_at,
                published: false,
            };
            copied.record_inode().unwrap();
            if is_swapped {
                fs::rename(&made, dir.path().join("target")).unwrap();
                fs::create_dir(&made).unwrap();
            }
            drop(copied);
            assert_eq!(made.exists(), is_swapped);
            let _ = fs::remove_dir(made);
        }
    }
}
