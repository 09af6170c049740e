//! Signing in by the provider: the way there, the way back, and the form that asks for a code. Whoever follows links in a
//! browser is answered with pages, programs with problems.

use super::ApiTag;
use super::caller::PublicCaller;
use super::json::{Query, read};
use super::problem::{Failures, Problem};
use super::session::with_cookie;
use crate::app::App;
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::auth::{CredentialSnapshot, NewSession, OpenIdSignIn, SESSION_LIFE, SessionClient};
use crate::config::Registration;
use crate::http::cookie::{self, ERRAND};
use crate::http::html::{escape, page};
use crate::http::{csrf, login, reply};
use crate::model::{Error, Result};
use crate::openid::{
    AuthorizationRedirect, OpenId, PendingCode, Purpose, SIGN_IN_TIMEOUT, STATE_MISMATCH,
};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

/// Where the form with the code goes.
pub const CODE: &str = "/openid/code";
const MAX_BACK: usize = 2048;
const LEFT: Error = Error::Forbidden(
    "The provider did not sign you in. Start again, or sign in with your password.",
);

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

/// What the provider sends along; it may send more.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallbackQuery {
    /// What was sent to the provider.
    state: Option<String>,
    /// What the ID token is had for.
    code: Option<String>,
    /// Why there is none.
    error: Option<String>,
    /// Which provider it is.
    iss: Option<String>,
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
        }) => with_errand(
            &app,
            &headers,
            (&kept, SIGN_IN_TIMEOUT),
            redirect(&location),
        ),
        Err(error) => refusal(&headers, error),
    }
}

/// Takes a browser back from the provider: signs in, or links the account that asked for it.
#[utoipa::path(get, path = "/api/v1/openid/callback", tag = ApiTag::SIGN_IN, operation_id = "openidCallback", security(()),
    params(CallbackQuery), responses(
        (status = 200, description = "A page that asks for the account's code.", content_type = "text/html", body = String),
        (status = 302, description = "Signed in."), Failures))]
pub async fn callback(
    public: PublicCaller,
    headers: HeaderMap,
    Query(said): Query<CallbackQuery>,
) -> Response {
    let PublicCaller { app, client } = public;
    match arrive(&app, client, &headers, said).await {
        Ok(response) => response,
        // Whoever left has come back, for better or worse.
        Err(error) => with_errand(&app, &headers, ("", 0), refusal(&headers, error)),
    }
}

