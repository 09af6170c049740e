//! Requests without TLS where TLS is served, too: they carry passwords, so that they are not answered as the others are.

use super::{Answer, RequestBody, failure_reports, reply, router, trust};
use crate::config::ServerConfig;
use http::{HeaderValue, Method, Request, StatusCode, header};

/// Whether an address is served without TLS, too: it tells and takes no secret, and who asks may not trust the server's certificate yet.
pub fn is_allowed_without_tls(path: &str) -> bool {
    let app_file = path
        .strip_prefix("/_/")
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, name)| name);
    router::is_health(path) || trust::PATHS.contains(&path) || app_file == Some("app.css")
}

/// The refusal of a request without TLS: a redirect for a browser's page, a sentence for all others, since a client that follows a
/// redirect has sent its password already. The connection ends after it.
pub fn refuse(config: &ServerConfig, request: &Request<RequestBody>, port: u16) -> Answer {
    let address = https_url(config, request, port);
    let mut response = match &address {
        Some(address) if is_page(request) => {
            let mut response =
                reply::sentence(StatusCode::PERMANENT_REDIRECT, "This server wants TLS.");
            if let Ok(address) = HeaderValue::from_str(address) {
                response.headers_mut().insert(header::LOCATION, address);
            }
            response
        }
        _ => reply::sentence(StatusCode::FORBIDDEN, sentence(request)),
    };
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    failure_reports::mark_unencrypted(request.headers(), &mut response);
    response.into()
}

fn sentence(request: &Request<RequestBody>) -> &'static str {
    if request.headers().contains_key(header::AUTHORIZATION) {
        "This server wants TLS: use an address that begins with https://. The password that was sent was not encrypted: change it."
    } else {
        "This server wants TLS: use an address that begins with https://."
    }
}

/// Whether it is a browser that asks for a page.
fn is_page(request: &Request<RequestBody>) -> bool {
    let mut accepted = request
        .headers()
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.headers().contains_key(header::AUTHORIZATION)
        && accepted.any(|accept| accept.contains("text/html"))
}

/// The same address with TLS: as the settings say that browsers see it, else by the name that was asked for.
fn https_url(config: &ServerConfig, request: &Request<RequestBody>, port: u16) -> Option<String> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    if config.public_url.starts_with("https://") {
        return Some(format!("{}{path}", config.public_url));
    }
    let host = request
        .headers()
        .get(header::HOST)?
        .to_str()
        .ok()?
        .parse::<http::uri::Authority>()
        .ok()?;
    let port = if port == 443 {
        String::new()
    } else {
        format!(":{port}")
    };
    Some(format!("https://{}{port}{path}", host.host()))
}
