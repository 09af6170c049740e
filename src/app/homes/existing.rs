//! Folders that were there before they became a home or team folder, and are served where they lie: which there are, and the one place
//! that says which folder may be one. A new one is looked at and stored in one turn, so that of two that overlap one is refused.

use super::TreeKind;
use crate::app::data_folder::MARKER;
use crate::app::{BACKUPS, TREE_FOLDERS};
use crate::model::{Error, Result};
use crate::state::table::{self, Table};
use crate::state::{Batch, StateStore};
use crate::storage::local::in_place::{FolderLocation, InPlaceError};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store's prefix of them, by the names of trees: `existing/home/ana`.
pub const PREFIX: &str = "existing/";
/// The folder of a tree's own in each tree, and the file that says which tree it is.
const OWN: &str = ".sarang";
const OWN_MARKER: &str = ".sarang/home";
const NONE_ALLOWED: &str = "No folder outside the data folder may be served: name those that may, or that they may lie in, as \
                            `[storage] allowed` in the settings.";

/// Where the files of a home or team folder lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistingFolder {
    /// The path, as it was given.
    pub path: String,
}

impl table::Record for ExistingFolder {
    const VERSION: u32 = 1;
}

/// Every existing folder that is a home or team folder.
#[derive(Debug)]
pub(in crate::app) struct ExistingFolders {
    table: Table<ExistingFolder>,
    data_dir: PathBuf,
    allowed: Vec<PathBuf>,
    all: RwLock<BTreeMap<String, ExistingEntry>>,
    /// Held from the look at a new one until it is stored.
    pub adding: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct ExistingEntry {
    path: PathBuf,
    /// Where it was when it was looked at last.
    site: Option<FolderLocation>,
}

impl ExistingFolders {
    pub async fn open(
        store: Arc<dyn StateStore>,
        data_dir: &Path,
        allowed: &[PathBuf],
    ) -> Result<Self> {
        let table = Table::<ExistingFolder>::new(store, PREFIX);
        let entry = |record: ExistingFolder| ExistingEntry {
            path: record.path.into(),
            site: None,
        };
        let all = table
            .all()
            .await?
            .into_iter()
            .map(|(tree, record)| (tree, entry(record)))
            .collect();
        let data_dir = data_dir.to_owned();
        let allowed = allowed.to_owned();
        Ok(Self {
            table,
            data_dir,
            allowed,
            all: RwLock::new(all),
            adding: tokio::sync::Mutex::default(),
        })
    }

    /// Where a tree lies that is not in the data folder, as it was given.
    pub fn path_of(&self, tree: &str) -> Option<PathBuf> {
        self.all.read().get(tree).map(|entry| entry.path.clone())
    }

    /// Goes to where a tree lies; `None` for one in the data folder. Waits for the disk.
    pub fn find(&self, tree: &str) -> Result<Option<FolderLocation>, InPlaceError> {
        self.path_of(tree)
            .map(|path| FolderLocation::resolve_usable(&path))
            .transpose()
    }

    /// As [`find`](Self::find), for a tree that is to be opened: it must not have come to overlap with another meanwhile.
    pub fn locate(&self, tree: &str) -> Result<Option<PathBuf>, InPlaceError> {
        let Some(site) = self.find(tree)? else {
            return Ok(None);
        };
        let data = self.data_folder()?;
        if site.overlaps(&data) {
            return Err(overlap(&site, "the data folder"));
        }
        let mut all = self.all.write();
        let others = all.iter().filter(|(other, _)| *other != tree);
        for (other, entry) in others {
            if entry
                .site
                .as_ref()
                .is_some_and(|there| there.overlaps(&site))
            {
                return Err(overlap(&site, &described(other)));
            }
        }
        let path = site.path.clone();
        if let Some(entry) = all.get_mut(tree) {
            entry.site = Some(site);
        }
        Ok(Some(path))
    }

    /// Whether a folder may become a home or team folder, and where it is; `leaving` are those of removals that are not finished.
    /// Waits for the disk; called while `adding` is held.
    pub fn check_new(&self, path: &Path, leaving: &[PathBuf]) -> Result<FolderLocation, String> {
        if self.allowed.is_empty() {
            return Err(NONE_ALLOWED.into());
        }
        let site = FolderLocation::resolve_usable(path).map_err(|unfit| unfit.to_string())?;
        let real = |dir: &PathBuf| fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
        if !self
            .allowed
            .iter()
            .map(real)
            .any(|dir| site.path.starts_with(dir))
        {
            return Err(format!(
                "{} lies in none of the folders that `[storage] allowed` names.",
                site.path.display()
            ));
        }
        self.check_alone(&site, leaving)
            .map_err(|unfit| unfit.to_string())?;
        Ok(site)
    }

