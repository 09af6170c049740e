//! Version folders: each must belong to a file, live or in the trash, that names it.

use super::{DOING, FILES, INFO, OWN, TreeChecker, VERSIONS, entries, names_in, write};
use crate::model::Result;
use crate::storage::local::file_meta::FileMeta;
use crate::storage::local::relocated::{self, TreeLocation};
use crate::storage::local::root::{TMP, map_errno};
use crate::storage::local::sys::{self, Errno, FileKind, fd};
use crate::storage::local::trash::trashinfo_of;
use crate::storage::local::trash_items::TRASHINFO;
use crate::storage::local::versions;
use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::time::{SystemTime, UNIX_EPOCH};

impl TreeChecker {
    /// Versions must have a file, live or in the trash, that they are versions of.
    pub(super) fn check_versions(&mut self) -> Result<()> {
        let Some(shelves) = self.folder(VERSIONS)? else {
            return Ok(());
        };
        let mut histories = names_in(fd(&shelves))?;
        // A file that is moved meanwhile may be missed once.
        for _ in 0..if self.options.served { 2 } else { 1 } {
            if histories.is_empty() {
                return Ok(());
            }
            let named = self.named_histories()?;
            histories.retain(|history| !named.contains(history));
        }
        for history in histories {
            if self.is_in_progress(fd(&shelves), &history) {
                continue;
            }
            if versions::of_history(fd(&shelves), &history)?.is_empty() {
                // What a crash has left there: nothing that anybody has saved.
                if self.is_repairing() {
                    versions::sweep_leftovers(fd(&shelves), &history)?;
                }
                continue;
            }
            let repaired = self.is_repairing() && self.move_to_trash(fd(&shelves), &history)?;
            self.add(
                format!("the versions in .sarang/versions/{history} are of no file that is there"),
                repaired,
            );
        }
        Ok(())
    }

    /// Moves versions without a file to the trash.
    fn move_to_trash(&self, versions: BorrowedFd<'_>, history: &str) -> Result<bool> {
        let (Some(info), Some(files)) = (self.folder(INFO)?, self.folder(FILES)?) else {
            return Ok(false);
        };
        let leaf = format!("Versions of a lost file ({history})");
        let stamp = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let name = format!("{leaf}.{stamp:x}");
        write(
            fd(&info),
            &format!("{name}{TRASHINFO}"),
            &trashinfo_of(&leaf),
        )?;
        Ok(sys::rename_over((versions, history), (fd(&files), &name)).is_ok())
    }

    /// The histories that files name, wherever they lie.
    fn named_histories(&self) -> Result<HashSet<String>> {
        let lies = relocated::locate(fd(&self.root))
            .map_err(|e| map_errno(DOING, e))?
            .unwrap_or(TreeLocation::Unmoved);
        let mut named = HashSet::new();
        let mut waiting = vec![String::new(), FILES.to_owned(), TMP.to_owned()];
        while let Some(path) = waiting.pop() {
            let Some(dir) = self.folder(&path)? else {
                continue;
            };
            for (name, kind) in entries(fd(&dir))? {
                let below = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}/{name}")
                };
                match kind {
                    FileKind::Folder if below != OWN => waiting.push(below),
                    FileKind::File => match history_of(fd(&dir), &name, lies) {
                        Ok(history) => drop(named.insert(history)),
                        Err(Errno::OPNOTSUPP | Errno::NOENT | Errno::ACCESS | Errno::PERM) => {}
                        Err(e) => return Err(map_errno(DOING, e)),
                    },
                    _ => {}
                }
            }
        }
        Ok(named)
    }
}

/// The history of a file.
fn history_of(dir: BorrowedFd<'_>, name: &str, lies: TreeLocation) -> sys::SysResult<String> {
    let label = FileMeta::of_name(dir, name)?;
    let node = sys::stat_at(dir, name)?.node;
    Ok(label.for_tree_copy(lies, &node, &node).history(&node))
}
