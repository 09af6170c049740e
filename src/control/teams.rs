//! Requests about team folders.

use super::{Request, Response};
use crate::admin::Administrator;
use crate::admin::teams::{bind_member, list};
use crate::app::App;
use crate::app::removal::RemovalOutcome;
use crate::model::Error;

pub(super) async fn execute(app: &App, work: &Administrator, request: Request) -> Response {
    match request {
        Request::TeamAdd {
            name,
            members,
            quota,
            folder,
        } => {
            let mut bound = Vec::new();
            for member in members {
                match bind_member(app, &member) {
                    Some(member) => bound.push(member),
                    None => return Response::Refused(format!("There is no {}.", member.to)),
                }
            }
            match work
                .create_team(&name, bound, quota, folder.as_deref())
                .await
            {
                Ok(_) => Response::Done,
                Err(Error::Exists) => {
                    Response::Refused(format!("There is already a team folder {name}."))
                }
                Err(error) => Response::Refused(error.to_string()),
            }
        }
        Request::TeamRemove { name, files } => {
            let kept = !files.is_purge();
            match work.remove_team(&name, files).await {
                Ok(RemovalOutcome { aside, .. }) if kept => Response::Aside(aside),
                Ok(_) => Response::Done,
                Err(Error::NotFound) => {
                    Response::Refused(format!("There is no team folder {name}."))
                }
                Err(error) => Response::Refused(error.to_string()),
            }
        }
        Request::TeamList => Response::Teams(list(app)),
        other => Response::Refused(format!("{other:?} is about no team folder.")),
    }
}
