//! Rewinding: a folder, or some of what is in it, as it was at a moment. It is made of moves, the trash and versions, so that nothing
//! is lost by it, and a rewind can itself be rewound.

use super::judge::{self, Need};
use super::place::{Access, Place};
use super::{Drive, Terms, present};
use crate::content::history::{Found, Rewind, Step};
use crate::content::{Commit, Room, Start};
use crate::model::{AccountName, Error, RelPath, Result, VPath};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

/// What a rewind does, or would do, to one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// What.
    pub change: Change,
    /// Where.
    pub path: VPath,
    /// Where it lay before a move.
    pub from: Option<VPath>,
}

/// What a rewind does to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It comes back from the trash.
    Restored,
    /// It comes back from where it was moved to.
    Moved,
    /// It goes back to a former content.
    Reverted,
    /// It was not there, and goes to the trash.
    Discarded,
    /// The folder is made anew.
    Made,
}

/// How many changes a [`Report`] tells one by one.
const MOST_TOLD: usize = 10_000;

/// What a rewind comes to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The first of what changes, in this order.
    pub changes: Vec<Rewound>,
    /// How many changes there are in all.
    pub count: u64,
    /// The first of what was there and is not kept any more.
    pub lost: Vec<VPath>,
    /// How many those are in all.
    pub lost_count: u64,
    /// Since when every change is known.
    pub since: Option<SystemTime>,
}

/// What is wanted of a rewind.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The moment to go back to.
    pub moment: SystemTime,
    /// What of the folder; all if empty.
    pub only: Vec<VPath>,
    /// Whether it is only said what would change.
    pub dry: bool,
}

impl Drive {
    /// Makes a folder, or some of what is in it, as it was. Refused before anything changes: `Locked` when a lock stands on what
    /// would change, `NoSpace`. `NotFound` when it was not there.
    pub async fn rewind(&self, path: &VPath, wish: Wish) -> Result<Report> {
        let place = self.rewindable(path).await?;
        let mut only = Vec::new();
        for item in &wish.only {
            let item = self.rewindable(item).await?;
            if item.root.id != place.root.id || !item.path.is_within(&place.path) {
                let why = "Each must lie in the folder that is rewound.".into();
                return Err(Error::Invalid {
                    pointer: "/only".into(),
                    why,
                });
            }
            only.push(item.path.into_owned());
        }
        let rewind = place
            .root
            .tree
            .plan_rewind(&place.path, wish.moment, &only)
            .await?;
        if !wish.dry {
            self.admit_rewind(&place, &rewind).await?;
            self.carry_out(&place, &rewind).await?;
        }
        let top = top_of(path, &place);
        let seen = |path: &RelPath| path.after(&top.1).unwrap_or_default().beneath(&top.0);
        let changes = tell(&rewind, &seen).await?;
        let lost = rewind.lost.iter().map(seen).collect();
        Ok(Report {
            changes,
            count: rewind.count,
            lost,
            lost_count: rewind.lost_count,
            since: rewind.since,
        })
    }

