//! The web app: files of `web/`, served as they are written under a prefix that names their content, and the shell, the one page that
//! loads them. Debug builds read the files from disk at each request, so that an edit shows at the next reload.
//!
//! They are compressed once for each process, when the first of them is asked for: 0.3 s of a thread that may wait, and no build
//! script. Gzip is for plain HTTP, where browsers do not offer brotli.

use super::api::caller::PublicCaller;
use super::dav::conditional::{ReadCondition, evaluate};
use super::router::{self, escape};
use super::{caching, reply};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HOST, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use rust_embed::Embed;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;
use tokio::sync::OnceCell;

/// What pages with scripts may do: run and show what this server sends, and make nothing of text but text.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; \
    connect-src 'self'; frame-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// The shell, and where in it the prefix and the text for browsers without scripts go.
const SHELL: &str = "index.html";
const ASSETS: &str = "{{assets}}";
const NOSCRIPT: &str = "{{noscript}}";
/// The addresses that the app knows what to show at, beside `/setup`, whose form works without it.
const VIEWS: [&str; 13] = [
    "/",
    "/login",
    "/register",
    "/files",
    "/files/{*path}",
    "/shared",
    "/shared/{*path}",
    "/trash",
    "/rewind",
    "/connect",
    "/account",
    "/admin",
    "/admin/{*path}",
];
const FETCH_DEST: &str = "sec-fetch-dest";
/// The best there is, 8 % smaller than 9: each file is compressed once.
const QUALITY: i32 = 11;

#[derive(Embed)]
#[folder = "web/"]
struct WebFiles;

/// All files of one version of the app.
struct WebApp {
    /// What its files lie under, with a slash at the end.
    prefix: String,
    files: HashMap<String, Asset>,
}

/// A file as it is, and smaller where that is possible.
struct Asset {
    plain: Bytes,
    brotli: Bytes,
    gzip: Bytes,
}

static PREFIX: LazyLock<String> = LazyLock::new(prefix);
static SITE: OnceCell<Arc<WebApp>> = OnceCell::const_new();

/// The pages of the app and the files that they load.
pub(super) fn routes() -> Router {
    let router = Router::new().route("/_/{id}/{*name}", get(file));
    VIEWS
        .iter()
        .fold(router, |router, path| router.route(path, get(shell)))
}

/// Where the files of the app lie, with a slash at the end.
pub(super) fn assets() -> String {
    if cfg!(debug_assertions) {
        prefix()
    } else {
        PREFIX.clone()
    }
}

/// Whether a browser asks, for code of a page, for something that is no code of this server: files of users never are.
/// Browsers say so on HTTPS and on the machine itself.
pub(super) fn is_foreign_code(path: &str, headers: &HeaderMap) -> bool {
    let code = [
        "script",
        "style",
        "worker",
        "sharedworker",
        "serviceworker",
        "audioworklet",
        "paintworklet",
        "xslt",
    ];
    let wanted = headers
        .get(FETCH_DEST)
        .is_some_and(|dest| code.iter().any(|code| dest == code));
    wanted && !path.starts_with("/_/")
}

/// The refusal of what [`is_foreign_code`] finds.
pub(super) fn refuse_code() -> http::Response<super::body::Body> {
    reply::sentence(
        StatusCode::FORBIDDEN,
        "Files of this drive are never code of a page.",
    )
}

/// A page with these contents that runs the app: what it holds is for browsers without scripts.
pub(super) fn page(title: &str, content: &str) -> Response {
    with_policy(router::page_with(title, content, &script("main.js")).into_response())
}

/// What runs a script of the app in a page of the server.
pub(super) fn script(name: &str) -> String {
    format!(
        "<script type=\"module\" src=\"{}{name}\"></script>",
        assets()
    )
}

fn with_policy(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// The page that every view of the app begins with.
async fn shell(
    PublicCaller { app, .. }: PublicCaller,
    headers: HeaderMap,
) -> Result<Response, super::api::problem::Problem> {
    let (Some(template), assets) = (WebFiles::get(SHELL), assets()) else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let plain = router::welcome(&escape(host), super::api::setup::is_open(&app));
    let text = String::from_utf8_lossy(&template.data)
        .replace(ASSETS, &assets)
        .replace(NOSCRIPT, &plain);
    let etag = format!("\"{}\"", short_hash([text.as_bytes()]));
    let known = headers.contains_key(http::header::IF_NONE_MATCH)
        && evaluate(&headers, &etag, SystemTime::now())? == ReadCondition::NotModified;
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        axum::response::Html(text).into_response()
    };
    response
        .headers_mut()
        .extend(HeaderValue::try_from(etag).ok().map(|etag| (ETAG, etag)));
    Ok(with_policy(response))
}

