//! Why a sign-in failed, for the list of the account that was named. Only a try that was counted gets there. A name that nobody has takes
//! the same steps as one that somebody has, into a list that nobody sees.

use super::{PasswordSignIn, SignInAttempt};
use crate::auth::RequestOrigin;
use crate::auth::throttle::ClientNetwork;
use crate::failures::{Cause, Failure, FailureLog, FailureOwner};
use crate::model::AccountName;
use std::time::Instant;

impl PasswordSignIn {
    /// Why clients failed lately.
    pub fn failures(&self) -> &FailureLog {
        &self.failures
    }

    /// Whose list a name is of.
    pub fn owner(&self, name: Option<&AccountName>) -> FailureOwner {
        let account = name.and_then(|name| self.accounts.find(name));
        name.cloned().zip(account.map(|account| account.id()))
    }

    /// Keeps a failed try that was counted.
    pub(super) fn explain(&self, attempt: &SignInAttempt) {
        let account = attempt
            .name
            .as_ref()
            .and_then(|name| self.accounts.find(name));
        let cause = match &account {
            Some(account) if account.generation().is_none() => Cause::Disabled,
            _ if attempt.device.is_some() => Cause::EndedAppPassword,
            Some(account) if account.wants_code() => Cause::SecondFactor,
            _ => Cause::WrongPassword,
        };
        let failure = Failure::new(attempt.client, attempt.from, cause.into())
            .of_device(attempt.device.clone());
        self.failures
            .record_unauthenticated(self.owner(attempt.name.as_ref()), failure);
    }

    /// Keeps that no more tries are judged; only where the account's own were counted, not those of its network on others.
    pub(super) fn explain_throttled(&self, name: Option<&AccountName>, origin: &RequestOrigin) {
        let network = ClientNetwork::from(origin.address);
        if name.is_some_and(|name| self.throttle.check(network, name, Instant::now()).is_err()) {
            let failure = Failure::new(origin.client, origin.address, Cause::Throttled.into());
            self.failures
                .record_unauthenticated(self.owner(name), failure);
        }
    }
}
