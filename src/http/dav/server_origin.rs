//! Addresses in headers: which of them are this server's, and the path of the drive that they name.

use crate::model::{Error, Result, VPath};

/// What makes an address one of this server's, and how it is spelled.
#[derive(Clone, Copy, Debug)]
pub struct ServerOrigin<'a> {
    /// The `Host` of the request.
    pub host: &'a str,
    /// Other names of this server.
    pub also: &'a [String],
    /// What the drive's paths begin with (`/dav`), as clients see them.
    pub prefix: &'a str,
    /// The part of `prefix` that is the path of `server.public_url`; requests come without it.
    pub path_prefix: &'a str,
}

impl<'a> ServerOrigin<'a> {
    /// What the drive's paths begin with in requests.
    pub fn served_prefix(self) -> &'a str {
        let served = self.prefix.strip_prefix(self.path_prefix);
        served.unwrap_or(self.prefix)
    }
}

/// An absolute URI or path as a path of this drive; `None` when it lies elsewhere. User names in it and its scheme are passed
/// over: KIO sends both, and a TLS proxy changes the scheme.
pub(super) fn address(value: &str, origin: ServerOrigin<'_>) -> Result<Option<VPath>> {
    let path = match value.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            let (authority, path) = rest
                .find(['/', '?', '#'])
                .map_or((rest, "/"), |at| rest.split_at(at));
            let host = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            let known = ["http", "https", "webdav", "webdavs", "dav", "davs"]
                .iter()
                .any(|s| s.eq_ignore_ascii_case(scheme));
            if !known || !is_own_host(host, origin) {
                return Ok(None);
            }
            path
        }
        _ => value,
    };
    if !path.starts_with('/') {
        return Err(Error::BadRequest(
            "An address in a header must be a URL or begin with a slash.",
        ));
    }
    // A client that does not escape a name would have another one changed than it means.
    if path.contains(['?', '#']) {
        return Err(Error::BadRequest(
            "An address in a header has neither query nor fragment: a ? in a name is written %3F, a # is %23.",
        ));
    }
    // A proxy may have taken the prefix off here, too.
    let path = path.strip_prefix(origin.path_prefix).unwrap_or(path);
    VPath::from_url(path, origin.served_prefix())
}

fn is_own_host(host: &str, origin: ServerOrigin<'_>) -> bool {
    let name = |host: &str| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.to_ascii_lowercase(),
        _ => host.to_ascii_lowercase(),
    };
    name(host) == name(origin.host) || origin.also.iter().any(|also| name(also) == name(host))
}
