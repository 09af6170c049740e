//! One call of the API: a method, an address below `/api/v1`, a document.

use bytes::Bytes;
use http::{Method, Request, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use zeroize::Zeroizing;

/// All but the unreserved characters (RFC 3986).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A call of the API.
#[must_use]
pub struct ApiCall {
    method: Method,
    path: String,
    query: String,
    body: Option<Zeroizing<Vec<u8>>>,
}

impl ApiCall {
    /// A call at `/api/v1` and these segments, each escaped.
    pub fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments.iter().fold("/api/v1".to_owned(), |path, segment| {
            path + "/" + &escaped(segment)
        });
        Self {
            method,
            path,
            query: String::new(),
            body: None,
        }
    }

    /// Reads what is there.
    pub fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    /// Makes or does something.
    pub fn post(segments: &[&str]) -> Self {
        Self::new(Method::POST, segments)
    }

    /// Sets something.
    pub fn put(segments: &[&str]) -> Self {
        Self::new(Method::PUT, segments)
    }

    /// Changes something (JSON merge patch).
    pub fn patch(segments: &[&str]) -> Self {
        Self::new(Method::PATCH, segments)
    }

    /// Removes something.
    pub fn delete(segments: &[&str]) -> Self {
        Self::new(Method::DELETE, segments)
    }

    /// The same with the fields of a flat document as parameters; those that are null are left out.
    pub fn query(mut self, parameters: &impl Serialize) -> Self {
        self.query.clear();
        let Ok(Value::Object(fields)) = serde_json::to_value(parameters) else {
            return self;
        };
        for (name, value) in fields {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            self.query
                .push(if self.query.is_empty() { '?' } else { '&' });
            self.query += &(escaped(&name) + "=" + &escaped(&value));
        }
        self
    }

    /// The same with a document, which is wiped from this memory after use.
    pub fn json(mut self, document: &impl Serialize) -> Self {
        // The documents of the API have no keys that are no text, which is all that could fail here.
        self.body = serde_json::to_vec(document).ok().map(Zeroizing::new);
        self
    }

    /// The call as a request.
    pub fn into_request(self) -> http::Result<Request<Bytes>> {
        let request = Request::builder()
            .method(self.method)
            .uri(self.path + &self.query)
            .header(header::HOST, "localhost");
        match self.body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::CONTENT_LENGTH, body.len())
                .body(Bytes::from_owner(body)),
            None => request.body(Bytes::new()),
        }
    }
}

/// What is called, without the document: it may hold a password.
impl fmt::Debug for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.path, self.query)
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_are_escaped_and_passwords_are_not_shown() {
        let call = ApiCall::delete(&["team-folders", "a/b ?ü.."])
            .query(&json!({"path": "/x y&z", "purge": true, "none": null}));
        assert_eq!(
            format!("{call:?}"),
            "DELETE /api/v1/team-folders/a%2Fb%20%3F%C3%BC..?path=%2Fx%20y%26z&purge=true"
        );
        let call = ApiCall::put(&["accounts", "ana", "password"])
            .json(&json!({"password": "blue kettle 77"}));
        assert!(!format!("{call:?}").contains("kettle"));
        let request = call.into_request().unwrap();
        assert_eq!(request.body(), r#"{"password":"blue kettle 77"}"#);
        assert_eq!(request.headers()[header::CONTENT_LENGTH], "29");
    }
}
