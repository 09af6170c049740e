//! Reading files: from the page cache at once, from the disk on a thread that may wait.

use super::blocking::DeferredClose;
use super::blocking::run_read;
use super::errors::map_errno;
use super::root::TreeRoot;
use super::sys::{self, Errno, FileKind, FileStat, Lookup, fd};
use super::{file_meta, thumbnails};
use crate::model::{Error, RelPath, Result};
use crate::storage::{Digest, Node, Reader};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Reads of this size and more go through pooled buffers.
const LARGE: usize = 64 << 10;
/// The most one read gives.
const BUFFER: usize = 256 << 10;
/// Buffers kept for the next read, in the whole process.
const KEPT: usize = 32;
/// How far ahead the disk is asked to read.
const AHEAD: u64 = 2 << 20;

/// The steps of the clock in times that the kernel sets are shorter.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// Whether something was written beside the server so lately that it may be written once more and have the same time.
pub(super) fn may_change_unseen(node: &Node) -> bool {
    !node.folder
        && !node.etag.has_unique_mtime()
        && node.modified.elapsed().is_ok_and(|age| age < TICK)
}

static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A file being read.
pub(super) struct LocalReader {
    root: Arc<TreeRoot>,
    file: Arc<DeferredClose>,
    node: Node,
    digest: Option<Digest>,
}

impl LocalReader {
    /// Opens a file; `None` when that would wait and `lookup` forbids it.
    pub fn open(root: &Arc<TreeRoot>, path: &RelPath, lookup: Lookup) -> Result<Option<Self>> {
        let Some(file) = root.open_path(path, lookup, sys::open_read)? else {
            return Ok(None);
        };
        let found = sys::stat_fd(fd(&file)).map_err(|e| map_errno("look at the file", e))?;
        if !may_change_unseen(&found.node) {
            return Self::of(root, file, found).map(Some);
        }
        if lookup == Lookup::Cached {
            return Ok(None);
        }
        // Else two contents that somebody has read could have one tag.
        std::thread::sleep(TICK);
        Self::from_file(root, file).map(Some)
    }

    /// Reads an open file; `IsFolder`, `NotFound`.
    pub fn from_file(root: &Arc<TreeRoot>, file: OwnedFd) -> Result<Self> {
        let found = sys::stat_fd(fd(&file)).map_err(|e| map_errno("look at the file", e))?;
        Self::of(root, file, found)
    }

    fn of(root: &Arc<TreeRoot>, file: OwnedFd, found: FileStat) -> Result<Self> {
        match found.kind {
            FileKind::File => {
                let digest = file_meta::digest_of(fd(&file), &found.node);
                Ok(Self {
                    root: Arc::clone(root),
                    file: Arc::new(DeferredClose::new(root, file)),
                    node: found.node,
                    digest,
                })
            }
            FileKind::Folder => Err(Error::IsFolder),
            FileKind::Other => Err(Error::NotFound),
        }
    }

    /// The open file.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.fd()
    }
}

#[async_trait]
impl Reader for LocalReader {
    fn node(&self) -> &Node {
        &self.node
    }

    fn digest(&self) -> Option<Digest> {
        self.digest
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        // A file that has grown since is still read, a small piece at a time.
        let known = usize::try_from(self.node.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut buffer = ReadBuffer::new(len.min(known.max(4096)));
        if self.root.has_cached_reads.load(Ordering::Relaxed)
            && self.root.disk_access.can_read_inline()
        {
            match sys::read_cached(self.file(), buffer.bytes(), offset) {
                Ok(count) => return Ok(buffer.filled(count)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.root.has_cached_reads.store(false, Ordering::Relaxed);
                }
                Err(e) => return Err(map_errno("read the file", e)),
            }
        }
        let file = Arc::clone(&self.file);
        run_read(&self.root, move |_| {
            let count = sys::read(file.fd(), buffer.bytes(), offset)
                .map_err(|e| map_errno("read the file", e))?;
            if count == BUFFER {
                sys::read_ahead(file.fd(), offset + count as u64, AHEAD);
            }
            Ok(buffer.filled(count))
        })
        .await
    }

    async fn cached_thumbnail(&self, size: u32) -> Result<Option<Bytes>> {
        let file = Arc::clone(&self.file);
        let node = self.node.clone();
        // Where the disk does not answer in time, it is done without.
        Ok(run_read(&self.root, move |root| {
            Ok(thumbnails::find(root, file.fd(), &node, size))
        })
        .await
        .unwrap_or_default())
    }

    async fn cache_thumbnail(&self, size: u32, picture: Bytes) {
        let file = Arc::clone(&self.file);
        let node = self.node.clone();
        let kept = run_read(&self.root, move |root| {
            root.thumbnails
                .store(root, file.fd(), &node, (size, &picture))
        })
        .await;
        if let Err(error) = kept {
            tracing::debug!(%error, "a small picture is not kept");
        }
    }
}

/// Where a read goes.
enum ReadBuffer {
    Small(Vec<u8>),
    Large(PooledBuffer),
}

/// A large buffer that returns to the pool.
struct PooledBuffer {
    buffer: Vec<u8>,
    len: usize,
}

impl ReadBuffer {
    fn new(len: usize) -> Self {
        if len < LARGE {
            return Self::Small(vec![0; len]);
        }
        let buffer = POOL.lock().pop().unwrap_or_else(|| vec![0; BUFFER]);
        Self::Large(PooledBuffer {
            buffer,
            len: len.min(BUFFER),
        })
    }

    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(pooled) => pooled.buffer.get_mut(..pooled.len).unwrap_or_default(),
        }
    }

    fn filled(self, count: usize) -> Bytes {
        match self {
            Self::Small(mut bytes) => {
                bytes.truncate(count);
                bytes.into()
            }
            // A short read must not pin a whole buffer.
            Self::Large(pooled) if count < BUFFER / 8 => {
                Bytes::copy_from_slice(pooled.buffer.get(..count).unwrap_or_default())
            }
            Self::Large(mut pooled) => {
                pooled.len = count;
                Bytes::from_owner(pooled)
            }
        }
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut pool = POOL.lock();
        if pool.len() < KEPT {
            pool.push(std::mem::take(&mut self.buffer));
        }
    }
}