/// `POST /openid/code`, from the form of [`callback`].
pub async fn submit_code(
    PublicCaller { app, client }: PublicCaller,
    head: Parts,
    request: Request,
) -> Response {
    let headers = head.headers.clone();
    let outcome = async {
        csrf::check_if_known(&app.config.server, &head)?;
        let openid = provider(&app)?;
        let owing = openid.read_pending_code(
            ERRAND
                .read(is_https(&app, &headers), &headers)
                .ok_or(STATE_MISMATCH)?,
        )?;
        let body = read(request, &()).await.map_err(|Problem(error)| error)?;
        let caller = SessionClient {
            address: client,
            agent: login::agent_of(&headers),
        };
        let admitted = (&owing.admitted, openid.config());
        Ok((
            app.auth
                .sign_in_with_code(admitted, &code_in(&body), caller)
                .await,
            owing,
        ))
    };
    match outcome.await {
        Ok((Ok(begun), owing)) => let_in(&app, &headers, &begun, &owing.back),
        Ok((Err(error @ (Error::Unauthenticated | Error::Throttled { .. })), _)) => {
            let why = match &error {
                Error::Unauthenticated => "This is not a code that is good now.".to_owned(),
                other => other.to_string(),
            };
            (
                reply::failure(&error).status(),
                page("Sign in", &form(Some(&why))),
            )
                .into_response()
        }
        Ok((Err(error), _)) | Err(error) => {
            with_errand(&app, &headers, ("", 0), refusal(&headers, error))
        }
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
pub(super) fn with_errand(
    app: &App,
    headers: &HeaderMap,
    (kept, life): (&str, i64),
    answer: impl IntoResponse,
) -> Response {
    let mut response = answer.into_response();
    if let Some(value) = ERRAND.write(is_https(app, headers), kept, life) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

async fn arrive(
    app: &Arc<App>,
    client: IpAddr,
    headers: &HeaderMap,
    said: CallbackQuery,
) -> Result<Response> {
    let openid = provider(app)?;
    let kept = ERRAND
        .read(is_https(app, headers), headers)
        .ok_or(STATE_MISMATCH)?;
    let errand = openid.read_state(kept, &said.state.unwrap_or_default())?;
    let Some(code) = said.code.filter(|_| said.error.is_none()) else {
        tracing::info!(
            error = said.error.as_deref(),
            "the sign-in provider sent somebody back without a code"
        );
        return Err(LEFT);
    };
    let tried = app.auth.reserve_attempt(client)?;
    let (work, agent) = (app.clone(), login::agent_of(headers).to_owned());
    let done = app.run_to_completion(async move {
        let openid = provider(&work)?;
        let redeemed = openid
            .exchange_code(&errand, &code, said.iss.as_deref())
            .await;
        if matches!(redeemed, Err(Error::Forbidden(_))) {
            work.auth.note_unconfirmed(client);
        } else {
            work.auth.refund_attempt(tried);
        }
        let assertion = redeemed?;
        if let Purpose::Link(standing) = errand.purpose {
            link(
                &work,
                client,
                &standing,
                (&assertion.issuer, &assertion.subject),
            )
            .await?;
            return Ok((None, errand.back));
        }
        let caller = SessionClient {
            address: client,
            agent: &agent,
        };
        let welcome = work
            .auth
            .sign_in_by_openid(&assertion, openid.config(), caller)
            .await?;
        Ok((Some(welcome), errand.back))
    });
    Ok(match done.await? {
        (Some(OpenIdSignIn::SignedIn(begun)), back) => let_in(app, headers, &begun, &back),
        (Some(OpenIdSignIn::CodeRequired(admitted)), back) => {
            let kept = openid.write_pending_code(PendingCode { admitted, back });
            with_errand(
                app,
                headers,
                (&kept, SIGN_IN_TIMEOUT),
                page("Sign in", &form(None)),
            )
        }
        (None, back) => with_errand(app, headers, ("", 0), redirect(&back)),
    })
}

/// Links the account of somebody who has shown that it is theirs.
async fn link(
    app: &App,
    client: IpAddr,
    standing: &CredentialSnapshot,
    (issuer, subject): (&str, &str),
) -> Result<()> {
    let name = &standing.account;
    app.auth
        .link_openid_of(standing, issuer, subject)
        .await
        .map_err(|error| match error {
            Error::Exists => {
                Error::Forbidden("This account, or an account of yours here, is linked already.")
            }
            other => other,
        })?;
    let event = AuditEvent::new(
        Actor::Account(name.clone()),
        AuditKind::OpenidLinked,
        name.as_str(),
    )
    .with_address(client);
    app.audit
        .record(event.with_note(format!("to {subject} of {issuer}, by itself")))
        .await;
    Ok(())
}

fn let_in(app: &App, headers: &HeaderMap, begun: &NewSession, back: &str) -> Response {
    let response = with_cookie(app, headers, (&begun.secret, SESSION_LIFE), redirect(back));
    with_errand(app, headers, ("", 0), response)
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

fn form(wrong: Option<&str>) -> String {
    let wrong = wrong
        .map(|why| format!("<p class=\"wrong\" role=\"alert\">{}</p>", escape(why)))
        .unwrap_or_default();
    format!(
        "{wrong}<p>This account also asks for a code: one that its authenticator app shows, or a recovery code.</p>\
         <form method=\"post\" action=\"{CODE}\"><label>Code<input name=\"code\" required autofocus \
         autocomplete=\"one-time-code\" maxlength=\"40\"></label><button>Sign in</button></form>"
    )
}

/// The code in `application/x-www-form-urlencoded` text.
fn code_in(body: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
    let code = text
        .split('&')
        .find_map(|pair| pair.strip_prefix("code="))
        .unwrap_or_default()
        .replace('+', " ");
    Zeroizing::new(percent_decode_str(&code).decode_utf8_lossy().into_owned())
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

    #[test]
    fn codes_are_read_from_the_form() {
        assert_eq!(*code_in(b"code=123+456"), "123 456");
        assert_eq!(*code_in(b"a=b&code=abcd%2Defgh&code=x"), "abcd-efgh");
        assert_eq!(*code_in(b"x"), "");
    }
}
