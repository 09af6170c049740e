//! How a home or team folder is opened: at the first use, and again after it was closed.

use super::TreeKind;
use super::existing::ExistingFolders;
use super::known::{self, KnownTrees};
use super::missing_features::MissingFeatures;
use super::open::{MovedCheck, OpenTree};
use crate::app::blocking;
use crate::auth::Auth;
use crate::config::Config;
use crate::drive::locks::Locks;
use crate::drive::named_tree::NamedTree;
use crate::model::{AccountName, Error, Result};
use crate::storage::SpaceRequest;
use crate::storage::local::{LocalSettings, LocalTree};
use crate::uploads::{ResumableUpload, Uploads};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What opens trees.
#[derive(Debug)]
pub(super) struct Opener {
    dir: PathBuf,
    settings: LocalSettings,
    pub auth: Arc<Auth>,
    uploads: Arc<Uploads>,
    locks: Arc<Locks>,
    pub known: KnownTrees,
    pub lacking: MissingFeatures,
    pub existing: Arc<ExistingFolders>,
}

impl Opener {
    pub fn new(
        config: &Config,
        auth: Arc<Auth>,
        (uploads, locks): (Arc<Uploads>, Arc<Locks>),
        (known, existing): (KnownTrees, Arc<ExistingFolders>),
    ) -> Self {
        let drive = &config.drive;
        let settings = LocalSettings {
            durability: drive.durability,
            portable_names: drive.portable_names,
            versions: config.history.versions,
            reserve: drive.reserve,
            modes: [
                config.storage.file_mode.bits(),
                config.storage.folder_mode.bits(),
            ],
        };
        Self {
            dir: config.data_dir.clone(),
            settings,
            auth,
            uploads,
            locks,
            known,
            existing,
            lacking: MissingFeatures::default(),
        }
    }

    /// Opens a tree, makes it if it was never made; `was_swept` is whether it was closed with all its overflow files in use.
    pub async fn open(&self, kind: TreeKind, name: &str, was_swept: bool) -> Result<OpenTree> {
        // A request may have signed in just before its account was removed: no home is made for it again.
        self.check_owner(kind, name)?;
        let opened = match self.known.get(&kind.id(name)) {
            Some(id) => self.open_known((kind, name), id, was_swept).await,
            None => self.open_first(kind, name).await,
        };
        self.lacking.note(
            &kind.id(name),
            opened.as_ref().map(|opened| opened.tree.missing_features()),
        );
        let opened = opened.map_err(|error| out_of_reach(&kind.id(name), error))?;
        opened.tree.set_locks(self.locks.of_tree(&kind.id(name)));
        self.restore_reservations(&opened.root).await;
        // Or while it was being opened: then what was opened stays closed.
        self.check_owner(kind, name)?;
        Ok(opened)
    }

    /// Opens a tree that has been made. What lies in its place without its id is not touched.
    async fn open_known(
        &self,
        (kind, name): (TreeKind, &str),
        id: Arc<str>,
        was_swept: bool,
    ) -> Result<OpenTree> {
        let tree = kind.id(name);
        let settings = self.settings;
        let dir = self.find_dir(kind, name).await?;
        let opened = blocking(move || {
            let found = LocalTree::open_known(&dir, &id, was_swept, settings)?;
            open_home(&dir, &tree, found.ok_or_else(known::missing)?)
        })
        .await;
        self.known
            .note(&kind.id(name), !matches!(opened, Err(Error::Missing(_))));
        opened
    }

    /// Makes a tree, or takes over one from before trees had ids.
    async fn open_first(&self, kind: TreeKind, name: &str) -> Result<OpenTree> {
        let tree = kind.id(name);
        let settings = self.settings;
        let dir = self.find_dir(kind, name).await?;
        let folder = self.folder_of(kind);
        let others = self.made_in_data_folder(kind);
        let data = self.dir.clone();
        let is_existing = self.existing.path_of(&tree).is_some();
        let (opened, id) = blocking(move || {
            // A link into nowhere, or the folder of all of them is missing: then none of the others is there either.
            let is_link = dir.symlink_metadata().is_ok_and(|facts| facts.is_symlink());
            if is_link && !dir.exists() {
                return Err(known::missing());
            }
            let is_there = |name: &String| folder.join(name).symlink_metadata().is_ok();
            if !is_existing && !others.is_empty() && !others.iter().any(is_there) {
                return Err(known::missing());
            }
            if !is_existing && super::super::data_folder::is_unmounted_within(&data, &dir) {
                return Err(known::missing());
            }
            let opened = open_home(&dir, &tree, LocalTree::open(&dir, settings)?)?;
            let id = opened.tree.id()?;
            if !is_existing {
                // Its name in the folder of all is new, and that one may be.
                sync_folders(&[&folder, &data]).map_err(|e| Error::io("write to the disk", e))?;
            }
            Ok((opened, id))
        })
        .await?;
        self.known.put(&kind.id(name), id).await?;
        Ok(opened)
    }

