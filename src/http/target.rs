//! The target of a request in one form (RFC 9112 section 3.2): a path of this server without empty and `.` segments, and a
//! `Host` that agrees with what an absolute target names. The front is chosen by this form; the target as it came is not used.

use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Method, Request, header};

const NO_PATH: &str = "The target of the request must be a path of this server.";
const OTHER: &str = "The request names one server in its target and another in Host.";

/// Takes empty and `.` segments out of the path, as they are in `Destination`: some clients join addresses with one slash
/// too many (Duplicati). `..` and escapes stay what they are: a front that climbs knows its own bounds.
pub fn simplify<B>(request: &mut Request<B>) {
    let Some(path) = simple(request.uri().path()) else {
        return;
    };
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// The path without its empty and `.` segments; `None` when it has none.
fn simple(path: &str) -> Option<String> {
    if !path.starts_with('/')
        || !(path.contains("//") || path.contains("/./") || path.ends_with("/."))
    {
        return None;
    }
    let mut simple = String::with_capacity(path.len());
    for segment in path
        .split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".")
    {
        simple.push('/');
        simple.push_str(segment);
    }
    if simple.is_empty() || path.ends_with('/') || path.ends_with("/.") {
        simple.push('/');
    }
    Some(simple)
}

/// Brings a target in absolute form to origin form; its server replaces a `Host` that names the same one (section 3.2.2).
/// The sentence says what is wrong: another server, another scheme, or a form that names no resource.
pub fn normalize<B>(request: &mut Request<B>) -> Result<(), &'static str> {
    let uri = request.uri();
    let is_star = uri.path() == "*" && matches!(request.method().as_str(), "OPTIONS" | "PROPFIND");
    let is_path = is_star || uri.path().starts_with('/');
    let Some(authority) = uri.authority() else {
        return if is_path { Ok(()) } else { Err(NO_PATH) };
    };
    if !is_path {
        return Err(NO_PATH);
    }
    // CONNECT has an authority and no scheme.
    let scheme = uri
        .scheme()
        .filter(|_| request.method() != Method::CONNECT)
        .ok_or(NO_PATH)?;
    let port = default_port(scheme).ok_or(NO_PATH)?;
    if authority.as_str().contains('@') {
        return Err("The target of the request may not hold a user name.");
    }
    let host = request
        .headers()
        .get(header::HOST)
        .map(HeaderValue::as_bytes);
    if host.is_some_and(|host| !is_same(authority, host, port)) {
        return Err(OTHER);
    }
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| NO_PATH)?;
    let path = uri
        .path_and_query()
        .cloned()
        .unwrap_or(PathAndQuery::from_static("/"));
    request.headers_mut().insert(header::HOST, host);
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn is_same(authority: &Authority, host: &[u8], default: u16) -> bool {
    let host = std::str::from_utf8(host).unwrap_or_default();
    let (one, one_port) = split_port(authority.as_str());
    let (other, other_port) = split_port(host);
    let number = |port: &str| {
        if port.is_empty() {
            Some(u32::from(default))
        } else {
            port.parse().ok()
        }
    };
    one.eq_ignore_ascii_case(other)
        && number(one_port).is_some_and(|port| number(other_port) == Some(port))
}

/// A host and its port, which is empty where none is said.
pub fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (authority, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(
        method: &str,
        target: &str,
        host: Option<&str>,
    ) -> Result<(String, String), &'static str> {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let mut request = request.body(()).unwrap();
        simplify(&mut request);
        normalize(&mut request)?;
        let host = request
            .headers()
            .get("host")
            .map(|host| host.to_str().unwrap().to_owned());
        Ok((request.uri().to_string(), host.unwrap_or_default()))
    }

    #[test]
    fn empty_and_single_dot_segments_vanish_and_nothing_else_does() {
        for (given, expected) in [
            ("/dav/x", "/dav/x"),
            ("//dav/x", "/dav/x"),
            ("///dav//x//", "/dav/x/"),
            ("/./dav/./x?a=//./", "/dav/x?a=//./"),
            ("/dav/x/.", "/dav/x/"),
            ("/dav/.", "/dav/"),
            ("//", "/"),
            ("/.", "/"),
            ("/dav/../api", "/dav/../api"),
            ("//x//..//dav", "/x/../dav"),
            ("/%2e/dav//x%2f%2Fy", "/%2e/dav/x%2f%2Fy"),
            ("/dav/.../.x/x.", "/dav/.../.x/x."),
        ] {
            assert_eq!(
                normalized("GET", given, Some("a")).unwrap().0,
                expected,
                "{given}"
            );
        }
        assert_eq!(normalized("OPTIONS", "*", Some("a")).unwrap().0, "*");
        assert_eq!(
            normalized("GET", "http://a//dav/./x?y", Some("a"))
                .unwrap()
                .0,
            "/dav/x?y"
        );
    }

    #[test]
    fn an_absolute_target_names_the_same_server() {
        for (target, host) in [
            ("http://a/x", Some("a")),
            ("http://A.example/x", Some("a.EXAMPLE:80")),
            ("http://a:80/x", Some("a")),
            ("http://a:/x", Some("a")),
            ("http://a:8080/x", Some("a:8080")),
            ("https://a/x", Some("a:443")),
            ("https://a:443/x", Some("a")),
            ("HTTP://[::1]:80/x", Some("[::1]")),
            ("http://a/x", None),
        ] {
            let (path, host) = normalized("GET", target, host)
                .unwrap_or_else(|why| panic!("{target} {host:?}: {why}"));
            assert!(path == "/x" && target.contains(&host), "{target} {host}");
        }
        assert_eq!(normalized("OPTIONS", "http://a", Some("a")).unwrap().0, "/");
        for (target, host) in [
            ("http://b/x", "a"),
            ("http://a/x", "a:443"),
            ("https://a/x", "a:80"),
            ("http://a:8080/x", "a"),
            ("http://a:8080/x", "a:8081"),
            ("http://a.b/x", "a"),
            ("http://u@a/x", "a"),
            ("http://a@b/x", "b"),
            ("ftp://a/x", "a"),
            ("a:80", "a:80"),
        ] {
            assert!(
                normalized("GET", target, Some(host)).is_err(),
                "{target} {host}"
            );
        }
        assert!(normalized("CONNECT", "a:80", Some("a:80")).is_err());
        assert!(normalized("GET", "*", Some("a")).is_err());
    }
}
