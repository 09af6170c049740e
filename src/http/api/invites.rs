//! Invites: how administrators let somebody make one account.

use super::ApiTag;
use super::caller::AdminCaller;
use super::fields::{check_note, date, expiry};
use super::json::{Json, Query};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem, invalid};
use crate::admin::check_quota;
use crate::app::App;
use crate::audit::{AuditKind, Reporter};
use crate::auth::{Invite, NewInvite};
use crate::model::{AccountName, Error, Identity};
use crate::sharing::groups::GroupName;
use axum::extract::Path;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroizing;

const MAX_GROUPS: usize = 20;

/// What an invite shall be.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteWish {
    /// Whom or what it is for; only administrators see it.
    #[schema(max_length = 1000)]
    pub note: Option<String>,
    /// Quota of the account in bytes; what new accounts get if not said.
    pub quota: Option<u64>,
    /// Groups that the account will be in.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub groups: Vec<GroupName>,
    /// When it ends; in a week if not said.
    pub expires: Option<String>,
}

/// An invite that was just made.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct NewInviteSecret {
    /// Its id.
    pub id: String,
    /// The secret, to be given on. It is not shown again.
    #[schema(value_type = String)]
    pub invite: Zeroizing<String>,
}

impl std::fmt::Debug for NewInviteSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewInviteSecret")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// An open invite, as administrators see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InviteView {
    /// Its id; not what lets anybody register.
    pub id: String,
    /// Whom or what it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who made it; it holds while they administer.
    pub by: AccountName,
    /// Quota of the account in bytes; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// The groups that the account will be in; those that are no more when it is made are passed over.
    pub groups: Vec<String>,
    /// When it was made.
    pub created: String,
    /// When it ends.
    pub expires: String,
}

impl InviteView {
    fn new(id: String, invite: &Invite) -> Self {
        let Invite {
            note,
            by,
            quota,
            groups,
            created,
            expires,
            ..
        } = invite.clone();
        Self {
            id,
            note,
            by,
            quota,
            groups,
            created: date(created),
            expires: date(expires),
        }
    }
}

/// Makes an invite, good for one account; the answer is the only one that tells its secret.
#[utoipa::path(post, path = "/api/v1/invites", tag = ApiTag::REGISTRATION, operation_id = "addInvite",
    request_body = InviteWish, responses((status = 201, body = NewInviteSecret), Failures))]
pub async fn add(
    caller: AdminCaller,
    Json(wish): Json<InviteWish>,
) -> Result<(StatusCode, axum::Json<NewInviteSecret>), Problem> {
    let reporter = caller.reporter();
    let by = caller.identity.ok_or(Error::Forbidden(
        "An invite is made by an account that administers.",
    ))?;
    let made = make(&caller.app, by, reporter, wish).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Makes an invite in the name of an administrator.
pub(super) async fn make(
    app: &Arc<App>,
    by: Arc<Identity>,
    reporter: Reporter,
    wish: InviteWish,
) -> Result<NewInviteSecret, Problem> {
    if let Some(note) = &wish.note {
        check_note(note)?;
        if note.chars().any(char::is_control) {
            return Err(Problem(Error::Invalid {
                pointer: "/note".into(),
                why: "The note of an invite has no control characters.".into(),
            }));
        }
    }
    let expires = expiry(wish.expires.as_deref())?;
    check_quota(wish.quota)?;
    let (groups, group_ids) = check_groups(app, wish.groups)?;
    let new = NewInvite {
        note: wish.note,
        quota: wish.quota,
        groups,
        group_ids,
        expires,
    };
    let work = app.clone();
    let made = async move {
        let mut note = new.note.clone().unwrap_or_default();
        if !new.groups.is_empty() {
            note = format!("into {}; {note}", new.groups.join(", "));
        }
        let made = work.auth.invite(&by, new).await?;
        reporter.done(AuditKind::InviteCreated, &made.0, note).await;
        Ok(made)
    };
    let (id, invite) = app.run_to_completion(made).await?;
    Ok(NewInviteSecret { id, invite })
}

/// The names of the groups, each once, and the ids that they have.
fn check_groups(
    app: &App,
    groups: Vec<GroupName>,
) -> Result<(Vec<String>, BTreeMap<String, String>), Error> {
    if groups.len() > MAX_GROUPS {
        return Err(invalid("/groups", "An invite puts into at most 20 groups."));
    }
    let mut names = BTreeSet::new();
    let mut ids = BTreeMap::new();
    for (index, name) in groups.into_iter().enumerate() {
        let group = app.sharing.groups.find(&name);
        let group = group.ok_or_else(|| {
            invalid(
                &format!("/groups/{index}"),
                "There is no group of this name.",
            )
        })?;
        let name = String::from(name);
        ids.extend(group.id.clone().map(|id| (name.clone(), id)));
        names.insert(name);
    }
    Ok((names.into_iter().collect(), ids))
}

/// The open invites.
#[utoipa::path(get, path = "/api/v1/invites", tag = ApiTag::REGISTRATION, operation_id = "listInvites", params(PageQuery),
    responses((status = 200, body = Page<InviteView>), Failures))]
pub async fn list(
    AdminCaller { app, .. }: AdminCaller,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Page<InviteView>>, Problem> {
    let views = app
        .auth
        .open_invites()
        .into_iter()
        .map(|(id, invite)| InviteView::new(id, &invite));
    Ok(axum::Json(page.cut(views, |view| view.id.clone())?))
}

/// Withdraws an invite.
#[utoipa::path(delete, path = "/api/v1/invites/{id}", tag = ApiTag::REGISTRATION, operation_id = "withdrawInvite",
    params(("id" = String, Path)), responses((status = 204), Failures))]
pub async fn withdraw(caller: AdminCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let reporter = caller.reporter();
    let app = caller.app.clone();
    let withdrawn = async move {
        let withdrawn = app.auth.revoke_invite(&id).await;
        reporter
            .report(AuditKind::InviteRemoved, &id, "", &withdrawn)
            .await;
        withdrawn
    };
    caller.app.run_to_completion(withdrawn).await?;
    Ok(StatusCode::NO_CONTENT)
}
