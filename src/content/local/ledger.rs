//! The books of a tree: how many bytes its files hold and how many are promised to uploads, exact at every change of a name.
//! A folder that goes to the trash in one rename is measured there later, when somebody needs to know: until then the books
//! say too much, never too little. Files that are changed beside the server are noticed by counting anew now and then.

use super::os::{self, Errno, Lookup, fd};
use super::root::{Root, explain};
use super::stage::WORKSHOP;
use super::trash::tomb_of;
use super::walk::{self, Top};
use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a count is believed at least.
const FRESH: Duration = Duration::from_secs(60);
/// A tree that takes long to count is counted less often: this many times as long is between.
const PAUSE: u32 = 100;
/// How often a count is tried beside changes before it is made while nothing changes.
const TRIES: usize = 3;

/// The books.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    books: Mutex<Books>,
    /// Held while files are counted; taken after the guard, never before it.
    counting: Mutex<()>,
    recounting: AtomicBool,
}

#[derive(Debug, Default)]
struct Books {
    /// Bytes of live files and of what is not measured yet; `None` before the first count.
    used: Option<u64>,
    reserved: u64,
    /// Folders in the trash whose bytes are still in `used`.
    unmeasured: Vec<String>,
    /// Counts the changes, to see whether one fell into a count.
    changes: u64,
    due: Option<Instant>,
    /// What was expected and what was counted when the books were last wrong.
    correction: Option<(u64, u64)>,
}

/// By how much a change lets the files grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// Bytes that come.
    pub new: u64,
    /// Bytes that go.
    pub old: u64,
}

impl Growth {
    /// What shrinks or stays is always let through, even where more lies than may.
    fn fits(self, used: u64, limit: u64) -> bool {
        self.new <= self.old || used.saturating_sub(self.old).saturating_add(self.new) <= limit
    }
}

impl Ledger {
    /// Refuses a growth beyond `limit` with `NoSpace`; called under the guard, before the change.
    pub fn admit(&self, root: &Root, growth: Growth, limit: Option<u64>) -> Result<()> {
        let Some(limit) = limit.filter(|_| growth.new > growth.old) else { return Ok(()) };
        if self.books.lock().used.is_some_and(|used| growth.fits(used, limit)) {
            return Ok(());
        }
        let _counting = self.counting.lock();
        let used = match self.measure(root)? {
            Some(used) => used,
            None => self.enter(&Count::of(root, self)?),
        };
        if growth.fits(used, limit) { Ok(()) } else { Err(Error::NoSpace) }
    }

    /// Notes a change; called under the guard, after it.
    pub fn note(&self, growth: Growth) {
        self.books.lock().note(growth);
    }

    /// As [`note`](Self::note), of an upload: what was reserved for it is used now.
    pub fn note_put(&self, growth: Growth, reservation: &mut Reservation) {
        let mut books = self.books.lock();
        books.note(growth);
        books.reserved = books.reserved.saturating_sub(std::mem::take(&mut reservation.held));
    }

    /// Notes that a folder lies in the trash now, under this name; called under the guard.
    pub fn note_buried(&self, name: &str) {
        let mut books = self.books.lock();
        books.changes += 1;
        if books.used.is_some() {
            books.unmeasured.push(name.to_owned());
        }
    }

    /// Takes back [`note_buried`](Self::note_buried), if the folder's bytes are still on the books: says whether they are.
    pub fn take_unmeasured(&self, name: &str) -> bool {
        let mut books = self.books.lock();
        let at = books.unmeasured.iter().position(|known| known == name);
        if let Some(at) = at {
            books.changes += 1;
            books.unmeasured.swap_remove(at);
        }
        at.is_some()
    }

    /// Forgets all: something of unknown size has come. Called under the guard.
    pub fn forget(&self) {
        let mut books = self.books.lock();
        *books = Books { reserved: books.reserved, changes: books.changes + 1, ..Books::default() };
    }

