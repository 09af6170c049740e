//! The judgement of a change at the moment it happens: the locks it meets and the `If` lists it came with.

use super::locks::Locks;
use super::mounts::Mount;
use super::place::{Access, Place, Root, Spot};
use super::terms::{Claim, Subject, Tagged, Terms};
use super::{Drive, present};
use crate::content::{Commit, Judge, Node};
use crate::model::{AccessCheck, Error, Result};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A refusal that does not say whose lock is in the way.
pub(super) fn without_holder(error: Error) -> Error {
    match error {
        Error::Locked { .. } => Error::Locked {
            holder: "somebody else".into(),
        },
        error => error,
    }
}

/// What a change takes hold of; locks on it ask for their tokens.
#[derive(Clone, Debug)]
pub(super) enum Need {
    /// Content or properties of a place.
    Content(Spot),
    /// The members of a folder.
    Members(Spot),
    /// The members of a folder, if nothing stands at the target yet.
    NewMember(Spot),
    /// All that lies at a place and below it, which goes away: its locks end with the change.
    Subtree(Spot),
}

impl Need {
    fn spot(&self) -> &Spot {
        match self {
            Self::Content(spot)
            | Self::Members(spot)
            | Self::NewMember(spot)
            | Self::Subtree(spot) => spot,
        }
    }
}

/// What writing at a place needs: a lock on the folder guards only against new members.
pub(super) fn creating(place: &Place<'_>) -> Vec<Need> {
    let parent = parent(place).map(Need::NewMember);
    parent
        .into_iter()
        .chain([Need::Content(place.spot())])
        .collect()
}

/// What replacing whatever is at a place needs.
pub(super) fn replacing(place: &Place<'_>) -> Vec<Need> {
    let parent = parent(place).map(Need::Members);
    parent
        .into_iter()
        .chain([Need::Content(place.spot()), Need::Subtree(place.spot())])
        .collect()
}

fn parent(place: &Place<'_>) -> Option<Spot> {
    let spot = place.spot();
    spot.path.parent().map(|path| Spot {
        root: spot.root,
        path,
    })
}

/// What taking something away needs.
pub(super) fn removing(place: &Place<'_>) -> Vec<Need> {
    replacing(place)
}

/// The judge of one request.
pub(super) struct Bench {
    root: Arc<Root>,
    /// What let the identity in.
    access: Arc<dyn AccessCheck>,
    /// The mounts that it reads or changes something in.
    mounts: Vec<(Arc<Mount>, Access)>,
    /// Whether it is none of the asking one's business who holds a lock.
    discreet: bool,
    locks: Arc<Locks>,
    claim: Claim,
    needs: Vec<Need>,
    /// The tokens of the locks that stood on what has gone away.
    ended: Mutex<Vec<String>>,
    /// Whether what stood at the target when it was last judged was a folder.
    met_folder: AtomicBool,
    /// What must follow in the step that makes the change.
    following: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Bench {
    /// The conditions to hand to a tree.
    pub(super) fn commit(self: &Arc<Self>) -> Commit {
        let expect = self.claim.terms.expect.clone();
        let Terms {
            is_settled_later,
            fits,
            ..
        } = self.claim.terms;
        Commit {
            expect,
            is_settled_later,
            fits,
            judge: self.clone(),
            ..Commit::by(self.claim.who.account.clone())
        }
    }

    /// The tokens of the locks that have lost what they stood on. Known from the moment of the change,
    /// so that a lock granted right after it on something new of the same name is not among them.
    pub(super) fn ended(&self) -> Vec<String> {
        std::mem::take(&mut *self.ended.lock())
    }

    /// Whether what stood at the target when it was last judged was a folder.
    pub(super) fn met_folder(&self) -> bool {
        self.met_folder.load(Ordering::Relaxed)
    }

    /// The root in which it changes something.
    pub(super) fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// Whether the identity, and the mounts at both ends, still let it do this; a look into memory.
    pub(super) fn check(&self) -> Result<()> {
        self.access.check()?;
        self.mounts
            .iter()
            .try_for_each(|(mount, access)| mount.check(*access))
    }

    /// The same, if it also has this access at another place.
    pub(super) fn also(mut self, place: &Place<'_>, access: Access) -> Self {
        self.mounts
            .extend(place.mount.clone().map(|mount| (mount, access)));
        self
    }

    /// The same; `follow` is called in the step that makes the change, once that is made.
    pub(super) fn followed_by(mut self, follow: impl Fn() + Send + Sync + 'static) -> Self {
        self.following = Some(Box::new(follow));
        self
    }

    /// Whether the change may happen; the tokens of the locks that end with it.
    fn verdict(&self, present: Option<&Node>) -> Result<Vec<String>> {
        if self.root.is_closed() {
            return Err(Error::Forbidden("This account has been removed."));
        }
        self.check()?;
        let (held, now) = (self.locks.hold(), Instant::now());
        self.claim.check_lists(&held, present, now)?;
        if self
            .needs
            .iter()
            .all(|need| held.none_in(&need.spot().root))
        {
            return Ok(Vec::new());
        }
        let (who, tokens) = (
            &self.claim.who,
            self.claim.terms.submitted().collect::<Vec<_>>(),
        );
        let admitted = self.needs.iter().try_for_each(|need| match need {
            Need::Content(spot) => held.admit_content(spot, who, &tokens, now),
            Need::NewMember(_) if present.is_some() => Ok(()),
            Need::Members(spot) | Need::NewMember(spot) => {
                held.admit_members(spot, who, &tokens, now)
            }
            Need::Subtree(spot) => held.admit_subtree(spot, who, &tokens, now),
        });
        admitted.map_err(|error| {
            if self.discreet {
                without_holder(error)
            } else {
                error
            }
        })?;
        let gone = self.needs.iter().filter_map(|need| {
            if let Need::Subtree(spot) = need {
                Some(spot)
            } else {
                None
            }
        });
        Ok(gone.flat_map(|spot| held.tokens_within(spot)).collect())
    }
}

impl Judge for Bench {
    fn check(&self) -> Result<()> {
        Self::check(self)
    }

