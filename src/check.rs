//! Whether the state, the homes and team folders, their trash and versions agree with each other. Findings are damage; notes tell
//! of what may well be meant so and is worth knowing.

mod bindings;
mod trees;

use crate::app::removal::{self, RemovalRecord};
use crate::model::{Error, Result};
use crate::state::sled::{RecordMap, SledStore};
use crate::state::table::decode;
use crate::storage::local::check::CheckFinding;
use crate::storage::local::{LocalSettings, LocalTree};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use trees::ExistingLocation;

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
