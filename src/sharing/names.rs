//! Names made unique by a suffix: `name (2).txt`.

use crate::model::VPath;
use std::collections::{HashMap, HashSet};

/// Names that are unique in a folder, without regard to case. Others choose what is asked for, and how often: each name costs about the same.
#[derive(Default)]
pub struct UniqueNames {
    /// In lower case.
    taken: HashSet<String>,
    /// The first number that may be free, for each name.
    next: HashMap<String, usize>,
    /// The same for names of no share.
    next_other: usize,
}

impl UniqueNames {
    /// With these taken.
    pub fn without<'a>(taken: impl Iterator<Item = &'a str>) -> Self {
        Self {
            taken: taken.map(str::to_lowercase).collect(),
            ..Self::default()
        }
    }

    /// This name, or with a number after it; another name where that has no room for a number.
    pub fn assign(&mut self, folder: &VPath, name: &str, other: &str) -> String {
        let next = self.next.entry(name.to_lowercase()).or_default();
        let numbered = |number| {
            let at = folder.join(&numbered(name, number)).ok()?.to_nfc();
            Some((number, at.name()?.to_owned()))
        };
        let is_free = |name: &str| !self.taken.contains(&name.to_lowercase());
        let mut free = (*next..=self.taken.len()).map_while(numbered);
        let given = if let Some((number, given)) = free.find(|(_, given)| is_free(given)) {
            *next = number + 1;
            given
        } else {
            let mut number = self.next_other.max(self.taken.len());
            while !is_free(&format!("{other} {number}")) {
                number += 1;
            }
            self.next_other = number + 1;
            format!("{other} {number}")
        };
        self.taken.insert(given.to_lowercase());
        given
    }
}

/// What is the same for names that are one name without regard to case and to how Unicode writes them.
pub fn folded(name: &str) -> String {
    let name = VPath::from_stored(name.to_owned());
    name.to_nfc().as_str().to_lowercase()
}

/// The name itself for 0, `name (number).txt` for others.
pub fn numbered(name: &str, number: usize) -> String {
    if number == 0 {
        name.to_owned()
    } else {
        with_suffix(name, &number.to_string())
    }
}

/// `name (suffix)`, and before the ending of a file: `name (suffix).txt`. Both spellings of a name have the same ending.
pub fn with_suffix(name: &str, suffix: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= 8 && ending.is_ascii() => {
            format!("{stem} ({suffix}).{ending}")
        }
        _ => format!("{name} ({suffix})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(names: &[&str]) -> Vec<String> {
        let folder = VPath::parse("in").unwrap();
        let mut all = UniqueNames::default();
        names
            .iter()
            .map(|name| all.assign(&folder, name, "Shared"))
            .collect()
    }

    #[test]
    fn every_name_is_given_once() {
        assert_eq!(
            given(&["a", "b", "A", "a.txt", "a.txt", "a"]),
            ["a", "b", "A (1)", "a.txt", "a (1).txt", "a (2)"]
        );
        assert_eq!(
            given(&["a (1)", "a", "a", "a (1)"]),
            ["a (1)", "a", "a (2)", "a (1) (1)"]
        );
        let long = "x".repeat(255);
        assert_eq!(given(&[&long, &long]), [long.as_str(), "Shared 1"]);
        assert_eq!(
            given(&["Shared 2", &long, &long]),
            ["Shared 2", long.as_str(), "Shared 3"]
        );
    }

    /// Trying each number for each of them would take minutes.
    #[test]
    fn many_equal_names_are_given_at_once() {
        let long = "y".repeat(255);
        let same = "same".to_owned();
        let names: Vec<_> = (0..20_000)
            .map(|n| {
                if n % 2 == 0 {
                    same.as_str()
                } else {
                    long.as_str()
                }
            })
            .collect();
        let all: HashSet<_> = given(&names).into_iter().collect();
        assert_eq!(all.len(), names.len());
    }
}
