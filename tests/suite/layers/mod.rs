//! The house stays the house: what each module may import, which crates stay private to which rooms, how long a file grows.

mod rings;
mod source;
mod words;

use regex::Regex;
use source::{Source, imports, root, sources, strip, walk, without_tests};
use std::collections::BTreeSet;
use std::fs;

/// The layers, bottom first; a module imports only from layers before its own, never from its neighbours.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["config", "metrics"],
    &["log", "audit", "http_client", "failures"],
    &["state", "storage"],
    &["auth", "sharing"],
    &["drive"],
    &["setup", "links", "openid", "uploads", "certs"],
    &["app"],
    &["admin", "backup", "check"],
    &["jobs", "observe", "http"],
    &["server", "control", "doctor"],
    &["cli"],
    &["main"],
];

/// Crates (or paths of the standard library), the rooms that may name them, and why.
const PRIVATE: &[(&str, &[&str], &str)] = &[
    ("dav_server", &["http"], "one place speaks WebDAV"),
    (
        "hyper",
        &["http", "server", "control", "doctor"],
        "one place speaks HTTP; the server accepts connections for it, and the control socket its own",
    ),
    (
        "hyper_util",
        &["http", "server", "control", "http_client", "doctor"],
        "as hyper; others are asked with its client",
    ),
    (
        "hyper_rustls",
        &["http_client", "doctor"],
        "one place calls out, and the doctor as clients do",
    ),
    (
        "tokio_rustls",
        &["server", "http_client", "doctor"],
        "one place accepts connections, one calls out, and the doctor as clients do",
    ),
    ("listenfd", &["server"], "as tokio_rustls"),
    ("instant_acme", &["certs/acme"], "one place speaks ACME"),
    (
        "x509_parser",
        &["server", "certs"],
        "as tokio_rustls; who issues certificates reads those before",
    ),
    ("rcgen", &["certs"], "one place issues certificates"),
    (
        "openidconnect",
        &["openid"],
        "one place speaks to the provider",
    ),
    ("axum", &["http", "server"], "one place speaks HTTP"),
    ("headers", &["http", "server"], "one place speaks HTTP"),
    (
        "http_body_util",
        &[
            "http",
            "server",
            "control",
            "http_client",
            "doctor",
            "certs/acme",
        ],
        "one place speaks HTTP; answers to what we ask are bounded",
    ),
    (
        "sled",
        &["state/sled"],
        "the engine is an implementation of the seam",
    ),
    (
        "rustix",
        &[
            "storage/local/sys", // every system call on user paths
            "state",             // fsync of folders, free space
            "auth",              // random bytes
            "setup",             // random bytes
            "cli",               // the terminal's echo
            "server",            // socket options
            "certs",             // the name of the machine
        ],
        "system calls stay where they are named",
    ),
    (
        "landlock",
        &["cli/sandbox"],
        "one place confines the process",
    ),
    (
        "prometheus_client",
        &["observe"],
        "one place writes metrics",
    ),
    ("argon2", &["auth/password"], "one place hashes passwords"),
    (
        "std::env",
        &["config", "main", "state/sled/faults"],
        "one reader of the environment; main has arguments",
    ),
    (
        "std::process::Command",
        &["state/sled/faults"],
        "no hooks, no shell: only a test starts a process",
    ),
];

/// What is written for people is written here.
const PRINTING: &[&str] = &["main", "cli"];

const MAX_LINES: usize = 400;

fn layer(module: &str) -> Option<usize> {
    let top = module.split('/').next().unwrap();
    LAYERS.iter().position(|layer| layer.contains(&top))
}

