//! The way through a tree that is being changed: once through all of it, then again through the folders that have changed
//! meanwhile, until nothing older turns up there under a name that it did not have before.

use super::file::TRIES;
use super::ids::Ids;
use super::marks::{Marks, Taken};
use super::{Mark, Plan, Tally, Watch};
use crate::content::local::os::{self, Errno, Facts, Kind, Lookup, fd};
use crate::content::local::overflow::PROPS;
use crate::content::local::overflow::mounted::MOUNTED;
use crate::content::local::own::{self, TMP, TRASH_INFO};
use crate::content::local::root::explain;
use crate::content::local::trash::tomb_of;
use crate::content::local::trashed::NOTE;
use crate::content::local::walk;
use crate::model::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::ffi::{CString, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) const DOING: &str = "copy the files";
/// How often changed folders are looked through again at most.
const ROUNDS: usize = 16;
/// The steps of the clock in timestamps are shorter: what is younger may change once more without showing it.
const TICK: Duration = Duration::from_millis(20);
/// How many failures are told one by one.
const TOLD: usize = 1000;
/// The folder that is copied last: what is deleted meanwhile is then found there.
const LAST: &str = ".sarang";

/// One copy being made.
pub(super) struct Walk<'a> {
    pub(super) plan: &'a Plan<'a>,
    source: BorrowedFd<'a>,
    pub(super) target: BorrowedFd<'a>,
    pub tally: &'a mut Tally,
    pub(super) watch: &'a mut dyn Watch,
    pub ids: Ids,
    /// What was copied, by its path.
    pub(super) taken: Taken,
    /// What could not be read, by its path.
    pub(super) given_up: HashSet<PathBuf>,
    /// What earlier copies tell of, as far as it was asked for.
    pub(super) marks: HashMap<usize, Marks>,
    folders: Vec<(String, Facts)>,
    began: u64,
    /// Whether this is not the first time through.
    again: bool,
    /// Whether something older has turned up where it was not before.
    moved: bool,
}

/// A folder whose files are copied and whose folders wait.
pub(super) struct Level {
    pub from: OwnedFd,
    pub to: OwnedFd,
    pub path: String,
    pub waiting: Vec<String>,
}

impl<'a> Walk<'a> {
    pub fn new(
        plan: &'a Plan<'a>,
        source: BorrowedFd<'a>,
        target: BorrowedFd<'a>,
        tally: &'a mut Tally,
        watch: &'a mut dyn Watch,
    ) -> Result<Self> {
        let began = since_1970(plan.began);
        let (taken, folders, ids) = (Taken::default(), Vec::new(), Ids::of(source)?);
        let (given_up, marks, again, moved) = (HashSet::new(), HashMap::new(), false, false);
        Ok(Self {
            plan,
            source,
            target,
            tally,
            watch,
            ids,
            taken,
            given_up,
            marks,
            folders,
            began,
            again,
            moved,
        })
    }