    /// A place whose past is for whoever asks: in the home or a team folder. What is shared is its owner's to rewind.
    async fn rewindable<'a>(&self, path: &'a VPath) -> Result<Place<'a>> {
        if self.identity.is_confined() {
            return Err(Error::Forbidden("Rewinding is for the account itself."));
        }
        let place = self.admitted(path, Access::Change).await?;
        if place.mount.is_some() && !place.root.id.starts_with("team/") {
            return Err(Error::Forbidden("What is shared is rewound by its owner."));
        }
        Ok(place)
    }

    /// Refuses a rewind that would not go through.
    async fn admit_rewind(&self, place: &Place<'_>, rewind: &Rewind) -> Result<()> {
        let mut next = 0;
        loop {
            let (steps, end) = rewind.steps.read(next).await?;
            if steps.is_empty() {
                break;
            }
            next = end;
            let commit = self
                .commit(place, Terms::default(), needs_of(place, &steps))
                .await?;
            commit
                .judge
                .judge(present(place).await?.as_ref(), &mut || Ok(()))?;
        }
        let Some(quota) = place.quota.filter(|_| rewind.grows > rewind.shrinks) else {
            return Ok(());
        };
        let used = place.root.tree.usage().await?.used;
        let after = used
            .saturating_add(rewind.grows)
            .saturating_sub(rewind.shrinks);
        if after > quota {
            Err(Error::NoSpace)
        } else {
            Ok(())
        }
    }

    /// Takes the steps, without a limit on the room of each: what they come to was admitted.
    async fn carry_out(&self, place: &Place<'_>, rewind: &Rewind) -> Result<()> {
        let place = &Place {
            quota: None,
            ..place.clone()
        };
        let (mut discarded, mut next) = (Discarded::default(), 0);
        // The records of shares that follow a step must not reach the disk before it.
        let way = Way {
            needed: &rewind.needed,
            is_settled_later: !self.has_shares_in(place),
        };
        loop {
            let (steps, end) = rewind.steps.read(next).await?;
            if steps.is_empty() {
                return Ok(());
            }
            next = end;
            let mut taken = Ok(());
            for step in &steps {
                taken = self.take_step(place, step, &way, &mut discarded).await;
                if taken.is_err() {
                    break;
                }
            }
            // One wait for some hundred of them instead of three for each.
            taken.and(rewind.steps.settle().await)?;
        }
    }

    async fn take_step(
        &self,
        place: &Place<'_>,
        step: &Step,
        way: &Way<'_>,
        discarded: &mut Discarded,
    ) -> Result<()> {
        let later = || Terms {
            is_settled_later: way.is_settled_later,
            fits: true,
            ..Terms::default()
        };
        match step {
            Step::Discard { path } => {
                let id = self.remove(&at(place, path), later()).await?.id;
                discarded.note(way.needed, id);
                Ok(())
            }
            Step::Move {
                from: Found::Path(from),
                to,
            } => self
                .shift(&at(place, from), &at(place, to), false, later())
                .await
                .map(drop),
            Step::Move {
                from: Found::Trash { id, inner },
                to,
            } => self.fetch(place, (id, inner), to).await,
            Step::Move {
                from: Found::Discarded { index, inner },
                to,
            } => {
                let id = discarded.ids.get(index).ok_or(Error::Conflict)?;
                self.fetch(place, (id, inner), to).await
            }
            Step::Make { path } => {
                let place = at(place, path);
                let commit = self
                    .commit(&place, later(), judge::creating(&place))
                    .await?;
                place.root.tree.mkdir(&place.path, commit).await
            }
            Step::Revert { path, version } => {
                self.revert_at(&at(place, path), version, Terms::default())
                    .await
            }
            Step::Blank { path } => self.blank(&at(place, path)).await,
        }
    }

    fn has_shares_in(&self, place: &Place<'_>) -> bool {
        let owner = place
            .root
            .id
            .strip_prefix("home/")
            .and_then(|name| AccountName::parse(name).ok());
        let shares = self
            .commons
            .as_ref()
            .zip(owner)
            .map(|(commons, owner)| commons.shares.of(&owner));
        shares.is_some_and(|shares| !shares.is_empty())
    }

    async fn fetch(
        &self,
        place: &Place<'_>,
        (id, inner): (&str, &RelPath),
        to: &RelPath,
    ) -> Result<()> {
        let to = at(place, to);
        let commit = self
            .commit(&to, Terms::default(), judge::creating(&to))
            .await?;
        let commit = Commit {
            limit: to.quota,
            fits: true,
            ..commit
        };
        to.root.tree.untrash_part(id, inner, &to.path, commit).await
    }

    async fn blank(&self, place: &Place<'_>) -> Result<()> {
        let bench = self
            .bench(place, Terms::default(), judge::creating(place))
            .await?;
        let upload = place
            .root
            .tree
            .begin_put(&place.path, Start::Empty, Room::of(0))
            .await?;
        upload.commit(bench.commit()).await.map(drop)
    }
}

/// How the steps of a rewind are taken.
struct Way<'a> {
    /// Which of the discarded are needed by later steps.
    needed: &'a HashSet<usize>,
    is_settled_later: bool,
}

