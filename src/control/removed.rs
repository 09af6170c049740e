//! Requests about the files of accounts and team folders that were removed or are missing.

use super::local_administrator;
use super::request::{Request, Response};
use crate::app::App;
use crate::model::{Error, Result};
use std::sync::Arc;

/// Carries out such a request.
pub(super) async fn execute(app: &Arc<App>, request: Request) -> Response {
    match request {
        Request::RemovedList => Response::Removed(app.removed_files()),
        Request::RemovedRestore { which, to } => {
            let back = local_administrator(app)
                .restore_removed(&which, to)
                .await
                .map(|path| match path {
                    Some(path) => Response::Moved(Some(format!("/{path}"))),
                    None => Response::Done,
                });
            of_removed(&which, back)
        }
        Request::RemovedPurge { which } => {
            let purged = local_administrator(app).purge_removed_files(&which).await;
            of_removed(&which, purged.map(|()| Response::Done))
        }
        Request::NewHome { place } => {
            match local_administrator(app).replace_missing_tree(&place).await {
                Err(Error::NotFound) => Response::Refused(format!(
                    "There is no account or team folder with {place:?}."
                )),
                renewed => {
                    renewed.map_or_else(|e| Response::Refused(e.to_string()), |()| Response::Done)
                }
            }
        }
        other => Response::Refused(format!("{other:?} is about no removed files.")),
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
