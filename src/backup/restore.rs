//! The way back: a generation becomes a data folder. Until all of it is on the disk the folder says that it is unfinished, and no
//! server starts on it.

use super::bindings::Bindings;
use super::shelf::{describe, generations, is_empty};
use super::{
    FILES, REST, STATE, Summary, failed, index, make_folder, places, sync_folder, write_durably,
};
use crate::app::UNFINISHED;
use crate::content::local::backup::{self as copy, Mark, Plan, Tally, Watch};
use crate::model::{Error, Result};
use crate::store::sled::SledStore;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was brought back.
#[derive(Debug)]
pub struct Restored {
    /// The generation it was taken from.
    pub summary: Summary,
    /// What was done.
    pub tally: Tally,
    /// How many shares and links name what is not in the backup: they show nothing, as they did.
    pub lost_bindings: usize,
    /// Homes and team folders whose files lay in a folder of their own elsewhere, and where: they are below the data folder now.
    pub brought_home: Vec<(String, String)>,
}

/// Brings a generation, or the newest whole one of a folder of backups, back as the data folder `to`, which must be empty or
/// missing: `Forbidden`.
pub fn restore(backup: &Path, to: &Path, progress: &mut dyn FnMut(&Tally)) -> Result<Restored> {
    let generation = newest(backup)?;
    let mut summary = describe(&generation)?;
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
    let (mut tally, mut told) = (Tally::default(), Told(progress));
    let trees = index::trees(&generation)?;
    let skip: Vec<&str> = trees.iter().map(String::as_str).collect();
    copy_tree((&generation, to), REST, &skip, &mut tally, &mut told)?;
    for tree in &trees {
        bindings.look_in(tree, index::read(&generation, tree));
        copy_tree((&generation, to), tree, &[], &mut tally, &mut told)?;
    }
    let lost_bindings = bindings.apply(&mut state)?;
    let brought_home = places::bring_home(&mut state)?;
    SledStore::replace(&to.join("state"), &state)?;
    give_to_owner(to, &to.join("state")).map_err(|e| failed("give the state to its owner", e))?;
    copy::settle(to)?;
    fs::remove_file(to.join(UNFINISHED)).map_err(|e| failed("finish the data folder", e))?;
    sync_folder(to)?;
    summary.generation = generation;
    Ok(Restored {
        summary,
        tally,
        lost_bindings,
        brought_home,
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
    tally: &mut Tally,
    watch: &mut Told<'_>,
) -> Result<()> {
    let below = if label == REST { "" } else { label };
    let (from, to) = (from.join(FILES).join(below), to.join(below));
    make_folder(&to)?;
    let plan = Plan {
        skip,
        ..Plan::new(&from, &to, label)
    };
    if copy::copy_tree(&plan, tally, watch)? {
        Ok(())
    } else {
        Err(Error::NotFound)
    }
}

/// Tells how far it is.
struct Told<'a>(&'a mut dyn FnMut(&Tally));

impl Watch for Told<'_> {
    fn copied(&mut self, _mark: &Mark, tally: &Tally) -> Result<()> {
        (self.0)(tally);
        Ok(())
    }
}

/// Gives what root has made to whom the data folder belongs.
fn give_to_owner(data_dir: &Path, made: &Path) -> std::io::Result<()> {
    let owner = fs::metadata(data_dir)?;
    let mut waiting = vec![made.to_owned()];
    while let Some(path) = waiting.pop() {
        let facts = fs::symlink_metadata(&path)?;
        if (facts.uid(), facts.gid()) != (owner.uid(), owner.gid()) {
            std::os::unix::fs::lchown(&path, Some(owner.uid()), Some(owner.gid()))?;
        }
        if facts.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
    }
    Ok(())
}
