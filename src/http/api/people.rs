//! Accounts and groups that something can be shared with, found by the beginning of a name.

use super::ApiTag;
use super::caller::AccountCaller;
use super::json::Query;
use super::problem::{Failures, Problem, invalid};
use crate::sharing::groups::Grantee;
use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The fewest characters that are looked for.
const LEAST: usize = 2;
/// The most that are told.
const MOST: usize = 10;

/// What is looked for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PeopleQuery {
    /// The beginning of a name, or of a word of a display name, in either case.
    #[param(min_length = 2)]
    search: String,
}

/// Who was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct People {
    /// At most 10, by name.
    items: Vec<Person>,
}

/// Somebody, or a group, to share with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    /// As a share names it.
    to: Grantee,
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    display_name: Option<String>,
}

/// Looks for accounts and groups whose names begin so, at most 10; the account that asks and those that may not sign in are left out.
/// 403 where `accounts.people_search` is off, 429 after 60 searches in a minute.
#[utoipa::path(get, path = "/api/v1/people", tag = ApiTag::SHARES, operation_id = "findPeople", params(PeopleQuery),
    responses((status = 200, body = People), Failures))]
pub async fn find(
    caller: AccountCaller,
    Query(query): Query<PeopleQuery>,
) -> Result<Json<People>, Problem> {
    let wanted = query.search.trim().to_lowercase();
    if wanted.chars().count() < LEAST {
        return Err(Problem(invalid(
            "/search",
            "Give at least the first 2 characters of a name.",
        )));
    }
    let app = &caller.app;
    let own = &caller.identity.account;
    app.auth.count_search(own, caller.identity.role)?;
    let begins = |name: &str| name.to_lowercase().starts_with(&wanted);
    let found = app.auth.people(MOST, |name, display_name| {
        name != own
            && (begins(name.as_str())
                || display_name
                    .is_some_and(|shown| shown.split_whitespace().any(begins) || begins(shown)))
    });
    let people = found.into_iter().map(|(name, display_name)| Person {
        to: Grantee::Account(name),
        display_name,
    });
    let groups = app
        .sharing
        .groups
        .list()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| begins(name.as_str()))
        .take(MOST);
    let mut items: Vec<_> = people
        .chain(groups.map(|name| Person {
            to: Grantee::Group(name),
            display_name: None,
        }))
        .collect();
    items.sort_by(|a, b| a.name().cmp(b.name()));
    items.truncate(MOST);
    Ok(Json(People { items }))
}

impl Person {
    fn name(&self) -> &str {
        match &self.to {
            Grantee::Account(name) => name.as_str(),
            Grantee::Group(name) => name.as_str(),
        }
    }
}
