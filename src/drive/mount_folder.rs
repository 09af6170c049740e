//! The folders in which a drive shows what others share with its account, and its team folders. They exist while there is something in
//! them, and what that is is looked up by those requests only that look into them.

use super::absent_is_none;
use super::mounts::{Mount, MountSource};
use super::sharing::Sharing;
use crate::model::time::from_unix_seconds;
use crate::model::{AccountName, Error, Result, VPath};
use crate::storage::{DirEntry, Etag, Node};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A folder of mounts.
#[derive(Debug)]
pub struct MountFolder {
    /// Where it shows in the account's drive, in NFC.
    pub at: VPath,
    kind: MountFolderKind,
    account: AccountName,
    sharing: Arc<Sharing>,
    /// What it shows to one request that looks into it; the others do not ask.
    mounts: OnceCell<Vec<Arc<Mount>>>,
}

/// What is in a folder of mounts.
#[derive(Clone, Copy, Debug)]
pub(super) enum MountFolderKind {
    Shares,
    Teams,
}

impl MountFolder {
    /// One that shows so to an account.
    pub(super) fn new(
        at: VPath,
        kind: MountFolderKind,
        account: &AccountName,
        commons: &Arc<Sharing>,
    ) -> Self {
        Self {
            at,
            kind,
            account: account.clone(),
            sharing: commons.clone(),
            mounts: OnceCell::new(),
        }
    }

    /// What shows in it. What shows for the first time has its name on the disk before.
    pub(super) async fn load_mounts(&self) -> Result<&[Arc<Mount>]> {
        self.mounts
            .get_or_try_init(|| self.find())
            .await
            .map(Vec::as_slice)
    }

    /// What shows in it, once somebody has [looked](Self::look).
    pub(super) fn mounts(&self) -> &[Arc<Mount>] {
        self.mounts.get().map(Vec::as_slice).unwrap_or_default()
    }

    async fn find(&self) -> Result<Vec<Arc<Mount>>> {
        let (account, commons) = (&self.account, &self.sharing);
        let sources = match self.kind {
            MountFolderKind::Shares => self.named_shares().await?,
            // Names of team folders differ by more than case.
            MountFolderKind::Teams => commons
                .teams
                .of(account)
                .into_iter()
                .map(|name| (name.clone(), MountSource::Team(name)))
                .collect(),
        };
        let mount = |(name, source): (String, MountSource)| {
            Some(Arc::new(Mount::new(
                self.at.join(&name).ok()?.to_nfc(),
                source,
                account,
                commons,
            )))
        };
        Ok(sources.into_iter().filter_map(mount).collect())
    }

    /// The shares under their names, which are given to those that have none.
    async fn named_shares(&self) -> Result<Vec<(String, MountSource)>> {
        let shares = self.sharing.shares.to(&self.account);
        let (shares, names) =
            if let Some(names) = self.sharing.shares.shown.of(&self.account, &shares) {
                (shares, names)
            } else {
                let (account, at, commons) =
                    (self.account.clone(), self.at.clone(), self.sharing.clone());
                // Whoever asks may leave in between, and memory would know nothing of what is on the disk.
                let naming = async move {
                    commons
                        .shares
                        .assign_names(&account, &at, &commons.mount_folders.shared)
                        .await
                };
                let ended = |error| {
                    Err(Error::io(
                        "name what is shared",
                        std::io::Error::other(error),
                    ))
                };
                tokio::spawn(naming).await.unwrap_or_else(ended)?
            };
        Ok(names
            .into_iter()
            .zip(shares)
            .map(|(name, share)| (name, MountSource::Share(share.id.clone())))
            .collect())
    }

