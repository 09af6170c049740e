//! The cookie that carries a session: `__Host-sid` over TLS, which no other host can set, and `sid` on plain HTTP.
//! Beside it, and as short as the way to the sign-in provider and back, one that remembers who left.

use crate::config::ServerConfig;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Only a trusted proxy's is left in a request by the time anybody asks.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether the client speaks TLS: to the nearest proxy, by its word, or else as the settings say.
pub fn is_https(config: &ServerConfig, headers: &HeaderMap) -> bool {
    let nearest = headers
        .get_all(X_FORWARDED_PROTO)
        .iter()
        .next_back()
        .and_then(|value| value.to_str().ok());
    match nearest.and_then(|value| value.rsplit(',').next()) {
        Some(scheme) => scheme.trim().eq_ignore_ascii_case("https"),
        None => config.public_url.starts_with("https://"),
    }
}

/// Whether a trusted proxy said which scheme the client speaks.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(X_FORWARDED_PROTO)
}

/// A cookie of this server's.
#[derive(Clone, Copy, Debug)]
pub struct Cookie {
    plain: &'static str,
    secure: &'static str,
    same_site: &'static str,
}

/// Carries a session.
pub const SESSION: Cookie = Cookie {
    plain: "sid",
    secure: "__Host-sid",
    same_site: "Strict",
};
/// Remembers who left for the sign-in provider; it must come along when the provider's page sends them back.
pub const SIGN_IN_STATE: Cookie = Cookie {
    plain: "openid",
    secure: "__Host-openid",
    same_site: "Lax",
};

impl Cookie {
    /// The value that a request brings; two of them are none.
    pub fn read(self, https: bool, headers: &HeaderMap) -> Option<&str> {
        let lines = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let pairs = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut found = pairs
            .filter(|(name, _)| *name == self.name(https))
            .map(|(_, value)| value);
        found.next().filter(|_| found.next().is_none())
    }

    /// `Set-Cookie` for `value`, for so many seconds; 0 takes the cookie away.
    pub fn write(self, https: bool, value: &str, seconds: i64) -> Option<HeaderValue> {
        let name = self.name(https);
        let same_site = self.same_site;
        let secure = if https { "; Secure" } else { "" };
        let text = format!(
            "{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}; Max-Age={seconds}"
        );
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn name(self, https: bool) -> &'static str {
        if https { self.secure } else { self.plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect::<Vec<_>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    }

    #[test]
    fn one_session_is_read_and_two_are_none() {
        let read_of = |https, lines: &[&'static str]| {
            let lines: Vec<_> = lines.iter().map(|line| (header::COOKIE, *line)).collect();
            SESSION.read(https, &with(&lines)).map(str::to_owned)
        };
        assert_eq!(read_of(false, &["a=b; sid=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(read_of(false, &["a=b", "sid=x"]).as_deref(), Some("x"));
        for lines in [
            &["sid=x; sid=y"][..],
            &["sid=x", "sid=y"],
            &["__Host-sid=x"],
            &["xsid=x"],
            &["sid"],
            &[],
        ] {
            assert_eq!(read_of(false, lines), None, "{lines:?}");
        }
        assert_eq!(
            read_of(true, &["__Host-sid=x; sid=planted"]).as_deref(),
            Some("x")
        );
        assert_eq!(read_of(true, &["sid=planted"]), None);
    }

    #[test]
    fn the_nearest_proxy_or_the_settings_say_what_is_tls() {
        let mut config = ServerConfig::default();
        let said = |config: &ServerConfig, lines: &[&'static str]| {
            let lines: Vec<_> = lines
                .iter()
                .map(|line| (X_FORWARDED_PROTO, *line))
                .collect();
            is_https(config, &with(&lines))
        };
        assert!(
            !said(&config, &[])
                && said(&config, &["https"])
                && said(&config, &["http", "http, HTTPS"])
        );
        assert!(!said(&config, &["https, http"]) && !said(&config, &["https", "http"]));
        config.public_url = "https://files.example.org".into();
        assert!(said(&config, &[]) && !said(&config, &["http"]));
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites() {
        let text = |https| {
            SESSION
                .write(https, "x", 60)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            text(true),
            "__Host-sid=x; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=60"
        );
        assert_eq!(
            text(false),
            "sid=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"
        );
        let cookie = SIGN_IN_STATE.write(true, "x", 0).unwrap();
        assert_eq!(
            cookie,
            "__Host-openid=x; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
    }
}
