//! Version folders: each must belong to a file, live or in the trash, that names it.

use super::{DOING, FILES, INFO, TreeChecker, VERSIONS, names_in, write};
use crate::model::Result;
use crate::storage::local::errors::map_errno;
use crate::storage::local::file_meta::FileMeta;
use crate::storage::local::file_meta::TreeLocation;
use crate::storage::local::internal_dirs::TMP;
use crate::storage::local::overflow::inner_mounts::{self, InnerMount, InnerMounts};
use crate::storage::local::relocated;
use crate::storage::local::sys::{self, Errno, FileKind, Lookup, fd};
use crate::storage::local::trashinfo::{TRASHINFO, trashinfo_of};
use crate::storage::local::version_dir;
use crate::storage::local::walk::{self, WalkEntry};
use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::time::{SystemTime, UNIX_EPOCH};

impl TreeChecker {
    /// Each version folder must belong to a file, live or in the trash. None is judged while anything in the tree cannot be looked at:
    /// its file may be there.
    pub(super) fn check_versions(&mut self) -> Result<()> {
        let Some(version_dirs) = self.folder(VERSIONS)? else {
            return Ok(());
        };
        let mut histories = names_in(fd(&version_dirs))?;
        let mut unseen = None;
        // A file that is moved meanwhile may be missed once.
        for _ in 0..if self.options.served { 2 } else { 1 } {
            if histories.is_empty() {
                return Ok(());
            }
            let owners = self.version_owners()?;
            histories.retain(|history| !owners.histories.contains(history));
            unseen = unseen.or(owners.unseen);
        }
        let mut kept = 0_usize;
        for history in histories {
            if self.is_in_progress(fd(&version_dirs), &history) {
                continue;
            }
            if version_dir::of_history(fd(&version_dirs), &history)?.is_empty() {
                // What a crash has left there: nothing that anybody has saved.
                if self.is_repairing() {
                    version_dir::sweep_leftovers(fd(&version_dirs), &history)?;
                }
                continue;
            }
            if unseen.is_some() {
                kept += 1;
                continue;
            }
            let repaired =
                self.is_repairing() && self.move_to_trash(fd(&version_dirs), &history)?;
            self.add(
                format!("the versions in .sarang/versions/{history} are of no file that is there"),
                repaired,
            );
        }
        if let Some(unseen) = unseen.filter(|_| kept > 0) {
            self.notes.push(format!(
                "{kept} folders in {VERSIONS} are of no file that could be looked at. They are kept, since {unseen}: the versions may be of \
                 files there."
            ));
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

    /// Which version folders the files of the tree name, wherever they lie and whatever they are called.
    fn version_owners(&self) -> Result<VersionOwners> {
        let location = relocated::locate(fd(&self.root))
            .map_err(|e| map_errno(DOING, e))?
            .unwrap_or(TreeLocation::Unmoved);
        let mut owners = VersionOwners::default();
        let mut mounts = InnerMounts::default();
        for top in ["", FILES, TMP] {
            let opened = match sys::open_folder(fd(&self.root), top, Lookup::Full) {
                Ok(opened) => opened,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(Errno::ACCESS | Errno::PERM) => {
                    owners.note_denied(top);
                    continue;
                }
                Err(e) => return Err(map_errno(DOING, e)),
            };
            let below = |met: &WalkEntry<'_>| match top {
                "" => met.path(),
                top => format!("{top}/{}", met.path()),
            };
            let mut denied = None;
            let visit = |met: &WalkEntry<'_>| {
                if top.is_empty() && met.is_internal_dir() {
                    return Ok(false);
                }
                owners.visit(met, location, &mut mounts)?;
                Ok::<_, Errno>(met.kind == FileKind::Folder)
            };
            let walked = walk::everything_readable(opened, visit, |met| {
                denied.get_or_insert_with(|| below(met));
            });
            if let Some(path) = denied {
                owners.note_denied(&path);
            }
            match walked {
                Err(Errno::ACCESS | Errno::PERM) => owners.note_denied(top),
                walked => walked.map_err(|e| map_errno(DOING, e))?,
            }
        }
        let missing = inner_mounts::missing_mounts(fd(&self.root), &mounts)?;
        if let Some(missing) = missing.first() {
            owners
                .unseen
                .get_or_insert_with(|| format!("what was mounted at {:?} is away", missing.path));
        }
        Ok(owners)
    }
}

/// Which version folders belong to files, as far as these could be looked at.
#[derive(Default)]
struct VersionOwners {
    histories: HashSet<String>,
    /// Why not all could be: files there may own any of the others.
    unseen: Option<String>,
}

impl VersionOwners {
    fn visit(
        &mut self,
        met: &WalkEntry<'_>,
        location: TreeLocation,
        mounts: &mut InnerMounts,
    ) -> sys::SysResult<()> {
        match sys::mounted_at(met.dir, met.raw) {
            Ok(id) => mounts.present.extend(id.map(|id| InnerMount {
                path: met.path(),
                id,
            })),
            Err(Errno::NOENT) => return Ok(()),
            // A folder that may be read and not searched.
            Err(Errno::ACCESS | Errno::PERM) => self.note_denied(&met.path()),
            Err(e) => return Err(e),
        }
        if met.kind != FileKind::File {
            return Ok(());
        }
        match history_of(met, location) {
            Ok(history) => drop(self.histories.insert(history)),
            Err(Errno::OPNOTSUPP | Errno::NOENT) => {}
            // Attributes of the user namespace may be read by whoever may read the file, xattr(7).
            Err(Errno::ACCESS | Errno::PERM) => self.note_denied(&met.path()),
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn note_denied(&mut self, path: &str) {
        self.unseen
            .get_or_insert_with(|| format!("{path:?} cannot be read by this user"));
    }
}

/// The version folder that a file names.
fn history_of(met: &WalkEntry<'_>, location: TreeLocation) -> sys::SysResult<String> {
    let meta = FileMeta::of_raw_name(met.dir, met.raw)?;
    let node = sys::stat_entry(met.dir, met.raw)?.node;
    Ok(meta.for_tree_copy(location, &node, &node).history(&node))
}
