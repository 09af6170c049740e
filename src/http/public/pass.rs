//! The password of a link: the form that asks for it, its check, and the cookie that stands for it afterwards.

use super::address::address;
use crate::app::App;
use crate::http::html::{HtmlPage, page};
use crate::http::reply;
use crate::links::Link;
use crate::model::{Error, Result, VPath};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// The cookie that stands for the password.
const COOKIE_NAME: &str = "pass";

/// The most passes that a request may show. A browser has one or two for an address; who sends more than a few is guessing.
const MAX_PASSES: usize = 4;

/// Whether a request shows a pass for the link.
pub(super) fn has_pass(app: &App, link: &Link, headers: &HeaderMap) -> bool {
    cookies(headers).count() <= MAX_PASSES
        && cookies(headers).any(|pass| app.links.passes.is_valid(link, pass))
}

/// The passes among a request's cookies.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

pub(super) fn ask_password(token: &str, wrong: Option<&Error>) -> Response {
    let status = wrong.map_or(reply::status(&Error::Unauthenticated), reply::status);
    (status, password_page(token, wrong)).into_response()
}

/// The form that asks for the password.
fn password_page(token: &str, wrong: Option<&Error>) -> HtmlPage {
    let wrong = wrong.map_or(
        "",
        |_| "<p class=\"wrong\" role=\"alert\">That is not the password.</p>",
    );
    page(
        "Shared with you",
        &format!(
            "{wrong}<form method=\"post\" action=\"{}\"><label>Password<input name=\"password\" type=\"password\" required autofocus \
             autocomplete=\"off\"></label><button>Open</button></form>",
            address(token, "/password", &VPath::root(), "")
        ),
    )
}

/// Verifies a link's password; one without a password lets anybody pass.
pub(super) async fn check_password(
    app: &App,
    link: &Link,
    password: &[u8],
    from: IpAddr,
) -> Result<()> {
    match &link.record.password {
        Some(stored) => {
            app.auth
                .check_link_password(&link.id, stored, password, from)
                .await
        }
        None => Ok(()),
    }
}

pub(super) fn password_in(form: &[u8]) -> Zeroizing<Vec<u8>> {
    let value = form
        .split(|b| *b == b'&')
        .find_map(|pair| pair.strip_prefix(b"password="))
        .unwrap_or_default();
    let spaced: Zeroizing<Vec<u8>> = Zeroizing::new(
        value
            .iter()
            .map(|b| if *b == b'+' { b' ' } else { *b })
            .collect(),
    );
    Zeroizing::new(percent_decode(&spaced).collect())
}

/// A cookie for this link alone, if it has a password, and the way to its page.
pub(super) fn set_pass_cookie(
    app: &App,
    link: &Link,
    token: &str,
    https: bool,
) -> Result<Response> {
    let mut response = Redirect::to(&format!("/s/{token}")).into_response();
    if link.record.password.is_none() {
        return Ok(response);
    }
    let pass = app.links.passes.issue(link)?;
    let life = app.links.passes.life().as_secs();
    let secure = if https { "; Secure" } else { "" };
    // A browser sends a cookie below the path that it sees alone (RFC 6265 section 5.1.4).
    let prefix = app.config.server.path_prefix();
    let cookie = format!(
        "{COOKIE_NAME}={pass}; Path={prefix}/s/{token}; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"
    );
    let cookie = HeaderValue::try_from(cookie).map_err(|_| Error::NotFound)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}
