//! One thing shown beside the home. What it leads to is a [`MountSource`]: a share, a team folder or the trash.

use super::trash_names;
use crate::drive::access::{Access, VIEW_ONLY};
use crate::drive::named_tree::NamedTree;
use crate::drive::{gone, with_timeout};
use crate::model::{Error, RelPath, Result, Rights, VPath};
use crate::sharing::shares::Share;
use crate::storage::{DirEntry, FileId, Listing, LockStore, Node};
use async_trait::async_trait;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

/// What a mount leads to.
#[async_trait]
pub(super) trait MountSource: Debug + Send + Sync {
    /// What is granted now, by a look into memory; `NotFound` when nothing is any more.
    fn grant(&self) -> Result<MountGrant>;
    /// Opens the tree that it leads into.
    async fn open(&self) -> Result<MountTarget>;
    /// Takes it out of the drive.
    async fn leave(&self, locks: &dyn LockStore) -> Result<()>;
    /// Shows it under another name.
    async fn rename(&self, name: &str) -> Result<()>;
    /// Whether it is a share.
    fn is_share(&self) -> bool {
        false
    }
    /// The share, if it is one and still shown to the account.
    fn share(&self) -> Option<Arc<Share>> {
        None
    }
    /// Where the trash is read in its tree, if it is the trash.
    fn trash_root(&self) -> Option<&RelPath> {
        None
    }
}

/// One thing shown beside the home.
#[derive(Debug)]
pub struct Mount {
    /// Where it shows in the account's drive, in NFC.
    pub at: VPath,
    source: Box<dyn MountSource>,
    opened: OnceLock<MountTarget>,
}

/// The tree that a mount leads into.
#[derive(Clone, Debug)]
pub struct MountTarget {
    /// The tree.
    pub root: Arc<NamedTree>,
    /// The quota of whoever pays.
    pub quota: Option<u64>,
}

/// What a mount grants at one moment.
#[derive(Clone, Debug)]
pub struct MountGrant {
    /// What may be done.
    pub rights: Rights,
    /// What is shown of the tree.
    pub base: RelPath,
    /// Which file or folder must be there; `None` for whatever is.
    pub(super) file_id: Option<FileId>,
}

impl Mount {
    pub(super) fn new(at: VPath, source: Box<dyn MountSource>) -> Self {
        Self {
            at,
            source,
            opened: OnceLock::new(),
        }
    }

    /// What is granted now; `NotFound` when nothing is any more.
    pub fn grant(&self) -> Result<MountGrant> {
        self.source.grant()
    }

    /// Whether this access is granted now.
    pub fn check(&self, access: Access) -> Result<()> {
        match (self.grant()?.rights, access) {
            (Rights::Edit, _) | (Rights::View, Access::Stat | Access::Read) => Ok(()),
            (Rights::View | Rights::Drop, _) => Err(Error::Forbidden(VIEW_ONLY)),
        }
    }

    /// The tree it leads into, once [`node`](Self::node) has found it.
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

    /// Looks for it where it was granted, and again where it is by now if it was moved meanwhile.
    async fn find(&self) -> Result<(Node, MountTarget)> {
        loop {
            let grant = self.grant()?;
            let opened = self.source.open().await?;
            let tree = &opened.root.tree;
            let found = match grant.file_id {
                Some(id) => tree
                    .identify(&grant.base)
                    .await
                    .map(|(node, found)| (found == id).then_some(node)),
                None => tree.stat(&grant.base).await.map(Some),
            };
            match found
                .map_err(gone)
                .and_then(|node| node.ok_or(Error::NotFound))
            {
                Ok(node) => return Ok((node, opened)),
                Err(Error::NotFound) => drop(opened.root.moving.lock().await),
                Err(error) => return Err(error),
            }
            if self.grant()?.base == grant.base {
                return Err(Error::NotFound);
            }
        }
    }

    /// Takes it out of the drive.
    pub async fn leave(&self, locks: &dyn LockStore) -> Result<()> {
        self.source.leave(locks).await
    }

    /// Shows it under another name.
    pub async fn rename(&self, name: &str) -> Result<()> {
        self.source.rename(name).await
    }

    /// Whether it shows a share.
    pub fn is_share(&self) -> bool {
        self.source.is_share()
    }

    /// The share that it shows, if it shows one that is still shown to the account.
    pub(super) fn share(&self) -> Option<Arc<Share>> {
        self.source.share()
    }

    /// Whether it shows the trash, which can only be looked at.
    pub fn is_trash(&self) -> bool {
        self.source.trash_root().is_some()
    }

    /// The listing of a path in its tree, with the names that show here.
    pub fn listing(&self, path: &RelPath, inner: Box<dyn Listing>) -> Box<dyn Listing> {
        if self.renames(path) {
            Box::new(trash_names::TrashListing(inner))
        } else {
            inner
        }
    }

    /// Whether the members of a folder in its tree show under other names here.
    pub fn renames(&self, path: &RelPath) -> bool {
        self.source.trash_root() == Some(path)
    }

    /// The path in its tree, below what it shows, of a path below the mount.
    pub(super) fn stored_path(&self, rest: RelPath) -> Result<RelPath> {
        if self.is_trash() {
            trash_names::stored_path(&rest)
        } else {
            Ok(rest)
        }
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