    /// The folder itself.
    pub fn node(&self) -> Node {
        let commons = &self.sharing;
        let made: Vec<_> = match self.kind {
            MountFolderKind::Shares => commons
                .shares
                .to(&self.account)
                .iter()
                .map(|share| share.created)
                .collect(),
            MountFolderKind::Teams => {
                let names = commons.teams.of(&self.account).into_iter();
                names
                    .filter_map(|name| commons.teams.find(&name))
                    .map(|team| team.created)
                    .collect()
            }
        };
        let changed = made.iter().max().copied().unwrap_or_default();
        let modified = from_unix_seconds(changed);
        let etag = Etag([0, 0, changed.unsigned_abs(), made.len() as u64]);
        Node {
            modified,
            created: modified,
            etag,
            ..Node::unseen(true)
        }
    }

    /// The same as entries of it.
    pub async fn entries(&self, with_props: bool) -> Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for mount in self.load_mounts().await? {
            // Revoked meanwhile, gone from the owner's home, or the owner may not use it at present.
            entries.extend(absent_is_none(mount.entry(with_props).await)?);
        }
        Ok(entries)
    }
}

/// The names given out in a hall. Others choose what is asked for, and how often: each name costs about the same.
#[derive(Default)]
pub(super) struct UniqueNames {
    /// In lower case.
    taken: HashSet<String>,
    /// The first number that may be free, for each name.
    next: HashMap<String, usize>,
    /// The same for names of no share.
    next_other: usize,
}

impl UniqueNames {
    /// With these taken.
    pub(super) fn without<'a>(taken: impl Iterator<Item = &'a str>) -> Self {
        Self {
            taken: taken.map(str::to_lowercase).collect(),
            ..Self::default()
        }
    }

    /// This name, or with a number after it; another name where that has no room for a number.
    pub(super) fn assign(&mut self, hall: &VPath, name: &str, other: &str) -> String {
        let next = self.next.entry(name.to_lowercase()).or_default();
        let numbered = |number| {
            let at = hall.join(&numbered(name, number)).ok()?.to_nfc();
            Some((number, at.name()?.to_owned()))
        };
        let is_free = |name: &str| !self.taken.contains(&name.to_lowercase());
        let mut free = (*next..=self.taken.len()).map_while(numbered);
        let given = if let Some((number, given)) = free.find(|(_, given)| is_free(given)) {
            *next = number + 1;
            given
        } else {
            let mut number = self.next_other.max(self.taken.len());
            while !is_free(&format!("{other} {number}")) {
                number += 1;
            }
            self.next_other = number + 1;
            format!("{other} {number}")
        };
        self.taken.insert(given.to_lowercase());
        given
    }
}

pub(super) fn numbered(name: &str, number: usize) -> String {
    if number == 0 {
        name.to_owned()
    } else {
        with_suffix(name, &number.to_string())
    }
}

/// `name (mark)`, and before the ending of a file: `name (mark).txt`. Both spellings of a name have the same ending.
pub(super) fn with_suffix(name: &str, mark: &str) -> String {
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
        let (hall, mut all) = (VPath::parse("in").unwrap(), UniqueNames::default());
        names
            .iter()
            .map(|name| all.assign(&hall, name, "Shared"))
            .collect()
    }

    #[test]
    fn every_name_is_given_once() {
        assert_eq!(
            given(&["a", "b", "A", "a.txt", "a.txt", "a"]),
            ["a", "b", "A (1)", "a.txt", "a (1).txt", "a (2)"]
        );
        assert_eq!(
            given(&["a (1)", "a", "a", "a (1)"]),
            ["a (1)", "a", "a (2)", "a (1) (1)"]
        );
        let long = "x".repeat(255);
        assert_eq!(given(&[&long, &long]), [long.as_str(), "Shared 1"]);
        assert_eq!(
            given(&["Shared 2", &long, &long]),
            ["Shared 2", long.as_str(), "Shared 3"]
        );
    }

    /// Trying each number for each of them would take minutes.
    #[test]
    fn many_equal_names_are_given_at_once() {
        let (long, same) = ("y".repeat(255), "same".to_owned());
        let names: Vec<_> = (0..20_000)
            .map(|n| {
                if n % 2 == 0 {
                    same.as_str()
                } else {
                    long.as_str()
                }
            })
            .collect();
        let all: HashSet<_> = given(&names).into_iter().collect();
        assert_eq!(all.len(), names.len());
    }
}
