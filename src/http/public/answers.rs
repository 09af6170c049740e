//! Pages that several handlers of links answer with: nothing is here, a failure, a page with scripts.

use crate::http::api::upload::FormFailure;
use crate::http::html::{HtmlPage, POLICY, escape, page};
use crate::http::reply;
use crate::model::Error;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, RETRY_AFTER};

/// The page of whatever is not there.
pub(super) fn gone() -> Response {
    let text = "<p>This link does not exist, has ended, or what it showed is gone.</p>";
    (reply::status(&Error::NotFound), page("Nothing here", text)).into_response()
}

/// A failure as a page.
pub(super) fn failed(error: &Error) -> Response {
    failed_with(error, &reply::text_of(error))
}

/// The failure of a form as a page, which names what is stored all the same.
pub(super) fn failed_form(failure: &FormFailure) -> Response {
    failed_with(&failure.error, &failure.text())
}

fn failed_with(error: &Error, text: &str) -> Response {
    if matches!(error, Error::NotFound) {
        return gone();
    }
    reply::log(error);
    let text = format!("<p class=\"wrong\" role=\"alert\">{}</p>", escape(text));
    let mut response = (reply::api_status(error), page("Not possible", &text)).into_response();
    if let Some(when) = reply::failure(error).headers_mut().remove(RETRY_AFTER) {
        response.headers_mut().insert(RETRY_AFTER, when);
    }
    response
}

pub(super) fn shown(html: HtmlPage) -> Response {
    let mut response = html.into_response();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
