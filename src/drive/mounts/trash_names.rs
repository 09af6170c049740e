//! The names of trash items where a drive shows its trash. A shown name follows from the name in the trash, which ends with a stamp, and
//! leads back to it: neither a listing nor a lookup reads anything else.

use crate::model::{RelPath, Result};
use crate::sharing::names::with_suffix;
use crate::storage::{DirEntry, Listing};
use async_trait::async_trait;

/// Hexadecimal digits of a stamp.
const STAMP: usize = 16;

/// The listing of a trash.
pub(super) struct TrashListing(pub Box<dyn Listing>);

#[async_trait]
impl Listing for TrashListing {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        let page = self.0.next_page().await?;
        Ok(page
            .into_iter()
            .map(|entry| DirEntry {
                name: display_name(&entry.name),
                ..entry
            })
            .collect())
    }
}

/// The path in the trash that a path means where the trash is shown.
pub(super) fn stored_path(path: &RelPath) -> Result<RelPath> {
    let mut names = path.names();
    let Some(first) = names.next() else {
        return Ok(RelPath::root());
    };
    Ok(
        names.fold(RelPath::parse(&stored_name(first))?, |path, name| {
            path.child(name)
        }),
    )
}

/// `report.txt.18d2c5b1e0a4f993` shows as `report (18d2c5b1e0a4f993).txt`, which the right program opens.
fn display_name(id: &str) -> String {
    match id.rsplit_once('.') {
        Some((name, stamp)) if is_stamp(stamp) && !name.is_empty() => with_suffix(name, stamp),
        _ => id.to_owned(),
    }
}

/// What shows so is called so in the trash.
fn stored_name(name: &str) -> String {
    without_suffix(name)
        .filter(|id| display_name(id) == name)
        .unwrap_or_else(|| name.to_owned())
}

fn without_suffix(name: &str) -> Option<String> {
    if let Some((stem, stamp)) = split(name) {
        return Some(format!("{stem}.{stamp}"));
    }
    let (before, ending) = name.rsplit_once('.')?;
    split(before).map(|(stem, stamp)| format!("{stem}.{ending}.{stamp}"))
}

/// A name without the suffix at its end, and the stamp in that.
fn split(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix(')')?
        .rsplit_once(" (")
        .filter(|(_, stamp)| is_stamp(stamp))
}

fn is_stamp(text: &str) -> bool {
    text.len() == STAMP
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn endings_stay_endings() {
        let stamp = "18d2c5b1e0a4f993";
        for (name, shows) in [
            ("report.txt", "report (18d2c5b1e0a4f993).txt"),
            ("folder", "folder (18d2c5b1e0a4f993)"),
            (".bashrc", ".bashrc (18d2c5b1e0a4f993)"),
            ("a.lengthyending", "a.lengthyending (18d2c5b1e0a4f993)"),
            (
                "twice (18d2c5b1e0a4f993).txt",
                "twice (18d2c5b1e0a4f993) (18d2c5b1e0a4f993).txt",
            ),
        ] {
            assert_eq!(display_name(&format!("{name}.{stamp}")), shows);
        }
        for other in [
            "thrown away by another.txt",
            "short.18d2",
            "UPPER.18D2C5B1E0A4F993",
            ".18d2c5b1e0a4f993",
        ] {
            assert_eq!(
                (display_name(other), stored_name(other)),
                (other.to_owned(), other.to_owned())
            );
        }
        let inner = RelPath::parse("folder (18d2c5b1e0a4f993)/in (18d2c5b1e0a4f993)").unwrap();
        assert_eq!(
            stored_path(&inner).unwrap().as_str(),
            "folder.18d2c5b1e0a4f993/in (18d2c5b1e0a4f993)"
        );
    }

    proptest! {
        #[test]
        fn names_lead_back(name in "[a-z .()é\u{308}]{1,12}(\\.[a-zü\u{308}]{0,9})?", stamp in "[0-9a-f]{16}") {
            let kept = RelPath::from_stored(format!("{name}.{stamp}"));
            prop_assert_eq!(&stored_name(&display_name(kept.as_str())), kept.as_str());
            let nfc = RelPath::from_stored(display_name(kept.as_str())).to_nfc();
            prop_assert_eq!(stored_name(nfc.as_str()), kept.to_nfc().to_string());
        }
    }
}
