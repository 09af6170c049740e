//! The pages of public links as HTML. Every name is text; every address is made of escapes.

use super::address::{address, encoded};
use crate::http::api::bulk::ItemResult;
use crate::http::api::files::{FolderPage, ResourceKind, Row};
use crate::http::html::{HtmlPage, escape, page_with, script};
use crate::http::media_type;
use crate::http::public::visitor::Visitor;
use crate::model::names::is_balanced;
use crate::model::{Rights, VPath, time};
use crate::storage::Node;
use std::borrow::Cow;
use std::fmt::Write;

/// The most rows of one page: anybody may ask for many at once, and read slowly.
pub const MAX_ROWS: usize = 1000;

/// The page of a link for uploads.
pub fn drop(visitor: &Visitor, results: Option<&[ItemResult]>) -> HtmlPage {
    let content = results.map(told).unwrap_or_default() + &upload_form(visitor, &VPath::root());
    shown(visitor.name(), &content)
}

/// A page that scripts make better: they know what is marked with `data-`.
fn shown(name: &str, content: &str) -> HtmlPage {
    page_with(&escape(name), content, &script("public.js"))
}

/// The page of a file.
pub fn file(visitor: &Visitor, path: &VPath, node: &Node) -> HtmlPage {
    let name = escape(visitor.name_at(path));
    let media = media_type::media_type(Some(visitor.name_at(path)), false);
    let mut content = up(visitor, path);
    // A picture in the page would use up a download.
    if media.starts_with("image/") && media_type::is_harmless(media) && !visitor.is_limited() {
        let source = address(&visitor.token, "/file", path, "");
        let _ = write!(
            content,
            "<p><img src=\"{source}\" alt=\"{name}\" width=\"100%\"></p>"
        );
    }
    let _ = write!(
        content,
        "<p>{}, {}</p><p>",
        marked_size(node.len),
        marked_time(node.modified)
    );
    if media_type::is_harmless(media) && !visitor.is_limited() {
        let _ = write!(
            content,
            "<a data-t=\"show\" href=\"{}\">Show</a> · ",
            address(&visitor.token, "/file", path, "")
        );
    }
    let _ = write!(
        content,
        "<a data-t=\"download\" href=\"{}\">Download</a></p>",
        address(&visitor.token, "/file", path, "&amp;save=true")
    );
    shown(visitor.name_at(path), &content)
}

/// A page of a folder.
pub fn folder(
    visitor: &Visitor,
    path: &VPath,
    rows: &FolderPage,
    results: Option<&[ItemResult]>,
) -> HtmlPage {
    let mut content = results.map(told).unwrap_or_default() + &up(visitor, path);
    content.push_str("<table><thead><tr><th data-t=\"name.file\">Name<th data-t=\"size\">Size<th data-t=\"modified\">Modified</thead><tbody>");
    for Row(name, kind, len, modified, _) in &rows.items {
        // Beyond the longest path nothing can be addressed.
        let Ok(path) = path.join(name) else { continue };
        let modified = marked_time(time::from_unix_seconds(modified.div_euclid(1000)));
        let (mark, size, file) = match kind {
            ResourceKind::Folder => ("/", String::new(), String::new()),
            ResourceKind::File => (
                "",
                marked_size(*len),
                format!(" data-file=\"{}\"", escape(name)),
            ),
        };
        // A preview would use up a download.
        let file = if visitor.is_limited() {
            String::new()
        } else {
            file
        };
        let _ = write!(
            content,
            "<tr><td><a href=\"{}\"{file}><bdi>{}</bdi>{mark}</a><td>{size}<td>{modified}",
            address(&visitor.token, "", &path, ""),
            escape(name)
        );
    }
    content.push_str("</tbody></table>");
    if let Some(Row(last, ..)) = rows.items.last().filter(|_| rows.next.is_some()) {
        let next = address(
            &visitor.token,
            "",
            path,
            &format!("&amp;after={}", encoded(last)),
        );
        let _ = write!(
            content,
            "<p><span data-t=\"public.more\">There is more than this page shows.</span> <a data-t=\"public.next\" href=\"{next}\">Next page</a></p>"
        );
    }
    let zip = address(&visitor.token, "/zip", path, "");
    let _ = write!(
        content,
        "<p><a data-t=\"public.zip\" href=\"{zip}\">Download all as a zip archive</a></p>"
    );
    if visitor.link.record.rights == Rights::Edit {
        content.push_str(&upload_form(visitor, path));
    }
    shown(visitor.name_at(path), &content)
}

/// Bytes for people, and for scripts, which know their language.
fn marked_size(bytes: u64) -> String {
    format!("<span data-size=\"{bytes}\">{}</span>", size(bytes))
}

/// A moment for people, and for scripts.
fn marked_time(at: std::time::SystemTime) -> String {
    format!(
        "<span data-time=\"{}\">{}</span>",
        time::unix_millis(at),
        time::iso_date(at)
    )
}

/// The way back to the folder above.
fn up(visitor: &Visitor, path: &VPath) -> String {
    path.parent().map_or_else(String::new, |above| {
        let name = escape(visitor.name_at(&above));
        format!(
            "<p><a href=\"{}\"><span data-t=\"public.up\">Up to</span> <bdi>{name}</bdi></a></p>",
            address(&visitor.token, "", &above, "")
        )
    })
}

fn upload_form(visitor: &Visitor, path: &VPath) -> String {
    format!(
        "<form method=\"post\" enctype=\"multipart/form-data\" action=\"{}\"><label>Files to upload\
         <input type=\"file\" name=\"file\" multiple required></label><button>Upload</button></form>",
        address(&visitor.token, "/upload", path, "")
    )
}

/// What became of an upload. A name that was refused may be one that would turn the sentence round.
fn told(results: &[ItemResult]) -> String {
    let mut list = String::from("<ul>");
    for result in results {
        let name = escape(&harmless(&result.path));
        let _ = match &result.detail {
            None => write!(list, "<li>{name}: uploaded"),
            Some(detail) => write!(list, "<li class=\"wrong\">{name}: {}", escape(detail)),
        };
    }
    list + "</ul>"
}

/// A name as a sentence can hold it (UAX #9, section 2).
fn harmless(name: &str) -> Cow<'_, str> {
    if is_balanced(name) {
        return name.into();
    }
    name.replace(
        |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2029}' | '\u{2066}'..='\u{2069}'),
        "\u{fffd}",
    )
    .into()
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut whole = bytes;
    let mut tenths = 0;
    let mut unit = "bytes";
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        (whole, tenths, unit) = (whole / 1024, whole % 1024 * 10 / 1024, next);
    }
    if unit == "bytes" {
        format!("{whole} bytes")
    } else {
        format!("{whole}.{tenths} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn addresses_hold_no_markup() {
        let path = VPath::parse("a\"><script>&'#?").unwrap();
        assert_eq!(
            address("t", "/file", &path, ""),
            "/s/t/file?path=a%22%3E%3Cscript%3E%26%27%23%3F"
        );
    }
}
