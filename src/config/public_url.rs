//! `server.public_url`: the address that clients see, with a path where a proxy serves other things beside this server.

use super::ServerConfig;
use anyhow::{Result, ensure};

/// First parts of paths that are this server's own: a prefix that began so could not be told from them.
const OWN: [&str; 18] = [
    "dav", "s", "api", "_", "healthz", "readyz", "trust", "setup", "login", "register", "files",
    "shared", "trash", "rewind", "connect", "account", "admin", "openid",
];

impl ServerConfig {
    /// Scheme and host, as browsers send them in `Origin`; empty when only `Host` tells.
    pub fn public_origin(&self) -> &str {
        let url = &self.public_url;
        url.strip_suffix(self.path_prefix()).unwrap_or(url)
    }

    /// The path that all addresses of this server begin with, such as `/sarang`; mostly empty.
    pub fn path_prefix(&self) -> &str {
        let url = &self.public_url;
        let host = url.find("://").map_or(0, |at| at + "://".len());
        let path = url.get(host..).and_then(|rest| rest.find('/'));
        path.and_then(|at| url.get(host + at..)).unwrap_or_default()
    }

    pub(super) fn validate_public_url(&self) -> Result<()> {
        if self.public_url.is_empty() {
            return Ok(());
        }
        let origin = self.public_origin();
        let host = origin
            .strip_prefix("https://")
            .or(origin.strip_prefix("http://"));
        let is_plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
            !part.is_empty() && ![".", ".."].contains(&part) && part.chars().all(allowed)
        };
        let mut parts = self.path_prefix().split('/').skip(1);
        ensure!(
            host.is_some_and(|host| !host.is_empty() && !host.contains(['@', ' ', '?', '#']))
                && parts.all(is_plain),
            "server.public_url: write scheme and host without a slash at the end, like \"https://files.example.org\"; \
             with a path only where a proxy serves the drive below one, like \"https://example.org/sarang\"."
        );
        let first = self.path_prefix().split('/').nth(1).unwrap_or_default();
        ensure!(
            !OWN.contains(&first),
            "server.public_url: a path that begins with /{first} is one of this server's own; take another, like /sarang."
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(public_url: &str) -> ServerConfig {
        ServerConfig {
            public_url: public_url.into(),
            ..ServerConfig::default()
        }
    }

    #[test]
    fn public_url_has_an_origin_and_a_path_prefix() {
        for (url, origin, prefix) in [
            ("", "", ""),
            ("https://x.example", "https://x.example", ""),
            ("http://x:8080/sarang", "http://x:8080", "/sarang"),
            ("https://x/a/b-c", "https://x", "/a/b-c"),
        ] {
            let server = server(url);
            assert_eq!(
                (server.public_origin(), server.path_prefix()),
                (origin, prefix),
                "{url}"
            );
            server.validate_public_url().unwrap();
        }
    }

    #[test]
    fn public_url_with_a_path_that_could_be_mistaken_is_refused() {
        for url in [
            "x.example",
            "ftp://x",
            "https://",
            "https:///a",
            "https://x/",
            "https://x/a/",
            "https://x//a",
            "https://x/a?b",
            "https://x/a%20b",
            "https://x/..",
            "https://x/a b",
            "https://u@x",
            "https://x/dav",
            "https://x/s/more",
            "https://x/api",
            "https://x/_/a",
        ] {
            let error = server(url).validate_public_url().unwrap_err().to_string();
            assert!(error.starts_with("server.public_url:"), "{url}: {error}");
        }
    }
}
