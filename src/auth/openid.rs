//! Who an OpenID Connect provider says has signed in, and the account that belongs to them. A link binds one subject of one
//! issuer to one account; the first comes by a verified e-mail address, by an administrator or by the account itself.

mod new_account;
mod sign_in;
#[cfg(test)]
mod tests;

use super::accounts::Accounts;
use super::clock::now;
use super::grants::{Grant, GrantsById};
use super::password_sign_in::VerifiedAccount;
use super::{Auth, token};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::model::{AccountName, Error, Result};
use crate::state::table;
use serde::{Deserialize, Serialize};
pub use sign_in::{OpenIdSignIn, PendingSignIn};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The store's prefix of links.
pub const PREFIX: &str = "openid/";
/// How long wrong codes of a sign-in that owes one are remembered: no shorter than it may owe it.
pub const OWING: Duration = Duration::from_secs(600);
const MAX_SUBJECT: usize = 255;

/// Said to everybody whom no account lets in: the log knows more.
const STRANGER: Error = Error::Forbidden(
    "No account here belongs to this sign-in. Ask the administrator of the server for one.",
);
/// What binds an account to a subject of a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenIdLink {
    hash: String,
    /// The provider.
    pub issuer: String,
    /// Who it is there.
    pub subject: String,
    /// The account.
    pub account: AccountName,
    /// When that account was made: one made anew under the name is another's.
    of: i64,
    /// The id of that account; empty for one of before there were ids.
    #[serde(default)]
    account_id: String,
    /// When the link was made, in seconds since 1970.
    pub created: i64,
}

impl table::Record for OpenIdLink {
    const VERSION: u32 = 1;
}

impl Grant for OpenIdLink {
    const EXACT: bool = true;

    fn hash(&self) -> &str {
        &self.hash
    }

    fn evicted_by(&self, present: &GrantsById<Self>) -> Result<Vec<String>> {
        let rivals = |link: &OpenIdLink| {
            link.hash == self.hash
                || (link.account == self.account
                    && link.issuer == self.issuer
                    && link.of == self.of)
        };
        if present.iter().any(|(_, link)| rivals(link)) {
            Err(Error::Exists)
        } else {
            Ok(Vec::new())
        }
    }
}

impl OpenIdLink {
    fn new(
        issuer: &str,
        subject: &str,
        account: &AccountName,
        (of, account_id): (i64, &str),
    ) -> Result<Self> {
        if subject.is_empty()
            || subject.len() > MAX_SUBJECT
            || subject.chars().any(char::is_control)
        {
            let why = "A subject has 1 to 255 characters, none of them control characters.".into();
            return Err(Error::Invalid {
                pointer: "/subject".into(),
                why,
            });
        }
        let hash = token::digest(&secret_of(issuer, subject));
        let issuer = issuer.into();
        let subject = subject.into();
        let account_id = account_id.into();
        Ok(Self {
            hash,
            issuer,
            subject,
            account: account.clone(),
            of,
            account_id,
            created: now(),
        })
    }

    /// Whether its account is still the one it was made for.
    pub(super) fn is_valid(&self, accounts: &Accounts) -> bool {
        let same_id = || {
            accounts
                .find(&self.account)
                .is_some_and(|account| *account.id() == *self.account_id)
        };
        accounts
            .view(&self.account)
            .is_some_and(|account| account.created == self.of)
            && same_id()
    }
}

/// What a provider says of somebody, checked as its own word.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assertion {
    /// The provider.
    pub issuer: String,
    /// Who it is there.
    pub subject: String,
    /// Their e-mail address, only when the provider has verified it.
    pub email: Option<String>,
    /// What a new account would be called.
    pub name: Option<String>,
    /// What people call them.
    pub display_name: Option<String>,
}

/// An account under the credentials that it has at a moment: what is begun then does not complete under others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CredentialSnapshot {
    /// The account.
    pub account: AccountName,
    id: String,
    generation: u64,
}

