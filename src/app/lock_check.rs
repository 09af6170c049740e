//! Whether whoever holds a lock may still change what it is on: by the account, its password, the session, the
//! app password, the link, the share, the team folder.

use super::App;
use crate::auth::Auth;
use crate::drive::locks::HolderCheck;
use crate::links::Links;
use crate::model::{AccountName, Rights, Via};
use crate::sharing::Sharing;
use crate::sharing::shares::Share;
use crate::storage::{LockHolder, ResourceId};
use std::sync::Arc;

/// All that a right to change something rests on.
#[derive(Debug)]
pub struct LockCheck {
    auth: Arc<Auth>,
    links: Arc<Links>,
    sharing: Arc<Sharing>,
}

impl LockCheck {
    /// Asks these.
    pub fn new(auth: &Arc<Auth>, links: &Arc<Links>, sharing: &Arc<Sharing>) -> Self {
        Self {
            auth: auth.clone(),
            links: links.clone(),
            sharing: sharing.clone(),
        }
    }

    fn may_come_in(&self, holder: &LockHolder) -> bool {
        self.auth.may_sign_in(&holder.account)
            && match &holder.via {
                Via::Password => {
                    holder.generation == 0
                        || self
                            .auth
                            .opens_by_password(&holder.account, holder.generation)
                }
                Via::Session(id) => self.auth.has_session(&holder.account, id),
                Via::AppPassword(id) => self.auth.has_app_password(&holder.account, id),
                Via::Link(id) => self
                    .links
                    .allows_change(&holder.account, id, holder.generation),
            }
    }

    fn is_granted(&self, holder: &LockHolder, resource: &ResourceId) -> bool {
        let account = &holder.account;
        match resource.root.split_once('/') {
            Some(("home", owner)) if owner != account.as_str() => {
                let may_edit = |share: &Share| {
                    share.rights == Rights::Edit && resource.path.is_within(&share.path())
                };
                AccountName::parse(owner)
                    .is_ok_and(|owner| self.sharing.shares.any_between(&owner, account, may_edit))
            }
            Some(("team", name)) => {
                let teams = &self.sharing.teams;
                teams
                    .find(name)
                    .and_then(|team| teams.rights(&team, account))
                    == Some(Rights::Edit)
            }
            _ => true,
        }
    }
}

impl HolderCheck for LockCheck {
    fn may_change(&self, holder: &LockHolder, resource: &ResourceId) -> bool {
        self.may_come_in(holder) && self.is_granted(holder, resource)
    }
}

impl App {
    /// Ends the locks whose holders have lost the right to them, after a change by which some may have: from that change on
    /// they count no more, and what has ended does not come back with the right.
    pub async fn release_lost_locks(&self) {
        if let Err(error) = self.locks.sweep().await {
            tracing::warn!(%error, "locks that count no more stay in the records");
        }
    }
}
