//! The drive of a link over WebDAV, for clients that mount it: any user name, and the link's password if it has one.

use super::download;
use super::pass::check_password;
use super::visitor::authorize;
use crate::app::App;
use crate::auth::RequestOrigin;
use crate::http::body::Body;
use crate::http::dav::{self, DavContext};
use crate::http::request_body::RequestBody;
use crate::http::{Answer, login, reply};
use crate::links::Link;
use crate::model::{Error, Result};
use http::request::Parts;
use http::{Request, Response};
use std::sync::Arc;

/// Answers a request beneath `/s/<token>/dav`.
pub(in crate::http) async fn handle(
    app: &Arc<App>,
    token: String,
    origin: &RequestOrigin,
    request: Request<RequestBody>,
) -> Answer {
    let (mut parts, mut body) = request.into_parts();
    let (link, context) = match enter(app, &token, origin, &parts).await {
        Ok(entered) => entered,
        Err(error) => return login::refuse(&error, &parts, &mut body).await.into(),
    };
    download::prepare(&link, &mut parts.headers);
    let response: Response<Body> = dav::handle(app, &context, &parts, body).await;
    if link.record.max_downloads.is_none() {
        // Clients that mount a link read its files again and again.
        return response.into();
    }
    match download::charge(app, &link, &parts.method, response).await {
        Ok(response) => response.into(),
        Err(error) => reply::failure(&error).into(),
    }
}

async fn enter(
    app: &Arc<App>,
    token: &str,
    origin: &RequestOrigin,
    parts: &Parts,
) -> Result<(Link, DavContext)> {
    let link = app.links.find_by_token(token).ok_or(Error::NotFound)?;
    let (identity, drive) = authorize(app, &link).await?;
    drop(drive);
    check_basic(app, &link, origin, parts).await?;
    app.links.touch(&link).await;
    let before = app.config.server.path_prefix();
    let prefix = format!("{before}/s/{token}/dav").into();
    let single_file = !link.record.target.folder;
    Ok((
        link,
        DavContext {
            identity,
            prefix,
            single_file,
        },
    ))
}

/// Verifies the password that came with the request. Within the hour a network that gave it is believed without argon2. Beyond its
/// tries only a connection that had given it before is: guessers must not tell the right password by its being let in.
async fn check_basic(app: &App, link: &Link, origin: &RequestOrigin, parts: &Parts) -> Result<()> {
    if link.record.password.is_none() {
        return Ok(());
    }
    let password = login::basic_password(&parts.headers)?;
    let passes = &app.links.passes;
    let client = origin.address;
    let key = passes.key(link, password.as_bytes());
    let has_tries = || app.auth.check_link_tries(&link.id, client).is_ok();
    if passes.is_proven(link, client.into(), &key) && (origin.is_proven(&key) || has_tries()) {
        origin.note(Some(key));
        return Ok(());
    }
    let checked = check_password(app, link, password.as_bytes(), client).await;
    match &checked {
        Ok(()) => {
            passes.prove(link, client.into(), key);
            origin.note(Some(key));
        }
        // Nothing was checked.
        Err(Error::Busy { .. }) => {}
        Err(_) => origin.note(None),
    }
    checked
}
