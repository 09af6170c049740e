//! Public links for their visitors: pages that need no scripts at `/s/<token>`, the same as a WebDAV drive at `/s/<token>/dav/`.
//! What is unknown, expired, ended, used up or gone looks the same: nothing is there.

mod address;
mod answers;
mod download;
mod html;
mod pass;
mod visitor;
pub mod webdav;

use crate::http::api::bulk::ItemResult;
use crate::http::api::caller::PublicCaller;
use crate::http::api::json::{Query, read};
use crate::http::api::upload::{FormFailure, FormTarget, store_form};
use crate::http::api::{files, zip};
use crate::http::body::Download;
use crate::http::content_disposition::disposition;
use crate::http::multipart::MultipartForm;
use crate::http::{cookie, thumbnails};
use crate::model::{Error, Result, Rights, VPath};
use answers::{failed, failed_form, shown};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_DISPOSITION;
use http::{HeaderMap, Method};
use pass::{ask_password, check_password, password_in, set_pass_cookie};
use serde::Deserialize;
use std::borrow::Cow;
use visitor::{Visitor, arrive};
use zeroize::Zeroizing;

/// The most bytes of the form for the password.
const MAX_FORM: usize = 8 << 10;
/// Characters of a token of a link: 32 bytes in base64url.
const TOKEN_LEN: usize = 43;

/// The pages of links.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/s/{token}", get(show))
        .route("/s/{token}/file", get(file))
        .route("/s/{token}/thumbnail", get(thumbnail))
        .route("/s/{token}/zip", get(archive))
        .route("/s/{token}/password", post(enter_password))
        .route(
            "/s/{token}/upload",
            post(upload).layer(DefaultBodyLimit::disable()),
        )
        .layer(DefaultBodyLimit::max(MAX_FORM))
}

/// The token in the path of a link's drive; `None` for any other path.
pub(super) fn mounted(path: &str) -> Option<&str> {
    let (token, rest) = path.strip_prefix("/s/")?.split_once('/')?;
    (rest == "dav" || rest.starts_with("dav/")).then_some(token)
}

/// A path as logs may have it: without the token of a link, mistyped addresses (`/S/…`, `//s/…`) included.
pub(super) fn without_token(path: &str) -> Cow<'_, str> {
    if let Some(rest) = path.strip_prefix("/s/") {
        let below = rest.split_once('/').map(|(_, below)| below);
        return below.map_or_else(|| "/s/-".into(), |below| format!("/s/-/{below}").into());
    }
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_token = |text: &&str| text.len() >= TOKEN_LEN;
    let is_file = path.starts_with("/dav/");
    let found = path.split(|c| !is_of_token(c)).find(is_token);
    match found.filter(|_| !is_file) {
        Some(token) => path.replace(token, "-").into(),
        None => path.into(),
    }
}

/// Which file or folder beneath what the link shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LinkPathQuery {
    path: String,
    /// Whether a file shall be saved rather than shown.
    save: bool,
    /// The name that a page of a folder begins behind.
    after: Option<String>,
}

impl LinkPathQuery {
    fn path(&self) -> Result<VPath> {
        // What no drive stores is not there.
        VPath::parse(&self.path).map_err(|_| Error::NotFound)
    }
}

/// `GET /s/<token>?path=…`
async fn show(visitor: Visitor, Query(below): Query<LinkPathQuery>) -> Response {
    let outcome = async {
        let path = below.path()?;
        if visitor.link.record.rights == Rights::Drop {
            return Ok(html::drop(&visitor, None));
        }
        let node = visitor.drive.stat(&path).await?;
        if !node.folder {
            return Ok(html::file(&visitor, &path, &node));
        }
        let rows = files::page(
            &visitor.drive,
            &path,
            below.after.as_deref(),
            html::MAX_ROWS,
        )
        .await?;
        Ok(html::folder(&visitor, &path, &rows, None))
    };
    outcome
        .await
        .map_or_else(|error: Error| failed(&error), shown)
}

/// `GET /s/<token>/file?path=…`
async fn file(
    visitor: Visitor,
    Query(below): Query<LinkPathQuery>,
    method: Method,
    mut headers: HeaderMap,
) -> Response {
    let outcome = async {
        let path = below.path()?;
        visitor.reads()?;
        if visitor.drive.stat(&path).await?.folder {
            return Err(Error::NotFound);
        }
        download::prepare(&visitor.link, &mut headers);
        let name = visitor.name_at(&path);
        let mut response = files::content(&visitor.drive, &path, Some(name), &headers).await?;
        if below.save {
            response
                .headers_mut()
                .insert(CONTENT_DISPOSITION, disposition("attachment", name));
        }
        visitor.charge(&method, response).await
    };
    outcome.await.unwrap_or_else(|error| failed(&error))
}

