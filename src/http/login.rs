//! From a request's headers to an identity, and the answers when there is none.

use super::body::Body;
use super::drain::drain_before;
use super::request_body::RequestBody;
use super::{cookie, csrf, reply};
use crate::app::App;
use crate::auth::{RequestOrigin, SessionClient};
use crate::config::ServerConfig;
use crate::failures::ClientKind;
use crate::metrics::Metrics;
use crate::model::{Error, Identity, Result, windows1252};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The most bytes an `Authorization` value may have.
const MAX_CREDENTIALS: usize = 4096;

/// Authenticates a request by its one `Authorization` header, or else by its cookie.
pub async fn authenticate(
    app: &App,
    parts: &Parts,
    origin: &RequestOrigin,
) -> Result<Arc<Identity>> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next().map(HeaderValue::as_bytes) else {
        return by_cookie(app, parts);
    };
    if values.next().is_some() {
        return Err(Error::Unauthenticated);
    }
    if let Some(identity) = app.auth.cached_identity(value, origin) {
        return Ok(identity);
    }
    let caller = SessionClient {
        address: origin.address,
        agent: agent_of(&parts.headers),
    };
    if let Some(bearer) = bearer_in(value) {
        let identity = app
            .auth
            .by_bearer(bearer)
            .or_else(|| app.auth.by_app_password(None, bearer, caller));
        return identity.ok_or(Error::Unauthenticated);
    }
    let Credentials { text, colon } = Credentials::parse(value).ok_or(Error::Unauthenticated)?;
    let (user, password) = text.split_at(colon);
    let password = password.get(1..).unwrap_or_default();
    if let Some(identity) = app.auth.by_app_password(Some(user), password, caller) {
        return Ok(identity);
    }
    let origin = RequestOrigin {
        client: ClientKind::of(caller.agent),
        ..origin.clone()
    };
    Box::pin(app.auth.sign_in(value, user, password.as_bytes(), origin)).await
}

/// The password of a Basic `Authorization` header, whatever its user name; `Unauthenticated` without one.
pub fn basic_password(headers: &HeaderMap) -> Result<Zeroizing<String>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::Unauthenticated);
    };
    let Credentials { text, colon } =
        Credentials::parse(value.as_bytes()).ok_or(Error::Unauthenticated)?;
    Ok(Zeroizing::new(
        text.get(colon + 1..).unwrap_or_default().to_owned(),
    ))
}

/// The user name of a Basic `Authorization` header.
pub(super) fn basic_user(headers: &HeaderMap) -> Option<String> {
    let Credentials { text, colon } =
        Credentials::parse(headers.get(header::AUTHORIZATION)?.as_bytes())?;
    text.get(..colon).map(str::to_owned)
}

/// Who the session of the cookie stands for. Whatever another site may have sent in its name is refused (403).
fn by_cookie(app: &App, parts: &Parts) -> Result<Arc<Identity>> {
    let config = &app.config.server;
    let secret = cookie::SESSION.read(cookie::is_https(config, &parts.headers), &parts.headers);
    let identity = secret
        .and_then(|secret| app.auth.by_session(secret))
        .ok_or(Error::Unauthenticated)?;
    csrf::check(config, parts)?;
    Ok(identity)
}

/// The token of a Bearer `Authorization` value (RFC 6750).
fn bearer_in(value: &[u8]) -> Option<&str> {
    let (scheme, token) = value.split_at_checked(7)?;
    let is_bearer = value.len() <= MAX_CREDENTIALS && scheme.eq_ignore_ascii_case(b"bearer ");
    std::str::from_utf8(token)
        .ok()
        .map(str::trim)
        .filter(|token| is_bearer && !token.is_empty())
}

/// What the client says it is.
pub fn agent_of(headers: &HeaderMap) -> &str {
    headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default()
}

/// Whether a request comes from a script in a page: browsers say so, other clients do not.
pub fn is_script(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_MODE) || headers.contains_key(csrf::X_REQUESTED_WITH)
}

/// Warns of a peer that sends `X-Forwarded-For` but is no trusted proxy: all its clients count as one network.
pub fn note_forwarded(metrics: &Metrics, headers: &HeaderMap, peer: IpAddr) {
    if headers.contains_key(X_FORWARDED_FOR) && metrics.untrusted_proxies.note(peer.to_canonical())
    {
        tracing::warn!(
            %peer,
            "requests come with X-Forwarded-For from an address that is not in server.trusted_proxies: whoever comes through \
             it counts as one network, also where failed sign-ins are counted; if it is your proxy, name it there"
        );
    }
}

/// Whether a peer is a trusted proxy.
pub fn is_trusted(config: &ServerConfig, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    config
        .trusted_proxies
        .iter()
        .any(|proxy| proxy.to_canonical() == peer)
}

