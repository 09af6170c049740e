//! App passwords: a secret for each device or program, shown once, confined and revocable.

use super::ApiTag;
use super::caller::AccountCaller;
use super::fields::{date, expiry};
use super::json::{Json, Query};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem};
use crate::audit::AuditKind;
use crate::auth::{AppPassword, NewAppPassword};
use crate::model::{Error, Identity, Rights, VPath, Via};
use axum::extract::Path;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroizing;

const MAX_NAME: usize = 100;

/// What an app password shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppPasswordWish {
    /// What you call it: the device or program.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The folder of the drive that is its whole drive, such as `/Photos`; the whole drive if not said.
    scope: Option<String>,
    /// `view` or `edit`; `edit` if not said.
    rights: Option<Rights>,
    /// When it ends; never if not said.
    expires: Option<String>,
}

/// An app password that was just made.
#[derive(Serialize, ToSchema)]
pub struct NewSecret {
    /// Its id.
    pub id: String,
    /// The secret, to be used as the password with the account's name. It is not shown again.
    #[schema(value_type = String)]
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSecret")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// An app password, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppPasswordView {
    /// Its id; not what signs in.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// The folder of the drive that is its whole drive.
    pub scope: String,
    /// What it may do there.
    pub rights: Rights,
    /// When it was made.
    pub created: String,
    /// When it ends; absent when it does not by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The last use; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use: Option<UseView>,
}

/// A use of an app password.
#[derive(Debug, Serialize, ToSchema)]
pub struct UseView {
    /// When, an hour late at most.
    pub at: String,
    /// From which address.
    pub address: String,
    /// By which client, by its own word.
    pub agent: String,
}

impl AppPasswordView {
    fn new(id: String, found: &AppPassword) -> Self {
        let last = found.last_use.as_ref();
        Self {
            id,
            name: found.name.clone(),
            scope: format!("/{}", found.scope()),
            rights: found.rights,
            created: date(found.created),
            expires: found.expires.map(date),
            last_use: last.map(|last| UseView {
                at: date(last.at),
                address: last.address.to_string(),
                agent: last.agent.clone(),
            }),
        }
    }
}

impl AppPasswordWish {
    fn read(self) -> Result<NewAppPassword, Error> {
        let invalid = |pointer: &str, why: &str| Error::Invalid {
            pointer: pointer.into(),
            why: why.into(),
        };
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control)
        {
            return Err(invalid(
                "/name",
                "A name has 1 to 100 characters, none of them control characters.",
            ));
        }
        let scope = VPath::parse(&self.scope.unwrap_or_default())
            .map_err(|e| invalid("/scope", &e.to_string()))?;
        let rights = self.rights.unwrap_or(Rights::Edit);
        if rights == Rights::Drop {
            return Err(invalid("/rights", "An app password may `view` or `edit`."));
        }
        let expires = expiry(self.expires.as_deref())?;
        Ok(NewAppPassword {
            name: name.to_owned(),
            scope,
            target: None,
            rights,
            expires,
        })
    }
}

/// Makes an app password; the answer is the only one that tells it.
#[utoipa::path(post, path = "/api/v1/app-passwords", tag = ApiTag::SIGN_IN, operation_id = "addAppPassword",
    request_body = AppPasswordWish, responses((status = 201, body = NewSecret), Failures))]
pub async fn add(
    caller: AccountCaller,
    Json(wish): Json<AppPasswordWish>,
) -> Result<(StatusCode, axum::Json<NewSecret>), Problem> {
    let mut wish = wish.read()?;
    let reporter = caller.reporter();
    let AccountCaller { app, identity, .. } = caller;
    let work = app.clone();
    let added = async move {
        let note = format!("{:?}, {} in /{}", wish.name, wish.rights, wish.scope);
        // A whole drive needs no look at its disk, which may be missing at present.
        if !wish.scope.is_root() {
            wish.target = work
                .drive(&confined(&identity, &wish))
                .await?
                .persist_scope()
                .await?;
        }
        let added = work.auth.add_app_password(&identity, wish).await?;
        reporter
            .done(AuditKind::AppPasswordCreated, &added.0, note)
            .await;
        Ok(added)
    };
    let (id, password) = app.run_to_completion(added).await?;
    Ok((StatusCode::CREATED, axum::Json(NewSecret { id, password })))
}

/// Who a client with this app password will be.
fn confined(identity: &Identity, wish: &NewAppPassword) -> Arc<Identity> {
    let via = Via::AppPassword(String::new());
    let scope = wish.scope.clone();
    let rights = wish.rights;
    Arc::new(Identity {
        via,
        scope,
        rights,
        ..identity.clone()
    })
}

/// The app passwords of the account.
#[utoipa::path(get, path = "/api/v1/app-passwords", tag = ApiTag::SIGN_IN, operation_id = "listAppPasswords",
    params(PageQuery), responses((status = 200, body = Page<AppPasswordView>), Failures))]
pub async fn list(
    AccountCaller { app, identity, .. }: AccountCaller,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Page<AppPasswordView>>, Problem> {
    let found = app.auth.app_passwords_of(&identity.account).into_iter();
    let views = found.map(|(id, found)| AppPasswordView::new(id, &found));
    Ok(axum::Json(page.cut(views, |view| view.id.clone())?))
}

/// Revokes an app password, from the next request on.
#[utoipa::path(delete, path = "/api/v1/app-passwords/{id}", tag = ApiTag::SIGN_IN, operation_id = "revokeAppPassword",
    params(("id" = String, Path)), responses((status = 204), Failures))]
pub async fn revoke(caller: AccountCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let reporter = caller.reporter();
    let AccountCaller { app, identity, .. } = caller;
    let work = app.clone();
    let revoked = async move {
        let revoked = work.auth.revoke_app_password(&identity.account, &id).await;
        reporter
            .report(AuditKind::AppPasswordRemoved, &id, "", &revoked)
            .await;
        work.release_lost_locks().await;
        revoked
    };
    app.run_to_completion(revoked).await?;
    Ok(StatusCode::NO_CONTENT)
}
