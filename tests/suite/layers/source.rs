//! The source files as the checks of the house read them: without comments and strings, and what each imports.

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A source file without its comments and strings.
pub struct Source {
    /// Its place, as `content/local/os`.
    pub module: String,
    pub code: String,
    /// The same without the tests at its end.
    pub own: String,
    pub lines: usize,
    /// Whether only tests compile it.
    pub test_only: bool,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    let texts: Vec<(String, String)> = paths
        .iter()
        .map(|path| (module_of(path), fs::read_to_string(path).unwrap()))
        .collect();
    let gated = Regex::new(r"#\[cfg\(test\)\]\s*(?:pub(?:\(\w+\))? )?mod (\w+);").unwrap();
    let behind_test: BTreeSet<String> = texts
        .iter()
        .flat_map(|(module, text)| {
            gated
                .captures_iter(text)
                .map(|found| format!("{}{}", prefix(module), &found[1]))
                .collect::<Vec<_>>()
        })
        .collect();
    let read = |(module, text): (String, String)| Source {
        test_only: behind_test
            .iter()
            .any(|test| module == *test || module.starts_with(&format!("{test}/"))),
        lines: text.lines().count(),
        code: strip(&text),
        own: without_tests(&strip(&text)),
        module,
    };
    texts.into_iter().map(read).collect()
}

/// Where the children of a module lie.
pub fn prefix(module: &str) -> String {
    if module == "lib" || module == "main" {
        String::new()
    } else {
        format!("{module}/")
    }
}

pub fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

pub fn module_of(path: &Path) -> String {
    let relative = path
        .strip_prefix(root().join("src"))
        .unwrap()
        .with_extension("");
    let text = relative.to_string_lossy().into_owned();
    text.strip_suffix("/mod").map(str::to_owned).unwrap_or(text)
}

/// Code without comments and the content of strings.
pub fn strip(text: &str) -> String {
    let noise =
        Regex::new(r##"(?s)//[^\n]*|/\*.*?\*/|b?r#".*?"#|b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\(?:.|x\w\w|u\{\w+\}))'"##)
            .unwrap();
    noise
        .replace_all(text, |found: &regex::Captures<'_>| {
            if found[0].starts_with('/') {
                ""
            } else {
                "\"\""
            }
        })
        .into_owned()
}

/// The code before the tests that close a file.
pub fn without_tests(code: &str) -> String {
    let tests = Regex::new(r"#\[cfg\(test\)\]\s*mod \w+ \{").unwrap();
    tests
        .find(code)
        .map_or(code, |found| &code[..found.start()])
        .to_owned()
}

/// The top-level modules that code imports through `crate::`, `sarang::`, or `super::` from the top.
pub fn imports(source: &Source) -> BTreeSet<String> {
    let path = Regex::new(r"\b(?:crate|sarang)::(?:(\w+)|\{)").unwrap();
    let mut found = BTreeSet::new();
    for captures in path.captures_iter(&source.code) {
        match captures.get(1) {
            Some(name) => _ = found.insert(name.as_str().to_owned()),
            None => found.extend(heads(&source.code[captures.get(0).unwrap().end()..])),
        }
    }
    let climbs = "super::".repeat(source.module.split('/').count());
    let above = Regex::new(&format!(r"\b{climbs}(\w+)")).unwrap();
    found.extend(
        above
            .captures_iter(&source.code)
            .map(|captures| captures[1].to_owned()),
    );
    found
}

/// The first names in a brace group, `a::b, c::{d, e}}` giving a and c.
fn heads(group: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let (mut depth, mut in_head) = (0, true);
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(String::new());
                in_head = true;
            }
            c if depth == 0 && in_head && (c.is_alphanumeric() || c == '_') => {
                names.last_mut().unwrap().push(c);
            }
            c if !c.is_whitespace() => in_head = false,
            _ => {}
        }
    }
    names
}
