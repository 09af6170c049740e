//! The past of a drive: what lies in the trash of its home, and the versions of its files.

use super::place::{Access, Place, Root};
use super::{Drive, Terms, judge};
use crate::content::history::{Trashed, Version};
use crate::content::{Commit, Reader};
use crate::model::{Error, Result, VPath};
use std::sync::Arc;

/// How many names are tried beside one that is taken.
const TRIES: u32 = 100;

impl Drive {
    /// What lies in the trash of the home, newest first. What was deleted from others' folders lies in theirs.
    pub async fn trashed(&self, after: Option<&str>, limit: usize) -> Result<Vec<Trashed>> {
        self.own_home()?.tree.trashed(after, limit).await
    }

    /// One item of the trash; `NotFound`.
    pub async fn trash_item(&self, id: &str) -> Result<Trashed> {
        self.own_home()?.tree.trash_item(id).await
    }

    /// Moves an item of the trash to where nothing stands, within the quota; the folders that should hold it are made.
    /// `Exists`, `NotFound`, `NoSpace`; `Forbidden` where the place is not in the home.
    pub async fn untrash(&self, id: &str, to: &VPath, terms: Terms) -> Result<()> {
        let place = self.admitted(to, Access::Change).await?;
        if place.root.id != self.home.id {
            return Err(Error::Forbidden("What was deleted is restored into the account's own files."));
        }
        self.trash_item(id).await?;
        self.make_way(&to.parent().unwrap_or_default()).await?;
        let commit = self.commit(&place, terms, judge::creating(&place)).await?;
        place.root.tree.untrash(id, &place.path, Commit { limit: place.quota, ..commit }).await
    }

    /// Restores an item of the trash to `wish`, or else to where it lay, or else beside that; says where it is now.
    pub async fn put_back(&self, id: &str, wish: Option<VPath>) -> Result<VPath> {
        if let Some(path) = wish {
            self.untrash(id, &path, Terms::default()).await?;
            return Ok(path);
        }
        let path = self.trash_item(id).await?.path;
        for n in 0..TRIES {
            let path = beside(&path, n)?;
            // Whatever stands there, and whoever has locked it, is only gone around.
            if self.find(&path).await?.is_some() {
                continue;
            }
            match self.untrash(id, &path, Terms::default()).await {
                Err(Error::Exists) => {}
                outcome => return outcome.map(|()| path),
            }
        }
        Err(Error::Exists)
    }

    /// Deletes all that lies in the trash now for good; returns how many items that were.
    pub async fn empty_trash(&self) -> Result<u64> {
        let tree = &self.own_home()?.tree;
        let mut count = 0;
        for item in tree.trashed(None, usize::MAX).await? {
            match tree.purge(&item.id).await {
                Ok(()) => count += 1,
                // Somebody was faster.
                Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Deletes an item of the trash for good; `NotFound`.
    pub async fn purge(&self, id: &str) -> Result<()> {
        self.own_home()?.tree.purge(id).await
    }

    /// The former contents of a file, newest first.
    pub async fn versions(&self, path: &VPath) -> Result<Vec<Version>> {
        let place = self.admitted(path, Access::Read).await?;
        place.root.tree.versions(&place.path).await
    }

    /// Opens a former content; `NotFound`.
    pub async fn open_version(&self, path: &VPath, id: &str) -> Result<Arc<dyn Reader>> {
        let place = self.admitted(path, Access::Read).await?;
        let reader = place.root.tree.open_version(&place.path, id).await?;
        Ok(self.watch(place.mount).reader(reader))
    }

    /// Gives a file its former content again, within the quota; the present one becomes a version. Shares go on with it.
    pub async fn revert(&self, path: &VPath, id: &str, terms: Terms) -> Result<()> {
        self.revert_at(&self.admitted(path, Access::Change).await?, id, terms).await
    }

    /// As [`revert`](Self::revert), at a place.
    pub(super) async fn revert_at(&self, place: &Place<'_>, id: &str, terms: Terms) -> Result<()> {
        let bench = self.bench(place, terms, judge::creating(place)).await?;
        let put = place.root.tree.revert(&place.path, id, Commit { limit: place.quota, ..bench.commit() }).await?;
        if let Some(met) = bench.met() {
            self.rebind_shares(bench.subject(), met, put.node.id()).await;
        }
        Ok(())
    }

    /// Deletes a former content of a file in the home for good; `NotFound`. What is shared has its past at its owner.
    pub async fn purge_version(&self, path: &VPath, id: &str) -> Result<()> {
        self.own_home()?;
        let place = self.admitted(path, Access::Change).await?;
        if place.mount.is_some() {
            return Err(Error::Forbidden("Only the owner of a file deletes its versions."));
        }
        place.root.tree.purge_version(&place.path, id).await
    }

    /// The home, for who may use all of it.
    fn own_home(&self) -> Result<&Root> {
        if self.identity.is_confined() {
            return Err(Error::Forbidden("The trash is for the account itself."));
        }
        Ok(&self.home)
    }

    /// Makes the folders on the way to something, where there are none.
    async fn make_way(&self, folder: &VPath) -> Result<()> {
        let mut way = VPath::root();
        for name in folder.names() {
            way = way.join(name)?;
            // A lock on a folder that is there already is no matter.
            if self.find(&way).await?.is_some() {
                continue;
            }
            match self.mkdir(&way, Terms::default()).await {
                Ok(()) | Err(Error::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The path itself, then `name (restored).txt`, `name (restored 2).txt` and so on.
fn beside(path: &VPath, n: u32) -> Result<VPath> {
    let mark = match n {
        0 => return Ok(path.clone()),
        1 => " (restored)".to_owned(),
        n => format!(" (restored {n})"),
    };
    let name = path.name().unwrap_or_default();
    let dot = name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    path.parent().unwrap_or_default().join(&format!("{stem}{mark}{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beside_keeps_its_extension() {
        let names = |path: &str| [0, 1, 2].map(|n| beside(&VPath::parse(path).unwrap(), n).unwrap().to_string());
        assert_eq!(names("a/b.tar.gz"), ["a/b.tar.gz", "a/b.tar (restored).gz", "a/b.tar (restored 2).gz"]);
        assert_eq!(names(".hidden"), [".hidden", ".hidden (restored)", ".hidden (restored 2)"]);
    }
}
