//! What sled leaves undone: fsync of everything it wrote, free space, and the ballast.

use super::journal::Journal;
use super::{Settings, journal_path};
use crate::model::{Error, Result};
use rustix::fs::{FallocateFlags, RawDir, SeekFrom, fallocate, fstatvfs, statvfs};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The open files of sled, which must reach the disk before the journal forgets what was brought to them.
#[derive(Debug)]
pub(super) struct SledFiles {
    log: File,
    blobs: File,
    blobs_path: PathBuf,
    synced_blobs: HashSet<OsString>,
    dir: PathBuf,
    settings: Settings,
}

impl SledFiles {
    /// Opens the files of the freshly opened sled in `dir` and makes all it has just written durable.
    pub(super) fn open(dir: &Path, settings: Settings) -> Result<Self> {
        let db = dir.join("db");
        let blobs_path = db.join("blobs");
        let open = |path: &Path, writable: bool| {
            let file = File::options().read(true).write(writable).open(path);
            file.map_err(|e| Error::io("open the state store's files", e))
        };
        let log = open(&db.join("db"), true)?;
        let blobs = open(&blobs_path, false)?;
        let synced_blobs = HashSet::new();
        let dir = dir.to_owned();
        let mut disk = Self {
            log,
            blobs,
            blobs_path,
            synced_blobs,
            dir,
            settings,
        };
        if settings.fsync {
            sync_folder(&db)
                .and_then(|()| disk.sync())
                .map_err(|e| Error::io("fsync the state store", e))?;
        }
        disk.restore_ballast();
        // So that the first commit makes no more system calls than the others. On a full disk it is tried again before each.
        let _ = disk.allocate_log();
        Ok(disk)
    }

    /// Makes everything sled has written durable. sled creates files in its folder only while it opens, so that
    /// afterwards its log and its blobs are all there is; the log's metadata follow by `fdatasync` as far as needed.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.settings.fsync {
            return Ok(());
        }
        self.log.sync_data()?;
        self.sync_blobs()
    }

    /// A blob is written once, never changed, and its name used once. The folder is read through the descriptor that is
    /// open already: a commit must not fail for good because clients hold all others.
    fn sync_blobs(&mut self) -> io::Result<()> {
        let mut present = HashSet::new();
        let mut any_new = false;
        rustix::fs::seek(&self.blobs, SeekFrom::Start(0))?;
        let mut room = Vec::with_capacity(4 << 10);
        let mut entries = RawDir::new(&self.blobs, room.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name == "." || name == ".." {
                continue;
            }
            if !self.synced_blobs.contains(&name) {
                match File::open(self.blobs_path.join(&name)) {
                    Ok(blob) => blob.sync_all()?,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                }
                any_new = true;
            }
            present.insert(name);
        }
        if any_new {
            self.blobs.sync_all()?;
        }
        self.synced_blobs = present;
        Ok(())
    }

    /// Makes a journal for the store.
    pub(super) fn create_journal(&self) -> io::Result<Journal> {
        Journal::create(
            &journal_path(&self.dir),
            self.settings.journal,
            self.settings.fsync,
        )
    }

    /// Whether anything may be written.
    pub(super) fn has_room(&self) -> bool {
        let free = fstatvfs(&self.blobs).map(|s| s.f_bavail.saturating_mul(s.f_frsize));
        free.is_ok_and(|free| free >= self.settings.min_free) && self.allocate_log().is_ok()
    }

    /// Allocates what the next checkpoint may append to sled's log. Another program may fill the disk after the look at
    /// its free space, and sled cannot be used again after a write that failed.
    fn allocate_log(&self) -> io::Result<()> {
        let needed = self.settings.min_free / 4;
        let log = self.log.metadata()?;
        // What sled cuts off its log loses what was allocated behind it.
        if needed == 0 || log.blocks().saturating_mul(512) >= log.len() + needed {
            return Ok(());
        }
        match fallocate(
            &self.log,
            FallocateFlags::KEEP_SIZE,
            log.len(),
            needed + needed / 4,
        ) {
            Err(e @ (Errno::NOSPC | Errno::DQUOT)) => Err(e.into()),
            // Without fallocate on this file system, the free space has to do.
            _ => Ok(()),
        }
    }

    /// Sets the ballast aside again after it was needed; without room for it, later.
    pub(super) fn restore_ballast(&self) {
        let path = ballast_path(&self.dir);
        if path.exists()
            || require_room(&self.dir, self.settings.min_free + self.settings.ballast).is_err()
        {
            return;
        }
        let made = File::create(&path).and_then(|file| {
            Ok(fallocate(
                &file,
                FallocateFlags::empty(),
                0,
                self.settings.ballast,
            )?)
        });
        if let Err(error) = made {
            tracing::warn!(%error, "could not set disk space aside for opening the state store on a full disk");
            let _ = fs::remove_file(&path);
        }
    }
}

/// Gives the ballast up when sled could not open without it; `NoSpace` for a new store on a full disk. Should sled
/// still find no room, it fails with `NoSpace` too, and the next start sets its unfinished snapshot aside.
pub(super) fn prepare_to_open(dir: &Path, settings: Settings) -> Result<()> {
    let store_exists = dir.join("db").exists();
    if !store_exists {
        return require_room(dir, settings.min_free);
    }
    if require_room(dir, settings.ballast).is_ok() {
        return Ok(());
    }
    tracing::warn!(
        "the disk is full: the state store opens from its reserve and is read-only until there is room"
    );
    match fs::remove_file(ballast_path(dir)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("free the state store's reserve", e))
        }
        _ => Ok(()),
    }
}

fn ballast_path(dir: &Path) -> PathBuf {
    dir.join("ballast")
}

/// `NoSpace` when the file system of `dir` has fewer than `bytes` free.
pub(super) fn require_room(dir: &Path, bytes: u64) -> Result<()> {
    let space = statvfs(dir).map_err(|e| Error::io("ask for free disk space", e))?;
    if space.f_bavail.saturating_mul(space.f_frsize) < bytes {
        Err(Error::NoSpace)
    } else {
        Ok(())
    }
}

/// Creates a folder and its missing parents, each durably.
pub(super) fn create_durably(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    create_durably(parent)?;
    // Password hashes lie below.
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create the state folder", e));
        }
        _ => {}
    }
    File::open(parent)
        .and_then(|p| p.sync_all())
        .map_err(|e| Error::io("fsync the data folder", e))
}

/// Makes the files of a folder, its entries and its own entry in the parent durable.
pub(super) fn sync_folder(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(dir)?.sync_all()?;
    dir.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
