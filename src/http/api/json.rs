//! JSON bodies and query parameters: one content type, one size limit, failures as problems that point at the field.

use super::caller::ApiRequest;
use super::problem::Problem;
use crate::model::Error;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::header;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// A JSON body; types that come in through it say `deny_unknown_fields`.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// What stands for the braces of a route's path.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// The query parameters; types that come in through it say `deny_unknown_fields`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !["application/json", "application/merge-patch+json"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known))
        {
            return Err(Problem(Error::BadRequest(
                "The body must be JSON, with Content-Type: application/json.",
            )));
        }
        let api_request = request.extensions().get::<ApiRequest>().cloned();
        let body = read(request, state).await?;
        // A client may take its time to send it.
        api_request
            .map_or(Ok(()), |api_request| api_request.recheck())
            .map_err(Problem)?;
        // serde would take a list for the fields in their order.
        if body.trim_ascii_start().starts_with(b"[") {
            let why = "The body must be a JSON object.".into();
            return Err(Problem(Error::Invalid {
                pointer: String::new(),
                why,
            }));
        }
        parse(&body).map(Self).map_err(Problem)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // Else names that are no text would become one name, and replace each other.
        let query = parts.uri.query().unwrap_or_default();
        if percent_decode_str(query).decode_utf8().is_err() {
            return Err(Problem(Error::BadRequest("The query is not UTF-8.")));
        }
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let why = rejection.body_text();
                let why = why
                    .rsplit_once("query string: ")
                    .map_or(why.as_str(), |(_, why)| why);
                Err(Problem(Error::Invalid {
                    pointer: "/query".into(),
                    why: format!("In the query: {why}."),
                }))
            }
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What cannot be a name or an id names nothing.
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| Problem(Error::NotFound))
    }
}

/// Tells a field that is null (`Some(None)`) from one that is not said; with `#[serde(default, deserialize_with = "given")]`.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Refuses null for a field that can be left out; with `#[serde(default, deserialize_with = "stated")]`.
pub fn stated<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let inner = error.inner();
        // serde_json calls it a syntax error, too, when something else stands where a word of a list belongs.
        let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
        if (inner.is_syntax() || inner.is_eof()) && !is_json() {
            return Error::BadRequest("The body is not JSON.");
        }
        Error::Invalid {
            pointer: pointer(error.path()),
            why: sentence(inner),
        }
    })?;
    json.end()
        .map_err(|_| Error::BadRequest("The body is not JSON."))?;
    Ok(value)
}

/// What serde says, without the line and column.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line")
        .map_or(text.as_str(), |(text, _)| text);
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
        .unwrap_or_default()
}

/// A path of serde's as a JSON pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .fold(String::new(), |pointer, segment| match segment {
            Segment::Seq { index } => format!("{pointer}/{index}"),
            Segment::Map { key } => {
                format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Enum { variant } => format!("{pointer}/{variant}"),
            Segment::Unknown => pointer,
        })
}

/// The whole body, within the routes' limit.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| {
            Problem(
                if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
                    Error::TooLarge
                } else {
                    Error::Truncated
                },
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shelf {
        #[serde(rename = "books")]
        _books: Vec<u32>,
    }

    #[test]
    fn failures_point_at_the_field() {
        let at = |text: &str| match parse::<Shelf>(text.as_bytes()) {
            Err(Error::Invalid { pointer, why }) => format!("{pointer}: {why}"),
            other => format!("{other:?}"),
        };
        assert_eq!(
            at(r#"{"books":[1,"x"]}"#),
            "/books/1: Invalid type: string \"x\", expected u32."
        );
        assert_eq!(
            at(r#"{"pages":1}"#),
            "/pages: Unknown field `pages`, expected `books`."
        );
        assert_eq!(at("{}"), ": Missing field `books`.");
        let role = parse::<Vec<crate::model::Role>>(b"[\"user\", 5]");
        assert!(
            matches!(&role, Err(Error::Invalid { pointer, .. }) if pointer == "/1"),
            "{role:?}"
        );
        for broken in ["", "{", "{\"books\":[]} x", "\u{feff}{}"] {
            assert!(
                matches!(parse::<Shelf>(broken.as_bytes()), Err(Error::BadRequest(_))),
                "{broken:?}"
            );
        }
    }
}
