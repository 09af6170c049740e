//! What a client meets on its way to this server, from outside: name, port, TLS, proxies. Each thing that is wrong is named, with what to do.

mod connection;
mod reachability;
mod webdav;

use connection::{ProbeResponse, Unreachable};
pub use connection::{TargetServer, Trust};
use serde::Serialize;
use std::fmt;
use zeroize::Zeroizing;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Some clients will have trouble.
    Warning,
    /// Clients do not work, or lose something.
    Failure,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckResult {
    /// A short name that stays the same.
    pub check: &'static str,
    /// How it ended.
    pub verdict: CheckStatus,
    /// What was seen.
    pub seen: String,
    /// What to do; nothing where it is as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Who signs in for the checks that need an account.
pub struct TestAccount {
    /// Its name.
    pub name: String,
    /// Its password, or an app password.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for TestAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.name)
    }
}

/// All that was found, in the order in which a client would meet it.
#[derive(Debug, Default)]
pub struct CheckResults(pub Vec<CheckResult>);

impl CheckResults {
    /// The worst of them.
    pub fn verdict(&self) -> CheckStatus {
        self.0
            .iter()
            .map(|finding| finding.verdict)
            .max()
            .unwrap_or(CheckStatus::Ok)
    }

    fn fine(&mut self, check: &'static str, seen: impl Into<String>) {
        self.0.push(CheckResult {
            check,
            verdict: CheckStatus::Ok,
            seen: seen.into(),
            fix: None,
        });
    }

    fn warn(&mut self, check: &'static str, seen: impl Into<String>, fix: impl Into<String>) {
        self.0.push(CheckResult {
            check,
            verdict: CheckStatus::Warning,
            seen: seen.into(),
            fix: Some(fix.into()),
        });
    }

    fn fail(&mut self, check: &'static str, seen: impl Into<String>, fix: impl Into<String>) {
        self.0.push(CheckResult {
            check,
            verdict: CheckStatus::Failure,
            seen: seen.into(),
            fix: Some(fix.into()),
        });
    }

    /// Fine where it holds, else a failure.
    fn record_check(
        &mut self,
        check: &'static str,
        holds: bool,
        fine: &str,
        wrong: FailedCheck,
    ) -> bool {
        if holds {
            self.fine(check, fine);
        } else {
            self.fail(check, wrong.seen, wrong.fix);
        }
        holds
    }
}

/// What is said where something does not hold.
struct FailedCheck {
    seen: String,
    fix: &'static str,
}

impl FailedCheck {
    fn new(seen: impl Into<String>, fix: &'static str) -> Self {
        Self {
            seen: seen.into(),
            fix,
        }
    }
}

/// Plays the first minute of a client. With an account it works in a folder of its own, which it deletes afterwards.
pub async fn run_checks(server: &TargetServer, account: Option<&TestAccount>) -> CheckResults {
    let mut found = CheckResults::default();
    let Some(reached) = reachability::reach(server, &mut found).await else {
        return found;
    };
    if reachability::greet(server, &reached, &mut found).await {
        match account {
            Some(account) => webdav::check_drive(server, account, &mut found).await,
            None => found.warn(
                "account",
                "Nothing that needs an account was tried.",
                "Name one: sarang doctor URL --user NAME asks for its password. An app password will do.",
            ),
        }
    }
    found
}
