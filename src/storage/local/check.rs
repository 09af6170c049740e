//! Looks a tree over, also beside a running server: whether the trash and its notes agree, versions have their file, and nothing
//! was left half done. What is repaired is never deleted: it comes to the trash, where people see it.

mod props;

use super::file_meta::FileMeta;
use super::missing_features::MissingFeatureSet;
use super::overflow::{self, PROPS};
use super::relocated::{self, TreeLocation};
use super::root::{TMP, map_errno, stat_name};
use super::stored_path::resolve_name;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use super::trash::{NameAt, pending_name, trashinfo_of};
use super::trash_items::{TRASHINFO, path_in, trashinfo_in};
use super::{LocalSettings, LocalTree, probe, props as stored, versions};
use crate::model::{RelPath, Result};
use crate::storage::{DeadProp, FileId, Node};
use std::collections::HashSet;
use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DOING: &str = "look the files over";
const FILES: &str = ".sarang/trash/files";
const INFO: &str = ".sarang/trash/info";
const VERSIONS: &str = ".sarang/versions";
const OWN: &str = ".sarang";
/// What is younger may be a change under way.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// What, as the rest of a sentence about the tree.
    pub what: String,
    /// Whether it is as it should be now.
    pub repaired: bool,
}

/// How a tree is looked over.
#[derive(Clone, Copy, Debug)]
pub struct TreeCheckOptions {
    /// Whether a server works in it meanwhile: then what is young is not judged.
    pub served: bool,
    /// With which settings repairs are made; `None` for none. Ignored while a server works in it.
    pub repair: Option<LocalSettings>,
}

/// What was seen in a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeCheckReport {
    /// What is not as it should be.
    pub findings: Vec<CheckFinding>,
    /// What may well be meant so, as the rest of a sentence about the tree.
    pub notes: Vec<String>,
    /// What its file system lacks.
    pub lacks: MissingFeatureSet,
}

/// The history of a file.
fn history_of(dir: BorrowedFd<'_>, name: &str, lies: TreeLocation) -> sys::SysResult<String> {
    let label = FileMeta::of_name(dir, name)?;
    let node = sys::stat_at(dir, name)?.node;
    Ok(label.for_tree_copy(lies, &node, &node).history(&node))
}

/// What is to be told of the tree below `dir`.
pub fn check_tree(dir: &Path, care: TreeCheckOptions) -> Result<TreeCheckReport> {
    let root = sys::open_root(dir).map_err(|e| map_errno(DOING, e))?;
    let care = TreeCheckOptions {
        repair: care.repair.filter(|_| !care.served),
        ..care
    };
    let lacks = probe::missing_features_below(fd(&root))?;
    let mut tree = TreeChecker {
        root,
        options: care,
        findings: Vec::new(),
        notes: Vec::new(),
    };
    tree.check_trash_notes()?;
    tree.check_trash_items()?;
    tree.check_versions()?;
    tree.check_props()?;
    tree.note_unshown()?;
    if !care.served {
        tree.check_leftovers(dir)?;
    }
    Ok(TreeCheckReport {
        findings: tree.findings,
        notes: tree.notes,
        lacks,
    })
}

struct TreeChecker {
    root: OwnedFd,
    options: TreeCheckOptions,
    findings: Vec<CheckFinding>,
    notes: Vec<String>,
}

