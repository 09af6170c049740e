//! What came of sign-ins, in numbers.

use crate::metrics::Counter;
use crate::model::{Error, Result};

/// What was shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum CredentialKind {
    /// Name and password, and the code of the second factor where one is asked for.
    Password,
    /// The password of a public link.
    LinkPassword,
    /// The word of the sign-in provider.
    Provider,
}

const SHOWN: [&str; 3] = ["password", "link_password", "provider"];
const OUTCOMES: [&str; 5] = ["done", "wrong", "throttled", "busy", "failed"];

/// Sign-ins since the start.
#[derive(Debug, Default)]
pub struct SignInCounters([[Counter; OUTCOMES.len()]; SHOWN.len()]);

impl SignInCounters {
    /// Counts one; not one that owes a code yet.
    pub(super) fn note<T>(&self, shown: CredentialKind, signed_in: &Result<T>) {
        let outcome = match signed_in {
            Ok(_) => 0,
            Err(Error::CodeRequired) => return,
            Err(Error::Unauthenticated | Error::Forbidden(_)) => 1,
            Err(Error::Throttled { .. }) => 2,
            Err(Error::Busy { .. }) => 3,
            Err(_) => 4,
        };
        if let Some(count) = self.0.get(shown as usize).and_then(|row| row.get(outcome)) {
            count.add(1);
        }
    }

    /// What was shown, what came of it, and how often.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let rows = SHOWN.into_iter().zip(&self.0);
        rows.flat_map(|(shown, row)| {
            OUTCOMES
                .into_iter()
                .zip(row)
                .map(move |(outcome, n)| (shown, outcome, n.get()))
        })
    }
}
