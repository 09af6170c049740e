//! The path prefix of `server.public_url`: taken off the addresses that come in, put before those that go out. A proxy may pass paths
//! on with it or without. Addresses in WebDAV's answers have it from the front itself ([`super::dav::DavContext`]).

use super::html::OwnPage;
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, header};

/// More than any page of the server's own has.
const MAX_PAGE: usize = 64 << 20;

/// Takes the prefix off the path of a request, where it is there.
pub(super) fn strip<B>(request: &mut Request<B>, prefix: &str) {
    if prefix.is_empty() {
        return;
    }
    let target = request.uri().path_and_query();
    let target = target.map_or("/", PathAndQuery::as_str);
    let shorter = match target.strip_prefix(prefix) {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        Some(rest) if rest.starts_with('?') => format!("/{rest}"),
        _ => return,
    };
    if let Ok(uri) = Uri::try_from(shorter) {
        *request.uri_mut() = uri;
    }
}

/// Puts the prefix before the addresses of a response that begin with a slash: `Location`, and what pages of the server's own link to.
pub(super) async fn restore(mut response: Response, prefix: &str) -> Response {
    if prefix.is_empty() {
        return response;
    }
    let place = response.headers().get(header::LOCATION);
    let place = place.and_then(|value| value.to_str().ok());
    let below = format!("{prefix}/");
    if let Some(place) = place.filter(|place| place.starts_with('/') && !place.starts_with(&below))
        && let Ok(longer) = HeaderValue::try_from(format!("{prefix}{place}"))
    {
        response.headers_mut().insert(header::LOCATION, longer);
    }
    if response.extensions().get::<OwnPage>().is_none() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(page) = axum::body::to_bytes(body, MAX_PAGE).await else {
        return http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    head.headers.remove(header::CONTENT_LENGTH);
    let page = rewrite(&String::from_utf8_lossy(&page), prefix);
    Response::from_parts(head, page.into())
}

/// A page with the prefix before each address of this server in it.
fn rewrite(page: &str, prefix: &str) -> String {
    ["href", "src", "action"]
        .iter()
        .fold(page.to_owned(), |page, name| {
            page.replace(&format!(" {name}=\"/"), &format!(" {name}=\"{prefix}/"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::html::HtmlPage;

    #[test]
    fn prefix_is_stripped_only_as_a_whole() {
        for (target, prefix, expected) in [
            ("/sarang/dav/a?x", "/sarang", "/dav/a?x"),
            ("/sarang", "/sarang", "/"),
            ("/sarang?a", "/sarang", "/?a"),
            ("/sarang/", "/sarang", "/"),
            ("/sarangs/dav", "/sarang", "/sarangs/dav"),
            ("/dav/sarang/a", "/sarang", "/dav/sarang/a"),
            ("/a/b/dav", "/a/b", "/dav"),
            ("/dav/", "", "/dav/"),
            ("*", "/sarang", "*"),
        ] {
            let mut request = Request::builder().uri(target).body(()).unwrap();
            strip(&mut request, prefix);
            let found = request.uri().path_and_query().unwrap().as_str();
            assert_eq!(found, expected, "{target}");
        }
    }

    #[test]
    fn pages_link_below_the_prefix() {
        let page = "<a href=\"/s/t\">=\"/</a><img src=\"/_/x\"><a href=\"https://x/\"><form action=\"/setup\">&quot; href=&quot;/";
        assert_eq!(
            rewrite(page, "/n"),
            "<a href=\"/n/s/t\">=\"/</a><img src=\"/n/_/x\"><a href=\"https://x/\"><form action=\"/n/setup\">&quot; href=&quot;/"
        );
    }

    #[tokio::test]
    async fn only_pages_of_the_server_itself_are_rewritten() {
        let own = restore(HtmlPage("<a href=\"/\">".into()).into_response(), "/n").await;
        let body = axum::body::to_bytes(own.into_body(), 100).await.unwrap();
        assert_eq!(body, "<a href=\"/n/\">");
        let file = axum::response::Html("<a href=\"/\">").into_response();
        let file = restore(file, "/n").await;
        let body = axum::body::to_bytes(file.into_body(), 100).await.unwrap();
        assert_eq!(body, "<a href=\"/\">");
    }

    #[tokio::test]
    async fn location_gets_the_prefix_when_it_is_of_this_server() {
        for (place, expected) in [
            ("/s/t", "/n/s/t"),
            ("https://x/", "https://x/"),
            ("/n/a", "/n/a"),
        ] {
            let response = ([(header::LOCATION, place)], "").into_response();
            let response = restore(response, "/n").await;
            assert_eq!(response.headers()[header::LOCATION], expected);
        }
    }
}
