//! Whether the state, the homes and team folders, their trash and versions agree with each other. Findings are damage; notes tell
//! of what may well be meant so and is worth knowing.

use crate::app::removal::{self, RemovalRecord};
use crate::app::{EXISTING, ExistingFolder, TREES, TreeKind, TreeRecord, place_of};
use crate::links::LinkRecord;
use crate::model::time::{from_unix_seconds, iso_date};
use crate::model::{Error, RelPath, Result};
use crate::sharing::shares::Share;
use crate::state::sled::{RecordMap, SledStore};
use crate::state::table::decode;
use crate::storage::local::check::{CheckFinding, TreeCheckOptions, check_tree, inspect};
use crate::storage::local::in_place::{self, FolderLocation, InPlaceError};
use crate::storage::local::missing_features::MissingFeatureSet;
use crate::storage::local::{LocalSettings, LocalTree};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const DOING: &str = "check the data folder";

/// What was found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// What is not as it should be, and where.
    pub findings: Vec<(String, CheckFinding)>,
    /// What may well be meant so.
    pub notes: Vec<String>,
    /// How many records were read.
    pub records: usize,
    /// How many homes and team folders were looked over.
    pub trees: usize,
    /// Files and bytes that were read again, and how many of the files have a hash from now on only.
    pub read: Option<[u64; 3]>,
}

/// How the data folder is checked.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Whether a server runs on it meanwhile.
    pub served: bool,
    /// Whether every file is read again and compared with the hash that was kept when it came.
    pub scrub: bool,
    /// With which settings repairs are made; `None` for none. Ignored while a server runs.
    pub repair: Option<LocalSettings>,
}

/// Checks a data folder whose state is `records`.
pub fn check(order: &CheckOptions, records: &RecordMap) -> Result<CheckReport> {
    let report = CheckReport {
        records: records.len(),
        ..CheckReport::default()
    };
    let existing = BTreeMap::new();
    let lacking = BTreeMap::new();
    let mut check = Checker {
        order,
        records,
        removals: Vec::new(),
        existing,
        report,
        lacking,
    };
    check.check_records();
    check.check_existing()?;
    check.check_removals();
    check.check_exports()?;
    check.check_trees("homes", "account/", "account")?;
    check.check_trees("teams", "team/", "team folder")?;
    check.check_bindings()?;
    check.note_lacking();
    Ok(check.report)
}

struct Checker<'a> {
    order: &'a CheckOptions,
    records: &'a RecordMap,
    removals: Vec<RemovalRecord>,
    /// The folders that were there before they became homes and team folders, by the place of others: `homes/ana`.
    existing: BTreeMap<String, ExistingLocation>,
    report: CheckReport,
    /// What file systems lack, and what lies on those.
    lacking: BTreeMap<Vec<&'static str>, Vec<String>>,
}

/// Where the files of a home or team folder lie that are not in the data folder.
enum ExistingLocation {
    /// There.
    At(PathBuf),
    /// Where they cannot be served.
    Unfit(String),
}

