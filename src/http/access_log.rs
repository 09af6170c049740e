//! The log line of a request, and what it needs of the request before a front takes that.

use super::answer::Answer;
use super::public;
use super::request_id::RequestId;
use crate::log::{self, RequestLine};
use http::{HeaderValue, Method, Request, Uri, Version, header};
use std::net::IpAddr;
use std::time::Duration;

/// The parts of a request that its log line shows; shared with it, not copied.
pub(super) struct LoggedRequest {
    method: Method,
    uri: Uri,
    agent: Option<HeaderValue>,
    version: Version,
}

impl LoggedRequest {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            agent: request.headers().get(header::USER_AGENT).cloned(),
            version: request.version(),
        }
    }

    pub(super) fn log(&self, id: &RequestId, client: IpAddr, (answer, took): (&Answer, Duration)) {
        log::request(&RequestLine {
            id: id.as_str(),
            method: self.method.as_str(),
            path: &public::without_token(self.uri.path()),
            status: answer.response.status().as_u16(),
            bytes: http_body::Body::size_hint(answer.response.body()).exact(),
            took,
            client,
            account: answer
                .identity
                .as_ref()
                .map(|identity| identity.account.as_str()),
            agent: self.agent.as_ref().map(HeaderValue::as_bytes),
            version: self.version,
        });
    }
}
