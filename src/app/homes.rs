//! The folders on disk that drives are made of: homes and team folders, each opened at its first use and closed again in time.

pub mod existing;
mod folders;
pub mod known;
mod missing_features;
mod moves;
mod open;
mod opener;
#[cfg(test)]
mod tests;
mod tree_provider;

use super::blocking;
use crate::audit::AuditKind;
use crate::auth::Auth;
use crate::config::Config;
use crate::drive::locks::Locks;
use crate::drive::named_tree::NamedTree;
use crate::model::{AccountName, Error, Result};
use crate::state::{Batch, CommitHook};
use crate::storage::local::LocalTree;
use crate::storage::local::in_place::FolderLocation;
use crate::uploads::Uploads;
use existing::ExistingFolders;
use folders::names_in;
use known::KnownTrees;
pub use moves::LeftFolder;
use open::{OpenTree, TreeSlot, Trees};
use opener::Opener;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// How long a request waits for a disk that does not answer before it is told so.
pub(super) const DISK_TIMEOUT: Duration = Duration::from_secs(20);
/// What it is told: when to come back.
pub(super) const SLOW_DISK: Error = Error::Busy {
    retry_after: Duration::from_secs(10),
};

/// What a tree of files belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TreeKind {
    /// An account.
    Home,
    /// A team folder.
    Team,
}

impl TreeKind {
    /// The folder of the data folder that such trees lie in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Home => "homes",
            Self::Team => "teams",
        }
    }

    /// The name in records of such a tree.
    pub fn id(self, name: &str) -> String {
        match self {
            Self::Home => format!("home/{name}"),
            Self::Team => format!("team/{name}"),
        }
    }

    /// What the audit log calls the removal of what it belongs to.
    pub fn audit_kind(self) -> AuditKind {
        match self {
            Self::Home => AuditKind::AccountRemoved,
            Self::Team => AuditKind::TeamFolderRemoved,
        }
    }
}

/// Every home and team folder.
#[derive(Debug)]
pub(super) struct Homes {
    opener: Arc<Opener>,
    trees: Trees,
}

impl Homes {
    pub(super) fn new(
        config: &Config,
        auth: Arc<Auth>,
        beside: (Arc<Uploads>, Arc<Locks>),
        made: (KnownTrees, Arc<ExistingFolders>),
    ) -> Self {
        Self {
            opener: Arc::new(Opener::new(config, auth, beside, made)),
            trees: Trees::new(config.storage.open_homes),
        }
    }

    /// The home of an account; made at the first use.
    pub(super) async fn home_of(&self, account: &AccountName) -> Result<Arc<NamedTree>> {
        self.root_of(TreeKind::Home, account.as_str()).await
    }

    /// The root of a home or team folder; made at the first use.
    pub(super) async fn root_of(&self, kind: TreeKind, name: &str) -> Result<Arc<NamedTree>> {
        self.with_open(kind, name, |open| open.root.clone()).await
    }

    async fn with_open<T>(
        &self,
        kind: TreeKind,
        name: &str,
        of: impl Fn(&OpenTree) -> T,
    ) -> Result<T> {
        loop {
            let home = self.trees.entry(kind, name);
            if home.get().is_none()
                && let Err(error) = self.open(kind, name, &home).await
            {
                self.trees.forget_unopened(kind, name, home);
                return Err(error);
            }
            let Some(open) = home.get() else { continue };
            if !self.has_moved(kind, name, open).await? {
                return Ok(of(open));
            }
            tracing::warn!(
                folder = kind.id(name),
                "it was replaced beside the server; it is opened anew"
            );
            self.trees.remove_this(kind, name, &home);
        }
    }

    async fn open(&self, kind: TreeKind, name: &str, home: &Arc<TreeSlot>) -> Result<()> {
        let mut opened = self.try_open(kind, name, home).await?;
        let lacks =
            |error: &Error| error.lacks_descriptors() || matches!(error, Error::Busy { .. });
        if opened.as_ref().is_err_and(lacks) {
            self.trees.close_half();
            opened = self.try_open(kind, name, home).await?;
        }
        if opened.is_ok() {
            self.trees.note_opened(&kind.id(name));
        }
        opened
    }

