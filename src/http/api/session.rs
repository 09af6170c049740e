//! Signing in and out: sessions by cookie, and bearers for programs.

use super::ApiTag;
use super::caller::{AccountCaller, PublicCaller};
use super::fields::date;
use super::json::{Json, Query};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem};
use crate::app::App;
use crate::audit::{Actor, AuditKind};
use crate::auth::{BEARER_LIFE, PasswordCredentials, SESSION_LIFE, Session, SessionClient};
use crate::http::{cookie, csrf, login};
use crate::model::{AccountName, Error, Identity, Role, Via};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// What signs an account in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The account's name.
    name: String,
    /// Its password.
    #[schema(value_type = String)]
    password: Zeroizing<String>,
    /// A code of the authenticator app or a recovery code, for accounts with two-factor sign-in.
    code: Option<String>,
    /// Whether a bearer is wanted, too.
    #[serde(default)]
    bearer: bool,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A session that has just begun; its secret is in the cookie.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoggedIn {
    /// Who has signed in.
    pub name: AccountName,
    /// The account's role.
    pub role: Role,
    /// The session's id.
    pub session: String,
    /// The bearer, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Bearer>,
}

/// What stands for a session in an `Authorization: Bearer` header, for a short time.
#[derive(Serialize, ToSchema)]
pub struct Bearer {
    /// The token.
    #[schema(value_type = String)]
    pub token: Zeroizing<String>,
    /// Seconds it is good for, if the session does not end before.
    pub expires_in: i64,
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bearer").finish_non_exhaustive()
    }
}

impl Bearer {
    fn of(app: &App, session: &str) -> Result<Self, Error> {
        Ok(Self {
            token: app.auth.bearer_of(session)?,
            expires_in: BEARER_LIFE,
        })
    }
}

/// A session, as its account sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Its id; not what signs in.
    pub id: String,
    /// When it began.
    pub created: String,
    /// When it was last used, an hour late at most.
    pub used: String,
    /// When it ends if it is not used any more.
    pub ends: String,
    /// The address it began from.
    pub address: String,
    /// The client it began with, by its own word.
    pub agent: String,
    /// Whether this request came with it.
    pub current: bool,
}

impl SessionView {
    fn new(id: String, session: &Session, asking: &Identity) -> Self {
        Self {
            created: date(session.created),
            used: date(session.used),
            ends: date(session.ends()),
            address: session.address.to_string(),
            agent: session.agent.clone(),
            current: session_of(asking) == Some(id.as_str()),
            id,
        }
    }
}

/// Signs in and begins a session: the cookie is set, and a bearer is made when asked.
#[utoipa::path(post, path = "/api/v1/login", tag = ApiTag::SIGN_IN, operation_id = "login", security(()), request_body = Login,
    responses((status = 200, body = LoggedIn), Failures))]
pub async fn log_in(
    PublicCaller { app, client }: PublicCaller,
    head: Parts,
    Json(given): Json<Login>,
) -> Result<Response, Problem> {
    csrf::check_if_known(&app.config.server, &head)?;
    let caller = SessionClient {
        address: client,
        agent: login::agent_of(&head.headers),
    };
    let attempted = PasswordCredentials {
        user: &given.name,
        password: given.password.as_bytes(),
    };
    let begun = app
        .auth
        .begin_session(attempted, given.code.as_deref(), caller)
        .await?;
    let reporter = app
        .audit
        .reporter(Actor::Account(begun.identity.account.clone()), Some(client));
    reporter
        .done(
            AuditKind::SessionStarted,
            &begun.id,
            caller.truncated_agent(),
        )
        .await;
    let bearer = given
        .bearer
        .then(|| Bearer::of(&app, &begun.id))
        .transpose()?;
    let answer = LoggedIn {
        name: begun.identity.account.clone(),
        role: begun.identity.role,
        session: begun.id,
        bearer,
    };
    Ok(with_cookie(
        &app,
        &head.headers,
        (&begun.secret, SESSION_LIFE),
        axum::Json(answer),
    ))
}

