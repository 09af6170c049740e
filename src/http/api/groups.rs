//! Groups of accounts, which administrators make and everybody may share with.

use super::ApiTag;
use super::caller::AdminCaller;
use super::fields::date;
use super::json::{Json as Body, Query};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem, invalid};
use crate::app::App;
use crate::audit::{AuditKind, Reporter};
use crate::model::{AccountName, Error};
use crate::sharing::groups::{Group, GroupName};
use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

/// How large the body of a request may be that names the members of a group: 100,000 of the longest names.
pub const MAX_BODY: usize = 7 << 20;
/// How many members a page of groups has, but for the first group on it.
const SHOWN: usize = 100_000;
/// How many members the audit log names.
const TOLD: usize = 100;

/// A group to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRequest {
    /// Its name.
    pub name: GroupName,
    /// Its members.
    #[serde(default)]
    pub members: Vec<AccountName>,
}

/// A change to a group.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChange {
    /// All its members from now on.
    pub members: Vec<AccountName>,
}

/// A group.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupView {
    /// Its name.
    pub name: GroupName,
    /// Its members.
    pub members: Vec<AccountName>,
    /// When it was made.
    pub created: String,
}

impl GroupView {
    fn of(name: GroupName, group: &Group) -> Self {
        let created = date(group.created);
        Self {
            name,
            members: group.members.iter().cloned().collect(),
            created,
        }
    }
}

fn check_members(app: &App, members: Vec<AccountName>) -> Result<BTreeSet<AccountName>, Error> {
    match members
        .iter()
        .position(|name| app.auth.account(name).is_none())
    {
        Some(index) => Err(invalid(
            &format!("/members/{index}"),
            "There is no account of this name.",
        )),
        None => Ok(members.into_iter().collect()),
    }
}

/// `members ana, ben`
fn named_in(members: &BTreeSet<AccountName>) -> String {
    let names: Vec<&str> = members.iter().take(TOLD).map(AccountName::as_str).collect();
    let more = match members.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if names.is_empty() {
        "no members".into()
    } else {
        format!("members {}{more}", names.join(", "))
    }
}

/// The group that an address names; none for what cannot be a name.
fn named(name: &str) -> Result<GroupName, Error> {
    GroupName::parse(name).map_err(|_| Error::NotFound)
}

/// All groups. A page with very large groups has fewer of them.
#[utoipa::path(get, path = "/api/v1/groups", tag = ApiTag::GROUPS, operation_id = "listGroups", params(PageQuery),
    responses((status = 200, body = Page<GroupView>), Failures))]
pub async fn list(
    caller: AdminCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<GroupView>>, Problem> {
    let after = page.after()?;
    let size = page.size()?;
    let mut shown = 0;
    let all = caller.app.sharing.groups.list().into_iter();
    let rest = all.skip_while(|(name, _)| {
        after
            .as_ref()
            .is_some_and(|after| name.as_str() <= after.as_str())
    });
    let rest: Vec<_> = rest.take(size + 1).collect();
    let fits = rest.iter().position(|(_, group)| {
        shown += group.members.len();
        shown > SHOWN
    });
    let size = fits.map_or(size, |fits| size.min(fits.max(1)));
    let page = Page::of(rest, size, |(name, _)| name.to_string());
    let items = page
        .items
        .into_iter()
        .map(|(name, group)| GroupView::of(name, &group))
        .collect();
    Ok(Json(Page {
        items,
        next: page.next,
    }))
}

/// Makes a group.
#[utoipa::path(post, path = "/api/v1/groups", tag = ApiTag::GROUPS, operation_id = "createGroup", request_body = GroupRequest,
    responses((status = 201, body = GroupView), Failures))]
pub async fn create(
    caller: AdminCaller,
    Body(asked): Body<GroupRequest>,
) -> Result<(StatusCode, Json<GroupView>), Problem> {
    let members = check_members(&caller.app, asked.members)?;
    let app = caller.app.clone();
    let name = asked.name.clone();
    let reporter = caller.reporter();
    let work = async move {
        let note = named_in(&members);
        let made = app.sharing.groups.create(&name, members).await;
        reporter
            .report(AuditKind::GroupCreated, name.as_str(), note, &made)
            .await;
        made
    };
    let group = caller.app.run_to_completion(work).await?;
    Ok((StatusCode::CREATED, Json(GroupView::of(asked.name, &group))))
}

/// Changes who is in a group.
#[utoipa::path(patch, path = "/api/v1/groups/{name}", tag = ApiTag::GROUPS, operation_id = "changeGroup",
    params(("name" = String, Path)), request_body = GroupChange, responses((status = 200, body = GroupView), Failures))]
pub async fn change(
    caller: AdminCaller,
    Path(name): Path<String>,
    Body(asked): Body<GroupChange>,
) -> Result<Json<GroupView>, Problem> {
    let name = named(&name)?;
    let members = check_members(&caller.app, asked.members)?;
    let edit = move |present: &mut BTreeSet<AccountName>| present.clone_from(&members);
    change_members(&caller.app, caller.reporter(), name, edit)
        .await
        .map(Json)
}

/// Changes who is in a group, in one step.
pub(super) async fn change_members(
    app: &Arc<App>,
    reporter: Reporter,
    name: GroupName,
    edit: impl Fn(&mut BTreeSet<AccountName>) + Send + Sync + 'static,
) -> Result<GroupView, Problem> {
    let work = app.clone();
    let of = name.clone();
    let changed = async move {
        let before = work.sharing.groups.find(&of);
        let changed = work.sharing.change_members(&*work.locks, &of, edit).await;
        let group = changed.as_ref().ok();
        let note = group.map(|group| named_in(&group.members));
        let is_change = work.sharing.groups.find(&of) != before;
        reporter
            .report_change(
                AuditKind::GroupChanged,
                of.as_str(),
                note.unwrap_or_default(),
                (&changed, is_change),
            )
            .await;
        changed
    };
    let group = app.run_to_completion(changed).await?;
    Ok(GroupView::of(name, &group))
}

/// Removes a group, and ends the shares with it.
#[utoipa::path(delete, path = "/api/v1/groups/{name}", tag = ApiTag::GROUPS, operation_id = "removeGroup",
    params(("name" = String, Path)), responses((status = 204), Failures))]
pub async fn remove(caller: AdminCaller, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let name = named(&name)?;
    let app = caller.app.clone();
    let reporter = caller.reporter();
    let work = async move {
        let removed = app.sharing.remove_group(&*app.locks, &name).await;
        reporter
            .report(
                AuditKind::GroupRemoved,
                name.as_str(),
                "the shares with it ended",
                &removed,
            )
            .await;
        removed
    };
    caller.app.run_to_completion(work).await?;
    Ok(StatusCode::NO_CONTENT)
}
