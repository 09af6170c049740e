//! The trash, in freedesktop.org's layout: `trash/files/<name>` and `trash/info/<name>.trashinfo`.

use super::errors::map_errno;
use super::internal_dirs::TMP;
use super::missing_features::MissingFeature;
use super::names::{NameAt, PathAt};
use super::root::TreeRoot;
use super::sys::{self, FileKind, FileStat, Lookup, fd};
use super::tmp_names::pending_name;
use super::trashinfo::{TRASHINFO, trashinfo_of};
use super::usage_counter::UsageDelta;
use super::walk;
use crate::model::{AccountName, Error, RelPath, Result};
use crate::storage::WriteOptions;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{IoSlice, Read};
use std::os::fd::BorrowedFd;

/// How markers of unfinished swaps begin in `.sarang/tmp`.
const SWAP: &str = "swap-";
/// Bytes of the old name kept in the name in the trash.
const NAME: usize = 200;

/// A place in the trash whose description is written; undone when dropped before something was laid in it.
pub(super) struct TrashEntry<'a> {
    root: &'a TreeRoot,
    name: String,
    used: bool,
}

/// A swap that was begun: at `from` lies, or will lie, what belongs into the trash as `trash_entry`.
#[derive(Serialize, Deserialize)]
struct SwapMarker {
    from: String,
    inode: u64,
    /// As markers of before call it.
    #[serde(rename = "tomb")]
    trash_entry: String,
}

impl<'a> TrashEntry<'a> {
    /// Describes what is about to be laid into the trash.
    pub fn prepare(root: &'a TreeRoot, path: &RelPath, who: &AccountName) -> Result<Self> {
        let trash_entry = Self {
            root,
            name: new_trash_name(root, path.name().unwrap_or_default()),
            used: false,
        };
        let text = format!("{}X-Sarang-Who={who}\n", trashinfo_of(path.as_str()));
        write_small(root, fd(&root.trash_info), &trash_entry.info(), &text)?;
        root.trash_index.note_added(&trash_entry.name, path, who);
        Ok(trash_entry)
    }

