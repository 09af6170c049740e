//! No ring inside a room: modules of one folder import each other in one direction only. A folder counts as one module of the folder
//! above it, and what a module says of its own children, or they of it, is no ring.

use super::source::{Source, sources};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// The paths that each module names, by module.
struct House {
    /// The module's `use` declarations, each as one path and the name that it gets.
    uses: BTreeMap<String, Vec<(String, String)>>,
    /// Paths named in the code itself.
    paths: BTreeMap<String, Vec<String>>,
}

impl House {
    fn new(sources: &[Source]) -> Self {
        let declaration = Regex::new(r"\buse ([^;]+);").unwrap();
        let path = Regex::new(r"\b(?:[a-z_]\w*::)+\w+").unwrap();
        let (mut uses, mut paths) = (BTreeMap::new(), BTreeMap::new());
        for source in sources.iter().filter(|source| !source.test_only) {
            let found = declaration.captures_iter(&source.own);
            let found = found.flat_map(|found| expand(&found[1])).collect();
            uses.insert(source.module.clone(), found);
            let rest = declaration.replace_all(&source.own, "");
            let found = path.find_iter(&rest).map(|found| found.as_str().into());
            paths.insert(source.module.clone(), found.collect());
        }
        Self { uses, paths }
    }

    /// The module in which the thing is defined that `path` names in `module`; what another module only passes on is not its own.
    fn defined_in(&self, module: &str, path: &str, hops: u8) -> Option<String> {
        let mut at: Vec<&str> = match module {
            "lib" | "main" => Vec::new(),
            other => other.split('/').collect(),
        };
        let mut parts = path.split("::").peekable();
        match *parts.peek()? {
            "crate" => at.clear(),
            "self" | "super" => {}
            first => {
                at.push(first);
                let child = self.uses.contains_key(&at.join("/"));
                at.pop();
                child.then_some(())?;
            }
        }
        while let Some(step) = parts.next_if(|part| ["crate", "self", "super"].contains(part)) {
            if step == "super" {
                at.pop();
            }
        }
        while let Some(part) = parts.peek() {
            at.push(part);
            if !self.uses.contains_key(&at.join("/")) {
                at.pop();
                break;
            }
            parts.next();
        }
        let found = at.join("/");
        let passed_on = parts.peek().filter(|_| hops > 0).and_then(|name| {
            let (path, _) = self.uses.get(&found)?.iter().find(|(_, own)| own == name)?;
            self.defined_in(&found, path, hops - 1)
        });
        passed_on.or(Some(found)).filter(|found| !found.is_empty())
    }

    /// For each folder which of its modules import which.
    fn imports(&self) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
        let mut folders: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (module, uses) in &self.uses {
            let named = uses.iter().map(|(path, _)| path).chain(&self.paths[module]);
            for other in named.filter_map(|path| self.defined_in(module, path, 4)) {
                let (own, other): (Vec<_>, Vec<_>) =
                    (module.split('/').collect(), other.split('/').collect());
                let same = own.iter().zip(&other).take_while(|(a, b)| a == b).count();
                if let (Some(from), Some(to)) = (own.get(same), other.get(same)) {
                    let folder = folders.entry(own[..same].join("/")).or_default();
                    let found = folder.entry((*from).to_owned()).or_default();
                    found.insert((*to).to_owned());
                }
            }
        }
        folders
    }
}

/// The paths of a `use` declaration, each with the name that it gets here.
fn expand(tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let (path, name) = match tree.split_once(" as ") {
            Some((path, name)) => (path.trim(), name.trim()),
            None => (tree, tree.rsplit("::").next().unwrap()),
        };
        return vec![(path.to_owned(), name.to_owned())];
    };
    let inner = &rest[..rest.rfind('}').unwrap()];
    let mut depth = 0;
    let members = inner.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    let members = members.filter(|member| !member.trim().is_empty());
    members
        .flat_map(|member| expand(&format!("{}{}", head.trim(), member.trim())))
        .collect()
}

/// Everything that can be reached from `from`.
fn reached<'a>(
    graph: &'a BTreeMap<String, BTreeSet<String>>,
    from: &str,
    seen: &mut BTreeSet<&'a str>,
) {
    for next in graph.get(from).into_iter().flatten() {
        if seen.insert(next) {
            reached(graph, next, seen);
        }
    }
}

/// The rings of one folder: modules that reach themselves, with all that they reach and are reached by.
fn rings(graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<&str>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        reached(graph, from, &mut seen);
        seen
    };
    let in_a_ring = graph
        .keys()
        .filter(|module| reach(module).contains(module.as_str()));
    in_a_ring
        .map(|module| {
            let others = reach(module).into_iter();
            others
                .filter(|other| reach(other).contains(module.as_str()))
                .collect()
        })
        .collect()
}

#[test]
fn no_room_has_a_ring_inside() {
    let house = House::new(&sources());
    let mut found = Vec::new();
    for (folder, graph) in house.imports() {
        for ring in rings(&graph) {
            found.push(format!("{folder}: {}", ring.join(", ")));
        }
    }
    assert!(
        found.is_empty(),
        "modules that import each other in a ring: {found:#?}"
    );
}

#[test]
fn a_ring_is_seen() {
    let source = |module: &str, code: &str| Source {
        module: module.into(),
        code: String::new(),
        own: code.into(),
        lines: 0,
        test_only: false,
    };
    let sources = [
        source("room", "mod a; mod b; mod c; pub use b::B;"),
        source("room/a", "use super::{B, x::{Y as Z}};"),
        source(
            "room/b",
            "fn f() { super::c::g() } fn h() { crate::room::top() }",
        ),
        source("room/c", "use crate::room::a::A;"),
    ];
    let imports = House::new(&sources).imports();
    assert_eq!(
        rings(&imports["room"]),
        BTreeSet::from([vec!["a", "b", "c"]])
    );
    let open = House::new(&sources[..3]).imports();
    assert!(rings(&open["room"]).is_empty(), "{open:?}");
}
