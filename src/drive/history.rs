//! The past of a drive: what lies in the trash of its home, and the versions of its files.

use super::access::Access;
use super::named_tree::NamedTree;
use super::resolved_path::ResolvedPath;
use super::revocable::ReadAccess;
use super::{Drive, RequestPreconditions, resolved_preconditions};
use crate::model::{AccountName, Error, RelPath, Result, VPath};
use crate::storage::history::{TrashedItem, Version};
use crate::storage::{Reader, WriteOptions};
use std::sync::Arc;

/// How many names are tried beside one that is taken.
const TRIES: u32 = 100;
/// How many items of the trash are asked for at a time.
const PAGE: usize = 1000;

/// The part of a trash that may be seen.
struct TrashView {
    root: Arc<NamedTree>,
    /// What lay below this.
    base: RelPath,
    /// What stands for the base in the drive.
    shown: VPath,
    /// Whose deeds alone.
    deleted_by: Option<AccountName>,
    /// What lets it be seen.
    access: ReadAccess,
}

impl TrashView {
    /// An item with its path in the drive; `None` for what is not to be seen.
    fn show(&self, item: TrashedItem) -> Option<TrashedItem> {
        if self.deleted_by.is_some() && item.deleted_by != self.deleted_by {
            return None;
        }
        let path = item.path.after(&self.base)?.beneath(&self.shown);
        Some(TrashedItem { path, ..item })
    }
}

