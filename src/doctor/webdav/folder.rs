//! Signing in, making a folder, storing files in it and listing it.

use super::{ALL_METHODS, CONTENT, CleanupList, TestClient};
use crate::doctor::connection::ProbeBody;
use crate::doctor::{CheckResults, FailedCheck, Unreachable};

/// A name with a space, an encoded percent sign, a hash, a plus, and letters that are no ASCII.
const ODD: &str = "a%20b%25%23+%C3%A9%F0%9F%AA%BA.txt";

pub(super) async fn greet(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<bool, Unreachable> {
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

pub(super) async fn make_folder(
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

pub(super) async fn store(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<bool, Unreachable> {
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

pub(super) async fn list(
    client: &TestClient<'_>,
    found: &mut CheckResults,
) -> Result<(), Unreachable> {
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
