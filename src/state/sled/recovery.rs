//! Opening sled so that neither its errors nor its panics nor what a crash left behind stop the program for good.

use super::disk::{create_durably, prepare_to_open, sync_folder};
use super::journal::{Journal, OpenedJournal};
use super::{RecordMap, Settings, UNJOURNALED, VERSION, VERSION_KEY, export, journal_path};
use crate::model::time::unix_seconds;
use crate::model::{Error, Result};
use std::collections::HashSet;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A store that is whole, on its way to be `db`.
const REPLACEMENT: &str = "db.new";

/// sled and what it holds.
pub(super) struct OpenedStore {
    pub(super) db: ::sled::Db,
    pub(super) records: RecordMap,
    /// Whether a journal belongs to it.
    journaled: bool,
}

/// Opens sled and reads all of it; when it cannot be read it is replaced by its newest export.
pub(super) fn open(dir: &Path, settings: Settings) -> Result<OpenedStore> {
    finish_replacement(dir)?;
    prepare_to_open(dir, settings)?;
    let was_complete =
        journal_path(dir).exists() || !export::list(&export::folder(dir))?.is_empty();
    set_unfinished_snapshots_aside(dir)?;
    match open_and_read(&dir.join("db"), was_complete) {
        Err(OpenFailure::Unreadable(why)) => restore_newest(dir, &why),
        Err(OpenFailure::Other(error)) => Err(error),
        Ok(opened) => Ok(opened),
    }
}

/// Opens the journal, brings its changes into the records, and says which keys sled has yet to learn about. `None`
/// when one must be made before anything is changed.
pub(super) fn read_journal(
    dir: &Path,
    opened: &mut OpenedStore,
    settings: Settings,
) -> Result<(Option<Journal>, HashSet<String>)> {
    let doing = "read the state store's journal";
    let path = journal_path(dir);
    let mut pending = HashSet::new();
    match Journal::open(&path, settings.fsync).map_err(|e| Error::io(doing, e))? {
        OpenedJournal::Whole(journal, changes) if opened.journaled => {
            for (key, value) in changes.into_iter().flatten() {
                match value {
                    Some(value) => opened.records.insert(key.clone(), value),
                    None => opened.records.remove(&key),
                };
                pending.insert(key);
            }
            return Ok((Some(journal), pending));
        }
        OpenedJournal::Missing if !opened.journaled => return Ok((None, pending)),
        // made for a store that had no time to know of it
        OpenedJournal::Whole(journal, _) if journal.is_empty() => return Ok((None, pending)),
        OpenedJournal::Whole(..) => {
            tracing::warn!("the journal of a replaced state store is set aside");
        }
        OpenedJournal::Missing => journal_lost("it is missing"),
        OpenedJournal::Damaged(why) => journal_lost(why),
    }
    if path.exists() {
        fs::rename(&path, broken_folder(dir)?.join("journal")).map_err(|e| Error::io(doing, e))?;
    }
    Ok((None, pending))
}

fn journal_lost(why: &str) {
    tracing::error!(
        why,
        "THE JOURNAL OF THE STATE STORE WAS DAMAGED: the last changes to accounts, shares, links and locks before \
         this start are lost; a damaged journal is kept in broken-<time>"
    );
}

/// Puts records in the place of whatever `db/` holds, which is kept in `broken-<time>`. With [`UNJOURNALED`] as its
/// version the new store disowns the journal that lies there.
pub(super) fn replace(dir: &Path, records: &RecordMap, version: u32) -> Result<()> {
    let doing = "restore the state store";
    let failed = |e| Error::io(doing, e);
    let (db, fresh, filling) = (
        dir.join("db"),
        dir.join(REPLACEMENT),
        dir.join("db.filling"),
    );
    for left in [&fresh, &filling] {
        if left.exists() {
            fs::remove_dir_all(left).map_err(failed)?;
        }
    }
    fill(&filling, records, version)?;
    // From here on it is whole, and `finish_replacement` ends what a crash cuts.
    fs::rename(&filling, &fresh)
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(failed)?;
    if db.exists() {
        fs::rename(&db, broken_folder(dir)?.join("db")).map_err(failed)?;
    }
    fs::rename(&fresh, &db)
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(failed)
}

/// Ends a replacement that was cut between its two renames: the records that were chosen are the ones that open, and not those of
/// another export. One that was cut before them was never made: what is there stays.
fn finish_replacement(dir: &Path) -> Result<()> {
    let db = dir.join("db");
    let fresh = dir.join(REPLACEMENT);
    if !fresh.exists() {
        return Ok(());
    }
    if db.exists() {
        return fs::remove_dir_all(&fresh)
            .map_err(|e| Error::io("remove a state store that was not put in place", e));
    }
    tracing::warn!("an earlier run ended while it replaced the state store; that is finished now");
    let renamed = fs::rename(&fresh, &db).and_then(|()| File::open(dir)?.sync_all());
    renamed.map_err(|e| Error::io("put the replaced state store in place", e))
}