#[test]
fn modules_import_only_what_stands_before_them() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        let own =
            layer(&source.module).unwrap_or_else(|| panic!("{} stands in no layer", source.module));
        let top = source.module.split('/').next().unwrap();
        for name in imports(source).iter().filter(|name| *name != top) {
            if layer(name).is_some_and(|other| other >= own) {
                wrong.push(format!("{} imports {name}", source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_tour_has_the_same_layers() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let lines = text.lines().skip_while(|line| !line.contains(" <- "));
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let told = lines.join(" ");
    let told: Vec<Vec<&str>> = told
        .split(" <- ")
        .map(|layer| {
            layer
                .split(", ")
                .map(|name| name.trim_matches('`'))
                .collect()
        })
        .collect();
    assert_eq!(
        told, LAYERS,
        "the layers as ARCHITECTURE.md tells them, and as they are"
    );
}

#[test]
fn private_crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, rooms, reason) in PRIVATE {
            let inside = rooms.iter().any(|room| {
                source.module == *room || source.module.starts_with(&format!("{room}/"))
            });
            if !inside && !source.test_only && names(&source.own, name) {
                wrong.push(format!("{} names {name}: {reason}", source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether code names a crate or path from the root, not as part of another path.
fn names(code: &str, name: &str) -> bool {
    if Regex::new(&format!(r"\bmod {name};"))
        .unwrap()
        .is_match(code)
    {
        return false; // a child module of that name
    }
    let uses = Regex::new(&format!(r"(^|[^\w:.])(?:::)?{name}(::|;| as )")).unwrap();
    uses.is_match(code)
}

#[test]
fn only_main_and_the_commands_print() {
    let print = Regex::new(r"\be?print(ln)?!|\bdbg!").unwrap();
    for source in sources().iter().filter(|source| !source.test_only) {
        let top = source.module.split('/').next().unwrap();
        assert!(
            PRINTING.contains(&top) || !print.is_match(&source.own),
            "{} prints",
            source.module
        );
    }
}

#[test]
fn files_stay_small_and_say_what_they_are_for() {
    for source in sources() {
        let len = source.lines;
        assert!(
            source.test_only || len <= MAX_LINES,
            "{} has {len} lines, more than {MAX_LINES}",
            source.module
        );
    }
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    walk(&root().join("tests/suite"), &mut paths);
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} does not say what it is for",
            path.display()
        );
    }
}

#[test]
fn the_tour_names_only_what_exists() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let tour = read("ARCHITECTURE.md");
    assert!(tour.lines().count() <= 200, "ARCHITECTURE.md is too long");
    let widest = tour.lines().map(|line| line.chars().count()).max();
    assert!(
        widest <= Some(160),
        "ARCHITECTURE.md has a line of {widest:?} characters"
    );
    let text = tour + &read("docs/design.md");
    let file = Regex::new(r"\b(?:src|tests|bench|fuzz|systemd)/[\w./-]*\w").unwrap();
    let mut count = 0;
    for found in file.find_iter(&text) {
        count += 1;
        assert!(
            root().join(found.as_str()).exists(),
            "ARCHITECTURE.md or docs/design.md names {}, which does not exist",
            found.as_str()
        );
    }
    assert!(count > 5, "the tour names {count} files");
}

#[test]
fn the_readme_names_every_command() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sarang"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let commands = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| {
            line.strip_prefix("  ")
                .filter(|rest| !rest.starts_with(' '))
                .and_then(|rest| rest.split_whitespace().next())
        })
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.contains(&"serve"), "{help}");
    for name in commands {
        assert!(
            readme.contains(&format!("sarang {name}")),
            "README.md does not name `sarang {name}`"
        );
    }
}

#[test]
fn the_checks_see_what_they_look_for() {
    let source = |module: &str, text: &str| Source {
        module: module.into(),
        code: strip(text),
        own: String::new(),
        lines: 0,
        test_only: false,
    };
    let found = imports(&source(
        "store",
        "use crate::{auth::{Auth, x}, model};\nfn f() { crate::drive::y() }",
    ));
    assert_eq!(
        found,
        BTreeSet::from(["auth".into(), "drive".into(), "model".into()])
    );
    assert_eq!(
        imports(&source(
            "auth/a",
            "use super::super::drive::D; use super::b;"
        )),
        BTreeSet::from(["drive".into()])
    );
    assert!(imports(&source("store", "// crate::auth\nlet s = \"crate::auth\";")).is_empty());
    assert!(
        names("use sled::Db;", "sled")
            && names("let x: sled::Db;", "sled")
            && names("use ::sled;", "sled")
    );
    assert!(!names("use crate::store::sled::Db; mod sled;", "sled::Db"));
    assert!(!names("use crate::http::reply;", "http"));
    assert!(names("std::env::var(x)", "std::env"));
    assert_eq!(
        without_tests("fn f() {}\n#[cfg(test)]\nmod tests {\n fn g() {} }"),
        "fn f() {}\n"
    );
}
