//! What an administrator can ask of a running server, or of the data folder when none runs: one enum of requests, one of
//! answers, one function between them. [`Desk`] and [`call`] carry them over a Unix socket in the data folder.

mod password;
mod socket;
mod teams;
#[cfg(test)]
mod tests;

pub use crate::admin::FilesDisposal;
pub use crate::admin::history::{
    DriveTrashItem, DriveVersion, HistoryRequest, HistoryResponse, RewindAct, RewindReport,
    Rewinding,
};
pub use crate::admin::teams::TeamSummary;
use crate::admin::{Administrator, OpenLock, Overview, open_locks, overview};
use crate::app::App;
use crate::app::removal::RemovalOutcome;
pub use crate::app::{Destination, RemovedFiles};
use crate::audit::{Actor, AuditEntry, AuditFilter};
use crate::auth::{AccountUpdate, AccountView};
use crate::failures::{ClientFailure, Language};
use crate::model::{AccountName, Error, Irrevocable, Result, Role};
use crate::sharing::teams::TeamFolderMember;
pub use password::{Password, QuotaChoice};
use serde::{Deserialize, Serialize};
pub use socket::{ControlServer, call};
use std::sync::Arc;

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
        /// The folder that was there before, in which its files lie; `None` for one of the data folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<String>,
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
    /// End two-factor sign-in.
    UserTwoFactorOff {
        /// Whose.
        name: AccountName,
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
        files: FilesDisposal,
    },
    /// Set a quota.
    UserQuota {
        /// Whose.
        name: AccountName,
        /// Bytes; `None` is unlimited.
        quota: Option<u64>,
    },
    /// Set a role.
    UserRole {
        /// Whose.
        name: AccountName,
        /// The role.
        role: Role,
    },
    /// Set an e-mail address.
    UserEmail {
        /// Whose.
        name: AccountName,
        /// The address; `None` for none.
        email: Option<String>,
    },
    /// Link an account to a subject of the sign-in provider.
    UserLink {
        /// Which account.
        name: AccountName,
        /// Who it is at the provider.
        subject: String,
    },
    /// End the links of an account.
    UserUnlink {
        /// Which account.
        name: AccountName,
    },
    /// Show why clients of an account failed lately.
    UserFailures {
        /// Whose.
        name: AccountName,
    },
    /// Make a team folder.
    TeamAdd {
        /// Its name.
        name: String,
        /// Who may use it.
        members: Vec<TeamFolderMember>,
        /// Bytes; `None` is unlimited.
        quota: Option<u64>,
        /// As `home` of an account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
    },
    /// Show all team folders.
    TeamList,
    /// Remove a team folder.
    TeamRemove {
        /// Which.
        name: String,
        /// What becomes of its files; they are not transferred.
        files: FilesDisposal,
    },
    /// Show the files of removed accounts and team folders that lie aside.
    RemovedList,
    /// Bring such files back.
    RemovedRestore {
        /// Their id or place.
        which: String,
        /// Where to.
        to: Destination,
    },
    /// Delete such files for good.
    RemovedPurge {
        /// Their id or place.
        which: String,
    },
    /// Give up a home or team folder that is missing.
    NewHome {
        /// Its place in the data folder: `homes/ana`.
        place: String,
    },
    /// Show entries of the audit log, newest first.
    Audit {
        /// Which.
        filter: AuditFilter,
        /// How many at most.
        limit: u32,
    },
    /// Show how the server is.
    Overview,
    /// Write all state to a file.
    Export,
    /// Count the files of open homes and team folders anew.
    AuditBooks,
    /// Show the locks.
    LockList,
    /// End a lock.
    LockBreak {
        /// Its id, from the list.
        id: String,
    },
    /// Look at the past of a drive, or restore from it.
    Past {
        /// Whose.
        name: AccountName,
        /// What.
        what: HistoryRequest,
    },
}

/// Entries of the audit log in one answer.
const MAX_ENTRIES: u32 = 100_000;

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is done.
    Done,
    /// The account is removed, and its files are in this folder (`/Files of ana`) of the other account's drive; `None` when there
    /// were none.
    Moved(Option<String>),
    /// The account or team folder is removed, and its files lie aside in this place of the data folder, or where they were before, by the
    /// whole path; `None` when there were none.
    Aside(Option<String>),
    /// All team folders, by name.
    Teams(Vec<TeamSummary>),
    /// Files that lie aside.
    Removed(Vec<RemovedFiles>),
    /// All accounts, by name.
    Accounts(Vec<AccountView>),
    /// Why clients failed, newest first.
    Failures(Vec<ClientFailure>),
    /// Entries of the audit log, newest first.
    Audit(Vec<AuditEntry>),
    /// How the server is.
    Overview(Box<Overview>),
    /// All state is in the file of this name in `state/for-backup`, which whoever asked is to remove.
    Exported(String),
    /// Homes and team folders whose books were wrong: what they said, and what there is.
    Books(Vec<(String, u64, u64)>),
    /// The locks.
    Locks(Vec<OpenLock>),
    /// What there is of the past, or what became of it.
    Past(HistoryResponse),
    /// It is not done; the sentence says why.
    Refused(String),
}