    /// Opens a tree in a task of its own: a caller that leaves must not let the next one open it beside. The outer error is that it
    /// takes too long: for that nothing else need be closed.
    async fn try_open(
        &self,
        kind: TreeKind,
        name: &str,
        home: &Arc<TreeSlot>,
    ) -> Result<Result<()>> {
        let opener = self.opener.clone();
        let home = home.clone();
        let name = name.to_owned();
        let was_swept = self.trees.was_swept(&kind.id(&name));
        let closed = self.trees.until_closed(&kind.id(&name));
        let opening = tokio::spawn(async move {
            closed.await;
            home.cell
                .get_or_try_init(|| opener.open(kind, &name, was_swept))
                .await
                .map(|_| ())
        });
        match timeout(DISK_TIMEOUT, opening).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(failed)) => Err(Error::io(
                "open the folder of files",
                std::io::Error::other(failed),
            )),
            Err(_) => Err(SLOW_DISK),
        }
    }

    /// Whether another folder, or none, has come into the place of the one that is open.
    async fn has_moved(&self, kind: TreeKind, name: &str, open: &OpenTree) -> Result<bool> {
        if !open.look.is_due() {
            return Ok(false);
        }
        let look = open.look.clone();
        let dir = self.opener.own_dir(kind, name);
        let existing = self.opener.existing.clone();
        let tree = kind.id(name);
        let has_moved = move || {
            let found = existing
                .find(&tree)
                .map(|site| site.map_or(dir, |site| site.path));
            Ok(look.has_moved(found.ok().as_deref()))
        };
        blocking_with_timeout(has_moved).await
    }

    fn home_dir(&self, account: &AccountName) -> PathBuf {
        self.dir_of(TreeKind::Home, account.as_str())
    }

    /// Where a tree lies, or its path leads that was there before.
    pub(super) fn dir_of(&self, kind: TreeKind, name: &str) -> PathBuf {
        self.opener.dir_of(kind, name)
    }

    /// Whether an account's home is there already.
    pub(super) async fn exists(&self, account: &AccountName) -> Result<bool> {
        let dir = self.home_dir(account);
        blocking_with_timeout(move || Ok(dir.exists())).await
    }

    /// Whether an account's home has been made, as far as is known without looking.
    pub(super) fn is_made(&self, account: &AccountName) -> bool {
        self.opener
            .known
            .get(&TreeKind::Home.id(account.as_str()))
            .is_some()
    }

    /// The names of the folders of a kind that there are, and of those that have been made and may be missing.
    pub(super) async fn names(&self, kind: TreeKind) -> Result<HashSet<OsString>> {
        let dir = self.opener.folder_of(kind);
        let made = self.opener.known.names(kind);
        blocking(move || {
            let names = names_in(&dir).map_err(|e| Error::io("list the homes", e))?;
            Ok(names
                .into_iter()
                .chain(made.into_iter().map(OsString::from))
                .collect())
        })
        .await
    }

    /// Whether a tree that is closed has properties in overflow files, all of them in use.
    pub(super) fn is_swept(&self, kind: TreeKind, name: &str) -> bool {
        self.trees.was_swept(&kind.id(name))
    }

    /// Does something with a tree, which is closed again afterwards if it was not open before.
    pub(super) async fn visit<T, F: Future<Output = Result<T>>>(
        &self,
        (kind, name): (TreeKind, &str),
        work: impl FnOnce(Arc<NamedTree>) -> F,
    ) -> Result<T> {
        let was_open = self.trees.is_open(kind, name);
        let done = work(self.root_of(kind, name).await?).await;
        if !was_open {
            self.trees.close_if_idle(kind, name);
        }
        done
    }

    /// Closes all homes and team folders that nobody holds; the rest are counted when they are opened again.
    pub(super) async fn close_all(&self) {
        if timeout(DISK_TIMEOUT, self.trees.close_all()).await.is_err() {
            tracing::warn!("a disk does not answer: not every home was closed");
        }
    }

    /// The homes and team folders that are open.
    pub(super) fn open_roots(&self) -> Vec<Arc<NamedTree>> {
        self.trees.roots()
    }

    /// How many homes and team folders are open.
    pub(super) fn count_open(&self) -> usize {
        self.trees.count_open()
    }

    /// As [`open_roots`](Self::open_roots), the trees by their names.
    pub(super) fn open_trees(&self) -> Vec<(Arc<str>, Arc<LocalTree>)> {
        self.trees.trees()
    }

    /// Bytes of live files in the trees that were closed, as last counted.
    pub(super) fn used_in_closed(&self) -> u64 {
        self.trees.used_in_closed()
    }

    /// The trees whose history is held, and until when, of those that have been open.
    pub(super) fn retention_holds(&self) -> Vec<(Arc<str>, SystemTime)> {
        let open = self
            .open_roots()
            .into_iter()
            .filter_map(|root| Some((root.id.clone(), root.tree.retention_hold()?)));
        let mut held: Vec<_> = self
            .trees
            .retention_holds()
            .into_iter()
            .chain(open)
            .collect();
        held.sort();
        held
    }

    /// The homes and team folders that were not there when they were looked for last.
    pub(super) fn missing(&self) -> Vec<String> {
        self.opener.known.missing()
    }

    /// What looks at folders that were there before.
    pub(super) fn existing(&self) -> &Arc<ExistingFolders> {
        &self.opener.existing
    }

    /// The id of a home or team folder, which is opened if it was not yet. `Missing`.
    pub(super) async fn id_of(&self, kind: TreeKind, name: &str) -> Result<String> {
        self.root_of(kind, name).await?;
        self.opener
            .known
            .get(&kind.id(name))
            .map(|id| id.to_string())
            .ok_or_else(known::missing)
    }

    /// Makes a folder that was there before a tree; returns its id.
    pub(super) async fn prepare(&self, dir: PathBuf) -> Result<String> {
        self.opener.prepare(dir).await
    }

    /// What is stored and done with the account or team folder that a folder is made the tree of.
    pub(super) fn store_in_place(
        &self,
        kind: TreeKind,
        name: &str,
        (site, id): (FolderLocation, String),
    ) -> Result<CommitHook> {
        let opener = self.opener.clone();
        let tree = kind.id(name);
        let batch = opener.existing.put_in(Batch::new(), &tree, &site)?;
        let batch = opener.known.put_in(batch, &tree, &id)?;
        Ok(CommitHook::new(batch, move || {
            opener.existing.note_stored(&tree, site);
            opener.known.note_made(&tree, &id);
        }))
    }

    /// Refuses to go on with a home or team folder that has been made and is not there. `Missing`.
    pub(super) async fn check_there(&self, kind: TreeKind, name: &str) -> Result<()> {
        let tree = kind.id(name);
        let Some(id) = self.opener.known.get(&tree) else {
            return Ok(());
        };
        let dir = self.opener.find_dir(kind, name).await?;
        let found = blocking_with_timeout(move || LocalTree::id_at(&dir)).await?;
        let is_there = found.is_some_and(|found| *found == *id);
        self.opener.known.note(&tree, is_there);
        if is_there {
            Ok(())
        } else {
            Err(known::missing())
        }
    }

    /// Forgets that a home or team folder has been made: what lies in its place when it is used next is it, else it is made.
    pub(super) async fn forget(&self, kind: TreeKind, name: &str) -> Result<()> {
        self.opener.lacking.forget(&kind.id(name));
        self.opener.known.forget(&kind.id(name)).await
    }

    /// Lets nothing change any more in a home or team folder that is open.
    pub(super) fn close(&self, kind: TreeKind, name: &str) {
        if let Some(open) = self.trees.remove(kind, name) {
            open.close();
        }
    }
}

/// Looks at the disk for as long as a request waits for that.
async fn blocking_with_timeout<T: Send + 'static>(
    look: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    with_disk_timeout(blocking(look)).await
}

/// Waits for a disk as long as a request does; `Busy` for one that hangs.
pub(super) async fn with_disk_timeout<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(DISK_TIMEOUT, work).await.unwrap_or(Err(SLOW_DISK))
}