    /// Takes back what was reserved.
    pub fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            let mut books = self.books.lock();
            books.reserved = books.reserved.saturating_sub(bytes);
        }
    }

    /// How many changes of names there were.
    pub fn changes(&self) -> u64 {
        self.books.lock().changes
    }

    /// Bytes of live files, if nothing must be counted first to know.
    pub fn known(&self) -> Option<u64> {
        let books = self.books.lock();
        books.used.filter(|_| books.unmeasured.is_empty())
    }

    /// Bytes of live files, counted or measured first where need be. Waits for the disk.
    pub fn count(&self, root: &Root) -> Result<u64> {
        {
            let _counting = self.counting.lock();
            if let Some(used) = self.measure(root)? {
                return Ok(used);
            }
        }
        self.recount(root)
    }

    /// Whether it is time to count anew and the caller is the one to do it.
    pub fn is_due(&self) -> bool {
        let due = self.books.lock().due.is_some_and(|due| due <= Instant::now());
        due && !self.recounting.swap(true, Ordering::Relaxed)
    }

    /// Counts anew, beside changes if they leave it a chance; corrects the books, and says so, when they were wrong.
    pub fn recount(&self, root: &Root) -> Result<u64> {
        let _pause = root.pace.pause();
        let counted = self.recount_beside(root).transpose().unwrap_or_else(|| {
            let _guard = root.guard();
            let _counting = self.counting.lock();
            Ok(self.enter(&Count::of(root, self)?))
        });
        self.recounting.store(false, Ordering::Relaxed);
        counted
    }

    /// What was expected and what was counted when the books were last found wrong; told once.
    pub fn take_correction(&self) -> Option<(u64, u64)> {
        self.books.lock().correction.take()
    }

    /// A count into which no change fell; `None` when each try met one.
    fn recount_beside(&self, root: &Root) -> Result<Option<u64>> {
        for _ in 0..TRIES {
            let _counting = self.counting.lock();
            let count = Count::of(root, self)?;
            if self.books.lock().changes == count.changes {
                return Ok(Some(self.enter(&count)));
            }
        }
        Ok(None)
    }

    /// Enters a count; `counting` is held.
    fn enter(&self, count: &Count) -> u64 {
        let mut books = self.books.lock();
        if let Some(expected) = books.used.filter(|used| books.unmeasured.is_empty() && *used != count.bytes) {
            tracing::info!(
                counted = count.bytes,
                expected,
                "files were changed beside the server: the books are corrected"
            );
            books.correction = Some((expected, count.bytes));
        }
        books.used = Some(count.bytes);
        books.unmeasured.clear();
        books.due = Some(Instant::now() + FRESH.max(count.took * PAUSE));
        count.bytes
    }

    /// Takes what lies in the trash off the books; returns what is left on them, `None` before the first count. `counting` is held.
    fn measure(&self, root: &Root) -> Result<Option<u64>> {
        loop {
            let (used, next) = {
                let books = self.books.lock();
                (books.used, books.unmeasured.last().cloned())
            };
            let Some(name) = next else { return Ok(used) };
            self.measure_one(root, &name)?;
        }
    }

    /// Takes a folder in the trash off the books, if its bytes are on them still.
    pub fn measure_one(&self, root: &Root, name: &str) -> Result<()> {
        if !self.books.lock().unmeasured.iter().any(|known| known == name) {
            return Ok(());
        }
        let bytes = trashed(root, name)?;
        // It may have gone back or away meanwhile.
        if self.take_unmeasured(name) {
            self.note(Growth { new: 0, old: bytes });
        }
        Ok(())
    }

    /// Reserves `bytes` more if they fit below `limit`; `None` when that cannot be said without counting.
    fn try_reserve(&self, bytes: u64, limit: u64) -> Option<Result<()>> {
        let mut books = self.books.lock();
        let sum = books.used?.saturating_add(books.reserved).saturating_add(bytes);
        if sum <= limit {
            books.reserved = books.reserved.saturating_add(bytes);
            return Some(Ok(()));
        }
        books.unmeasured.is_empty().then_some(Err(Error::NoSpace))
    }
}

impl Books {
    fn note(&mut self, growth: Growth) {
        self.changes += 1;
        self.used = self.used.map(|used| used.saturating_add(growth.new).saturating_sub(growth.old));
    }
}

/// What a walk has found.
struct Count {
    bytes: u64,
    took: Duration,
    /// The number of changes when it began.
    changes: u64,
}

impl Count {
    fn of(root: &Root, ledger: &Ledger) -> Result<Self> {
        let (began, changes) = (Instant::now(), ledger.books.lock().changes);
        // Workshops first: what is moved to its place meanwhile may be met twice, never missed.
        let counted = workshops(root)
            .and_then(|built| Ok(built + tally(os::open_folder(fd(&root.dir), "", Lookup::Full)?, Top::Tree)?.bytes));
        let bytes = counted.map_err(|e| explain("count the files", e))?;
        Ok(Self { bytes, took: began.elapsed(), changes })
    }
}

