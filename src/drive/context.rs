//! What all drives have in common.

use super::mass_change::MassChangeDetector;
use super::named_tree::NamedTree;
use crate::audit::Audit;
use crate::model::{AccountName, Result};
use crate::sharing::Sharing;
use async_trait::async_trait;
use std::fmt::Debug;
use std::sync::Arc;

/// Opens the trees that mounts lead to.
#[async_trait]
pub trait TreeProvider: Debug + Send + Sync {
    /// The home of an account and its quota; `NotFound` when the account is disabled or removed.
    async fn home(&self, account: &AccountName) -> Result<(Arc<NamedTree>, Option<u64>)>;
    /// `NotFound` when the account is disabled or removed; in memory.
    fn check_home(&self, account: &AccountName) -> Result<()>;
    /// The tree of a team folder.
    async fn team(&self, name: &str) -> Result<Arc<NamedTree>>;
}

/// The names of the folders in which drives show what is not in their home.
#[derive(Clone, Debug)]
pub struct MountFolderNames {
    /// The folder of shares.
    pub shared: String,
    /// The folder of team folders.
    pub teams: String,
    /// The trash; `None` where it is not shown.
    pub trash: Option<String>,
}

/// What all drives have in common.
#[derive(Debug)]
pub struct DriveContext {
    /// Groups, shares, team folders.
    pub sharing: Arc<Sharing>,
    /// The names of the folders of mounts.
    pub mount_folders: MountFolderNames,
    /// Who has lately changed how much.
    pub mass_changes: MassChangeDetector,
    /// Who did what.
    pub audit: Audit,
    /// Opens homes and team folders.
    pub trees: Arc<dyn TreeProvider>,
}
