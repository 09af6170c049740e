//! Trees moved as wholes: aside, back, into another's drive, away. What lies in the data folder is renamed; a folder that was there
//! before stays where it is, whoever may write to the folder above it, and only what is in it is moved or deleted.

use super::folders::{
    self, inode_of, move_content, names_in, purge_content, purge_folder, rename_durably,
};
use super::{Homes, TreeKind, blocking_with_timeout};
use crate::app::blocking;
use crate::model::{AccountName, Error, RelPath, Result};
use crate::storage::local::LocalTree;
use crate::storage::local::in_place::{FolderLocation, InPlaceError};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Instant;

/// A folder that was there before it became a home or team folder, in the record of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftFolder {
    /// Its path.
    pub path: String,
    /// The id that lies in its `.sarang`; `None` when nothing is to be done with it.
    pub id: Option<String>,
}

impl Homes {
    /// Refuses what a transfer could not do.
    pub(in crate::app) async fn check_transfer(
        &self,
        from: &AccountName,
        to: &AccountName,
    ) -> Result<()> {
        self.home_of(to).await?;
        let here = self.home_dir(from);
        let there = self.home_dir(to);
        // What lies in place comes to lie aside first, in the data folder.
        let aside = self.opener.folder_of(TreeKind::Home);
        let is_existing = self
            .opener
            .existing
            .path_of(&TreeKind::Home.id(from.as_str()))
            .is_some();
        blocking(move || {
            if here.is_symlink() {
                return Err(LINKED);
            }
            let disk_of = |dir: &PathBuf| inode_of(dir).ok().map(|(disk, _)| disk);
            let from = disk_of(&here);
            let to = disk_of(&there);
            let through = disk_of(&aside).filter(|_| is_existing);
            let is_other = |other: Option<u64>| from.zip(other).is_some_and(|(from, other)| from != other);
            if is_other(to) || is_other(through) {
                return Err(Error::Forbidden(
                    "The two homes lie on different file systems: keep the files, and move them by hand.",
                ));
            }
            Ok(())
        })
        .await
    }

