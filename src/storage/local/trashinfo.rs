//! The note beside each item of the trash, `trash/info/<name>.trashinfo` as freedesktop.org lays it down: where the item lay, when it was
//! deleted and by whom.

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::names::stat_name;
use super::sys::{self, FileKind, Lookup, fd};
use crate::model::time::{self, iso_date};
use crate::model::{AccountName, RelPath, Result};
use crate::storage::history::TrashedItem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

pub(super) const TRASHINFO: &str = ".trashinfo";

/// The most bytes a note may have: far more than a path percent-encoded.
pub(super) const TRASHINFO_LIMIT: u64 = 64 << 10;

/// What the path in a `.trashinfo` keeps as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The note about what lay at a path until now.
pub(super) fn trashinfo_of(path: &str) -> String {
    let now = iso_date(SystemTime::now());
    format!(
        "[Trash Info]\n{}\nDeletionDate={}\n",
        path_line(path),
        now.trim_end_matches('Z')
    )
}

/// The line of a note that says where its thing lay.
pub(super) fn path_line(path: &str) -> String {
    format!("Path={}", utf8_percent_encode(path, PLAIN))
}

/// The item called `id`; `None` for a note without a thing, and for what does not exist for us.
pub(super) fn item(dirs: &TreeDirs, id: String) -> Result<Option<TrashedItem>> {
    let Some(found) =
        stat_name(fd(&dirs.trash_files), &id)?.filter(|found| found.kind != FileKind::Other)
    else {
        return Ok(None);
    };
    let note = read_trashinfo(dirs, &id).map_err(|e| map_errno("read the trash", e))?;
    let Some((text, path)) = note.and_then(|text| path_in(&text).map(|path| (text, path))) else {
        return Ok(None);
    };
    let who = who_in(&text);
    let when =
        field(&text, "DeletionDate").and_then(|date| time::parse_iso_date(&format!("{date}Z")));
    Ok(Some(TrashedItem {
        id,
        path,
        deleted_by: who,
        deleted_at: when,
        node: found.node,
    }))
}

/// Where an item lay and who deleted or replaced it, as its note says; `None` where it does not say.
pub(super) fn origin(dirs: &TreeDirs, id: &str) -> Result<Option<(RelPath, Option<AccountName>)>> {
    let note = read_trashinfo(dirs, id).map_err(|e| map_errno("read the trash", e))?;
    Ok(note.and_then(|text| path_in(&text).map(|path| (path, who_in(&text)))))
}

fn who_in(note: &str) -> Option<AccountName> {
    field(note, "X-Sarang-Who").and_then(|who| AccountName::parse(who).ok())
}

/// What the note about an item says; `None` where there is none.
pub(super) fn read_trashinfo(dirs: &TreeDirs, id: &str) -> sys::SysResult<Option<String>> {
    trashinfo_in(fd(&dirs.trash_info), id)
}

/// As [`read_trashinfo`], in an open folder of notes.
pub(super) fn trashinfo_in(info: BorrowedFd<'_>, id: &str) -> sys::SysResult<Option<String>> {
    let note = match sys::open_read(info, &format!("{id}{TRASHINFO}"), Lookup::Full) {
        Err(sys::Errno::NOENT | sys::Errno::LOOP | sys::Errno::NAMETOOLONG) => return Ok(None),
        note => note?,
    };
    let mut text = Vec::new();
    let read = std::fs::File::from(note)
        .take(TRASHINFO_LIMIT)
        .read_to_end(&mut text);
    match read.map_err(|e| sys::Errno::from_io_error(&e).unwrap_or(sys::Errno::IO)) {
        // A folder of that name, made beside the server, says nothing.
        Ok(_) | Err(sys::Errno::ISDIR) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(e) => Err(e),
    }
}

/// Where a note says that its thing lay.
pub(super) fn path_in(note: &str) -> Option<RelPath> {
    let path = field(note, "Path").and_then(|path| percent_decode_str(path).decode_utf8().ok())?;
    RelPath::of_existing(&path)
        .ok()
        .filter(|path| !path.is_root())
}

fn field<'a>(note: &'a str, key: &str) -> Option<&'a str> {
    note.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}
