//! Reading folders, a page at a time, in memory that does not grow with them.

use super::blocking::run_read;
use super::disk_slots::LONG;
use super::errors::map_errno;
use super::names::visible_name;
use super::props;
use super::root::TreeRoot;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use crate::model::{Error, RelPath, Result};
use crate::storage::{DirEntry, Listing};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::thread;
use tokio::sync::Semaphore;

/// How many pages are read at a time: more threads would only have more memory. Whoever waits comes in turn.
static READ_PERMITS: LazyLock<Semaphore> = LazyLock::new(|| {
    Semaphore::new((2 * thread::available_parallelism().map_or(4, usize::from)).clamp(8, 64))
});
/// Names read before a page is given out; the kernel's last buffer may bring some more.
const PAGE: usize = 256;
/// Bytes of properties after which a page is given out: each file may have 64 KiB of them.
const PAGE_PROPS: usize = 256 << 10;

/// A folder being read.
pub(super) struct LocalListing {
    state: Option<LocalListingState>,
}

struct LocalListingState {
    root: Arc<TreeRoot>,
    dir: OwnedFd,
    with_props: bool,
    room: Vec<u8>,
    /// Entries that were read and not given out, without their properties.
    waiting: VecDeque<DirEntry>,
    /// Whether all names were read.
    ended: bool,
}

impl LocalListing {
    /// Opens a folder; `None` when that would wait and `lookup` forbids it.
    pub fn open(
        root: &Arc<TreeRoot>,
        path: &RelPath,
        with_props: bool,
        lookup: Lookup,
    ) -> Result<Option<Self>> {
        Ok(open_folder(root, path, lookup)?.map(|dir| Self {
            state: Some(LocalListingState {
                root: Arc::clone(root),
                dir,
                with_props,
                room: Vec::new(),
                waiting: VecDeque::new(),
                ended: false,
            }),
        }))
    }
}

/// Opens a folder; `None` when that would wait and `lookup` forbids it.
pub(super) fn open_folder(
    root: &Arc<TreeRoot>,
    path: &RelPath,
    lookup: Lookup,
) -> Result<Option<OwnedFd>> {
    match root.open_path(path, lookup, sys::open_folder) {
        // The kernel says ENOTDIR for a file and for a path that leads through one.
        Err(Error::NotFound) => match root.stat(path, lookup) {
            Ok(Some(node)) if !node.folder => Err(Error::NotFolder),
            Ok(None) => Ok(None),
            _ => Err(Error::NotFound),
        },
        opened => opened,
    }
}

/// Reads a piece of a folder when its turn comes.
pub(super) async fn with_read_permit<T: Send + 'static>(
    root: &Arc<TreeRoot>,
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let turn = READ_PERMITS.acquire().await;
    let mut reading = pin!(run_read(root, move |_| read()));
    if let Ok(piece) = tokio::time::timeout(LONG, &mut reading).await {
        return piece;
    }
    // It waits for its disk: others need not.
    drop(turn);
    reading.await
}

#[async_trait]
impl Listing for LocalListing {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        let Some(state) = self.state.take() else {
            return Ok(Vec::new());
        };
        let root = Arc::clone(&state.root);
        let (state, page) = with_read_permit(&root, move || state.next_page()).await?;
        self.state = state;
        Ok(page)
    }
}

impl LocalListingState {
    /// The next page, and what reads on after it unless that was the end.
    fn next_page(mut self) -> Result<(Option<Self>, Vec<DirEntry>)> {
        while self.waiting.is_empty() && !self.ended {
            let dir = fd(&self.dir);
            let more = sys::read_dir(dir, &mut self.room, PAGE, |name, kind| {
                self.waiting.extend(entry(dir, name, kind)?);
                Ok::<_, ListErrno>(())
            });
            self.ended = !more.map_err(|ListErrno(e)| map_errno("read the folder", e))?;
        }
        let page = if self.with_props {
            self.take_with_props()?
        } else {
            Vec::from(std::mem::take(&mut self.waiting))
        };
        let more = !self.ended || !self.waiting.is_empty();
        Ok((more.then_some(self), page))
    }

    /// Takes entries with their properties, until those are as many bytes as a page may have.
    fn take_with_props(&mut self) -> Result<Vec<DirEntry>> {
        let mut page = Vec::with_capacity(self.waiting.len());
        let mut bytes = 0;
        while bytes < PAGE_PROPS
            && let Some(mut entry) = self.waiting.pop_front()
        {
            let props = props::read_at(&self.root, fd(&self.dir), &entry.name);
            entry.props = props.map_err(|e| map_errno("read the properties", e))?;
            bytes += entry.props.iter().map(|prop| prop.xml.len()).sum::<usize>();
            page.push(entry);
        }
        Ok(page)
    }
}

struct ListErrno(Errno);

impl From<Errno> for ListErrno {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

/// What a name that drives show names, unless that is invisible or gone meanwhile.
pub(super) fn entry_by_name(dir: BorrowedFd<'_>, name: &str) -> sys::SysResult<Option<DirEntry>> {
    // No name that was read holds a NUL.
    CString::new(name).map_or(Ok(None), |raw| entry(dir, &raw, None))
}

/// One name and what it names, unless that is invisible or gone meanwhile.
fn entry(
    dir: BorrowedFd<'_>,
    raw: &CStr,
    kind: Option<FileKind>,
) -> sys::SysResult<Option<DirEntry>> {
    if kind == Some(FileKind::Other) {
        return Ok(None);
    }
    let Some(name) = visible_name(raw) else {
        return Ok(None);
    };
    match sys::stat_entry(dir, raw) {
        Ok(found) if found.kind != FileKind::Other => Ok(Some(DirEntry {
            name: name.to_owned(),
            node: found.node,
            props: Vec::new(),
        })),
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}
