//! Requests that change one account.

use super::password::QuotaChoice;
use super::request::{Request, Response};
use super::{done, local_administrator};
use crate::admin::{Administrator, FilesDisposal};
use crate::app::App;
use crate::app::removal::RemovalOutcome;
use crate::auth::AccountUpdate;
use crate::model::{AccountName, Error};
use std::sync::Arc;

/// A request that changes one account.
pub(super) async fn change_account(app: &Arc<App>, request: Request) -> Response {
    let work = local_administrator(app);
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
        Request::UserDisable { .. }
        | Request::UserEnable { .. }
        | Request::UserQuota { .. }
        | Request::UserRole { .. } => update_account(&work, request).await,
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

/// A request that changes one setting of an account.
async fn update_account(work: &Administrator, request: Request) -> Response {
    let unchanged = AccountUpdate::default();
    let (name, update) = match request {
        Request::UserDisable { name } => {
            let disabled = Some(true);
            (
                name,
                AccountUpdate {
                    disabled,
                    ..unchanged
                },
            )
        }
        Request::UserEnable { name } => {
            let disabled = Some(false);
            (
                name,
                AccountUpdate {
                    disabled,
                    ..unchanged
                },
            )
        }
        Request::UserQuota { name, quota } => {
            let quota = Some(quota);
            (name, AccountUpdate { quota, ..unchanged })
        }
        Request::UserRole { name, role } => {
            let role = Some(role);
            (name, AccountUpdate { role, ..unchanged })
        }
        other => return Response::Refused(format!("{other:?} changes no setting.")),
    };
    let outcome = work.alter(&name, update, None).await;
    done(&name, outcome.map(|_| Response::Done))
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
