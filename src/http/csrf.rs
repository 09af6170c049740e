//! Requests that another site makes in a browser's name. Whoever signs in by cookie passes here before anything changes.

use super::cookie;
use crate::config::ServerConfig;
use crate::model::{Error, Result};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};

/// What scripts in pages say, and forms cannot.
pub const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

const FOREIGN: Error =
    Error::Forbidden("This request comes from another site; only this server's own pages may make changes.");
const UNMARKED: Error =
    Error::Forbidden("With a cookie, a change must say X-Requested-With, or be JSON: no form of another site can.");

/// Refuses a change with a cookie that may be another site's: `Sec-Fetch-Site` decides, else `Origin`; without both there
/// is no telling. And it carries what a form cannot, so that a browser asks first (and never gets leave).
pub fn check(config: &ServerConfig, parts: &Parts) -> Result<()> {
    if matches!(parts.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PROPFIND" | "REPORT") {
        return Ok(());
    }
    if !is_own(config, &parts.headers).unwrap_or(false) {
        return Err(FOREIGN);
    }
    let is_json = parts.uri.path().starts_with("/api/") && is_json(&parts.headers);
    if is_json || parts.headers.contains_key(X_REQUESTED_WITH) { Ok(()) } else { Err(UNMARKED) }
}

/// Refuses what surely is another site's; programs, which say nothing of it, may go on.
/// For what works without a cookie and sets one.
pub fn check_if_told(config: &ServerConfig, parts: &Parts) -> Result<()> {
    if is_own(config, &parts.headers).unwrap_or(true) { Ok(()) } else { Err(FOREIGN) }
}

/// Whether the request is from this server's own pages; `None` when nothing tells.
fn is_own(config: &ServerConfig, headers: &HeaderMap) -> Option<bool> {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if let Some(site) = sites.next() {
        return Some(site.as_bytes() == b"same-origin" && sites.next().is_none());
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next()?.to_str().unwrap_or_default();
    Some(origins.next().is_none() && is_here(config, headers, origin))
}

fn is_here(config: &ServerConfig, headers: &HeaderMap, origin: &str) -> bool {
    if !config.public_url.is_empty() && origin.eq_ignore_ascii_case(&config.public_url) {
        return true;
    }
    let scheme = if cookie::is_https(config, headers) { "https" } else { "http" };
    let Some((_, authority)) = origin.split_once("://").filter(|(said, _)| *said == scheme) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut known = config.hosts.iter().map(String::as_str).chain([host]);
    !authority.is_empty() && known.any(|known| known.eq_ignore_ascii_case(authority))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: (&str, &str) = ("x-requested-with", "x");

    fn verdict(config: &ServerConfig, method: &str, path: &str, headers: &[(&str, &str)]) -> (bool, bool) {
        let mut request = http::Request::builder().method(method).uri(path).header("host", "drive.example:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        (check(config, &parts).is_ok(), check_if_told(config, &parts).is_ok())
    }

    #[test]
    fn only_own_pages_change_anything_with_a_cookie() {
        let config = ServerConfig::default();
        let origin = |origin| ("origin", origin);
        let cases = [
            (vec![("sec-fetch-site", "same-origin"), MARK], (true, true)),
            (vec![("sec-fetch-site", "same-origin"), origin("https://evil.example"), MARK], (true, true)),
            (vec![("sec-fetch-site", "same-site"), origin("http://drive.example:8080"), MARK], (false, false)),
            (vec![("sec-fetch-site", "cross-site"), MARK], (false, false)),
            (vec![("sec-fetch-site", "none"), MARK], (false, false)),
            (vec![("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin"), MARK], (false, false)),
            (vec![origin("http://drive.example:8080"), MARK], (true, true)),
            (vec![origin("http://DRIVE.example:8080"), MARK], (true, true)),
            (vec![origin("http://drive.example"), MARK], (false, false)),
            (vec![origin("https://drive.example:8080"), MARK], (false, false)),
            (vec![origin("http://drive.example:8080.evil.example"), MARK], (false, false)),
            (vec![origin("null"), MARK], (false, false)),
            (vec![origin("http://"), MARK], (false, false)),
            (vec![MARK], (false, true)),
            (vec![], (false, true)),
        ];
        for (headers, expected) in cases {
            assert_eq!(verdict(&config, "DELETE", "/dav/a", &headers), expected, "{headers:?}");
        }
        for method in ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"] {
            assert!(verdict(&config, method, "/dav/a", &[("sec-fetch-site", "cross-site")]).0, "{method}");
        }
    }

    #[test]
    fn a_change_carries_what_no_form_can() {
        let config = ServerConfig::default();
        let site = ("sec-fetch-site", "same-origin");
        let json = ("content-type", "application/json; charset=utf-8");
        for (path, headers, expected) in [
            ("/api/v1/logout", vec![site, json], true),
            ("/api/v1/logout", vec![site, MARK], true),
            ("/api/v1/logout", vec![site, ("content-type", "text/plain")], false),
            ("/api/v1/logout", vec![site], false),
            ("/dav/a", vec![site, json], false),
            ("/dav/a", vec![site, MARK], true),
        ] {
            assert_eq!(verdict(&config, "POST", path, &headers).0, expected, "{path} {headers:?}");
        }
    }

    #[test]
    fn the_settings_name_more_origins() {
        let mut config = ServerConfig::default();
        config.hosts.push("files.example.org".into());
        let is_own = |config: &ServerConfig, origin| verdict(config, "PUT", "/dav/a", &[("origin", origin), MARK]).0;
        assert!(is_own(&config, "http://files.example.org") && !is_own(&config, "https://files.example.org"));
        config.public_url = "https://files.example.org".into();
        assert!(is_own(&config, "https://files.example.org"));
    }
}
