//! Signing in by the provider: the way there, the way back ([`callback`]), and the form that asks for a code ([`code_form`]). Whoever
//! follows links in a browser is answered with pages, programs with problems.

pub mod callback;
pub mod code_form;

use crate::app::App;
use crate::auth::{NewSession, SESSION_LIFE};
use crate::config::Registration;
use crate::http::api::ApiTag;
use crate::http::api::caller::PublicCaller;
use crate::http::api::json::Query;
use crate::http::api::problem::{Failures, Problem};
use crate::http::api::session::with_cookie;
use crate::http::cookie::SIGN_IN_STATE;
use crate::http::html::{escape, page};
use crate::http::{cookie, reply};
use crate::model::{Error, Result};
use crate::openid::{AuthorizationRedirect, OpenId, Purpose, SIGN_IN_TIMEOUT};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const MAX_BACK: usize = 2048;

/// The ways to sign in that this server has.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignInWays {
    /// By name and password: `POST /api/v1/login`.
    pub password: bool,
    /// Who may make an account: `closed`, `invite` or `open`.
    pub registration: &'static str,
    /// By a provider; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub openid: Option<OpenIdWay>,
}

/// The way in by a provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenIdWay {
    /// What stands on the button.
    pub name: String,
    /// Where the button leads.
    pub start: String,
}

/// Where to go afterwards.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StartQuery {
    /// A path of this server, `/` if not said.
    #[serde(rename = "return")]
    #[param(rename = "return")]
    back: Option<String>,
}

/// The ways to sign in that this server has.
#[utoipa::path(get, path = "/api/v1/sign-in", tag = ApiTag::SIGN_IN, operation_id = "signInWays", security(()),
    responses((status = 200, body = SignInWays), Failures))]
pub async fn ways(PublicCaller { app, .. }: PublicCaller) -> axum::Json<SignInWays> {
    let registration = match app.config.accounts.registration {
        Registration::Closed => "closed",
        Registration::Invite => "invite",
        Registration::Open => "open",
    };
    let openid = app.openid.as_ref();
    let openid = openid.map(|it| OpenIdWay {
        name: it.config().name.clone(),
        start: format!("{}/api/v1/openid/start", app.config.server.path_prefix()),
    });
    axum::Json(SignInWays {
        password: true,
        registration,
        openid,
    })
}

/// Sends a browser to the provider to sign in.
#[utoipa::path(get, path = "/api/v1/openid/start", tag = ApiTag::SIGN_IN, operation_id = "openidStart", security(()),
    params(StartQuery), responses((status = 302, description = "To the provider."), Failures))]
pub async fn start(
    PublicCaller { app, .. }: PublicCaller,
    headers: HeaderMap,
    Query(asked): Query<StartQuery>,
) -> Response {
    let sent = async {
        let back = local(asked.back)?;
        provider(&app)?.begin_sign_in(Purpose::SignIn, back).await
    };
    match sent.await {
        Ok(AuthorizationRedirect {
            location,
            cookie: kept,
        }) => with_state_cookie(
            &app,
            &headers,
            (&kept, SIGN_IN_TIMEOUT),
            redirect(&location),
        ),
        Err(error) => refusal(&headers, error),
    }
}

/// A path of this server that a browser may be sent to afterwards.
pub(super) fn local(back: Option<String>) -> Result<String> {
    let Some(back) = back else {
        return Ok("/".into());
    };
    let is_plain =
        back.len() <= MAX_BACK && back.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if is_plain && back.starts_with('/') && !back.starts_with("//") {
        return Ok(back);
    }
    let why = "This must be a path of this server, such as /photos.".into();
    Err(Error::Invalid {
        pointer: "/return".into(),
        why,
    })
}

/// The provider. `Forbidden` without one.
pub(super) fn provider(app: &App) -> Result<&OpenId> {
    app.openid.as_ref().ok_or(Error::Forbidden(
        "This server has no sign-in provider; sign in with your password.",
    ))
}

/// An answer with the cookie that remembers who left.
pub(super) fn with_state_cookie(
    app: &App,
    headers: &HeaderMap,
    (kept, life): (&str, i64),
    answer: impl IntoResponse,
) -> Response {
    let mut response = answer.into_response();
    if let Some(value) = SIGN_IN_STATE.write(is_https(app, headers), kept, life) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

fn let_in(app: &App, headers: &HeaderMap, begun: &NewSession, back: &str) -> Response {
    let response = with_cookie(app, headers, (&begun.secret, SESSION_LIFE), redirect(back));
    with_state_cookie(app, headers, ("", 0), response)
}

fn is_https(app: &App, headers: &HeaderMap) -> bool {
    cookie::is_https(&app.config.server, headers)
}

fn redirect(location: &str) -> Response {
    match HeaderValue::try_from(location) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        Err(_) => Problem(Error::BadRequest("This is no address.")).into_response(),
    }
}

/// A failure, as a page for who follows links and as a problem for programs.
fn refusal(headers: &HeaderMap, error: Error) -> Response {
    let mut accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok());
    if !accepted.any(|accept| accept.contains("text/html")) {
        return Problem(error).into_response();
    }
    reply::log(&error);
    let failure = reply::failure(&error);
    let text = format!(
        "<p class=\"wrong\" role=\"alert\">{}</p><p><a href=\"/\">Go on</a></p>",
        escape(&error.to_string())
    );
    let mut response = (failure.status(), page("Not signed in", &text)).into_response();
    if let Some(after) = failure.headers().get(header::RETRY_AFTER) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, after.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_returned_to() {
        assert_eq!(local(None).unwrap(), "/");
        for good in ["/", "/photos?a=b&c=%2F#top", "/a//b", "/@x"] {
            assert_eq!(local(Some(good.into())).unwrap(), good);
        }
        let long = format!("/{}", "a".repeat(MAX_BACK));
        for bad in [
            "",
            "photos",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "https://evil.example",
            "/\t/evil",
            "/a b",
            "/ä",
            &long,
        ] {
            assert!(local(Some(bad.into())).is_err(), "{bad}");
        }
    }
}