    /// The names of the trees of a kind that were made in the data folder.
    fn made_in_data_folder(&self, kind: TreeKind) -> Vec<String> {
        let made = self.known.names(kind).into_iter();
        made.filter(|name| self.existing.path_of(&kind.id(name)).is_none())
            .collect()
    }

    /// Where a tree lies; `Missing` when that is a folder which was there before and cannot be served now.
    pub async fn find_dir(&self, kind: TreeKind, name: &str) -> Result<PathBuf> {
        let tree = kind.id(name);
        if self.existing.path_of(&tree).is_none() {
            return Ok(self.own_dir(kind, name));
        }
        let existing = self.existing.clone();
        let located = blocking(move || Ok((existing.locate(&tree), tree))).await?;
        match located {
            (Ok(Some(dir)), _) => Ok(dir),
            (Ok(None), _) => Ok(self.own_dir(kind, name)),
            (Err(unfit), tree) => Err(self.known.note_unfit(&tree, &unfit)),
        }
    }

    /// Makes a folder that was there before a tree, with an id of its own.
    pub async fn prepare(&self, dir: PathBuf) -> Result<String> {
        let settings = self.settings;
        blocking(move || LocalTree::open(&dir, settings)?.id()).await
    }

    fn check_owner(&self, kind: TreeKind, name: &str) -> Result<()> {
        match kind {
            TreeKind::Home => self
                .auth
                .account(&AccountName::parse(name)?)
                .map(drop)
                .ok_or(Error::Unauthenticated),
            TreeKind::Team => Ok(()),
        }
    }

    /// Reserves the room again that unfinished uploads were promised.
    async fn restore_reservations(&self, root: &NamedTree) {
        for upload in self
            .uploads
            .in_root(&root.id)
            .into_iter()
            .filter(|it| it.record().published.is_none())
        {
            if let Err(error) = restore_reservation(root, &upload).await {
                tracing::warn!(upload = upload.id, %error, "the room for an unfinished upload is not reserved");
            }
        }
    }

    /// Where a tree lies, or its path leads that was there before.
    pub fn dir_of(&self, kind: TreeKind, name: &str) -> PathBuf {
        self.existing
            .path_of(&kind.id(name))
            .unwrap_or_else(|| self.own_dir(kind, name))
    }

    /// Where a tree lies that is in the data folder.
    pub fn own_dir(&self, kind: TreeKind, name: &str) -> PathBuf {
        self.folder_of(kind).join(name)
    }

    /// The folder that all trees of a kind lie in.
    pub fn folder_of(&self, kind: TreeKind) -> PathBuf {
        self.dir.join(kind.folder())
    }
}

/// 503 for a tree whose folder the server may not use: by its permissions, or by the sandbox.
fn out_of_reach(tree: &str, error: Error) -> Error {
    match &error {
        Error::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            tracing::error!(tree, %error, "a folder of files cannot be used: look at its owner, its permissions and server.sandbox");
            Error::Missing(
                "The server may not use the folder that these files lie in; its log says more.",
            )
        }
        _ => error,
    }
}

fn sync_folders(folders: &[&Path]) -> std::io::Result<()> {
    folders
        .iter()
        .try_for_each(|folder| std::fs::File::open(folder)?.sync_all())
}

fn open_home(dir: &Path, id: &str, tree: Arc<LocalTree>) -> Result<OpenTree> {
    let inode =
        super::folders::inode_of(dir).map_err(|e| Error::io("look at the home folder", e))?;
    let root = Arc::new(NamedTree::new(id.into(), tree.clone()));
    Ok(OpenTree {
        root,
        tree,
        look: MovedCheck::new(inode),
    })
}

async fn restore_reservation(root: &NamedTree, upload: &ResumableUpload) -> Result<()> {
    let record = upload.record();
    let reserved = root
        .tree
        .reserve_space(
            &record.place()?,
            SpaceRequest {
                len: Some(record.len),
                limit: None,
            },
        )
        .await?;
    Uploads::set_reservation(upload, reserved);
    Ok(())
}
