//! WebDAV locks as data (RFC 4918 section 6): what is locked, by whom, how, and what a change must have the tokens of.

use super::resource_id::ResourceId;
use crate::model::{AccountName, Identity, Via};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

/// One lock.
#[derive(Clone, Debug)]
pub struct Lock {
    /// `urn:uuid:…`
    pub token: String,
    /// The locked place.
    pub resource: ResourceId,
    /// Whether a folder is locked.
    pub folder: bool,
    /// Whose it is.
    pub holder: LockHolder,
    /// The `owner` element as the client sent it, or empty.
    pub owner: String,
    /// Shared instead of exclusive.
    pub shared: bool,
    /// Depth infinity instead of 0.
    pub deep: bool,
    /// When it was granted.
    pub since: SystemTime,
    /// When it ends, on the clock of [`LocksSeen::now`](super::LocksSeen::now).
    pub ends: Instant,
}

impl Lock {
    /// What others may call it by: the token itself is for its holder alone.
    pub fn id(&self) -> String {
        let digest = Sha256::digest(self.token.as_bytes());
        digest
            .iter()
            .take(12)
            .fold(String::new(), |id, byte| format!("{id}{byte:02x}"))
    }

    /// Whether its time is not over.
    pub fn is_live(&self, now: Instant) -> bool {
        self.ends > now
    }

    /// Whether it is on `resource`, or on a folder above it with depth infinity.
    pub fn covers(&self, resource: &ResourceId) -> bool {
        self.resource == *resource || (self.deep && resource.is_within(&self.resource))
    }
}

/// What a client asks for with LOCK.
#[derive(Clone, Debug)]
pub struct LockRequest {
    /// The `owner` element, or empty.
    pub owner: String,
    /// Shared instead of exclusive.
    pub shared: bool,
    /// Depth infinity instead of 0.
    pub deep: bool,
    /// Whether a folder is locked.
    pub folder: bool,
    /// How long, if the client says; `Duration::MAX` for `Infinite`.
    pub timeout: Option<Duration>,
}

/// What a change takes hold of; locks on it ask for their tokens (RFC 4918 section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockScope {
    /// Content or properties of a place.
    Content(ResourceId),
    /// The members of a folder.
    Members(ResourceId),
    /// The members of a folder, if nothing stands at the target yet.
    NewMember(ResourceId),
    /// All that lies at a place and below it, which goes away: its locks end with the change.
    Subtree(ResourceId),
}

impl LockScope {
    /// The place.
    pub fn resource(&self) -> &ResourceId {
        match self {
            Self::Content(resource)
            | Self::Members(resource)
            | Self::NewMember(resource)
            | Self::Subtree(resource) => resource,
        }
    }
}

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
    pub fn app_password(&self) -> Option<&str> {
        if let Via::AppPassword(id) = &self.via {
            Some(id)
        } else {
            None
        }
    }

    /// The session that it was taken by.
    pub fn session(&self) -> Option<&str> {
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
