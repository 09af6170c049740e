//! Scripts and style sheets made smaller: without indentation, comments and types.

use super::media_type;

/// A script or style sheet without indentation and the comments that have lines of their own, a script without types, too; its lines
/// keep their numbers, unless empty ones are left out. A text that goes on over several lines would lose its indentation, so that a test refuses one.
pub(super) fn trimmed(name: &str, data: &[u8], without_empty: bool) -> Vec<u8> {
    let is_code = ["text/javascript", "text/css"]
        .iter()
        .any(|kind| media_type(name).starts_with(kind));
    let Some(text) = std::str::from_utf8(data).ok().filter(|_| is_code) else {
        return data.to_owned();
    };
    let mut inside = false;
    let lines = text.lines().map(|line| {
        let start = line.trim_start();
        let begins = start.starts_with("/**") || start.starts_with("/* ");
        // A type before code on the same line is taken out of it.
        let is_comment = inside
            || start.starts_with("//")
            || begins && (!start.contains("*/") || start.trim_end().ends_with("*/"));
        inside = (inside || begins) && !start.contains("*/");
        if is_comment {
            String::new()
        } else {
            without_types(start)
        }
    });
    lines
        .filter(|line| !without_empty || !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
        .into_bytes()
}

/// A line of a script without the types in it.
fn without_types(line: &str) -> String {
    let mut left = String::new();
    let mut rest = line;
    while let Some((before, (_, after))) = rest
        .split_once("/** @")
        .and_then(|(before, after)| Some((before, after.split_once("*/")?)))
    {
        left.push_str(before);
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    left + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_here_and_lines_keep_their_numbers() {
        let sent = |text: &str| String::from_utf8(trimmed("a.js", text.as_bytes(), false)).unwrap();
        assert_eq!(
            sent("// a\nlet b = '//c' // d\n/** e\n f */\n  /** g */ h()\n/** i */\nj()"),
            "\nlet b = '//c' // d\n\n\n/** g */ h()\n\nj()"
        );
        assert_eq!(
            sent("let a = (/** @type {X} */ b, /** @type {Y} */ (c)) // d"),
            "let a = (b, (c)) // d"
        );
        assert_eq!(sent("'/** @'"), "'/** @'");
        assert_eq!(
            trimmed(
                "a.css",
                b"/* a */\n@media x {\n  b { c: d } /* e */\n}",
                false
            ),
            b"\n@media x {\nb { c: d } /* e */\n}"
        );
        assert_eq!(trimmed("a.json", b"  /* a */\n\n", true), b"  /* a */\n\n");
        assert_eq!(
            trimmed("a.js", b"// a\nb()\n\n/** c */\n\n  d()", true),
            b"b()\nd()"
        );
    }
}