/// One file of the app. Its address changes with every version, so that it may be kept for ever.
async fn file(Path((id, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let site = site().await;
    let found = site
        .files
        .get(&name)
        .filter(|_| site.prefix == format!("/_/{id}/") && name != SHELL);
    let Some(asset) = found else {
        return (
            StatusCode::NOT_FOUND,
            "This version of the app is no more.\n",
        )
            .into_response();
    };
    let (coding, bytes) = asset.best(&headers);
    let mut response = Response::new(bytes.clone().into());
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(&name)));
    out.insert(CACHE_CONTROL, caching::FOR_EVER);
    out.insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
    if let Some(coding) = coding {
        out.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

/// The files as they are now, compressed where they cannot change.
async fn site() -> Arc<WebApp> {
    if cfg!(debug_assertions) {
        return Arc::new(WebApp::read(false));
    }
    let read = || async {
        let site = tokio::task::spawn_blocking(|| WebApp::read(true)).await;
        Arc::new(site.unwrap_or_else(|_| WebApp::read(false)))
    };
    Arc::clone(SITE.get_or_init(read).await)
}

/// A prefix that stands for the content of all files.
fn prefix() -> String {
    let mut names: Vec<_> = WebFiles::iter().collect();
    names.sort();
    let contents: Vec<_> = names
        .iter()
        .filter_map(|name| Some((name, WebFiles::get(name)?.data)))
        .collect();
    let all = contents
        .iter()
        .flat_map(|(name, data)| [name.as_bytes(), data.as_ref()]);
    format!("/_/{}/", short_hash(all))
}

impl WebApp {
    fn read(compressed: bool) -> Self {
        let asset = |name: &str| {
            Some(Asset::new(
                &trimmed(name, &WebFiles::get(name)?.data, compressed),
                compressed,
            ))
        };
        let files = WebFiles::iter()
            .filter_map(|name| Some((name.to_string(), asset(&name)?)))
            .collect();
        Self {
            prefix: prefix(),
            files,
        }
    }
}

/// A script or style sheet without indentation and the comments that have lines of their own, a script without types, too; its lines
/// keep their numbers, unless empty ones are left out. A text that goes on over several lines would lose its indentation, so that a test refuses one.
fn trimmed(name: &str, data: &[u8], without_empty: bool) -> Vec<u8> {
    let is_code = ["text/javascript", "text/css"]
        .iter()
        .any(|kind| media_type(name).starts_with(kind));
    let Some(text) = std::str::from_utf8(data).ok().filter(|_| is_code) else {
        return data.to_owned();
    };
    let mut inside = false;
    let lines = text.lines().map(|line| {
        let start = line.trim_start();
        let begins = start.starts_with("/**") || start.starts_with("/* ");
        // A type before code on the same line is taken out of it.
        let is_comment = inside
            || start.starts_with("//")
            || begins && (!start.contains("*/") || start.trim_end().ends_with("*/"));
        inside = (inside || begins) && !start.contains("*/");
        if is_comment {
            String::new()
        } else {
            without_types(start)
        }
    });
    lines
        .filter(|line| !without_empty || !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
        .into_bytes()
}

/// A line of a script without the types in it.
fn without_types(line: &str) -> String {
    let (mut left, mut rest) = (String::new(), line);
    while let Some((before, (_, after))) = rest
        .split_once("/** @")
        .and_then(|(before, after)| Some((before, after.split_once("*/")?)))
    {
        left.push_str(before);
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    left + rest
}

impl Asset {
    fn new(data: &[u8], compressed: bool) -> Self {
        let (brotli, gzip) = if compressed {
            (brotli(data), gzip(data))
        } else {
            (Bytes::new(), Bytes::new())
        };
        Self {
            plain: Bytes::copy_from_slice(data),
            brotli,
            gzip,
        }
    }

    /// The smallest form that a client takes, and its coding.
    fn best(&self, headers: &HeaderMap) -> (Option<&'static str>, &Bytes) {
        let is_smaller = |bytes: &Bytes| !bytes.is_empty() && bytes.len() < self.plain.len();
        if is_smaller(&self.brotli) && accepts(headers, "br") {
            return (Some("br"), &self.brotli);
        }
        if is_smaller(&self.gzip) && accepts(headers, "gzip") {
            return (Some("gzip"), &self.gzip);
        }
        (None, &self.plain)
    }
}

/// Whether a client names a coding and does not refuse it (RFC 9110 section 12.5.3).
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let lines = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = weight
            .trim()
            .strip_prefix("q=")
            .and_then(|q| q.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(coding) && weight.is_some_and(|q| q > 0.0)
    })
}

fn brotli(data: &[u8]) -> Bytes {
    let params = brotli::enc::BrotliEncoderParams {
        quality: QUALITY,
        ..Default::default()
    };
    let mut out = Vec::new();
    let done = brotli::BrotliCompress(&mut std::io::Cursor::new(data), &mut out, &params);
    done.map(|_| Bytes::from(out)).unwrap_or_default()
}

fn gzip(data: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let written = encoder.write_all(data).and_then(|()| encoder.finish());
    written.map(Bytes::from).unwrap_or_default()
}

/// 64 bits of a hash, in hexadecimal.
fn short_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|part| hash.update(part));
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "html" => "text/html; charset=utf-8",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::{HeaderName, Request};
    use tower::ServiceExt;

    async fn get_of(path: &str, accepted: &str) -> Response {
        let request = Request::builder()
            .uri(path)
            .header("accept-encoding", accepted)
            .body(Body::empty())
            .unwrap();
        routes().oneshot(request).await.unwrap()
    }

    fn accepting(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_str(text).unwrap())])
    }

    #[tokio::test]
    async fn files_are_kept_for_ever_under_the_prefix_of_their_version_alone() {
        let response = get_of(&format!("{}main.js", assets()), "gzip, br").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CACHE_CONTROL], caching::FOR_EVER);
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        for path in [
            "/_/0000000000000000/main.js".to_owned(),
            format!("{}nothing.js", assets()),
            format!("{}{SHELL}", assets()),
        ] {
            assert_eq!(get_of(&path, "").await.status(), 404, "{path}");
        }
    }

    #[test]
    fn the_smallest_form_that_is_taken_is_sent() {
        let asset = Asset::new(&b"words ".repeat(100), true);
        let coding = |text| asset.best(&accepting(text)).0;
        assert_eq!(coding("gzip, deflate, br"), Some("br"));
        assert_eq!(coding("gzip, deflate"), Some("gzip"));
        assert_eq!(coding("br;q=0, GZIP;q=0.5"), Some("gzip"));
        assert_eq!(coding("identity"), None);
        assert_eq!(
            Asset::new(b"x", true).best(&accepting("br, gzip")).0,
            None,
            "nothing grows"
        );
        assert_eq!(
            Asset::new(b"words words words", false)
                .best(&accepting("br"))
                .0,
            None
        );
    }

    #[test]
    fn comments_stay_here_and_lines_keep_their_numbers() {
        let sent = |text: &str| String::from_utf8(trimmed("a.js", text.as_bytes(), false)).unwrap();
        assert_eq!(
            sent("// a\nlet b = '//c' // d\n/** e\n f */\n  /** g */ h()\n/** i */\nj()"),
            "\nlet b = '//c' // d\n\n\n/** g */ h()\n\nj()"
        );
        assert_eq!(
            sent("let a = (/** @type {X} */ b, /** @type {Y} */ (c)) // d"),
            "let a = (b, (c)) // d"
        );
        assert_eq!(sent("'/** @'"), "'/** @'");
        assert_eq!(
            trimmed(
                "a.css",
                b"/* a */\n@media x {\n  b { c: d } /* e */\n}",
                false
            ),
            b"\n@media x {\nb { c: d } /* e */\n}"
        );
        assert_eq!(trimmed("a.json", b"  /* a */\n\n", true), b"  /* a */\n\n");
        assert_eq!(
            trimmed("a.js", b"// a\nb()\n\n/** c */\n\n  d()", true),
            b"b()\nd()"
        );
    }

    #[test]
    fn another_content_has_another_prefix() {
        assert_ne!(short_hash([b"a".as_slice()]), short_hash([b"b".as_slice()]));
        assert_eq!(assets(), prefix());
    }

    #[test]
    fn files_of_users_are_no_code() {
        let dest = |dest: &'static str| {
            HeaderMap::from_iter([(
                HeaderName::from_static(FETCH_DEST),
                HeaderValue::from_static(dest),
            )])
        };
        for code in ["script", "style", "serviceworker", "worker"] {
            assert!(
                is_foreign_code("/dav/x.js", &dest(code))
                    && is_foreign_code("/api/v1/files/content", &dest(code)),
                "{code}"
            );
            assert!(!is_foreign_code("/_/0/main.js", &dest(code)), "{code}");
        }
        for other in ["image", "document", "iframe", "empty", "video"] {
            assert!(!is_foreign_code("/dav/x.js", &dest(other)), "{other}");
        }
        assert!(!is_foreign_code("/dav/x.js", &HeaderMap::new()));
    }
}
