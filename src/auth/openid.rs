//! Who an OpenID Connect provider says has signed in, and the account that belongs to them. A link binds one subject of one
//! issuer to one account; the first comes by a verified e-mail address, by an administrator or by the account itself.

use super::account_record::AccountRecord;
use super::accounts::Accounts;
use super::clock::now;
use super::grants::{Grant, GrantsById};
use super::password::HashPriority;
use super::password_sign_in::VerifiedAccount;
use super::profile::{FieldChange, ProfileChange};
use super::sign_in_metrics::CredentialKind;
use super::two_factor::SecondFactorCheck;
use super::{Auth, NewSession, SessionClient, token};
use crate::audit::{Actor, AuditEvent, AuditKind, AuditOutcome};
use crate::config::{OpenIdConfig, UnknownSubjects};
use crate::model::{AccountName, Error, Result, Role};
use crate::state::table;
use serde::{Deserialize, Serialize};
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
const TAKEN: Error = Error::Forbidden(
    "An account named like you is there already. Sign in with its password and link it.",
);
const NAMELESS: Error =
    Error::Forbidden("The provider gave no name that an account here can have.");

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
        if present.values().any(|link| rivals(link)) {
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

/// An account that a provider's word lets in, as far as the provider goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// By what its wrong codes are counted.
    id: String,
    standing: CredentialSnapshot,
    said: Assertion,
    /// The id of the link that it was found by; `None` when it was found by the address, and is to be linked.
    link: Option<String>,
}

/// What comes after a provider's word.
#[derive(Debug)]
pub enum OpenIdSignIn {
    /// A session has begun.
    SignedIn(NewSession),
    /// The account also asks for its code.
    CodeRequired(PendingSignIn),
}

impl Auth {
    /// Signs in who the provider says it is, and begins a session. `Forbidden` when no account belongs to them or it may not
    /// sign in, `Throttled`, `Busy`.
    pub async fn sign_in_by_openid(
        &self,
        said: &Assertion,
        config: &OpenIdConfig,
        caller: SessionClient<'_>,
    ) -> Result<OpenIdSignIn> {
        let admitted = match self.resolve_account(said, config, caller.address).await {
            Ok(admitted) => admitted,
            Err(error) => {
                let event = AuditEvent::new(
                    Actor::Nobody,
                    AuditKind::SignInFailed,
                    said.subject.as_str(),
                )
                .with_address(caller.address);
                self.door.note(
                    event
                        .with_note(format!("by OpenID Connect: {error}"))
                        .with_outcome(AuditOutcome::Refused),
                );
                let refused = Err(error);
                self.sign_ins.note(CredentialKind::Provider, &refused);
                return refused;
            }
        };
        let entry = self.entry_of(&admitted)?;
        if entry.account.wants_code() {
            return Ok(OpenIdSignIn::CodeRequired(admitted));
        }
        self.door
            .record_success(admitted.standing.account.clone(), caller.address);
        let begun = self.let_in(&admitted, &entry, caller).await;
        self.sign_ins.note(CredentialKind::Provider, &begun);
        Ok(OpenIdSignIn::SignedIn(begun?))
    }

    /// Begins the session of who has been admitted, still is, and knows a code of their second factor. `Unauthenticated`,
    /// `Throttled`, `Forbidden` after too many wrong codes: then it must be begun anew.
    pub async fn sign_in_with_code(
        &self,
        (admitted, config): (&PendingSignIn, &OpenIdConfig),
        code: &str,
        caller: SessionClient<'_>,
    ) -> Result<NewSession> {
        let begun = async {
            let entry = self.entry_of(admitted)?;
            self.recheck(admitted, config)?;
            let step = SecondFactorCheck {
                code: Some(code),
                half_open: Some(&admitted.id),
                from: caller.address,
            };
            self.pass_second_step(&admitted.standing.account, &entry, step)
                .await?;
            self.let_in(admitted, &entry, caller).await
        };
        let begun = begun.await;
        self.sign_ins.note(CredentialKind::Provider, &begun);
        begun
    }

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

