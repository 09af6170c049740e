//! The identities at the sign-in provider that the account that asks is linked to. To change them takes its password.

use super::ApiTag;
use super::caller::AccountCaller;
use super::fields::date;
use super::json::{Json, Query};
use super::openid::{local, provider, with_state_cookie};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::auth::OpenIdLink;
use crate::model::Error;
use crate::openid::{Purpose, SIGN_IN_TIMEOUT};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A link between an account and somebody at a provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenIdLinkView {
    /// The provider.
    pub issuer: String,
    /// Who it is there.
    pub subject: String,
    /// When the link was made.
    pub created: String,
}

impl From<&OpenIdLink> for OpenIdLinkView {
    fn from(link: &OpenIdLink) -> Self {
        Self {
            issuer: link.issuer.clone(),
            subject: link.subject.clone(),
            created: date(link.created),
        }
    }
}

/// The wish to link the account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkWish {
    /// The present password.
    #[schema(value_type = String)]
    password: Zeroizing<String>,
    /// The path of this server to go to afterwards, `/` if not said.
    #[serde(rename = "return")]
    back: Option<String>,
}

/// The wish to end the links.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlinkWish {
    /// The present password.
    #[schema(value_type = String)]
    password: Zeroizing<String>,
}

/// The way to the provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkStart {
    /// Where to send the browser that asked: its cookie goes with it.
    pub location: String,
}

/// A page of links, in the order of their providers.
pub(super) fn page_of(
    links: &[std::sync::Arc<OpenIdLink>],
    page: &PageQuery,
) -> Result<Page<OpenIdLinkView>, Error> {
    let mut views: Vec<OpenIdLinkView> = links
        .iter()
        .map(|link| OpenIdLinkView::from(&**link))
        .collect();
    views.sort_by(|a, b| a.issuer.cmp(&b.issuer));
    page.cut(views, |view| view.issuer.clone())
}

/// Whom of the provider the account belongs to.
#[utoipa::path(get, path = "/api/v1/me/openid", tag = ApiTag::ACCOUNT, operation_id = "listOpenidLinks", params(PageQuery),
    responses((status = 200, body = Page<OpenIdLinkView>), Failures))]
pub async fn list(
    AccountCaller { app, identity, .. }: AccountCaller,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Page<OpenIdLinkView>>, Problem> {
    Ok(axum::Json(page_of(
        &app.auth.openid_links_of(&identity.account),
        &page,
    )?))
}

/// Begins to link the account: the browser goes to the provider, and comes back linked.
#[utoipa::path(post, path = "/api/v1/me/openid", tag = ApiTag::ACCOUNT, operation_id = "beginOpenidLink",
    request_body = LinkWish, responses((status = 200, body = LinkStart), Failures))]
pub async fn link(
    AccountCaller {
        app,
        identity,
        client,
    }: AccountCaller,
    headers: HeaderMap,
    Json(wish): Json<LinkWish>,
) -> Result<Response, Problem> {
    let openid = provider(&app)?;
    let back = local(wish.back)?;
    let standing = app
        .auth
        .prove_password(&identity.account, wish.password.as_bytes(), client)
        .await?;
    let departure = openid.begin_sign_in(Purpose::Link(standing), back).await?;
    let answer = axum::Json(LinkStart {
        location: departure.location,
    });
    Ok(with_state_cookie(
        &app,
        &headers,
        (&departure.cookie, SIGN_IN_TIMEOUT),
        answer,
    ))
}

/// Ends the account's links: nobody of the provider signs in to it any more. Its sessions go on.
#[utoipa::path(delete, path = "/api/v1/me/openid", tag = ApiTag::ACCOUNT, operation_id = "endOpenidLinks",
    request_body = UnlinkWish, responses((status = 204), Failures))]
pub async fn unlink(
    AccountCaller {
        app,
        identity,
        client,
    }: AccountCaller,
    Json(wish): Json<UnlinkWish>,
) -> Result<StatusCode, Problem> {
    app.auth
        .prove_password(&identity.account, wish.password.as_bytes(), client)
        .await?;
    if app.auth.unlink_openid(&identity.account).await? == 0 {
        return Err(Problem(Error::NotFound));
    }
    let event = AuditEvent::new(
        Actor::from(&*identity),
        AuditKind::OpenidUnlinked,
        identity.account.as_str(),
    )
    .with_address(client);
    app.audit.record(event).await;
    Ok(StatusCode::NO_CONTENT)
}
