//! Shares: what an account shows of its drive to others, and what others show to it.

mod documents;

use crate::app::App;
use crate::audit::AuditKind;
use crate::http::api::ApiTag;
use crate::http::api::caller::AccountCaller;
use crate::http::api::field_patch::FieldPatch;
use crate::http::api::fields::{changed_expiry, check_note, expiry};
use crate::http::api::json::{Json as Body, Query};
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem, invalid};
use crate::model::path::check_name;
use crate::model::{Error, Rights, VPath};
use crate::sharing::groups::{Grantee, GranteeRef};
use crate::sharing::shares::{NewShare, Share};
use axum::Json;
use axum::extract::Path;
pub use documents::{Granted, IncomingShare, OutgoingShare, ShareChange, ShareRequest};
use http::StatusCode;

/// Whom something is shared with must exist. Whoever is signed in may learn that: they share the server, and a share that
/// silently reaches nobody would be worse.
pub(super) fn bind_grantee(app: &App, to: &Grantee, pointer: &str) -> Result<GranteeRef, Error> {
    if matches!(to, Grantee::Account(name) if app.auth.account(name).is_none()) {
        return Err(invalid(
            &format!("{pointer}/account"),
            "There is no account of this name.",
        ));
    }
    let bound = app.sharing.groups.bind(to);
    bound.ok_or_else(|| {
        invalid(
            &format!("{pointer}/group"),
            "There is no group of this name.",
        )
    })
}

/// The shares you have made.
#[utoipa::path(get, path = "/api/v1/shares", tag = ApiTag::SHARES, operation_id = "listShares", params(PageQuery),
    responses((status = 200, body = Page<OutgoingShare>), Failures))]
pub async fn list(
    caller: AccountCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<OutgoingShare>>, Problem> {
    let shares = caller.app.sharing.shares.of(&caller.identity.account);
    let page = page.cut(shares, |share| share.sort_key())?;
    Ok(Json(Page {
        items: page
            .items
            .iter()
            .map(|share| OutgoingShare::of(share))
            .collect(),
        next: page.next,
    }))
}

/// What others share with you.
#[utoipa::path(get, path = "/api/v1/shares/incoming", tag = ApiTag::SHARES, operation_id = "listIncomingShares", params(PageQuery),
    responses((status = 200, body = Page<IncomingShare>), Failures))]
pub async fn incoming(
    caller: AccountCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<IncomingShare>>, Problem> {
    let shares = caller.app.drive(&caller.identity).await?.incoming().await?;
    let page = page.cut(shares, |(share, _)| share.sort_key())?;
    Ok(Json(Page {
        items: page
            .items
            .iter()
            .map(|(share, at)| IncomingShare::of(share, at))
            .collect(),
        next: page.next,
    }))
}

/// Shares a file or folder of your drive.
#[utoipa::path(post, path = "/api/v1/shares", tag = ApiTag::SHARES, operation_id = "createShare", request_body = ShareRequest,
    responses((status = 201, body = OutgoingShare), Failures))]
pub async fn create(
    caller: AccountCaller,
    Body(asked): Body<ShareRequest>,
) -> Result<(StatusCode, Json<OutgoingShare>), Problem> {
    let path = VPath::parse(&asked.path).map_err(|error| invalid("/path", error.to_string()))?;
    let own = &caller.identity.account;
    let tried = caller.app.auth.reserve_name(own)?;
    let to = bind_grantee(&caller.app, &asked.to, "/to")?;
    caller.app.auth.refund_name(own, tried);
    if asked.to == Grantee::Account(caller.identity.account.clone()) {
        return Err(Problem(invalid("/to/account", "This is your own account.")));
    }
    let expires = expiry(asked.expires.as_deref())?;
    let note = asked.note.unwrap_or_default();
    check_note(&note)?;
    let drive = caller.app.drive(&caller.identity).await?;
    let (path, folder, id) = drive
        .share_target(&path)
        .await
        .map_err(|error| match error {
            Error::NotFound => invalid("/path", "There is nothing at this path."),
            error => error,
        })?;
    let rights = asked.rights.into();
    let new = NewShare {
        path,
        node: id,
        folder,
        to,
        rights,
        expires,
        note,
    };
    let app = caller.app.clone();
    let owner = caller.identity.account.clone();
    let reporter = caller.reporter();
    let work = async move {
        let to = new.to.clone();
        let share = app.sharing.shares.create(&owner, new).await?;
        // An account that is removed meanwhile has had its shares ended already.
        if matches!(&to.named, Grantee::Account(name) if app.auth.account(name).is_none()) {
            app.sharing.shares.revoke(&owner, &share.id).await?;
            return Err(invalid("/to/account", "There is no account of this name."));
        }
        reporter
            .done(AuditKind::ShareCreated, &share.id, share.audit_text())
            .await;
        Ok(share)
    };
    let share = caller.app.run_to_completion(work).await?;
    Ok((StatusCode::CREATED, Json(OutgoingShare::of(&share))))
}

