//! The folders in which a drive shows what others share with its account, and its team folders. They exist while there is something in
//! them, and what that is is looked up by those requests only that look into them.

use super::absent_is_none;
use super::commons::Commons;
use super::mounts::{Mount, Source};
use super::shares::Share;
use crate::content::{Entry, Etag, Node};
use crate::model::time::from_unix_seconds;
use crate::model::{AccountName, Result, VPath};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// A folder of mounts.
#[derive(Debug)]
pub struct Hall {
    /// Where it shows in the account's drive, in NFC.
    pub at: VPath,
    kind: HallKind,
    account: AccountName,
    commons: Arc<Commons>,
    shown: OnceLock<Shown>,
}

/// What is in a folder of mounts.
#[derive(Clone, Copy, Debug)]
pub(super) enum HallKind {
    Shares,
    Teams,
}

/// What a folder of mounts shows to one request that looks into it; the others do not ask.
#[derive(Debug)]
struct Shown {
    mounts: Vec<Arc<Mount>>,
    changed: i64,
}

impl Hall {
    /// One that shows so to an account.
    pub(super) fn new(at: VPath, kind: HallKind, account: &AccountName, commons: &Arc<Commons>) -> Self {
        Self { at, kind, account: account.clone(), commons: commons.clone(), shown: OnceLock::new() }
    }

    fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| {
            let (account, commons) = (&self.account, &self.commons);
            let (sources, changed): (Vec<_>, _) = match self.kind {
                HallKind::Shares => {
                    let shares = commons.shares.to(account);
                    let changed = shares.iter().map(|share| share.created).max();
                    let source = |share: &Share| (share.name_for(account).to_owned(), Source::Share(share.id.clone()));
                    (shares.iter().map(|share| source(share)).collect(), changed)
                }
                HallKind::Teams => {
                    let names = commons.teams.of(account);
                    let made = names.iter().filter_map(|name| commons.teams.find(name)).map(|team| team.created).max();
                    (names.into_iter().map(|name| (name.clone(), Source::Team(name))).collect(), made)
                }
            };
            Shown { mounts: mounts_in(&self.at, sources, account, commons), changed: changed.unwrap_or_default() }
        })
    }

    /// What shows in it.
    pub(super) fn mounts(&self) -> &[Arc<Mount>] {
        &self.shown().mounts
    }

    /// The folder itself.
    pub fn node(&self) -> Node {
        let Shown { mounts, changed } = self.shown();
        let modified = from_unix_seconds(*changed);
        let etag = Etag([0, 0, changed.unsigned_abs(), mounts.len() as u64]);
        Node { modified, created: modified, etag, ..Node::unseen(true) }
    }

    /// The same as entries of it.
    pub async fn entries(&self, with_props: bool) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for mount in self.mounts() {
            // Revoked meanwhile, gone from the owner's home, or the owner may not use it at present.
            entries.extend(absent_is_none(mount.entry(with_props).await)?);
        }
        Ok(entries)
    }
}

/// The mounts of a hall, each under a name of its own: the older keeps it.
fn mounts_in(
    hall: &VPath,
    sources: Vec<(String, Source)>,
    account: &AccountName,
    commons: &Arc<Commons>,
) -> Vec<Arc<Mount>> {
    let mut names = Names::default();
    let mount = |(name, source): (String, Source)| {
        let at = names.give(hall, &name, &commons.halls.shared)?;
        Some(Arc::new(Mount::new(at, source, account, commons)))
    };
    sources.into_iter().filter_map(mount).collect()
}

/// The names given out in a hall. Others choose what is asked for, and how often: each name costs about the same.
#[derive(Default)]
struct Names {
    /// In lower case.
    taken: HashSet<String>,
    /// The first number that may be free, for each name.
    next: HashMap<String, usize>,
}

impl Names {
    /// A place of this name, or with a number after it; of another name where that has no room for a number.
    fn give(&mut self, hall: &VPath, name: &str, other: &str) -> Option<VPath> {
        let next = self.next.entry(name.to_lowercase()).or_default();
        let numbered = |number| Some((number, hall.join(&numbered(name, number)).ok()?.to_nfc()));
        let mut free = (*next..=self.taken.len()).map_while(numbered);
        let at = match free.find(|(_, at)| !self.taken.contains(&at.as_str().to_lowercase())) {
            Some((number, at)) => {
                *next = number + 1;
                at
            }
            None => hall.join(&format!("{other} {}", self.taken.len())).ok()?,
        };
        self.taken.insert(at.as_str().to_lowercase());
        Some(at)
    }
}

pub(super) fn numbered(name: &str, number: usize) -> String {
    if number == 0 { name.to_owned() } else { marked(name, &number.to_string()) }
}

/// `name (mark)`, and before the ending of a file: `name (mark).txt`. Both spellings of a name have the same ending.
pub(super) fn marked(name: &str, mark: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= 8 && ending.is_ascii() => {
            format!("{stem} ({mark}).{ending}")
        }
        _ => format!("{name} ({mark})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(names: &[&str]) -> Vec<String> {
        let (hall, mut all) = (VPath::parse("in").unwrap(), Names::default());
        names.iter().map(|name| all.give(&hall, name, "Shared").unwrap().name().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_name_is_given_once() {
        assert_eq!(given(&["a", "b", "A", "a.txt", "a.txt", "a"]), ["a", "b", "A (1)", "a.txt", "a (1).txt", "a (2)"]);
        assert_eq!(given(&["a (1)", "a", "a", "a (1)"]), ["a (1)", "a", "a (2)", "a (1) (1)"]);
        let long = "x".repeat(255);
        assert_eq!(given(&[&long, &long]), [long.as_str(), "Shared 1"]);
    }

    /// Trying each number for each of them would take minutes.
    #[test]
    fn many_equal_names_are_given_at_once() {
        let (long, same) = ("y".repeat(255), "same".to_owned());
        let names: Vec<_> = (0..20_000).map(|n| if n % 2 == 0 { same.as_str() } else { long.as_str() }).collect();
        let all: HashSet<_> = given(&names).into_iter().collect();
        assert_eq!(all.len(), names.len());
    }
}
