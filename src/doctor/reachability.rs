//! Before anybody has signed in: the name, the port, the certificate, and whether it is a drive that answers.

use super::connection::ProbeBody;
use super::{CheckResults, FailedCheck, ProbeResponse, TargetServer, Unreachable};
use http::{HeaderMap, Method, StatusCode};
use std::time::{Duration, SystemTime};

/// Beyond this codes of authenticator apps are refused, and dates look wrong to clients.
const CLOCK: Duration = Duration::from_secs(60);
/// What proxies answer where they cannot reach what is behind them.
const BEHIND: [u16; 3] = [502, 503, 504];

/// What the drive says before anybody signs in.
pub(super) struct ReachedServer {
    options: ProbeResponse,
    /// Whether nothing leaves this machine.
    is_local: bool,
}

/// Whether the server can be talked to, by the path that clients use: proxies treat others differently.
pub(super) async fn reach(
    server: &TargetServer,
    found: &mut CheckResults,
) -> Option<ReachedServer> {
    let is_local = match server.resolve().await {
        Ok(addresses) => {
            let named: Vec<_> = addresses
                .iter()
                .map(|address| address.ip().to_string())
                .collect();
            found.fine("name", format!("{} is {}.", server.host, named.join(", ")));
            addresses.iter().all(|address| address.ip().is_loopback())
        }
        Err(error) => {
            let fix =
                "Make an A or AAAA record for the name, or look for a typing error in the address.";
            found.fail(
                "name",
                format!("The name {} is not known: {}.", server.host, error.why()),
                fix,
            );
            return None;
        }
    };
    match server
        .ask(
            Method::OPTIONS,
            &server.path,
            &HeaderMap::new(),
            ProbeBody::nothing(),
        )
        .await
    {
        Ok(options) => {
            found.fine("port", format!("Port {} answers.", server.port));
            if server.is_tls {
                found.fine(
                    "certificate",
                    "The certificate is believed, and is for this name.",
                );
            }
            is_passed_on(&options, found).then_some(ReachedServer { options, is_local })
        }
        Err(error) => {
            unreachable(server, &error, found);
            None
        }
    }
}

fn unreachable(server: &TargetServer, error: &Unreachable, found: &mut CheckResults) {
    let why = error.why();
    match error {
        Unreachable::Name(_) | Unreachable::Port(_) => found.fail(
            "port",
            format!("Nobody answers on port {}: {why}.", server.port),
            "See that the server or its proxy runs and listens on this address, and that firewall and router let the port through.",
        ),
        Unreachable::Tls(_) => {
            found.fine("port", format!("Port {} answers.", server.port));
            found.fail("certificate", format!("No TLS connection comes about: {why}."), tls_fix(why));
        }
        Unreachable::Answer(_) => found.fail(
            "port",
            format!("Port {} takes connections and gives no answer: {why}.", server.port),
            "Something else may listen there, or it speaks TLS: try the address with https://.",
        ),
    }
}

/// What to do where no TLS connection comes about, by what rustls says.
fn tls_fix(why: &str) -> &'static str {
    let says = |words: [&str; 2]| words.iter().any(|words| why.contains(words));
    if why.contains("UnknownIssuer") {
        "The authority is not known here. With a certificate of your own authority install its root on every device; otherwise \
         serve the whole chain (fullchain.pem), not the certificate alone."
    } else if says(["certificate expired", "Expired"]) {
        "Renew the certificate, and have the server or its proxy read it."
    } else if says(["not valid yet", "NotValidYet"]) {
        "The certificate's time has not begun: set the clocks of this machine and of who made the certificate, or wait."
    } else if says(["not valid for name", "NotValidForName"]) {
        "Get a certificate for the name that clients use, or give them the name that the certificate is for."
    } else if why.contains("corrupt message") {
        "What answers there does not speak TLS: give clients an address with http://, or the port that does."
    } else {
        "Look at the certificate: openssl s_client -connect HOST:PORT -servername HOST."
    }
}

/// Whether the answer is the server's own, and not one of a proxy that leads elsewhere or nowhere.
fn is_passed_on(answer: &ProbeResponse, found: &mut CheckResults) -> bool {
    let status = answer.status.as_u16();
    let is_own = answer.header("x-request-id").is_some()
        && answer.header("x-content-type-options") == Some("nosniff");
    if BEHIND.contains(&status) && !is_own {
        let seen = format!("A proxy answers {status}: it does not reach the server.");
        found.fail(
            "proxy",
            seen,
            "See that sarang runs, and that the proxy passes requests to its address and port.",
        );
        return false;
    }
    if answer.status.is_redirection() {
        let to = answer.header("location").unwrap_or("elsewhere").to_owned();
        let fix =
            "Give clients the address that it leads to: they lose password or body on the way.";
        found.fail("redirect", format!("The drive is redirected to {to}."), fix);
        return false;
    }
    true
}

/// Whether the server can change anything, which it says at another path; proxies need not pass that on.
async fn health(server: &TargetServer, found: &mut CheckResults) {
    let above = server.path.strip_suffix("dav/").unwrap_or("/");
    let asked = server
        .ask(
            Method::GET,
            &format!("{above}healthz"),
            &HeaderMap::new(),
            ProbeBody::nothing(),
        )
        .await;
    if asked.is_ok_and(|answer| {
        answer.status == 503 && answer.text().contains("state store is read-only")
    }) {
        let fix = "Look into the server's log for what it could not write (a full or failing disk), mend that, and restart it.";
        found.fail(
            "state",
            "The server's state is read-only: nothing can be changed.",
            fix,
        );
    }
}

