//! tests/rows.md says for each client requirement what shows it; what it says is true.

use crate::traces;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const ROWS: usize = 130;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What shows each row, as written in the last column.
fn rows() -> BTreeMap<usize, String> {
    let text = fs::read_to_string(root().join("tests/rows.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let Some(number) = line
            .split('|')
            .nth(1)
            .and_then(|cell| cell.trim().parse().ok())
        else {
            continue;
        };
        let shown = line
            .trim_end_matches('|')
            .rsplit('|')
            .next()
            .unwrap()
            .trim()
            .to_owned();
        assert!(
            rows.insert(number, shown).is_none(),
            "row {number} stands twice"
        );
    }
    rows
}

#[test]
fn every_row_stands_in_the_table() {
    assert_eq!(
        rows().into_keys().collect::<Vec<_>>(),
        (1..=ROWS).collect::<Vec<_>>()
    );
}

#[test]
fn what_the_table_names_exists() {
    let steps: Vec<String> = traces::all()
        .iter()
        .flat_map(|trace| {
            trace
                .steps()
                .iter()
                .map(|step| format!("{}: {}", trace.name, step["id"].as_str().unwrap()))
        })
        .collect();
    for (number, shown) in rows() {
        for proof in shown.split("; ") {
            let (kind, name) = proof.split_once([' ', ':']).unwrap_or((proof, ""));
            let found = match kind {
                "trace" => steps.iter().any(|step| step == name),
                "test" => is_test(name),
                "client" => root().join(format!("tests/clients/{name}.sh")).exists(),
                "none" => name.split_whitespace().count() > 4 && shown == format!("none:{name}"),
                _ => false,
            };
            assert!(
                found || shown.starts_with("none: "),
                "row {number}: nothing is named `{proof}`"
            );
        }
    }
}

#[test]
fn every_row_test_stands_in_the_table() {
    let table = fs::read_to_string(root().join("tests/rows.md")).unwrap();
    for entry in fs::read_dir(root().join("tests/suite/rows")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some(name) = line
                .strip_prefix("fn row_")
                .and_then(|rest| rest.split('(').next())
            else {
                continue;
            };
            let number: usize = name[..3].parse().expect("row_NNN_…");
            let full = format!("test rows::{module}::row_{name}");
            assert!(
                rows()[&number].contains(&full),
                "row {number} does not name {full}"
            );
        }
    }
    assert!(table.contains("test rows::"));
}

/// Whether `module::name` is a test of this suite.
fn is_test(path: &str) -> bool {
    let (module, name) = path.rsplit_once("::").expect("module::test");
    let file: PathBuf = root()
        .join("tests/suite")
        .join(format!("{}.rs", module.replace("::", "/")));
    fs::read_to_string(file).is_ok_and(|source| source.contains(&format!("#[test]\nfn {name}()")))
}
