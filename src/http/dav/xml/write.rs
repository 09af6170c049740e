//! XML written into answers: text and empty elements.

use super::names::is_xml_char;

/// Writes text with what XML reserves escaped; characters that XML cannot hold become U+FFFD.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    if !text
        .bytes()
        .any(|b| matches!(b, b'<' | b'>' | b'&' | b'"' | 0..=0x1f | 0xef))
    {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for c in text.chars() {
        match c {
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '&' => out.extend_from_slice(b"&amp;"),
            '"' => out.extend_from_slice(b"&quot;"),
            c if is_xml_char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => out.extend_from_slice("\u{fffd}".as_bytes()),
        }
    }
}

/// Writes a property's name as an empty element.
pub fn write_empty(out: &mut Vec<u8>, ns: &str, local: &str) {
    if ns == "DAV:" {
        out.extend_from_slice(b"<D:");
        out.extend_from_slice(local.as_bytes());
    } else {
        out.push(b'<');
        out.extend_from_slice(local.as_bytes());
        out.extend_from_slice(b" xmlns=\"");
        write_text(out, ns);
        out.push(b'"');
    }
    out.extend_from_slice(b"/>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_names_are_written_right() {
        let mut out = Vec::new();
        write_text(&mut out, "a<b>&\"\u{1}\u{ffff}é\u{feff}");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a&lt;b&gt;&amp;&quot;\u{fffd}\u{fffd}é\u{feff}"
        );
        let mut out = Vec::new();
        write_empty(&mut out, "a&\"b", "x");
        write_empty(&mut out, "", "y");
        write_empty(&mut out, "DAV:", "z");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<x xmlns=\"a&amp;&quot;b\"/><y xmlns=\"\"/><D:z/>"
        );
    }
}
