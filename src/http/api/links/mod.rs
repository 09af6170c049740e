//! Public links of the account that asks: made, listed, changed, ended. The token is told once, when the link is made.

mod documents;
mod edit;

use crate::audit;
use crate::audit::{Actor, AuditEvent};
use crate::http::api::ApiTag;
use crate::http::api::caller::AccountCaller;
use crate::http::api::field_patch::FieldPatch;
use crate::http::api::fields::{changed_expiry, expiry};
use crate::http::api::json::{Json, Query};
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem};
use crate::links::{Link, LinkRecord, Target};
use crate::model::{Identity, Result, Rights, VPath, Via, time};
use axum::extract::Path;
pub use documents::{CreatedLink, LinkChange, LinkView, NewLink};
use edit::{LinkEdit, check, check_kind, checked};
use http::StatusCode;
use std::sync::Arc;
use std::time::SystemTime;

/// Makes a public link.
#[utoipa::path(post, path = "/api/v1/links", tag = ApiTag::LINKS, operation_id = "createLink", request_body = NewLink,
    responses((status = 201, body = CreatedLink), Failures))]
pub async fn create(
    account: AccountCaller,
    Json(new): Json<NewLink>,
) -> Result<(StatusCode, axum::Json<CreatedLink>), Problem> {
    let path = VPath::parse(&new.path)?;
    let rights = new.rights.unwrap_or(Rights::View);
    check(rights, new.max_downloads, &new.note)?;
    let expires = expiry(new.expires.as_deref())?;
    let event = event(&account, audit::AuditKind::LinkCreated);
    let app = account.app;
    let drive = app.drive(&within(&account.identity, &path)).await?;
    let node = drive.stat(&VPath::root()).await?;
    check_kind(rights, node.folder)?;
    let password = match &new.password {
        Some(password) => Some(app.auth.hash_link_password(checked(password)?).await?),
        None => None,
    };
    let owner = account.identity.account.clone();
    let access = account.identity.access.clone();
    let about = new.note;
    let max_downloads = new.max_downloads;
    let work = {
        let app = Arc::clone(&app);
        let whole = app.drive(&account.identity).await?;
        async move {
            let (node, id) = whole.persist_id(&path).await?;
            check_kind(rights, node.folder)?;
            let target = Target::new(node.folder, id);
            let record = LinkRecord {
                owner,
                path: path.as_str().to_owned(),
                target,
                rights,
                token: String::new(),
                password,
                generation: 0,
                expires,
                max_downloads,
                downloads: 0,
                created: time::unix_seconds(SystemTime::now()),
                last_used: None,
                note: about,
            };
            // It may have ended while the password waited to be hashed.
            access.check()?;
            let (link, token) = app.links.create(record).await?;
            app.audit.record(event.about(&link)).await;
            Ok((link, token))
        }
    };
    let (link, token) = app.run_to_completion(work).await?;
    let url = format!("{}/s/{token}", app.config.server.path_prefix());
    Ok((
        StatusCode::CREATED,
        axum::Json(CreatedLink {
            link: LinkView::from(&link),
            token,
            url,
        }),
    ))
}

/// The account itself, confined as a visitor of the link would be: what is mounted from others cannot be reached this way.
fn within(identity: &Identity, path: &VPath) -> Arc<Identity> {
    let via = Via::Link(String::new());
    Arc::new(Identity {
        scope: path.clone(),
        rights: Rights::View,
        via,
        ..identity.clone()
    })
}

/// What the audit log will hear.
fn event(account: &AccountCaller, kind: audit::AuditKind) -> LinkEvent {
    LinkEvent(
        AuditEvent::new(Actor::from(account.identity.as_ref()), kind, "")
            .with_address(account.client),
    )
}

/// An act on a link that is not yet known.
struct LinkEvent(AuditEvent);

