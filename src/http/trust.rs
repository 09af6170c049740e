//! `/trust`: the root certificate of the server's own authority, for each system, with its fingerprint. It is served without TLS, too, since
//! who comes for it trusts no certificate of this server yet; so the page says to compare, and with what.

use super::api::caller::PublicCaller;
use super::html::{escape, page as html_page};
use crate::certs::RootCertificate;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

const CERTIFICATE: &str = "application/x-x509-ca-cert";
const PEM: &str = "application/x-pem-file";
const PROFILE: &str = "application/x-apple-aspen-config";

/// The addresses of all of it.
pub(super) const PATHS: [&str; 4] = [
    "/trust",
    "/trust/sarang.crt",
    "/trust/sarang.pem",
    "/trust/sarang.mobileconfig",
];

/// The page, and the certificate in each form.
pub(super) fn routes() -> Router {
    Router::new()
        .route(
            "/trust",
            get(async |caller: PublicCaller| answer(&caller, page)),
        )
        .route(
            "/trust/sarang.crt",
            get(async |caller: PublicCaller| {
                answer(&caller, |root| {
                    file(CERTIFICATE, "sarang.crt", root.der().to_vec())
                })
            }),
        )
        .route(
            "/trust/sarang.pem",
            get(async |caller: PublicCaller| {
                answer(&caller, |root| {
                    file(PEM, "sarang.pem", root.pem().into_bytes())
                })
            }),
        )
        .route(
            "/trust/sarang.mobileconfig",
            get(async |caller: PublicCaller| {
                answer(&caller, |root| {
                    file(PROFILE, "sarang.mobileconfig", profile(root).into_bytes())
                })
            }),
        )
}

fn answer(caller: &PublicCaller, of: impl FnOnce(&RootCertificate) -> Response) -> Response {
    if let Some(authority) = &caller.app.issuers.local {
        return of(authority.root());
    }
    let text =
        "<p>This server has no certificate authority of its own: there is nothing to install.</p>";
    (StatusCode::NOT_FOUND, html_page("Nothing to trust", text)).into_response()
}

fn file(kind: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    (
        [
            (CONTENT_TYPE, kind.to_owned()),
            (CONTENT_DISPOSITION, disposition),
        ],
        bytes,
    )
        .into_response()
}

fn page(root: &RootCertificate) -> Response {
    let name = escape(&root.name());
    let fingerprint = root.fingerprint();
    let digits = fingerprint.replace(':', "").to_ascii_lowercase();
    let content = format!(
        "<p>This server issues its certificate itself, since no public authority does so for a local network. Once a device trusts its \
         authority, browsers and file managers connect to it without a warning. The authority can sign only for local networks and for \
         the names of this server.</p>\
         <p>Name: <strong>{name}</strong><br>SHA-256 fingerprint: <code>{fingerprint}</code></p>\
         <h2>Compare before you install</h2>\
         <p>Somebody in your network could have changed this page and the file on their way. The right fingerprint is what the server prints \
         when it starts, and what <code>sarang trust</code> prints on it: look there, or ask whoever runs the server, over another way than \
         this page. It must be the fingerprint of the file that you have downloaded. If one digit differs, delete the file.</p>\
         <h2>Windows</h2>\
         <p>Download <a href=\"/trust/sarang.crt\">sarang.crt</a>. Its fingerprint: <code>certutil -hashfile sarang.crt SHA256</code> must say \
         <code>{digits}</code>. Open it, choose Install Certificate, Local Machine, and the store Trusted Root Certification Authorities; or, as \
         administrator, run <code>certutil -addstore Root sarang.crt</code>.</p>\
         <h2>macOS</h2>\
         <p>Download <a href=\"/trust/sarang.crt\">sarang.crt</a>. Its fingerprint: <code>shasum -a 256 sarang.crt</code>. Open it, add it to the \
         keychain System, open it there, and choose Trust, Always Trust; or run <code>sudo security add-trusted-cert -d -r trustRoot -p ssl -k \
         /Library/Keychains/System.keychain sarang.crt</code>.</p>\
         <h2>iPhone and iPad</h2>\
         <p>Open <a href=\"/trust/sarang.mobileconfig\">sarang.mobileconfig</a> in Safari. Install it in Settings, General, VPN &amp; Device \
         Management; More Details shows its fingerprint. Then switch it on in Settings, General, About, Certificate Trust Settings.</p>\
         <h2>Android</h2>\
         <p>Download <a href=\"/trust/sarang.crt\">sarang.crt</a>. Install it in Settings, Security, Encryption &amp; credentials, Install a \
         certificate, CA certificate. Trusted credentials, User shows its fingerprint. Some apps trust only the authorities that came with \
         Android.</p>\
         <h2>Linux</h2>\
         <p>Download <a href=\"/trust/sarang.pem\">sarang.pem</a>. Its fingerprint: <code>openssl x509 -in sarang.pem -noout -fingerprint \
         -sha256</code>. On Debian and Ubuntu run <code>sudo cp sarang.pem /usr/local/share/ca-certificates/sarang.crt</code> and \
         <code>sudo update-ca-certificates</code>; on Fedora, Arch and others <code>sudo trust anchor sarang.pem</code>.</p>\
         <h2>Firefox and Chromium on Linux</h2>\
         <p>They have a list of their own: in Firefox, Settings, Privacy &amp; Security, View Certificates, Authorities, Import; in Chromium, \
         Settings, Privacy and security, Security, Manage certificates. View shows its fingerprint. Let it identify websites.</p>\
         <p>Then open this server by an address that begins with <code>https://</code>.</p>"
    );
    html_page("Trust this server", &content).into_response()
}

/// The certificate as a configuration profile of Apple's. Its identifiers come from the certificate: a second installation replaces the first.
fn profile(root: &RootCertificate) -> String {
    let digits = root.fingerprint().replace(':', "");
    let id = |from: usize| {
        let part =
            |at: usize, len: usize| digits.get(from + at..from + at + len).unwrap_or_default();
        // Version 8 is for identifiers that are made in a way of one's own (RFC 9562, 5.8).
        format!(
            "{}-{}-8{}-A{}-{}",
            part(0, 8),
            part(8, 4),
            part(13, 3),
            part(17, 3),
            part(20, 12)
        )
    };
    let name = escape(&root.name());
    let content = STANDARD.encode(root.der());
    let inner = id(0);
    let outer = id(32);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\"><dict>\n\
         <key>PayloadContent</key><array><dict>\n\
         <key>PayloadCertificateFileName</key><string>sarang.crt</string>\n\
         <key>PayloadContent</key><data>{content}</data>\n\
         <key>PayloadDescription</key><string>The certificate authority of this server</string>\n\
         <key>PayloadDisplayName</key><string>{name}</string>\n\
         <key>PayloadIdentifier</key><string>sarang.trust.{inner}</string>\n\
         <key>PayloadType</key><string>com.apple.security.root</string>\n\
         <key>PayloadUUID</key><string>{inner}</string>\n\
         <key>PayloadVersion</key><integer>1</integer>\n\
         </dict></array>\n\
         <key>PayloadDescription</key><string>Lets this device trust the certificate of a Sarang server in its network.</string>\n\
         <key>PayloadDisplayName</key><string>{name}</string>\n\
         <key>PayloadIdentifier</key><string>sarang.trust.{outer}</string>\n\
         <key>PayloadType</key><string>Configuration</string>\n\
         <key>PayloadUUID</key><string>{outer}</string>\n\
         <key>PayloadVersion</key><integer>1</integer>\n\
         </dict></plist>\n"
    )
}
