//! What a drive shows beside its home: folders that other accounts share with it, and team folders, each under a folder of its own
//! that exists only while there is something in it; and its trash, where the configuration wants that. Every look asks what is granted at
//! that moment.

use super::commons::{Commons, HallNames};
use super::hall::{Hall, HallKind, numbered};
use super::locks::Locks;
use super::place::{Access, Root, VIEW_ONLY};
use super::shares::Share;
use super::{timely, trash_names};
use crate::audit::{Actor, Kind, Reporter};
use crate::content::{Entry, FileId, Listing, Node};
use crate::model::{AccountName, Error, Identity, RelPath, Result, Rights, VPath, Via};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

/// What a mount leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A share, by its id.
    Share(String),
    /// A team folder, by its name.
    Team(String),
    /// The trash of the account's own home, by where it is read there.
    Trash(RelPath),
}

/// One thing shown beside the home.
#[derive(Debug)]
pub struct Mount {
    /// Where it shows in the account's drive, in NFC.
    pub at: VPath,
    /// What it leads to.
    pub source: Source,
    account: AccountName,
    commons: Arc<Commons>,
    opened: OnceLock<Opened>,
}

/// The root that a mount leads into.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The root.
    pub root: Arc<Root>,
    /// The quota of whoever pays.
    pub quota: Option<u64>,
}

/// What a mount grants at one moment.
#[derive(Clone, Debug)]
pub struct Grant {
    /// What may be done.
    pub rights: Rights,
    /// What is shown of the root.
    pub base: RelPath,
    /// Whose home it lies in; `None` for a team folder.
    owner: Option<AccountName>,
    id: Option<FileId>,
}

impl Mount {
    pub(super) fn new(
        at: VPath,
        source: Source,
        account: &AccountName,
        commons: &Arc<Commons>,
    ) -> Self {
        let (account, commons) = (account.clone(), commons.clone());
        Self {
            at,
            source,
            account,
            commons,
            opened: OnceLock::new(),
        }
    }

    /// What is granted now; `NotFound` when nothing is any more.
    pub fn grant(&self) -> Result<Grant> {
        match &self.source {
            Source::Share(id) => {
                let share = self
                    .commons
                    .shares
                    .shown_to(&self.account, id)
                    .ok_or(Error::NotFound)?;
                self.commons.roots.check_home(&share.owner)?;
                let (rights, owner) = (share.rights, Some(share.owner.clone()));
                Ok(Grant {
                    rights,
                    base: share.path(),
                    owner,
                    id: Some(share.node),
                })
            }
            Source::Team(name) => {
                let teams = &self.commons.teams;
                let rights = teams
                    .find(name)
                    .and_then(|team| teams.rights(&team, &self.account));
                let rights = rights.ok_or(Error::NotFound)?;
                Ok(Grant {
                    rights,
                    base: RelPath::root(),
                    owner: None,
                    id: None,
                })
            }
            Source::Trash(base) => {
                let owner = Some(self.account.clone());
                Ok(Grant {
                    rights: Rights::View,
                    base: base.clone(),
                    owner,
                    id: None,
                })
            }
        }
    }

    /// Whether this access is granted now.
    pub fn check(&self, access: Access) -> Result<()> {
        match (self.grant()?.rights, access) {
            (Rights::Edit, _) | (Rights::View, Access::Stat | Access::Read) => Ok(()),
            (Rights::View | Rights::Drop, _) => Err(Error::Forbidden(VIEW_ONLY)),
        }
    }

    /// The root it leads into, once [`node`](Self::node) has found it.
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    /// What it shows, as it is now; `NotFound` when that is gone, or another thing has its name.
    pub async fn node(&self) -> Result<Node> {
        let (node, opened) = timely(self.find()).await?;
        // A mount is opened once for each request, and a request that finds it gone has no use for it.
        let _ = self.opened.set(opened);
        Ok(node)
    }

    async fn find(&self) -> Result<(Node, Opened)> {
        let grant = self.grant()?;
        let opened = self.open(&grant).await?;
        let found = match grant.id {
            Some(id) => opened
                .root
                .tree
                .identify(&grant.base)
                .await
                .map(|(node, found)| (found == id).then_some(node)),
            None => opened.root.tree.stat(&grant.base).await.map(Some),
        };
        Ok((found.map_err(super::gone)?.ok_or(Error::NotFound)?, opened))
    }