/// Ends the session that asks, and takes its cookie away.
#[utoipa::path(post, path = "/api/v1/logout", tag = ApiTag::SIGN_IN, operation_id = "logout",
    responses((status = 204), Failures))]
pub async fn log_out(account: AccountCaller, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(id) = session_of(&account.identity) {
        match end_and_report(&account, id.to_owned()).await {
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => return Err(Problem(error)),
        }
    }
    Ok(with_cookie(
        &account.app,
        &headers,
        ("", 0),
        StatusCode::NO_CONTENT,
    ))
}

/// A new bearer for the session that asks, by its cookie or by a bearer that is still good.
#[utoipa::path(post, path = "/api/v1/session/refresh", tag = ApiTag::SIGN_IN, operation_id = "refreshBearer",
    responses((status = 200, body = Bearer), Failures))]
pub async fn refresh(
    AccountCaller { app, identity, .. }: AccountCaller,
) -> Result<axum::Json<Bearer>, Problem> {
    let id = session_of(&identity).ok_or(Error::Forbidden(
        "Bearers are made for sessions; sign in for one first.",
    ))?;
    Ok(axum::Json(Bearer::of(&app, id)?))
}

/// The sessions of the account.
#[utoipa::path(get, path = "/api/v1/sessions", tag = ApiTag::SIGN_IN, operation_id = "listSessions", params(PageQuery),
    responses((status = 200, body = Page<SessionView>), Failures))]
pub async fn list(
    AccountCaller { app, identity, .. }: AccountCaller,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Page<SessionView>>, Problem> {
    let sessions = app.auth.sessions_of(&identity.account).into_iter();
    let views = sessions.map(|(id, session)| SessionView::new(id, &session, &identity));
    Ok(axum::Json(page.cut(views, |view| view.id.clone())?))
}

/// Ends one session of the account, from the next request on.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = ApiTag::SIGN_IN, operation_id = "endSession",
    params(("id" = String, Path)), responses((status = 204), Failures))]
pub async fn end(account: AccountCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    end_and_report(&account, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_and_report(account: &AccountCaller, id: String) -> Result<(), Error> {
    let app = account.app.clone();
    let identity = account.identity.clone();
    let reporter = account.reporter();
    let work = async move {
        let ended = app.auth.revoke_session(&identity.account, &id).await;
        reporter
            .report(AuditKind::SessionEnded, &id, "", &ended)
            .await;
        ended
    };
    account.app.run_to_completion(work).await
}

/// Ends all sessions of the account but the one that asks.
#[utoipa::path(delete, path = "/api/v1/sessions", tag = ApiTag::SIGN_IN, operation_id = "endOtherSessions",
    responses((status = 204), Failures))]
pub async fn end_others(account: AccountCaller) -> Result<StatusCode, Problem> {
    let reporter = account.reporter();
    let AccountCaller { app, identity, .. } = account;
    let all = app.clone();
    let work = async move {
        let ended = all
            .auth
            .revoke_other_sessions(&identity.account, session_of(&identity))
            .await;
        let note = if session_of(&identity).is_some() {
            "all but the one that asked"
        } else {
            "all"
        };
        let is_change = ended.as_ref().is_ok_and(|count| *count > 0);
        reporter
            .report_change(
                AuditKind::SessionEnded,
                identity.account.as_str(),
                note,
                (&ended, is_change),
            )
            .await;
        ended
    };
    app.run_to_completion(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The session that an identity came by.
pub(super) fn session_of(identity: &Identity) -> Option<&str> {
    match &identity.via {
        Via::Session(id) => Some(id),
        Via::Password | Via::AppPassword(_) | Via::Link(_) => None,
    }
}

pub(super) fn with_cookie(
    app: &App,
    headers: &HeaderMap,
    (secret, seconds): (&str, i64),
    answer: impl IntoResponse,
) -> Response {
    let mut response = answer.into_response();
    let https = cookie::is_https(&app.config.server, headers);
    if let Some(value) = cookie::SESSION.write(https, secret, seconds) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
