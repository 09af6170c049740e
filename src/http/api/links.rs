//! Public links of the account that asks: made, listed, changed, ended. The token is told once, when the link is made.

use super::ApiTag;
use super::caller::AccountCaller;
use super::files::ResourceKind;
use super::json::{Json, Query};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem};
use crate::audit::{self, Actor, AuditEvent};
use crate::links::{Link, LinkRecord, Target};
use crate::model::{Error, Identity, Result, Rights, VPath, Via, time};
use axum::extract::Path;
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::ToSchema;
use zeroize::Zeroizing;

const MAX_NOTE: usize = 1000;
const MAX_PASSWORD: usize = 1024;

/// A link to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// What it shows, in the home of the account.
    path: String,
    /// What may be done with it: `view` if not said; `drop` and `edit` are for folders.
    rights: Option<Rights>,
    /// A password that visitors must give.
    #[schema(value_type = Option<String>)]
    password: Option<Zeroizing<String>>,
    /// When it ends (RFC 3339).
    expires: Option<String>,
    /// How many downloads it allows.
    #[schema(minimum = 1)]
    max_downloads: Option<u64>,
    /// What its owner says about it.
    #[serde(default)]
    note: String,
}

/// What changes of a link; what is not said stays, and `null` takes away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkChange {
    /// What may be done with it.
    rights: Option<Rights>,
    /// A password that visitors must give.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    password: LinkFieldPatch<Zeroizing<String>>,
    /// When it ends (RFC 3339).
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    expires: LinkFieldPatch<String>,
    /// How many downloads it allows in all.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    max_downloads: LinkFieldPatch<u64>,
    /// What its owner says about it.
    note: Option<String>,
}

/// A link, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkView {
    id: String,
    /// What it shows.
    path: String,
    kind: ResourceKind,
    rights: Rights,
    /// Whether visitors must give a password.
    has_password: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_downloads: Option<u64>,
    downloads: u64,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
    note: String,
}

/// A new link, with what is never told again.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedLink {
    #[serde(flatten)]
    link: LinkView,
    /// The secret of the link.
    token: String,
    /// Where visitors find it, on this server.
    url: String,
}

impl std::fmt::Debug for NewLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewLink")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LinkChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkChange").finish_non_exhaustive()
    }
}

/// A field of a change.
#[derive(Clone, Default)]
enum LinkFieldPatch<T> {
    /// It is not there: all stays.
    #[default]
    Nothing,
    /// `null`
    Gone,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for LinkFieldPatch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Gone, Self::Value))
    }
}

impl<T> LinkFieldPatch<T> {
    /// What holds after the change.
    fn or(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Nothing => present,
            Self::Gone => None,
            Self::Value(value) => Some(value),
        }
    }

    /// The same with another value in it.
    async fn then<U>(self, make: impl AsyncFnOnce(T) -> Result<U>) -> Result<LinkFieldPatch<U>> {
        Ok(match self {
            Self::Nothing => LinkFieldPatch::Nothing,
            Self::Gone => LinkFieldPatch::Gone,
            Self::Value(value) => LinkFieldPatch::Value(make(value).await?),
        })
    }
}

impl From<&Link> for LinkView {
    fn from(link: &Link) -> Self {
        let record = link.record.as_ref();
        let date = |seconds| time::iso_date(time::from_unix_seconds(seconds));
        Self {
            id: link.id.clone(),
            path: record.path.clone(),
            kind: if record.target.folder {
                ResourceKind::Folder
            } else {
                ResourceKind::File
            },
            rights: record.rights,
            has_password: record.password.is_some(),
            expires: record.expires.map(date),
            max_downloads: record.max_downloads,
            downloads: record.downloads,
            created: date(record.created),
            last_used: record.last_used.map(date),
            note: record.note.clone(),
        }
    }
}

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
    let expires = new.expires.as_deref().map(moment).transpose()?;
    let event = event(&account, audit::AuditKind::LinkCreated);
    let app = account.app;
    let drive = app.drive(&within(&account.identity, &path)).await?;
    let node = drive.stat(&VPath::root()).await?;
    check_kind(rights, node.folder)?;
    let password = match &new.password {
        Some(password) => Some(app.auth.hash_link_password(checked(password)?).await?),
        None => None,
    };
    let (owner, access) = (
        account.identity.account.clone(),
        account.identity.access.clone(),
    );
    let (about, max_downloads) = (new.note, new.max_downloads);
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