    /// Moves a tree that lies aside into a new folder of an account's drive, called `title` or nearly so; says which, `None` when
    /// there is no such tree.
    pub(in crate::app) async fn adopt(
        &self,
        (kind, folder): (TreeKind, &str),
        title: &str,
        to: &AccountName,
    ) -> Result<Option<RelPath>> {
        let is_there = self.is_there(kind, folder).await?;
        let dir = self.opener.own_dir(kind, folder);
        let looked = dir.clone();
        if blocking_with_timeout(move || Ok(looked.is_symlink())).await? {
            return Err(LINKED);
        }
        let (_held, tree) = self
            .with_open(TreeKind::Home, to.as_str(), |o| {
                (o.root.clone(), o.tree.clone())
            })
            .await?;
        for n in 1_u32.. {
            let name = if n == 1 {
                title.to_owned()
            } else {
                format!("{title} ({n})")
            };
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

    /// Whether a tree is there, also as a link.
    pub(in crate::app) async fn is_there(&self, kind: TreeKind, folder: &str) -> Result<bool> {
        let dir = self.opener.own_dir(kind, folder);
        blocking_with_timeout(move || Ok(dir.symlink_metadata().is_ok())).await
    }

    /// Whether nothing at all lies where the files of this name are.
    pub(in crate::app) async fn is_empty(&self, kind: TreeKind, name: &str) -> Result<bool> {
        let dir = self.opener.own_dir(kind, name);
        blocking_with_timeout(move || match names_in(&dir) {
            Ok(names) => Ok(names.is_empty()),
            // What is no folder is not taken over either.
            Err(_) => Ok(dir.symlink_metadata().is_err()),
        })
        .await
    }

    /// Whether a home or team folder holds neither files nor any in its trash and versions.
    pub(in crate::app) async fn is_unused(&self, kind: TreeKind, name: &str) -> Result<bool> {
        self.check_there(kind, name).await?;
        let dir = self.dir_of(kind, name);
        blocking_with_timeout(move || {
            let own = [".sarang/trash/files", ".sarang/versions"];
            let files = names_in(&dir).map_err(|e| Error::io("look at the files", e))?;
            let history = own
                .iter()
                .any(|own| names_in(&dir.join(own)).is_ok_and(|names| !names.is_empty()));
            Ok(files.iter().all(|name| name == ".sarang") && !history)
        })
        .await
    }

    /// Whether the folder that lies in the data folder in the place of a home or team folder is not the one with this id; `false` for none.
    pub(in crate::app) async fn is_another(
        &self,
        kind: TreeKind,
        name: &str,
        id: &str,
    ) -> Result<bool> {
        let dir = self.opener.own_dir(kind, name);
        let id = id.to_owned();
        blocking_with_timeout(move || {
            Ok(dir.exists() && LocalTree::id_at(&dir)?.is_none_or(|found| found != id))
        })
        .await
    }

    /// The id of a home or team folder that has been made.
    pub(in crate::app) fn known_id(&self, kind: TreeKind, name: &str) -> Option<String> {
        self.opener
            .known
            .get(&kind.id(name))
            .map(|id| id.to_string())
    }

    /// Gives the folder of a home or team folder, if there is one, the name `folder`, durably, and closes it.
    pub(in crate::app) async fn move_aside(
        &self,
        kind: TreeKind,
        name: &str,
        folder: &str,
    ) -> Result<()> {
        self.close(kind, name);
        let from = self.opener.own_dir(kind, name);
        let to = self.opener.own_dir(kind, folder);
        blocking(move || {
            // After a crash it may be there already.
            if to.symlink_metadata().is_ok() {
                return Ok(());
            }
            rename_durably(&from, &to).map_err(|e| match e.kind() {
                ErrorKind::ResourceBusy => MOUNTED,
                _ => Error::io("lay the files aside", e),
            })
        })
        .await?;
        self.forget(kind, name).await
    }

    /// Lets a tree that lies aside take the place of one that holds no files, which goes.
    pub(in crate::app) async fn exchange(
        &self,
        aside: (TreeKind, &str),
        to: (TreeKind, &str),
    ) -> Result<()> {
        if self.opener.existing.path_of(&to.0.id(to.1)).is_some() {
            return Err(IN_PLACE);
        }
        let from = self.opener.own_dir(aside.0, aside.1);
        let place = self.opener.own_dir(to.0, to.1);
        let until = Instant::now() + folders::PURGE_PATIENCE;
        loop {
            self.close(to.0, to.1);
            // First: what lies there at the next use is its home then, whatever a crash leaves.
            self.forget(to.0, to.1).await?;
            let from = from.clone();
            let place = place.clone();
            let exchanged = blocking(move || {
                let taken = purge_folder(&place.join(".sarang")).and_then(|()| {
                    match std::fs::remove_dir(&place) {
                        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                        _ => rename_durably(&from, &place),
                    }
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

    /// Lets a folder that was there before be where it is, with its `.sarang`: it is of no account or team folder any more.
    pub(in crate::app) async fn leave_in_place(&self, kind: TreeKind, name: &str) -> Result<()> {
        self.close(kind, name);
        self.forget(kind, name).await?;
        self.opener.existing.forget(&kind.id(name)).await
    }

    /// Moves all that lies in such a folder aside, as one tree called `folder`; it can be gone on with after a crash. What cannot be
    /// moved stays.
    pub(in crate::app) async fn collect_aside(
        &self,
        left: &LeftFolder,
        (kind, folder): (TreeKind, &str),
    ) -> Result<()> {
        let left = left.clone();
        let to = self.opener.own_dir(kind, folder);
        blocking(move || {
            let Some(from) = dir_of(&left)? else { return Ok(()) };
            let moved = move_content(&from, &to);
            if moved.is_err() {
                // Only if nothing came there.
                let _ = std::fs::remove_dir(&to);
            }
            moved.map_err(|e| match e.kind() {
                ErrorKind::CrossesDevices => Error::Forbidden(
                    "The files lie on another file system than the data folder: they stay where they are; move them by hand.",
                ),
                _ => Error::io("move the files", e),
            })
        })
        .await
    }

    /// Deletes all that lies in such a folder; it stays, empty.
    pub(in crate::app) async fn purge_left(&self, left: &LeftFolder) -> Result<()> {
        let left = left.clone();
        blocking(move || {
            let Some(dir) = dir_of(&left)? else {
                return Ok(());
            };
            purge_content(&dir).map_err(|e| Error::io("delete the files", e))
        })
        .await
    }

    /// Deletes a tree that lies aside.
    pub(in crate::app) async fn purge(&self, kind: TreeKind, folder: &str) -> Result<()> {
        let dir = self.opener.own_dir(kind, folder);
        let purged = move || {
            if dir.is_symlink() {
                // What a link leads to is a part of the data folder.
                purge_content(&dir)?;
                return std::fs::remove_file(&dir);
            }
            purge_folder(&dir)
        };
        blocking(move || purged().map_err(|e| Error::io("delete the files", e))).await
    }
}

const LINKED: Error = Error::Forbidden(
    "The folder is a symbolic link to where the files lie, and only the link would be moved: keep the files, and move them by hand.",
);

const MOUNTED: Error = Error::Forbidden(
    "Its folder is the mount point of a disk, which cannot be laid aside: unmount it, and its files stay on that disk. What was begun is \
     finished within the hour after that.",
);
const IN_PLACE: Error = Error::Forbidden(
    "Its files lie in a folder outside the data folder, which is not exchanged: bring these back as a folder of an account's drive.",
);

/// Where such a folder is, if it is the one that was meant still. `Missing` when it cannot be reached safely.
fn dir_of(left: &LeftFolder) -> Result<Option<PathBuf>> {
    let site = match FolderLocation::resolve_usable(left.path.as_ref()) {
        Err(InPlaceError::NotFound(_)) => return Err(super::known::missing()),
        found => found.map_err(|unfit| {
            Error::io("reach the folder", std::io::Error::other(unfit.to_string()))
        })?,
    };
    let found = LocalTree::id_at(&site.path)?;
    Ok(found
        .is_some_and(|found| left.id.as_ref() == Some(&found))
        .then_some(site.path))
}
