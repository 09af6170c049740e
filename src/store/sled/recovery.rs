//! Opening sled so that neither its errors nor its panics nor what a crash left behind stop the program for good.

use super::disk::{create_durably, prepare_to_open, sync_folder};
use super::{Records, Settings, VERSION, VERSION_KEY, export};
use crate::model::time::unix_seconds;
use crate::model::{Error, Result};
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Opens the store and reads all of it; a store that cannot be read is replaced by its newest export.
pub(super) fn open(dir: &Path, settings: Settings) -> Result<(::sled::Db, Records)> {
    prepare_to_open(dir, settings)?;
    let exported = !export::list(&export::folder(dir))?.is_empty();
    set_unfinished_snapshots_aside(dir)?;
    match open_and_read(&dir.join("db"), exported) {
        Err(Failure::Unreadable(why)) => restore_newest(dir, &why),
        Err(Failure::Other(error)) => Err(error),
        Ok(opened) => Ok(opened),
    }
}

/// Puts records in the place of whatever `db/` holds, which is kept in `broken-<time>`.
pub(super) fn replace(dir: &Path, records: &Records) -> Result<()> {
    let doing = "restore the state store";
    let (db, fresh) = (dir.join("db"), dir.join("db.new"));
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(|e| Error::io(doing, e))?;
    }
    fill(&fresh, records)?;
    if db.exists() {
        fs::rename(&db, broken_folder(dir)?.join("db")).map_err(|e| Error::io(doing, e))?;
    }
    fs::rename(&fresh, &db).and_then(|()| File::open(dir)?.sync_all()).map_err(|e| Error::io(doing, e))
}

/// Why a store did not open.
enum Failure {
    /// Its content makes no sense; an export may help.
    Unreadable(String),
    /// Anything else: the content may well be sound.
    Other(Error),
}

impl From<::sled::Error> for Failure {
    fn from(error: ::sled::Error) -> Self {
        match error {
            ::sled::Error::Io(e) if e.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()) => {
                Self::Other(Error::NoSpace)
            }
            // sled reads past the end of a torn log as an early end of file
            ::sled::Error::Io(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => {
                Self::Other(Error::io("open the state store", e))
            }
            error => Self::Unreadable(error.to_string()),
        }
    }
}

/// sled panics on some damage, so both opening and the first full read are caught.
fn open_and_read(path: &Path, exported: bool) -> Result<(::sled::Db, Records), Failure> {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = open_sled(path)?;
        let records = read_all(&db, exported)?;
        Ok((db, records))
    }));
    opened.unwrap_or_else(|_| Err(Failure::Unreadable("sled panicked while it read the store".into())))
}

/// sled's own lock can outlive its last handle by a moment; that nobody else holds it, our `owner` file has shown.
fn open_sled(path: &Path) -> Result<::sled::Db, Failure> {
    let config = ::sled::Config::new().path(path).cache_capacity(16 << 20).flush_every_ms(None).use_compression(false);
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        match config.open() {
            Err(::sled::Error::Io(e))
                if e.to_string().contains("could not acquire lock") && Instant::now() < patience =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return Ok(opened?),
        }
    }
}

fn read_all(db: &::sled::Db, exported: bool) -> Result<Records, Failure> {
    let mut records = Records::new();
    for pair in db.iter() {
        let (key, value) = pair?;
        let text = |bytes: ::sled::IVec| {
            String::from_utf8(bytes.to_vec()).map_err(|_| Failure::Unreadable("a record is not text".into()))
        };
        records.insert(text(key)?, text(value)?);
    }
    match records.remove(VERSION_KEY).map(|text| text.parse::<u32>()) {
        Some(Ok(version)) if version <= VERSION => Ok(records),
        Some(Ok(version)) => Err(Failure::Other(Error::Corrupt(format!(
            "The state store was written by a newer Sarang (its format is {version}, this program knows {VERSION}): \
             run that version, or restore an export that this one made."
        )))),
        // a store that has been exported was once complete
        None if records.is_empty() && !exported => {
            db.insert(VERSION_KEY, VERSION.to_string().as_bytes())?;
            db.flush()?;
            Ok(records)
        }
        _ => Err(Failure::Unreadable("its version is missing".into())),
    }
}

/// A snapshot that a killed or full run left unfinished makes sled take the whole store for corrupt; it is never needed.
fn set_unfinished_snapshots_aside(dir: &Path) -> Result<()> {
    let doing = "set an unfinished snapshot aside";
    let Ok(entries) = fs::read_dir(dir.join("db")) else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(|e| Error::io(doing, e))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(
                name,
                "an earlier run ended while the state store opened; its unfinished snapshot is set aside"
            );
            fs::rename(&path, broken_folder(dir)?.join(name)).map_err(|e| Error::io(doing, e))?;
        }
    }
    Ok(())
}

fn restore_newest(dir: &Path, why: &str) -> Result<(::sled::Db, Records)> {
    let mut exports = export::list(&export::folder(dir))?;
    while let Some(path) = exports.pop() {
        match export::read(&path) {
            Ok(records) => {
                tracing::error!(
                    why, export = %path.display(), records = records.len(),
                    "THE STATE STORE WAS DAMAGED and is replaced by its newest export; later changes to accounts, \
                     shares and links are lost, and the damaged files are kept in broken-<time>"
                );
                replace(dir, &records)?;
                return open_and_read(&dir.join("db"), true).map_err(|failure| unreadable(dir, failure));
            }
            Err(error) => tracing::error!(%error, export = %path.display(), "an export cannot be read"),
        }
    }
    Err(unreadable(dir, Failure::Unreadable(why.to_owned())))
}

fn unreadable(dir: &Path, failure: Failure) -> Error {
    match failure {
        Failure::Other(error) => error,
        Failure::Unreadable(why) => Error::Corrupt(format!(
            "The state store in {} cannot be read ({why}) and has no readable export: \
             put a whole export from a backup into its folder `exports` and start again.",
            dir.display()
        )),
    }
}

/// Writes a new, durable store; until it is renamed into place a power cut costs nothing.
fn fill(path: &Path, records: &Records) -> Result<()> {
    let failed = |e: ::sled::Error| Error::io("write the restored state store", std::io::Error::from(e));
    let db = ::sled::Config::new().path(path).cache_capacity(16 << 20).flush_every_ms(None).open().map_err(failed)?;
    for (key, value) in records {
        db.insert(key.as_bytes(), value.as_bytes()).map_err(failed)?;
    }
    db.insert(VERSION_KEY, VERSION.to_string().as_bytes()).map_err(failed)?;
    db.flush().map_err(failed)?;
    drop(db);
    let synced = sync_folder(&path.join("blobs")).and_then(|()| sync_folder(path));
    synced.map_err(|e| Error::io("fsync the restored state store", e))
}

fn broken_folder(dir: &Path) -> Result<PathBuf> {
    let now = unix_seconds(SystemTime::now());
    let mut path = dir.join(format!("broken-{now}"));
    for n in 1.. {
        if !path.exists() {
            break;
        }
        path = dir.join(format!("broken-{now}-{n}"));
    }
    create_durably(&path)?;
    Ok(path)
}
