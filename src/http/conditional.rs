//! Conditional requests (RFC 9110 section 13): evaluated for reads in the order of section 13.2.2, parsed for changes, which the drive checks.

use super::etag::{EntityTags, elements, is_any, lists_tag, tags};
use super::header_values::{date, lines, single_value};
use crate::drive::Drive;
use crate::model::time::unix_seconds;
use crate::model::{Error, Result, VPath};
use crate::storage::Expect;
use http::HeaderMap;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use std::time::SystemTime;

/// How a conditional GET or HEAD goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadCondition {
    /// As if there were no condition.
    Proceed,
    /// The client has it already: 304.
    NotModified,
}

/// Evaluates the conditions of a GET or HEAD for something that exists; `etag` is quoted. `Stale`, and `BadRequest` for a
/// malformed `If-Match`. What is malformed in `If-None-Match` matches nothing: then the client gets the content, which is never wrong.
pub fn evaluate(headers: &HeaderMap, etag: &str, modified: SystemTime) -> Result<ReadCondition> {
    let etag = etag.as_bytes();
    if let Some(list) = lines(headers, &IF_MATCH) {
        let matches = lists_tag(&list, etag).ok_or(Error::BadRequest(
            "The list of entity tags is malformed; a tag is quoted, as in \"abc\".",
        ))?;
        if !matches {
            return Err(Error::Stale {
                etag: String::from_utf8_lossy(etag).into_owned(),
            });
        }
    } else if date(headers, &IF_UNMODIFIED_SINCE)
        .is_some_and(|since| unix_seconds(modified) > since)
    {
        return Err(Error::Stale {
            etag: String::from_utf8_lossy(etag).into_owned(),
        });
    }
    let known = match lines(headers, &IF_NONE_MATCH) {
        Some(list) => {
            is_any(&list) || elements(&list).any(|element| element.is_some_and(|tag| tag.is(etag)))
        }
        None => {
            date(headers, &IF_MODIFIED_SINCE).is_some_and(|since| unix_seconds(modified) <= since)
        }
    };
    Ok(if known {
        ReadCondition::NotModified
    } else {
        ReadCondition::Proceed
    })
}

/// A failure with the entity tag of what stands at `path`, if a condition on that has failed and the drive shows it.
pub async fn with_current_etag(drive: &Drive, path: &VPath, error: Error) -> Error {
    if !matches!(error, Error::PreconditionFailed) {
        return error;
    }
    match drive.find(path).await {
        Ok(Some(node)) => Error::Stale {
            etag: node.etag.to_string(),
        },
        _ => error,
    }
}

/// Whether `If-Range` lets a `Range` count: the tag or the date is exactly the present one.
pub fn if_range_matches(headers: &HeaderMap, etag: &str, modified: SystemTime) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    let Some(value) = single_value(headers, &IF_RANGE) else {
        return false;
    };
    value.as_bytes().trim_ascii() == etag.as_bytes()
        || date(headers, &IF_RANGE) == Some(unix_seconds(modified))
}

/// The condition on the resource that a change names. Two that say together what no one condition does are refused, as are
/// those that contradict each other, since passing over one of them could lose somebody's change.
pub fn expect(headers: &HeaderMap) -> Result<Expect> {
    let since = date(headers, &IF_UNMODIFIED_SINCE);
    match (
        tags(headers, &IF_MATCH)?,
        tags(headers, &IF_NONE_MATCH)?,
        since,
    ) {
        (None, None, None) => Ok(Expect::Any),
        (None, None, Some(since)) => Ok(Expect::UnmodifiedSince(since)),
        (Some(EntityTags::Any), None, _) => Ok(Expect::Exists),
        (Some(EntityTags::These(tags)), None, _) => Ok(Expect::Etag(tags)),
        // What does not exist has no date to be compared.
        (None, Some(EntityTags::Any), _) => Ok(Expect::Absent),
        (None, Some(EntityTags::These(tags)), None) => Ok(Expect::NotEtag(tags)),
        (Some(EntityTags::These(mut tags)), Some(EntityTags::These(not)), _) => {
            tags.retain(|tag| !not.contains(tag));
            Ok(Expect::Etag(tags))
        }
        _ => Err(Error::BadRequest(
            "If-Match, If-None-Match and If-Unmodified-Since cannot be joined like this.",
        )),
    }
}

#[cfg(test)]
mod tests;
