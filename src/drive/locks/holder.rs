//! Who holds a lock. It counts only while whoever holds it may still change what it is on: that is asked at each look, so that a lock
//! ends with the link, share, membership or app password it was taken by, whatever ended that.

use super::ResourceId;
use crate::model::{AccountName, Identity, Via};
use std::fmt;

/// An account, or the visitors of one of its links: these act for the account, and are strangers to it and to those of other links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// The account that acts, or is acted for.
    pub account: AccountName,
    /// What it signed in with.
    pub via: Via,
    /// Of a link, the generation of its password; else that of the account's credentials, 0 where it is not known.
    pub generation: u64,
}

/// Asks whether a lock still counts; looks into memory only, for it is asked while the locks are held still.
pub trait HolderCheck: fmt::Debug + Send + Sync {
    /// Whether `holder` may still change what is at `resource`.
    fn may_change(&self, holder: &LockHolder, resource: &ResourceId) -> bool;
}

impl From<AccountName> for LockHolder {
    fn from(account: AccountName) -> Self {
        Self {
            account,
            via: Via::Password,
            generation: 0,
        }
    }
}

impl LockHolder {
    /// Who `identity` takes locks as.
    pub fn of(identity: &Identity) -> Self {
        let generation = match identity.via {
            Via::Link(_) => identity.access.generation(),
            _ => identity.generation,
        };
        Self {
            account: identity.account.clone(),
            via: identity.via.clone(),
            generation,
        }
    }

    /// The link whose visitors hold it.
    pub fn link(&self) -> Option<&str> {
        if let Via::Link(id) = &self.via {
            Some(id)
        } else {
            None
        }
    }

    /// The app password that it was taken by.
    pub(super) fn app_password(&self) -> Option<&str> {
        if let Via::AppPassword(id) = &self.via {
            Some(id)
        } else {
            None
        }
    }

    /// The session that it was taken by.
    pub(super) fn session(&self) -> Option<&str> {
        if let Via::Session(id) = &self.via {
            Some(id)
        } else {
            None
        }
    }

    /// Whether one may use the locks of the other: all that an account signs in with is one.
    pub fn is(&self, other: &Self) -> bool {
        let same_link = self.link() == other.link()
            && (self.link().is_none() || self.generation == other.generation);
        self.account == other.account && same_link
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.link().is_some() {
            write!(f, "a visitor of a link of {}", self.account)
        } else {
            self.account.fmt(f)
        }
    }
}
