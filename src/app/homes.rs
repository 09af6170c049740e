//! The folders on disk that drives are made of: homes and team folders, each opened at its first use and closed again in time.

mod folders;
pub mod known;
mod open;
mod opener;

use super::blocking;
use crate::audit::Kind as AuditKind;
use crate::auth::Auth;
use crate::config::Config;
use crate::content::local::LocalTree;
use crate::drive::commons::Roots;
use crate::drive::place::Root;
use crate::model::{AccountName, Error, RelPath, Result};
use crate::uploads::Uploads;
use async_trait::async_trait;
use folders::{inode_of, names_in, purge_folder, rename_durably};
use known::Known;
use open::{Home, OpenHome, Trees};
use opener::Opener;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::time::timeout;

/// How long a request waits for a disk that does not answer before it is told so.
const DISK_PATIENCE: Duration = Duration::from_secs(20);
/// What it is told: when to come back.
const SLOW_DISK: Error = Error::Busy { retry_after: Duration::from_secs(10) };

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
    pub(super) fn new(config: &Config, auth: Arc<Auth>, uploads: Arc<Uploads>, known: Known) -> Self {
        Self {
            opener: Arc::new(Opener::new(config, auth, uploads, known)),
            trees: Trees::new(config.storage.open_homes),
        }
    }

    /// The home of an account; made at the first use.
    pub(super) async fn home_of(&self, account: &AccountName) -> Result<Arc<Root>> {
        self.root_of(TreeKind::Home, account.as_str()).await
    }

    /// The root of a home or team folder; made at the first use.
    pub(super) async fn root_of(&self, kind: TreeKind, name: &str) -> Result<Arc<Root>> {
        self.with_open(kind, name, |open| open.root.clone()).await
    }

    async fn with_open<T>(&self, kind: TreeKind, name: &str, of: impl Fn(&OpenHome) -> T) -> Result<T> {
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
            tracing::warn!(folder = kind.id(name), "it was replaced beside the server; it is opened anew");
            self.trees.remove_this(kind, name, &home);
        }
    }

    async fn open(&self, kind: TreeKind, name: &str, home: &Arc<Home>) -> Result<()> {
        let mut opened = self.try_open(kind, name, home).await;
        let lacks = |error: &Error| error.lacks_descriptors() || matches!(error, Error::Busy { .. });
        if opened.as_ref().is_err_and(lacks) {
            self.trees.shed();
            opened = self.try_open(kind, name, home).await;
        }
        if opened.is_ok() {
            self.trees.note_opened(&kind.id(name));
        }
        opened
    }

    /// Opens a tree in a task of its own: a caller that leaves must not let the next one open it beside.
    async fn try_open(&self, kind: TreeKind, name: &str, home: &Arc<Home>) -> Result<()> {
        let (opener, home, name) = (self.opener.clone(), home.clone(), name.to_owned());
        let was_swept = self.trees.was_swept(&kind.id(&name));
        let opening =
            tokio::spawn(
                async move { home.cell.get_or_try_init(|| opener.open(kind, &name, was_swept)).await.map(|_| ()) },
            );
        match timeout(DISK_PATIENCE, opening).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(failed)) => Err(Error::io("open the folder of files", std::io::Error::other(failed))),
            Err(_) => Err(SLOW_DISK),
        }
    }

    /// Whether another folder, or none, has come into the place of the one that is open.
    async fn has_moved(&self, kind: TreeKind, name: &str, open: &OpenHome) -> Result<bool> {
        if !open.look.is_due() {
            return Ok(false);
        }
        let (look, dir) = (open.look.clone(), self.dir_of(kind, name));
        match timeout(DISK_PATIENCE, blocking(move || Ok(look.has_moved(&dir)))).await {
            Ok(moved) => moved,
            Err(_) => Err(SLOW_DISK),
        }
    }

    fn home_dir(&self, account: &AccountName) -> PathBuf {
        self.dir_of(TreeKind::Home, account.as_str())
    }

    pub(super) fn dir_of(&self, kind: TreeKind, name: &str) -> PathBuf {
        self.opener.dir_of(kind, name)
    }

    /// Whether an account's home is there already.
    pub(super) async fn exists(&self, account: &AccountName) -> Result<bool> {
        let dir = self.home_dir(account);
        blocking(move || Ok(dir.exists())).await
    }

    /// The names of the folders of a kind that there are, and of those that have been made and may be missing.
    pub(super) async fn names(&self, kind: TreeKind) -> Result<HashSet<OsString>> {
        let (dir, made) = (self.opener.folder_of(kind), self.opener.known.names(kind));
        blocking(move || {
            let names = names_in(&dir).map_err(|e| Error::io("list the homes", e))?;
            Ok(names.into_iter().chain(made.into_iter().map(OsString::from)).collect())
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
        work: impl FnOnce(Arc<Root>) -> F,
    ) -> Result<T> {
        let was_open = self.trees.is_open(kind, name);
        let done = work(self.root_of(kind, name).await?).await;
        if !was_open {
            self.trees.close_if_idle(kind, name);
        }
        done
    }

    /// The homes and team folders that are open.
    pub(super) fn open_roots(&self) -> Vec<Arc<Root>> {
        self.trees.roots()
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
    pub(super) fn held(&self) -> Vec<(Arc<str>, SystemTime)> {
        let open = self.open_roots().into_iter().filter_map(|root| Some((root.id.clone(), root.tree.held()?)));
        let mut held: Vec<_> = self.trees.held().into_iter().chain(open).collect();
        held.sort();
        held
    }

    /// The homes and team folders that were not there when they were looked for last.
    pub(super) fn missing(&self) -> Vec<String> {
        self.opener.known.missing()
    }

    /// Refuses to go on with a home or team folder that has been made and is not there. `Missing`.
    pub(super) async fn check_there(&self, kind: TreeKind, name: &str) -> Result<()> {
        let tree = kind.id(name);
        let Some(id) = self.opener.known.get(&tree) else { return Ok(()) };
        let dir = self.dir_of(kind, name);
        let found = blocking(move || LocalTree::id_at(&dir)).await?;
        let is_there = found.is_some_and(|found| *found == *id);
        self.opener.known.note(&tree, is_there);
        if is_there { Ok(()) } else { Err(known::missing()) }
    }

    /// Forgets that a home or team folder has been made: what lies in its place when it is used next is it, else it is made.
    pub(super) async fn forget(&self, kind: TreeKind, name: &str) -> Result<()> {
        self.opener.known.forget(&kind.id(name)).await
    }

    /// Refuses what a transfer could not do.
    pub(super) async fn check_transfer(&self, from: &AccountName, to: &AccountName) -> Result<()> {
        self.home_of(to).await?;
        let (here, there) = (self.home_dir(from), self.home_dir(to));
        blocking(move || match (inode_of(&here), inode_of(&there)) {
            (Ok((here, _)), Ok((there, _))) if here != there => Err(Error::Forbidden(
                "The two homes lie on different file systems: keep the files, and move them by hand.",
            )),
            _ => Ok(()),
        })
        .await
    }

    /// Moves a tree that lies aside into a new folder of an account's drive, called `title` or nearly so; says which, `None` when
    /// there is no such tree.
    pub(super) async fn adopt(
        &self,
        (kind, folder): (TreeKind, &str),
        title: &str,
        to: &AccountName,
    ) -> Result<Option<RelPath>> {
        let is_there = self.is_there(kind, folder).await?;
        let dir = self.dir_of(kind, folder);
        let (_held, tree) = self.with_open(TreeKind::Home, to.as_str(), |o| (o.root.clone(), o.tree.clone())).await?;
        for n in 1_u32.. {
            let name = if n == 1 { title.to_owned() } else { format!("{title} ({n})") };
            let path = RelPath::root().join(&name)?;
            if !is_there {
                // It was moved before; a crash may have kept its history from coming along.
                match tree.adopt_history(&path).await {
                    Err(Error::NotFound) => return Ok(None),
                    outcome => outcome?,
                }
                continue;
            }
            match tree.adopt(&dir, &path).await {
                Err(Error::Exists) => {}
                outcome => return outcome.map(|()| Some(path)),
            }
        }
        Err(Error::Exists)
    }

    /// Lets nothing change any more in a home or team folder that is open.
    pub(super) fn close(&self, kind: TreeKind, name: &str) {
        if let Some(open) = self.trees.remove(kind, name) {
            open.close();
        }
    }

    /// Whether a tree is there, also as a link.
    pub(super) async fn is_there(&self, kind: TreeKind, folder: &str) -> Result<bool> {
        let dir = self.dir_of(kind, folder);
        blocking(move || Ok(dir.symlink_metadata().is_ok())).await
    }

    /// Whether nothing at all lies where the files of this name are.
    pub(super) async fn is_empty(&self, kind: TreeKind, name: &str) -> Result<bool> {
        let dir = self.dir_of(kind, name);
        blocking(move || match names_in(&dir) {
            Ok(names) => Ok(names.is_empty()),
            // What is no folder is not taken over either.
            Err(_) => Ok(dir.symlink_metadata().is_err()),
        })
        .await
    }

    /// Whether a home or team folder holds neither files nor any in its trash and versions.
    pub(super) async fn is_unused(&self, kind: TreeKind, name: &str) -> Result<bool> {
        self.check_there(kind, name).await?;
        let dir = self.dir_of(kind, name);
        blocking(move || {
            let own = [".sarang/trash/files", ".sarang/versions"];
            let files = names_in(&dir).map_err(|e| Error::io("look at the files", e))?;
            let history = own.iter().any(|own| names_in(&dir.join(own)).is_ok_and(|names| !names.is_empty()));
            Ok(files.iter().all(|name| name == ".sarang") && !history)
        })
        .await
    }

    /// Gives the folder of a home or team folder, if there is one, the name `folder`, durably, and closes it.
    pub(super) async fn lay_aside(&self, kind: TreeKind, name: &str, folder: &str) -> Result<()> {
        self.close(kind, name);
        let (from, to) = (self.dir_of(kind, name), self.dir_of(kind, folder));
        blocking(move || {
            // After a crash it may be there already.
            if to.symlink_metadata().is_ok() {
                return Ok(());
            }
            rename_durably(&from, &to).map_err(|e| Error::io("lay the files aside", e))
        })
        .await?;
        self.forget(kind, name).await
    }

    /// Lets a tree that lies aside take the place of one that holds no files, which goes.
    pub(super) async fn exchange(&self, aside: (TreeKind, &str), to: (TreeKind, &str)) -> Result<()> {
        let (from, place) = (self.dir_of(aside.0, aside.1), self.dir_of(to.0, to.1));
        let until = Instant::now() + folders::PURGE_PATIENCE;
        loop {
            self.close(to.0, to.1);
            // First: what lies there at the next use is its home then, whatever a crash leaves.
            self.forget(to.0, to.1).await?;
            let (from, place) = (from.clone(), place.clone());
            let exchanged = blocking(move || {
                let taken = purge_folder(&place.join(".sarang")).and_then(|()| match std::fs::remove_dir(&place) {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                    _ => rename_durably(&from, &place),
                });
                taken.map_err(|e| Error::io("bring the files back", e))
            });
            match exchanged.await {
                // A request has opened it again meanwhile.
                Err(Error::Io { source, .. })
                    if source.kind() == ErrorKind::DirectoryNotEmpty && Instant::now() < until => {}
                Ok(()) => return self.forget(to.0, to.1).await,
                failed => return failed,
            }
        }
    }

    /// Deletes a tree that lies aside.
    pub(super) async fn purge(&self, kind: TreeKind, folder: &str) -> Result<()> {
        let dir = self.dir_of(kind, folder);
        blocking(move || purge_folder(&dir).map_err(|e| Error::io("delete the files", e))).await
    }
}

#[async_trait]
impl Roots for Homes {
    async fn home(&self, account: &AccountName) -> Result<(Arc<Root>, Option<u64>)> {
        let view = self.opener.auth.account(account).filter(|view| !view.disabled).ok_or(Error::NotFound)?;
        match self.home_of(account).await {
            Ok(root) => Ok((root, view.quota)),
            Err(Error::Unauthenticated) => Err(Error::NotFound),
            Err(error) => Err(error),
        }
    }

    fn check_home(&self, account: &AccountName) -> Result<()> {
        self.opener.auth.account(account).filter(|view| !view.disabled).map(drop).ok_or(Error::NotFound)
    }

    async fn team(&self, name: &str) -> Result<Arc<Root>> {
        self.root_of(TreeKind::Team, name).await
    }
}
