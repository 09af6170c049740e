//! The JSON API: one file per resource, its document made from the code; and the forms that do the same without scripts.

pub mod admin;
pub mod app_passwords;
pub mod bulk;
pub mod caller;
pub mod document;
pub mod failures;
pub mod field_patch;
mod fields;
pub mod files;
pub mod groups;
pub mod history;
pub mod invites;
pub mod json;
pub mod links;
pub mod markdown;
pub mod me;
pub mod openid;
pub mod openid_links;
pub mod page;
pub mod people;
pub mod problem;
pub mod qr;
pub mod registration;
pub mod rewind;
pub mod search;
pub mod session;
pub mod setup;
pub mod shares;
pub mod team_folders;
pub mod thumbnail;
pub mod tus;
pub mod two_factor;
pub mod upload;
pub mod zip;

use crate::http::reply;
use crate::model::Error;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::get;
use document::ApiTag;
use problem::Problem;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most bytes a JSON document or form may have.
const MAX_BODY: usize = 64 << 10;

/// Every route of the API, and its document (`OpenAPI` 3.1).
fn documented() -> (Router, OpenApi) {
    OpenApiRouter::with_openapi(document::head())
        .routes(routes!(setup::create))
        .merge(uploads())
        .merge(resumable())
        .routes(routes!(files::stat))
        .routes(routes!(files::mkdir))
        .routes(routes!(thumbnail::show))
        .routes(routes!(markdown::show))
        .routes(routes!(search::find))
        .routes(routes!(bulk::rename))
        .routes(routes!(bulk::copy))
        .routes(routes!(bulk::delete))
        .routes(routes!(zip::download))
        .routes(routes!(history::list, history::empty))
        .routes(routes!(history::restore))
        .routes(routes!(history::purge))
        .routes(routes!(history::versions, history::purge_version))
        .routes(routes!(history::download))
        .routes(routes!(history::revert))
        .routes(routes!(rewind::create))
        .routes(routes!(links::list, links::create))
        .routes(routes!(links::show, links::change, links::remove))
        .routes(routes!(me::show, me::change))
        .routes(routes!(me::change_password))
        .routes(routes!(failures::list))
        .routes(routes!(failures::list_of))
        .routes(routes!(qr::draw))
        .routes(routes!(two_factor::begin, two_factor::end))
        .routes(routes!(two_factor::confirm))
        .routes(routes!(registration::register))
        .routes(routes!(invites::list, invites::add))
        .routes(routes!(invites::withdraw))
        .routes(routes!(openid::ways))
        .routes(routes!(openid::start))
        .routes(routes!(openid::callback::callback))
        .routes(routes!(
            openid_links::list,
            openid_links::link,
            openid_links::unlink
        ))
        .routes(routes!(session::log_in))
        .routes(routes!(session::log_out))
        .routes(routes!(session::refresh))
        .routes(routes!(session::list, session::end_others))
        .routes(routes!(session::end))
        .routes(routes!(app_passwords::list, app_passwords::add))
        .routes(routes!(app_passwords::revoke))
        .merge(admin::routes())
        .routes(routes!(people::find))
        .routes(routes!(shares::list, shares::create))
        .routes(routes!(shares::incoming))
        .routes(routes!(shares::change, shares::end))
        .merge(large())
        .routes(routes!(team_folders::list, team_folders::create))
        .routes(routes!(team_folders::change, team_folders::remove))
        .split_for_parts()
}

/// The routes whose bodies are files, of any length.
fn uploads() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(files::list, upload::form))
        .routes(routes!(files::download, upload::raw))
        .layer(DefaultBodyLimit::disable())
}

/// The routes whose bodies name many accounts.
fn large() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::change, groups::remove))
        .layer(DefaultBodyLimit::max(groups::MAX_BODY))
}

/// The routes of uploads that can be gone on with.
fn resumable() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(tus::describe, tus::begin))
        .routes(routes!(tus::show, tus::go_on, tus::end, tus::overridden))
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::map_response(tus::mark))
}

/// The document of the API, as it is served.
pub fn description() -> String {
    document::text(&documented().1)
}

/// Every route of the API and of the forms beside it.
pub(super) fn routes() -> Router {
    let (api, document) = documented();
    let document = document::text(&document);
    api.route(
        "/api/v1/openapi.json",
        get(move || async { ([("content-type", "application/json")], document) }),
    )
    .route("/setup", get(setup::show).post(setup::submit))
    .route(
        openid::code_form::CODE,
        axum::routing::post(openid::code_form::submit_code),
    )
    .route("/api/{*rest}", axum::routing::any(nothing))
    .method_not_allowed_fallback(wrong_method)
    .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// The routes for the administrator at the command line: those of the API, and some that nobody else has.
pub(super) fn local_routes() -> Router {
    let (api, _) = documented();
    api.merge(admin::local::routes())
        .method_not_allowed_fallback(wrong_method)
        .fallback(wrong_address)
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn wrong_address() -> Response {
    reply::wrong_address().map(axum::body::Body::new)
}

async fn nothing() -> Problem {
    Problem(Error::NotFound)
}

async fn wrong_method() -> Response {
    reply::wrong_method().map(axum::body::Body::new)
}
