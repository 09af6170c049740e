//! One process at a time: a lock on `owner`, whose text says who holds it.

use crate::model::time::iso_date;
use crate::model::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// A process that ends, or one forked from the owner that has yet to become another, lets go within a moment.
const PATIENCE: Duration = Duration::from_millis(500);

/// The right to use a store's folder, given back on drop and by the kernel when the process ends.
#[derive(Debug)]
pub(super) struct StoreLock(
    #[expect(dead_code, reason = "open as long as the folder is ours")] File,
);

impl StoreLock {
    /// Takes the folder, or says which process has it.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let doing = "take the data folder";
        let path = dir.join("owner");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| Error::io(doing, e))?;
        let patience = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => return Err(Error::io(doing, busy(&mut file))),
                Err(TryLockError::Error(e)) => return Err(Error::io(doing, e)),
            }
        }
        if let Err(error) = sign(&mut file) {
            tracing::warn!(%error, "could not write who owns the data folder; the lock holds all the same");
        }
        Ok(Self(file))
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    let text = format!(
        "process {} since {}\n",
        std::process::id(),
        iso_date(SystemTime::now())
    );
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

fn busy(file: &mut File) -> io::Error {
    let mut text = String::new();
    let read = file.take(200).read_to_string(&mut text).is_ok();
    let who = if read && !text.trim().is_empty() {
        text.trim()
    } else {
        "another process"
    };
    io::Error::new(
        ErrorKind::ResourceBusy,
        format!("The data folder is in use by {who}"),
    )
}
