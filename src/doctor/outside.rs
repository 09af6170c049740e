//! Before anybody has signed in: the name, the port, the certificate, and whether it is a drive that answers.

use super::wire::Sent;
use super::{Exchange, Findings, Server, Unreachable, Wrong};
use http::{HeaderMap, Method, StatusCode};
use std::time::{Duration, SystemTime};

/// Beyond this codes of authenticator apps are refused, and dates look wrong to clients.
const CLOCK: Duration = Duration::from_secs(60);
/// What proxies answer where they cannot reach what is behind them.
const BEHIND: [u16; 3] = [502, 503, 504];

/// Whether the server can be talked to.
pub(super) async fn reach(server: &Server, found: &mut Findings) -> bool {
    match server.resolve().await {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            found.fine("name", format!("{} is {}.", server.host, addresses.join(", ")));
        }
        Err(error) => {
            let fix = "Make an A or AAAA record for the name, or look for a typing error in the address.";
            found.fail("name", format!("The name {} is not known: {}.", server.host, error.why()), fix);
            return false;
        }
    }
    match server.ask(Method::GET, "/healthz", &HeaderMap::new(), Sent::nothing()).await {
        Ok(answer) => {
            found.fine("port", format!("Port {} answers.", server.port));
            if server.is_tls {
                found.fine("certificate", "The certificate is believed, and is for this name.");
            }
            health(&answer, found)
        }
        Err(error) => {
            unreachable(server, &error, found);
            false
        }
    }
}

fn unreachable(server: &Server, error: &Unreachable, found: &mut Findings) {
    let why = error.why();
    match error {
        Unreachable::Name(_) | Unreachable::Port(_) => found.fail(
            "port",
            format!("Nobody answers on port {}: {why}.", server.port),
            "See that the server or its proxy runs and listens on this address, and that firewall and router let the port through.",
        ),
        Unreachable::Tls(_) => {
            let fix = if why.contains("UnknownIssuer") {
                "The authority is not known here. With a certificate of your own authority install its root on every device; otherwise \
                 serve the whole chain (fullchain.pem), not the certificate alone."
            } else if why.contains("Expired") {
                "Renew the certificate, and have the server or its proxy read it."
            } else if why.contains("NotValidForName") {
                "Get a certificate for the name that clients use, or give them the name that the certificate is for."
            } else if why.contains("corrupt message") {
                "What answers there does not speak TLS: give clients an address with http://, or the port that does."
            } else {
                "Look at the certificate: openssl s_client -connect HOST:PORT -servername HOST."
            };
            found.fine("port", format!("Port {} answers.", server.port));
            found.fail("certificate", format!("No TLS connection comes about: {why}."), fix);
        }
        Unreachable::Answer(_) => found.fail(
            "port",
            format!("Port {} takes connections and gives no answer: {why}.", server.port),
            "Something else may listen there, or it speaks TLS: try the address with https://.",
        ),
    }
}

fn health(answer: &Exchange, found: &mut Findings) -> bool {
    let status = answer.status.as_u16();
    if BEHIND.contains(&status) && answer.header("content-type").is_none_or(|kind| !kind.contains("json")) {
        let seen = format!("A proxy answers {status}: it does not reach the server.");
        found.fail("proxy", seen, "See that sarang runs, and that the proxy passes requests to its address and port.");
        return false;
    }
    if answer.status.is_redirection() {
        let to = answer.header("location").unwrap_or("elsewhere").to_owned();
        let fix = "Give clients the address that it leads to: they lose password or body on the way.";
        found.fail("redirect", format!("All requests are redirected to {to}."), fix);
        return false;
    }
    true
}

/// Whether a drive answers, and lets clients sign in.
pub(super) async fn greet(server: &Server, found: &mut Findings) -> bool {
    let none = HeaderMap::new();
    let (options, unsigned) = (
        server.ask(Method::OPTIONS, &server.path, &none, Sent::nothing()).await,
        server.ask(method("PROPFIND"), &server.path, &none, Sent::nothing()).await,
    );
    let (options, unsigned) = match (options, unsigned) {
        (Ok(options), Ok(unsigned)) => (options, unsigned),
        (Err(error), _) | (_, Err(error)) => {
            found.fail(
                "drive",
                format!("The drive does not answer: {}.", error.why()),
                "Look into the log of the proxy.",
            );
            return false;
        }
    };
    clock(&options, found);
    plain(server, found).await;
    let fix = match options.status {
        StatusCode::NOT_FOUND => {
            "No drive has this path: the address ends with /dav/, after the path of server.public_url if it has one; the proxy must pass \
             the path on as it is."
        }
        _ => "The proxy refuses OPTIONS: let it pass all methods of WebDAV.",
    };
    let seen = format!("OPTIONS {} is {}.", server.path, options.status.as_u16());
    let is_drive = options.status == StatusCode::UNAUTHORIZED || options.header("dav").is_some();
    if !found.judge("drive", is_drive, "There is a drive.", Wrong::new(seen, fix)) {
        return false;
    }
    let offers_basic = unsigned.header("www-authenticate").is_some_and(|offer| offer.to_lowercase().contains("basic"));
    let fix = match unsigned.status.as_u16() {
        401 => {
            "The proxy takes the header WWW-Authenticate away, or asks for a sign-in of its own: turn that off for the drive."
        }
        _ => {
            "The proxy refuses PROPFIND: let it pass all methods of WebDAV (PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK)."
        }
    };
    let seen = format!("PROPFIND without a password is {} and offers no sign-in.", unsigned.status.as_u16());
    found.judge(
        "sign-in",
        unsigned.status == 401 && offers_basic,
        "Clients are asked for their password.",
        Wrong::new(seen, fix),
    )
}

fn clock(answer: &Exchange, found: &mut Findings) {
    let said = answer.header("date").and_then(crate::model::time::parse_http_date);
    let Some(said) = said else { return };
    let now = SystemTime::now();
    let off = now.duration_since(said).unwrap_or_else(|e| e.duration());
    if off > CLOCK {
        let seen = format!("The server's clock and this machine's differ by {} seconds.", off.as_secs());
        let fix = "Set both by the network's time (systemd-timesyncd, chrony): two-factor codes and dates of files depend on it.";
        found.warn("clock", seen, fix);
    } else {
        found.fine("clock", "The clocks agree.");
    }
}

/// What happens without TLS.
async fn plain(server: &Server, found: &mut Findings) {
    if !server.is_tls {
        if !server.is_loopback() {
            let fix = "Serve it with TLS (README, Configure), and give clients the address with https://.";
            let seen = "Passwords go over the network in the clear, and Windows refuses to send them.";
            found.warn("plain-http", seen, fix);
        }
        return;
    }
    if server.port != 443 {
        return;
    }
    match server.plain().ask(method("PROPFIND"), &server.path, &HeaderMap::new(), Sent::nothing()).await {
        Ok(answer) if answer.status == 401 => {
            let fix = "Refuse the drive on port 80; redirect browsers only.";
            found.warn("plain-http", "The drive takes passwords without TLS, too.", fix);
        }
        _ => found.fine("plain-http", "Without TLS no password is asked for."),
    }
}

/// A method that the crate has no name for.
pub(super) fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap_or_default()
}