    /// What is laid here is called so.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Moves a name here.
    pub fn move_in(&mut self, from: (BorrowedFd<'_>, &str)) -> Result<()> {
        self.root
            .rename_noreplace(from, self.inside())
            .map_err(|e| map_errno("move it to the trash", e))?;
        self.used = true;
        Ok(())
    }

    /// Takes a name out of sight, on its way here.
    pub fn move_to_pending(&mut self, from: NameAt<'_>) -> Result<()> {
        let name = pending_name(&self.name);
        self.root
            .rename_noreplace(from, (fd(&self.root.tmp), &name))
            .map_err(|e| map_errno("move it", e))?;
        self.used = true;
        Ok(())
    }

    /// Takes what was laid here out of the count; called under the guard.
    pub fn uncount(&self, found: &FileStat) {
        match found.kind {
            FileKind::Folder => self.root.usage.note_trashed(&self.name),
            _ => self.root.usage.apply(
                self.root,
                UsageDelta {
                    added: 0,
                    removed: found.node.len,
                },
            ),
        }
    }

    /// Makes the trash durable, if the settings want that; called after the guard.
    pub fn sync(&self, commit: &WriteOptions) -> Result<()> {
        self.root
            .sync_unless_deferred(commit, fd(&self.root.trash_files))
    }

    /// Moves `from` over `to`, and what was there into the trash. Whoever looks sees what was before or what is after:
    /// a file gets a second name outside the trash first, is replaced in one rename, and then moves on into the trash; with a folder,
    /// which cannot have two names, the two are swapped in one step and the old one moves on. A crash between the steps is finished
    /// or taken back at the next start: by the second name and the note, or from a marker written before.
    pub fn replace(
        &mut self,
        from: PathAt<'_>,
        from_kind: FileKind,
        to: (BorrowedFd<'_>, &str),
        old: &FileStat,
    ) -> Result<()> {
        let leaving = pending_name(&self.name);
        let aside = (fd(&self.root.tmp), leaving.as_str());
        let files_only = from_kind == FileKind::File && old.kind == FileKind::File;
        if files_only && sys::link(to, aside).is_ok() {
            return self.replace_file((from.dir, from.name), to, aside);
        }
        if self.root.missing_features.has(MissingFeature::Exchange) {
            return self.replace_in_turn((from.dir, from.name), to, aside);
        }
        self.swap(from, to, old)
    }

    /// As a swap, where two names cannot change places: what was there goes aside first. If a crash comes before the other has its place,
    /// it goes back, as its note says; if it comes after, into the trash.
    fn replace_in_turn(
        &mut self,
        from: NameAt<'_>,
        to: NameAt<'_>,
        aside: NameAt<'_>,
    ) -> Result<()> {
        self.move_to_pending(to)?;
        let moved = self
            .root
            .rename_noreplace(from, to)
            .map_err(|e| map_errno("put it in its place", e));
        let outcome = match moved {
            Ok(()) => self.move_in(aside),
            Err(e) => Err(e),
        };
        let is_back = || {
            let is_from_back = sys::stat_at(from.0, from.1).is_ok()
                || self.root.rename_noreplace(to, from).is_ok();
            is_from_back && self.root.rename_noreplace(aside, to).is_ok()
        };
        // Where it cannot be put back, the next start does, which needs the note.
        self.used = outcome.is_ok() || !is_back();
        outcome
    }

    /// Moves something by way of `.sarang/tmp`, from where a crash puts it back: between two names that are one for the file system.
    pub fn rename_via_tmp(mut self, from: NameAt<'_>, to: NameAt<'_>) -> Result<()> {
        self.move_to_pending(from)?;
        let leaving = pending_name(&self.name);
        let aside = (fd(&self.root.tmp), leaving.as_str());
        let moved = self
            .root
            .rename_noreplace(aside, to)
            .map_err(|e| map_errno("move it", e));
        self.used = moved.is_err() && self.root.rename_noreplace(aside, from).is_err();
        moved
    }

    fn replace_file(&mut self, from: NameAt<'_>, to: NameAt<'_>, aside: NameAt<'_>) -> Result<()> {
        if let Err(e) = sys::rename_over(from, to) {
            let _ = sys::unlink_file(aside.0, aside.1);
            return Err(map_errno("put it in its place", e));
        }
        let buried = self.move_in(aside);
        if buried.is_err()
            && sys::exchange(aside, to)
                .and_then(|()| self.root.rename_noreplace(aside, from))
                .is_err()
        {
            // What is aside comes to the trash at the next start, which needs its note.
            self.used = true;
        }
        buried
    }

    fn swap(&mut self, from: PathAt<'_>, to: (BorrowedFd<'_>, &str), old: &FileStat) -> Result<()> {
        let marker = format!("{SWAP}{}", self.root.new_stamp());
        let swap = SwapMarker {
            from: from.path.to_owned(),
            inode: old.inode,
            trash_entry: self.name.clone(),
        };
        let text = serde_json::to_string(&swap)
            .map_err(|e| Error::io("write a marker", std::io::Error::other(e)))?;
        let tmp = fd(&self.root.tmp);
        write_small(self.root, tmp, &marker, &text)?;
        let here = (from.dir, from.name);
        let swapped = sys::exchange(here, to)
            .map_err(|e| map_errno("put it in its place", e))
            .and_then(|()| {
                let buried = self.move_in(here);
                // Where it cannot be taken back either, the next start finishes it, which needs the note.
                self.used |= buried.is_err() && sys::exchange(here, to).is_err();
                buried
            });
        if swapped.is_ok() || !self.used {
            let _ = sys::unlink_file(tmp, &marker);
        }
        swapped
    }

    fn inside(&self) -> (BorrowedFd<'_>, &str) {
        (fd(&self.root.trash_files), &self.name)
    }

    fn info(&self) -> String {
        format!("{}.trashinfo", self.name)
    }
}

impl Drop for TrashEntry<'_> {
    fn drop(&mut self) {
        if !self.used {
            let _ = sys::unlink_file(fd(&self.root.trash_info), &self.info());
            self.root.trash_index.note_removed(&self.name);
        }
    }
}

