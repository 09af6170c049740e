//! What an administrator can ask of a running server, or of the data folder when none runs: one enum of requests, one of
//! answers, one function between them. [`Desk`] and [`call`] carry them over a Unix socket in the data folder.

mod socket;

use crate::app::App;
use crate::auth::{AccountView, Auth};
use crate::config::AccountsConfig;
use crate::model::{AccountName, Error, Result, Role};
use serde::{Deserialize, Serialize};
pub use socket::{Desk, call};
use zeroize::Zeroize;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Make an account.
    UserAdd {
        /// Its name.
        name: AccountName,
        /// Its role.
        role: Role,
        /// Its quota.
        quota: QuotaChoice,
        /// Its password.
        password: Password,
    },
    /// Show all accounts.
    UserList,
    /// Set a password.
    UserPasswd {
        /// Whose.
        name: AccountName,
        /// The new password.
        password: Password,
    },
    /// Forbid sign-in.
    UserDisable {
        /// Whose.
        name: AccountName,
    },
    /// Allow sign-in again.
    UserEnable {
        /// Whose.
        name: AccountName,
    },
    /// Remove an account.
    UserRemove {
        /// Which.
        name: AccountName,
        /// What becomes of its files.
        files: Files,
    },
    /// Set a quota.
    UserQuota {
        /// Whose.
        name: AccountName,
        /// Bytes; `None` is unlimited.
        quota: Option<u64>,
    },
}

/// The quota of a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaChoice {
    /// What the settings say.
    Default,
    /// None.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

/// What becomes of a removed account's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// They stay where they are.
    Keep,
    /// They are deleted.
    Purge,
}

/// A password in a request: not shown by `Debug`, wiped when dropped.
#[derive(Serialize, Deserialize)]
pub struct Password(String);

impl Password {
    /// Takes over a password.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is done.
    Done,
    /// All accounts, by name.
    Accounts(Vec<AccountView>),
    /// It is not done; the sentence says why.
    Refused(String),
}

/// Carries out a request on an open data folder.
pub async fn execute(app: &App, request: Request) -> Response {
    let removal = match &request {
        Request::UserRemove { name, files } => Some((name.clone(), *files == Files::Purge)),
        _ => None,
    };
    // Sign-in ends first: nothing new is written to a home that is being closed.
    let response = change_accounts(&app.auth, &app.config.accounts, request).await;
    match (removal, response) {
        (Some((name, purge)), Response::Done) => match app.forget_account(&name, purge).await {
            Ok(()) => Response::Done,
            Err(error) => Response::Refused(format!("The account {name} is removed, its home is not closed: {error}")),
        },
        (_, response) => response,
    }
}

/// The part of a request that concerns accounts, not their files.
async fn change_accounts(auth: &Auth, config: &AccountsConfig, request: Request) -> Response {
    match request {
        Request::UserList => Response::Accounts(auth.list()),
        Request::UserAdd { name, role, quota, password } => {
            let quota = match quota {
                QuotaChoice::Default => config.default_quota,
                QuotaChoice::Unlimited => None,
                QuotaChoice::Bytes(bytes) => Some(bytes),
            };
            let made = auth.create(&name, password.as_bytes(), role, quota).await;
            done(&name, "account added", made.map(drop))
        }
        Request::UserPasswd { name, password } => {
            done(&name, "password set", auth.set_password(&name, password.as_bytes()).await)
        }
        Request::UserDisable { name } => done(&name, "account disabled", auth.set_disabled(&name, true).await),
        Request::UserEnable { name } => done(&name, "account enabled", auth.set_disabled(&name, false).await),
        Request::UserQuota { name, quota } => done(&name, "quota set", auth.set_quota(&name, quota).await),
        Request::UserRemove { name, .. } => done(&name, "account removed", auth.remove(&name).await),
    }
}

fn done(name: &AccountName, event: &'static str, outcome: Result<()>) -> Response {
    match outcome {
        Ok(()) => {
            tracing::info!(account = %name, "{event}");
            Response::Done
        }
        Err(Error::NotFound) => Response::Refused(format!("There is no account {name}.")),
        Err(Error::Exists) => Response::Refused(format!("There is already an account {name}.")),
        Err(error) => Response::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).unwrap()
    }

    fn add(text: &str, quota: QuotaChoice, password: &str) -> Request {
        Request::UserAdd { name: name(text), role: Role::Admin, quota, password: Password::new(password.into()) }
    }

    #[tokio::test]
    async fn requests_change_accounts() {
        let config = AccountsConfig { default_quota: Some(5), ..AccountsConfig::default() };
        let auth = Auth::open(MemoryStore::new(), &config).await.unwrap();
        let ask = |request| change_accounts(&auth, &config, request);
        for (who, quota, stored) in [
            ("ana", QuotaChoice::Default, Some(5)),
            ("ben", QuotaChoice::Unlimited, None),
            ("eva", QuotaChoice::Bytes(7), Some(7)),
        ] {
            assert!(matches!(ask(add(who, quota, "blue kettle 77")).await, Response::Done));
            let account = auth.account(&name(who)).unwrap();
            assert_eq!((account.quota, account.role), (stored, Role::Admin));
        }
        assert!(matches!(ask(Request::UserDisable { name: name("ana") }).await, Response::Done));
        assert!(auth.account(&name("ana")).unwrap().disabled);
        assert!(matches!(ask(Request::UserEnable { name: name("ana") }).await, Response::Done));
        assert!(!auth.account(&name("ana")).unwrap().disabled);
        assert!(matches!(ask(Request::UserQuota { name: name("eva"), quota: None }).await, Response::Done));
        assert_eq!(auth.account(&name("eva")).unwrap().quota, None);
        let password = Password::new("green teapot 88".into());
        assert!(matches!(ask(Request::UserPasswd { name: name("ana"), password }).await, Response::Done));
        let here = std::net::IpAddr::from([192, 0, 2, 1]);
        assert!(auth.sign_in(b"h", "ana", b"green teapot 88", here).await.is_ok());
        assert!(matches!(ask(Request::UserRemove { name: name("ben"), files: Files::Keep }).await, Response::Done));
        let Response::Accounts(left) = ask(Request::UserList).await else { panic!() };
        assert_eq!(left.into_iter().map(|a| a.name).collect::<Vec<_>>(), [name("ana"), name("eva")]);
    }

    #[tokio::test]
    async fn refusals_are_sentences_that_name_the_account() {
        let config = AccountsConfig::default();
        let auth = Auth::open(MemoryStore::new(), &config).await.unwrap();
        let refusal = async |request| match change_accounts(&auth, &config, request).await {
            Response::Refused(sentence) => sentence,
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(Request::UserDisable { name: name("ana") }).await, "There is no account ana.");
        assert!(refusal(add("ana", QuotaChoice::Default, "short")).await.contains("at least 10"));
        auth.create(&name("ana"), b"blue kettle 77", Role::User, None).await.unwrap();
        let again = refusal(add("ana", QuotaChoice::Default, "blue kettle 77")).await;
        assert_eq!(again, "There is already an account ana.");
    }

    #[test]
    fn requests_survive_the_wire_and_hide_passwords_from_logs() {
        let request = add("ana", QuotaChoice::Bytes(9), "blue kettle 77");
        assert!(!format!("{request:?}").contains("kettle"));
        let line = serde_json::to_string(&request).unwrap();
        let back: Request = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), line);
        let Request::UserAdd { quota, password, .. } = back else { panic!() };
        assert_eq!((quota, password.as_bytes()), (QuotaChoice::Bytes(9), b"blue kettle 77".as_slice()));
    }
}
