//! New accounts for people whom a provider vouches for.

use super::{Assertion, OpenIdLink, STRANGER};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::auth::account_record::AccountRecord;
use crate::auth::clock::now;
use crate::auth::password::HashPriority;
use crate::auth::profile::{FieldChange, ProfileChange};
use crate::auth::{Auth, token};
use crate::config::{OpenIdConfig, UnknownSubjects};
use crate::model::{AccountName, Error, Result, Role};
use crate::state::Batch;
use std::net::IpAddr;
use std::sync::Arc;

const TAKEN: Error = Error::Forbidden(
    "An account named like you is there already. Sign in with its password and link it.",
);
const NAMELESS: Error =
    Error::Forbidden("The provider gave no name that an account here can have.");

impl Auth {
    /// A new account, where the settings say so.
    pub(super) async fn create_for(
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
        fill_profile(&mut record, said);
        let link = OpenIdLink::new(
            &said.issuer,
            &said.subject,
            &name,
            (record.created, &record.id),
        )?;
        let accounts = Arc::clone(&self.accounts);
        let new = name.clone();
        let make = move |along: Batch| {
            let (accounts, new, record) = (accounts.clone(), new.clone(), record.clone());
            async move { accounts.insert(&new, record, along).await }
        };
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
}

/// Takes display name and e-mail address from what the provider says; what cannot stand in a profile is left out.
fn fill_profile(record: &mut AccountRecord, said: &Assertion) {
    let set = |text: Option<String>| text.map_or(FieldChange::Keep, FieldChange::Set);
    let display_name = ProfileChange {
        display_name: set(said.display_name.clone()),
        ..ProfileChange::default()
    };
    let email = ProfileChange {
        email: set(said.email.clone()),
        ..ProfileChange::default()
    };
    for change in [display_name, email] {
        if let Ok(change) = change.checked() {
            change.apply(record);
        }
    }
}
