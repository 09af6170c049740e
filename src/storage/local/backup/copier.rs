//! The way through a tree that is being changed: once through all of it, then again through the folders that have changed
//! meanwhile, until nothing older turns up there under a name that it did not have before.

mod rescan;

use super::ids::CopiedFileIds;
use super::index::{BackupIndex, CopiedPaths};
use super::{BackupStats, CopyObserver, CopyTreeOptions, DOING, IndexEntry};
use crate::model::time::unix_nanos;
use crate::model::{Error, Result};
use crate::storage::local::errors::map_errno;
use crate::storage::local::internal_dirs::PROPS;
use crate::storage::local::overflow::inner_mounts::MOUNTED;
use crate::storage::local::sys::{self, CopyMetadata, Errno, FileKind, Lookup, fd};
use std::collections::{HashMap, HashSet};
use std::ffi::{CString, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often changed folders are looked through again at most.
const ROUNDS: usize = 16;
/// The steps of the clock in timestamps are shorter: what is younger may change once more without showing it.
const TICK: Duration = Duration::from_millis(20);
/// How many failures are told one by one.
const MAX_FAILURES: usize = 1000;
/// The folder that is copied last: what is deleted meanwhile is then found there.
const LAST: &str = ".sarang";

/// One copy being made.
pub(super) struct TreeCopier<'a> {
    pub(super) options: &'a CopyTreeOptions<'a>,
    source: BorrowedFd<'a>,
    pub(super) target: BorrowedFd<'a>,
    pub stats: &'a mut BackupStats,
    pub(super) observer: &'a mut dyn CopyObserver,
    pub ids: CopiedFileIds,
    /// What was copied, by its path.
    pub(super) copied: CopiedPaths,
    /// What could not be read, by its path.
    pub(super) unreadable: HashSet<PathBuf>,
    /// What earlier copies tell of, as far as it was asked for.
    pub(super) fallback_indexes: HashMap<usize, BackupIndex>,
    folders: Vec<(String, CopyMetadata)>,
    began: u64,
    /// Whether this is not the first time through.
    is_rescan: bool,
    /// Whether something older has turned up where it was not before.
    found_moved: bool,
}

/// A folder whose files are copied and whose folders wait.
pub(super) struct TreeCopyLevel {
    pub from: OwnedFd,
    pub to: OwnedFd,
    pub path: String,
    pub waiting: Vec<String>,
}

impl<'a> TreeCopier<'a> {
    pub fn new(
        plan: &'a CopyTreeOptions<'a>,
        source: BorrowedFd<'a>,
        target: BorrowedFd<'a>,
        tally: &'a mut BackupStats,
        watch: &'a mut dyn CopyObserver,
    ) -> Result<Self> {
        let began = unix_nanos(plan.began);
        let taken = CopiedPaths::default();
        let folders = Vec::new();
        let ids = CopiedFileIds::of(source)?;
        let given_up = HashSet::new();
        let marks = HashMap::new();
        let again = false;
        let moved = false;
        Ok(Self {
            options: plan,
            source,
            target,
            stats: tally,
            observer: watch,
            ids,
            copied: taken,
            unreadable: given_up,
            fallback_indexes: marks,
            folders,
            began,
            is_rescan: again,
            found_moved: moved,
        })
    }

    /// Copies all.
    pub fn run(&mut self) -> Result<()> {
        let source = self.source;
        let target = self.target;
        if self.is_excluded(source, "")? {
            return Ok(());
        }
        let open = |dir| sys::open_folder(dir, "", Lookup::Full).map_err(|e| map_errno(DOING, e));
        let top = self.record_folder(open(source)?, open(target)?, String::new())?;
        self.descend(top)?;
        self.is_rescan = true;
        for round in 0.. {
            self.found_moved = false;
            self.rescan_changed()?;
            self.copy_trash_pending()?;
            if !self.found_moved {
                break;
            }
            if round == ROUNDS {
                self.stats.restless.push(self.options.label.to_owned());
                break;
            }
        }
        self.finish_folders()
    }