    async fn open(&self, grant: &Grant) -> Result<Opened> {
        let roots = &self.commons.roots;
        let (root, quota) = match &self.source {
            Source::Share(_) | Source::Trash(_) => {
                roots
                    .home(grant.owner.as_ref().ok_or(Error::NotFound)?)
                    .await?
            }
            Source::Team(name) => {
                let quota = self.commons.teams.find(name).ok_or(Error::NotFound)?.quota;
                (roots.team(name).await?, quota)
            }
        };
        Ok(Opened { root, quota })
    }

    /// Takes it out of the drive.
    pub async fn leave(&self, locks: &Locks) -> Result<()> {
        match &self.source {
            Source::Share(id) => {
                let share = self.commons.shares.leave(&self.account, id).await?;
                self.reporter()
                    .done(Kind::ShareChanged, id, share.left_words(&self.account))
                    .await;
                self.commons.release(locks, &share).await
            }
            Source::Team(_) => Err(Error::Forbidden(
                "Only an administrator can take you out of a team folder.",
            )),
            Source::Trash(_) => Err(Error::Forbidden(VIEW_ONLY)),
        }
    }

    /// Shows it under another name.
    pub async fn rename(&self, name: &str) -> Result<()> {
        match &self.source {
            Source::Share(id) => {
                let before = self.commons.shares.shown_to(&self.account, id);
                let share = self.commons.shares.rename(&self.account, id, name).await?;
                if before.as_ref() != Some(&share) {
                    self.reporter()
                        .done(Kind::ShareChanged, id, share.name_words(&self.account))
                        .await;
                }
                Ok(())
            }
            Source::Team(_) => Err(Error::Forbidden(
                "A team folder has the same name for all who use it.",
            )),
            Source::Trash(_) => Err(Error::Forbidden(VIEW_ONLY)),
        }
    }

    /// The listing of a path in its root, with the names that show here.
    pub fn listing(&self, path: &RelPath, inner: Box<dyn Listing>) -> Box<dyn Listing> {
        if self.renames(path) {
            Box::new(trash_names::Shown(inner))
        } else {
            inner
        }
    }

    /// Whether what lies at a path in its root shows under other names here.
    pub fn renames(&self, path: &RelPath) -> bool {
        matches!(&self.source, Source::Trash(base) if path == base)
    }

    /// Whether it shows the trash, which can only be looked at.
    pub fn is_trash(&self) -> bool {
        matches!(self.source, Source::Trash(_))
    }

    /// The path below what it shows that the names which show here mean.
    fn meant(&self, rest: RelPath) -> Result<RelPath> {
        if self.is_trash() {
            trash_names::meant(&rest)
        } else {
            Ok(rest)
        }
    }

    fn reporter(&self) -> Reporter {
        self.commons
            .audit
            .reporter(Actor::Account(self.account.clone()), None)
    }

    pub(super) async fn entry(&self, with_props: bool) -> Result<Entry> {
        let node = self.node().await?;
        let props = match self.opened() {
            Some(opened) if with_props => opened.root.tree.props(&self.grant()?.base).await?,
            _ => Vec::new(),
        };
        Ok(Entry {
            name: self.at.name().unwrap_or_default().to_owned(),
            node,
            props,
        })
    }
}

/// What one identity sees beside its home.
#[derive(Debug)]
pub struct Mounts {
    halls: Vec<Arc<Hall>>,
    trash: Option<Arc<Mount>>,
}

/// Where a path of the account's drive leads.
#[derive(Debug)]
pub enum Way {
    /// Into the home.
    Home,
    /// To a folder of mounts.
    Hall(Arc<Hall>),
    /// Into a mount: so far below what it shows.
    Mount(Arc<Mount>, RelPath),
    /// Beneath a folder of mounts, where nothing is.
    Nowhere,
}

impl Mounts {
    /// What `identity` sees beside `home`; `None` for nothing.
    pub async fn of(
        identity: &Identity,
        home: &Root,
        commons: &Arc<Commons>,
    ) -> Result<Option<Arc<Self>>> {
        // Who made a link may not pass on what others share with them, and who may only add sees nothing.
        if matches!(identity.via, Via::Link(_)) || identity.rights == Rights::Drop {
            return Ok(None);
        }
        let account = &identity.account;
        let HallNames {
            shared,
            teams,
            trash,
        } = &commons.halls;
        let mut halls = Vec::new();
        for (kind, name, has_any) in [
            (
                HallKind::Shares,
                shared,
                commons.shares.has_any_for(account),
            ),
            (HallKind::Teams, teams, commons.teams.has_any_for(account)),
        ] {
            if has_any {
                let at = free_name(home, name).await?;
                halls.push(Arc::new(Hall::new(at, kind, account, commons)));
            }
        }
        let trash = match trash {
            // As the trash itself is for nobody who sees less, or may less.
            Some(name) if identity.scope.is_root() && identity.rights == Rights::Edit => {
                let (at, source) = (
                    free_name(home, name).await?,
                    Source::Trash(home.tree.trash_at()),
                );
                Some(Arc::new(Mount::new(at, source, account, commons)))
            }
            _ => None,
        };
        Ok(if halls.is_empty() && trash.is_none() {
            None
        } else {
            Some(Arc::new(Self { halls, trash }))
        })
    }

