//! Strict framing of a request's head, so that this server and any proxy in front agree on what it says (RFC 9112 sections 3 and 6).

use super::body::Body;
use super::{reply, target};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};

/// Marks a request whose framing two readers may read differently; the connection puts it on what it sees.
#[derive(Clone, Copy, Debug)]
pub struct Ambiguous;

/// What the connection calls a `Transfer-Encoding` that is not exactly one `chunked`: of those hyper answers some by itself
/// and lets others pass. It differs from the real name in its first byte only.
pub const UNKNOWN_CODING: HeaderName = HeaderName::from_static("!ransfer-encoding");

/// Why a request is not read; after it, nothing on its connection can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingError {
    /// The status of the answer.
    pub status: StatusCode,
    /// What is wrong, in a sentence.
    pub sentence: &'static str,
}

impl FramingError {
    /// The answer, after which the connection ends.
    pub fn answer(self) -> Response<Body> {
        let mut response = reply::sentence(self.status, self.sentence);
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

const CODING: FramingError = FramingError {
    status: StatusCode::NOT_IMPLEMENTED,
    sentence: "The only Transfer-Encoding that this server knows is one chunked.",
};

const LENGTH: FramingError = FramingError {
    status: StatusCode::LENGTH_REQUIRED,
    sentence: "In HTTP/1.0 a request with a body says its length in Content-Length.",
};

impl From<&'static str> for FramingError {
    fn from(sentence: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            sentence,
        }
    }
}

/// Checks framing, `Host` and the target, which has its origin form afterwards.
pub fn check<B>(request: &mut Request<B>) -> Result<(), FramingError> {
    if request.headers().contains_key(UNKNOWN_CODING) {
        return Err(CODING);
    }
    if request.extensions().get::<Ambiguous>().is_some() {
        return Err(FramingError::from(
            "The request can be read in two ways: it has both Content-Length and Transfer-Encoding, bare line \
             ends, or a # in its target, which is written %23.",
        ));
    }
    check_host(request)?;
    if request.version() == Version::HTTP_10 && has_no_length(request) {
        return Err(LENGTH);
    }
    // It is of GET alone (RFC 9110 section 14.2).
    if request.method() != Method::GET {
        request.headers_mut().remove(header::RANGE);
    }
    Ok(target::normalize(request)?)
}

/// Whether a body must come (RFC 1945 section 7.2.2) and its length is not said: then it looks empty.
fn has_no_length<B>(request: &Request<B>) -> bool {
    let has_body = matches!(request.method().as_str(), "PUT" | "POST" | "PATCH");
    has_body && !request.headers().contains_key(header::CONTENT_LENGTH)
}

fn check_host<B>(request: &Request<B>) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err("The request has more than one Host.");
    }
    match host {
        None if request.version() == Version::HTTP_10 => Ok(()),
        // There it is the target that names the server (RFC 9113, 8.3.1).
        None if request.version() == Version::HTTP_2 => check_authority(request),
        None => Err("The request has no Host."),
        Some(host) => check_form(host),
    }
}

fn check_authority<B>(request: &Request<B>) -> Result<(), &'static str> {
    let authority = request
        .uri()
        .authority()
        .ok_or("The request names no server.")?;
    check_form(
        &HeaderValue::from_str(authority.as_str())
            .map_err(|_| "The authority of the request is malformed.")?,
    )
}

fn check_form(host: &HeaderValue) -> Result<(), &'static str> {
    // Nearly every Host is a name or an IPv4 address with a port, which needs no parser.
    let simple = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let bytes = host.as_bytes();
    let (name, port) = match bytes.iter().position(|&b| b == b':') {
        Some(colon) => (
            bytes.get(..colon).unwrap_or_default(),
            bytes.get(colon..).unwrap_or_default(),
        ),
        None => (bytes, &[][..]),
    };
    let plain = !name.is_empty() && name.iter().all(simple) && is_port(port);
    if !plain {
        const MALFORMED: &str = "The Host of the request is malformed.";
        let parsed = Authority::try_from(bytes).map_err(|_| MALFORMED)?;
        let port = parsed.as_str().strip_prefix(parsed.host()).unwrap_or("@");
        if parsed.host().is_empty() || parsed.host().contains(',') || !is_port(port.as_bytes()) {
            return Err(MALFORMED);
        }
    }
    Ok(())
}

/// Whether this is what may follow a host: nothing, or a colon and up to five digits.
fn is_port(text: &[u8]) -> bool {
    match text.split_first() {
        Some((colon, digits)) => {
            *colon == b':' && digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit)
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(target: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        check(&mut request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn exactly_one_well_formed_host() {
        for good in [
            "localhost",
            "127.0.0.1:4918",
            "[::1]:4918",
            "[::1]",
            "files.example.org",
            "a_b",
            "x:",
        ] {
            assert!(is_allowed("/", &[good]), "{good}");
        }
        for bad in [
            "", "a b", "a@b", "a/b", "a,b", ":80", "a:123456", "a:b", "[::1", "a?b",
        ] {
            assert!(!is_allowed("/", &[bad]), "{bad}");
        }
        assert!(!is_allowed("/", &[]));
        assert!(!is_allowed("/", &["a", "a"]));
    }

    #[test]
    fn an_absolute_target_names_the_same_server() {
        assert!(is_allowed("http://A.example:80/x", &["a.example:80"]));
        assert!(!is_allowed("http://b.example/x", &["a.example"]));
        assert!(!is_allowed("http://b.example/x", &[]));
    }

    #[test]
    fn with_http_2_the_target_or_host_names_the_server_and_both_the_same() {
        let host_of = |target: &str, host: Option<&str>| {
            let mut request = Request::builder()
                .version(Version::HTTP_2)
                .method("OPTIONS")
                .uri(target);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let mut request = request.body(()).ok()?;
            check(&mut request).ok()?;
            Some(request.headers().get("host")?.to_str().ok()?.to_owned())
        };
        assert_eq!(
            host_of("https://a.example:8443/x", None).as_deref(),
            Some("a.example:8443")
        );
        assert_eq!(
            host_of("https://A.example/x", Some("a.example:443")).as_deref(),
            Some("A.example")
        );
        assert_eq!(host_of("/x", Some("a")).as_deref(), Some("a"));
        for (target, host) in [
            ("https://a/x", Some("b")),
            ("https://a/x", Some("a:80")),
            ("https://a/x", Some("")),
            ("https://u@a/x", None),
            ("https://u@a/x", Some("a")),
            ("ftp://a/x", None),
            ("/x", None),
            ("a:443", None),
        ] {
            assert_eq!(host_of(target, host), None, "{target} {host:?}");
        }
    }

    #[test]
    fn http_1_0_needs_no_host_and_ambiguity_is_refused() {
        let mut old = Request::builder()
            .version(Version::HTTP_10)
            .uri("/")
            .body(())
            .unwrap();
        assert!(check(&mut old).is_ok());
        let marked = || {
            Request::builder()
                .uri("/")
                .header("host", "a")
                .extension(Ambiguous)
        };
        assert_eq!(
            check(&mut marked().body(()).unwrap()).unwrap_err().status,
            400
        );
        let coded = marked().header(UNKNOWN_CODING, "gzip").body(());
        assert_eq!(check(&mut coded.unwrap()).unwrap_err().status, 501);
    }
}