    /// Notes a sign-in that the provider did not confirm; its try stays counted.
    pub fn note_unconfirmed(&self, from: IpAddr) {
        self.door.note_failure(None, from);
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

    fn entry_of(&self, admitted: &PendingSignIn) -> Result<VerifiedAccount> {
        self.standing(&admitted.standing).ok_or(STRANGER)
    }

    /// Refuses a sign-in under way whose link has ended, or whose address counts no longer.
    fn recheck(&self, admitted: &PendingSignIn, config: &OpenIdConfig) -> Result<()> {
        let PendingSignIn {
            standing,
            said,
            link,
            ..
        } = admitted;
        let holds = match link {
            Some(id) => self.openid_links.get(id).is_some_and(|link| {
                link.is_valid(&self.accounts)
                    && link.account == standing.account
                    && link.subject == said.subject
            }),
            None => match self.link_of(said) {
                Some((_, link)) => link.account == standing.account,
                None => self.with_address_of(said, config)?.as_ref() == Some(&standing.account),
            },
        };
        if holds { Ok(()) } else { Err(STRANGER) }
    }

    /// Begins the session, and makes the first link: only now everything that sign-in asks for is passed.
    async fn let_in(
        &self,
        admitted: &PendingSignIn,
        entry: &VerifiedAccount,
        caller: SessionClient<'_>,
    ) -> Result<NewSession> {
        let PendingSignIn {
            standing,
            said,
            link,
            ..
        } = admitted;
        let name = &standing.account;
        if link.is_none() && self.link_of(said).is_none() {
            let Assertion {
                issuer, subject, ..
            } = said;
            let linked = self.link_openid_of(standing, issuer, subject).await;
            linked.map_err(|error| {
                if matches!(error, Error::Exists) {
                    STRANGER
                } else {
                    error
                }
            })?;
            self.note_link(
                name,
                (issuer, subject),
                "by the verified e-mail address",
                caller.address,
            );
        }
        let begun = self.session_of(entry, caller).await?;
        let event = AuditEvent::new(
            Actor::Account(name.clone()),
            AuditKind::SessionStarted,
            name.as_str(),
        )
        .with_address(caller.address);
        self.door.note(event.with_note("by OpenID Connect"));
        Ok(begun)
    }

    async fn resolve_account(
        &self,
        said: &Assertion,
        config: &OpenIdConfig,
        from: IpAddr,
    ) -> Result<PendingSignIn> {
        let (account, link) = match self.link_of(said) {
            Some((id, link)) => (link.account.clone(), Some(id)),
            None => match self.with_address_of(said, config)? {
                Some(name) => (name, None),
                None => (
                    self.create_for(said, config, from).await?,
                    self.link_of(said).map(|(id, _)| id),
                ),
            },
        };
        let found = self.accounts.find(&account).ok_or(STRANGER)?;
        let of = found.id().to_string();
        let generation = found.generation().ok_or(STRANGER)?;
        let standing = CredentialSnapshot {
            account,
            id: of,
            generation,
        };
        Ok(PendingSignIn {
            id: token::public_id()?,
            standing,
            said: said.clone(),
            link,
        })
    }

    /// The link to this person that stands, with its id.
    fn link_of(&self, said: &Assertion) -> Option<(String, Arc<OpenIdLink>)> {
        self.openid_links
            .find(&secret_of(&said.issuer, &said.subject))
            .filter(|(_, link)| link.is_valid(&self.accounts))
    }

    /// The account of somebody who has no link yet: the one that their e-mail address counts for. It is not told whose it is.
    fn with_address_of(
        &self,
        said: &Assertion,
        config: &OpenIdConfig,
    ) -> Result<Option<AccountName>> {
        let Some(name) = said
            .email
            .as_deref()
            .and_then(|email| self.accounts.with_email(email))
        else {
            return Ok(None);
        };
        // Somebody else may have got the address meanwhile: the account stays with who was first.
        let is_taken = self
            .openid_links_of(&name)
            .iter()
            .any(|link| link.issuer == said.issuer);
        if is_taken || !config.link_by_email {
            Err(STRANGER)
        } else {
            Ok(Some(name))
        }
    }

    /// A new account, where the settings say so.
    async fn create_for(
        &self,
        said: &Assertion,
        config: &OpenIdConfig,
        from: IpAddr,
    ) -> Result<AccountName> {
        if config.strangers == UnknownSubjects::Refuse || self.accounts.list().is_empty() {
            return Err(STRANGER);
        }
        let name = said
            .name
            .as_deref()
            .and_then(|name| AccountName::parse(name).ok())
            .ok_or(NAMELESS)?;
        let taken = |error| {
            if matches!(error, Error::Exists | Error::BadName(_)) {
                TAKEN
            } else {
                error
            }
        };
        self.accounts.check_free(&name).map_err(taken)?;
        // Nobody knows the password: an administrator sets one where it is wanted.
        let hash = self
            .hash_with_priority(
                HashPriority::Stranger,
                &name,
                token::long_secret()?.as_bytes(),
            )
            .await?;
        let mut record = AccountRecord::new(hash, Role::User, self.config.default_quota, now())?;
        for (display_name, email) in [
            (said.display_name.clone(), None),
            (None, said.email.clone()),
        ] {
            let set = |text: Option<String>| text.map_or(FieldChange::Keep, FieldChange::Set);
            // What cannot stand in a profile is left out.
            if let Ok(profile) = (ProfileChange {
                display_name: set(display_name),
                email: set(email),
            })
            .checked()
            {
                profile.apply(&mut record);
            }
        }
        let link = OpenIdLink::new(
            &said.issuer,
            &said.subject,
            &name,
            (record.created, &record.id),
        )?;
        let accounts = Arc::clone(&self.accounts);
        let new = name.clone();
        let make = move |along| async move { accounts.insert(&new, record, along).await };
        self.openid_links
            .insert_with(&token::public_id()?, link, make)
            .await
            .map_err(taken)?;
        self.door.note(
            AuditEvent::new(Actor::Nobody, AuditKind::AccountCreated, name.as_str())
                .with_address(from)
                .with_note("by OpenID Connect"),
        );
        self.note_link(
            &name,
            (&said.issuer, &said.subject),
            "with the new account",
            from,
        );
        Ok(name)
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

#[cfg(test)]
mod tests;
