//! Administration: accounts, the audit log, how the server is, the locks, what everybody shares.

pub mod accounts;
pub mod audit;
pub mod export;
pub mod local;
pub mod openid;
pub mod overview;
pub mod removed_files;
pub mod sharing;

use super::caller::{AdminCaller, LocalCaller};
use crate::admin::Administrator;
use crate::model::Irrevocable;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes for administrators.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::show, accounts::change, accounts::remove))
        .routes(routes!(accounts::set_password))
        .routes(routes!(accounts::set_email))
        .routes(routes!(openid::list, openid::link, openid::unlink))
        .routes(routes!(accounts::drop_two_factor))
        .routes(routes!(removed_files::list))
        .routes(routes!(removed_files::restore))
        .routes(routes!(removed_files::purge))
        .routes(routes!(audit::list))
        .routes(routes!(export::export))
        .routes(routes!(sharing::shares))
        .routes(routes!(sharing::end_share))
        .routes(routes!(sharing::links))
        .routes(routes!(sharing::end_link))
        .routes(routes!(overview::show))
        .routes(routes!(overview::locks))
        .routes(routes!(overview::break_lock))
}

impl AdminCaller {
    /// This administrator at work, for the audit log.
    pub fn at_work(&self) -> Administrator {
        Administrator::new(&self.app, self.reporter(), self.access())
    }
}

impl LocalCaller {
    /// Whoever is at the command line at work, for the audit log.
    pub fn at_work(&self) -> Administrator {
        Administrator::new(&self.app, self.reporter(), Arc::new(Irrevocable))
    }
}
