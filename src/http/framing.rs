//! What a request's head must be for this server and any proxy in front to agree on what it says (RFC 9112 section 3).

use http::uri::Authority;
use http::{HeaderValue, Request, Version, header};

/// Marks a request whose framing two readers may read differently; the connection puts it on what it sees.
#[derive(Clone, Copy, Debug)]
pub struct Ambiguous;

/// Checks `Host`, the form of the target, and framing; the sentence says what is wrong.
pub fn check<B>(request: &Request<B>) -> Result<(), &'static str> {
    if request.extensions().get::<Ambiguous>().is_some() {
        return Err(
            "The request can be read in two ways: it has both Content-Length and Transfer-Encoding, or bare line ends.",
        );
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err("The request has more than one Host.");
    }
    let target = request.uri().authority();
    match host {
        None if request.version() == Version::HTTP_10 => Ok(()),
        None => Err("The request has no Host."),
        Some(host) => check_host(host, target),
    }
}

fn check_host(host: &HeaderValue, target: Option<&Authority>) -> Result<(), &'static str> {
    // Nearly every Host is a name or an IPv4 address with a port, which needs no parser.
    let simple = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let bytes = host.as_bytes();
    let (name, port) = match bytes.iter().position(|&b| b == b':') {
        Some(colon) => (bytes.get(..colon).unwrap_or_default(), bytes.get(colon + 1..).unwrap_or_default()),
        None => (bytes, &[][..]),
    };
    let plain = !name.is_empty() && name.iter().all(simple) && port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    if !plain {
        let parsed = Authority::try_from(bytes).map_err(|_| "The Host of the request is malformed.")?;
        if parsed.as_str().contains('@') || parsed.host().is_empty() {
            return Err("The Host of the request is malformed.");
        }
    }
    match target {
        Some(target) if !target.as_str().as_bytes().eq_ignore_ascii_case(bytes) => {
            Err("The request names one server in its target and another in Host.")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(target: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn exactly_one_well_formed_host() {
        for good in ["localhost", "127.0.0.1:4918", "[::1]:4918", "[::1]", "files.example.org", "a_b", "x:"] {
            assert!(verdict("/", &[good]), "{good}");
        }
        for bad in ["", "a b", "a@b", "a/b", "a,b", ":80", "a:123456", "a:b", "[::1", "a?b"] {
            assert!(!verdict("/", &[bad]), "{bad}");
        }
        assert!(!verdict("/", &[]));
        assert!(!verdict("/", &["a", "a"]));
    }

    #[test]
    fn an_absolute_target_names_the_same_server() {
        assert!(verdict("http://A.example:80/x", &["a.example:80"]));
        assert!(!verdict("http://b.example/x", &["a.example"]));
        assert!(!verdict("http://b.example/x", &[]));
    }

    #[test]
    fn http_1_0_needs_no_host_and_ambiguity_is_refused() {
        let old = Request::builder().version(Version::HTTP_10).uri("/").body(()).unwrap();
        assert!(check(&old).is_ok());
        let marked = Request::builder().uri("/").header("host", "a").extension(Ambiguous).body(()).unwrap();
        assert!(check(&marked).is_err());
    }
}
