//! Answers for failures: a sentence, a problem document, headers. Their statuses are in `table.rs` alone; what clients are not told is
//! logged here.

mod table;

use crate::failures::{Cause, Reason};
use crate::http::body::Body;
use crate::http::problem_document::{FieldProblem, ProblemDocument};
use crate::model::Error;
use http::header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::time::Duration;
use table::told;
pub use table::{api_status, code, fs_error, status};

/// The challenge of every 401.
pub const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"Sarang\", charset=\"UTF-8\"");

/// The methods that something existing understands.
pub const ALLOWED: HeaderValue = HeaderValue::from_static(
    "OPTIONS, GET, HEAD, PROPFIND, PROPPATCH, COPY, MOVE, DELETE, LOCK, UNLOCK",
);

/// The content type of problem details (RFC 9457).
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The code of a 405 that no [`Error`] says.
pub const NO_METHOD: &str = "method_not_allowed";
/// The code of a 404 for an address, told to the command line alone: elsewhere it is as for what is not there.
pub const NO_ADDRESS: &str = "no_address";

/// What clients see of failures whose details are for the log.
const INTERNAL: &str = "Something went wrong in the server; its log says more.";

/// A failure as one sentence of plain text.
pub fn failure(error: &Error) -> Response<Body> {
    let mut response = Response::new(Body::full(text_of(error)));
    finish(
        &mut response,
        error,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if let Some(reason) = Reason::of(told(error)) {
        response.extensions_mut().insert(reason);
    }
    response
}

/// A failure as problem details (RFC 9457) with a stable `code`.
pub fn problem(error: &Error) -> Response<Body> {
    problem_with(error, text_of(error))
}

/// As [`problem`], with another sentence for people.
pub fn problem_with(error: &Error, detail: String) -> Response<Body> {
    let document = ProblemDocument {
        detail,
        ..problem_document(error)
    };
    let mut response = Response::new(Body::full(written(&document)));
    finish(&mut response, error, PROBLEM);
    *response.status_mut() = api_status(error);
    response.headers_mut().remove(ALLOW);
    response
}

/// The answer of an address of the API that has no such method; the router adds `Allow`.
pub fn wrong_method() -> Response<Body> {
    unrouted(
        StatusCode::METHOD_NOT_ALLOWED,
        NO_METHOD,
        "There is no such method at this address.",
    )
}

/// The answer to the command line at an address that this version does not have.
pub fn wrong_address() -> Response<Body> {
    unrouted(
        StatusCode::NOT_FOUND,
        NO_ADDRESS,
        "This version of the server has no such address.",
    )
}

fn unrouted(status: StatusCode, code: &'static str, text: &'static str) -> Response<Body> {
    let document = document(status, code, text.to_owned(), Vec::new());
    let mut response = Response::new(Body::full(written(&document)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM);
    response
}

/// The same as a document, for where a status can be told no more.
pub fn problem_document(error: &Error) -> ProblemDocument {
    let errors = match error {
        Error::Invalid { pointer, why } => vec![FieldProblem {
            pointer: pointer.clone(),
            detail: why.clone(),
        }],
        _ => Vec::new(),
    };
    document(api_status(error), code(error), text_of(error), errors)
}

fn document(
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldProblem>,
) -> ProblemDocument {
    let title = status.canonical_reason().unwrap_or("Error");
    ProblemDocument {
        r#type: "about:blank".into(),
        title: title.into(),
        status: status.as_u16(),
        code: code.into(),
        detail,
        errors,
    }
}

pub(super) fn written(document: &ProblemDocument) -> String {
    serde_json::to_string(document).unwrap_or_default()
}

/// A refusal in a sentence, where no [`Error`] says it.
pub fn sentence(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    let cause = match status {
        StatusCode::BAD_GATEWAY => Cause::Destination,
        StatusCode::METHOD_NOT_ALLOWED => Cause::Method,
        _ => return response,
    };
    response.extensions_mut().insert(Reason::from(cause));
    response
}

/// Logs what the client is not told: the one place where a failure of the server itself is written down.
pub fn log(error: &Error) {
    if matches!(error, Error::Corrupt(_) | Error::Io { .. }) {
        tracing::error!("{error}");
    }
}

/// A failure in the middle of a body, which can only be cut off.
pub fn cut_off(error: Error) -> std::io::Error {
    log(&error);
    std::io::Error::other(error)
}

/// A 416: nothing of what `Range` asks for lies in a file of `len` bytes.
pub fn unsatisfiable(len: u64) -> Response<Body> {
    let mut response = Response::new(Body::full(
        "The file ends before the range that was asked for.",
    ));
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if let Ok(range) = HeaderValue::try_from(format!("bytes */{len}")) {
        headers.insert(CONTENT_RANGE, range);
    }
    response
}

/// The sentence of a failure for clients: details of the server stay in the log.
pub fn text_of(error: &Error) -> String {
    match told(error) {
        Error::Corrupt(_) | Error::Io { .. } => INTERNAL.to_owned(),
        told => told.to_string(),
    }
}

/// Status and headers, the same for every form of body.
fn finish(response: &mut Response<Body>, error: &Error, content_type: HeaderValue) {
    *response.status_mut() = status(error);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    match told(error) {
        Error::Exists | Error::IsFolder => {
            headers.insert(ALLOW, ALLOWED);
        }
        Error::Unauthenticated | Error::AccessEnded => {
            headers.insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        Error::Stale { etag } => {
            headers.extend(HeaderValue::try_from(etag).ok().map(|etag| (ETAG, etag)));
        }
        Error::Throttled { retry_after } | Error::Busy { retry_after } => {
            set_retry_after(headers, *retry_after);
        }
        _ => {}
    }
}

/// `Retry-After` in whole seconds, rounded up, at least one.
fn set_retry_after(headers: &mut HeaderMap, after: Duration) {
    headers.insert(
        RETRY_AFTER,
        HeaderValue::from((after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn text(response: Response<Body>) -> String {
        String::from_utf8(
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .to_vec(),
        )
        .unwrap()
    }

    #[test]
    fn statuses_are_those_clients_understand() {
        let cases = [
            (Error::NotFound, 404),
            (Error::ParentMissing, 409),
            (Error::Exists, 405),
            (Error::NotFolder, 409),
            (Error::PreconditionFailed, 412),
            (
                Error::Locked {
                    holder: "ann".into(),
                },
                423,
            ),
            (Error::NoSpace, 507),
            (Error::LimitReached("x"), 507),
            (Error::TooLarge, 413),
            (Error::Truncated, 400),
            (Error::ReadOnly, 503),
            (Error::Unsupported, 507),
        ];
        for (error, expected) in cases {
            assert_eq!(status(&error).as_u16(), expected, "{error:?}");
        }
    }

    #[tokio::test]
    async fn headers_say_what_to_do() {
        let busy = failure(&Error::Busy {
            retry_after: Duration::from_millis(300),
        });
        assert_eq!(busy.headers()[RETRY_AFTER], "1");
        let unknown = failure(&Error::Unauthenticated);
        assert_eq!(unknown.status(), 401);
        assert_eq!(
            unknown.headers()[WWW_AUTHENTICATE],
            "Basic realm=\"Sarang\", charset=\"UTF-8\""
        );
        assert!(failure(&Error::IsFolder).headers().contains_key(ALLOW));
        assert_eq!(
            text(failure(&Error::NotFound)).await,
            "There is nothing at this address."
        );
    }

    #[tokio::test]
    async fn details_of_the_server_stay_inside() {
        let secret = Error::io("read /srv/homes", std::io::Error::other("secret"));
        for response in [
            failure(&secret),
            problem(&secret),
            failure(&Error::Corrupt("secret".into())),
        ] {
            assert_eq!(response.status(), 500);
            let body = text(response).await;
            assert!(
                !body.contains("secret") && !body.contains("homes"),
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn a_want_of_descriptors_is_told_as_one_that_passes() {
        for errno in [23, 24] {
            let error = Error::io("open it", std::io::Error::from_raw_os_error(errno));
            for response in [failure(&error), problem(&error)] {
                assert_eq!(
                    (response.status().as_u16(), &response.headers()[RETRY_AFTER]),
                    (503, &HeaderValue::from(1))
                );
                assert!(text(response).await.contains("busy"));
            }
        }
        assert_eq!(
            status(&Error::io("open it", std::io::Error::from_raw_os_error(5))).as_u16(),
            500
        );
    }

    #[tokio::test]
    async fn problems_are_json_with_a_code() {
        let response = problem(&Error::Locked {
            holder: "a\"b".into(),
        });
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let value: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(value["code"], "locked");
        assert_eq!(value["status"], 423);
        assert_eq!(value["detail"], "This is locked by a\"b.");
    }
}
