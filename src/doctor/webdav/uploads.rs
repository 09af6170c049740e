//! Bodies in chunks, and how large a body may be.

use super::TestClient;
use crate::doctor::connection::ProbeBody;
use crate::doctor::{CheckResults, FailedCheck, Unreachable};

/// Sizes at which proxies are known to cut bodies off, and what that means.
const SIZES: [(u64, &str); 5] = [
    (2 << 20, "2 MiB"),
    (20 << 20, "20 MiB"),
    (101 << 20, "101 MiB"),
    (2 << 30, "2 GiB"),
    (10 << 30, "10 GiB"),
];

pub(super) async fn chunks(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
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
pub(super) async fn sizes(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
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