fn check(rights: Rights, max_downloads: Option<u64>, note: &str) -> Result<()> {
    let invalid = |pointer: &str, why: &str| {
        Err(Error::Invalid {
            pointer: pointer.into(),
            why: why.into(),
        })
    };
    if max_downloads == Some(0) {
        return invalid("/max_downloads", "A link allows at least one download.");
    }
    if max_downloads.is_some_and(|most| i64::try_from(most).is_err()) {
        return invalid(
            "/max_downloads",
            "A link allows at most 2^63 - 1 downloads.",
        );
    }
    if max_downloads.is_some() && rights == Rights::Drop {
        return invalid(
            "/max_downloads",
            "Nothing is downloaded by a link for uploads.",
        );
    }
    if note.len() > MAX_NOTE {
        return invalid("/note", "A note has at most 1000 bytes.");
    }
    Ok(())
}

fn check_kind(rights: Rights, folder: bool) -> Result<()> {
    if rights != Rights::View && !folder {
        return Err(Error::Invalid {
            pointer: "/rights".into(),
            why: "A link to a file is for viewing.".into(),
        });
    }
    Ok(())
}

fn checked(password: &Zeroizing<String>) -> Result<&[u8]> {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(Error::Invalid {
            pointer: "/password".into(),
            why: "A password has 1 to 1024 bytes.".into(),
        });
    }
    Ok(password.as_bytes())
}

fn moment(text: &str) -> Result<i64> {
    let read = time::parse_iso_date(text).filter(|end| *end > SystemTime::now());
    read.map(time::unix_seconds).ok_or_else(|| Error::Invalid {
        pointer: "/expires".into(),
        why: "This must be a moment to come, as 2030-01-31T12:00:00Z.".into(),
    })
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
    let (app, owner, access) = (
        account.app,
        account.identity.account.clone(),
        account.identity.access.clone(),
    );
    let mut present = LinkRecord::clone(&app.links.find(&owner, &id)?.record);
    let LinkChange {
        rights,
        password,
        expires,
        max_downloads,
        note,
    } = change;
    let expires = expires.then(async |text| moment(&text)).await?;
    let edit = LinkEdit {
        rights,
        password: LinkFieldPatch::Nothing,
        expires,
        max_downloads,
        note,
    };
    // Before the time that a hash takes.
    edit.clone().apply(&mut present)?;
    let password = password
        .then(async |password| app.auth.hash_link_password(checked(&password)?).await)
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
                edit.apply(record)?;
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

/// What changes of a record: the rest stays as it is at that moment, whoever has changed it meanwhile.
#[derive(Clone)]
struct LinkEdit {
    rights: Option<Rights>,
    password: LinkFieldPatch<String>,
    expires: LinkFieldPatch<i64>,
    max_downloads: LinkFieldPatch<u64>,
    note: Option<String>,
}

impl LinkEdit {
    fn apply(self, record: &mut LinkRecord) -> Result<()> {
        record.rights = self.rights.unwrap_or(record.rights);
        if !matches!(self.password, LinkFieldPatch::Nothing) {
            record.generation += 1;
        }
        record.password = self.password.or(record.password.take());
        record.expires = self.expires.or(record.expires);
        record.max_downloads = self.max_downloads.or(record.max_downloads);
        record.note = self
            .note
            .unwrap_or_else(|| std::mem::take(&mut record.note));
        check(record.rights, record.max_downloads, &record.note)?;
        check_kind(record.rights, record.target.folder)
    }
}

/// Ends a link of the account, from the next request on.
#[utoipa::path(delete, path = "/api/v1/links/{id}", tag = ApiTag::LINKS, operation_id = "deleteLink", params(("id" = String, Path)),
    responses((status = 204, description = "It is no more."), Failures))]
pub async fn remove(account: AccountCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let (app, owner) = (Arc::clone(&account.app), account.identity.account.clone());
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
