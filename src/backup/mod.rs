//! Backups: a folder of generations, each a whole data folder as plain files (`files/`), an export of the state, and an index.
//! What has not changed is one file in all generations. One under way is called `*.partial`; it gets its name when all of it is
//! on the disk. The state is exported before the files are copied: what it names was there when the copying began. It is
//! exported once more afterwards, only to tell what the files that were saved or moved meanwhile are called by then.

mod bindings;
mod index;
mod missing;
mod repository;
mod restore;
#[cfg(test)]
mod tests;
mod tree_paths;

pub use crate::storage::local::backup::BackupStats;
pub use restore::{RestoreSummary, restore};

use crate::model::time::iso_date;
use crate::model::{Error, Result};
use crate::state::sled::SledStore;
use crate::storage::local::backup::{self as copy, CopyTreeOptions, FallbackCopy, ParentCopy};
use index::IndexWriter;
use repository::BackupRepository;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};
use tree_paths::TreePaths;

/// The form of a generation; one with a higher number is refused.
const FORMAT: u32 = 1;
const HEADER: &str = "backup.json";
const STATE: &str = "state.jsonl";
const FILES: &str = "files";
/// What is called this in reports and the index: all of the data folder that is in no home or team folder.
const REST: &str = "rest";
/// Where the data folder has its trees.
const TREES: [&str; 2] = ["homes", "teams"];
/// What is in the data folder and in no backup: the store is exported, the socket is no file, and the file system keeps its own.
const NEVER: [&str; 5] = [
    "state",
    "control.sock",
    "control.new",
    "lost+found",
    crate::app::UNFINISHED,
];

/// What is to be backed up, and how.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The folder of backups.
    pub dir: PathBuf,
    /// Whether the trash and versions come along.
    pub history: bool,
    /// How many generations are kept, the new one among them; `None` for all.
    pub keep: Option<usize>,
}

/// What is said of a generation, in itself and to whoever asked for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The form of the generation.
    sarang_backup: u32,
    /// The program that made it.
    program: String,
    /// Which one it is: one more than that of the one before, 0 in what is from before there were numbers.
    #[serde(default)]
    pub number: u64,
    /// When it began, as RFC 3339 has it.
    pub began: String,
    /// Seconds it took.
    pub seconds: f64,
    /// Whether trash and versions are in it.
    pub history: bool,
    /// What was done.
    pub tally: BackupStats,
    /// Where it is.
    #[serde(skip)]
    pub generation: PathBuf,
    /// How many older generations were removed for it.
    #[serde(skip)]
    pub removed: usize,
    /// Former generations whose names lie in the future: the clock was wrong.
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<PathBuf>,
}

/// A generation being made. Dropped before its end it stays as `*.partial`, which the next one takes over from.
#[derive(Debug)]
pub struct BackupRun {
    order: BackupOptions,
    repository: BackupRepository,
    partial: PathBuf,
    began: SystemTime,
    clock: Instant,
    tally: BackupStats,
}

impl BackupRun {
    /// Begins a generation. `Forbidden` for a folder of backups that lies in the data folder, or holds anything else;
    /// `Io` of kind `ResourceBusy` while another one is made there.
    pub fn begin(mut order: BackupOptions) -> Result<Self> {
        order.data_dir =
            fs::canonicalize(&order.data_dir).map_err(|e| Error::io("open the data folder", e))?;
        let repository = BackupRepository::open(&order.dir, &order.data_dir)?;
        let began = SystemTime::now();
        let partial = repository.begin(&iso_date(began).replace(':', ""))?;
        Ok(Self {
            order,
            repository,
            partial,
            began,
            clock: Instant::now(),
            tally: BackupStats::default(),
        })
    }

    /// Takes the state as it is exported to a file; the first thing to do. `Forbidden` where a home or team folder and the folder of
    /// backups overlap: there is nothing of this generation yet that its owner would see.
    pub fn add_state(&self, export: &Path) -> Result<()> {
        let places = TreePaths::of(&SledStore::read_export(export)?, &self.order.data_dir)?;
        let refused = self
            .trees(&places)
            .and_then(|trees| places.refuse_overlap(&trees, self.repository.dir()));
        refused.inspect_err(|_| self.repository.discard_empty(&self.partial))?;
        let copied = fs::copy(export, self.partial.join(STATE));
        copied.map(drop).map_err(|e| failed("copy the state", e))
    }

