//! The headers of tus: what a request says of an upload, read strictly.

use crate::drive::Checksum;
use crate::http::header_values;
use crate::model::{Error, Result, VPath, time};
use crate::uploads::UploadSpec;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, header};

pub(super) const VERSION: &str = "1.0.0";
pub(super) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");

/// The most bytes of metadata: they are kept in memory and in the records. A path has 4 KiB at most, in Base64 a third more.
const MAX_METADATA: usize = 8 << 10;

pub(super) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");

pub(super) fn check_version(headers: &HeaderMap) -> Result<()> {
    let said = headers.get(TUS_RESUMABLE);
    if said.is_some_and(|version| version == VERSION) {
        Ok(())
    } else {
        Err(Error::PreconditionFailed)
    }
}

pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64> {
    let text = header_values::text(headers, name)?.unwrap_or_default();
    let number = text
        .parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.ok_or(Error::BadRequest(
        "Upload-Length, or Upload-Offset, must be a number of bytes.",
    ))
}

pub(super) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>> {
    let Some(text) = header_values::text(headers, &UPLOAD_CHECKSUM)? else {
        return Ok(None);
    };
    let wrong = Error::BadRequest(
        "Upload-Checksum must be sha1 or sha256, a space, and the checksum in Base64.",
    );
    let Some((name, value)) = text.split_once(' ') else {
        return Err(wrong);
    };
    let Ok(expected) = BASE64_STANDARD.decode(value) else {
        return Err(wrong);
    };
    Checksum::new(name, expected).map(Some).ok_or(wrong)
}

/// Refuses headers that would change what a new upload becomes and mean nothing here: the file would be another than was asked for.
fn refuse_unsupported(headers: &HeaderMap) -> Result<()> {
    if headers.contains_key(UPLOAD_CONCAT) {
        return Err(Error::BadRequest(
            "Upload-Concat is not supported: each file is one upload.",
        ));
    }
    let conditions = [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_UNMODIFIED_SINCE,
        HeaderName::from_static("if"),
    ];
    if conditions.iter().any(|name| headers.contains_key(name)) {
        return Err(Error::BadRequest(
            "Say conditions in Upload-Metadata: if_match with an entity tag, or overwrite with false; and tokens of locks in Lock-Token.",
        ));
    }
    Ok(())
}

/// What the headers of a new upload say of it.
pub(super) fn plan(headers: &HeaderMap) -> Result<UploadSpec> {
    refuse_unsupported(headers)?;
    let len = number(headers, &UPLOAD_LENGTH)?;
    if i64::try_from(len).is_err() {
        return Err(Error::TooLarge);
    }
    let metadata = header_values::list(headers, &UPLOAD_METADATA)?.unwrap_or_default();
    if metadata.len() > MAX_METADATA {
        return Err(Error::BadRequest(
            "Upload-Metadata may have at most 8 KiB: a path, and a few words about the file.",
        ));
    }
    let pairs = pairs(&metadata)?;
    let value = |key: &str| {
        pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    };
    let path = match (value("path"), value("filename").or_else(|| value("name"))) {
        (Some(path), _) => VPath::parse(path)?,
        (None, Some(name)) => VPath::parse(value("folder").unwrap_or_default())?.join(name)?,
        (None, None) => {
            return Err(Error::BadRequest(
                "Upload-Metadata must have a path, or a filename.",
            ));
        }
    };
    let modified = value("modified").or_else(|| value("lastModified"));
    let wrong = Error::BadRequest(
        "modified in Upload-Metadata must be a number of milliseconds since 1970.",
    );
    let modified = modified
        .map(|text| time::parse_seconds(text).ok_or(wrong))
        .transpose()?;
    let modified = modified.map(|millis| millis.div_euclid(1000));
    let modified = modified.filter(|seconds| time::in_calendar(*seconds).is_some());
    let fresh = match value("overwrite") {
        None | Some("true") => false,
        Some("false") => true,
        Some(_) => {
            return Err(Error::BadRequest(
                "overwrite in Upload-Metadata must be true or false.",
            ));
        }
    };
    let tags = value("if_match").map(str::to_owned).into_iter().collect();
    Ok(UploadSpec {
        path,
        len,
        metadata,
        modified,
        fresh,
        tags,
    })
}

/// The pairs of `Upload-Metadata`.
fn pairs(metadata: &str) -> Result<Vec<(String, String)>> {
    let wrong = || {
        Error::BadRequest(
            "Upload-Metadata must be keys with values in Base64, separated by commas.",
        )
    };
    let pair = |pair: &str| {
        let (key, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        let value = BASE64_STANDARD.decode(value.trim()).map_err(|_| wrong())?;
        Ok((
            key.to_owned(),
            String::from_utf8(value).map_err(|_| wrong())?,
        ))
    };
    metadata
        .split(',')
        .filter(|text| !text.trim().is_empty())
        .map(pair)
        .collect()
}
