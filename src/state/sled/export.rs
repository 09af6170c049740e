//! Exports: all records as JSON lines between a header (format, count) and a checksum, readable without sled.

use super::disk::create_durably;
use super::{RecordMap, VERSION};
use crate::model::time::iso_date;
use crate::model::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many exports a folder keeps.
const KEPT: usize = 7;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    sarang_state: u32,
    count: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportLine<'a> {
    k: std::borrow::Cow<'a, str>,
    v: std::borrow::Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    sha256: String,
}

/// Where a store keeps its own exports.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join("exports")
}

/// The text of an export.
pub(super) fn render(records: &RecordMap) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    line(
        &mut text,
        &Header {
            sarang_state: VERSION,
            count: records.len(),
        },
    )?;
    for (k, v) in records {
        line(
            &mut text,
            &ExportLine {
                k: k.into(),
                v: v.into(),
            },
        )?;
    }
    let sha256 = hex(&text);
    line(&mut text, &Trailer { sha256 })?;
    Ok(text)
}

/// Puts an export into a folder durably, and removes all but the newest seven from it.
pub(super) fn write(dir: &Path, text: &[u8], now: SystemTime) -> Result<PathBuf> {
    let doing = "write an export of the state store";
    create_durably(dir)?;
    let path = dir.join(format!("state-{}.jsonl", iso_date(now).replace(':', "")));
    let temp = dir.join(".export.tmp");
    let written = File::create(&temp)
        .and_then(|mut file| file.write_all(text).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temp, &path))
        .and_then(|()| File::open(dir)?.sync_all());
    written.map_err(|e| {
        if e.kind() == ErrorKind::StorageFull {
            Error::NoSpace
        } else {
            Error::io(doing, e)
        }
    })?;
    let exports = list(dir)?;
    for old in exports.iter().rev().skip(KEPT) {
        fs::remove_file(old).map_err(|e| Error::io("remove an old export", e))?;
    }
    Ok(path)
}

/// The exports in a folder, oldest first.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let doing = "list the exports of the state store";
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(doing, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(doing, e))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("state-") && path.extension().is_some_and(|e| e == "jsonl") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads an export whole; anything missing or changed is `Corrupt`.
pub(super) fn read(path: &Path) -> Result<RecordMap> {
    let text =
        fs::read_to_string(path).map_err(|e| Error::io("read an export of the state store", e))?;
    parse(&text).ok_or_else(|| {
        Error::Corrupt(format!(
            "{} is not a whole export that this version can read: use another one.",
            path.display()
        ))
    })
}

fn parse(text: &str) -> Option<RecordMap> {
    let body_end = text.trim_end_matches('\n').rfind('\n')? + 1;
    let (body, trailer) = text.split_at_checked(body_end)?;
    let trailer: Trailer = serde_json::from_str(trailer).ok()?;
    if trailer.sha256 != hex(body.as_bytes()) {
        return None;
    }
    let mut lines = body.lines();
    let header: Header = serde_json::from_str(lines.next()?).ok()?;
    let pair = |line| {
        serde_json::from_str::<ExportLine>(line)
            .ok()
            .map(|line| (line.k.into_owned(), line.v.into_owned()))
    };
    let records = lines.map(pair).collect::<Option<RecordMap>>()?;
    (header.sarang_state <= VERSION && header.count == records.len()).then_some(records)
}

fn line(text: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *text, value)
        .map_err(|e| Error::io("write an export of the state store", e))?;
    text.push(b'\n');
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