    /// Copies the files, telling `progress`. Returns whether all trees stayed where they were: if one was moved into another
    /// meanwhile, this generation is to be given up and the next one begun, which goes on from it.
    pub fn copy_files(&mut self, progress: &mut dyn FnMut(&BackupStats)) -> Result<bool> {
        let state = SledStore::read_export(&self.partial.join(STATE))?;
        let places = TreePaths::of(&state, &self.order.data_dir)?;
        let missing = missing::find(&state, &places)?;
        let trees = self.trees(&places)?;
        let mut index = IndexWriter::new(&self.partial, progress);
        let mut skip: Vec<&str> = NEVER.to_vec();
        skip.extend(trees.iter().map(String::as_str));
        skip.extend(missing.iter().map(String::as_str));
        let mut stayed = self.copy_tree(REST, &self.order.data_dir.clone(), &skip, &mut index)?;
        let mut own = vec![".sarang/tmp", ".sarang/thumbnails"];
        if !self.order.history {
            own.extend([".sarang/trash", ".sarang/versions"]);
        }
        for tree in trees.iter().filter(|tree| !missing.contains(tree)) {
            if let Some(from) = places.path_of(tree) {
                stayed &= self.copy_tree(tree, &from, &own, &mut index)?;
            }
        }
        for tree in &missing {
            self.reuse_previous(tree, &mut index)?;
        }
        index.sync()?;
        Ok(stayed)
    }

    fn copy_tree(
        &mut self,
        label: &str,
        from: &Path,
        skip: &[&str],
        index: &mut IndexWriter<'_>,
    ) -> Result<bool> {
        let below = if label == REST { "" } else { label };
        let to = self.partial.join(FILES).join(below);
        make_folder(&to)?;
        let former = |made: &PathBuf| {
            ParentCopy::open(&made.join(FILES).join(below), index::open(made, label))
        };
        let formers: Vec<Option<ParentCopy>> = self
            .repository
            .previous()
            .iter()
            .map(former)
            .collect::<Result<_>>()?;
        let formers = formers.into_iter().flatten().collect();
        index.start_tree(label)?;
        let held = |made: &PathBuf| {
            FallbackCopy::new(made.join(FILES).join(below), index::path(made, label))
        };
        let earlier = self.repository.whole().map(held).collect();
        let avoid = Some(copy::identity(self.repository.dir())?);
        let plan = CopyTreeOptions {
            from,
            to: &to,
            label,
            skip,
            parents: formers,
            fallbacks: earlier,
            exclude: avoid,
            began: self.began,
        };
        copy::copy_tree(&plan, &mut self.tally, index)
    }

    /// The homes and team folders that there are.
    fn trees(&self, places: &TreePaths) -> Result<Vec<String>> {
        let mut trees: BTreeSet<String> = places.elsewhere().cloned().collect();
        for kind in TREES {
            trees.extend(
                folders_in(&self.order.data_dir.join(kind))?
                    .into_iter()
                    .map(|name| format!("{kind}/{name}")),
            );
        }
        Ok(trees.into_iter().collect())
    }

    /// Puts everything on the disk and gives the generation its name.
    pub fn finish(mut self) -> Result<Summary> {
        let mut summary = Summary {
            sarang_backup: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            number: self.repository.next(),
            began: iso_date(self.began),
            seconds: 0.0,
            history: self.order.history,
            tally: std::mem::take(&mut self.tally),
            generation: PathBuf::new(),
            removed: 0,
            ahead: Vec::new(),
        };
        copy::sync(&self.partial)?;
        summary.seconds = self.clock.elapsed().as_secs_f64();
        let text = serde_json::to_vec_pretty(&summary)
            .map_err(|e| failed("describe the backup", e.into()))?;
        write_durably(&self.partial.join(HEADER), &text)?;
        summary.generation = self.repository.finish(&self.partial)?;
        summary.ahead = self.repository.dated_ahead(&summary.generation);
        summary.removed = self.repository.prune(self.order.keep)?;
        Ok(summary)
    }
}

/// The folders in a folder by name, where there is one; one that stands in as a link counts, too.
fn folders_in(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed("list the folders", e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed("list the folders", e))?;
        if fs::metadata(entry.path()).is_ok_and(|facts| facts.is_dir()) {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

fn make_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|e| failed("make a folder", e))
}

fn write_durably(path: &Path, text: &[u8]) -> Result<()> {
    let written =
        File::create(path).and_then(|mut file| file.write_all(text).and_then(|()| file.sync_all()));
    written.map_err(|e| failed("write what describes the backup", e))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| failed("write the backup to the disk", e))
}

fn failed(doing: &'static str, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        Error::NoSpace
    } else {
        Error::io(doing, error)
    }
}