    /// Where a path of the account's drive leads, by a look into the folder of mounts that it goes through.
    pub async fn find_way(&self, path: &VPath) -> Result<Way> {
        let nfc = path.to_nfc();
        if let Some(hall) = self
            .halls
            .iter()
            .find(|hall| nfc != hall.at && nfc.is_within(&hall.at))
        {
            hall.look().await?;
        }
        Ok(self.way(path))
    }

    /// Where a path of the account's drive leads, by what [`find_way`](Self::find_way) has seen.
    pub fn way(&self, path: &VPath) -> Way {
        let nfc = path.to_nfc();
        let trash = self.trash.iter().find(|trash| nfc.is_within(&trash.at));
        let hall = self.halls.iter().find(|hall| nfc.is_within(&hall.at));
        let mount = match (trash, hall) {
            (Some(trash), _) => Some(trash),
            (None, None) => return Way::Home,
            (None, Some(hall)) if nfc == hall.at => return Way::Hall(hall.clone()),
            (None, Some(hall)) => hall.mounts().iter().find(|mount| nfc.is_within(&mount.at)),
        };
        // What lies below may be spelled in neither normal form.
        let rest = |mount: &Mount| mount.meant(path.skip(mount.at.names().count())).ok();
        mount
            .and_then(|mount| Some(Way::Mount(mount.clone(), rest(mount)?)))
            .unwrap_or(Way::Nowhere)
    }

    /// The shares among them that can be looked into now, and where they show; looked at all at once, as their disks may not answer.
    pub async fn shares(&self) -> Result<Vec<(Arc<Share>, VPath)>> {
        let mut shares = Vec::new();
        for hall in &self.halls {
            hall.look().await?;
        }
        let mounts = self.halls.iter().flat_map(|hall| hall.mounts());
        let looked_at = mounts.filter(|mount| matches!(mount.source, Source::Share(_)));
        for (mount, node) in
            join_all(looked_at.map(|mount| async move { (mount, mount.node().await) })).await
        {
            let Source::Share(id) = &mount.source else {
                continue;
            };
            match node {
                // It is shared still while the files of its owner are missing, or do not answer.
                Ok(_) | Err(Error::Missing(_) | Error::Busy { .. }) => {}
                Err(Error::NotFound) => continue,
                Err(error) => return Err(error),
            }
            let share = mount.commons.shares.shown_to(&mount.account, id);
            shares.extend(share.map(|share| (share, mount.at.clone())));
        }
        Ok(shares)
    }

    /// What is shown beside the home, as entries of the drive's own folder.
    pub async fn entries(&self) -> Vec<Entry> {
        let name = |hall: &Hall| hall.at.name().unwrap_or_default().to_owned();
        let halls = self.halls.iter();
        let mut entries: Vec<_> = halls
            .map(|hall| Entry {
                name: name(hall),
                node: hall.node(),
                props: Vec::new(),
            })
            .collect();
        if let Some(trash) = &self.trash {
            // Without it the drive is still all there.
            entries.extend(trash.entry(false).await.ok());
        }
        entries
    }
}

/// A name for a folder of mounts that nothing in the home has: what is there is never hidden.
async fn free_name(home: &Root, name: &str) -> Result<VPath> {
    let mut number = 0;
    loop {
        let at = RelPath::parse(&numbered(name, number))?;
        match home.tree.stat(&at).await {
            Err(Error::NotFound) => return Ok(at),
            Err(error) => return Err(error),
            Ok(_) => number += 1,
        }
    }
}

/// A listing with more entries at its end.
pub struct Extended {
    /// What is listed first.
    pub inner: Box<dyn Listing>,
    /// The entries after it.
    pub extra: Vec<Entry>,
}

#[async_trait]
impl Listing for Extended {
    async fn next_page(&mut self) -> Result<Vec<Entry>> {
        let page = self.inner.next_page().await?;
        Ok(if page.is_empty() {
            std::mem::take(&mut self.extra)
        } else {
            page
        })
    }
}

/// A listing of nothing but these.
pub struct Fixed(pub Vec<Entry>);

#[async_trait]
impl Listing for Fixed {
    async fn next_page(&mut self) -> Result<Vec<Entry>> {
        Ok(std::mem::take(&mut self.0))
    }
}
