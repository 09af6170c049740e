//! What was copied, in few bytes for each file: hashes of paths, and places in an index on the disk.

use super::IndexEntry;
use crate::model::{Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, Hash, RandomState};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

/// A line is shorter: a path has at most 4 KiB, each byte of it at most six.
const LONGEST: usize = 32 << 10;
/// How many bytes are read of a line at first.
const SHORT: usize = 512;

/// The lines of an index, each found by one of its values.
#[derive(Debug)]
pub struct BackupIndex {
    index: Option<File>,
    /// Where a line begins, by the hash of its value; equal hashes cost a copy at most, since lines are compared.
    places: HashMap<u64, u64>,
    hasher: RandomState,
}

impl BackupIndex {
    /// No lines.
    pub fn none() -> Self {
        Self {
            index: None,
            places: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    /// Files that can be found by what they are; of a file with several names the first has its id in the copy. A line that is cut short
    /// ends the index.
    pub fn by_node(index: Option<File>) -> Result<Self> {
        let mut marks = Self {
            index,
            ..Self::none()
        };
        marks.read(|marks, mark, at| {
            if mark.folder || mark.changed == 0 {
                return;
            }
            let hash = marks.hasher.hash_one(mark.node);
            if marks
                .find(hash)
                .is_none_or(|known| known.node != mark.node || known.path == mark.path)
            {
                marks.places.insert(hash, at);
            }
        })?;
        Ok(marks)
    }

    /// Files and folders that can be found by their paths.
    pub fn by_path(index: Option<File>) -> Result<Self> {
        let mut marks = Self {
            index,
            ..Self::none()
        };
        marks.read(|marks, mark, at| {
            let hash = marks.hasher.hash_one(mark.path.as_str());
            marks.places.insert(hash, at);
        })?;
        Ok(marks)
    }

    /// The line about a file on this inode.
    pub fn of_node(&self, node: [u64; 2]) -> Option<IndexEntry> {
        self.find(self.hasher.hash_one(node))
            .filter(|mark| mark.node == node)
    }

    /// The line about a path.
    pub fn of_path(&self, path: &str) -> Option<IndexEntry> {
        self.find(self.hasher.hash_one(path))
            .filter(|mark| mark.path == path)
    }

    fn find(&self, hash: u64) -> Option<IndexEntry> {
        let at = *self.places.get(&hash)?;
        let index = self.index.as_ref()?;
        for room in [SHORT, LONGEST] {
            let mut text = vec![0; room];
            let count = index.read_at(&mut text, at).ok()?;
            let line = text.get(..count)?;
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                return serde_json::from_slice(line.get(..end)?).ok();
            }
        }
        None
    }

    fn read(&mut self, mut visit: impl FnMut(&mut Self, &IndexEntry, u64)) -> Result<()> {
        let failed = |e| Error::io("read the index of a backup", e);
        let Some(file) = self
            .index
            .as_ref()
            .map(File::try_clone)
            .transpose()
            .map_err(failed)?
        else {
            return Ok(());
        };
        let mut lines = BufReader::new(file);
        let mut at = 0;
        let mut text = Vec::new();
        loop {
            text.clear();
            let length = lines.read_until(b'\n', &mut text).map_err(failed)? as u64;
            let Ok(mark) = serde_json::from_slice(&text) else {
                return Ok(());
            };
            visit(self, &mark, at);
            at += length;
        }
    }
}

/// The paths that were copied, and the inodes of what was there.
#[derive(Debug, Default)]
pub(super) struct CopiedPaths {
    all: HashMap<[u64; 2], u64>,
    hashers: [RandomState; 3],
}

impl CopiedPaths {
    /// Notes what was copied.
    pub fn insert(&mut self, mark: &IndexEntry) {
        self.all.insert(self.key(&mark.path), self.of(mark.node));
    }

    /// Whether something was copied from a path.
    pub fn contains(&self, path: &str) -> bool {
        self.all.contains_key(&self.key(path))
    }

    /// Whether what was copied from a path was on this inode; `None` when nothing was.
    pub fn is_same_inode(&self, path: &str, node: [u64; 2]) -> Option<bool> {
        self.all
            .get(&self.key(path))
            .map(|taken| *taken == self.of(node))
    }

    /// Whether what is on this inode was copied, from whatever path.
    pub fn contains_inode(&self, node: [u64; 2]) -> bool {
        let node = self.of(node);
        self.all.values().any(|taken| *taken == node)
    }

    /// Two hashes: that of two paths both are equal is not to be expected.
    fn key(&self, path: &str) -> [u64; 2] {
        let [one, other, _] = &self.hashers;
        [hash(one, path), hash(other, path)]
    }

    fn of(&self, node: [u64; 2]) -> u64 {
        let [_, _, hasher] = &self.hashers;
        hash(hasher, node)
    }
}

fn hash(hasher: &RandomState, value: impl Hash) -> u64 {
    hasher.hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn mark(path: &str, node: u64, folder: bool) -> IndexEntry {
        IndexEntry {
            path: path.into(),
            node: [node, 7],
            len: 1,
            modified: 2,
            changed: 3,
            folder,
            id: None,
        }
    }

    fn index(marks: &[IndexEntry], cut: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let lines: String = marks
            .iter()
            .map(|mark| serde_json::to_string(mark).unwrap() + "\n")
            .collect();
        file.write_all(&lines.as_bytes()[..lines.len() - cut])
            .unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        file
    }

    #[test]
    fn lines_are_found_where_they_are() {
        let long = "\u{1}".repeat(4000);
        let all = [
            mark("", 1, true),
            mark("a", 2, false),
            mark("b", 2, false),
            mark(&long, 3, false),
            mark("c", 4, false),
        ];
        let by_node = BackupIndex::by_node(Some(index(&all, 9))).unwrap();
        assert_eq!(
            by_node.of_node([2, 7]),
            Some(all[1].clone()),
            "the first of two names"
        );
        assert_eq!(by_node.of_node([3, 7]), Some(all[3].clone()));
        assert_eq!(
            [[1, 7], [4, 7], [9, 9]].map(|node| by_node.of_node(node)),
            [None, None, None]
        );
        let by_path = BackupIndex::by_path(Some(index(&all, 0))).unwrap();
        assert!(
            all.iter()
                .all(|mark| by_path.of_path(&mark.path).as_ref() == Some(mark))
        );
        assert_eq!(
            (by_path.of_path("d"), BackupIndex::none().of_path("a")),
            (None, None)
        );
    }

    #[test]
    fn a_file_costs_few_bytes() {
        let mut taken = CopiedPaths::default();
        for n in 0..1_000_000_u64 {
            taken.insert(&mark(&format!("folder/{n}"), n, false));
        }
        let bytes = taken.all.capacity() * (size_of::<([u64; 2], u64)>() + 1);
        assert!(bytes <= 64 << 20, "{bytes}");
        assert_eq!(
            [5, 6].map(|n| taken.is_same_inode("folder/5", [n, 7])),
            [Some(true), Some(false)]
        );
        assert!(
            taken.contains("folder/999999")
                && !taken.contains("folder/1000000")
                && taken.is_same_inode("x", [5, 7]).is_none()
        );
    }
}
