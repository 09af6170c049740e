//! What several fuzz targets share: the server they stand for, and what must hold for every path that was accepted.

pub mod script;

use http::{HeaderMap, HeaderName, HeaderValue};
use sarang::http::dav::server_origin::ServerOrigin;
use sarang::http::href::{PREFIX, encode};
use sarang::model::names::{is_balanced, is_reserved};
use sarang::model::{RelPath, VPath};

/// The server that requests are sent to.
pub const HOST: &str = "nest.example:8080";

/// What counts as this server.
pub const ORIGIN: ServerOrigin<'static> = ServerOrigin {
    host: HOST,
    also: &[],
    prefix: PREFIX,
    path_prefix: "",
};

/// The address of a path.
pub fn address(path: &VPath) -> String {
    String::from_utf8(encode(PREFIX, path, false)).expect("addresses are ASCII")
}

/// Asserts all that the rest of the server relies on in a path.
pub fn check_path(path: &VPath) {
    let text = path.as_str();
    assert!(text.len() <= 4096 + 512, "at most 4096 bytes below a mount");
    assert!(
        path.names().count() <= 128 + 2,
        "at most 128 levels below a mount"
    );
    assert_eq!(
        path.names().collect::<Vec<_>>().join("/"),
        text,
        "no empty names"
    );
    for name in path.names() {
        assert!(name != "." && name != ".." && name.len() <= 255, "{name:?}");
        assert!(
            !name.contains('\0') && !name.chars().any(char::is_control),
            "{name:?}"
        );
        assert!(
            !is_reserved(name) && !name.eq_ignore_ascii_case(".sarang"),
            "{name:?}"
        );
        assert!(
            is_balanced(name) && !name.contains(['\u{202d}', '\u{202e}']),
            "{name:?}"
        );
    }
    assert_eq!(
        RelPath::parse(text).ok().as_ref(),
        Some(path),
        "reads back from its text"
    );
    let href = address(path);
    assert!(
        href.bytes().all(|b| b.is_ascii_graphic()) && !href.contains(['<', '>', '&', '"', '\'']),
        "{href}"
    );
    let read = RelPath::from_url(&href, PREFIX).ok().flatten();
    assert_eq!(
        read.as_ref(),
        Some(path),
        "reads back from its address {href}"
    );
    check_relations(path);
}

fn check_relations(path: &VPath) {
    let Some((parent, name)) = path.parent().zip(path.name()) else {
        assert!(path.is_root());
        return;
    };
    assert!(path.is_within(&parent) && !parent.is_within(path));
    assert_eq!(parent.join(name).ok().as_ref(), Some(path));
    assert_eq!(path.to_nfc().to_nfc(), path.to_nfc());
}

/// Header lines, `name: value`; what HTTP itself does not allow is left out.
pub fn header_lines(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|&b| b == b'\n') {
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_bytes(value[1..].trim_ascii()),
        ) {
            headers.append(name, value);
        }
    }
    headers
}
