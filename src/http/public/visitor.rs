//! A visitor of a link, as a type: the link is alive, what it shows is there, and its password was given.

use super::answers::{failed, gone};
use super::download;
use super::pass::{ask_password, has_pass};
use crate::app::App;
use crate::drive::Drive;
use crate::http::api::caller::PublicCaller;
use crate::links::{Link, LinkAccess};
use crate::model::{Error, Identity, Result, Rights, Role, VPath, Via};
use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use http::Method;
use http::request::Parts;
use std::net::IpAddr;
use std::sync::Arc;

/// The identity and drive of a visitor. `NotFound` once the owner is disabled or what was shared is gone.
pub(super) async fn authorize(app: &App, link: &Link) -> Result<(Arc<Identity>, Drive)> {
    let record = link.record.as_ref();
    let owner = app
        .auth
        .account(&record.owner)
        .filter(|owner| !owner.disabled)
        .ok_or(Error::NotFound)?;
    let access = Arc::new(LinkAccess::new(
        app.links.clone(),
        app.auth.clone(),
        link.clone(),
    ));
    let identity = Arc::new(Identity {
        via: Via::Link(link.id.clone()),
        scope: VPath::from_stored(record.path.clone()),
        rights: record.rights,
        ..Identity::whole(owner.name, Role::User, owner.quota, access)
    });
    let gone = |error| match error {
        Error::ParentMissing | Error::NotFolder | Error::Unauthenticated | Error::Forbidden(_) => {
            Error::NotFound
        }
        error => error,
    };
    let drive = app.drive(&identity).await.map_err(gone)?;
    let top = VPath::root();
    let at = drive.at(&top).await.map_err(gone)?;
    let (node, id) = at.identify().await.map_err(gone)?;
    let props = if record.target.has_link_tag() {
        at.props().await?
    } else {
        Vec::new()
    };
    if !record.target.is(&node, id, &props) {
        return Err(Error::NotFound);
    }
    Ok((identity, drive))
}

/// A visitor who may use the link: the link is alive, and its password was given.
pub(super) struct Visitor {
    pub(super) app: Arc<App>,
    pub(super) link: Link,
    pub(super) token: String,
    pub(super) drive: Drive,
    pub(super) client: IpAddr,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let (PublicCaller { app, client }, link, token, drive) = arrive(parts, state).await?;
        if link.record.password.is_some() && !has_pass(&app, &link, &parts.headers) {
            return Err(ask_password(&token, None));
        }
        app.links.touch(&link).await;
        Ok(Self {
            app,
            link,
            token,
            drive,
            client,
        })
    }
}

pub(super) async fn arrive<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<(PublicCaller, Link, String, Drive), Response> {
    let public = PublicCaller::from_request_parts(parts, state)
        .await
        .map_err(IntoResponse::into_response)?;
    let Path(token) = Path::<String>::from_request_parts(parts, state)
        .await
        .map_err(|_| gone())?;
    let link = public.app.links.find_by_token(&token).ok_or_else(gone)?;
    let (_, drive) = authorize(&public.app, &link)
        .await
        .map_err(|error| failed(&error))?;
    Ok((public, link, token, drive))
}

impl Visitor {
    /// The name of what was shared.
    pub(super) fn name(&self) -> &str {
        self.link.record.path.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn name_at<'a>(&'a self, path: &'a VPath) -> &'a str {
        path.name().unwrap_or_else(|| self.name())
    }

    /// Nothing is read by a link for uploads.
    pub(super) fn reads(&self) -> Result<()> {
        if self.link.record.rights == Rights::Drop {
            Err(Error::NotFound)
        } else {
            Ok(())
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.link.record.max_downloads.is_some()
    }

    /// The answer to a GET, if it may be given out.
    pub(super) async fn charge(&self, method: &Method, response: Response) -> Result<Response> {
        download::charge(&self.app, &self.link, method, response).await
    }
}
