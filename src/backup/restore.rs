//! The way back: a generation becomes a data folder. Until all of it is on the disk the folder says that it is unfinished, and no
//! server starts on it.

use super::bindings::Bindings;
use super::repository::{describe, generations, is_empty};
use super::{
    FILES, REST, STATE, Summary, failed, index, make_folder, sync_folder, tree_paths, write_durably,
};
use crate::app::UNFINISHED;
use crate::model::{Error, Result};
use crate::state::sled::SledStore;
use crate::storage::local::backup::{
    self as copy, BackupStats, CopyObserver, CopyTreeOptions, IndexEntry,
};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was brought back.
#[derive(Debug)]
pub struct RestoreSummary {
    /// The generation it was taken from.
    pub summary: Summary,
    /// What was done.
    pub tally: BackupStats,
    /// How many shares and links name what is not in the backup: they show nothing, as they did.
    pub lost_bindings: usize,
    /// Homes and team folders whose files lay in a folder of their own elsewhere, and where: they are below the data folder now.
    pub relocated: Vec<(String, String)>,
}

/// Brings a generation, or the newest whole one of a folder of backups, back as the data folder `to`, which must be empty or
/// missing: `Forbidden`.
pub fn restore(
    backup: &Path,
    to: &Path,
    progress: &mut dyn FnMut(&BackupStats),
) -> Result<RestoreSummary> {
    let generation = newest(backup)?;
    let mut summary = describe(&generation)?;
    let owner = owner_to_be(to);
    make_folder(to)?;
    if to.join(UNFINISHED).exists() {
        return Err(Error::Forbidden(
            "An earlier restore into this folder was not finished: empty the folder first.",
        ));
    }
    if !is_empty(to)? {
        return Err(Error::Forbidden(
            "The folder to restore into is not empty: nothing was changed.",
        ));
    }
    let mut state = SledStore::read_export(&generation.join(STATE))?;
    let mut bindings = Bindings::of(&state)?;
    write_durably(&to.join(UNFINISHED), b"")?;
    let mut tally = BackupStats::default();
    let mut told = ProgressWatch(progress);
    let trees = index::trees(&generation)?;
    let skip: Vec<&str> = trees.iter().map(String::as_str).collect();
    copy_tree((&generation, to), REST, &skip, &mut tally, &mut told)?;
    for tree in &trees {
        bindings.look_in(tree, index::read(&generation, tree));
        copy_tree((&generation, to), tree, &[], &mut tally, &mut told)?;
    }
    let lost_bindings = bindings.apply(&mut state)?;
    let brought_home = tree_paths::relocate_to_data_folder(&mut state)?;
    if let Some(owner) = owner {
        hand_over(to, owner).map_err(|e| failed("give the files to the folder's owner", e))?;
    }
    SledStore::replace(&to.join("state"), &state)?;
    give_to_owner(to, &to.join("state")).map_err(|e| failed("give the state to its owner", e))?;
    copy::sync(to)?;
    fs::remove_file(to.join(UNFINISHED)).map_err(|e| failed("finish the data folder", e))?;
    sync_folder(to)?;
    summary.generation = generation;
    Ok(RestoreSummary {
        summary,
        tally,
        lost_bindings,
        relocated: brought_home,
    })
}

fn newest(backup: &Path) -> Result<PathBuf> {
    if backup.join(super::HEADER).is_file() {
        return Ok(backup.to_owned());
    }
    generations(backup)?
        .pop()
        .ok_or(Error::Forbidden("There is no whole backup in this folder."))
}

/// Copies a tree of the generation, `from`, into the data folder, `to`.
fn copy_tree(
    (from, to): (&Path, &Path),
    label: &str,
    skip: &[&str],
    tally: &mut BackupStats,
    watch: &mut ProgressWatch<'_>,
) -> Result<()> {
    let below = if label == REST { "" } else { label };
    let from = from.join(FILES).join(below);
    let to = to.join(below);
    make_folder(&to)?;
    let plan = CopyTreeOptions {
        skip,
        ..CopyTreeOptions::new(&from, &to, label)
    };
    if copy::copy_tree(&plan, tally, watch)? {
        Ok(())
    } else {
        Err(Error::NotFound)
    }
}

/// Tells how far it is.
struct ProgressWatch<'a>(&'a mut dyn FnMut(&BackupStats));

impl CopyObserver for ProgressWatch<'_> {
    fn copied(&mut self, _mark: &IndexEntry, tally: &BackupStats) -> Result<()> {
        (self.0)(tally);
        Ok(())
    }
}

/// A user and a group.
type Owner = (u32, u32);

/// Whom the folder to restore into belongs to, when it is there already: its server runs as that user. A folder of root's own says
/// nothing; what is restored there belongs to whom it belonged to.
fn owner_to_be(to: &Path) -> Option<Owner> {
    let facts = fs::metadata(to).ok()?;
    (facts.uid() != 0).then(|| (facts.uid(), facts.gid()))
}

/// Gives a data folder that was copied by root, and what lies below it, to another owner; what belongs to others stays theirs.
fn hand_over(data_dir: &Path, owner: Owner) -> std::io::Result<()> {
    let data_dir = fs::canonicalize(data_dir)?;
    let former = fs::metadata(&data_dir)?;
    // Only root's copies have the owners of what was copied.
    if former.uid() == owner.0 {
        return Ok(());
    }
    let exchanged = |id, from, to| if id == from { to } else { id };
    change_owners(&data_dir, |(uid, gid)| {
        (
            exchanged(uid, former.uid(), owner.0),
            exchanged(gid, former.gid(), owner.1),
        )
    })
}

/// Gives what root has made to whom the data folder belongs.
fn give_to_owner(data_dir: &Path, made: &Path) -> std::io::Result<()> {
    let owner = fs::metadata(data_dir)?;
    change_owners(made, |_| (owner.uid(), owner.gid()))
}

/// Changes the owners of a folder and all below it; links are not followed.
fn change_owners(top: &Path, new_owner: impl Fn(Owner) -> Owner) -> std::io::Result<()> {
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        let facts = fs::symlink_metadata(&path)?;
        let owner = (facts.uid(), facts.gid());
        let (uid, gid) = new_owner(owner);
        if (uid, gid) != owner {
            std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
        }
        if facts.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
    }
    Ok(())
}
