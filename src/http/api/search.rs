//! Finding names in a subtree, blind to case and accents; bounded in results, folders and time, and it says when it was cut short.

use super::Tag;
use super::caller::Member;
use super::files::{Kind, Row};
use super::json::Query;
use super::problem::{Failures, Problem};
use crate::drive::Drive;
use crate::model::{Error, Result, VPath};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use utoipa::{IntoParams, ToSchema};

const DEFAULT_RESULTS: u16 = 200;
const MAX_RESULTS: u16 = 1000;
/// How long one search may take.
const MAX_TIME: Duration = Duration::from_secs(5);
/// How many folders may wait to be looked into: what a search remembers.
const MAX_WAITING: usize = 100_000;

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
pub struct Findings {
    /// Rows of path, kind (`file` or `folder`), size, modification time in milliseconds since 1970, entity tag.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    items: Vec<Row>,
    /// Why there may be more than was found; absent when there is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
}

/// What ended a search early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// There are as many results as were wanted.
    Results,
    /// The time was over.
    Time,
    /// There are too many folders.
    Folders,
}

/// Finds files and folders by a part of their name, near ones first; case and accents do not count.
#[utoipa::path(get, path = "/api/v1/files/search", tag = Tag::FILES, operation_id = "searchFiles", params(SearchQuery),
    responses((status = 200, body = Findings), Failures))]
pub async fn find(member: Member, Query(query): Query<SearchQuery>) -> Result<axum::Json<Findings>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_RESULTS);
    if !(1..=MAX_RESULTS).contains(&limit) {
        return Err(Error::Invalid { pointer: "/limit".into(), why: "A search has 1 to 1000 results.".into() }.into());
    }
    let part = fold(&query.name);
    if part.is_empty() {
        return Err(Error::Invalid { pointer: "/name".into(), why: "A search needs a part of a name.".into() }.into());
    }
    let bounds = Bounds { results: limit.into(), until: Instant::now() + MAX_TIME };
    let drive = member.drive().await?;
    Ok(axum::Json(search(&drive, VPath::parse(&query.path)?, &part, bounds).await?))
}

/// Where a search ends.
struct Bounds {
    results: usize,
    until: Instant,
}

async fn search(drive: &Drive, top: VPath, part: &str, bounds: Bounds) -> Result<Findings> {
    let mut found = Findings::default();
    let watch = drive.watch_at(&top)?;
    let mut waiting = std::collections::VecDeque::from([(top, true)]);
    while let Some((folder, is_top)) = waiting.pop_front() {
        let mut listing = match drive.list(&folder, false).await {
            Ok(listing) => listing,
            // What has gone meanwhile, or may not be seen, does not hide the rest.
            Err(Error::NotFound | Error::NotFolder | Error::Forbidden(_)) if !is_top => {
                watch.check()?;
                continue;
            }
            Err(error) => return Err(error),
        };
        loop {
            if Instant::now() > bounds.until {
                found.cut = Some(Cut::Time);
                return Ok(found);
            }
            let page = listing.next_page().await?;
            if page.is_empty() {
                break;
            }
            for entry in page {
                // Beyond the longest path nothing can be addressed.
                let Ok(path) = folder.join(&entry.name) else { continue };
                if fold(&entry.name).contains(part) {
                    if found.items.len() == bounds.results {
                        found.cut = Some(Cut::Results);
                        return Ok(found);
                    }
                    found.items.push(Row::new(path.as_str().to_owned(), &entry.node));
                }
                if Kind::of(&entry.node) == Kind::Folder {
                    if waiting.len() == MAX_WAITING {
                        found.cut = Some(Cut::Folders);
                    } else {
                        waiting.push_back((path, false));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// A name without case, accents and compatibility forms.
fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let bare: String = name.nfkd().filter(|c| !is_combining_mark(*c)).collect();
    bare.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_do_not_count() {
        for (name, part) in [("Résumé.PDF", "resume"), ("ÜBER", "uber"), ("u\u{308}ber", "ÜB"), ("ﬁle", "FI")] {
            assert!(fold(name).contains(&fold(part)), "{name} {part}");
        }
        assert!(!fold("resume").contains(&fold("résumés")));
        assert_eq!(fold("\u{301}"), "");
    }
}