impl TreeChecker {
    /// Notes must be about something.
    fn check_trash_notes(&mut self) -> Result<()> {
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
    fn check_trash_items(&mut self) -> Result<()> {
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
        if stat_name(fd(&dir), name)?.is_none_or(|living| living.inode != trashed.inode) {
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

    /// Versions must have a file, live or in the trash, that they are versions of.
    fn check_versions(&mut self) -> Result<()> {
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

    /// Nothing must be left of what a crash has cut; opening the tree finishes it or clears it away.
    fn check_leftovers(&mut self, dir: &Path) -> Result<()> {
        let Some(tmp) = self.folder(TMP)? else {
            return Ok(());
        };
        let count = names_in(fd(&tmp))?.len();
        if count == 0 {
            return Ok(());
        }
        let repaired = match self.options.repair {
            Some(settings) => {
                LocalTree::open(dir, settings).is_ok() && names_in(fd(&tmp))?.is_empty()
            }
            None => false,
        };
        self.add(
            format!("{count} things in .sarang/tmp were left by an earlier run"),
            repaired,
        );
        Ok(())
    }

    fn is_repairing(&self) -> bool {
        self.options.repair.is_some()
    }

    fn add(&mut self, what: String, repaired: bool) {
        self.findings.push(CheckFinding { what, repaired });
    }

    /// Whether something may be part of a change that a server is making just now.
    fn is_in_progress(&self, dir: BorrowedFd<'_>, name: &str) -> bool {
        let young = |file: OwnedFd| {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            sys::facts_fd(fd(&file))
                .is_ok_and(|facts| now < Duration::from_nanos(facts.changed) + UNDER_WAY)
        };
        self.options.served && sys::open_any(dir, name, Lookup::Full).is_ok_and(young)
    }

    /// A folder of the tree; `None` when there is none, as in one that was never used.
    fn folder(&self, path: &str) -> Result<Option<OwnedFd>> {
        match sys::open_folder(fd(&self.root), path, Lookup::Full) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => {
                Ok(None)
            }
            Err(e) => Err(map_errno(DOING, e)),
        }
    }
}

/// What stands at a path in the tree below `dir`, which file or folder that is, and its properties; `None` for nothing.
pub fn inspect(dir: &Path, path: &RelPath) -> Result<Option<(Node, FileId, Vec<DeadProp>)>> {
    let mut at = match sys::open_root(dir) {
        Ok(root) => root,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(map_errno(DOING, e)),
    };
    let lies = relocated::locate(fd(&at))
        .map_err(|e| map_errno(DOING, e))?
        .unwrap_or(TreeLocation::Unmoved);
    for name in path.names() {
        let (spelled, found) = resolve_name(fd(&at), name)?;
        if found.is_none_or(|found| found.kind == FileKind::Other) {
            return Ok(None);
        }
        match sys::open_read(fd(&at), &spelled, Lookup::Full) {
            Ok(opened) => at = opened,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => {
                return Ok(None);
            }
            Err(e) => return Err(map_errno(DOING, e)),
        }
    }
    let found = sys::stat_fd(fd(&at)).map_err(|e| map_errno(DOING, e))?;
    let props = sys::props_fd(fd(&at)).map_err(|e| map_errno(DOING, e))?;
    let folder = sys::open_root(&dir.join(PROPS)).ok();
    let load = |name: &str| overflow::load(fd(folder.as_ref().unwrap_or(&at)), name);
    let props = stored::decode_by(load, props.as_deref());
    let label = FileMeta::of_file(fd(&at)).unwrap_or_default();
    let id = label.id_where(lies, &found.node);
    Ok(Some((found.node, id, props.unwrap_or_default())))
}

/// What something in the trash was called, as far as its name tells.
fn without_stamp(name: &str) -> &str {
    let is_stamp =
        |stamp: &str| stamp.len() >= 12 && stamp.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.rsplit_once('.')
        .filter(|(_, stamp)| is_stamp(stamp))
        .map_or(name, |(leaf, _)| leaf)
}

fn exists(dir: BorrowedFd<'_>, name: &str) -> Result<bool> {
    stat_name(dir, name).map(|found| found.is_some())
}

fn write(dir: BorrowedFd<'_>, name: &str, text: &str) -> Result<()> {
    let written = sys::create_file(dir, name).and_then(|file| {
        sys::write_all(fd(&file), &mut [IoSlice::new(text.as_bytes())], 0)?;
        sys::sync(fd(&file))?;
        sys::sync(dir)
    });
    written.map_err(|e| map_errno("write a note for the trash", e))
}

fn names_in(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    Ok(entries(dir)?.into_iter().map(|(name, _)| name).collect())
}

fn entries(dir: BorrowedFd<'_>) -> Result<Vec<(String, FileKind)>> {
    let mut names = Vec::new();
    let mut buffer = Vec::new();
    // A fresh descriptor, since reading moves the one shared with others.
    let read = sys::open_folder(dir, "", Lookup::Full).and_then(|dir| {
        sys::read_dir(fd(&dir), &mut buffer, usize::MAX, |name, kind| {
            let Ok(text) = name.to_str() else {
                return Ok(());
            };
            match kind.map_or_else(
                || sys::stat_entry(fd(&dir), name).map(|found| found.kind),
                Ok,
            ) {
                Ok(kind) => names.push((text.to_owned(), kind)),
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e),
            }
            Ok::<_, Errno>(())
        })
    });
    read.map_err(|e| map_errno(DOING, e))?;
    Ok(names)
}
