//! Reading files back: whole, in part, uncompressed, and with conditions.

use super::{CONTENT, TestClient};
use crate::doctor::connection::ProbeBody;
use crate::doctor::{CheckResults, FailedCheck, Unreachable};

/// Long enough that proxies compress it (nginx: `gzip_min_length`).
const PAGE_LEN: usize = 4 << 10;

pub(super) async fn read(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
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

pub(super) async fn conditions(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
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
