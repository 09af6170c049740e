//! What a drive shows beside its home: shares and team folders, each under a folder of its own that exists only while there is something
//! in it, and the trash, where the configuration wants that. Every access asks what is granted at that moment.

mod folder;
mod listing;
mod mount;
mod share;
mod team;
mod trash;
mod trash_names;

use super::context::{DriveContext, MountFolderNames};
use super::named_tree::NamedTree;
use crate::model::{Error, Identity, RelPath, Result, Rights, VPath, Via};
use crate::sharing::names::numbered;
use crate::sharing::shares::Share;
use crate::storage::DirEntry;
pub use folder::MountFolder;
use folder::MountFolderKind;
use futures_util::future::join_all;
pub use listing::{ExtendedListing, FixedListing};
pub use mount::Mount;
use std::sync::Arc;
use trash::TrashSource;

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
        context: &Arc<DriveContext>,
    ) -> Result<Option<Arc<Self>>> {
        // Who made a link may not pass on what others share with them, and who may only add sees nothing.
        if matches!(identity.via, Via::Link(_)) || identity.rights == Rights::Drop {
            return Ok(None);
        }
        let folders = mount_folders(identity, home, context).await?;
        let trash = trash_mount(identity, home, context).await?;
        if folders.is_empty() && trash.is_none() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self { folders, trash })))
    }

    /// Where a path of the account's drive leads, by a look into the folder of mounts that it goes through.
    pub async fn lookup(&self, path: &VPath) -> Result<MountLookup> {
        let nfc = path.to_nfc();
        if let Some(folder) = self
            .folders
            .iter()
            .find(|folder| nfc != folder.at && nfc.is_within(&folder.at))
        {
            folder.load_mounts().await?;
        }
        Ok(self.lookup_cached(path))
    }

    /// Where a path of the account's drive leads, by what [`lookup`](Self::lookup) has loaded.
    pub fn lookup_cached(&self, path: &VPath) -> MountLookup {
        let nfc = path.to_nfc();
        let trash = self.trash.iter().find(|trash| nfc.is_within(&trash.at));
        let folder = self.folders.iter().find(|folder| nfc.is_within(&folder.at));
        let mount = match (trash, folder) {
            (Some(trash), _) => Some(trash),
            (None, None) => return MountLookup::Home,
            (None, Some(folder)) if nfc == folder.at => {
                return MountLookup::MountFolder(folder.clone());
            }
            (None, Some(folder)) => folder
                .mounts()
                .iter()
                .find(|mount| nfc.is_within(&mount.at)),
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
        for folder in &self.folders {
            folder.load_mounts().await?;
        }
        let mounts = self.folders.iter().flat_map(|folder| folder.mounts());
        let looked_at = mounts.filter(|mount| mount.is_share());
        for (mount, node) in
            join_all(looked_at.map(|mount| async move { (mount, mount.node().await) })).await
        {
            match node {
                // It is shared still while the files of its owner are missing, or do not answer.
                Ok(_) | Err(Error::Missing(_) | Error::Busy { .. }) => {}
                Err(Error::NotFound) => continue,
                Err(error) => return Err(error),
            }
            shares.extend(mount.share().map(|share| (share, mount.at.clone())));
        }
        Ok(shares)
    }

    /// What is shown beside the home, as entries of the drive's own folder.
    pub async fn entries(&self) -> Vec<DirEntry> {
        let entry = |folder: &Arc<MountFolder>| DirEntry {
            name: folder.at.name().unwrap_or_default().to_owned(),
            node: folder.node(),
            props: Vec::new(),
        };
        let mut entries: Vec<_> = self.folders.iter().map(entry).collect();
        if let Some(trash) = &self.trash {
            // Without it the drive is still all there.
            entries.extend(trash.entry(false).await.ok());
        }
        entries
    }
}

/// The folders of mounts that have something in them.
async fn mount_folders(
    identity: &Identity,
    home: &NamedTree,
    context: &Arc<DriveContext>,
) -> Result<Vec<Arc<MountFolder>>> {
    let account = &identity.account;
    let MountFolderNames { shared, teams, .. } = &context.mount_folders;
    let has_shares = context.sharing.shares.has_any_for(account);
    let has_teams = context.sharing.teams.has_any_for(account);
    let mut folders = Vec::new();
    for (kind, name, has_any) in [
        (MountFolderKind::Shares, shared, has_shares),
        (MountFolderKind::Teams, teams, has_teams),
    ] {
        if has_any {
            let at = unused_folder_name(home, name).await?;
            folders.push(Arc::new(MountFolder::new(at, kind, account, context)));
        }
    }
    Ok(folders)
}

/// The trash, where the configuration shows it; as the trash itself it is for nobody who sees less, or may less, than the whole home.
async fn trash_mount(
    identity: &Identity,
    home: &NamedTree,
    context: &Arc<DriveContext>,
) -> Result<Option<Arc<Mount>>> {
    let Some(name) = &context.mount_folders.trash else {
        return Ok(None);
    };
    if !identity.scope.is_root() || identity.rights != Rights::Edit {
        return Ok(None);
    }
    let at = unused_folder_name(home, name).await?;
    let source = TrashSource {
        base: home.tree.trash_root(),
        account: identity.account.clone(),
        context: context.clone(),
    };
    Ok(Some(Arc::new(Mount::new(at, Box::new(source)))))
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
