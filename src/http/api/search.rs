//! Finding names in a subtree, blind to case and accents; bounded in results, memory and time, and it says when it was cut short. Who accepts
//! lines has the results as they are found, anybody else in one list.

mod walk;

use super::ApiTag;
use super::caller::MemberCaller;
use super::files::Row;
use super::json::Query;
use super::problem::{Failures, Problem};
use crate::http::problem_document::ProblemDocument;
use crate::http::reply;
use crate::model::{Error, Result, VPath};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use utoipa::{IntoParams, ToSchema};
use walk::{SearchLimits, SearchWalk, fold};

const DEFAULT_RESULTS: u16 = 200;
const MAX_RESULTS: u16 = 1000;
/// How long one search may take whose client waits for all of it, and one whose client has what was found so far.
const MAX_TIME: Duration = Duration::from_secs(5);
const MAX_TIME_OF_LINES: Duration = Duration::from_secs(30);
/// A JSON document in each line.
const LINES: &str = "application/x-ndjson";

/// What to look for, and where.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// The folder to look below; the drive itself if not said.
    #[serde(default)]
    path: String,
    /// A part of the name.
    name: String,
    /// The most results wanted, 200 if not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// What was found.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Findings)]
pub struct SearchResults {
    /// Rows of path, kind (`file` or `folder`), size, modification time in milliseconds since 1970, entity tag.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    items: Vec<Row>,
    /// Why there may be more than was found; absent when there is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
}

/// What ended a search early, or was left out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// There are as many results as were wanted.
    Results,
    /// The time was over.
    Time,
    /// There are too many folders.
    Folders,
    /// A folder cannot be read now.
    Unreachable,
}

/// The last line of a search that has ended.
#[derive(Debug, Serialize)]
struct SearchEnd {
    /// Always true.
    done: bool,
    /// How many lines there were before.
    found: usize,
    /// Why there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
}

/// The last line of a search that has failed.
#[derive(Debug, Serialize)]
struct SearchFailure {
    error: ProblemDocument,
}

/// Finds files and folders by a part of their name, near ones first; case and accents do not count.
///
/// With `Accept: application/x-ndjson` each result is a line of its own as soon as it is found: a row. The last line is an
/// object, `{"done":true,"found":2}` with `cut` where there may be more, or `{"error":{...}}` with a problem. Without such a line the answer is
/// not whole.
#[utoipa::path(get, path = "/api/v1/files/search", tag = ApiTag::FILES, operation_id = "searchFiles", params(SearchQuery),
    responses((status = 200, description = "What was found.",
        content((SearchResults = "application/json"), (String = "application/x-ndjson"))), Failures))]
pub async fn find(
    member: MemberCaller,
    Query(query): Query<SearchQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_RESULTS);
    if !(1..=MAX_RESULTS).contains(&limit) {
        return Err(Error::Invalid {
            pointer: "/limit".into(),
            why: "A search has 1 to 1000 results.".into(),
        }
        .into());
    }
    let part = fold(&query.name);
    if part.is_empty() {
        return Err(Error::Invalid {
            pointer: "/name".into(),
            why: "A search needs a part of a name.".into(),
        }
        .into());
    }
    let in_lines = wants_lines(&headers);
    let time = if in_lines {
        MAX_TIME_OF_LINES
    } else {
        MAX_TIME
    };
    let bounds = SearchLimits {
        results: limit.into(),
        until: Instant::now() + time,
    };
    let drive = member.drive().await?;
    let walk = SearchWalk::begin(drive, VPath::parse(&query.path)?, part, bounds).await?;
    if in_lines {
        Ok(lines(walk))
    } else {
        Ok(axum::Json(all(walk).await?).into_response())
    }
}

fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok());
    let mut kinds = accepted.flat_map(|accept| accept.split(','));
    kinds.any(|kind| {
        kind.split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case(LINES)
    })
}

async fn all(mut walk: SearchWalk) -> Result<SearchResults> {
    let mut items = Vec::new();
    while let Some(rows) = walk.next().await? {
        items.extend(rows);
    }
    Ok(SearchResults {
        items,
        cut: walk.cut,
    })
}

/// The answer in lines. The walk goes on only while its client takes them, and ends with the connection.
fn lines(walk: SearchWalk) -> Response {
    let pieces = stream::unfold(Some(walk), |walk| async move {
        let mut walk = walk?;
        let (text, walk) = match walk.next().await {
            Ok(Some(rows)) => (rows.iter().map(line).collect(), Some(walk)),
            Ok(None) => (
                line(&SearchEnd {
                    done: true,
                    found: walk.found,
                    cut: walk.cut,
                }),
                None,
            ),
            Err(error) => {
                reply::log(&error);
                (
                    line(&SearchFailure {
                        error: reply::problem_document(&error),
                    }),
                    None,
                )
            }
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), walk))
    });
    ([(CONTENT_TYPE, LINES)], Body::from_stream(pieces)).into_response()
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn lines_are_for_those_who_name_them() {
        for (accept, wanted) in [
            ("application/x-ndjson", true),
            ("application/json;q=0.5, Application/X-NDJSON;q=1", true),
            ("*/*", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_lines(&headers), wanted, "{accept}");
        }
        assert!(!wants_lines(&HeaderMap::new()));
    }
}
