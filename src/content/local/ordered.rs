//! Reading a folder in the order of its names, from any of them on. The names are read first, and what they name only when its turn comes: a
//! page of a large folder costs what is on it, and the folder's names once for all its pages.

mod names;

use super::LocalTree;
use super::list::{entry_of, in_turn, open_folder, visible};
use super::os::{self, Errno, Kind, Lookup, fd};
use super::root::{Root, existing, explain};
use crate::content::{Entry, FileId, Listing};
use crate::model::{RelPath, Result};
use async_trait::async_trait;
use names::{Key, Names, Reading};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Names read in one piece; the kernel's last buffer may bring some more.
const NAMES: usize = 4096;
/// Entries looked at in one piece.
const PIECE: usize = 256;
const DOING: &str = "read the folder";
/// How many folders with more names than a piece of entries are read at a time: small ones need not wait for them.
static LARGE: Semaphore = Semaphore::const_new(4);

/// A folder being read in order.
pub(super) struct Ordered {
    state: Option<State>,
    large: Option<SemaphorePermit<'static>>,
}

struct State {
    root: Arc<Root>,
    dir: OwnedFd,
    key: Key,
    /// The last name that was looked at.
    after: Option<String>,
    /// Entries still wanted.
    left: usize,
    stage: Stage,
}

enum Stage {
    /// Names are to be read.
    Begin,
    /// Some were.
    Names(Reading, Vec<u8>),
    /// What they name is looked at, from this one on.
    Entries(Arc<Names>, usize),
}

/// What a piece of work has come to.
enum Piece {
    /// So many names are known, and what they name is not.
    Names(usize),
    Entries(Vec<Entry>),
    End,
}

impl LocalTree {
    /// Begins to read at most so many entries of a folder, those after a name.
    pub(super) async fn ordered(
        &self,
        path: &RelPath,
        after: Option<String>,
        most: usize,
    ) -> Result<Ordered> {
        let opened =
            |root: &Arc<Root>, path: &RelPath, lookup: Lookup| -> Result<Option<(OwnedFd, Key)>> {
                let Some(dir) = open_folder(root, path, lookup)? else {
                    return Ok(None);
                };
                let disk = os::disk_of(fd(&dir)).map_err(|e| explain(DOING, e))?;
                let node = existing(os::stat_fd(fd(&dir)).map_err(|e| explain(DOING, e))?)?.node;
                Ok(Some((dir, (disk, FileId::derived(&node)))))
            };
        let (dir, key) = self.look(path, opened).await?;
        // Whoever begins to read has the names as they are now.
        let kept = after.as_deref().and_then(|after| names::kept(key, after));
        let large = if kept.is_some() {
            LARGE.acquire().await.ok()
        } else {
            None
        };
        let stage = kept.map_or(Stage::Begin, |(names, at)| Stage::Entries(names, at));
        let begun = State {
            root: Arc::clone(&self.root),
            dir,
            key,
            after,
            left: most,
            stage,
        };
        Ok(Ordered {
            state: Some(begun),
            large,
        })
    }
}

#[async_trait]
impl Listing for Ordered {
    async fn next_page(&mut self) -> Result<Vec<Entry>> {
        while let Some(mut state) = self.state.take() {
            let root = Arc::clone(&state.root);
            let (state, piece) =
                in_turn(&root, move || state.work().map(|piece| (state, piece))).await?;
            match piece {
                Piece::End => break,
                Piece::Names(known) if known > PIECE && self.large.is_none() => {
                    self.large = LARGE.acquire().await.ok();
                }
                Piece::Names(_) => {}
                Piece::Entries(page) => {
                    self.state = Some(state);
                    if !page.is_empty() {
                        return Ok(page);
                    }
                    continue;
                }
            }
            self.state = Some(state);
        }
        self.large = None;
        Ok(Vec::new())
    }
}

impl State {
    /// One piece of work.
    fn work(&mut self) -> Result<Piece> {
        match std::mem::replace(&mut self.stage, Stage::Begin) {
            Stage::Begin => {
                // Reading moves the place of a descriptor: each time a fresh one.
                self.dir = os::open_folder(fd(&self.dir), "", Lookup::Full)
                    .map_err(|e| explain(DOING, e))?;
                self.stage = Stage::Names(Reading::after(self.after.clone()), Vec::new());
                Ok(Piece::Names(0))
            }
            Stage::Names(reading, room) => self.read_names(reading, room),
            Stage::Entries(names, at) => self.look(names, at),
        }
    }

    fn read_names(&mut self, mut reading: Reading, mut room: Vec<u8>) -> Result<Piece> {
        let more = os::read_names(fd(&self.dir), &mut room, NAMES, |name, kind| {
            if kind != Some(Kind::Other)
                && let Some(name) = visible(name)
            {
                reading.add(name);
            }
            Ok::<_, Errno>(())
        });
        let (is_more, known) = (more.map_err(|e| explain(DOING, e))?, reading.len());
        self.stage = if is_more {
            Stage::Names(reading, room)
        } else {
            let names = Arc::new(reading.finish());
            if names.len() > self.left || !names.is_all {
                names::keep(self.key, &names);
            }
            Stage::Entries(names, 0)
        };
        Ok(Piece::Names(known))
    }

    fn look(&mut self, names: Arc<Names>, at: usize) -> Result<Piece> {
        let piece = names.from(at, PIECE.min(self.left));
        let Some(last) = piece.last() else {
            let is_end = names.is_all || self.left == 0;
            return Ok(if is_end { Piece::End } else { Piece::Names(0) });
        };
        let mut page = Vec::with_capacity(piece.len());
        for name in piece {
            page.extend(entry_of(fd(&self.dir), name).map_err(|e| explain(DOING, e))?);
        }
        self.after = Some(last.to_string());
        self.left -= page.len();
        let next = at + piece.len();
        self.stage = Stage::Entries(names, next);
        Ok(Piece::Entries(page))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::RELAXED;
    use super::*;
    use crate::content::ContentTree;

    async fn page(tree: &LocalTree, after: Option<&str>, most: usize) -> Vec<String> {
        let folder = RelPath::parse("d").unwrap();
        let mut listing = tree
            .list_after(&folder, after.map(str::to_owned), most)
            .await
            .unwrap();
        let mut names = Vec::new();
        loop {
            let page = listing.next_page().await.unwrap();
            if page.is_empty() {
                return names;
            }
            names.extend(page.into_iter().map(|entry| entry.name));
        }
    }

    fn number(n: usize) -> String {
        format!("{n:05}")
    }

    /// Names that have come since the first page was read are on no later one: the folder is not read again.
    #[tokio::test]
    async fn the_names_are_read_once_for_all_pages() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("d");
        std::fs::create_dir(&folder).unwrap();
        for n in 0..10_000 {
            std::fs::write(folder.join(number(2 * n)), "").unwrap();
        }
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        let (mut seen, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
        for n in 0.. {
            let page = page(&tree, after.as_deref(), 1000).await;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            seen.extend(page);
            if n == 0 {
                std::fs::write(folder.join(number(15_001)), "").unwrap();
                std::fs::remove_file(folder.join(number(16_000))).unwrap();
            }
        }
        assert_eq!(
            seen,
            (0..10_000)
                .map(|n| number(2 * n))
                .filter(|name| *name != number(16_000))
                .collect::<Vec<_>>()
        );
        let again = page(&tree, None, 20_000).await;
        assert!(again.contains(&number(15_001)) && again.len() == 10_000);
    }
}
