//! Overflow files of properties: each that an attribute names must be there and be readable, and each must be named. And what lies in
//! the tree that no drive shows: only whoever runs the server can see it, and is told.

use super::{DOING, TreeChecker};
use crate::model::path::{MAX_BYTES, MAX_DEPTH};
use crate::model::{Error, Result};
use crate::storage::local::copy_content::is_unshown;
use crate::storage::local::errors::map_errno;
use crate::storage::local::internal_dirs::PROPS;
use crate::storage::local::overflow::inner_mounts::{self, MOUNTED};
use crate::storage::local::overflow::{load, references};
use crate::storage::local::sys::{self, Errno, FileKind, Lookup, fd};
use crate::storage::local::{props, walk};
use std::collections::HashSet;

/// How many things that are not shown are told one by one.
const MAX_NOTES: usize = 100;

impl TreeChecker {
    /// Attributes must name overflow files that are there. What nothing names, a running server deletes by itself.
    pub(super) fn check_props(&mut self) -> Result<()> {
        let Some(overflow) = self.folder(PROPS)? else {
            return Ok(());
        };
        let mut orphans: HashSet<String> = walk::names(fd(&overflow))
            .map_err(|e| map_errno(DOING, e))?
            .into_iter()
            .collect();
        let mut suspects = Vec::new();
        let read = references(fd(&self.root), |path, name| {
            orphans.remove(name);
            suspects.push(path.to_owned());
        });
        let mounts = match read {
            Err(Error::Forbidden(_)) => {
                if !orphans.is_empty() {
                    self.notes.push(format!(
                        "the files in {PROPS} were not checked, and all are kept: something in the drive cannot be read by this user."
                    ));
                }
                return Ok(());
            }
            other => other?,
        };
        for away in inner_mounts::missing_mounts(fd(&self.root), &mounts)? {
            self.notes.push(format!(
                "what was mounted at {:?} is away: the properties of its files are kept in {PROPS} until it is back. If it is gone for \
                 good, delete {MOUNTED} while everything else that is mounted in the drive is there.",
                away.path
            ));
            orphans.clear();
        }
        for path in suspects {
            self.check_reference(&path)?;
        }
        if !orphans.is_empty() && !self.options.served {
            let count = orphans.len();
            let delete = |name: &String| sys::unlink_file(fd(&overflow), name).is_ok();
            let repaired = self.is_repairing() && orphans.iter().all(delete);
            self.add(
                format!("{count} files in {PROPS} keep properties of nothing that is there"),
                repaired,
            );
        }
        Ok(())
    }

    /// What carries such an attribute is looked at again: meanwhile it may name another file.
    fn check_reference(&mut self, path: &str) -> Result<()> {
        let Ok(opened) = sys::open_read(fd(&self.root), path, Lookup::Full) else {
            return Ok(());
        };
        let Some(overflow) = self.folder(PROPS)? else {
            return Ok(());
        };
        let look = || sys::props_fd(fd(&opened)).map_err(|e| map_errno(DOING, e));
        let mut stored = look()?;
        loop {
            match props::decode_by(|name| load(fd(&overflow), name), stored.as_deref()) {
                Ok(_) => return Ok(()),
                Err(Error::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
            let before = std::mem::replace(&mut stored, look()?);
            if before == stored {
                break;
            }
        }
        let repaired = self.is_repairing() && sys::set_props(fd(&opened), &[]).is_ok();
        let what = if path.is_empty() {
            "the top folder"
        } else {
            path
        };
        self.add(
            format!("the properties of {what:?} are lost: the file in {PROPS} that kept them is missing or damaged"),
            repaired,
        );
        Ok(())
    }

    /// Tells of what no drive shows, or no request can name.
    pub(super) fn note_unshown(&mut self) -> Result<()> {
        let mut told = Vec::new();
        let mut more = 0_usize;
        let top =
            sys::open_folder(fd(&self.root), "", Lookup::Full).map_err(|e| map_errno(DOING, e))?;
        let looked = walk::everything(top, |met| {
            let path = met.path();
            let depth = met.depth();
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            if met.is_internal_dir() {
                return Ok(false);
            }
            let why = match met.kind {
                FileKind::Other => "it is neither a file nor a folder",
                kind if is_unshown(above, met.raw, kind) => "its name is not allowed in a drive",
                _ if depth > MAX_DEPTH || path.len() > MAX_BYTES => "its path is too long",
                _ => return Ok::<_, Errno>(true),
            };
            if told.len() < MAX_NOTES {
                told.push(format!(
                    "{path:?} is in no drive: {why}. Copies and backups have it."
                ));
            } else {
                more += 1;
            }
            Ok(false)
        });
        match looked {
            Ok(()) | Err(Errno::ACCESS | Errno::PERM) => {}
            Err(e) => return Err(map_errno(DOING, e)),
        }
        if more > 0 {
            told.push(format!("{more} more things are in no drive."));
        }
        self.notes.extend(told);
        Ok(())
    }
}
