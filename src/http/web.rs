//! The web app: the shell, its one page, at every view, and the files that it loads.

use super::api::caller::PublicCaller;
use super::api::problem::Problem;
use super::api::setup;
use super::assets::{self, short_hash};
use super::body::Body;
use super::conditional::{ReadCondition, evaluate};
use super::html::{HtmlPage, escape, welcome, with_policy};
use super::reply;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ETAG, HOST, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::time::SystemTime;

/// Where in the shell the prefix of the files and the text for browsers without scripts go.
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

/// The pages of the app and the files that they load.
pub(super) fn routes() -> Router {
    let router = Router::new().route("/_/{id}/{*name}", get(assets::serve));
    VIEWS
        .iter()
        .fold(router, |router, path| router.route(path, get(shell)))
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
pub(super) fn refuse_code() -> http::Response<Body> {
    reply::sentence(
        StatusCode::FORBIDDEN,
        "Files of this drive are never code of a page.",
    )
}

/// The page that every view of the app begins with.
async fn shell(
    PublicCaller { app, .. }: PublicCaller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(template) = assets::shell() else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let plain = welcome(
        &format!("{}{}", escape(host), app.config.server.path_prefix()),
        setup::is_open(&app),
    );
    let text = template
        .replace(ASSETS, &assets::prefix())
        .replace(NOSCRIPT, &plain);
    let etag = format!("\"{}\"", short_hash([text.as_bytes()]));
    let known = headers.contains_key(IF_NONE_MATCH)
        && evaluate(&headers, &etag, SystemTime::now())? == ReadCondition::NotModified;
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        HtmlPage(text).into_response()
    };
    response
        .headers_mut()
        .extend(HeaderValue::try_from(etag).ok().map(|etag| (ETAG, etag)));
    Ok(with_policy(response))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::caching;
    use http::header::{CACHE_CONTROL, CONTENT_TYPE};
    use http::{HeaderName, Request};
    use tower::ServiceExt;

    async fn get_of(path: &str, accepted: &str) -> Response {
        let request = Request::builder()
            .uri(path)
            .header("accept-encoding", accepted)
            .body(axum::body::Body::empty())
            .unwrap();
        routes().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn files_are_kept_for_ever_under_the_prefix_of_their_version_alone() {
        let response = get_of(&format!("{}main.js", assets::prefix()), "gzip, br").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CACHE_CONTROL], caching::FOR_EVER);
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        for path in [
            "/_/0000000000000000/main.js".to_owned(),
            format!("{}nothing.js", assets::prefix()),
            format!("{}index.html", assets::prefix()),
        ] {
            assert_eq!(get_of(&path, "").await.status(), 404, "{path}");
        }
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