    fn judge(&self, present: Option<&Node>, change: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        // What the verdict rests on holds until this is over: whoever takes a lock from here on waits for it.
        let _turn = self.root.under_way.begin();
        let ended = self.verdict(present)?;
        self.met_folder
            .store(present.is_some_and(|node| node.folder), Ordering::Relaxed);
        change()?;
        self.following.iter().for_each(|follow| follow());
        self.ended.lock().extend(ended);
        Ok(())
    }
}

impl Drive {
    /// The judge of a change at `place`.
    pub(super) async fn bench(
        &self,
        place: &Place<'_>,
        terms: Terms,
        needs: Vec<Need>,
    ) -> Result<Arc<Bench>> {
        Ok(Arc::new(self.bench_for(place, place, terms, needs).await?))
    }

    /// The judge of a request that names `place` and changes what is at `changed`. What it reads elsewhere it must be told of
    /// ([`Bench::also`]).
    pub(super) async fn bench_for(
        &self,
        place: &Place<'_>,
        changed: &Place<'_>,
        terms: Terms,
        needs: Vec<Need>,
    ) -> Result<Bench> {
        let claim = self.claim(place, terms).await?;
        let (root, locks, mounts) = (changed.root.clone(), self.locks.clone(), Vec::new());
        let (ended, met_folder, following) = (Mutex::default(), AtomicBool::default(), None);
        let (access, discreet) = (self.identity.access.clone(), self.is_discreet());
        let bench = Bench {
            root,
            access,
            mounts,
            discreet,
            locks,
            claim,
            needs,
            ended,
            met_folder,
            following,
        };
        Ok(bench.also(changed, Access::Change))
    }

    /// The conditions of a change at `place`, to be judged when it happens.
    pub(super) async fn commit(
        &self,
        place: &Place<'_>,
        terms: Terms,
        needs: Vec<Need>,
    ) -> Result<Commit> {
        Ok(self.bench(place, terms, needs).await?.commit())
    }

    /// Judges a change now, before its body has come; it is judged again when it happens.
    pub(super) async fn pre_judge(&self, place: &Place<'_>, commit: &Commit) -> Result<()> {
        let present = present(place).await?;
        if !commit.expect.holds(present.as_ref()) {
            return Err(Error::PreconditionFailed);
        }
        commit.judge.judge(present.as_ref(), &mut || Ok(()))
    }

    async fn claim(&self, place: &Place<'_>, terms: Terms) -> Result<Claim> {
        let mut tagged = Vec::new();
        for list in &terms.lists {
            tagged.push(match &list.subject {
                Subject::Path(path) => Some(self.tagged(path, &terms).await?),
                Subject::Request | Subject::Elsewhere => None,
            });
        }
        Ok(Claim {
            who: self.holder(),
            subject: place.spot(),
            terms,
            tagged,
        })
    }

