//! The account that asks: what it is, what it uses, and what it changes of itself.

use super::ApiTag;
use super::caller::{AccountCaller, MemberCaller};
use super::fields::date;
use super::json::Json;
use super::problem::{Failures, Problem};
use crate::app::App;
use crate::audit::AuditKind;
use crate::auth::{EmailSource, FieldChange, Profile, ProfileChange};
use crate::model::{AccountName, Error, Identity, Role, VPath, time};
use crate::sharing::groups::GroupName;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// An account, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The name.
    pub name: AccountName,
    /// The name that people see; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The e-mail address; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Who vouches for the address: an administrator, or the owner with the password. Absent when nobody does: then it lets
    /// nobody in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_source: Option<EmailSource>,
    /// When the address last changed; absent when it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_since: Option<String>,
    /// The role.
    pub role: Role,
    /// The groups it is in.
    pub groups: Vec<GroupName>,
    /// Whether sign-in asks for a code after the password.
    pub two_factor: bool,
    /// Whether a device has signed in with an app password that is still good.
    pub connected: bool,
    /// When the account was made.
    pub created: String,
    /// The quota in bytes; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// Bytes in the drive.
    pub used: u64,
    /// Bytes that can still be stored.
    pub available: u64,
    /// Until when nothing of the trash and the versions expires, since much was overwritten or deleted within minutes; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_held_until: Option<String>,
}

/// What changes: what is not said stays, and `null` removes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeChange {
    /// The name that people see.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 100)]
    display_name: FieldChange,
    /// The e-mail address.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 254)]
    email: FieldChange,
    /// The present password; another e-mail address needs it, and with it the present one is confirmed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    password: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for MeChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeChange").finish_non_exhaustive()
    }
}

/// A change of the password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present password.
    #[schema(value_type = String)]
    old: Zeroizing<String>,
    /// The password from now on.
    #[schema(value_type = String)]
    new: Zeroizing<String>,
}

impl std::fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordChange").finish_non_exhaustive()
    }
}

/// The account that asks.
#[utoipa::path(get, path = "/api/v1/me", tag = ApiTag::ACCOUNT, operation_id = "me", responses((status = 200, body = Me), Failures))]
pub async fn show(member: MemberCaller) -> Result<axum::Json<Me>, Problem> {
    Ok(axum::Json(describe(&member.app, &member.identity).await?))
}

/// Changes what the account says of itself; the e-mail address with the present password.
#[utoipa::path(patch, path = "/api/v1/me", tag = ApiTag::ACCOUNT, operation_id = "changeMe", request_body = MeChange,
    responses((status = 200, body = Me), Failures))]
pub async fn change(
    caller: AccountCaller,
    Json(MeChange {
        display_name,
        email,
        password,
    }): Json<MeChange>,
) -> Result<axum::Json<Me>, Problem> {
    let reporter = caller.reporter();
    let AccountCaller {
        app,
        identity,
        client,
    } = caller;
    let work = app.clone();
    let name = identity.account.clone();
    let changed = async move {
        if display_name.is_kept() && email.is_kept() {
            return Ok(());
        }
        let before = work.auth.profile(&name);
        let note = words(
            &display_name,
            &email,
            before.as_ref().and_then(|profile| profile.email.clone()),
        );
        let change = ProfileChange {
            display_name,
            email,
        };
        let password = password.as_deref().map(String::as_bytes);
        let changed = work
            .auth
            .change_profile(&name, change, password, client)
            .await;
        let is_change = work.auth.profile(&name) != before;
        reporter
            .report_change(
                AuditKind::AccountChanged,
                name.as_str(),
                note,
                (&changed, is_change),
            )
            .await;
        changed
    };
    app.run_to_completion(changed).await?;
    Ok(axum::Json(describe(&app, &identity).await?))
}

/// Changes the password. Every other session, every bearer and every app password of the account ends.
#[utoipa::path(put, path = "/api/v1/me/password", tag = ApiTag::ACCOUNT, operation_id = "changePassword",
    request_body = PasswordChange, responses((status = 204), Failures))]
pub async fn change_password(
    caller: AccountCaller,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let reporter = caller.reporter();
    let AccountCaller {
        app,
        identity,
        client,
    } = caller;
    let work = Arc::clone(&app);
    let passwords = async move {
        let both = (change.old.as_bytes(), change.new.as_bytes());
        let changed = work.auth.change_password(&identity, both, client).await;
        reporter
            .report(
                AuditKind::PasswordChanged,
                identity.account.as_str(),
                "",
                &changed,
            )
            .await;
        changed
    };
    app.run_to_completion(passwords).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What changes of a profile, for the audit log: an address may let somebody in, so it says which.
fn words(display_name: &FieldChange, email: &FieldChange, before: Option<String>) -> String {
    let before = before.unwrap_or_else(|| "none".into());
    let email = match email {
        FieldChange::Keep => return "display name".into(),
        FieldChange::Remove => format!("e-mail from {before} to none"),
        FieldChange::Set(email) => format!("e-mail from {before} to {}", email.trim()),
    };
    if display_name.is_kept() {
        email
    } else {
        format!("display name, {email}")
    }
}

async fn describe(app: &App, identity: &Arc<Identity>) -> Result<Me, Error> {
    let view = app
        .auth
        .account(&identity.account)
        .ok_or(Error::Unauthenticated)?;
    let Profile {
        display_name,
        email,
        email_source,
        email_since,
    } = app
        .auth
        .profile(&identity.account)
        .ok_or(Error::Unauthenticated)?;
    let quota = app
        .drive(identity)
        .await?
        .at(&VPath::root())
        .await?
        .quota()
        .await?;
    // What is confined to a part of the drive is told of that part.
    let is_whole = identity.scope.is_root();
    Ok(Me {
        name: view.name,
        display_name,
        email: email.filter(|_| is_whole),
        email_source,
        email_since: email_since.map(|at| date(at / 1000)),
        role: view.role,
        groups: if is_whole {
            app.sharing.groups.names_of(&identity.account)
        } else {
            Vec::new()
        },
        two_factor: app.auth.has_two_factor(&identity.account),
        connected: app
            .auth
            .app_passwords_of(&identity.account)
            .iter()
            .any(|(_, found)| found.last_use.is_some()),
        created: date(view.created),
        quota: view.quota,
        used: quota.used,
        available: quota.available,
        history_held_until: app.retention_hold_of(&identity.account).map(time::iso_date),
    })
}