    /// Copies all.
    pub fn run(&mut self) -> Result<()> {
        let (source, target) = (self.source, self.target);
        if self.is_avoided(source, "")? {
            return Ok(());
        }
        let open = |dir| os::open_folder(dir, "", Lookup::Full).map_err(|e| explain(DOING, e));
        let top = self.arrive(open(source)?, open(target)?, String::new())?;
        self.descend(top)?;
        self.again = true;
        for round in 0.. {
            self.moved = false;
            self.look_again()?;
            self.take_leaving()?;
            if !self.moved {
                break;
            }
            if round == ROUNDS {
                self.tally.restless.push(self.plan.label.to_owned());
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
    pub fn has_taken(&self, path: &str) -> bool {
        self.taken.has(path)
    }

    pub fn former(&self) -> impl Iterator<Item = &'a super::Former> + use<'a> {
        self.plan.formers.iter()
    }

    /// Notes that something is in the copy.
    pub fn take(&mut self, mark: &Mark) -> Result<()> {
        self.watch.copied(mark, self.tally)?;
        self.taken.note(mark);
        Ok(())
    }

    /// Whether what is at a path now must be copied: not when it is there, or came later in the place of what is.
    pub fn is_wanted(&mut self, mark: &Mark) -> bool {
        let [_, born] = mark.node;
        let older = born == 0 || born < self.began;
        if self
            .taken
            .is(&mark.path, mark.node)
            .is_some_and(|same| same || !older)
        {
            return false;
        }
        self.moved |= self.again && older;
        true
    }

    /// Notes what could not be read.
    pub fn fail(&mut self, path: &str, why: &str) {
        if self.tally.failures.len() < TOLD {
            self.tally
                .failures
                .push(format!("{}/{path}: {why}", self.plan.label));
        }
    }

    /// Whether a folder is that which nothing is copied from; says so.
    pub fn is_avoided(&mut self, folder: BorrowedFd<'_>, path: &str) -> Result<bool> {
        if self.plan.avoid.is_none() || self.plan.avoid != Some(identity(folder)?) {
            return Ok(false);
        }
        // Done with, so that it is not looked for again.
        let facts = os::facts_fd(folder).map_err(|e| explain(DOING, e))?;
        self.taken.note(&Mark::new(path.to_owned(), &facts, None));
        self.fail(
            path,
            "this is the folder of backups, which is in none of them",
        );
        Ok(true)
    }

    pub(super) fn descend(&mut self, top: Level) -> Result<()> {
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

    fn enter(&mut self, level: &Level, name: &str) -> Result<Option<Level>> {
        let path = joined(&level.path, name);
        let from = match os::open_folder(fd(&level.from), name, Lookup::Full) {
            Ok(from) => from,
            Err(e) => return self.pass_over(fd(&level.to), &path, e).map(|()| None),
        };
        if self.is_avoided(fd(&from), &path)? {
            return Ok(None);
        }
        let mut made = os::make_folder(fd(&level.to), name);
        if made == Err(Errno::EXIST) && os::unlink_file(fd(&level.to), name).is_ok() {
            // A file that was there before.
            made = os::make_folder(fd(&level.to), name);
        }
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(explain(DOING, e)),
        }
        let to =
            os::open_folder(fd(&level.to), name, Lookup::Full).map_err(|e| explain(DOING, e))?;
        self.arrive(from, to, path).map(Some)
    }

    /// Notes a folder and copies the files in it.
    fn arrive(&mut self, from: OwnedFd, to: OwnedFd, path: String) -> Result<Level> {
        let facts = look(&from)?;
        let id = self.ids.of_file(fd(&from), &facts.found.node)?;
        self.take(&Mark::new(path.clone(), &facts, id))?;
        self.folders.push((path.clone(), facts));
        self.read(Level {
            from,
            to,
            path,
            waiting: Vec::new(),
        })
    }

    /// Copies the files of a folder, and remembers its folders.
    fn read(&mut self, mut level: Level) -> Result<Level> {
        let (mut names, mut buffer) = (Vec::new(), Vec::new());
        let mut odd: Vec<(CString, Option<Kind>)> = Vec::new();
        let read = os::read_names(fd(&level.from), &mut buffer, usize::MAX, |name, kind| {
            match name.to_str() {
                Ok(name) => names.push((name.to_owned(), kind)),
                Err(_) => odd.push((name.to_owned(), kind)),
            }
            Ok::<_, Errno>(())
        });
        for (name, kind) in names {
            let path = joined(&level.path, &name);
            if self.is_left_out(&path) {
                continue;
            }
            match kind.map_or_else(
                || os::stat_at(fd(&level.from), &name).map(|found| found.kind),
                Ok,
            ) {
                Ok(Kind::File) => self.copy_file(fd(&level.from), fd(&level.to), &name, path)?,
                Ok(Kind::Folder) if self.has_folder(fd(&level.from), &name, &path) => {}
                Ok(Kind::Folder) if name == LAST => level.waiting.insert(0, name),
                Ok(Kind::Folder) => level.waiting.push(name),
                Ok(Kind::Other) => {
                    odd.extend(CString::new(name).map(|name| (name, Some(Kind::Other))));
                }
                Err(e) => self.pass_over(fd(&level.to), &path, e)?,
            }
        }
        // What comes or changes meanwhile is in the next copy.
        if self.again {
            odd.clear();
        }
        for (name, kind) in odd {
            let path = Path::new(&level.path).join(OsStr::from_bytes(name.to_bytes()));
            match kind.map_or_else(
                || os::stat_entry(fd(&level.from), &name).map(|found| found.kind),
                Ok,
            ) {
                Ok(kind) => {
                    self.copy_odd((fd(&level.from), fd(&level.to)), (&name, kind), &path)?;
                }
                Err(e) => self.pass_over(fd(&level.to), &path, e)?,
            }
        }
        if let Err(e) = read {
            self.keep_rest(&level, e)?;
        }
        Ok(level)
    }

    pub(super) fn is_left_out(&self, path: &str) -> bool {
        self.plan.skip.contains(&path) || [PROPS, MOUNTED].contains(&path)
    }

    /// Whether a folder was copied already, and is looked through again by itself; notes an older one that was not.
    fn has_folder(&mut self, dir: BorrowedFd<'_>, name: &str, path: &str) -> bool {
        if !self.again {
            return false;
        }
        let Ok(found) = os::stat_at(dir, name) else {
            return true;
        };
        let node = found.node.inode();
        if self.taken.is(path, node) == Some(true) {
            return true;
        }
        let [_, born] = node;
        self.moved |= born == 0 || born < self.began;
        false
    }

    /// Goes through the folders that have changed since they were read.
    fn look_again(&mut self) -> Result<()> {
        for index in 0..self.folders.len() {
            let Some((path, before)) = self.folders.get(index).cloned() else {
                continue;
            };
            let Ok(from) = os::open_folder(self.source, &path, Lookup::Full) else {
                continue;
            };
            let facts = look(&from)?;
            if facts.changed != 0
                && (facts.changed, facts.found.inode) == (before.changed, before.found.inode)
            {
                continue;
            }
            let to =
                os::open_folder(self.target, &path, Lookup::Full).map_err(|e| explain(DOING, e))?;
            if let Some(folder) = self.folders.get_mut(index) {
                folder.1 = facts;
            }
            let level = self.read(Level {
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
    fn take_leaving(&mut self) -> Result<()> {
        let source = self.source;
        let find = |path| own::find(source, path).map_err(|e| explain(DOING, e));
        let (Some(tmp), Some(info)) = (find(TMP)?, find(TRASH_INFO)?) else {
            return Ok(());
        };
        if !self.plan.skip.contains(&TMP) {
            return Ok(());
        }
        let names = walk::names(fd(&tmp)).map_err(|e| explain(DOING, e))?;
        for (name, tomb) in names.iter().filter_map(|name| Some((name, tomb_of(name)?))) {
            let Ok(found) = os::stat_at(fd(&tmp), name) else {
                continue;
            };
            if self.taken.has_node(found.node.inode()) {
                continue;
            }
            own::make(self.target)?;
            let (to, notes) = (
                own::open(self.target, TMP)?,
                own::open(self.target, TRASH_INFO)?,
            );
            let note = format!("{tomb}{NOTE}");
            self.copy_file(fd(&info), fd(&notes), &note, format!("{TRASH_INFO}/{note}"))?;
            let from =
                os::open_folder(fd(&tmp), "", Lookup::Full).map_err(|e| explain(DOING, e))?;
            if found.kind == Kind::File {
                self.copy_file(fd(&from), fd(&to), name, format!("{TMP}/{name}"))?;
            } else {
                self.descend(Level {
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
    pub(super) fn finish_folders(&mut self) -> Result<()> {
        for (path, facts) in std::mem::take(&mut self.folders).into_iter().rev() {
            let made =
                os::open_folder(self.target, &path, Lookup::Full).map_err(|e| explain(DOING, e))?;
            os::set_access(fd(&made), &facts).map_err(|e| explain(DOING, e))?;
            self.copy_attributes_of(&path, fd(&made))?;
            os::set_modified(fd(&made), facts.found.node.modified)
                .map_err(|e| explain(DOING, e))?;
        }
        Ok(())
    }

    /// Our attributes of a folder, if it is still there.
    fn copy_attributes_of(&mut self, path: &str, made: BorrowedFd<'_>) -> Result<()> {
        let Ok(from) = os::open_folder(self.source, path, Lookup::Full) else {
            return Ok(());
        };
        for _ in 0..TRIES {
            if self.copy_attributes(fd(&from), made)? {
                return self.ids.hand_over(fd(&from), made);
            }
        }
        self.fail(
            path,
            "its properties changed again and again while they were copied",
        );
        Ok(())
    }
}

/// Device and inode of an open folder.
pub(super) fn identity(folder: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let found = os::disk_of(folder).and_then(|disk| Ok((disk, os::stat_fd(folder)?.inode)));
    found.map_err(|e| explain(DOING, e))
}

/// A folder before its names are read. What may change after that without showing it counts as changed.
fn look(folder: &OwnedFd) -> Result<Facts> {
    let mut facts = os::facts_fd(fd(folder)).map_err(|e| explain(DOING, e))?;
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
        other => explain(DOING, other),
    }
}

/// Whether something changed so lately that it may change again without showing it.
pub(super) fn is_fresh(changed: u64) -> bool {
    let age = since_1970(SystemTime::now()).saturating_sub(changed);
    u128::from(age) < TICK.as_nanos()
}

fn since_1970(time: SystemTime) -> u64 {
    u64::try_from(
        time.duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos(),
    )
    .unwrap_or(u64::MAX)
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}