impl Checker<'_> {
    fn find(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.report.findings.push((
            place.into(),
            CheckFinding {
                what: what.into(),
                repaired: false,
            },
        ));
    }

    /// Every record must be an object that carries its version.
    fn check_records(&mut self) {
        let readable = |text: &str| {
            serde_json::from_str::<Value>(text)
                .is_ok_and(|value| value.get("v").is_some_and(Value::is_u64))
        };
        let records = self.records;
        for (key, _) in records.iter().filter(|(_, text)| !readable(text)) {
            self.find(
                "state",
                format!("the record {key} cannot be read: bring an export back with `sarang store restore`"),
            );
        }
    }

    /// Exports are what the store comes back from, and what a broken one has left is to be looked at.
    fn check_exports(&mut self) -> Result<()> {
        let state = self.order.data_dir.join("state");
        for export in SledStore::exports(&state)? {
            if let Err(error) = SledStore::read_export(&export) {
                self.find("state", format!("an export is of no use: {error}"));
            }
        }
        for name in names_in(&state)?
            .into_iter()
            .filter(|name| name.starts_with("broken-"))
        {
            let note = format!(
                "state/{name} is what a repair of the state store put aside: look at it, then remove it."
            );
            self.report.notes.push(note);
        }
        Ok(())
    }

    /// Folders that were there before must be safe to reach, and lie each for itself.
    fn check_existing(&mut self) -> Result<()> {
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
            let spot = match FolderLocation::resolve(&path, server) {
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
            self.existing.insert(place, spot);
        }
        Ok(())
    }

    /// Where the files of a place lie; `None` where they cannot be served.
    fn path_of(&self, place: &str) -> Option<PathBuf> {
        match self.existing.get(place) {
            Some(ExistingLocation::At(path)) => Some(path.clone()),
            Some(ExistingLocation::Unfit(_)) => None,
            None => Some(self.order.data_dir.join(place)),
        }
    }

    /// Homes belong to accounts and team folders to their records; each is looked over.
    fn check_trees(&mut self, folder: &str, prefix: &str, owner: &str) -> Result<()> {
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
            let care = TreeCheckOptions {
                served: self.order.served,
                repair: self.order.repair,
            };
            match check_tree(&path, care) {
                Ok(seen) => {
                    self.report.findings.extend(
                        seen.findings
                            .into_iter()
                            .map(|finding| (place.clone(), finding)),
                    );
                    if seen.lacks != MissingFeatureSet::default() {
                        self.lacking
                            .entry(seen.lacks.describe())
                            .or_default()
                            .push(place.clone());
                    }
                    self.report.notes.extend(
                        seen.notes
                            .into_iter()
                            .map(|note| format!("{place}: {note}")),
                    );
                }
                Err(error) => {
                    self.find(place.as_str(), format!("it cannot be looked over: {error}"));
                }
            }
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

    /// Those that have been made and are not there, or cannot be served.
    fn missing(
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
    fn note_unowned(&mut self, owner: &str, name: &str, place: &str) {
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

    /// Removals that a crash cut short, and those whose files were taken away beside the server.
    fn check_removals(&mut self) {
        let records = self.records;
        for (key, text) in records
            .iter()
            .filter(|(key, _)| key.starts_with(removal::PREFIX))
        {
            match decode::<RemovalRecord>(key, text) {
                Ok(removal) => self.removals.push(removal),
                Err(error) => self.find("state", error.to_string()),
            }
        }
        for removal in &self.removals {
            let name = &removal.name;
            if !removal.settled {
                self.report.notes.push(format!(
                    "The removal of {name} is not finished: a start of the server does it."
                ));
            } else if !self.order.data_dir.join(removal.place()).exists() {
                let place = removal.place();
                self.report.notes.push(format!(
                    "The files of {name}, which was removed, are not in {place} any more."
                ));
            }
        }
    }

    fn scrub(&mut self, place: &str, path: &Path) {
        let scrubbed = match LocalTree::scrub_at(path) {
            Ok(scrubbed) => scrubbed,
            Err(error) => return self.find(place, format!("its files cannot be read: {error}")),
        };
        let read = self.report.read.get_or_insert_default();
        let more = [scrubbed.files, scrubbed.bytes, scrubbed.new];
        read.iter_mut()
            .zip(more)
            .for_each(|(sum, more)| *sum = sum.saturating_add(more));
        for file in scrubbed.damaged {
            self.find(
                place,
                format!("{file} is not what was uploaded: bring it back from a backup or an older version"),
            );
        }
        for file in scrubbed.unreadable {
            self.find(
                place,
                format!("{file} cannot be read: the disk may be failing"),
            );
        }
    }

    /// Shares and links whose file or folder is gone show nothing, which is how they are meant; their owners may like to know.
    fn check_bindings(&mut self) -> Result<()> {
        let records = self.records;
        for (key, text) in records {
            if key.starts_with("share/") {
                match decode::<Share>(key, text) {
                    Ok(share) => self.check_share(&share)?,
                    Err(error) => self.find("state", error.to_string()),
                }
            } else if let Some(id) = key.strip_prefix("link/") {
                match decode::<LinkRecord>(key, text) {
                    Ok(link) => self.check_link(id, &link)?,
                    Err(error) => self.find("state", error.to_string()),
                }
            }
        }
        Ok(())
    }

    fn check_share(&mut self, share: &Share) -> Result<()> {
        let Some(home) = self.home(share.owner.as_str()) else {
            return Ok(());
        };
        let there = inspect(&home, &share.path())?;
        if there.is_none_or(|(_, id, _)| id != share.node) {
            let owner = &share.owner;
            let path = share.path();
            let id = &share.id;
            let path = path.as_str();
            let note = format!(
                "The share {id} of {owner} shows nothing: what it was made for is not at /{path} any more."
            );
            self.report.notes.push(note);
        }
        Ok(())
    }

    fn check_link(&mut self, id: &str, link: &LinkRecord) -> Result<()> {
        let Some(home) = self.home(link.owner.as_str()) else {
            return Ok(());
        };
        let there = inspect(&home, &RelPath::from_stored(link.path.clone()))?;
        if there.is_none_or(|(node, id, props)| !link.target.is(&node, id, &props)) {
            let owner = &link.owner;
            let path = &link.path;
            let note = format!(
                "The link {id} of {owner} shows nothing: what it was made for is not at /{path} any more."
            );
            self.report.notes.push(note);
        }
        Ok(())
    }

    /// File systems that lack something are worth knowing.
    fn note_lacking(&mut self) {
        for (lacks, places) in std::mem::take(&mut self.lacking) {
            let places = some_of(&places);
            let lacks = lacks.join("; ");
            self.report
                .notes
                .push(format!("The file system of {places} has no {lacks}."));
        }
    }

    fn home(&self, owner: &str) -> Option<PathBuf> {
        self.path_of(&format!("homes/{owner}"))
    }
}

/// Some of many names, for a sentence.
pub fn some_of(names: &[String]) -> String {
    match names {
        [one, two, _, rest @ ..] => format!("{one}, {two} and {} more", rest.len() + 1),
        few => few.join(" and "),
    }
}

/// The names in a folder, sorted; none where there is none.
fn names_in(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(DOING, e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(
            entry
                .map_err(|e| Error::io(DOING, e))?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort();
    Ok(names)
}
