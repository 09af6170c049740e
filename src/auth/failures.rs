//! Why clients of an account failed lately: what is kept of it, and what its owner reads.

use super::{Auth, password_sign_in::account_in};
use crate::failures::{Cause, ClientKind, Failure, FailureLog};
use crate::model::{AccountName, Error, Identity, Result};
use std::net::IpAddr;

impl Auth {
    /// The failures of all.
    pub fn failures(&self) -> &FailureLog {
        self.door.failures()
    }

    /// The failures of an account, newest first, with those of clients at the address `near` that named no account. `NotFound`.
    pub fn failures_of(&self, name: &AccountName, near: Option<IpAddr>) -> Result<Vec<Failure>> {
        let owner = self.door.owner(Some(name));
        let app_passwords = if owner.is_some() {
            self.app_passwords_of(name)
        } else {
            return Err(Error::NotFound);
        };
        let known = |from: IpAddr, client: ClientKind| {
            let is_it = |address: IpAddr, agent: &str| {
                address.to_canonical() == from && ClientKind::of(agent) == client
            };
            let mut known = app_passwords.iter().filter(|(_, one)| {
                one.last_use
                    .as_ref()
                    .is_some_and(|last| is_it(last.address, &last.agent))
            });
            known.next().map(|(_, one)| one.name.clone())
        };
        Ok(self
            .failures()
            .of(&owner, near)
            .into_iter()
            .map(|failure| failure.or_device(known))
            .collect())
    }

    /// Keeps a failure of somebody who is signed in.
    pub fn note_failure(&self, identity: &Identity, failure: Failure) {
        let owner = Some((identity.account.clone(), identity.account_id.clone()));
        self.failures().record(owner, failure);
    }

    /// Keeps that a request without TLS was refused that may have had a password for `user`.
    pub fn note_unencrypted(&self, user: Option<&str>, client: ClientKind, from: IpAddr) {
        match user.map(account_in) {
            Some(name) => {
                let failure = Failure::new(client, from, Cause::PlainHttp.into());
                self.failures()
                    .record_unauthenticated(self.door.owner(name.as_ref()), failure);
            }
            None if client == ClientKind::Windows => {
                self.failures().record_anonymous(Failure::new(
                    client,
                    from,
                    Cause::WindowsPlainHttp.into(),
                ));
            }
            None => {}
        }
    }
}