    async fn tagged(&self, path: &crate::model::VPath, terms: &Terms) -> Result<Tagged> {
        let place = match self.admitted(path, Access::Read).await {
            Ok(place) => place,
            // What may not be seen has no state.
            Err(Error::NotFound | Error::Forbidden(_)) => {
                return Ok(Tagged {
                    spot: Spot::nowhere(),
                    etag: None,
                });
            }
            Err(error) => return Err(error),
        };
        let asked = terms.asked_paths().any(|asked| asked == path);
        let etag = if asked {
            present(&place).await?.map(|node| node.etag)
        } else {
            None
        };
        Ok(Tagged {
            spot: place.spot(),
            etag,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LocksConfig;
    use crate::content::Expect;
    use crate::content::local::{LocalSettings, LocalTree};
    use crate::drive::locks::LockRequest;
    use crate::model::{AccountName, Identity, Irrevocable, Role, VPath};
    use crate::store::memory::MemoryStore;

    async fn drive(dir: &std::path::Path) -> Drive {
        let tree = LocalTree::open(dir, LocalSettings::RELAXED).unwrap();
        let locks = Locks::open(MemoryStore::new(), LocksConfig::default())
            .await
            .unwrap();
        let identity = Identity::whole(
            AccountName::parse("ana").unwrap(),
            Role::User,
            None,
            Arc::new(Irrevocable),
        );
        Drive::new(
            Arc::new(identity),
            Arc::new(Root::new("home/ana".into(), tree)),
            Arc::new(locks),
        )
    }

    #[tokio::test]
    async fn a_removal_ends_the_locks_there_and_none_granted_since() {
        let dir = tempfile::tempdir().unwrap();
        let drive = drive(dir.path()).await;
        let path = |text| VPath::parse(text).unwrap();
        let request = || LockRequest {
            owner: String::new(),
            shared: false,
            deep: false,
            folder: false,
            timeout: None,
        };
        let old = drive
            .lock(&path("a/b"), request(), Terms::default())
            .await
            .unwrap();
        let terms = Terms {
            tokens: old.token.iter().cloned().collect(),
            ..Terms::default()
        };
        let at = path("a");
        let place = drive.admitted(&at, Access::Change).await.unwrap();
        let bench = drive.bench(&place, terms, removing(&place)).await.unwrap();
        bench.commit().judge.judge(None, &mut || Ok(())).unwrap();
        let new = drive
            .lock(&path("a"), request(), Terms::default())
            .await
            .unwrap();
        drive.locks.forget(bench.ended()).await;
        assert_eq!(drive.locks_on(&path("a")), [new]);
        assert!(drive.locks_on(&path("a/b")).is_empty());
    }

    #[tokio::test]
    async fn a_lock_that_must_make_its_file_does_not_take_over_anothers() {
        let dir = tempfile::tempdir().unwrap();
        let drive = drive(dir.path()).await;
        let path = VPath::parse("a").unwrap();
        let request = LockRequest {
            owner: String::new(),
            shared: false,
            deep: false,
            folder: false,
            timeout: None,
        };
        let lock = drive.lock(&path, request, Terms::default()).await.unwrap();
        std::fs::write(dir.path().join("a"), "made meanwhile").unwrap();
        let absent = Terms {
            expect: Expect::Absent,
            ..Terms::default()
        };
        assert!(matches!(
            drive.create_locked(&path, &lock, &absent).await,
            Err(Error::PreconditionFailed)
        ));
        drive
            .create_locked(&path, &lock, &Terms::default())
            .await
            .unwrap();
        assert_eq!(
            std::fs::read(dir.path().join("a")).unwrap(),
            b"made meanwhile"
        );
    }

    #[tokio::test]
    async fn a_removal_that_does_not_happen_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let drive = drive(dir.path()).await;
        let path = VPath::parse("a").unwrap();
        let request = LockRequest {
            owner: String::new(),
            shared: false,
            deep: false,
            folder: false,
            timeout: None,
        };
        let lock = drive.lock(&path, request, Terms::default()).await.unwrap();
        let terms = Terms {
            tokens: lock.token.iter().cloned().collect(),
            ..Terms::default()
        };
        assert!(matches!(
            drive.delete(&path, terms).await,
            Err(Error::NotFound)
        ));
        assert_eq!(drive.locks_on(&path).len(), 1);
    }
}
