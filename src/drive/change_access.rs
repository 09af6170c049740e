//! What lets a request change something: its credential, and what the mounts at both ends grant.

use super::access::Access;
use super::mounts::Mount;
use crate::model::{AccessCheck, Result};
use std::sync::Arc;

/// All that a change was let in by, asked again at each of its steps.
#[derive(Clone, Debug)]
pub(super) struct ChangeAccess {
    /// What let the identity in.
    access: Arc<dyn AccessCheck>,
    /// The mounts that it reads or changes something in.
    mounts: Vec<(Arc<Mount>, Access)>,
}

impl ChangeAccess {
    /// By what let an identity in.
    pub fn new(access: Arc<dyn AccessCheck>) -> Self {
        Self {
            access,
            mounts: Vec::new(),
        }
    }

    /// Also by this access in a mount; in the home there is none to ask.
    pub fn add(&mut self, mount: Option<Arc<Mount>>, access: Access) {
        self.mounts.extend(mount.map(|mount| (mount, access)));
    }
}

impl AccessCheck for ChangeAccess {
    fn check(&self) -> Result<()> {
        self.access.check()?;
        self.mounts
            .iter()
            .try_for_each(|(mount, access)| mount.check(*access))
    }
}
