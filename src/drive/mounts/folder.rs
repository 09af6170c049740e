//! The folders in which a drive shows what others share with its account, and its team folders. They exist while there is something in
//! them; only requests that look into them find out what.

use super::mount::{Mount, MountSource};
use super::share::ShareSource;
use super::team::TeamFolderSource;
use crate::drive::absent_is_none;
use crate::drive::context::DriveContext;
use crate::model::time::from_unix_seconds;
use crate::model::{AccountName, Error, Result, VPath};
use crate::sharing::shares::Share;
use crate::storage::{DirEntry, Etag, Node};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A folder of mounts.
#[derive(Debug)]
pub struct MountFolder {
    /// Where it shows in the account's drive, in NFC.
    pub at: VPath,
    kind: MountFolderKind,
    account: AccountName,
    context: Arc<DriveContext>,
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
        context: &Arc<DriveContext>,
    ) -> Self {
        Self {
            at,
            kind,
            account: account.clone(),
            context: context.clone(),
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

    /// What shows in it, once [`load_mounts`](Self::load_mounts) has found it.
    pub(super) fn mounts(&self) -> &[Arc<Mount>] {
        self.mounts.get().map(Vec::as_slice).unwrap_or_default()
    }

    async fn find(&self) -> Result<Vec<Arc<Mount>>> {
        let sources = match self.kind {
            MountFolderKind::Shares => self.named_shares().await?,
            MountFolderKind::Teams => self.teams(),
        };
        let mount = |(name, source): (String, Box<dyn MountSource>)| {
            let at = self.at.join(&name).ok()?.to_nfc();
            Some(Arc::new(Mount::new(at, source)))
        };
        Ok(sources.into_iter().filter_map(mount).collect())
    }

    /// The team folders under their names, which differ by more than case.
    fn teams(&self) -> Vec<(String, Box<dyn MountSource>)> {
        let source = |name: String| {
            let source = TeamFolderSource {
                name: name.clone(),
                account: self.account.clone(),
                context: self.context.clone(),
            };
            (name, Box::new(source) as Box<dyn MountSource>)
        };
        let names = self.context.sharing.teams.of(&self.account);
        names.into_iter().map(source).collect()
    }

    /// The shares under their names, which are assigned to those that have none.
    async fn named_shares(&self) -> Result<Vec<(String, Box<dyn MountSource>)>> {
        let shares = self.context.sharing.shares.to(&self.account);
        let known = self
            .context
            .sharing
            .shares
            .known_names(&self.account, &shares);
        let (shares, names) = match known {
            Some(names) => (shares, names),
            None => self.assign_names().await?,
        };
        let source = |(name, share): (String, Arc<Share>)| {
            let source = ShareSource {
                id: share.id.clone(),
                account: self.account.clone(),
                context: self.context.clone(),
            };
            (name, Box::new(source) as Box<dyn MountSource>)
        };
        Ok(names.into_iter().zip(shares).map(source).collect())
    }

    /// Assigns names to the shares that have none. In a task of its own: whoever asks may leave in between, and memory would not know
    /// what is on the disk.
    async fn assign_names(&self) -> Result<(Vec<Arc<Share>>, Vec<String>)> {
        let account = self.account.clone();
        let at = self.at.clone();
        let context = self.context.clone();
        let naming = async move {
            let other = &context.mount_folders.shared;
            let shares = &context.sharing.shares;
            shares.assign_names(&account, &at, other).await
        };
        let ended = |error| {
            let error = std::io::Error::other(error);
            Err(Error::io("name what is shared", error))
        };
        tokio::spawn(naming).await.unwrap_or_else(ended)
    }

    /// The folder itself.
    pub fn node(&self) -> Node {
        let sharing = &self.context.sharing;
        let made: Vec<_> = match self.kind {
            MountFolderKind::Shares => {
                let shares = sharing.shares.to(&self.account);
                shares.iter().map(|share| share.created).collect()
            }
            MountFolderKind::Teams => {
                let names = sharing.teams.of(&self.account).into_iter();
                names
                    .filter_map(|name| sharing.teams.find(&name))
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
