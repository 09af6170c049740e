//! A list too long for memory: records of JSON, a line each, in a file without a name that goes when it is closed.

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::sys::{self, Errno, fd};
use crate::model::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::IoSlice;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

const DOING: &str = "keep a long list";
/// How many bytes are written, and read, at a time.
const PIECE: usize = 256 << 10;

/// The list, being written or read.
#[derive(Debug)]
pub(super) struct Spool<T> {
    file: OwnedFd,
    end: u64,
    waiting: Vec<u8>,
    /// How many records it has.
    pub count: u64,
    record: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> Spool<T> {
    /// An empty list, on the file system of the tree.
    pub fn new(dirs: &TreeDirs) -> Result<Self> {
        let file = match sys::create_tmpfile(fd(&dirs.tmp)) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                let name = dirs.new_stamp();
                let file = sys::create_file(fd(&dirs.tmp), &name);
                file.and_then(|file| sys::unlink_file(fd(&dirs.tmp), &name).map(|()| file))
            }
            made => made,
        };
        let file = file.map_err(|e| map_errno(DOING, e))?;
        Ok(Self {
            file,
            end: 0,
            waiting: Vec::new(),
            count: 0,
            record: PhantomData,
        })
    }

    /// Adds a record.
    pub fn push(&mut self, record: &T) -> Result<()> {
        serde_json::to_writer(&mut self.waiting, record).map_err(|e| Error::io(DOING, e))?;
        self.waiting.push(b'\n');
        self.count += 1;
        if self.waiting.len() >= PIECE {
            self.write()
        } else {
            Ok(())
        }
    }

    /// Writes what has been added; records can be read then.
    pub fn write(&mut self) -> Result<()> {
        sys::write_all(fd(&self.file), &mut [IoSlice::new(&self.waiting)], self.end)
            .map_err(|e| map_errno(DOING, e))?;
        self.end += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Waits until everything on its file system is on the disk. The file was opened before what is to be waited for was done: syncfs(2)
    /// tells of a write error once for each open file, and of none before it was opened.
    pub fn sync_file_system(&self) -> Result<()> {
        sys::sync_all(fd(&self.file)).map_err(|e| Error::io("write to the disk", e))
    }

    /// The records from a place on, at least one if there is one, and where the next begin.
    pub fn read(&self, at: u64) -> Result<(Vec<T>, u64)> {
        let mut piece = vec![0; PIECE];
        let mut filled = 0;
        while let Some(room) = piece.get_mut(filled..).filter(|room| !room.is_empty()) {
            match sys::read(fd(&self.file), room, at + filled as u64)
                .map_err(|e| map_errno(DOING, e))?
            {
                0 => break,
                count => filled += count,
            }
        }
        let text = piece.get(..filled).unwrap_or_default();
        let end = memchr::memrchr(b'\n', text).map_or(0, |last| last + 1);
        let lines = text
            .get(..end)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let records: serde_json::Result<Vec<T>> = lines.map(serde_json::from_slice).collect();
        Ok((records.map_err(|e| Error::io(DOING, e))?, at + end as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::TreeRoot;
    use super::super::tests::RELAXED;
    use super::*;

    #[test]
    fn of_a_long_list_little_is_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let root = TreeRoot::open(dir.path(), RELAXED).unwrap();
        let mut spool = Spool::<u64>::new(&root).unwrap();
        let many = 100_000;
        for record in 0..many {
            spool.push(&record).unwrap();
            assert!(spool.waiting.len() < PIECE);
        }
        spool.write().unwrap();
        let mut at = 0;
        let mut seen = Vec::new();
        loop {
            let (records, next) = spool.read(at).unwrap();
            if records.is_empty() {
                break;
            }
            at = next;
            seen.extend(records);
        }
        assert!(seen.into_iter().eq(0..many));
    }
}
