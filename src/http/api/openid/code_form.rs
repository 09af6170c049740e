//! The form for the code of an account with two-factor sign-in, after the provider has signed it in.

use super::{is_https, let_in, provider, refusal, with_state_cookie};
use crate::auth::SessionClient;
use crate::http::api::caller::PublicCaller;
use crate::http::api::json::read;
use crate::http::api::problem::Problem;
use crate::http::cookie::SIGN_IN_STATE;
use crate::http::html::{escape, page};
use crate::http::{csrf, login, reply};
use crate::model::Error;
use crate::openid::STATE_MISMATCH;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// Where the form with the code goes.
pub const CODE: &str = "/openid/code";

/// `POST /openid/code`, from the form of [`callback`](super::callback::callback).
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
            SIGN_IN_STATE
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
            with_state_cookie(&app, &headers, ("", 0), refusal(&headers, error))
        }
    }
}

pub(super) fn form(wrong: Option<&str>) -> String {
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
    fn codes_are_read_from_the_form() {
        assert_eq!(*code_in(b"code=123+456"), "123 456");
        assert_eq!(*code_in(b"a=b&code=abcd%2Defgh&code=x"), "abcd-efgh");
        assert_eq!(*code_in(b"x"), "");
    }
}
