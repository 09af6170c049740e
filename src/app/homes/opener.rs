//! How a home or team folder is opened: at the first use, and again after it was closed.

use super::TreeKind;
use super::known::{self, Known};
use super::open::{Look, OpenHome};
use crate::app::blocking;
use crate::auth::Auth;
use crate::config::Config;
use crate::content::Room;
use crate::content::local::{LocalSettings, LocalTree};
use crate::drive::place::Root;
use crate::model::{AccountName, Error, Result};
use crate::uploads::{Unfinished, Uploads};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What opens trees.
#[derive(Debug)]
pub(super) struct Opener {
    dir: PathBuf,
    settings: LocalSettings,
    pub auth: Arc<Auth>,
    uploads: Arc<Uploads>,
    pub known: Known,
}

impl Opener {
    pub fn new(config: &Config, auth: Arc<Auth>, uploads: Arc<Uploads>, known: Known) -> Self {
        let drive = &config.drive;
        let settings = LocalSettings {
            durability: drive.durability,
            portable_names: drive.portable_names,
            versions: config.history.versions,
            reserve: drive.reserve,
        };
        Self { dir: config.data_dir.clone(), settings, auth, uploads, known }
    }

    /// Opens a tree, makes it if it was never made; `was_swept` is whether it was closed with all its overflow files in use.
    pub async fn open(&self, kind: TreeKind, name: &str, was_swept: bool) -> Result<OpenHome> {
        // A request may have signed in just before its account was removed: no home is made for it again.
        self.check_owner(kind, name)?;
        let opened = match self.known.get(&kind.id(name)) {
            Some(id) => self.open_known((kind, name), id, was_swept).await?,
            None => self.open_first(kind, name).await?,
        };
        self.hold_uploads(&opened.root).await;
        // Or while it was being opened: then what was opened stays closed.
        self.check_owner(kind, name)?;
        Ok(opened)
    }

    /// Opens a tree that has been made. What lies in its place without its id is not touched.
    async fn open_known(&self, (kind, name): (TreeKind, &str), id: Arc<str>, was_swept: bool) -> Result<OpenHome> {
        let (dir, tree, settings) = (self.dir_of(kind, name), kind.id(name), self.settings);
        let opened = blocking(move || {
            let found = LocalTree::open_known(&dir, &id, was_swept, settings)?;
            open_home(&dir, &tree, found.ok_or_else(known::missing)?)
        })
        .await;
        self.known.note(&kind.id(name), !matches!(opened, Err(Error::Missing(_))));
        opened
    }

    /// Makes a tree, or takes over one from before trees had ids.
    async fn open_first(&self, kind: TreeKind, name: &str) -> Result<OpenHome> {
        let (dir, tree, settings) = (self.dir_of(kind, name), kind.id(name), self.settings);
        let (folder, others) = (self.folder_of(kind), self.known.names(kind));
        let (opened, id) = blocking(move || {
            // A link into nowhere, or the folder of all of them is missing: then none of the others is there either.
            let is_link = dir.symlink_metadata().is_ok_and(|facts| facts.is_symlink());
            if is_link && !dir.exists() {
                return Err(known::missing());
            }
            if !others.is_empty() && !others.iter().any(|name| folder.join(name).symlink_metadata().is_ok()) {
                return Err(known::missing());
            }
            let opened = open_home(&dir, &tree, LocalTree::open(&dir, settings)?)?;
            let id = opened.tree.id()?;
            Ok((opened, id))
        })
        .await?;
        self.known.put(&kind.id(name), id).await?;
        Ok(opened)
    }

    fn check_owner(&self, kind: TreeKind, name: &str) -> Result<()> {
        match kind {
            TreeKind::Home => self.auth.account(&AccountName::parse(name)?).map(drop).ok_or(Error::Unauthenticated),
            TreeKind::Team => Ok(()),
        }
    }

    /// Reserves the room again that unfinished uploads were promised.
    async fn hold_uploads(&self, root: &Root) {
        for upload in self.uploads.in_root(&root.id).into_iter().filter(|it| it.record().published.is_none()) {
            if let Err(error) = hold(root, &upload).await {
                tracing::warn!(upload = upload.id, %error, "the room for an unfinished upload is not reserved");
            }
        }
    }

    pub fn dir_of(&self, kind: TreeKind, name: &str) -> PathBuf {
        self.folder_of(kind).join(name)
    }

    /// The folder that all trees of a kind lie in.
    pub fn folder_of(&self, kind: TreeKind) -> PathBuf {
        self.dir.join(kind.folder())
    }
}

fn open_home(dir: &Path, id: &str, tree: Arc<LocalTree>) -> Result<OpenHome> {
    let inode = super::folders::inode_of(dir).map_err(|e| Error::io("look at the home folder", e))?;
    let root = Arc::new(Root::new(id.into(), tree.clone()));
    Ok(OpenHome { root, tree, look: Look::new(inode) })
}

async fn hold(root: &Root, upload: &Unfinished) -> Result<()> {
    let record = upload.record();
    let reserved = root.tree.reserve(&record.place()?, Room { len: Some(record.len), limit: None }).await?;
    Uploads::hold(upload, reserved);
    Ok(())
}