impl LinkEvent {
    fn about(self, link: &Link) -> AuditEvent {
        AuditEvent {
            target: link.id.clone(),
            ..self.0
        }
        .with_note(link.record.path.clone())
    }
}

/// The links of the account.
#[utoipa::path(get, path = "/api/v1/links", tag = ApiTag::LINKS, operation_id = "listLinks", params(PageQuery),
    responses((status = 200, body = Page<LinkView>), Failures))]
pub async fn list(
    account: AccountCaller,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<LinkView>>, Problem> {
    let links = account.app.links.of(&account.identity.account);
    let page = query.cut(links, |link| link.id.clone())?;
    Ok(axum::Json(Page {
        items: page.items.iter().map(LinkView::from).collect(),
        next: page.next,
    }))
}

/// One link of the account.
#[utoipa::path(get, path = "/api/v1/links/{id}", tag = ApiTag::LINKS, operation_id = "showLink", params(("id" = String, Path)),
    responses((status = 200, body = LinkView), Failures))]
pub async fn show(
    account: AccountCaller,
    Path(id): Path<String>,
) -> Result<axum::Json<LinkView>, Problem> {
    let link = account.app.links.find(&account.identity.account, &id)?;
    Ok(axum::Json(LinkView::from(&link)))
}

/// Changes a link of the account, from the next request on.
#[utoipa::path(patch, path = "/api/v1/links/{id}", tag = ApiTag::LINKS, operation_id = "changeLink", params(("id" = String, Path)),
    request_body = LinkChange, responses((status = 200, body = LinkView), Failures))]
pub async fn change(
    account: AccountCaller,
    Path(id): Path<String>,
    Json(change): Json<LinkChange>,
) -> Result<axum::Json<LinkView>, Problem> {
    let event = event(&account, audit::AuditKind::LinkChanged);
    let app = account.app;
    let owner = account.identity.account.clone();
    let access = account.identity.access.clone();
    let mut present = LinkRecord::clone(&app.links.find(&owner, &id)?.record);
    let LinkChange {
        rights,
        password,
        expires,
        max_downloads,
        note,
    } = change;
    let expires = changed_expiry(expires)?;
    let edit = LinkEdit {
        rights,
        password: FieldPatch::Keep,
        expires,
        max_downloads,
        note,
    };
    // Before the time that a hash takes.
    edit.clone().apply(&mut present)?;
    let password = password
        .try_map(async |password| app.auth.hash_link_password(checked(&password)?).await)
        .await?;
    let edit = LinkEdit { password, ..edit };
    let work = {
        let app = Arc::clone(&app);
        async move {
            let mut is_changed = false;
            let alter = |record: &mut LinkRecord| {
                // It may have ended while the password waited to be hashed.
                access.check()?;
                let before = record.clone();
                edit.clone().apply(record)?;
                is_changed = *record != before;
                Ok(())
            };
            let link = app.links.change(&owner, &id, alter).await?;
            app.release_lost_locks().await;
            if is_changed {
                app.audit.record(event.about(&link)).await;
            }
            Ok(link)
        }
    };
    Ok(axum::Json(LinkView::from(
        &app.run_to_completion(work).await?,
    )))
}

/// Ends a link of the account, from the next request on.
#[utoipa::path(delete, path = "/api/v1/links/{id}", tag = ApiTag::LINKS, operation_id = "deleteLink", params(("id" = String, Path)),
    responses((status = 204, description = "It is no more."), Failures))]
pub async fn remove(account: AccountCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let app = Arc::clone(&account.app);
    let owner = account.identity.account.clone();
    let event = event(&account, audit::AuditKind::LinkRemoved);
    let work = async move {
        let link = app.links.find(&owner, &id)?;
        app.links.remove(&owner, &id).await?;
        app.release_lost_locks().await;
        app.audit.record(event.about(&link)).await;
        Ok(())
    };
    account.app.run_to_completion(work).await?;
    Ok(StatusCode::NO_CONTENT)
}