    /// The tree.
    pub fn source(&self) -> BorrowedFd<'_> {
        self.source
    }

    /// The folder of the copy.
    pub fn target(&self) -> BorrowedFd<'_> {
        self.target
    }

    /// Whether what lies at a path is in the copy.
    pub fn is_copied(&self, path: &str) -> bool {
        self.copied.contains(path)
    }

    pub fn parents(&self) -> impl Iterator<Item = &'a super::ParentCopy> + use<'a> {
        self.options.parents.iter()
    }

    /// Notes that something is in the copy.
    pub fn record(&mut self, mark: &IndexEntry) -> Result<()> {
        self.observer.copied(mark, self.stats)?;
        self.copied.insert(mark);
        Ok(())
    }

    /// Whether what is at a path now must be copied: not when it is there, or came later in the place of what is.
    pub fn needs_copy(&mut self, mark: &IndexEntry) -> bool {
        let [_, born] = mark.node;
        let older = born == 0 || born < self.began;
        if self
            .copied
            .is_same_inode(&mark.path, mark.node)
            .is_some_and(|same| same || !older)
        {
            return false;
        }
        self.found_moved |= self.is_rescan && older;
        true
    }

    /// Notes what could not be read.
    pub fn record_failure(&mut self, path: &str, why: &str) {
        if self.stats.failures.len() < MAX_FAILURES {
            self.stats
                .failures
                .push(format!("{}/{path}: {why}", self.options.label));
        }
    }

    /// Whether a folder is that which nothing is copied from; says so.
    pub fn is_excluded(&mut self, folder: BorrowedFd<'_>, path: &str) -> Result<bool> {
        if self.options.exclude.is_none() || self.options.exclude != Some(identity(folder)?) {
            return Ok(false);
        }
        // Done with, so that it is not looked for again.
        let facts = sys::facts_fd(folder).map_err(|e| map_errno(DOING, e))?;
        self.copied
            .insert(&IndexEntry::new(path.to_owned(), &facts, None));
        self.record_failure(
            path,
            "this is the folder of backups, which is in none of them",
        );
        Ok(true)
    }

    pub(super) fn descend(&mut self, top: TreeCopyLevel) -> Result<()> {
        let mut levels = vec![top];
        while let Some(mut level) = levels.pop() {
            let Some(name) = level.waiting.pop() else {
                continue;
            };
            let below = self.enter(&level, &name)?;
            levels.push(level);
            levels.extend(below);
        }
        Ok(())
    }

    fn enter(&mut self, level: &TreeCopyLevel, name: &str) -> Result<Option<TreeCopyLevel>> {
        let path = joined(&level.path, name);
        let from = match sys::open_folder(fd(&level.from), name, Lookup::Full) {
            Ok(from) => from,
            Err(e) => {
                return self
                    .handle_read_error(fd(&level.to), &path, e)
                    .map(|()| None);
            }
        };
        if self.is_excluded(fd(&from), &path)? {
            return Ok(None);
        }
        let mut made = sys::make_folder(fd(&level.to), name);
        if made == Err(Errno::EXIST) && sys::unlink_file(fd(&level.to), name).is_ok() {
            // A file that was there before.
            made = sys::make_folder(fd(&level.to), name);
        }
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(map_errno(DOING, e)),
        }
        let to =
            sys::open_folder(fd(&level.to), name, Lookup::Full).map_err(|e| map_errno(DOING, e))?;
        self.record_folder(from, to, path).map(Some)
    }

    /// Notes a folder and copies the files in it.
    fn record_folder(&mut self, from: OwnedFd, to: OwnedFd, path: String) -> Result<TreeCopyLevel> {
        let facts = look(&from)?;
        let id = self.ids.of_file(fd(&from), &facts.found.node)?;
        self.record(&IndexEntry::new(path.clone(), &facts, id))?;
        self.folders.push((path.clone(), facts));
        self.read(TreeCopyLevel {
            from,
            to,
            path,
            waiting: Vec::new(),
        })
    }

    /// Copies the files of a folder, and remembers its folders.
    fn read(&mut self, mut level: TreeCopyLevel) -> Result<TreeCopyLevel> {
        let mut names = Vec::new();
        let mut buffer = Vec::new();
        let mut odd: Vec<(CString, Option<FileKind>)> = Vec::new();
        let read = sys::read_dir(fd(&level.from), &mut buffer, usize::MAX, |name, kind| {
            match name.to_str() {
                Ok(name) => names.push((name.to_owned(), kind)),
                Err(_) => odd.push((name.to_owned(), kind)),
            }
            Ok::<_, Errno>(())
        });
        for (name, kind) in names {
            let path = joined(&level.path, &name);
            if self.is_skipped(&path) {
                continue;
            }
            match kind.map_or_else(
                || sys::stat_at(fd(&level.from), &name).map(|found| found.kind),
                Ok,
            ) {
                Ok(FileKind::File) => {
                    self.copy_file(fd(&level.from), fd(&level.to), &name, path)?;
                }
                Ok(FileKind::Folder) if self.has_folder(fd(&level.from), &name, &path) => {}
                Ok(FileKind::Folder) if name == LAST => level.waiting.insert(0, name),
                Ok(FileKind::Folder) => level.waiting.push(name),
                Ok(FileKind::Other) => {
                    odd.extend(CString::new(name).map(|name| (name, Some(FileKind::Other))));
                }
                Err(e) => self.handle_read_error(fd(&level.to), &path, e)?,
            }
        }
        // What comes or changes meanwhile is in the next copy.
        if self.is_rescan {
            odd.clear();
        }
        for (name, kind) in odd {
            let path = Path::new(&level.path).join(OsStr::from_bytes(name.to_bytes()));
            match kind.map_or_else(
                || sys::stat_entry(fd(&level.from), &name).map(|found| found.kind),
                Ok,
            ) {
                Ok(kind) => {
                    self.copy_unshown((fd(&level.from), fd(&level.to)), (&name, kind), &path)?;
                }
                Err(e) => self.handle_read_error(fd(&level.to), &path, e)?,
            }
        }
        if let Err(e) = read {
            self.use_fallback_for_rest(&level, e)?;
        }
        Ok(level)
    }

    pub(super) fn is_skipped(&self, path: &str) -> bool {
        self.options.skip.contains(&path) || [PROPS, MOUNTED].contains(&path)
    }

    /// Whether a folder was copied already, and is looked through again by itself; notes an older one that was not.
    fn has_folder(&mut self, dir: BorrowedFd<'_>, name: &str, path: &str) -> bool {
        if !self.is_rescan {
            return false;
        }
        let Ok(found) = sys::stat_at(dir, name) else {
            return true;
        };
        let node = found.node.inode();
        if self.copied.is_same_inode(path, node) == Some(true) {
            return true;
        }
        let [_, born] = node;
        self.found_moved |= born == 0 || born < self.began;
        false
    }
}

/// Device and inode of an open folder.
pub(super) fn identity(folder: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let found = sys::disk_of(folder).and_then(|disk| Ok((disk, sys::stat_fd(folder)?.inode)));
    found.map_err(|e| map_errno(DOING, e))
}

/// A folder before its names are read. What may change after that without showing it counts as changed.
fn look(folder: &OwnedFd) -> Result<CopyMetadata> {
    let mut facts = sys::facts_fd(fd(folder)).map_err(|e| map_errno(DOING, e))?;
    if is_fresh(facts.changed) {
        facts.changed = 0;
    }
    Ok(facts)
}

pub(super) fn explain_attributes(errno: Errno) -> Error {
    match errno {
        Errno::OPNOTSUPP => Error::Forbidden(
            "The file system of the copy keeps no extended attributes (user.sarang.*), which hold properties and lead to \
             versions: choose a folder on ext4, xfs, btrfs, zfs or NFS 4.2.",
        ),
        other => map_errno(DOING, other),
    }
}

/// Whether something changed so lately that it may change again without showing it.
pub(super) fn is_fresh(changed: u64) -> bool {
    let age = unix_nanos(SystemTime::now()).saturating_sub(changed);
    u128::from(age) < TICK.as_nanos()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}