/// Changes a share: its owner the rights, expiry and note, a receiver the name.
#[utoipa::path(patch, path = "/api/v1/shares/{id}", tag = ApiTag::SHARES, operation_id = "changeShare", params(("id" = String, Path)),
    request_body = ShareChange, responses((status = 204), Failures))]
pub async fn change(
    caller: AccountCaller,
    Path(id): Path<String>,
    Body(asked): Body<ShareChange>,
) -> Result<StatusCode, Problem> {
    let app = caller.app.clone();
    let account = caller.identity.account.clone();
    if app.sharing.shares.made_by(&account, &id).is_none() {
        return rename(caller, id, asked).await;
    }
    if asked.name.is_some() {
        return Err(Problem(invalid(
            "/name",
            "Only those whom it is shared with can name it.",
        )));
    }
    let expires = changed_expiry(asked.expires)?;
    asked.note.as_deref().map_or(Ok(()), check_note)?;
    let reporter = caller.reporter();
    let work = async move {
        let edit = |share: &mut Share| {
            share.rights = asked.rights.map_or(share.rights, Rights::from);
            share.expires = expires.clone().apply(share.expires);
            if let Some(note) = &asked.note {
                share.note.clone_from(note);
            }
        };
        let before = app.sharing.shares.made_by(&account, &id);
        let share = app
            .sharing
            .shares
            .change(|shares| shares.made_by(&account, &id), edit)
            .await?;
        if before.as_ref() != Some(&share) {
            reporter
                .done(AuditKind::ShareChanged, &id, share.audit_text())
                .await;
        }
        app.sharing.release_lost(&*app.locks, &share).await
    };
    caller.app.run_to_completion(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rename(
    caller: AccountCaller,
    id: String,
    asked: ShareChange,
) -> Result<StatusCode, Problem> {
    let app = caller.app.clone();
    let account = caller.identity.account.clone();
    app.sharing
        .shares
        .shown_to(&account, &id)
        .ok_or(Error::NotFound)?;
    if asked.rights.is_some() || !matches!(asked.expires, FieldPatch::Keep) || asked.note.is_some()
    {
        return Err(Problem(Error::Forbidden(
            "Only the owner of what is shared may change this.",
        )));
    }
    let Some(name) = asked.name else {
        return Ok(StatusCode::NO_CONTENT);
    };
    check_name(&name).map_err(|error| invalid("/name", error.to_string()))?;
    let reporter = caller.reporter();
    let work = async move {
        let before = app.sharing.shares.shown_to(&account, &id);
        let share = app.sharing.shares.rename(&account, &id, &name).await?;
        if before.as_ref() != Some(&share) {
            reporter
                .done(
                    AuditKind::ShareChanged,
                    &id,
                    share.audit_name_text(&account),
                )
                .await;
        }
        Ok(())
    };
    caller.app.run_to_completion(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a share that you made, for all; or takes a share that was made for you out of your drive.
#[utoipa::path(delete, path = "/api/v1/shares/{id}", tag = ApiTag::SHARES, operation_id = "endShare", params(("id" = String, Path)),
    responses((status = 204), Failures))]
pub async fn end(caller: AccountCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let app = caller.app.clone();
    let account = caller.identity.account.clone();
    let reporter = caller.reporter();
    let work = async move {
        let shares = &app.sharing.shares;
        let share = match shares.revoke(&account, &id).await {
            Ok(share) => {
                reporter
                    .done(AuditKind::ShareRemoved, &id, share.audit_text())
                    .await;
                share
            }
            Err(Error::NotFound) => {
                let share = shares.leave(&account, &id).await?;
                reporter
                    .done(
                        AuditKind::ShareChanged,
                        &id,
                        share.audit_left_text(&account),
                    )
                    .await;
                share
            }
            Err(error) => return Err(error),
        };
        app.sharing.release_lost(&*app.locks, &share).await
    };
    caller.app.run_to_completion(work).await?;
    Ok(StatusCode::NO_CONTENT)
}