/// Carries out a request on an open data folder.
pub async fn execute(app: &Arc<App>, request: Request) -> Response {
    let answer = match request {
        Request::UserList => Ok(Response::Accounts(app.auth.list())),
        Request::Overview => overview(app)
            .await
            .map(|overview| Response::Overview(Box::new(overview))),
        Request::Export => app.export_for_backup().await.map(Response::Exported),
        Request::AuditBooks => app.recount_usage().await.map(Response::Books),
        Request::LockList => Ok(Response::Locks(open_locks(app, |_| true))),
        Request::Audit { filter, limit } => read_audit(app, filter, limit).await,
        Request::UserFailures { name } => {
            let told = |failure| ClientFailure::of(failure, Language::English);
            let failures = app.auth.failures_of(&name, None);
            return done(
                &name,
                failures.map(|all| Response::Failures(all.into_iter().map(told).collect())),
            );
        }
        Request::Past { name, what } => {
            let recalled = local_administrator(app).history(&name, what).await;
            return done_there(&name, app, recalled);
        }
        Request::TeamAdd { .. } | Request::TeamList | Request::TeamRemove { .. } => {
            return teams::execute(app, &local_administrator(app), request).await;
        }
        Request::RemovedList => Ok(Response::Removed(app.removed_files())),
        Request::RemovedRestore { which, to } => {
            let back = local_administrator(app)
                .restore_removed(&which, to)
                .await
                .map(|path| match path {
                    Some(path) => Response::Moved(Some(format!("/{path}"))),
                    None => Response::Done,
                });
            return of_removed(&which, back);
        }
        Request::RemovedPurge { which } => {
            let purged = local_administrator(app).purge_removed_files(&which).await;
            return of_removed(&which, purged.map(|()| Response::Done));
        }
        Request::NewHome { place } => {
            return match local_administrator(app).replace_missing_tree(&place).await {
                Err(Error::NotFound) => Response::Refused(format!(
                    "There is no account or team folder with {place:?}."
                )),
                renewed => {
                    renewed.map_or_else(|e| Response::Refused(e.to_string()), |()| Response::Done)
                }
            };
        }
        Request::LockBreak { id } => {
            let work = local_administrator(app);
            match work.break_lock(&id, |_| true).await {
                Err(Error::NotFound) => {
                    return Response::Refused(format!("There is no lock {id}."));
                }
                broken => broken.map(|()| Response::Done),
            }
        }
        change => return change_account(app, change).await,
    };
    answer.unwrap_or_else(|error| Response::Refused(error.to_string()))
}

async fn read_audit(app: &App, filter: AuditFilter, limit: u32) -> Result<Response> {
    app.audit.flush(false).await;
    let limit = usize::try_from(limit.min(MAX_ENTRIES)).unwrap_or(usize::MAX);
    app.audit
        .read(filter, u64::MAX, limit)
        .await
        .map(Response::Audit)
}

/// Whoever is at the command line, at work.
fn local_administrator(app: &Arc<App>) -> Administrator {
    Administrator::new(
        app,
        app.audit.reporter(Actor::CommandLine, None),
        Arc::new(Irrevocable),
    )
}

