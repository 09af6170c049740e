//! What an administrator can ask of a running server, or of the data folder when none runs: one enum of requests, one of
//! answers, one function between them. [`ControlServer`] and [`call`] carry them over a Unix socket in the data folder.

mod accounts;
mod password;
mod removed;
mod request;
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
use crate::admin::{Administrator, open_locks, overview};
use crate::app::App;
pub use crate::app::{Destination, RemovedFiles};
use crate::audit::{Actor, AuditFilter};
use crate::failures::{ClientFailure, Language};
use crate::model::{AccountName, Error, Irrevocable, Result};
pub use password::{Password, QuotaChoice};
pub use request::{Request, Response};
pub use socket::{ControlServer, call};
use std::sync::Arc;

/// Entries of the audit log in one answer.
const MAX_ENTRIES: u32 = 100_000;

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
        Request::RemovedList
        | Request::RemovedRestore { .. }
        | Request::RemovedPurge { .. }
        | Request::NewHome { .. } => return removed::execute(app, request).await,
        Request::LockBreak { id } => {
            let work = local_administrator(app);
            match work.break_lock(&id, |_| true).await {
                Err(Error::NotFound) => {
                    return Response::Refused(format!("There is no lock {id}."));
                }
                broken => broken.map(|()| Response::Done),
            }
        }
        change => return accounts::change_account(app, change).await,
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
