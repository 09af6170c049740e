//! Who is in a group or a team folder, changed in one step, for the administrator at the command line. What the API has sets all of
//! them, which would undo what somebody else does at the same time.

use crate::app::App;
use crate::http::api::caller::LocalCaller;
use crate::http::api::groups::{self, GroupView};
use crate::http::api::json::{Json, Path};
use crate::http::api::problem::{Problem, invalid};
use crate::http::api::team_folders::{self, TeamMember, TeamView};
use crate::model::{AccountName, Error};
use crate::sharing::groups::{Grantee, GranteeRef, GroupName};
use crate::sharing::teams::{Team, TeamFolderMember};
use axum::Router;
use axum::routing::patch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Display;

/// Who is added and who is taken out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembersChange<M, R> {
    /// Those who are added; who is a member already gets the rights said here.
    pub add: Vec<M>,
    /// Those who are taken out.
    pub remove: Vec<R>,
}

/// The routes.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/api/v1/local/groups/{name}/members", patch(change_group))
        .route(
            "/api/v1/local/team-folders/{name}/members",
            patch(change_team),
        )
}

async fn change_group(
    caller: LocalCaller,
    Path(name): Path<GroupName>,
    Json(change): Json<MembersChange<AccountName, AccountName>>,
) -> Result<axum::Json<GroupView>, Problem> {
    let app = &caller.app;
    let present = app.sharing.groups.find(&name).ok_or(Error::NotFound)?;
    check_there(
        &change.add,
        |name| app.auth.account(name).is_some(),
        "account ",
    )?;
    check_members(&change.remove, |name| present.members.contains(name))?;
    let edit = move |members: &mut BTreeSet<AccountName>| {
        members.extend(change.add.iter().cloned());
        members.retain(|member| !change.remove.contains(member));
    };
    groups::change_members(app, caller.reporter(), name, edit)
        .await
        .map(axum::Json)
}

async fn change_team(
    caller: LocalCaller,
    Path(name): Path<String>,
    Json(change): Json<MembersChange<TeamMember, Grantee>>,
) -> Result<axum::Json<TeamView>, Problem> {
    let app = &caller.app;
    let present = app.sharing.teams.find(&name).ok_or(Error::NotFound)?;
    let (mut to, mut rights) = (Vec::new(), Vec::new());
    for member in change.add {
        rights.push(member.rights.into());
        to.push(member.to);
    }
    check_there(&to, |to| bind(app, to).is_some(), "")?;
    let is_member = |to: &Grantee| present.members.iter().any(|member| member.to.named == *to);
    check_members(&change.remove, is_member)?;
    let bound = to.iter().filter_map(|to| bind(app, to)).zip(rights);
    let added: Vec<TeamFolderMember> = bound
        .map(|(to, rights)| TeamFolderMember { to, rights })
        .collect();
    let edit = move |team: &mut Team| {
        team.members.retain(|member| {
            let is_added = added.iter().any(|added| added.to == member.to);
            !is_added && !change.remove.contains(&member.to.named)
        });
        team.members.extend(added.iter().cloned());
    };
    team_folders::edit(app, caller.reporter(), name, edit)
        .await
        .map(axum::Json)
}

/// Whom a name means at present; `None` for nobody.
fn bind(app: &App, to: &Grantee) -> Option<GranteeRef> {
    if let Grantee::Account(name) = to {
        app.auth.account(name)?;
    }
    app.sharing.groups.bind(to)
}

/// Refuses names that nobody has.
fn check_there<T: Display>(
    added: &[T],
    is_there: impl Fn(&T) -> bool,
    kind: &str,
) -> Result<(), Error> {
    match added.iter().enumerate().find(|(_, name)| !is_there(name)) {
        Some((at, name)) => Err(invalid(
            &format!("/add/{at}"),
            format!("There is no {kind}{name}."),
        )),
        None => Ok(()),
    }
}

/// Refuses to take out who is no member.
fn check_members<T: Display>(removed: &[T], is_member: impl Fn(&T) -> bool) -> Result<(), Error> {
    match removed
        .iter()
        .enumerate()
        .find(|(_, name)| !is_member(name))
    {
        Some((at, name)) => Err(invalid(
            &format!("/remove/{at}"),
            format!("There is no {name} among the members."),
        )),
        None => Ok(()),
    }
}
