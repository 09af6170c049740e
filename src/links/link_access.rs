//! What a link lets its visitors do, for as long as it does.

use super::{Link, Links, now};
use crate::auth::Auth;
use crate::model::{AccessCheck, Error, Result};
use std::fmt;
use std::sync::Arc;

/// Holds while the link stands as it was entered: not ended, not expired, with the same rights and password, its owner in
/// good standing. Downloads that are used up do not end the last of them.
pub struct LinkAccess {
    links: Arc<Links>,
    auth: Arc<Auth>,
    entered: Link,
}

impl fmt::Debug for LinkAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinkWarrant")
            .field(&self.entered.id)
            .finish()
    }
}

impl LinkAccess {
    /// The warrant of whoever has just entered by `entered`.
    pub fn new(links: Arc<Links>, auth: Arc<Auth>, entered: Link) -> Self {
        Self {
            links,
            auth,
            entered,
        }
    }
}

impl AccessCheck for LinkAccess {
    fn generation(&self) -> u64 {
        self.entered.record.generation
    }

    fn check(&self) -> Result<()> {
        let before = &self.entered.record;
        let present = self.links.find(&before.owner, &self.entered.id)?.record;
        let is_same = present.rights == before.rights
            && present.generation == before.generation
            && present.path == before.path;
        let owner = self
            .auth
            .account(&before.owner)
            .is_some_and(|owner| !owner.disabled);
        let holds = owner && is_same && present.expires.is_none_or(|end| now() < end);
        if holds { Ok(()) } else { Err(Error::NotFound) }
    }
}
