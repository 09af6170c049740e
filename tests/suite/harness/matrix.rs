//! What the tables of who may do what share: every method as a client sends it, and what lies in a folder.

use super::{Client, LOCK_BODY, Reply, propfind_body};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Sends a method to `target`, in a drive at `base` that holds `own.txt`; `COPY to` and `MOVE to` bring that to the target.
pub fn ask(client: &Client, base: &str, method: &str, target: &str) -> Reply {
    let request = |method: &str| client.raw(method, target);
    let at = |path: &str| format!("http://{}{path}", client.host());
    let through = |method: &str| {
        client
            .raw(method, &format!("{base}/own.txt"))
            .header("Destination", at(target))
            .send()
    };
    match method {
        "PUT" | "POST" => request(method).body("new").send(),
        "PATCH" => request(method)
            .header("Content-Type", "application/x-sabredav-partialupdate")
            .header("X-Update-Range", "append")
            .body("new")
            .send(),
        "PROPFIND" => request(method).header("Depth", "1").xml(propfind_body("<D:displayname/>")).send(),
        "PROPPATCH" => request(method)
            .xml(r#"<D:propertyupdate xmlns:D="DAV:" xmlns:x="x:"><D:set><D:prop><x:a>1</x:a></D:prop></D:set></D:propertyupdate>"#)
            .send(),
        "COPY" | "MOVE" => request(method).header("Destination", at(&format!("{base}/fresh"))).send(),
        "COPY to" => through("COPY"),
        "MOVE to" => through("MOVE"),
        "LOCK" => request(method).header("Depth", "0").xml(LOCK_BODY).send(),
        "UNLOCK" => {
            request(method).header("Lock-Token", "<urn:uuid:00000000-0000-4000-8000-000000000000>").send()
        }
        method => request(method).send(),
    }
}

/// What lies in a folder, by path, without the folders called `skipped`.
pub fn contents(dir: &Path, skipped: Option<&str>) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if skipped.is_some_and(|skipped| entry.file_name() == skipped) {
                continue;
            }
            let content = if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
                Vec::new()
            } else {
                fs::read(entry.path()).unwrap()
            };
            found.insert(
                entry
                    .path()
                    .strip_prefix(dir)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
                content,
            );
        }
    }
    found
}

/// Removes what lies in a folder, but what the server keeps for itself.
pub fn clear(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
        match entry.file_name().to_str() {
            Some(".sarang") => {}
            _ if entry.file_type().unwrap().is_dir() => fs::remove_dir_all(entry.path()).unwrap(),
            _ => fs::remove_file(entry.path()).unwrap(),
        }
    }
}
