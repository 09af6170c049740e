//! What clients do once they have signed in, in a folder of their own that is deleted afterwards.

mod changing;
mod folder;
mod reading;
mod uploads;

use super::connection::ProbeBody;
use super::reachability::method;
use super::{CheckResults, FailedCheck, ProbeResponse, TargetServer, TestAccount, Unreachable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use changing::{copy_and_move, lock, properties};
use folder::{greet, list, make_folder, store};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reading::{conditions, read};
use uploads::{chunks, sizes};

const CONTENT: &str = "What a client stores must come back as it was.\n";
const ALL_METHODS: &str = "Let the proxy pass all methods of WebDAV: PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK, PUT, DELETE.";

/// An account at work.
struct TestClient<'a> {
    server: &'a TargetServer,
    sign_in: HeaderMap,
    folder: String,
}

impl TestClient<'_> {
    async fn ask(
        &self,
        name: &str,
        at: &str,
        headers: &[(&'static str, &str)],
        body: ProbeBody,
    ) -> Result<ProbeResponse, Unreachable> {
        let mut all = self.sign_in.clone();
        for (name, value) in headers {
            let value =
                HeaderValue::from_str(value).map_err(|e| Unreachable::Answer(e.to_string()))?;
            all.insert(HeaderName::from_static(name), value);
        }
        self.server
            .ask(method(name), &format!("{}{at}", self.folder), &all, body)
            .await
    }

    fn url(&self, at: &str) -> String {
        self.server.url(&format!("{}{at}", self.folder))
    }
}

/// What is to be deleted afterwards.
#[derive(Debug, Default)]
struct CleanupList {
    /// Whether the folder was made, or may have been.
    folder: bool,
    /// The token of a lock in it.
    lock: Option<String>,
}

/// Every kind of request that a client makes.
pub(super) async fn check_drive(
    server: &TargetServer,
    account: &TestAccount,
    found: &mut CheckResults,
) {
    let basic = STANDARD.encode(format!("{}:{}", account.name, *account.password));
    let Ok(mut basic) = HeaderValue::from_str(&format!("Basic {basic}")) else {
        return;
    };
    basic.set_sensitive(true);
    // Nobody else's folder has this name: it is deleted in the end.
    let mut random = [0; 16];
    if let Err(error) = getrandom::fill(&mut random) {
        found.fail(
            "make-folder",
            format!("There are no random bytes: {error}."),
            "Look into the kernel's log.",
        );
        return;
    }
    let folder = format!(
        "{}sarang-doctor-{:032x}/",
        server.path,
        u128::from_ne_bytes(random)
    );
    let client = TestClient {
        server,
        sign_in: HeaderMap::from_iter([(AUTHORIZATION, basic)]),
        folder,
    };
    let mut left = CleanupList::default();
    if let Err(error) = try_all(&client, &mut left, found).await {
        let fix = "Look into the logs of the server and its proxy for this moment.";
        found.fail(
            "connection",
            format!("A connection broke: {}.", error.why()),
            fix,
        );
    }
    if left.folder {
        clean_up(&client, &left, found).await;
    }
}

async fn clean_up(client: &TestClient<'_>, left: &CleanupList, found: &mut CheckResults) {
    let token: Vec<_> = left
        .lock
        .iter()
        .map(|token| ("lock-token", token.as_str()))
        .collect();
    match client.ask("DELETE", "", &token, ProbeBody::nothing()).await {
        Ok(gone) => {
            let fine = "What was stored for this is deleted again; it lies in the account's trash.";
            let seen = format!(
                "DELETE is {}; {} is left.",
                gone.status.as_u16(),
                client.folder
            );
            let is_gone = [200, 204, 404].contains(&gone.status.as_u16());
            found.record_check("delete", is_gone, fine, FailedCheck::new(seen, ALL_METHODS));
        }
        Err(error) => {
            let seen = format!(
                "DELETE broke off: {}; {} may be left.",
                error.why(),
                client.folder
            );
            found.fail(
                "delete",
                seen,
                "Delete the folder by hand, and look into the proxy's log for this moment.",
            );
        }
    }
}

async fn try_all(
    client: &TestClient<'_>,
    left: &mut CleanupList,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
    if !greet(client, found).await?
        || !make_folder(client, left, found).await?
        || !store(client, found).await?
    {
        return Ok(());
    }
    list(client, found).await?;
    read(client, found).await?;
    conditions(client, found).await?;
    copy_and_move(client, found).await?;
    lock(client, left, found).await?;
    properties(client, found).await?;
    chunks(client, found).await?;
    sizes(client, found).await
}