impl Auth {
    /// Links an account to who the provider says has signed in, if its credentials are those under which that was begun.
    /// `Forbidden`, `Exists` when either has another link.
    pub async fn link_openid_of(
        &self,
        standing: &CredentialSnapshot,
        issuer: &str,
        subject: &str,
    ) -> Result<OpenIdLink> {
        const OVER: Error =
            Error::Forbidden("The account has changed since this was begun. Start again.");
        let entry = self.standing(standing).ok_or(OVER)?;
        let identity = entry.account.identity_at(entry.generation).ok_or(OVER)?;
        let view = self.accounts.view(&standing.account).ok_or(OVER)?;
        let link = OpenIdLink::new(issuer, subject, &view.name, (view.created, &standing.id))?;
        let id = token::public_id()?;
        let linked = self
            .openid_links
            .insert_with(&id, link.clone(), self.commit_if_unchanged(&identity))
            .await;
        linked.map_err(|error| {
            if matches!(error, Error::Unauthenticated) {
                OVER
            } else {
                error
            }
        })?;
        Ok(link)
    }

    /// Links an account to who the provider says has signed in. `Exists` when either has another link, `NotFound`.
    pub async fn link_openid(
        &self,
        name: &AccountName,
        issuer: &str,
        subject: &str,
    ) -> Result<OpenIdLink> {
        let view = self.accounts.view(name).ok_or(Error::NotFound)?;
        let id = self.accounts.find(name).ok_or(Error::NotFound)?.id();
        let link = OpenIdLink::new(issuer, subject, name, (view.created, &id))?;
        self.openid_links
            .insert(&token::public_id()?, link.clone())
            .await?;
        Ok(link)
    }

    /// Ends the links of an account, and says how many they were. Its sessions go on.
    pub async fn unlink_openid(&self, name: &AccountName) -> Result<usize> {
        let name = name.clone();
        self.openid_links
            .remove(move |_, link| link.account == name)
            .await
    }

    /// The links of an account.
    pub fn openid_links_of(&self, name: &AccountName) -> Vec<Arc<OpenIdLink>> {
        let links = self
            .openid_links
            .list(|link| link.account == *name && link.is_valid(&self.accounts));
        links.into_iter().map(|(_, link)| link).collect()
    }

    /// Asks for the account's password before its links change, and says under which credentials it was right. `Invalid`,
    /// `Throttled`, `Busy`.
    pub async fn prove_password(
        &self,
        name: &AccountName,
        password: &[u8],
        from: IpAddr,
    ) -> Result<CredentialSnapshot> {
        let VerifiedAccount {
            account,
            generation,
        } = self.confirm(name, password, "/password", from).await?;
        Ok(CredentialSnapshot {
            account: name.clone(),
            id: account.id().to_string(),
            generation,
        })
    }

    /// The account, while its credentials are these.
    fn standing(&self, standing: &CredentialSnapshot) -> Option<VerifiedAccount> {
        let account = self
            .accounts
            .find(&standing.account)
            .filter(|account| *account.id() == *standing.id)?;
        account.identity_at(standing.generation)?;
        Some(VerifiedAccount {
            account,
            generation: standing.generation,
        })
    }

    /// The link to this person that stands, with its id.
    fn link_of(&self, said: &Assertion) -> Option<(String, Arc<OpenIdLink>)> {
        self.openid_links
            .find(&secret_of(&said.issuer, &said.subject))
            .filter(|(_, link)| link.is_valid(&self.accounts))
    }

    fn note_link(
        &self,
        name: &AccountName,
        (issuer, subject): (&str, &str),
        how: &str,
        from: IpAddr,
    ) {
        let event = AuditEvent::new(
            Actor::Account(name.clone()),
            AuditKind::OpenidLinked,
            name.as_str(),
        )
        .with_address(from);
        self.door
            .note(event.with_note(format!("to {subject} of {issuer}, {how}")));
    }
}

/// What a link answers to.
fn secret_of(issuer: &str, subject: &str) -> String {
    format!("{issuer}\n{subject}")
}