/// The client's address: the peer, or behind trusted proxies the right-most hop that is not one of them.
pub fn client_address(config: &ServerConfig, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(config, peer) {
        return peer;
    }
    let mut nearest = peer;
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    for hop in lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')) {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            return nearest;
        };
        nearest = address.to_canonical();
        if !is_trusted(config, nearest) {
            return nearest;
        }
    }
    nearest
}

/// Refuses a request, after draining its body.
pub async fn refuse(error: &Error, parts: &Parts, body: &mut RequestBody) -> Response<Body> {
    reply::log(error);
    drain_before(parts, body, reply::failure(error)).await
}

/// Name and password as `name:password`, wiped after use.
struct Credentials {
    text: Zeroizing<String>,
    colon: usize,
}

impl Credentials {
    /// Reads a Basic `Authorization` value (RFC 7617); `None` for other schemes and whatever is malformed.
    fn parse(value: &[u8]) -> Option<Self> {
        let (scheme, rest) = value.split_at_checked(6)?;
        if value.len() > MAX_CREDENTIALS || !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = Zeroizing::new(BASE64_STANDARD.decode(rest.trim_ascii()).ok()?);
        // RFC 7617 section 2.1: without a charset, clients send what their system has. What is no UTF-8 is Windows-1252.
        let text = std::str::from_utf8(&decoded)
            .map(str::to_owned)
            .ok()
            .or_else(|| windows1252::decode(&decoded))?;
        let text = Zeroizing::new(text);
        let colon = text.find(':').filter(|colon| *colon > 0)?;
        Some(Self { text, colon })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply::CHALLENGE;
    use std::time::Duration;

    fn parse(value: &str) -> Option<(String, String)> {
        let Credentials { text, colon } = Credentials::parse(value.as_bytes())?;
        Some((text[..colon].to_owned(), text[colon + 1..].to_owned()))
    }

    fn basic(text: &[u8]) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    #[test]
    fn basic_credentials_are_read_and_all_else_is_not() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(parse(&basic(b"ana:pass:word")), pair("ana", "pass:word"));
        assert_eq!(
            parse(&basic("DOM\\ana:pä".as_bytes())),
            pair("DOM\\ana", "pä")
        );
        assert_eq!(parse("bAsIc  YTpi "), pair("a", "b"));
        assert_eq!(
            parse(&basic(b"ana:p\xe4\x80")),
            pair("ana", "p\u{e4}\u{20ac}")
        );
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Basic !!!",
            "Bearer YTpi",
            "BasicYTpi",
            "Bearer",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        for bad in [&b"nocolon"[..], b":nobody", b"a:\x81\xff", &[b'a'; 5000]] {
            assert_eq!(parse(&basic(bad)), None);
        }
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        let mut config = ServerConfig::default();
        let mut headers = HeaderMap::new();
        headers.append(
            "x-forwarded-for",
            HeaderValue::from_static("6.6.6.6, 1.2.3.4"),
        );
        headers.append("x-forwarded-for", HeaderValue::from_static("10.0.0.2"));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxy = address("::ffff:10.0.0.1");
        assert_eq!(
            client_address(&config, &headers, proxy),
            address("10.0.0.1")
        );
        config.trusted_proxies = vec![address("10.0.0.1")];
        assert_eq!(
            client_address(&config, &headers, address("9.9.9.9")),
            address("9.9.9.9")
        );
        assert_eq!(
            client_address(&config, &headers, proxy),
            address("10.0.0.2")
        );
        config.trusted_proxies.push(address("10.0.0.2"));
        assert_eq!(client_address(&config, &headers, proxy), address("1.2.3.4"));
        headers.append("x-forwarded-for", HeaderValue::from_static("junk"));
        assert_eq!(
            client_address(&config, &headers, proxy),
            address("10.0.0.1")
        );
    }

    #[tokio::test]
    async fn a_refusal_challenges_and_reads_the_body() {
        let (parts, ()) = http::Request::new(()).into_parts();
        let mut body = RequestBody::from(b"upload");
        let response = refuse(&Error::Unauthenticated, &parts, &mut body).await;
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], CHALLENGE);
        assert!(http_body::Body::is_end_stream(&body));
        assert!(!response.headers().contains_key(header::CONNECTION));
        let busy = Error::Busy {
            retry_after: Duration::from_millis(1500),
        };
        let (parts, ()) = http::Request::builder()
            .header("expect", "100-continue")
            .body(())
            .unwrap()
            .into_parts();
        let response = refuse(&busy, &parts, &mut RequestBody::from(b"upload")).await;
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONNECTION], "close");
    }
}
