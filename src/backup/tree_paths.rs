//! Where the files lie that are to be copied: below the data folder, or in folders that were there before.

use super::repository;
use crate::app::removal::{self, FilesDisposal, RemovalRecord};
use crate::app::{EXISTING, ExistingFolder, place_of};
use crate::model::{Error, Result};
use crate::state::sled::RecordMap;
use crate::state::table::{decode, encode};
use crate::storage::local::in_place::{self, FolderLocation};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the homes and team folders of a state lie.
#[derive(Debug)]
pub(super) struct TreePaths {
    data_dir: PathBuf,
    /// Those elsewhere, by where others lie; nowhere where the way to them is not safe.
    existing: BTreeMap<String, Option<FolderLocation>>,
}

impl TreePaths {
    pub fn of(state: &RecordMap, data_dir: &Path) -> Result<Self> {
        let server =
            in_place::owner_of(data_dir).map_err(|e| Error::io("look at the data folder", e))?;
        let mut existing = BTreeMap::new();
        for (key, text) in state {
            let Some(place) = key.strip_prefix(EXISTING).and_then(place_of) else {
                continue;
            };
            let path = decode::<ExistingFolder>(key, text)?.path;
            let site = FolderLocation::resolve(path.as_ref(), server);
            existing.insert(
                place,
                site.inspect_err(|unfit| tracing::warn!("{unfit}")).ok(),
            );
        }
        Ok(Self {
            data_dir: data_dir.to_owned(),
            existing,
        })
    }

    /// Where the files of `homes/ana` lie; `None` when they cannot be reached safely.
    pub fn path_of(&self, place: &str) -> Option<PathBuf> {
        match self.existing.get(place) {
            Some(site) => site.as_ref().map(|site| site.path.clone()),
            None => Some(self.data_dir.join(place)),
        }
    }

    /// Those elsewhere, as others lie in the data folder.
    pub fn elsewhere(&self) -> impl Iterator<Item = &String> {
        self.existing.keys()
    }

    /// Refuses a folder of backups that lies in one of these trees or the data folder, or one of them in it: whatever links and mounts
    /// lead there.
    pub fn refuse_overlap(&self, trees: &[String], backups: &Path) -> Result<()> {
        let backups = FolderLocation::of_own(backups)
            .map_err(|e| Error::io("open the folder of backups", e))?;
        let data = FolderLocation::of_own(&self.data_dir)
            .map_err(|e| Error::io("open the data folder", e))?;
        if data.overlaps(&backups) {
            return Err(repository::WITHIN_DATA);
        }
        // What cannot be opened is not copied either.
        let real = trees
            .iter()
            .filter_map(|tree| fs::canonicalize(self.path_of(tree)?).ok());
        let led = real
            .filter(|path| !path.starts_with(&data.path))
            .filter_map(|path| FolderLocation::of_own(&path).ok());
        let mounted = data.mounted_below();
        if mounted
            .into_iter()
            .chain(led.flat_map(with_mounts))
            .any(|site| site.overlaps(&backups))
        {
            return Err(Error::Forbidden(
                "A backup within a home or team folder would be lost with it, and be in the next one: choose another folder.",
            ));
        }
        Ok(())
    }
}

fn with_mounts(site: FolderLocation) -> Vec<FolderLocation> {
    let mut all = site.mounted_below();
    all.push(site);
    all
}

/// Lets the files of a state lie below the data folder, as they do in a generation; returns which of them lay elsewhere, and where.
pub(super) fn relocate_to_data_folder(state: &mut RecordMap) -> Result<Vec<(String, String)>> {
    let mut lay = Vec::new();
    for (key, text) in state.iter() {
        if let Some(place) = key.strip_prefix(EXISTING).and_then(place_of) {
            lay.push((place, decode::<ExistingFolder>(key, text)?.path));
        }
    }
    state.retain(|key, _| !key.starts_with(EXISTING));
    let removals: Vec<_> = state
        .iter()
        .filter(|(key, _)| key.starts_with(removal::PREFIX))
        .collect();
    let mut left = Vec::new();
    for (key, text) in removals {
        let removal = decode::<RemovalRecord>(key, text)?;
        if removal.existing.is_some() {
            left.push((key.clone(), removal));
        }
    }
    // What was to be deleted there is not deleted by a start on what is restored.
    for (key, removal) in left {
        if removal.settled {
            state.remove(&key);
        } else {
            state.insert(
                key,
                encode(&RemovalRecord {
                    files: FilesDisposal::Keep,
                    existing: None,
                    ..removal
                })?,
            );
        }
    }
    Ok(lay)
}
