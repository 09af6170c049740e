//! Looking for people by the beginning of a name.

use super::Auth;
use super::attempt_limiter::{AttemptLimiter, SecretFingerprint};
use crate::model::{AccountName, Error, Result, Role};
use std::time::{Duration, Instant};

/// How often an account may look in a minute: whoever types quickly looks with each letter.
const SEARCHES: u32 = 60;

/// The searches of the last minute.
pub(super) fn searches() -> AttemptLimiter<AccountName> {
    AttemptLimiter::new(SEARCHES, Duration::from_secs(60))
}

impl Auth {
    /// Counts a search for people by `who`. `Forbidden` where only administrators may look, `Throttled`.
    pub fn count_search(&self, who: &AccountName, role: Role) -> Result<()> {
        if !self.config.people_search && role != Role::Admin {
            return Err(Error::Forbidden(
                "This server does not tell who else has an account: type the whole name.",
            ));
        }
        self.searches.reserve(who, None, Instant::now()).map(drop)
    }

    /// Counts a name that is tried on something, before it is told whether there is such an account; what is returned gives it back. `Throttled`.
    pub fn reserve_name(&self, who: &AccountName) -> Result<SecretFingerprint> {
        self.searches.reserve(who, None, Instant::now())
    }

    /// Gives a name back that an account has.
    pub fn refund_name(&self, who: &AccountName, tried: SecretFingerprint) {
        self.searches.refund(who, tried);
    }

    /// Up to `most` accounts that may sign in, by name, with their display names, for which `fits` is true.
    pub fn people(
        &self,
        most: usize,
        fits: impl Fn(&AccountName, Option<&str>) -> bool,
    ) -> Vec<(AccountName, Option<String>)> {
        self.accounts.pick(most, |account, name| {
            account.generation()?;
            let display_name = account.profile().display_name;
            fits(name, display_name.as_deref()).then(|| (name.clone(), display_name))
        })
    }
}