    fn check_alone(&self, site: &FolderLocation, leaving: &[PathBuf]) -> Result<(), InPlaceError> {
        let mut own = site.mounted_below();
        own.push(site.clone());
        let refuse = |there: &FolderLocation, whose: &str| {
            if own.iter().any(|own| own.overlaps(there)) {
                Err(overlap(site, whose))
            } else {
                Ok(())
            }
        };
        for there in self.data_sites()? {
            refuse(&there, "the data folder")?;
        }
        let others: Vec<_> = self
            .all
            .read()
            .iter()
            .map(|(tree, it)| (described(tree), it.path.clone()))
            .collect();
        let leaving = leaving
            .iter()
            .map(|path| ("what a removal is not done with".to_owned(), path.clone()));
        for (whose, path) in others.into_iter().chain(leaving) {
            // Of what is not there, as when its disk is not mounted, the path is known.
            match FolderLocation::of_own(&path) {
                Ok(there) => refuse(&there, &whose)?,
                Err(_) if site.path.starts_with(&path) || path.starts_with(&site.path) => {
                    return Err(overlap(site, &whose));
                }
                Err(_) => {}
            }
        }
        refuse_other_servers(site)
    }

    fn data_folder(&self) -> Result<FolderLocation, InPlaceError> {
        FolderLocation::of_own(&self.data_dir).map_err(|source| InPlaceError::Unreadable {
            path: self.data_dir.clone(),
            source,
        })
    }

    /// The data folder, and what is a part of it by a link or a mount.
    fn data_sites(&self) -> Result<Vec<FolderLocation>, InPlaceError> {
        let data = self.data_folder()?;
        let mut sites = data.mounted_below();
        let folders = TREE_FOLDERS.map(|folder| self.data_dir.join(folder));
        for folder in folders.iter().chain([&self.data_dir]) {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let links =
                entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
            sites.extend(links.flat_map(|link| FolderLocation::of_own(&link.path())));
        }
        sites.push(data);
        Ok(sites)
    }

    /// Takes note of what [`put_in`](Self::put_in) has stored.
    pub fn note_stored(&self, tree: &str, site: FolderLocation) {
        let entry = ExistingEntry {
            path: site.path.clone(),
            site: Some(site),
        };
        self.all.write().insert(tree.to_owned(), entry);
    }

    /// Adds the storing of where a tree lies to a batch.
    pub fn put_in(&self, batch: Batch, tree: &str, site: &FolderLocation) -> Result<Batch> {
        let path = site
            .path
            .to_str()
            .ok_or(Error::BadName("The path of a folder must be UTF-8."))?
            .to_owned();
        self.table.put_in(batch, tree, &ExistingFolder { path })
    }

    /// Lets the next tree of this name lie in the data folder.
    pub async fn forget(&self, tree: &str) -> Result<()> {
        if self.path_of(tree).is_some() {
            self.table.delete(tree).await?;
            self.all.write().remove(tree);
        }
        Ok(())
    }
}

fn overlap(site: &FolderLocation, whose: &str) -> InPlaceError {
    InPlaceError::Overlap {
        path: site.path.clone(),
        whose: whose.to_owned(),
    }
}

/// `the home of ana`.
fn described(tree: &str) -> String {
    match tree.split_once('/') {
        Some((kind, name)) if TreeKind::Team.id(name) == tree => {
            format!("the {kind} folder {name}")
        }
        Some((kind, name)) => format!("the {kind} of {name}"),
        None => tree.to_owned(),
    }
}

/// Refuses what belongs to a server already, this one or another, or is a folder of backups.
fn refuse_other_servers(site: &FolderLocation) -> Result<(), InPlaceError> {
    let refuse =
        |what: &str, dir: &Path| Err(overlap(site, &format!("{what}, {},", dir.display())));
    let owned = |dir: &Path| match () {
        () if dir.join(MARKER).exists() => Some("the data folder of a server"),
        () if dir.join(BACKUPS).exists() => Some("a folder of backups"),
        () => None,
    };
    for above in site.path.ancestors() {
        if let Some(what) = owned(above) {
            return refuse(what, above);
        }
        let is_own = above.file_name().is_some_and(|name| name == OWN);
        if is_own || (above != site.path && above.join(OWN_MARKER).exists()) {
            return refuse("a folder that is served", above);
        }
    }
    for entry in fs::read_dir(&site.path).into_iter().flatten().flatten() {
        let below = entry.path();
        if let Some(what) = owned(&below) {
            return refuse(what, &below);
        }
    }
    Ok(())
}
