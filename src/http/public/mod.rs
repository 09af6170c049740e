//! Public links for their visitors: pages that need no scripts at `/s/<token>`, the same as a WebDAV drive at `/s/<token>/dav/`.
//! What is unknown, expired, ended, used up or gone looks the same: nothing is there.

mod download;
mod html;
pub mod webdav;

use super::api::bulk::ItemResult;
use super::api::caller::PublicCaller;
use super::api::json::{Query, read};
use super::api::upload::{FormTarget, store_form};
use super::api::{files, zip};
use super::multipart::MultipartForm;
use super::{cookie, html as pages, reply, thumbnails};
use crate::app::App;
use crate::drive::Drive;
use crate::http::body::Download;
use crate::http::content_disposition::disposition;
use crate::links::{Link, LinkAccess};
use crate::model::{Error, Identity, Result, Rights, Role, VPath, Via};
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, COOKIE, RETRY_AFTER, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::percent_decode;
use serde::Deserialize;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most bytes of the form for the password.
const MAX_FORM: usize = 8 << 10;
/// The cookie that stands for the password.
const COOKIE_NAME: &str = "pass";
/// The most passes that a request may show. A browser has one or two for an address; who sends more than a few is guessing.
const MAX_PASSES: usize = 4;
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

/// A path as logs may have it.
pub(super) fn without_token(path: &str) -> Cow<'_, str> {
    match path.strip_prefix("/s/") {
        Some(rest) => format!(
            "/s/-{}",
            rest.find('/')
                .and_then(|at| rest.get(at..))
                .unwrap_or_default()
        )
        .into(),
        None => path.into(),
    }
}

/// Who a visitor of a link acts as, while its owner may still sign in and what was shared is still there; else `NotFound`.
async fn authorize(app: &App, link: &Link) -> Result<(Arc<Identity>, Drive)> {
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
    let (node, id) = drive.identify(&VPath::root()).await.map_err(gone)?;
    let props = if record.target.has_link_tag() {
        drive.props(&VPath::root()).await?
    } else {
        Vec::new()
    };
    if !record.target.is(&node, id, &props) {
        return Err(Error::NotFound);
    }
    Ok((identity, drive))
}

/// A visitor who may use the link: the link is alive, and its password was given.
struct Visitor {
    app: Arc<App>,
    link: Link,
    token: String,
    drive: Drive,
    client: IpAddr,
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

async fn arrive<S: Send + Sync>(
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

/// Whether a request shows a pass for the link.
fn has_pass(app: &App, link: &Link, headers: &HeaderMap) -> bool {
    cookies(headers).count() <= MAX_PASSES
        && cookies(headers).any(|pass| app.links.passes.is_valid(link, pass))
}

/// The passes among a request's cookies.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

/// The page of whatever is not there.
fn gone() -> Response {
    let text = "<p>This link does not exist, has ended, or what it showed is gone.</p>";
    (
        reply::status(&Error::NotFound),
        pages::page("Nothing here", text),
    )
        .into_response()
}

/// A failure as a page.
fn failed(error: &Error) -> Response {
    if matches!(error, Error::NotFound) {
        return gone();
    }
    reply::log(error);
    let text = format!(
        "<p class=\"wrong\" role=\"alert\">{}</p>",
        pages::escape(&reply::text_of(error))
    );
    let mut response =
        (reply::api_status(error), pages::page("Not possible", &text)).into_response();
    if let Some(when) = reply::failure(error).headers_mut().remove(RETRY_AFTER) {
        response.headers_mut().insert(RETRY_AFTER, when);
    }
    response
}

fn shown(html: pages::Page) -> Response {
    let mut response = html.into_response();
    response.headers_mut().insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(pages::POLICY),
    );
    response
}

fn ask_password(token: &str, wrong: Option<&Error>) -> Response {
    let status = wrong.map_or(reply::status(&Error::Unauthenticated), reply::status);
    (status, html::password(token, wrong)).into_response()
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

impl Visitor {
    /// The name of what was shared.
    fn name(&self) -> &str {
        self.link.record.path.rsplit('/').next().unwrap_or_default()
    }

    fn name_at<'a>(&'a self, path: &'a VPath) -> &'a str {
        path.name().unwrap_or_else(|| self.name())
    }

    /// Nothing is read by a link for uploads.
    fn reads(&self) -> Result<()> {
        if self.link.record.rights == Rights::Drop {
            Err(Error::NotFound)
        } else {
            Ok(())
        }
    }

    fn is_limited(&self) -> bool {
        self.link.record.max_downloads.is_some()
    }

    /// The answer to a GET, if it may be given out.
    async fn charge(&self, method: &Method, response: Response) -> Result<Response> {
        download::charge(&self.app, &self.link, method, response).await
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
        if visitor.is_limited() || visitor.drive.stat(&path).await?.folder {
            return Err(Error::NotFound);
        }
        let reader = visitor.drive.open(&path).await?;
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
            return Err(Error::Forbidden("This link is for viewing."));
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
            Err(error) if !results.iter().any(ItemResult::is_done) => return Err(error),
            // What was stored is told, also where the folder cannot be listed now.
            rows => rows.unwrap_or_default(),
        };
        Ok(html::folder(&visitor, &path, &rows, Some(&results)))
    };
    outcome.await.map_or_else(|error| failed(&error), shown)
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

/// Verifies a link's password; one without a password lets anybody pass.
async fn check_password(app: &App, link: &Link, password: &[u8], from: IpAddr) -> Result<()> {
    match &link.record.password {
        Some(stored) => {
            app.auth
                .check_link_password(&link.id, stored, password, from)
                .await
        }
        None => Ok(()),
    }
}

fn password_in(form: &[u8]) -> Zeroizing<Vec<u8>> {
    let value = form
        .split(|b| *b == b'&')
        .find_map(|pair| pair.strip_prefix(b"password="))
        .unwrap_or_default();
    let spaced: Zeroizing<Vec<u8>> = Zeroizing::new(
        value
            .iter()
            .map(|b| if *b == b'+' { b' ' } else { *b })
            .collect(),
    );
    Zeroizing::new(percent_decode(&spaced).collect())
}

/// A cookie for this link alone, if it has a password, and the way to its page.
fn set_pass_cookie(app: &App, link: &Link, token: &str, https: bool) -> Result<Response> {
    let mut response = Redirect::to(&format!("/s/{token}")).into_response();
    if link.record.password.is_none() {
        return Ok(response);
    }
    let (pass, life) = (
        app.links.passes.issue(link)?,
        app.links.passes.life().as_secs(),
    );
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE_NAME}={pass}; Path=/s/{token}; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"
    );
    let cookie = HeaderValue::try_from(cookie).map_err(|_| Error::NotFound)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
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
