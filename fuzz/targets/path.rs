//! The path of a URL: what is accepted never leads out, is within bounds and reads back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use sarang::http::href::PREFIX;
use sarang::model::RelPath;
use sarang_fuzz::check_path;

fuzz_target!(|url: &str| {
    let read =
        RelPath::from_url(url, "").map(|path| path.expect("everything lies beneath nothing"));
    if let Ok(path) = &read {
        check_path(path);
        assert_eq!(
            path.names().collect::<Vec<_>>(),
            resolve(url).expect("an accepted path never climbs above the root")
        );
    }
    if let Ok(Some(path)) = RelPath::from_url(url, PREFIX) {
        check_path(&path);
        let whole = resolve(url).expect("an accepted path never climbs above the root");
        assert_eq!(
            whole.join("/"),
            format!("{PREFIX}/{path}").trim_matches('/')
        );
    }
    if let Ok(path) = RelPath::parse(url) {
        check_path(&path);
        assert!(!url.split('/').any(|name| name == ".."));
    }
});

/// The names that a URL path comes down to, as plainly as RFC 3986 section 5.2.4 says it; `None` above the root.
fn resolve(url: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for segment in url.split('/') {
        match percent_decode_str(segment).decode_utf8().ok()?.into_owned() {
            name if name.is_empty() || name == "." => {}
            name if name == ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    Some(names)
}