/// Whether a drive answers, and lets clients sign in.
pub(super) async fn greet(
    server: &TargetServer,
    reached: &ReachedServer,
    found: &mut CheckResults,
) -> bool {
    let ReachedServer { options, is_local } = reached;
    let unsigned = match server
        .ask(
            method("PROPFIND"),
            &server.path,
            &HeaderMap::new(),
            ProbeBody::nothing(),
        )
        .await
    {
        Ok(unsigned) => unsigned,
        Err(error) => {
            found.fail(
                "drive",
                format!("The drive does not answer: {}.", error.why()),
                "Look into the log of the proxy.",
            );
            return false;
        }
    };
    health(server, found).await;
    clock(options, found);
    plain(server, *is_local, found).await;
    let fix = match options.status {
        StatusCode::NOT_FOUND => {
            "No drive has this path: the address ends with /dav/, and the proxy must pass the path on as it is."
        }
        StatusCode::SERVICE_UNAVAILABLE => "The server itself answers so: its log says why.",
        StatusCode::FORBIDDEN if !server.is_tls && options.text().contains("https://") => {
            "The server refuses passwords without TLS ([tls] plain_http): use https://, and its port of TLS."
        }
        _ => "The proxy refuses OPTIONS: let it pass all methods of WebDAV.",
    };
    let seen = format!("OPTIONS {} is {}.", server.path, options.status.as_u16());
    let is_drive = options.status == StatusCode::UNAUTHORIZED || options.header("dav").is_some();
    if !found.record_check(
        "drive",
        is_drive,
        "There is a drive.",
        FailedCheck::new(seen, fix),
    ) {
        return false;
    }
    check_sign_in_offer(&unsigned, found)
}

/// Whether who gives no password is asked for one.
fn check_sign_in_offer(unsigned: &ProbeResponse, found: &mut CheckResults) -> bool {
    let offers_basic = unsigned
        .header("www-authenticate")
        .is_some_and(|offer| offer.to_lowercase().contains("basic"));
    let fix = match unsigned.status.as_u16() {
        401 => {
            "The proxy takes the header WWW-Authenticate away, or asks for a sign-in of its own: turn that off for the drive."
        }
        _ => {
            "The proxy refuses PROPFIND: let it pass all methods of WebDAV (PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK)."
        }
    };
    let seen = format!(
        "PROPFIND without a password is {} and offers no sign-in.",
        unsigned.status.as_u16()
    );
    found.record_check(
        "sign-in",
        unsigned.status == 401 && offers_basic,
        "Clients are asked for their password.",
        FailedCheck::new(seen, fix),
    )
}

fn clock(answer: &ProbeResponse, found: &mut CheckResults) {
    let said = answer
        .header("date")
        .and_then(crate::model::time::parse_http_date);
    let Some(said) = said else { return };
    let now = SystemTime::now();
    let off = now.duration_since(said).unwrap_or_else(|e| e.duration());
    if off > CLOCK {
        let seen = format!(
            "The server's clock and this machine's differ by {} seconds.",
            off.as_secs()
        );
        let fix = "Set both by the network's time (systemd-timesyncd, chrony): two-factor codes and dates of files depend on it.";
        found.warn("clock", seen, fix);
    } else {
        found.fine("clock", "The clocks agree.");
    }
}

/// What happens without TLS.
async fn plain(server: &TargetServer, is_local: bool, found: &mut CheckResults) {
    if !server.is_tls {
        if !is_local {
            let fix = "Serve it with TLS (README, Configure), and give clients the address with https://.";
            let seen =
                "Passwords go over the network in the clear, and Windows refuses to send them.";
            found.warn("plain-http", seen, fix);
        }
        return;
    }
    if server.port != 443 {
        return;
    }
    match server
        .plain()
        .ask(
            method("PROPFIND"),
            &server.path,
            &HeaderMap::new(),
            ProbeBody::nothing(),
        )
        .await
    {
        Ok(answer) if answer.status == 401 => {
            let fix = "Refuse the drive on port 80; redirect browsers only.";
            found.warn(
                "plain-http",
                "The drive takes passwords without TLS, too.",
                fix,
            );
        }
        _ => found.fine("plain-http", "Without TLS no password is asked for."),
    }
}

/// A method that the crate has no name for.
pub(super) fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
    use tokio_rustls::rustls::{CertificateError, Error};

    #[test]
    fn what_rustls_says_of_a_certificate_has_its_fix() {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(9));
        let not_before = 20;
        let not_after = 5;
        let at = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
        let expected = ServerName::try_from("nest.example").unwrap();
        for (error, fix) in [
            (CertificateError::Expired, "Renew"),
            (
                CertificateError::ExpiredContext {
                    time,
                    not_after: at(not_after),
                },
                "Renew",
            ),
            (CertificateError::NotValidYet, "has not begun"),
            (
                CertificateError::NotValidYetContext {
                    time,
                    not_before: at(not_before),
                },
                "has not begun",
            ),
            (CertificateError::NotValidForName, "for the name"),
            (
                CertificateError::NotValidForNameContext {
                    expected,
                    presented: vec![],
                },
                "for the name",
            ),
            (CertificateError::UnknownIssuer, "fullchain.pem"),
        ] {
            let why = Error::InvalidCertificate(error).to_string();
            assert!(tls_fix(&why).contains(fix), "{why}");
        }
    }
}