/// `GET /s/<token>/thumbnail?path=…`: one size for all, so that each picture is made once.
async fn thumbnail(
    visitor: Visitor,
    Query(below): Query<LinkPathQuery>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        let path = below.path()?;
        visitor.reads()?;
        // It would show what is limited, and use up nothing.
        if visitor.is_limited() {
            return Err(Error::NotFound);
        }
        let at = visitor.drive.at(&path).await?;
        if at.node().await?.folder {
            return Err(Error::NotFound);
        }
        let reader = at.open().await?;
        thumbnails::answer(
            reader,
            thumbnails::USUAL,
            &headers,
            thumbnails::ThumbnailRequester::ByLink(&visitor.link.id),
        )
        .await
    };
    outcome.await.unwrap_or_else(|error| failed(&error))
}

/// `GET /s/<token>/zip?path=…`
async fn archive(visitor: Visitor, Query(below): Query<LinkPathQuery>, method: Method) -> Response {
    let outcome = async {
        let path = below.path()?;
        visitor.reads()?;
        if !visitor.drive.stat(&path).await?.folder {
            return Err(Error::NotFound);
        }
        let to = (visitor.name(), visitor.client.into());
        let mut response = zip::archive(visitor.drive.clone(), vec![path], to).await?;
        response.extensions_mut().insert(Download);
        visitor.charge(&method, response).await
    };
    outcome.await.unwrap_or_else(|error| failed(&error))
}

/// `POST /s/<token>/upload?path=…`, from the form of a page.
async fn upload(
    visitor: Visitor,
    Query(below): Query<LinkPathQuery>,
    request: Request,
) -> Response {
    let outcome = async {
        let drops = visitor.link.record.rights == Rights::Drop;
        let path = if drops { VPath::root() } else { below.path()? };
        if visitor.link.record.rights == Rights::View {
            return Err(Error::Forbidden("This link is for viewing.").into());
        }
        let into = FormTarget {
            folder: path.clone(),
            overwrite: false,
            tokens: Vec::new(),
        };
        let results = store_form(&visitor.drive, &into, MultipartForm::of(request)?).await?;
        if drops {
            return Ok(html::drop(&visitor, Some(&results)));
        }
        let rows = match files::page(&visitor.drive, &path, None, html::MAX_ROWS).await {
            Err(error) if !results.iter().any(ItemResult::is_done) => return Err(error.into()),
            // What was stored is told, also where the folder cannot be listed now.
            rows => rows.unwrap_or_default(),
        };
        Ok(html::folder(&visitor, &path, &rows, Some(&results)))
    };
    outcome
        .await
        .map_or_else(|failure: FormFailure| failed_form(&failure), shown)
}

/// `POST /s/<token>/password`, from the form that asks for it.
async fn enter_password(request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let (PublicCaller { app, client }, link, token, _) = match arrive(&mut parts, &()).await {
        Ok(arrived) => arrived,
        Err(response) => return response,
    };
    let https = cookie::is_https(&app.config.server, &parts.headers);
    let form = match read(Request::from_parts(parts, body), &()).await {
        Ok(form) => Zeroizing::new(form.to_vec()),
        Err(problem) => return problem.into_response(),
    };
    match check_password(&app, &link, &password_in(&form), client).await {
        Ok(()) => {
            set_pass_cookie(&app, &link, &token, https).unwrap_or_else(|error| failed(&error))
        }
        Err(error @ Error::Unauthenticated) => ask_password(&token, Some(&error)),
        Err(error) => failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_of_links_are_known_by_whole_names() {
        assert_eq!(mounted("/s/abc/dav"), Some("abc"));
        assert_eq!(mounted("/s/abc/dav/x/y"), Some("abc"));
        for other in [
            "/s/abc",
            "/s/abc/davx",
            "/s/dav",
            "/x/abc/dav",
            "/s/abc/file",
        ] {
            assert_eq!(mounted(other), None, "{other}");
        }
    }

    #[test]
    fn logs_do_not_hear_tokens() {
        assert_eq!(without_token("/s/secret/dav/a"), "/s/-/dav/a");
        assert_eq!(without_token("/s/secret"), "/s/-");
        assert_eq!(without_token("/dav/s/x"), "/dav/s/x");
        let token = "kX3_-".repeat(9).split_off(2);
        for (path, logged) in [
            (format!("/S/{token}/dav/a"), "/S/-/dav/a"),
            (format!("//s/{token}"), "//s/-"),
            (format!("/s%2F{token}"), "/s%-"),
            (format!("/nest/s/{token}"), "/nest/s/-"),
        ] {
            assert_eq!(without_token(&path), logged);
        }
        let name = format!("/dav/{token}");
        assert_eq!(without_token(&name), name, "a file may be named so");
    }

    #[test]
    fn passwords_are_read_from_the_form() {
        assert_eq!(
            password_in(b"x=1&password=a+b%26%C3%A9").as_slice(),
            "a b&é".as_bytes()
        );
        assert!(password_in(b"other=1").is_empty());
    }
}
