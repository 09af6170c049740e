//! The trash and its notes: each item must have a note that says where it lay, each note an item, and no item may be a living file.

use super::{DOING, FILES, INFO, TreeChecker, exists, names_in, write};
use crate::model::{RelPath, Result};
use crate::storage::local::errors::map_errno;
use crate::storage::local::internal_dirs::TMP;
use crate::storage::local::names::NameAt;
use crate::storage::local::names::stat_name;
use crate::storage::local::sys::{self, FileKind, fd};
use crate::storage::local::tmp_names::pending_name;
use crate::storage::local::trashinfo::{TRASHINFO, path_in, trashinfo_in, trashinfo_of};

impl TreeChecker {
    /// Notes must be about something.
    pub(super) fn check_trash_notes(&mut self) -> Result<()> {
        let (Some(info), Some(files)) = (self.folder(INFO)?, self.folder(FILES)?) else {
            return Ok(());
        };
        let tmp = self.folder(TMP)?;
        for name in names_in(fd(&info))? {
            let thing = name.strip_suffix(TRASHINFO).unwrap_or(&name);
            if self.is_in_progress(fd(&info), &name)
                || exists(fd(&files), thing)?
                || !exists(fd(&info), &name)?
            {
                continue;
            }
            if let Some(tmp) = &tmp
                && exists(fd(tmp), &pending_name(thing))?
            {
                continue;
            }
            let repaired = self.is_repairing() && sys::unlink_file(fd(&info), &name).is_ok();
            self.add(
                format!("the note {name:?} in the trash is about nothing that is there"),
                repaired,
            );
        }
        Ok(())
    }

    /// What lies in the trash must have a note that says where it lay.
    pub(super) fn check_trash_items(&mut self) -> Result<()> {
        let (Some(info), Some(files)) = (self.folder(INFO)?, self.folder(FILES)?) else {
            return Ok(());
        };
        for name in names_in(fd(&files))? {
            let note = format!("{name}{TRASHINFO}");
            let text = trashinfo_in(fd(&info), &name).map_err(|e| map_errno(DOING, e))?;
            let why = match text.as_deref().map(path_in) {
                Some(Some(path)) => {
                    self.check_not_live((fd(&files), &name), (fd(&info), &note), &path)?;
                    continue;
                }
                Some(None) => "has a note that cannot be read",
                None => "has no note",
            };
            if self.is_in_progress(fd(&files), &name) || !exists(fd(&files), &name)? {
                continue;
            }
            let leaf = without_stamp(&name);
            let _ = self.is_repairing() && sys::unlink_file(fd(&info), &note).is_ok();
            let repaired =
                self.is_repairing() && write(fd(&info), &note, &trashinfo_of(leaf)).is_ok();
            self.add(
                format!("{name:?} in the trash {why}: nobody sees it, and it never expires"),
                repaired,
            );
        }
        Ok(())
    }

    /// What lies in the trash must not be the very file that still stands where its note says.
    fn check_not_live(
        &mut self,
        thing: NameAt<'_>,
        note: NameAt<'_>,
        path: &RelPath,
    ) -> Result<()> {
        let Some(trashed) =
            stat_name(thing.0, thing.1)?.filter(|found| found.kind == FileKind::File)
        else {
            return Ok(());
        };
        let parent = path.parent().unwrap_or_default();
        let (Some(dir), Some(name)) = (self.folder(parent.as_str())?, path.name()) else {
            return Ok(());
        };
        // With the time of birth: another disk may be mounted there now, and have a file of this number.
        let trashed = trashed.node.inode();
        if stat_name(fd(&dir), name)?.is_none_or(|living| living.node.inode() != trashed) {
            return Ok(());
        }
        let repaired = self.is_repairing()
            && [thing, note]
                .into_iter()
                .all(|(dir, name)| sys::unlink_file(dir, name).is_ok());
        let thing = thing.1;
        let path = path.as_str();
        self.add(
            format!("{thing:?} in the trash is {path:?} itself, which nobody has deleted"),
            repaired,
        );
        Ok(())
    }
}

/// What something in the trash was called, as far as its name tells.
fn without_stamp(name: &str) -> &str {
    let is_stamp =
        |stamp: &str| stamp.len() >= 12 && stamp.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.rsplit_once('.')
        .filter(|(_, stamp)| is_stamp(stamp))
        .map_or(name, |(leaf, _)| leaf)
}