/// Whether a swap that could be neither finished nor taken back has left something below `dir` that belongs into the trash.
pub(super) fn is_in_unfinished_swap(root: &TreeRoot, dir: &RelPath) -> Result<bool> {
    let doing = "look for unfinished swaps";
    let names = walk::names(fd(&root.tmp)).map_err(|e| map_errno(doing, e))?;
    for marker in names.into_iter().filter(|name| name.starts_with(SWAP)) {
        let is_below = read_marker(fd(&root.tmp), &marker, doing)?
            .is_some_and(|swap| RelPath::from_stored(swap.from).is_within(dir));
        if is_below {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The marker of a swap; `None` for one that is gone meanwhile or was cut short, and so never acted on.
fn read_marker(tmp: BorrowedFd<'_>, name: &str, doing: &'static str) -> Result<Option<SwapMarker>> {
    let file = match sys::open_read(tmp, name, Lookup::Full) {
        Ok(file) => file,
        Err(sys::Errno::NOENT) => return Ok(None),
        Err(e) => return Err(map_errno(doing, e)),
    };
    let mut text = Vec::new();
    std::fs::File::from(file)
        .read_to_end(&mut text)
        .map_err(|e| Error::io(doing, e))?;
    Ok(serde_json::from_slice(&text).ok())
}

/// Finishes swaps that a crash has cut; runs before `.sarang/tmp` is swept.
pub(super) fn finish_swaps(root: &TreeRoot) -> Result<()> {
    let doing = "finish what a crash has cut";
    let tmp =
        sys::open_folder(fd(&root.dir), TMP, Lookup::Full).map_err(|e| map_errno(doing, e))?;
    let names = walk::names(fd(&tmp)).map_err(|e| map_errno(doing, e))?;
    for marker in names.into_iter().filter(|name| name.starts_with(SWAP)) {
        if let Some(swap) = read_marker(fd(&tmp), &marker, doing)? {
            finish_swap(root, &swap).map_err(|e| map_errno(doing, e))?;
        }
    }
    Ok(())
}

/// Forgets notes about what a crash kept from coming into the trash. After a clean close there are none, and the trash need not be read.
pub(super) fn sweep_orphaned_infos(root: &TreeRoot) -> Result<()> {
    if root.usage.was_closed {
        return Ok(());
    }
    let names = |dir| walk::names(dir).map_err(|e| map_errno("look the trash over", e));
    let things: HashSet<_> = names(fd(&root.trash_files))?.into_iter().collect();
    for note in names(fd(&root.trash_info))? {
        if note
            .strip_suffix(TRASHINFO)
            .is_some_and(|thing| !things.contains(thing))
        {
            sys::unlink_file(fd(&root.trash_info), &note)
                .map_err(|e| map_errno("forget the note in the trash", e))?;
        }
    }
    Ok(())
}

fn finish_swap(root: &TreeRoot, swap: &SwapMarker) -> sys::SysResult<()> {
    let (parent, name) = swap.from.rsplit_once('/').unwrap_or(("", &swap.from));
    let dir = match sys::open_folder(fd(&root.dir), parent, Lookup::Full) {
        // Whoever tidied up on the disk has settled it.
        Err(sys::Errno::NOENT | sys::Errno::NOTDIR | sys::Errno::LOOP) => return Ok(()),
        other => other?,
    };
    match sys::stat_at(fd(&dir), name) {
        Ok(found) if found.inode == swap.inode => {
            root.rename_noreplace((fd(&dir), name), (fd(&root.trash_files), &swap.trash_entry))
        }
        Ok(_) | Err(sys::Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

/// A new name in the trash for what was called `leaf`.
pub(super) fn new_trash_name(root: &TreeRoot, leaf: &str) -> String {
    format!("{}.{}", leaf_of(leaf), root.new_stamp())
}

pub(super) fn write_small(
    root: &TreeRoot,
    dir: BorrowedFd<'_>,
    name: &str,
    text: &str,
) -> Result<()> {
    let doing = "write a note for the trash";
    let file = sys::create_file(dir, name).map_err(|e| map_errno(doing, e))?;
    let written = sys::write_all(fd(&file), &mut [IoSlice::new(text.as_bytes())], 0)
        .map_err(|e| map_errno(doing, e));
    let settled = written
        .and_then(|()| root.sync_if_strict(fd(&file)))
        .and_then(|()| root.sync_if_strict(dir));
    if settled.is_err() {
        let _ = sys::unlink_file(dir, name);
    }
    settled
}

/// As much of the old name as leaves room for what makes it unique.
fn leaf_of(name: &str) -> &str {
    let end = (0..=name.len().min(NAME))
        .rev()
        .find(|end| name.is_char_boundary(*end));
    name.get(..end.unwrap_or(0)).unwrap_or_default()
}
