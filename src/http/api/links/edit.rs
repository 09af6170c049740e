//! What may be set on a link, and a change applied to its record.

use crate::http::api::field_patch::FieldPatch;
use crate::http::api::fields::check_note;
use crate::links::LinkRecord;
use crate::model::{Error, Result, Rights};
use zeroize::Zeroizing;

const MAX_PASSWORD: usize = 1024;

/// What changes of a record: the rest stays as it is at that moment, whoever has changed it meanwhile.
#[derive(Clone)]
pub(super) struct LinkEdit {
    pub(super) rights: Option<Rights>,
    pub(super) password: FieldPatch<String>,
    pub(super) expires: FieldPatch<i64>,
    pub(super) max_downloads: FieldPatch<u64>,
    pub(super) note: Option<String>,
}

impl LinkEdit {
    pub(super) fn apply(self, record: &mut LinkRecord) -> Result<()> {
        record.rights = self.rights.unwrap_or(record.rights);
        if !matches!(self.password, FieldPatch::Keep) {
            record.generation += 1;
        }
        record.password = self.password.apply(record.password.take());
        record.expires = self.expires.apply(record.expires);
        record.max_downloads = self.max_downloads.apply(record.max_downloads);
        record.note = self
            .note
            .unwrap_or_else(|| std::mem::take(&mut record.note));
        check(record.rights, record.max_downloads, &record.note)?;
        check_kind(record.rights, record.target.folder)
    }
}

pub(super) fn check(rights: Rights, max_downloads: Option<u64>, note: &str) -> Result<()> {
    let invalid = |pointer: &str, why: &str| {
        Err(Error::Invalid {
            pointer: pointer.into(),
            why: why.into(),
        })
    };
    if max_downloads == Some(0) {
        return invalid("/max_downloads", "A link allows at least one download.");
    }
    if max_downloads.is_some_and(|most| i64::try_from(most).is_err()) {
        return invalid(
            "/max_downloads",
            "A link allows at most 2^63 - 1 downloads.",
        );
    }
    if max_downloads.is_some() && rights == Rights::Drop {
        return invalid(
            "/max_downloads",
            "Nothing is downloaded by a link for uploads.",
        );
    }
    check_note(note)
}

pub(super) fn check_kind(rights: Rights, folder: bool) -> Result<()> {
    if rights != Rights::View && !folder {
        return Err(Error::Invalid {
            pointer: "/rights".into(),
            why: "A link to a file is for viewing.".into(),
        });
    }
    Ok(())
}

pub(super) fn checked(password: &Zeroizing<String>) -> Result<&[u8]> {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(Error::Invalid {
            pointer: "/password".into(),
            why: "A password has 1 to 1024 bytes.".into(),
        });
    }
    Ok(password.as_bytes())
}