/// Bytes promised to an upload; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    root: Arc<Root>,
    limit: Option<u64>,
    /// Bytes that go when what the upload replaces goes.
    old: u64,
    held: u64,
}

impl Reservation {
    /// Nothing, without a limit.
    pub fn none(root: &Arc<Root>) -> Self {
        Self::new(root, None, 0)
    }

    /// Nothing yet, below `limit`, for what will replace `old` bytes.
    pub fn new(root: &Arc<Root>, limit: Option<u64>, old: u64) -> Self {
        Self { root: Arc::clone(root), limit, old, held: 0 }
    }

    /// Makes room for a file of `len` bytes; `NoSpace`, `None` when that cannot be said without waiting for the disk.
    pub fn try_grow(&mut self, len: u64) -> Option<Result<()>> {
        let more = len.saturating_sub(self.old).saturating_sub(self.held);
        let Some(limit) = self.limit.filter(|_| more > 0) else { return Some(Ok(())) };
        let reserved = self.root.ledger.try_reserve(more, limit);
        if matches!(reserved, Some(Ok(()))) {
            self.held += more;
        }
        reserved
    }

    /// Holds the room for a file of `len` bytes, whether it is there or not: it was promised before.
    pub fn hold(&mut self, len: u64) {
        let more = len.saturating_sub(self.old).saturating_sub(self.held);
        let mut books = self.root.ledger.books.lock();
        books.reserved = books.reserved.saturating_add(more);
        self.held += more;
    }

    /// What is held, which is given back by somebody else.
    pub fn take(mut self) -> u64 {
        std::mem::take(&mut self.held)
    }

    /// As [`try_grow`](Self::try_grow), on a thread that may wait.
    pub fn grow(&mut self, len: u64) -> Result<()> {
        loop {
            if let Some(outcome) = self.try_grow(len) {
                return outcome;
            }
            self.root.ledger.count(&self.root)?;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.root.ledger.give_back(self.held);
    }
}

/// Bytes left on the disk, without the reserve.
pub(super) fn free(root: &Root) -> Result<u64> {
    let free = os::free_bytes(fd(&root.dir)).map_err(|e| explain("ask for free space", e))?;
    Ok(free.saturating_sub(root.settings.reserve))
}

/// Bytes of a folder in the trash; 0 when it is gone.
pub(super) fn trashed(root: &Root, name: &str) -> Result<u64> {
    bytes_in(fd(&root.trash_files), name)
}

/// Bytes of a folder in an open one; 0 when it is gone.
pub(super) fn bytes_in(dir: BorrowedFd<'_>, name: &str) -> Result<u64> {
    match os::open_folder(dir, name, Lookup::Full) {
        Ok(dir) => bytes_of(dir).map_err(|e| explain("measure a folder", e)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(0),
        Err(e) => Err(explain("measure a folder", e)),
    }
}

/// Bytes of what is being built in a workshop.
pub(super) fn built(root: &Root, name: &str) -> Result<u64> {
    os::open_folder(fd(&root.tmp), name, Lookup::Full).and_then(bytes_of).map_err(|e| explain("measure a copy", e))
}

/// Bytes of what is being built in all workshops, and of folders that are being moved to another tree.
fn workshops(root: &Root) -> os::Outcome<u64> {
    let folders = walk::names(fd(&root.tmp))?;
    let mut sum = 0;
    for name in folders.iter().filter(|name| name.starts_with(WORKSHOP) || tomb_of(name).is_some()) {
        match os::open_folder(fd(&root.tmp), name, Lookup::Full) {
            Ok(dir) => sum += bytes_of(dir)?,
            // Closed meanwhile, or a file: those are off the books once they are out of sight.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(sum)
}

/// How many files are in a folder and below it.
pub(super) fn files_in(top: OwnedFd, at: Top) -> Result<u64> {
    tally(top, at).map(|tally| tally.files).map_err(|e| explain("count the files", e))
}

/// Bytes of all files in a folder and below it.
fn bytes_of(top: OwnedFd) -> os::Outcome<u64> {
    tally(top, Top::Folder).map(|tally| tally.bytes)
}

/// What was found in a folder.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    bytes: u64,
    files: u64,
}

fn tally(top: OwnedFd, at: Top) -> os::Outcome<Tally> {
    let mut sum = Tally::default();
    walk::files(top, at, |_, found| {
        sum = Tally { bytes: sum.bytes.saturating_add(found.node.len), files: sum.files + 1 };
        Ok::<_, Errno>(())
    })?;
    Ok(sum)
}
