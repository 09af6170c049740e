//! The way back from the provider: signs in, or links the account that asked for it.

use super::code_form::form;
use super::{is_https, let_in, provider, redirect, refusal, with_state_cookie};
use crate::app::App;
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::auth::{Assertion, CredentialSnapshot, OpenIdSignIn, SessionClient};
use crate::http::api::ApiTag;
use crate::http::api::caller::PublicCaller;
use crate::http::api::json::Query;
use crate::http::api::problem::Failures;
use crate::http::cookie::SIGN_IN_STATE;
use crate::http::html::page;
use crate::http::login;
use crate::model::{Error, Result};
use crate::openid::{PendingCode, Purpose, SIGN_IN_TIMEOUT, STATE_MISMATCH};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::IntoParams;

const LEFT: Error = Error::Forbidden(
    "The provider did not sign you in. Start again, or sign in with your password.",
);

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
        Err(error) => with_state_cookie(&app, &headers, ("", 0), refusal(&headers, error)),
    }
}

async fn arrive(
    app: &Arc<App>,
    client: IpAddr,
    headers: &HeaderMap,
    said: CallbackQuery,
) -> Result<Response> {
    let openid = provider(app)?;
    let kept = SIGN_IN_STATE
        .read(is_https(app, headers), headers)
        .ok_or(STATE_MISMATCH)?;
    let state = openid.read_state(kept, &said.state.unwrap_or_default())?;
    let Some(code) = said.code.filter(|_| said.error.is_none()) else {
        tracing::info!(
            error = said.error.as_deref(),
            "the sign-in provider sent somebody back without a code"
        );
        return Err(LEFT);
    };
    let tried = app.auth.reserve_attempt(client)?;
    let work = app.clone();
    let agent = login::agent_of(headers).to_owned();
    let done = app.run_to_completion(async move {
        let openid = provider(&work)?;
        let redeemed = openid
            .exchange_code(&state, &code, said.iss.as_deref())
            .await;
        if matches!(redeemed, Err(Error::Forbidden(_))) {
            work.auth.note_unconfirmed(client);
        } else {
            work.auth.refund_attempt(tried);
        }
        let caller = SessionClient {
            address: client,
            agent: &agent,
        };
        let signed_in = link_or_sign_in(&work, state.purpose, &redeemed?, caller).await?;
        Ok((signed_in, state.back))
    });
    Ok(match done.await? {
        (Some(OpenIdSignIn::SignedIn(begun)), back) => let_in(app, headers, &begun, &back),
        (Some(OpenIdSignIn::CodeRequired(admitted)), back) => {
            let kept = openid.write_pending_code(PendingCode { admitted, back });
            with_state_cookie(
                app,
                headers,
                (&kept, SIGN_IN_TIMEOUT),
                page("Sign in", &form(None)),
            )
        }
        (None, back) => with_state_cookie(app, headers, ("", 0), redirect(&back)),
    })
}

/// Does what the browser was sent to the provider for; `None` when an account was linked.
async fn link_or_sign_in(
    app: &App,
    purpose: Purpose,
    assertion: &Assertion,
    caller: SessionClient<'_>,
) -> Result<Option<OpenIdSignIn>> {
    if let Purpose::Link(standing) = purpose {
        let subject = (assertion.issuer.as_str(), assertion.subject.as_str());
        link(app, caller.address, &standing, subject).await?;
        return Ok(None);
    }
    let config = provider(app)?.config();
    let signed_in = app
        .auth
        .sign_in_by_openid(assertion, config, caller)
        .await?;
    Ok(Some(signed_in))
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
