//! Fields that several resources have alike: notes, and times that are still to come.

use super::field_patch::FieldPatch;
use crate::model::time;
use crate::model::{Error, Result};
use std::time::SystemTime;

/// Characters of the note of a share, link or invite.
const MAX_NOTE: usize = 1000;

/// A time as the API writes it (RFC 3339).
pub(super) fn date(seconds: i64) -> String {
    time::iso_date(time::from_unix_seconds(seconds))
}

/// Reads the field `expires`, a time that is still to come, in seconds since 1970; `Invalid` at it.
pub(super) fn expiry(text: Option<&str>) -> Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let end = time::parse_iso_date(text).filter(|end| *end > SystemTime::now());
    let seconds = end.map(time::unix_seconds).ok_or_else(|| Error::Invalid {
        pointer: "/expires".into(),
        why: "This must be a time to come, written like 2030-12-31T23:59:59Z.".into(),
    })?;
    Ok(Some(seconds))
}

/// The same field in a change.
pub(super) fn changed_expiry(change: FieldPatch<String>) -> Result<FieldPatch<i64>> {
    Ok(match change {
        FieldPatch::Keep => FieldPatch::Keep,
        FieldPatch::Set(text) => FieldPatch::Set(expiry(text.as_deref())?),
    })
}

/// `Invalid` for a note that is too long.
pub(super) fn check_note(note: &str) -> Result<()> {
    if note.chars().count() <= MAX_NOTE {
        return Ok(());
    }
    Err(Error::Invalid {
        pointer: "/note".into(),
        why: format!("A note has at most {MAX_NOTE} characters."),
    })
}
