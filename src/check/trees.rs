//! Whether each home and team folder is where its record says, and belongs to somebody.

use super::{Checker, DOING, names_in};
use crate::app::{EXISTING, ExistingFolder, TREES, TreeKind, TreeRecord, place_of};
use crate::model::time::{from_unix_seconds, iso_date};
use crate::model::{Error, Result};
use crate::state::table::decode;
use crate::storage::local::LocalTree;
use crate::storage::local::check::{TreeCheckOptions, check_tree};
use crate::storage::local::in_place::{self, FolderLocation, InPlaceError};
use crate::storage::local::missing_features::MissingFeatureSet;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the files of a home or team folder lie that are not in the data folder.
pub(super) enum ExistingLocation {
    /// There.
    At(PathBuf),
    /// Where they cannot be served.
    Unfit(String),
}

impl Checker<'_> {
    /// Folders that were there before must be safe to reach, and lie each for itself.
    pub(super) fn check_existing(&mut self) -> Result<()> {
        let data_dir = &self.order.data_dir;
        let server = in_place::owner_of(data_dir).map_err(|e| Error::io(DOING, e))?;
        let mut sites: Vec<(String, FolderLocation)> = Vec::new();
        sites.extend(
            FolderLocation::of_own(data_dir)
                .ok()
                .map(|site| ("the data folder".to_owned(), site)),
        );
        for (key, text) in self.records {
            let Some(place) = key.strip_prefix(EXISTING).and_then(place_of) else {
                continue;
            };
            let path = PathBuf::from(decode::<ExistingFolder>(key, text)?.path);
            let location = match FolderLocation::resolve(&path, server) {
                Ok(site) => {
                    if let Some((whose, _)) = sites.iter().find(|(_, other)| other.overlaps(&site))
                    {
                        ExistingLocation::Unfit(
                            InPlaceError::Overlap {
                                path: site.path,
                                whose: whose.clone(),
                            }
                            .to_string(),
                        )
                    } else {
                        sites.push((place.clone(), site.clone()));
                        ExistingLocation::At(site.path)
                    }
                }
                // As when its disk is not mounted: that is told with the others that are missing.
                Err(InPlaceError::NotFound(_)) => ExistingLocation::At(path),
                Err(unfit) => ExistingLocation::Unfit(unfit.to_string()),
            };
            self.existing.insert(place, location);
        }
        Ok(())
    }

    /// Where the files of a place lie; `None` where they cannot be served.
    pub(super) fn path_of(&self, place: &str) -> Option<PathBuf> {
        match self.existing.get(place) {
            Some(ExistingLocation::At(path)) => Some(path.clone()),
            Some(ExistingLocation::Unfit(_)) => None,
            None => Some(self.order.data_dir.join(place)),
        }
    }

    /// Homes belong to accounts and team folders to their records; each is looked over.
    pub(super) fn check_trees(&mut self, folder: &str, prefix: &str, owner: &str) -> Result<()> {
        let dir = self.order.data_dir.join(folder);
        let start = format!("{folder}/");
        let existing = self
            .existing
            .keys()
            .filter_map(|place| place.strip_prefix(&start))
            .map(str::to_owned);
        let existing: BTreeSet<String> = existing.collect();
        let known: BTreeSet<String> = self
            .records
            .keys()
            .filter_map(|key| key.strip_prefix(prefix))
            .map(str::to_owned)
            .collect();
        let mut present: BTreeSet<String> = names_in(&dir)?.into_iter().collect();
        let missing = self.missing(prefix, folder, &known)?;
        for name in &existing {
            if present.contains(name) {
                self.report.notes.push(format!(
                    "{folder}/{name} is not used: the {owner} {name} has its files elsewhere."
                ));
            }
            present.insert(name.clone());
        }
        for name in present.iter().filter(|name| !missing.contains(*name)) {
            let place = format!("{folder}/{name}");
            let Some(path) = self.path_of(&place) else {
                continue;
            };
            if !path.is_dir() {
                self.find(place, "it is no folder");
                continue;
            }
            if !known.contains(name) {
                self.note_unowned(owner, name, &place);
            }
            self.check_one_tree(&place, &path);
            if self.order.scrub {
                self.scrub(&place, &path);
            }
            self.report.trees += 1;
        }
        for name in known
            .iter()
            .filter(|name| !present.contains(*name) && !missing.contains(*name))
        {
            let note = format!(
                "The {owner} {name} has no folder in {folder}: it is made at the first use."
            );
            self.report.notes.push(note);
        }
        Ok(())
    }

    /// Looks over the files of one home or team folder.
    fn check_one_tree(&mut self, place: &str, path: &Path) {
        let care = TreeCheckOptions {
            served: self.order.served,
            repair: self.order.repair,
        };
        match check_tree(path, care) {
            Ok(seen) => {
                self.report.findings.extend(
                    seen.findings
                        .into_iter()
                        .map(|finding| (place.to_owned(), finding)),
                );
                if seen.lacks != MissingFeatureSet::default() {
                    self.lacking
                        .entry(seen.lacks.describe())
                        .or_default()
                        .push(place.to_owned());
                }
                self.report.notes.extend(
                    seen.notes
                        .into_iter()
                        .map(|note| format!("{place}: {note}")),
                );
            }
            Err(error) => {
                self.find(place, format!("it cannot be looked over: {error}"));
            }
        }
    }

    /// Those that have been made and are not there, or cannot be served.
    pub(super) fn missing(
        &mut self,
        prefix: &str,
        folder: &str,
        known: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>> {
        let kind = if prefix == "team/" {
            TreeKind::Team
        } else {
            TreeKind::Home
        };
        let records = self.records;
        let mut missing = BTreeSet::new();
        for name in known {
            let key = format!("{TREES}{}", kind.id(name));
            let place = format!("{folder}/{name}");
            if let Some(ExistingLocation::Unfit(why)) = self.existing.get(&place) {
                let why = format!("it is not served: {why}");
                self.find(place, why);
                missing.insert(name.clone());
                continue;
            }
            let (Some(text), Some(path)) = (records.get(&key), self.path_of(&place)) else {
                continue;
            };
            let made = decode::<TreeRecord>(&key, text)?;
            if LocalTree::id_at(&path)?.is_some_and(|found| found == made.id) {
                continue;
            }
            let whose = if self.existing.contains_key(&place) {
                format!("{}: ", path.display())
            } else {
                String::new()
            };
            self.find(
                place.as_str(),
                format!(
                    "{whose}it is missing, or another folder lies in its place: mount its disk, or bring it back from a backup, with \
                     .sarang/home. If it is gone for good, `sarang new-home {place}` lets what lies there be it, or a new one"
                ),
            );
            missing.insert(name.clone());
        }
        Ok(missing)
    }

    /// What belongs to nobody lies aside after a removal, or came there beside the server.
    pub(super) fn note_unowned(&mut self, owner: &str, name: &str, place: &str) {
        let removal = self
            .removals
            .iter()
            .find(|removal| removal.place() == place);
        self.report.notes.push(match removal {
            Some(removal) if removal.settled && !removal.files.is_purge() => format!(
                "{place} keeps the files of the {owner} {}, removed at {}: `sarang removed` brings them back or deletes them.",
                removal.name,
                iso_date(from_unix_seconds(removal.removed))
            ),
            Some(removal) => format!("{place} is of the {owner} {}, whose removal the server finishes.", removal.name),
            None => format!("There is no {owner} {name}, and {place} keeps files."),
        });
    }
}
