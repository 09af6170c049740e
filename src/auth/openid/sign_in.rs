//! Signing in by the word of a provider: by the link of the account, by its verified e-mail address, or to a new account.

use super::{Assertion, CredentialSnapshot, STRANGER};
use crate::audit::{Actor, AuditEvent, AuditKind, AuditOutcome};
use crate::auth::password_sign_in::VerifiedAccount;
use crate::auth::sign_in_metrics::CredentialKind;
use crate::auth::two_factor::SecondFactorCheck;
use crate::auth::{Auth, NewSession, SessionClient, token};
use crate::config::OpenIdConfig;
use crate::model::{AccountName, Error, Result};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

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

    /// Notes a sign-in that the provider did not confirm; its try stays counted.
    pub fn note_unconfirmed(&self, from: IpAddr) {
        self.door.note_failure(None, from);
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
}
