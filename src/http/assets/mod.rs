//! The files of the web app: those of `web/`, embedded, served under a prefix that names their content. Debug builds read them from
//! disk at each request, so that an edit shows at the next reload.
//!
//! They are compressed once for each process, when the first of them is asked for: 0.3 s of a thread that may wait, and no build script.

mod encoding;
mod minify;

use super::caching;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use encoding::Asset;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use minify::trimmed;
use rust_embed::Embed;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use tokio::sync::OnceCell;

/// The one page of the app. It is served at every view, and not as a file.
const SHELL: &str = "index.html";

#[derive(Embed)]
#[folder = "web/"]
struct WebFiles;

/// All files of one version of the app.
struct WebApp {
    /// What its files lie under, with a slash at the end.
    prefix: String,
    files: HashMap<String, Asset>,
}

static PREFIX: LazyLock<String> = LazyLock::new(content_prefix);

static SITE: OnceCell<Arc<WebApp>> = OnceCell::const_new();

/// Where the files of the app lie, with a slash at the end.
pub(super) fn prefix() -> String {
    if cfg!(debug_assertions) {
        content_prefix()
    } else {
        PREFIX.clone()
    }
}

/// The shell as it is written.
pub(super) fn shell() -> Option<String> {
    let file = WebFiles::get(SHELL)?;
    Some(String::from_utf8_lossy(&file.data).into_owned())
}

/// One file of the app. Its address changes with every version, so that it may be kept for ever.
pub(super) async fn serve(
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
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
fn content_prefix() -> String {
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
            prefix: content_prefix(),
            files,
        }
    }
}

/// 64 bits of a hash, in hexadecimal.
pub(super) fn short_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
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

    #[test]
    fn another_content_has_another_prefix() {
        assert_ne!(short_hash([b"a".as_slice()]), short_hash([b"b".as_slice()]));
        assert_eq!(prefix(), prefix());
    }
}
