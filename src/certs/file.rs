//! Files with private keys: whole or not there, on disk, and for the server's user alone.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What tells whether a file has changed; `None` without one.
pub type Stamp = Option<(SystemTime, u64, u64)>;

/// That of a file as it is now.
pub fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

/// Makes a folder in the data folder that only the server's user may enter, and those above it; they are on disk when this returns.
pub(super) fn make_folder(data_dir: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mut above = path
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(data_dir));
    above.try_for_each(|above| File::open(above)?.sync_all())
}

/// Replaces a file in one step that is on disk when this returns.
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = beside(path);
    // What a crash may have left.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// What a file holds; `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("{} cannot be read: {error}", path.display()),
        )),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}