/// Another path of the same root.
fn at(place: &Place<'_>, path: &RelPath) -> Place<'static> {
    let (root, mount) = (place.root.clone(), place.mount.clone());
    let below = path.names().count();
    Place {
        root,
        path: Cow::Owned(path.clone()),
        rights: place.rights,
        quota: place.quota,
        below,
        mount,
    }
}

/// Where the root of a place shows in the drive, and which of its paths that is.
fn top_of(path: &VPath, place: &Place<'_>) -> (VPath, RelPath) {
    let (mut seen, mut real) = (path.clone(), place.path.clone().into_owned());
    while let (Some(above), Some(parent)) = (seen.parent(), real.parent()) {
        (seen, real) = (above, parent);
    }
    (seen, real)
}

/// What the steps so far have moved to the trash: what of it a later step needs, each under its number.
#[derive(Default)]
struct Discarded {
    count: usize,
    ids: HashMap<usize, String>,
}

impl Discarded {
    fn note(&mut self, needed: &HashSet<usize>, what: String) {
        if needed.contains(&self.count) {
            self.ids.insert(self.count, what);
        }
        self.count += 1;
    }
}

/// What some steps take hold of.
fn needs_of(place: &Place<'_>, steps: &[Step]) -> Vec<Need> {
    let mut needs = Vec::new();
    for step in steps {
        match step {
            Step::Move { from, to } => {
                needs.extend(judge::replacing(&at(place, to)));
                if let Found::Path(from) = from {
                    needs.extend(judge::removing(&at(place, from)));
                }
            }
            Step::Discard { path } => needs.extend(judge::removing(&at(place, path))),
            Step::Make { path } => needs.extend(judge::replacing(&at(place, path))),
            Step::Revert { path, .. } | Step::Blank { path } => {
                needs.push(Need::Content(at(place, path).spot()));
            }
        }
    }
    needs
}

/// The first steps as they are told.
async fn tell(rewind: &Rewind, seen: &impl Fn(&RelPath) -> VPath) -> Result<Vec<Rewound>> {
    let (mut changes, mut discarded, mut next) = (Vec::new(), Discarded::default(), 0);
    loop {
        let (steps, end) = rewind.steps.read(next).await?;
        if steps.is_empty() || changes.len() == MOST_TOLD {
            return Ok(changes);
        }
        next = end;
        for step in steps.iter().take(MOST_TOLD - changes.len()) {
            changes.push(told(step, &discarded, seen));
            if let Step::Discard { path } = step {
                discarded.note(&rewind.needed, path.as_str().to_owned());
            }
        }
    }
}

/// A step as it is told; `discarded` says where lay what went to the trash before.
fn told(step: &Step, discarded: &Discarded, seen: &impl Fn(&RelPath) -> VPath) -> Rewound {
    let (change, path, from) = match step {
        Step::Discard { path } => (Change::Discarded, path, None),
        Step::Make { path } => (Change::Made, path, None),
        Step::Revert { path, .. } | Step::Blank { path } => (Change::Reverted, path, None),
        Step::Move {
            from: Found::Path(from),
            to,
        } => (Change::Moved, to, Some(from.clone())),
        Step::Move {
            from: Found::Trash { .. },
            to,
        } => (Change::Restored, to, None),
        Step::Move {
            from: Found::Discarded { index, inner },
            to,
        } => {
            let from = discarded
                .ids
                .get(index)
                .map(|path| inner.beneath(&RelPath::restore(path.clone())));
            (Change::Moved, to, from)
        }
    };
    Rewound {
        change,
        path: seen(path),
        from: from.as_ref().map(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Durability, LocksConfig};
    use crate::content::local::{LocalSettings, LocalTree};
    use crate::drive::locks::Locks;
    use crate::drive::place::Root;
    use crate::model::{AccountName, Identity, Irrevocable, Role};
    use crate::store::memory::MemoryStore;
    use std::sync::Arc;
    use std::time::Duration;

    const MANY: usize = 50;

    #[tokio::test]
    async fn many_steps_wait_for_the_disk_together() {
        let dir = tempfile::tempdir().unwrap();
        let settings = LocalSettings {
            durability: Durability::Strict,
            ..LocalSettings::RELAXED
        };
        let tree = LocalTree::open(dir.path(), settings).unwrap();
        let locks = Locks::open(MemoryStore::new(), LocksConfig::default())
            .await
            .unwrap();
        let identity = Identity::whole(
            AccountName::parse("ana").unwrap(),
            Role::User,
            None,
            Arc::new(Irrevocable),
        );
        let root = Arc::new(Root::new("home/ana".into(), tree.clone()));
        let drive = Drive::new(Arc::new(identity), root, Arc::new(locks));
        let path = |text: &str| VPath::parse(text).unwrap();
        let moment = SystemTime::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        for n in 0..MANY {
            std::fs::write(dir.path().join(format!("{n}")), "x").unwrap();
            let (from, to) = (path(&format!("{n}")), path(&format!("new {n}")));
            let before = tree.settled();
            drive
                .rename(&from, &to, false, Terms::default())
                .await
                .unwrap();
            assert!(
                tree.settled() >= before + 2,
                "a change alone waits for itself"
            );
        }
        let before = tree.settled();
        let wish = Wish {
            moment,
            only: Vec::new(),
            dry: false,
        };
        let report = drive.rewind(&VPath::root(), wish).await.unwrap();
        let waited = tree.settled() - before;
        assert!(
            (report.count, waited) == (MANY as u64, 0),
            "{} steps, {waited} waits",
            report.count
        );
        assert!((0..MANY).all(|n| dir.path().join(format!("{n}")).exists()));
    }
}