/// Why a store did not open.
enum OpenFailure {
    /// Its content makes no sense; an export may help.
    Unreadable(String),
    /// Anything else: the content may well be sound.
    Other(Error),
}

impl From<::sled::Error> for OpenFailure {
    fn from(error: ::sled::Error) -> Self {
        match error {
            ::sled::Error::Io(e)
                if e.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()) =>
            {
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
fn open_and_read(path: &Path, was_complete: bool) -> Result<OpenedStore, OpenFailure> {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = open_sled(path)?;
        let (records, version) = read_all(&db, was_complete)?;
        Ok(OpenedStore {
            db,
            records,
            journaled: version > UNJOURNALED,
        })
    }));
    opened.unwrap_or_else(|_| {
        Err(OpenFailure::Unreadable(
            "sled panicked while it read the store".into(),
        ))
    })
}

/// sled's own lock can outlive its last handle by a moment; that nobody else holds it, our `owner` file has shown.
pub(super) fn open_sled(path: &Path) -> std::result::Result<::sled::Db, ::sled::Error> {
    let config = ::sled::Config::new()
        .path(path)
        .cache_capacity(16 << 20)
        .flush_every_ms(None)
        .use_compression(false);
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        match config.open() {
            Err(::sled::Error::Io(e))
                if e.to_string().contains("could not acquire lock")
                    && Instant::now() < patience =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

fn read_all(db: &::sled::Db, was_complete: bool) -> Result<(RecordMap, u32), OpenFailure> {
    let mut records = RecordMap::new();
    for pair in db.iter() {
        let (key, value) = pair?;
        let text = |bytes: ::sled::IVec| {
            String::from_utf8(bytes.to_vec())
                .map_err(|_| OpenFailure::Unreadable("a record is not text".into()))
        };
        records.insert(text(key)?, text(value)?);
    }
    match records.remove(VERSION_KEY).map(|text| text.parse::<u32>()) {
        Some(Ok(version)) if version <= VERSION => Ok((records, version)),
        Some(Ok(version)) => Err(OpenFailure::Other(Error::Corrupt(format!(
            "The state store was written by a newer Sarang (its format is {version}, this program knows {VERSION}): \
             run that version, or restore an export that this one made."
        )))),
        // a store that has an export or a journal was once complete
        None if records.is_empty() && !was_complete => {
            db.insert(VERSION_KEY, UNJOURNALED.to_string().as_bytes())?;
            db.flush()?;
            Ok((records, UNJOURNALED))
        }
        _ => Err(OpenFailure::Unreadable("its version is missing".into())),
    }
}

/// A snapshot that a killed or full run left unfinished makes sled take the whole store for corrupt; it is never needed.
fn set_unfinished_snapshots_aside(dir: &Path) -> Result<()> {
    let doing = "set an unfinished snapshot aside";
    let Ok(entries) = fs::read_dir(dir.join("db")) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry.map_err(|e| Error::io(doing, e))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
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

/// The journal is kept and read on top: lost is what changed between the export and the journal's beginning.
fn restore_newest(dir: &Path, why: &str) -> Result<OpenedStore> {
    let mut exports = export::list(&export::folder(dir))?;
    while let Some(path) = exports.pop() {
        match export::read(&path) {
            Ok(records) => {
                tracing::error!(
                    why, export = %path.display(), records = records.len(),
                    "THE STATE STORE WAS DAMAGED and is replaced by its newest export; later changes to accounts, \
                     shares and links are lost, but for those of the last seconds that are still in the journal; \
                     the damaged files are kept in broken-<time>"
                );
                replace(dir, &records, VERSION)?;
                return open_and_read(&dir.join("db"), true)
                    .map_err(|failure| unreadable(dir, failure));
            }
            Err(error) => {
                tracing::error!(%error, export = %path.display(), "an export cannot be read");
            }
        }
    }
    Err(unreadable(dir, OpenFailure::Unreadable(why.to_owned())))
}

fn unreadable(dir: &Path, failure: OpenFailure) -> Error {
    match failure {
        OpenFailure::Other(error) => error,
        OpenFailure::Unreadable(why) => Error::Corrupt(format!(
            "The state store in {} cannot be read ({why}) and has no readable export: \
             stop the server and run `sarang store restore FILE` with an export that was kept elsewhere.",
            dir.display()
        )),
    }
}

/// Writes a new, durable store; until it is renamed into place a power cut costs nothing.
fn fill(path: &Path, records: &RecordMap, version: u32) -> Result<()> {
    let failed =
        |e: ::sled::Error| Error::io("write the restored state store", std::io::Error::from(e));
    let db = ::sled::Config::new()
        .path(path)
        .cache_capacity(16 << 20)
        .flush_every_ms(None)
        .open()
        .map_err(failed)?;
    for (key, value) in records {
        db.insert(key.as_bytes(), value.as_bytes())
            .map_err(failed)?;
    }
    db.insert(VERSION_KEY, version.to_string().as_bytes())
        .map_err(failed)?;
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
