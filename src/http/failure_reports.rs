//! Keeps the cause of a failed request for the account whose client made it, whichever method it was. `reply.rs` puts the cause on the
//! answer; here it is taken off.

use super::body::Body;
use super::href::PREFIX;
use super::{cookie, login};
use crate::app::App;
use crate::auth::RequestOrigin;
use crate::failures::{Cause, ClientKind, Failure, Reason};
use crate::model::Identity;
use http::request::Parts;
use http::{HeaderMap, Response, Uri, header};
use percent_encoding::percent_decode_str;
use std::net::IpAddr;

/// What is known of a request that was refused for want of TLS.
#[derive(Clone, Debug)]
struct Unencrypted {
    user: Option<String>,
    client: ClientKind,
}

/// Records the cause of a failed request on the drive of a signed-in account.
pub(super) fn record_drive_failure(
    app: &App,
    identity: &Identity,
    (parts, origin): (&Parts, &RequestOrigin),
    response: &mut Response<Body>,
) {
    let Some(mut reason) = response.extensions_mut().remove::<Reason>() else {
        let agent = login::agent_of(&parts.headers);
        if super::dav::quirks::wants_lean_listings(agent) {
            app.auth
                .failures()
                .record_success(ClientKind::Windows, origin.address);
        }
        return;
    };
    if reason.cause == Cause::Method {
        reason.detail = parts.method.to_string();
    }
    let failure = Failure::new(client_of(&parts.headers), origin.address, reason);
    app.auth.note_failure(
        identity,
        failure.asked(parts.method.as_str(), &path_of(&parts.uri)),
    );
}

/// Keeps what Windows does where there is no TLS: it asks once without a password, and never with one.
pub(super) fn record_unauthenticated(app: &App, parts: &Parts, origin: &RequestOrigin) {
    let is_mute = !parts.headers.contains_key(header::AUTHORIZATION)
        && !parts.headers.contains_key(header::COOKIE);
    if is_mute && !cookie::is_https(&app.config.server, &parts.headers) {
        app.auth
            .note_unencrypted(None, client_of(&parts.headers), origin.address);
    }
}

/// Marks the refusal of a request without TLS.
pub(super) fn mark_unencrypted(headers: &HeaderMap, response: &mut Response<Body>) {
    let mark = Unencrypted {
        user: login::basic_user(headers),
        client: client_of(headers),
    };
    response.extensions_mut().insert(mark);
}

/// Keeps such a refusal.
pub(super) fn record_unencrypted(app: &App, from: IpAddr, response: &mut Response<Body>) {
    if let Some(Unencrypted { user, client }) = response.extensions_mut().remove() {
        app.auth.note_unencrypted(user.as_deref(), client, from);
    }
}

fn client_of(headers: &HeaderMap) -> ClientKind {
    ClientKind::of(login::agent_of(headers))
}

/// The path in the drive, as people read it.
fn path_of(uri: &Uri) -> String {
    let path = uri.path().strip_prefix(PREFIX).unwrap_or(uri.path());
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::failures::{ClientFailure, Language};
    use crate::http::request_body::RequestBody;
    use crate::model::{AccountName, Role};
    use http::Request;

    #[tokio::test]
    async fn a_password_without_tls_is_told_to_the_account_that_it_was_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        };
        config.tls.listen = vec![([127, 0, 0, 1], 8443).into()];
        let app = App::open(config).await.unwrap();
        let ana = AccountName::parse("ana").unwrap();
        app.auth
            .create(&ana, b"blue kettle 77", Role::User, None)
            .await
            .unwrap();
        let from = IpAddr::from([192, 0, 2, 1]);
        // The passwords are wrong: nothing is looked up for a request that is refused anyway.
        for (authorization, agent) in [
            ("Basic YW5hOng=", "WebDAVFS/3"),
            ("Basic Ym9iOng=", "WebDAVFS/3"),
            ("", "Microsoft-WebDAV-MiniRedir/10"),
        ] {
            let request = Request::builder()
                .uri("/dav/")
                .header("host", "a")
                .header("user-agent", agent);
            let request = if authorization.is_empty() {
                request
            } else {
                request.header("authorization", authorization)
            };
            let answer = crate::http::handle(
                &app,
                from.into(),
                request.body(RequestBody::from(b"")).unwrap(),
            )
            .await;
            assert_eq!(answer.status(), 403, "{agent}");
        }
        let told = |near| {
            let failures = app.auth.failures_of(&ana, near).unwrap().into_iter();
            failures
                .map(|one| ClientFailure::of(one, Language::English).kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(told(None), [Cause::PlainHttp]);
        assert_eq!(
            told(Some(from)),
            [Cause::WindowsPlainHttp, Cause::PlainHttp]
        );
    }
}
