//! Cross-site request forgery: refuses changes that another site makes in a browser's name. It is checked before authentication:
//! browsers remember Basic credentials as they do cookies, and a form needs no script.

use super::drain::drain_before;
use super::target::split_port;
use super::{Answer, cookie, reply};
use crate::config::ServerConfig;
use crate::http::request_body::RequestBody;
use crate::model::{Error, Result};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, header};

/// What scripts in pages say, and forms cannot.
pub const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

const FOREIGN: Error = Error::Forbidden(
    "This request comes from another site; only this server's own pages may make changes.",
);
const UNMARKED: Error = Error::Forbidden(
    "With a cookie, a change must say X-Requested-With, or be JSON: no form of another site can.",
);

/// Where a browser says that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestSite {
    /// This server's own pages.
    Own,
    /// What the browser's user typed, or its extension wants.
    Browser,
    /// A page of another origin, or one that the browser does not name.
    Foreign,
    /// Nothing tells: a program.
    Unknown,
}

/// Whether a request would change something and comes from another site. Whatever credential it brings, it is refused.
pub fn is_foreign<B>(config: &ServerConfig, request: &Request<B>) -> bool {
    !is_safe(request.method()) && site(config, request.headers()) == RequestSite::Foreign
}

/// The answer to such a request: a sentence over WebDAV, else a problem.
pub async fn refuse(request: Request<RequestBody>, dav: bool) -> Answer {
    let (parts, mut body) = request.into_parts();
    let response = if dav {
        reply::failure(&FOREIGN)
    } else {
        reply::problem(&FOREIGN)
    };
    drain_before(&parts, &mut body, response).await.into()
}

/// Refuses a change with a cookie unless the browser says that it is this server's own: `Sec-Fetch-Site`, else `Origin`. And
/// it carries what a form cannot, so that a browser asks first (and never gets leave).
pub fn check(config: &ServerConfig, parts: &Parts) -> Result<()> {
    if is_safe(&parts.method) {
        return Ok(());
    }
    if site(config, &parts.headers) != RequestSite::Own {
        return Err(FOREIGN);
    }
    let is_json = parts.uri.path().starts_with("/api/") && is_json(&parts.headers);
    if is_json || parts.headers.contains_key(X_REQUESTED_WITH) {
        Ok(())
    } else {
        Err(UNMARKED)
    }
}

/// Refuses what surely is not from this server's own pages; programs, which say nothing of it, may go on.
/// For what works without a cookie and sets one.
pub fn check_if_known(config: &ServerConfig, parts: &Parts) -> Result<()> {
    match site(config, &parts.headers) {
        RequestSite::Own | RequestSite::Unknown => Ok(()),
        RequestSite::Browser | RequestSite::Foreign => Err(FOREIGN),
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(
        method.as_str(),
        "GET" | "HEAD" | "OPTIONS" | "PROPFIND" | "REPORT"
    )
}

fn site(config: &ServerConfig, headers: &HeaderMap) -> RequestSite {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let said = match (sites.next().map(http::HeaderValue::as_bytes), sites.next()) {
        // It names the origin of the page for this very address: no need to know our own names.
        (Some(b"same-origin"), None) => return RequestSite::Own,
        (Some(b"none"), None) => RequestSite::Browser,
        (None, _) => RequestSite::Unknown,
        _ => return RequestSite::Foreign,
    };
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return said;
    };
    let origin = origin.to_str().unwrap_or_default();
    match origin
        .split_once("://")
        .filter(|_| origins.next().is_none())
    {
        // An extension is what the browser's user installed, and no site.
        Some((scheme, _)) if scheme.ends_with("-extension") => RequestSite::Browser,
        Some((scheme, authority))
            if said == RequestSite::Unknown && is_here(config, headers, (scheme, authority)) =>
        {
            RequestSite::Own
        }
        _ => RequestSite::Foreign,
    }
}

/// Whether an origin is this server, by the address in the settings or by what the request names as its host.
fn is_here(config: &ServerConfig, headers: &HeaderMap, origin: (&str, &str)) -> bool {
    let is_same = |known: (&str, &str)| {
        known.0 == origin.0
            && !origin.1.is_empty()
            && parts_of(known).is_some_and(|it| Some(it) == parts_of(origin))
    };
    let public = config.public_origin().split_once("://");
    if public.is_some_and(is_same) {
        return true;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let scheme = if cookie::is_https(config, headers) {
        "https"
    } else {
        "http"
    };
    // Under another name than the public one clients may come without the proxy that speaks TLS.
    let is_public =
        public.is_some_and(|(scheme, name)| parts_of((scheme, name)) == parts_of((scheme, host)));
    let is_direct = !is_public && !cookie::is_forwarded(headers);
    let mut known = config.hosts.iter().map(String::as_str).chain([host]);
    known
        .any(|name| is_same((scheme, name)) || is_direct && name == host && is_same(("http", name)))
}

/// The host of an origin in small letters and its port, which need not be said when it is that of the scheme.
fn parts_of((scheme, authority): (&str, &str)) -> Option<(String, u16)> {
    let (host, port) = split_port(authority);
    let port = match (port, scheme) {
        ("", "https") => 443,
        ("", _) => 80,
        (port, _) => port.parse().ok()?,
    };
    Some((host.to_ascii_lowercase(), port))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    kind.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests;
