//! The drive of a link over WebDAV, for clients that mount it: any user name, and the link's password if it has one.

use super::{admit, check_password};
use crate::app::App;
use crate::http::body::Body;
use crate::http::dav::{self, Visit};
use crate::http::intake::BodyIn;
use crate::http::{Answer, login};
use crate::links::Link;
use crate::model::{Error, Result, VPath};
use http::header::RANGE;
use http::request::Parts;
use http::{Method, Request, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// Answers a request beneath `/s/<token>/dav`.
pub(in crate::http) async fn handle(app: &Arc<App>, token: String, client: IpAddr, request: Request<BodyIn>) -> Answer {
    let (mut parts, mut body) = request.into_parts();
    let visit = match enter(app, &token, client, &mut parts).await {
        Ok(visit) => visit,
        Err(error) => return login::refuse(&error, &parts, &mut body).await.into(),
    };
    let response: Response<Body> = dav::handle(app, &visit, &parts, body).await;
    response.into()
}

async fn enter(app: &Arc<App>, token: &str, client: IpAddr, parts: &mut Parts) -> Result<Visit> {
    let link = app.links.enter(token).ok_or(Error::NotFound)?;
    let (identity, drive) = admit(app, &link).await?;
    let encased = !link.record.target.folder;
    let drive = if encased { drive.encased() } else { drive };
    if link.record.password.is_some() {
        let password = login::basic_password(&parts.headers)?;
        let pass = format!("basic:{}", *password);
        if !app.links.passes.admits(&link, &pass) {
            check_password(app, &link, password.as_bytes(), client).await?;
            app.links.passes.remember(&link, &pass);
        }
    }
    app.links.touch(&link).await;
    let prefix = format!("/s/{token}/dav");
    if parts.method == Method::GET && link.record.max_downloads.is_some() {
        let path = VPath::from_url(parts.uri.path(), &prefix)?.ok_or(Error::NotFound)?;
        if drive.find(&path).await?.is_some_and(|node| !node.folder) {
            count(app, &link).await?;
            parts.headers.remove(RANGE);
        }
    }
    Ok(Visit { identity, prefix: prefix.into(), encased })
}

async fn count(app: &Arc<App>, link: &Link) -> Result<()> {
    let (shared, link) = (Arc::clone(app), link.clone());
    app.finish(async move { shared.links.count_download(&link).await }).await
}
