//! What a drive shows beside its home: folders that other accounts share with it, and team folders, each under a folder of its own
//! that exists only while there is something in it; and its trash, where the configuration wants that. Every look asks what is granted at
//! that moment.

use super::locks::Locks;
use super::mount_folder::{MountFolder, MountFolderKind, numbered};
use super::resolved_path::{Access, NamedTree, VIEW_ONLY};
use super::shares::Share;
use super::sharing::{MountFolderNames, Sharing};
use super::{trash_names, with_timeout};
use crate::audit::{Actor, AuditKind, Reporter};
use crate::model::{AccountName, Error, Identity, RelPath, Result, Rights, VPath, Via};
use crate::storage::{DirEntry, FileId, Listing, Node};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

/// What a mount leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
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
    pub source: MountSource,
    account: AccountName,
    sharing: Arc<Sharing>,
    opened: OnceLock<MountTarget>,
}

/// The root that a mount leads into.
#[derive(Clone, Debug)]
pub struct MountTarget {
    /// The root.
    pub root: Arc<NamedTree>,
    /// The quota of whoever pays.
    pub quota: Option<u64>,
}

/// What a mount grants at one moment.
#[derive(Clone, Debug)]
pub struct MountGrant {
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
        source: MountSource,
        account: &AccountName,
        commons: &Arc<Sharing>,
    ) -> Self {
        let (account, commons) = (account.clone(), commons.clone());
        Self {
            at,
            source,
            account,
            sharing: commons,
            opened: OnceLock::new(),
        }
    }

    /// What is granted now; `NotFound` when nothing is any more.
    pub fn grant(&self) -> Result<MountGrant> {
        match &self.source {
            MountSource::Share(id) => {
                let share = self
                    .sharing
                    .shares
                    .shown_to(&self.account, id)
                    .ok_or(Error::NotFound)?;
                self.sharing.trees.check_home(&share.owner)?;
                let (rights, owner) = (share.rights, Some(share.owner.clone()));
                Ok(MountGrant {
                    rights,
                    base: share.path(),
                    owner,
                    id: Some(share.node),
                })
            }
            MountSource::Team(name) => {
                let teams = &self.sharing.teams;
                let rights = teams
                    .find(name)
                    .and_then(|team| teams.rights(&team, &self.account));
                let rights = rights.ok_or(Error::NotFound)?;
                Ok(MountGrant {
                    rights,
                    base: RelPath::root(),
                    owner: None,
                    id: None,
                })
            }
            MountSource::Trash(base) => {
                let owner = Some(self.account.clone());
                Ok(MountGrant {
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
    pub fn opened(&self) -> Option<&MountTarget> {
        self.opened.get()
    }

    /// What it shows, as it is now; `NotFound` when that is gone, or another thing has its name.
    pub async fn node(&self) -> Result<Node> {
        let (node, opened) = with_timeout(self.find()).await?;
        // A mount is opened once for each request, and a request that finds it gone has no use for it.
        let _ = self.opened.set(opened);
        Ok(node)
    }

    async fn find(&self) -> Result<(Node, MountTarget)> {
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

    async fn open(&self, grant: &MountGrant) -> Result<MountTarget> {
        let roots = &self.sharing.trees;
        let (root, quota) = match &self.source {
            MountSource::Share(_) | MountSource::Trash(_) => {
                roots
                    .home(grant.owner.as_ref().ok_or(Error::NotFound)?)
                    .await?
            }
            MountSource::Team(name) => {
                let quota = self.sharing.teams.find(name).ok_or(Error::NotFound)?.quota;
                (roots.team(name).await?, quota)
            }
        };
        Ok(MountTarget { root, quota })
    }

    /// Takes it out of the drive.
    pub async fn leave(&self, locks: &Locks) -> Result<()> {
        match &self.source {
            MountSource::Share(id) => {
                let share = self.sharing.shares.leave(&self.account, id).await?;
                self.reporter()
                    .done(
                        AuditKind::ShareChanged,
                        id,
                        share.audit_left_text(&self.account),
                    )
                    .await;
                self.sharing.release_lost(locks, &share).await
            }
            MountSource::Team(_) => Err(Error::Forbidden(
                "Only an administrator can take you out of a team folder.",
            )),
            MountSource::Trash(_) => Err(Error::Forbidden(VIEW_ONLY)),
        }
    }

    /// Shows it under another name.
    pub async fn rename(&self, name: &str) -> Result<()> {
        match &self.source {
            MountSource::Share(id) => {
                let before = self.sharing.shares.shown_to(&self.account, id);
                let share = self.sharing.shares.rename(&self.account, id, name).await?;
                if before.as_ref() != Some(&share) {
                    self.reporter()
                        .done(
                            AuditKind::ShareChanged,
                            id,
                            share.audit_name_text(&self.account),
                        )
                        .await;
                }
                Ok(())
            }
            MountSource::Team(_) => Err(Error::Forbidden(
                "A team folder has the same name for all who use it.",
            )),
            MountSource::Trash(_) => Err(Error::Forbidden(VIEW_ONLY)),
        }
    }

    /// The listing of a path in its root, with the names that show here.
    pub fn listing(&self, path: &RelPath, inner: Box<dyn Listing>) -> Box<dyn Listing> {
        if self.renames(path) {
            Box::new(trash_names::TrashListing(inner))
        } else {
            inner
        }
    }

    /// Whether what lies at a path in its root shows under other names here.
    pub fn renames(&self, path: &RelPath) -> bool {
        matches!(&self.source, MountSource::Trash(base) if path == base)
    }

    /// Whether it shows the trash, which can only be looked at.
    pub fn is_trash(&self) -> bool {
        matches!(self.source, MountSource::Trash(_))
    }

    /// The path below what it shows that the names which show here mean.
    fn stored_path(&self, rest: RelPath) -> Result<RelPath> {
        if self.is_trash() {
            trash_names::stored_path(&rest)
        } else {
            Ok(rest)
        }
    }

    fn reporter(&self) -> Reporter {
        self.sharing
            .audit
            .reporter(Actor::Account(self.account.clone()), None)
    }

    pub(super) async fn entry(&self, with_props: bool) -> Result<DirEntry> {
        let node = self.node().await?;
        let props = match self.opened() {
            Some(opened) if with_props => opened.root.tree.props(&self.grant()?.base).await?,
            _ => Vec::new(),
        };
        Ok(DirEntry {
            name: self.at.name().unwrap_or_default().to_owned(),
            node,
            props,
        })
    }
}

/// What one identity sees beside its home.
#[derive(Debug)]
pub struct Mounts {
    folders: Vec<Arc<MountFolder>>,
    trash: Option<Arc<Mount>>,
}

/// Where a path of the account's drive leads.
#[derive(Debug)]
pub enum MountLookup {
    /// Into the home.
    Home,
    /// To a folder of mounts.
    MountFolder(Arc<MountFolder>),
    /// Into a mount: so far below what it shows.
    Mount(Arc<Mount>, RelPath),
    /// Beneath a folder of mounts, where nothing is.
    Missing,
}

impl Mounts {
    /// What `identity` sees beside `home`; `None` for nothing.
    pub async fn of(
        identity: &Identity,
        home: &NamedTree,
        commons: &Arc<Sharing>,
    ) -> Result<Option<Arc<Self>>> {
        // Who made a link may not pass on what others share with them, and who may only add sees nothing.
        if matches!(identity.via, Via::Link(_)) || identity.rights == Rights::Drop {
            return Ok(None);
        }
        let account = &identity.account;
        let MountFolderNames {
            shared,
            teams,
            trash,
        } = &commons.mount_folders;
        let mut halls = Vec::new();
        for (kind, name, has_any) in [
            (
                MountFolderKind::Shares,
                shared,
                commons.shares.has_any_for(account),
            ),
            (
                MountFolderKind::Teams,
                teams,
                commons.teams.has_any_for(account),
            ),
        ] {
            if has_any {
                let at = unused_folder_name(home, name).await?;
                halls.push(Arc::new(MountFolder::new(at, kind, account, commons)));
            }
        }
        let trash = match trash {
            // As the trash itself is for nobody who sees less, or may less.
            Some(name) if identity.scope.is_root() && identity.rights == Rights::Edit => {
                let (at, source) = (
                    unused_folder_name(home, name).await?,
                    MountSource::Trash(home.tree.trash_root()),
                );
                Some(Arc::new(Mount::new(at, source, account, commons)))
            }
            _ => None,
        };
        Ok(if halls.is_empty() && trash.is_none() {
            None
        } else {
            Some(Arc::new(Self {
                folders: halls,
                trash,
            }))
        })
    }

    /// Where a path of the account's drive leads, by a look into the folder of mounts that it goes through.
    pub async fn lookup(&self, path: &VPath) -> Result<MountLookup> {
        let nfc = path.to_nfc();
        if let Some(hall) = self
            .folders
            .iter()
            .find(|hall| nfc != hall.at && nfc.is_within(&hall.at))
        {
            hall.load_mounts().await?;
        }
        Ok(self.lookup_cached(path))
    }

    /// Where a path of the account's drive leads, by what [`find_way`](Self::find_way) has seen.
    pub fn lookup_cached(&self, path: &VPath) -> MountLookup {
        let nfc = path.to_nfc();
        let trash = self.trash.iter().find(|trash| nfc.is_within(&trash.at));
        let hall = self.folders.iter().find(|hall| nfc.is_within(&hall.at));
        let mount = match (trash, hall) {
            (Some(trash), _) => Some(trash),
            (None, None) => return MountLookup::Home,
            (None, Some(hall)) if nfc == hall.at => return MountLookup::MountFolder(hall.clone()),
            (None, Some(hall)) => hall.mounts().iter().find(|mount| nfc.is_within(&mount.at)),
        };
        // What lies below may be spelled in neither normal form.
        let rest = |mount: &Mount| mount.stored_path(path.skip(mount.at.names().count())).ok();
        mount
            .and_then(|mount| Some(MountLookup::Mount(mount.clone(), rest(mount)?)))
            .unwrap_or(MountLookup::Missing)
    }

    /// The shares among them that can be looked into now, and where they show; looked at all at once, as their disks may not answer.
    pub async fn shares(&self) -> Result<Vec<(Arc<Share>, VPath)>> {
        let mut shares = Vec::new();
        for hall in &self.folders {
            hall.load_mounts().await?;
        }
        let mounts = self.folders.iter().flat_map(|hall| hall.mounts());
        let looked_at = mounts.filter(|mount| matches!(mount.source, MountSource::Share(_)));
        for (mount, node) in
            join_all(looked_at.map(|mount| async move { (mount, mount.node().await) })).await
        {
            let MountSource::Share(id) = &mount.source else {
                continue;
            };
            match node {
                // It is shared still while the files of its owner are missing, or do not answer.
                Ok(_) | Err(Error::Missing(_) | Error::Busy { .. }) => {}
                Err(Error::NotFound) => continue,
                Err(error) => return Err(error),
            }
            let share = mount.sharing.shares.shown_to(&mount.account, id);
            shares.extend(share.map(|share| (share, mount.at.clone())));
        }
        Ok(shares)
    }

    /// What is shown beside the home, as entries of the drive's own folder.
    pub async fn entries(&self) -> Vec<DirEntry> {
        let name = |hall: &MountFolder| hall.at.name().unwrap_or_default().to_owned();
        let halls = self.folders.iter();
        let mut entries: Vec<_> = halls
            .map(|hall| DirEntry {
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
async fn unused_folder_name(home: &NamedTree, name: &str) -> Result<VPath> {
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
pub struct ExtendedListing {
    /// What is listed first.
    pub inner: Box<dyn Listing>,
    /// The entries after it.
    pub extra: Vec<DirEntry>,
}

#[async_trait]
impl Listing for ExtendedListing {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        let page = self.inner.next_page().await?;
        Ok(if page.is_empty() {
            std::mem::take(&mut self.extra)
        } else {
            page
        })
    }
}

/// A listing of nothing but these.
pub struct FixedListing(pub Vec<DirEntry>);

#[async_trait]
impl Listing for FixedListing {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        Ok(std::mem::take(&mut self.0))
    }
}
