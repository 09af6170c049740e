//! The `Destination` header: never out of the drive, never on another server, and every spelling of a path reads the same.

#![no_main]

use http::{HeaderMap, HeaderValue, Uri};
use libfuzzer_sys::fuzz_target;
use sarang::http::dav::headers::destination;
use sarang::model::VPath;
use sarang_fuzz::{HOST, ORIGIN, address, check_path};

fuzz_target!(|data: &[u8]| {
    let Some(Some(path)) = read(data) else { return };
    check_path(&path);
    if let Ok(uri) = Uri::try_from(data.trim_ascii())
        && let Some(host) = uri.host()
    {
        assert!(
            HOST.starts_with(&format!("{}:", host.to_ascii_lowercase())),
            "{host} is another server"
        );
    }
    let href = address(&path);
    for spelling in [
        href.clone(),
        format!("http://{HOST}{href}"),
        format!("HTTPS://me@NEST.example{href}/"),
    ] {
        assert_eq!(
            read(spelling.as_bytes()),
            Some(Some(path.clone())),
            "{spelling}"
        );
    }
    assert_eq!(
        read(format!("{href}?q").as_bytes()),
        None,
        "a query is refused"
    );
    for foreign in [
        format!("http://evil.example{href}"),
        format!("http://{HOST}@evil.example{href}"),
        format!("/other{href}"),
    ] {
        assert!(
            !matches!(read(foreign.as_bytes()), Some(Some(_))),
            "{foreign}"
        );
    }
});

/// The destination; `None` when refused, `Some(None)` when it lies elsewhere.
fn read(value: &[u8]) -> Option<Option<VPath>> {
    let value = HeaderValue::from_bytes(value).ok()?;
    destination(
        &HeaderMap::from_iter([(http::HeaderName::from_static("destination"), value)]),
        ORIGIN,
    )
    .ok()
}
