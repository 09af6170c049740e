//! A search under way: one piece of a folder at a time, near folders first. Whoever drops it ends it; each piece asks whether the access holds.

use super::super::files::{ResourceKind, Row};
use super::Cut;
use crate::drive::Drive;
use crate::drive::revocable::ReadAccess;
use crate::model::{Error, Result, VPath};
use crate::storage::{DirEntry, Listing};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What the folders that wait to be looked into may take in memory: those of one search, of all, and of one in any case.
const ROOM: usize = 16 << 20;
const ROOM_OF_ALL: usize = 64 << 20;
const ROOM_IN_ANY_CASE: usize = 256 << 10;
/// What one takes beside its path.
const OVERHEAD: usize = 64;

/// Bytes that all searches hold.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Where a search ends.
pub(super) struct SearchLimits {
    /// The most results.
    pub results: usize,
    /// When it is over.
    pub until: Instant,
}

/// A search under way.
pub(super) struct SearchWalk {
    drive: Drive,
    part: String,
    /// What must hold for whoever looks below the top.
    watch: ReadAccess,
    waiting: SearchQueue,
    open: Option<SearchFolder>,
    bounds: SearchLimits,
    /// Results so far.
    pub found: usize,
    /// Why there may be more.
    pub cut: Option<Cut>,
    is_over: bool,
}

/// A folder that is being looked into.
struct SearchFolder {
    path: VPath,
    is_top: bool,
    listing: Box<dyn Listing>,
}

impl SearchWalk {
    /// Begins to look below a folder for a part of a name, as [`fold`] gives it.
    pub async fn begin(
        drive: Drive,
        top: VPath,
        part: String,
        bounds: SearchLimits,
    ) -> Result<Self> {
        let watch = drive.read_access_at(&top).await?;
        let listing = drive.list(&top, false).await?;
        let open = Some(SearchFolder {
            path: top,
            is_top: true,
            listing,
        });
        let waiting = SearchQueue::default();
        Ok(Self {
            drive,
            part,
            watch,
            waiting,
            open,
            bounds,
            found: 0,
            cut: None,
            is_over: false,
        })
    }

    /// The next results, at least one; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        while !self.is_over {
            self.watch.check()?;
            if Instant::now() > self.bounds.until {
                self.end(Cut::Time);
                break;
            }
            let rows = match self.open.take() {
                Some(folder) => self.read_page(folder).await?,
                None => self.open_next().await?,
            };
            if !rows.is_empty() {
                self.watch.check()?;
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    fn end(&mut self, cut: Cut) {
        self.cut = Some(cut);
        self.is_over = true;
    }

    async fn open_next(&mut self) -> Result<Vec<Row>> {
        let Some(path) = self.waiting.pop() else {
            self.is_over = true;
            return Ok(Vec::new());
        };
        match self.drive.list(&path, false).await {
            Ok(listing) => {
                self.open = Some(SearchFolder {
                    path,
                    is_top: false,
                    listing,
                });
            }
            Err(error) => self.pass_over(error)?,
        }
        Ok(Vec::new())
    }

    /// Looks through the next piece of a folder.
    async fn read_page(&mut self, mut folder: SearchFolder) -> Result<Vec<Row>> {
        match folder.listing.next_page().await {
            Ok(page) if page.is_empty() => Ok(Vec::new()),
            Ok(page) => {
                let rows = self.match_entries(&folder.path, page);
                self.open = Some(folder);
                Ok(rows)
            }
            Err(error) if folder.is_top => Err(error),
            Err(error) => self.pass_over(error).map(|()| Vec::new()),
        }
    }

    /// What has gone meanwhile, may not be seen or cannot be read now does not hide the rest.
    fn pass_over(&mut self, error: Error) -> Result<()> {
        self.watch.check()?;
        match error {
            Error::NotFound | Error::ParentMissing | Error::NotFolder | Error::Forbidden(_) => {
                Ok(())
            }
            Error::Busy { .. } | Error::Missing(_) | Error::Unfit(_) => {
                self.cut = Some(Cut::Unreachable);
                Ok(())
            }
            error => Err(error),
        }
    }

    fn match_entries(&mut self, folder: &VPath, page: Vec<DirEntry>) -> Vec<Row> {
        let mut rows = Vec::new();
        for entry in page {
            // Beyond the longest path nothing can be addressed.
            let Ok(path) = folder.join(&entry.name) else {
                continue;
            };
            if fold(&entry.name).contains(&self.part) {
                if self.found == self.bounds.results {
                    self.end(Cut::Results);
                    break;
                }
                self.found += 1;
                rows.push(Row::new(path.as_str().to_owned(), &entry.node));
            }
            if ResourceKind::of(&entry.node) == ResourceKind::Folder && !self.waiting.push(path) {
                self.cut = Some(Cut::Folders);
            }
        }
        rows
    }
}

/// Folders that are still to be looked into.
#[derive(Default)]
struct SearchQueue {
    folders: VecDeque<VPath>,
    bytes: usize,
}

impl SearchQueue {
    /// Adds a folder, if there is room for it.
    fn push(&mut self, folder: VPath) -> bool {
        let bytes = cost(&folder);
        let own = self.bytes + bytes;
        if own > ROOM
            || (own > ROOM_IN_ANY_CASE && HELD.load(Ordering::Relaxed) + bytes > ROOM_OF_ALL)
        {
            return false;
        }
        HELD.fetch_add(bytes, Ordering::Relaxed);
        self.bytes = own;
        self.folders.push_back(folder);
        true
    }

    fn pop(&mut self) -> Option<VPath> {
        let folder = self.folders.pop_front()?;
        let bytes = cost(&folder);
        HELD.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
        Some(folder)
    }
}

impl Drop for SearchQueue {
    fn drop(&mut self) {
        HELD.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn cost(folder: &VPath) -> usize {
    folder.as_str().len() + OVERHEAD
}

/// A name without case, accents and compatibility forms.
pub(super) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let bare: String = name.nfkd().filter(|c| !is_combining_mark(*c)).collect();
    bare.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_do_not_count() {
        for (name, part) in [
            ("Résumé.PDF", "resume"),
            ("ÜBER", "uber"),
            ("u\u{308}ber", "ÜB"),
            ("ﬁle", "FI"),
        ] {
            assert!(fold(name).contains(&fold(part)), "{name} {part}");
        }
        assert!(!fold("resume").contains(&fold("résumés")));
        assert_eq!(fold("\u{301}"), "");
    }

    #[test]
    fn folders_wait_in_bounded_memory_and_each_search_has_some_room() {
        let folder = VPath::parse(&"x".repeat(200)).unwrap();
        let filled = || {
            let mut waiting = SearchQueue::default();
            while waiting.push(folder.clone()) {}
            waiting
        };
        let mut all: Vec<SearchQueue> = (0..8).map(|_| filled()).collect();
        assert!(all[0].bytes <= ROOM && all[0].bytes > ROOM - 2 * cost(&folder));
        assert!(all[7].bytes <= ROOM_IN_ANY_CASE && all[7].bytes > ROOM_IN_ANY_CASE / 2);
        assert!(HELD.load(Ordering::Relaxed) <= ROOM_OF_ALL + 8 * ROOM_IN_ANY_CASE);
        let before = all[0].bytes;
        let count = all[0].folders.len();
        assert_eq!(all[0].pop(), Some(folder.clone()));
        assert_eq!(
            (all[0].bytes, all[0].folders.len()),
            (before - cost(&folder), count - 1)
        );
        drop(all);
        assert!(
            filled().bytes > ROOM - 2 * cost(&folder),
            "what was held is given back"
        );
    }
}
