//! Set-up: making the first administrator, by a form without scripts or by JSON. Gone (404) once there is an account.

use super::ApiTag;
use super::admin::accounts::AccountDocument;
use super::caller::PublicCaller;
use super::json::{Json, read};
use super::problem::{Failures, Problem};
use crate::app::App;
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::auth::AccountView;
use crate::http::html::{app_page, escape, page};
use crate::model::{AccountName, Error, Role};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::net::IpAddr;
use utoipa::ToSchema;
use zeroize::Zeroizing;

const WRONG_LINK: Error =
    Error::Forbidden("This set-up link is not the one the server printed when it started last.");

/// What makes the first administrator.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdmin {
    token: String,
    name: String,
    #[schema(value_type = String)]
    password: Zeroizing<String>,
}

impl std::fmt::Debug for NewAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAdmin")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Whether the first administrator can still be made.
pub fn is_open(app: &App) -> bool {
    app.setup.is_open() && app.auth.list().is_empty()
}

/// Makes the first administrator, with the token of the set-up link.
#[utoipa::path(post, path = "/api/v1/setup", tag = ApiTag::SETUP, operation_id = "setup", security(()), request_body = NewAdmin,
    responses((status = 201, body = AccountDocument), Failures))]
pub async fn create(
    PublicCaller { app, client }: PublicCaller,
    Json(admin): Json<NewAdmin>,
) -> Result<(StatusCode, axum::Json<AccountDocument>), Problem> {
    let account = make(&app, &admin, client).await?;
    Ok((
        StatusCode::CREATED,
        axum::Json(AccountDocument::of(&app, account)),
    ))
}

/// `GET /setup?token=…`
pub async fn show(PublicCaller { app, .. }: PublicCaller, uri: Uri) -> Response {
    if !is_open(&app) {
        return over();
    }
    let admin = NewAdmin::from_form(uri.query().unwrap_or_default());
    app_page("Set up Sarang", &form(&admin, None))
}

/// `POST /setup`, from the form of [`show`].
pub async fn submit(PublicCaller { app, client }: PublicCaller, request: Request) -> Response {
    if !is_open(&app) {
        return over();
    }
    let body = match read(request, &()).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let admin = NewAdmin::from_form(&String::from_utf8_lossy(&body));
    match make(&app, &admin, client).await {
        Ok(account) => {
            let name = escape(account.name.as_str());
            let text = format!(
                "<p>The account <strong>{name}</strong> is made. <a href=\"/\">Connect to the drive</a>.</p>"
            );
            (StatusCode::CREATED, page("Ready", &text)).into_response()
        }
        Err(error) => {
            let status = crate::http::reply::failure(&error).status();
            (
                status,
                app_page("Set up Sarang", &form(&admin, Some(&error))),
            )
                .into_response()
        }
    }
}

async fn make(app: &App, admin: &NewAdmin, client: IpAddr) -> Result<AccountView, Error> {
    if !is_open(app) {
        return Err(Error::NotFound);
    }
    let tried = app.auth.reserve_attempt(client)?;
    let claim = app.setup.claim(&admin.token).ok_or(WRONG_LINK)?;
    app.auth.refund_attempt(tried);
    let name = AccountName::parse(&admin.name)?;
    let rights = (Role::Admin, app.config.accounts.default_quota);
    let password = admin.password.as_bytes();
    let made = app
        .auth
        .create_with(&name, password, rights, claim.spend().into())
        .await;
    if matches!(made, Err(Error::Conflict)) {
        // Another process on the store was faster.
        claim.finish();
        return Err(Error::NotFound);
    }
    let account = made?;
    claim.finish();
    let event = AuditEvent::new(Actor::Nobody, AuditKind::AccountCreated, name.as_str())
        .with_address(client);
    app.audit
        .record(event.with_note("role admin, by the set-up link"))
        .await;
    tracing::info!(account = name.as_str(), "the first administrator was made");
    Ok(account)
}

fn over() -> Response {
    (
        StatusCode::NOT_FOUND,
        page(
            "Nothing here",
            "<p>Set-up is over: there is an account. <a href=\"/\">Go on</a>.</p>",
        ),
    )
        .into_response()
}

fn form(admin: &NewAdmin, wrong: Option<&Error>) -> String {
    let wrong = wrong
        .map(|e| {
            format!(
                "<p class=\"wrong\" role=\"alert\">{}</p>",
                escape(&e.to_string())
            )
        })
        .unwrap_or_default();
    let token = escape(&admin.token);
    let name = escape(&admin.name);
    format!(
        "{wrong}<p>Choose the account that administers this server.</p><form method=\"post\" action=\"/setup\">\
         <input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <label>Account name<input name=\"name\" value=\"{name}\" required autofocus autocomplete=\"username\" \
         autocapitalize=\"none\" maxlength=\"64\"></label>\
         <label>Password<input name=\"password\" type=\"password\" required autocomplete=\"new-password\"></label>\
         <button>Make the account</button></form>"
    )
}

impl NewAdmin {
    /// Reads `application/x-www-form-urlencoded` text; what is not known is passed over.
    fn from_form(text: &str) -> Self {
        let mut admin = Self::default();
        for (key, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            let spaced = Zeroizing::new(value.replace('+', " "));
            let value = percent_decode_str(&spaced).decode_utf8_lossy().into_owned();
            match key {
                "token" => admin.token = value,
                "name" => admin.name = value,
                "password" => admin.password = Zeroizing::new(value),
                _ => {}
            }
        }
        admin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let admin = NewAdmin::from_form("token=t%2Dk&name=ana&password=a+b%26%C3%A9&x=y&junk");
        assert_eq!(
            (
                admin.token.as_str(),
                admin.name.as_str(),
                admin.password.as_str()
            ),
            ("t-k", "ana", "a b&é")
        );
        assert!(!format!("{admin:?}").contains('&'), "secrets do not show");
    }

    #[test]
    fn the_form_keeps_the_name_but_not_the_password() {
        let admin = NewAdmin::from_form("token=%22%3E&name=%3Cb%3E&password=geheim");
        let html = form(&admin, Some(&WRONG_LINK));
        assert!(
            html.contains("value=\"&quot;&gt;\"") && html.contains("value=\"&lt;b&gt;\""),
            "{html}"
        );
        assert!(html.contains("not the one") && !html.contains("geheim"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let known = r#"{"token":"a","name":"b","password":"c"}"#;
        assert!(serde_json::from_str::<NewAdmin>(known).is_ok());
        let unknown = r#"{"token":"a","name":"b","password":"c","role":"x"}"#;
        assert!(serde_json::from_str::<NewAdmin>(unknown).is_err());
    }
}
