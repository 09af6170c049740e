//! Copying, moving, locking and properties.

use super::{ALL_METHODS, CONTENT, CleanupList, TestClient};
use crate::doctor::connection::ProbeBody;
use crate::doctor::{CheckResults, FailedCheck, Unreachable};

const LOCK: &str = "<?xml version=\"1.0\"?><D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockinfo>";
const PATCH: &str = "<?xml version=\"1.0\"?><D:propertyupdate xmlns:D=\"DAV:\"><D:set><D:prop><x xmlns=\"urn:doctor\">1</x>\
    </D:prop></D:set></D:propertyupdate>";

pub(super) async fn copy_and_move(
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

pub(super) async fn lock(
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
    save_and_unlock(client, &token, left, found).await
}

/// Whether who has locked a file can save it, and end the lock.
async fn save_and_unlock(
    client: &TestClient<'_>,
    token: &str,
    left: &mut CleanupList,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
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
            &[("lock-token", token)],
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

pub(super) async fn properties(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
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
