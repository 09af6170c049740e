//! Whose an e-mail address is.

use super::{Account, Accounts};
use crate::auth::account_record::{EmailSource, Profile};
use crate::model::AccountName;
use std::sync::Arc;
use std::time::SystemTime;

impl Accounts {
    /// The one account that an e-mail address counts for: that of which an administrator said so, else the first to confirm it
    /// with its password. Only ASCII letters are the same in either case: other case folding makes one address of two.
    pub fn with_email(&self, email: &str) -> Option<AccountName> {
        self.claims_to(email)
            .into_iter()
            .min()
            .map(|(_, _, name)| name)
    }

    /// The account of which an administrator said that this is its address.
    pub fn vouched_for(&self, email: &str) -> Option<AccountName> {
        let mut claims = self.claims_to(email).into_iter();
        claims
            .find(|(source, ..)| *source == EmailSource::Administrator)
            .map(|(_, _, name)| name)
    }

    /// When a claim to an address is made that is made now, in milliseconds since 1970: after all there are, whatever the clock says.
    pub fn next_claim(&self, email: &str) -> i64 {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let last = self
            .claims_to(email)
            .into_iter()
            .map(|(_, since, _)| since)
            .max();
        i64::try_from(now)
            .unwrap_or(i64::MAX)
            .max(last.map_or(0, |last| last.saturating_add(1)))
    }

    /// The accounts that an address may count for; mere claims are none.
    fn claims_to(&self, email: &str) -> Vec<(EmailSource, i64, AccountName)> {
        let claim = |account: &Arc<Account>| {
            let Profile {
                email: own,
                email_source,
                email_since,
                ..
            } = account.profile();
            own.filter(|own| own.eq_ignore_ascii_case(email))?;
            Some((
                email_source?,
                email_since.unwrap_or_default(),
                account.name.clone(),
            ))
        };
        let view = self.all.view();
        view.index.by_name.values().filter_map(claim).collect()
    }
}
