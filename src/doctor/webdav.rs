//! What clients do once they have signed in, in a folder of their own that is deleted afterwards.

use super::connection::ProbeBody;
use super::reachability::method;
use super::{CheckResults, FailedCheck, ProbeResponse, TargetServer, TestAccount, Unreachable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

const CONTENT: &str = "What a client stores must come back as it was.\n";
/// A name with a space, an encoded percent sign, a hash, a plus, and letters that are no ASCII.
const ODD: &str = "a%20b%25%23+%C3%A9%F0%9F%AA%BA.txt";
/// Sizes at which proxies are known to cut bodies off, and what that means.
const SIZES: [(u64, &str); 5] = [
    (2 << 20, "2 MiB"),
    (20 << 20, "20 MiB"),
    (101 << 20, "101 MiB"),
    (2 << 30, "2 GiB"),
    (10 << 30, "10 GiB"),
];
/// Long enough that proxies compress it (nginx: `gzip_min_length`).
const PAGE_LEN: usize = 4 << 10;
const LOCK: &str = "<?xml version=\"1.0\"?><D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockinfo>";
const PATCH: &str = "<?xml version=\"1.0\"?><D:propertyupdate xmlns:D=\"DAV:\"><D:set><D:prop><x xmlns=\"urn:doctor\">1</x>\
    </D:prop></D:set></D:propertyupdate>";
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

async fn greet(client: &TestClient<'_>, found: &mut CheckResults) -> Result<bool, Unreachable> {
    let greeted = client.ask("OPTIONS", "", &[], ProbeBody::nothing()).await?;
    let status = greeted.status.as_u16();
    let fix = match status {
        429 => "There were too many wrong passwords: wait for a minute.",
        _ => {
            "Is the password right? Where two-factor sign-in is on, it takes an app password. If it works in a browser, the proxy takes the \
             header Authorization away."
        }
    };
    let seen = format!("The sign-in of the account is {status}.");
    if !found.record_check(
        "password",
        ![401, 429].contains(&status),
        "The account signs in.",
        FailedCheck::new(seen, fix),
    ) {
        return Ok(false);
    }
    let is_told = greeted
        .header("dav")
        .is_some_and(|levels| levels.contains('1') && levels.contains('2'));
    let fix = "The proxy answers OPTIONS itself or takes the header DAV away, and clients see no drive: let it pass both.";
    let seen = format!("OPTIONS is {status} without the header DAV: 1, 2.");
    Ok(found.record_check(
        "drive-levels",
        is_told,
        "It says what a drive can.",
        FailedCheck::new(seen, fix),
    ))
}

async fn make_folder(
    client: &TestClient<'_>,
    left: &mut CleanupList,
    found: &mut CheckResults,
) -> Result<bool, Unreachable> {
    let made = client.ask("MKCOL", "", &[], ProbeBody::nothing()).await;
    // A connection that broke off may have done its work.
    left.folder = match &made {
        Ok(made) => made.status == 201,
        Err(error) => matches!(error, Unreachable::Answer(_)),
    };
    let status = made?.status.as_u16();
    let fix = match status {
        403 => "The account may not write, or the proxy refuses MKCOL.",
        503 => "The server changes nothing now: its log and GET /healthz say why.",
        507 => "The account's quota or the disk is full.",
        _ => ALL_METHODS,
    };
    let seen = format!("MKCOL is {status}.");
    Ok(found.record_check(
        "make-folder",
        status == 201,
        "A folder is made.",
        FailedCheck::new(seen, fix),
    ))
}

async fn store(client: &TestClient<'_>, found: &mut CheckResults) -> Result<bool, Unreachable> {
    for (name, check) in [("plain.txt", "store"), (ODD, "odd-names")] {
        let stored = client
            .ask(
                "PUT",
                name,
                &[("content-type", "text/plain")],
                ProbeBody::whole(CONTENT),
            )
            .await?;
        let seen = format!("PUT of {name} is {}.", stored.status.as_u16());
        let fix = match (check, stored.status.as_u16()) {
            ("store", 507) => "The account's quota or the disk is full.",
            ("store", _) => ALL_METHODS,
            _ => {
                "The proxy reads the path of the address: let it pass it on as it came (nginx: proxy_pass without a path behind the address)."
            }
        };
        if !found.record_check(
            check,
            stored.status == 201,
            &format!("{name} is stored."),
            FailedCheck::new(seen, fix),
        ) {
            return Ok(false);
        }
    }
    let empty = client
        .ask("PUT", "empty.txt", &[], ProbeBody::nothing())
        .await?;
    let seen = format!("PUT of an empty file is {}.", empty.status.as_u16());
    Ok(found.record_check(
        "empty-file",
        empty.status == 201,
        "An empty file is stored.",
        FailedCheck::new(seen, ALL_METHODS),
    ))
}

async fn list(client: &TestClient<'_>, found: &mut CheckResults) -> Result<(), Unreachable> {
    let listed = client
        .ask("PROPFIND", "", &[("depth", "1")], ProbeBody::nothing())
        .await?;
    let text = listed.text();
    let seen = format!("PROPFIND of a folder is {}.", listed.status.as_u16());
    if !found.record_check(
        "list",
        listed.status == 207,
        "A folder is listed.",
        FailedCheck::new(seen, ALL_METHODS),
    ) {
        return Ok(());
    }
    let is_ours = text.contains(&format!("{}plain.txt", client.folder));
    let fix =
        "The server does not know the path that clients use: the proxy must pass it on as it came.";
    let seen = "The listing names other paths than the one that was asked for.";
    found.record_check(
        "paths",
        is_ours,
        "The listing names the paths that clients use.",
        FailedCheck::new(seen, fix),
    );
    let is_odd = text.contains("a%20b%25%23") && text.to_lowercase().contains("%c3%a9");
    let fix = "The proxy changes names in addresses or answers: let it pass both as they came.";
    found.record_check(
        "listed-names",
        is_odd,
        "Odd names are listed as they are.",
        FailedCheck::new("An odd name is not listed as it is.", fix),
    );
    let alone = client
        .ask("PROPFIND", "", &[("depth", "0")], ProbeBody::nothing())
        .await?;
    let is_alone = alone.status == 207 && !alone.text().contains("plain.txt");
    let fix = "The proxy takes the header Depth away: let it pass.";
    found.record_check(
        "depth",
        is_alone,
        "Depth is heeded.",
        FailedCheck::new("Depth: 0 lists what is in the folder, too.", fix),
    );
    Ok(())
}

async fn read(client: &TestClient<'_>, found: &mut CheckResults) -> Result<(), Unreachable> {
    let read = client
        .ask("GET", "plain.txt", &[], ProbeBody::nothing())
        .await?;
    let is_same = read.status == 200 && read.body == CONTENT.as_bytes();
    let seen = format!(
        "GET is {} with {} bytes of {}.",
        read.status.as_u16(),
        read.body.len(),
        CONTENT.len()
    );
    found.record_check(
        "read",
        is_same,
        "A file comes back as it was.",
        FailedCheck::new(
            seen,
            "The proxy changes answers: let it pass them as they are.",
        ),
    );
    compression(client, found).await?;
    let part = client
        .ask(
            "GET",
            "plain.txt",
            &[("range", "bytes=5-8")],
            ProbeBody::nothing(),
        )
        .await?;
    let is_part =
        part.status == 206 && part.body == CONTENT.get(5..9).unwrap_or_default().as_bytes();
    let fix = "The proxy takes the header Range away: downloads begin anew after each break, and videos cannot be wound.";
    found.record_check(
        "ranges",
        is_part,
        "Parts of files can be read.",
        FailedCheck::new(format!("A range is {}.", part.status.as_u16()), fix),
    );
    Ok(())
}

/// Whether a page, which proxies compress first, comes with the same strong entity tag and bytes to who takes it compressed.
async fn compression(client: &TestClient<'_>, found: &mut CheckResults) -> Result<(), Unreachable> {
    let page = "<p>What a proxy would compress.</p>\n".repeat(PAGE_LEN / 32);
    let headers = [("content-type", "text/html")];
    client
        .ask("PUT", "page.html", &headers, ProbeBody::whole(page.clone()))
        .await?;
    let plain = client
        .ask("GET", "page.html", &[], ProbeBody::nothing())
        .await?;
    let tag = plain.header("etag");
    let seen = format!(
        "GET gives {}.",
        tag.map_or("no entity tag".to_owned(), |tag| format!(
            "the entity tag {tag}"
        ))
    );
    let fix = "The proxy takes the header ETag away or makes it weak: clients notice changes by strong ones. Let it pass as it is.";
    let is_strong = tag.is_some_and(|tag| tag.starts_with('"'));
    found.record_check(
        "etag",
        is_strong,
        "A file has a strong entity tag.",
        FailedCheck::new(seen, fix),
    );
    let packed = client
        .ask(
            "GET",
            "page.html",
            &[("accept-encoding", "gzip, br")],
            ProbeBody::nothing(),
        )
        .await?;
    let is_same = packed.header("etag") == tag && packed.body == page.as_bytes();
    let fix = "The proxy compresses what it passes on, which breaks the entity tags that clients notice changes by: turn it off for the drive \
               (nginx: gzip off; Apache: SetEnv no-gzip 1).";
    let seen = "A client that takes compressed answers gets another entity tag, or other bytes.";
    let is_unpacked = is_same && packed.header("content-encoding").is_none();
    found.record_check(
        "compression",
        is_unpacked,
        "Answers are not compressed on their way.",
        FailedCheck::new(seen, fix),
    );
    Ok(())
}

async fn conditions(client: &TestClient<'_>, found: &mut CheckResults) -> Result<(), Unreachable> {
    let put = client
        .ask(
            "PUT",
            "plain.txt",
            &[("if-none-match", "*")],
            ProbeBody::whole(CONTENT),
        )
        .await?;
    let fix = "The proxy takes the headers If-Match and If-None-Match away: clients would overwrite each other's changes. Let them pass.";
    let seen = format!(
        "PUT that must not replace anything is {}.",
        put.status.as_u16()
    );
    found.record_check(
        "conditions",
        put.status == 412,
        "Clients can ask not to overwrite a change.",
        FailedCheck::new(seen, fix),
    );
    Ok(())
}

async fn copy_and_move(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
    let to = client.url("copy.txt");
    let copied = client
        .ask(
            "COPY",
            "plain.txt",
            &[("destination", &to)],
            ProbeBody::nothing(),
        )
        .await?;
    let fix = match copied.status.as_u16() {
        400 | 403 | 502 => {
            "The server does not know itself by the name and scheme that clients use: let the proxy pass Host and X-Forwarded-Proto, name it in \
             server.trusted_proxies, or set server.public_url."
        }
        _ => ALL_METHODS,
    };
    let seen = format!("COPY to {to} is {}.", copied.status.as_u16());
    if !found.record_check(
        "copy",
        copied.status == 201,
        "A file is copied.",
        FailedCheck::new(seen, fix),
    ) {
        return Ok(());
    }
    let kept = [("destination", to.as_str()), ("overwrite", "F")];
    let again = client
        .ask("COPY", "plain.txt", &kept, ProbeBody::nothing())
        .await?;
    let fix = "The proxy takes the header Overwrite away: what clients mean to keep is replaced. Let it pass.";
    let seen = format!(
        "COPY that must not replace anything is {}.",
        again.status.as_u16()
    );
    found.record_check(
        "overwrite",
        again.status == 412,
        "Overwrite is heeded.",
        FailedCheck::new(seen, fix),
    );
    let moved = client
        .ask(
            "MOVE",
            "copy.txt",
            &[("destination", &client.url("moved.txt"))],
            ProbeBody::nothing(),
        )
        .await?;
    found.record_check(
        "move",
        moved.status == 201,
        "A file is moved.",
        FailedCheck::new(format!("MOVE is {}.", moved.status.as_u16()), ALL_METHODS),
    );
    Ok(())
}

async fn lock(
    client: &TestClient<'_>,
    left: &mut CleanupList,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
    let headers = [
        ("timeout", "Second-60"),
        ("content-type", "application/xml"),
    ];
    let locked = client
        .ask("LOCK", "plain.txt", &headers, ProbeBody::whole(LOCK))
        .await?;
    let token = locked.header("lock-token").map(str::to_owned);
    let seen = format!(
        "LOCK is {}, and gives {}.",
        locked.status.as_u16(),
        if token.is_some() {
            "a token"
        } else {
            "no token"
        }
    );
    let fix = "Finder mounts a drive without locks read-only, and Office opens files so. Let the proxy pass LOCK, UNLOCK and the header Lock-Token.";
    if !found.record_check(
        "lock",
        locked.status == 200 && token.is_some(),
        "A file is locked.",
        FailedCheck::new(seen, fix),
    ) {
        return Ok(());
    }
    let token = left.lock.insert(token.unwrap_or_default()).clone();
    let condition = format!("({token})");
    let put = client
        .ask(
            "PUT",
            "plain.txt",
            &[("if", &condition)],
            ProbeBody::whole(CONTENT),
        )
        .await?;
    let seen = format!("PUT with the lock's token is {}.", put.status.as_u16());
    let fix =
        "The proxy takes the header If away: who has locked a file cannot save it. Let it pass.";
    found.record_check(
        "lock-token",
        put.status == 204,
        "Who has locked a file can save it.",
        FailedCheck::new(seen, fix),
    );
    let unlocked = client
        .ask(
            "UNLOCK",
            "plain.txt",
            &[("lock-token", &token)],
            ProbeBody::nothing(),
        )
        .await?;
    let seen = format!("UNLOCK is {}.", unlocked.status.as_u16());
    if found.record_check(
        "unlock",
        unlocked.status == 204,
        "The lock is ended.",
        FailedCheck::new(seen, ALL_METHODS),
    ) {
        left.lock = None;
    }
    Ok(())
}

async fn properties(client: &TestClient<'_>, found: &mut CheckResults) -> Result<(), Unreachable> {
    let headers = [("content-type", "application/xml")];
    let changed = client
        .ask("PROPPATCH", "plain.txt", &headers, ProbeBody::whole(PATCH))
        .await?;
    let seen = format!("PROPPATCH is {}.", changed.status.as_u16());
    found.record_check(
        "properties",
        changed.status == 207,
        "Properties are kept.",
        FailedCheck::new(seen, ALL_METHODS),
    );
    Ok(())
}

async fn chunks(client: &TestClient<'_>, found: &mut CheckResults) -> Result<(), Unreachable> {
    let parts = vec!["Finder sends ", "files in chunks ", "of unknown number."];
    let wanted = parts.concat();
    let stored = client
        .ask("PUT", "chunks.txt", &[], ProbeBody::in_chunks(parts))
        .await?;
    let read = client
        .ask("GET", "chunks.txt", &[], ProbeBody::nothing())
        .await?;
    let is_whole = stored.status == 201 && read.body == wanted.as_bytes();
    let seen = format!(
        "PUT in chunks is {}, and {} of {} bytes are there.",
        stored.status.as_u16(),
        read.body.len(),
        wanted.len()
    );
    let fix = "The proxy refuses or drops bodies in chunks, as Finder sends them: nginx needs proxy_http_version 1.1.";
    found.record_check(
        "chunks",
        is_whole,
        "Bodies in chunks come whole.",
        FailedCheck::new(seen, fix),
    );
    Ok(())
}

/// Asks whether large bodies may come, and sends none of them.
async fn sizes(client: &TestClient<'_>, found: &mut CheckResults) -> Result<(), Unreachable> {
    let mut most = "nothing";
    for (len, name) in SIZES {
        let target = format!("{}large.bin", client.folder);
        match client
            .server
            .may_send(&target, &client.sign_in, len)
            .await?
        {
            Some(100) => most = name,
            Some(413) => {
                let seen = format!("Files of {name} are refused with 413, of {most} taken.");
                let fix = "The proxy limits bodies: nginx: client_max_body_size 0; Apache: LimitRequestBody 0. Where that cannot be changed \
                           (Cloudflare: 100 MB), the web app and clients with resumable uploads send large files in parts.";
                found.fail("body-size", seen, fix);
                return Ok(());
            }
            Some(507) => {
                found.fine(
                    "body-size",
                    format!("Files of {most} are taken; {name} would not fit into the quota."),
                );
                return Ok(());
            }
            Some(status) => {
                let seen = format!(
                    "The question whether a file of {name} may come is answered with {status}."
                );
                let fix = "Look into the logs of the proxy and the server for this moment: clients ask by Expect: 100-continue before they \
                           send large files.";
                found.fail("body-size", seen, fix);
                return Ok(());
            }
            // Who does not answer before the body comes reads it first.
            None => {
                let seen =
                    format!("It is not said whether a file of {name} may come before it has come.");
                let fix = "The proxy keeps bodies until they are whole: nginx: proxy_request_buffering off.";
                found.warn("body-size", seen, fix);
                return Ok(());
            }
        }
    }
    found.fine("body-size", format!("Files of {most} are taken."));
    Ok(())
}