impl Drive {
    /// What lies in the trash of the home, or what was deleted below `folder`, newest first: up to `limit` items after the one called
    /// `after`. Where the folder was shared by another it is what this account deleted, in a team folder what anybody did.
    pub async fn list_trash(
        &self,
        folder: Option<&VPath>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TrashedItem>> {
        let bin = self.trash_view(folder).await?;
        bin.access.check()?;
        let items = bin
            .root
            .tree
            .list_trash_below(&bin.base, bin.deleted_by.as_ref(), after, limit)
            .await?;
        bin.access.check()?;
        Ok(items
            .into_iter()
            .filter_map(|item| bin.show(item))
            .collect())
    }

    /// Restores an item of the trash of `folder`, or of the home, to `wish`, or else to where it lay, or else beside that; says where it
    /// is now. The folders that should hold it are made; `submitted` has the tokens of the locks that may be passed. `Exists`, `NotFound`,
    /// `NoSpace`; `Forbidden` where the wish lies in another drive.
    pub async fn restore_from_trash(
        &self,
        folder: Option<&VPath>,
        id: &str,
        wish: Option<VPath>,
        submitted: RequestPreconditions,
    ) -> Result<VPath> {
        let bin = self.trash_view(folder).await?;
        let item = bin
            .show(bin.root.tree.trash_item(id).await?)
            .ok_or(Error::NotFound)?;
        if let Some(path) = wish {
            self.restore_item(&bin, id, &path, &submitted).await?;
            return Ok(path);
        }
        let origin = self.restore_target(&bin, &item.path).await?;
        for n in 0..TRIES {
            let path = restored_name(&origin, n)?;
            // Whatever stands there, and whoever has locked it, is only gone around.
            if self.find(&path).await?.is_some() {
                continue;
            }
            match self.restore_item(&bin, id, &path, &submitted).await {
                Err(Error::Exists) => {}
                outcome => return outcome.map(|()| path),
            }
        }
        Err(Error::Exists)
    }

    /// Where what lay at `path` goes back to: there, or, when something of another drive shows there by now or one of the folders
    /// above it is a file, to the top of its own.
    async fn restore_target(&self, bin: &TrashView, path: &VPath) -> Result<VPath> {
        let place = self.resolve_authorized(path, Access::Change).await;
        let is_own = place.is_ok_and(|place| place.root.id == bin.root.id);
        if is_own && !self.is_beneath_a_file(path).await? {
            return Ok(path.clone());
        }
        bin.shown.join(path.name().unwrap_or_default())
    }

    /// Whether one of the folders that should hold `path` is a file.
    async fn is_beneath_a_file(&self, path: &VPath) -> Result<bool> {
        let mut above = path.parent();
        while let Some(folder) = above.filter(|folder| !folder.is_root()) {
            match self.find(&folder).await? {
                Some(node) => return Ok(!node.folder),
                None => above = folder.parent(),
            }
        }
        Ok(false)
    }

    async fn restore_item(
        &self,
        bin: &TrashView,
        id: &str,
        to: &VPath,
        submitted: &RequestPreconditions,
    ) -> Result<()> {
        let place = self.resolve_authorized(to, Access::Change).await?;
        if place.root.id != bin.root.id {
            return Err(Error::Forbidden(
                "What was deleted is restored into the drive that it was in.",
            ));
        }
        place.path.remaining()?;
        self.create_parents(&to.parent().unwrap_or_default(), submitted)
            .await?;
        let commit = self
            .write_options(
                &place,
                submitted.clone(),
                resolved_preconditions::scopes_to_create(&place),
            )
            .await?;
        place
            .root
            .tree
            .restore(
                id,
                &place.path,
                WriteOptions {
                    limit: place.quota,
                    ..commit
                },
            )
            .await
            .map(drop)
    }

    /// Deletes all that lies in the trash now for good; returns how many items that were.
    pub async fn empty_trash(&self) -> Result<u64> {
        let tree = &self.own_home()?.tree;
        let mut count = 0;
        let mut after = None;
        let mut outcome = Ok(());
        loop {
            let page = tree.list_trash(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return outcome.map(|()| count);
            };
            after = Some(last.id.clone());
            for item in page {
                self.check()?;
                match tree.purge(&item.id).await {
                    Ok(()) => count += 1,
                    // Somebody was faster.
                    Err(Error::NotFound) => {}
                    Err(error @ (Error::Io { .. } | Error::Forbidden(_))) => {
                        tracing::error!(item = item.id, %error, "an item of the trash cannot be deleted");
                        outcome = outcome.and(Err(error));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Deletes an item of the trash for good; `NotFound`.
    pub async fn purge(&self, id: &str) -> Result<()> {
        self.own_home()?.tree.purge(id).await
    }

    /// The former contents of a file, newest first.
    pub async fn versions(&self, path: &VPath) -> Result<Vec<Version>> {
        let place = self.resolve_authorized(path, Access::Read).await?;
        place.root.tree.versions(&place.path).await
    }

    /// Opens a former content; `NotFound`.
    pub async fn open_version(&self, path: &VPath, id: &str) -> Result<Arc<dyn Reader>> {
        let place = self.resolve_authorized(path, Access::Read).await?;
        let reader = place.root.tree.open_version(&place.path, id).await?;
        Ok(self.read_access(place.mount).revocable_reader(reader))
    }

    /// Gives a file its former content again, within the quota; the present one becomes a version. Shares go on with it.
    pub async fn restore_version(
        &self,
        path: &VPath,
        id: &str,
        preconditions: RequestPreconditions,
    ) -> Result<()> {
        self.restore_version_at(
            &self.resolve_authorized(path, Access::Change).await?,
            id,
            preconditions,
        )
        .await
    }

    /// As [`restore_version`](Self::restore_version), at a place.
    pub(super) async fn restore_version_at(
        &self,
        place: &ResolvedPath<'_>,
        id: &str,
        preconditions: RequestPreconditions,
    ) -> Result<()> {
        let commit = self
            .write_options(
                place,
                preconditions,
                resolved_preconditions::scopes_to_create(place),
            )
            .await?;
        let commit = WriteOptions {
            limit: place.quota,
            keep_replaced: true,
            ..commit
        };
        place
            .root
            .tree
            .restore_version(&place.path, id, commit)
            .await
            .map(drop)
    }

    /// Deletes a former content of a file in the home for good; `NotFound`. What is shared has its past at its owner.
    pub async fn purge_version(&self, path: &VPath, id: &str) -> Result<()> {
        self.own_home()?;
        let place = self.resolve_authorized(path, Access::Change).await?;
        if place.mount.is_some() {
            return Err(Error::Forbidden(
                "Only the owner of a file deletes its versions.",
            ));
        }
        place.root.tree.purge_version(&place.path, id).await
    }

    /// The home, for who may use all of it.
    fn own_home(&self) -> Result<&Arc<NamedTree>> {
        self.check()?;
        if self.identity.is_confined() {
            return Err(Error::Forbidden("The trash is for the account itself."));
        }
        Ok(&self.home)
    }

    /// The trash that `folder` leads to; `NotFound`.
    async fn trash_view(&self, folder: Option<&VPath>) -> Result<TrashView> {
        let home = self.own_home()?;
        let Some(folder) = folder else {
            let root = Arc::clone(home);
            let watch = self.read_access(None);
            return Ok(TrashView {
                root,
                base: VPath::root(),
                shown: VPath::root(),
                deleted_by: None,
                access: watch,
            });
        };
        let place = self.resolve_authorized(folder, Access::Change).await?;
        place.root.tree.stat(&place.path).await?;
        let is_shared = place.mount.as_ref().is_some_and(|mount| mount.is_share());
        let only = is_shared.then(|| self.identity.account.clone());
        let watch = self.read_access(place.mount);
        Ok(TrashView {
            root: place.root,
            base: place.path.into_owned(),
            shown: folder.clone(),
            deleted_by: only,
            access: watch,
        })
    }

    /// Makes the folders on the way to something, where there are none.
    async fn create_parents(&self, folder: &VPath, submitted: &RequestPreconditions) -> Result<()> {
        let mut way = VPath::root();
        for name in folder.names() {
            way = way.join(name)?;
            // A lock on a folder that is there already is no matter.
            if self.find(&way).await?.is_some() {
                continue;
            }
            match self.mkdir(&way, submitted.clone()).await {
                Ok(()) | Err(Error::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The path itself, then `name (restored).txt`, `name (restored 2).txt` and so on.
fn restored_name(path: &VPath, n: u32) -> Result<VPath> {
    let mark = match n {
        0 => return Ok(path.clone()),
        1 => " (restored)".to_owned(),
        n => format!(" (restored {n})"),
    };
    let name = path.name().unwrap_or_default();
    let dot = name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    path.parent()
        .unwrap_or_default()
        .join(&format!("{stem}{mark}{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beside_keeps_its_extension() {
        let names = |path: &str| {
            [0, 1, 2].map(|n| {
                restored_name(&VPath::parse(path).unwrap(), n)
                    .unwrap()
                    .to_string()
            })
        };
        assert_eq!(
            names("a/b.tar.gz"),
            [
                "a/b.tar.gz",
                "a/b.tar (restored).gz",
                "a/b.tar (restored 2).gz"
            ]
        );
        assert_eq!(
            names(".hidden"),
            [".hidden", ".hidden (restored)", ".hidden (restored 2)"]
        );
    }
}