/// A request that changes one account.
async fn change_account(app: &Arc<App>, request: Request) -> Response {
    let work = local_administrator(app);
    let alter = async |name, what| {
        let outcome = work.alter(&name, what, None).await.map(|_| Response::Done);
        done(&name, outcome)
    };
    match request {
        Request::UserAdd {
            name,
            role,
            quota,
            password,
            home,
        } => {
            let quota = match quota {
                QuotaChoice::Default => app.config.accounts.default_quota,
                QuotaChoice::Unlimited => None,
                QuotaChoice::Bytes(bytes) => Some(bytes),
            };
            let made = work
                .create(&name, password.as_bytes(), (role, quota), home.as_deref())
                .await;
            done(&name, made.map(|_| Response::Done))
        }
        Request::UserPasswd { name, password } => {
            let set = work.set_password(&name, password.as_bytes()).await;
            done(&name, set.map(|()| Response::Done))
        }
        Request::UserTwoFactorOff { name } if app.auth.account(&name).is_some() => {
            match work.drop_two_factor(&name).await {
                Err(Error::NotFound) => {
                    Response::Refused(format!("The sign-in of {name} asks for no code."))
                }
                dropped => done(&name, dropped.map(|()| Response::Done)),
            }
        }
        Request::UserTwoFactorOff { name } => done(&name, Err(Error::NotFound)),
        Request::UserDisable { name } => {
            alter(
                name,
                AccountUpdate {
                    disabled: Some(true),
                    ..AccountUpdate::default()
                },
            )
            .await
        }
        Request::UserEnable { name } => {
            alter(
                name,
                AccountUpdate {
                    disabled: Some(false),
                    ..AccountUpdate::default()
                },
            )
            .await
        }
        Request::UserQuota { name, quota } => {
            alter(
                name,
                AccountUpdate {
                    quota: Some(quota),
                    ..AccountUpdate::default()
                },
            )
            .await
        }
        Request::UserRole { name, role } => {
            alter(
                name,
                AccountUpdate {
                    role: Some(role),
                    ..AccountUpdate::default()
                },
            )
            .await
        }
        Request::UserEmail { name, email } => {
            let set = work.set_email(&name, email).await;
            done(&name, set.map(|()| Response::Done))
        }
        Request::UserLink { .. } | Request::UserUnlink { .. } => {
            change_link(app, &work, request).await
        }
        Request::UserRemove { name, files } => remove_account(app, &work, (name, files)).await,
        other => Response::Refused(format!("{other:?} changes no account.")),
    }
}

async fn remove_account(
    app: &App,
    work: &Administrator,
    (name, files): (AccountName, FilesDisposal),
) -> Response {
    let kept = files == FilesDisposal::Keep;
    let purged = files.is_purge();
    match work.remove(&name, files).await {
        Ok(RemovalOutcome { aside, .. }) if kept => Response::Aside(aside),
        Ok(_) if purged => Response::Done,
        Ok(RemovalOutcome {
            moved: Some(path), ..
        }) => Response::Moved(Some(format!("/{path}"))),
        Ok(_) => Response::Moved(None),
        Err(error) if app.auth.account(&name).is_none() && !matches!(error, Error::NotFound) => {
            Response::Refused(format!(
                "The account {name} is removed, but not all was done with its files, which `sarang removed list` shows or the next \
                 start goes on with: {error}"
            ))
        }
        Err(error) => done(&name, Err(error)),
    }
}

/// What is not there among the files that lie aside, and what there is.
fn of_removed(which: &str, outcome: Result<Response>) -> Response {
    match outcome {
        Err(Error::NotFound) => Response::Refused(format!(
            "There are no files {which:?} that lie aside, or no account or team folder to bring them to."
        )),
        other => other.unwrap_or_else(|error| Response::Refused(error.to_string())),
    }
}

/// A request that changes whom of the provider an account belongs to.
async fn change_link(app: &App, work: &Administrator, request: Request) -> Response {
    match request {
        Request::UserLink { name, subject } => match work.link_openid(&name, &subject).await {
            Err(Error::Exists) => {
                Response::Refused(format!("{name} or that subject is linked already."))
            }
            linked => done(&name, linked.map(|_| Response::Done)),
        },
        Request::UserUnlink { name } => match work.unlink_openid(&name).await {
            Err(Error::NotFound) if app.auth.account(&name).is_some() => {
                Response::Refused(format!("{name} is linked to nobody."))
            }
            ended => done(&name, ended.map(|()| Response::Done)),
        },
        other => Response::Refused(format!("{other:?} changes no link.")),
    }
}

/// What is not there in the drive of an account, and what there is.
fn done_there(name: &AccountName, app: &App, recalled: Result<HistoryResponse>) -> Response {
    match recalled {
        Err(Error::NotFound) if app.auth.account(name).is_some() => {
            Response::Refused(format!("There is no such thing in the past of {name}."))
        }
        other => done(name, other.map(Response::Past)),
    }
}

fn done(name: &AccountName, outcome: Result<Response>) -> Response {
    match outcome {
        Ok(response) => response,
        Err(Error::NotFound) => Response::Refused(format!("There is no account {name}.")),
        Err(Error::Exists) => Response::Refused(format!("There is already an account {name}.")),
        Err(error) => Response::Refused(error.to_string()),
    }
}
