//! Uploads for browsers and scripts: the body of one request as a file, or the files of a form into a folder.
//! Bytes are streamed into the drive; a file shows only when it has arrived whole.

use super::ApiTag;
use super::bulk::{ItemResult, Results};
use super::caller::MemberCaller;
use super::files::Stat;
use super::json::Query;
use super::problem::{Failures, Problem, invalid};
use crate::drive::{Drive, DriveUpload, RequestPreconditions, UploadOptions};
use crate::http::conditional::{expect, with_current_etag};
use crate::http::content_disposition::{FileName, file_name};
use crate::http::dav::tokens::lock_tokens;
use crate::http::expected_length;
use crate::http::multipart::{MultipartField, MultipartForm};
use crate::http::owncloud::{oc_checksum, oc_mtime};
use crate::http::reply;
use crate::model::{Error, VPath};
use crate::storage::{Expect, InitialContent, PutOutcome};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::header::CONTENT_RANGE;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

/// The most files of one form.
const MAX_FILES: usize = 1000;
/// The most paths that a failure names.
const MAX_SHOWN: usize = 20;

/// Where an upload goes.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RawQuery {
    /// The file to be written.
    path: String,
    /// Whether it may replace a file; it may, if not said.
    overwrite: Option<bool>,
}

/// Where the files of a form go.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FormQuery {
    /// The folder; the drive itself if not said.
    #[serde(default)]
    path: String,
    /// Whether they may replace files; they may not, if not said.
    #[serde(default)]
    overwrite: bool,
}

/// Writes a file: the body is its content.
#[utoipa::path(put, path = "/api/v1/files/content", tag = ApiTag::FILES, operation_id = "upload", params(RawQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "It replaced a file.", body = Stat), (status = 201, body = Stat), Failures))]
pub async fn raw(
    member: MemberCaller,
    Query(query): Query<RawQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, axum::Json<Stat>), Problem> {
    if headers.contains_key(CONTENT_RANGE) {
        return Err(
            Error::BadRequest("An upload is the whole file, without Content-Range.").into(),
        );
    }
    let path = VPath::parse(&query.path)?;
    let condition = expect(&headers)?;
    let fresh = query.overwrite == Some(false);
    if fresh && condition != Expect::Any {
        return Err(
            Error::BadRequest("With overwrite=false an upload takes no other condition.").into(),
        );
    }
    let tokens = lock_tokens(&headers)?;
    let preconditions = RequestPreconditions {
        expect: if fresh { Expect::Absent } else { condition },
        lock_tokens: tokens,
        ..RequestPreconditions::default()
    };
    let len = expected_length::body_length(&Method::PUT, &headers)?;
    let modified = oc_mtime(&headers)?;
    let checksum = oc_checksum(&headers)?;
    let announced = UploadOptions {
        len,
        estimate: len,
        modified,
        start: InitialContent::Empty,
        checksum,
    };
    let drive = member.drive().await?;
    let bytes = body.into_data_stream().map_err(|_| Error::Truncated);
    let put = match drive.begin_put(&path, announced, preconditions).await {
        Ok(upload) => write_body(upload, bytes).await,
        Err(error) => Err(error),
    };
    let put = match put {
        Ok(put) => put,
        Err(error) => {
            return Err(with_current_etag(&drive, &path, refused(error, fresh))
                .await
                .into());
        }
    };
    let status = if put.created() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, axum::Json(Stat::new(&path, &put.node))))
}

/// Uploads the files of a form (`multipart/form-data`) into a folder, each on its own.
#[utoipa::path(post, path = "/api/v1/files", tag = ApiTag::FILES, operation_id = "uploadForm", params(FormQuery),
    request_body(content = Vec<u8>, content_type = "multipart/form-data"),
    responses((status = 200, body = Results), Failures))]
pub async fn form(
    member: MemberCaller,
    Query(query): Query<FormQuery>,
    request: Request,
) -> Result<axum::Json<Results>, FormFailure> {
    let into = FormTarget {
        folder: VPath::parse(&query.path)?,
        overwrite: query.overwrite,
        tokens: lock_tokens(request.headers())?,
    };
    let form = MultipartForm::of(request)?;
    let results = store_form(&member.drive().await?, &into, form).await?;
    if results.is_empty() {
        return Err(invalid("", "The form has no file in it.").into());
    }
    Ok(axum::Json(Results { results }))
}

/// A form that ended in a failure, and the files of it that are stored all the same.
#[derive(Debug)]
pub struct FormFailure {
    /// What went wrong.
    pub error: Error,
    /// The paths of what had arrived whole before.
    pub stored: Vec<String>,
}

impl From<Error> for FormFailure {
    fn from(error: Error) -> Self {
        Self {
            error,
            stored: Vec::new(),
        }
    }
}

impl FormFailure {
    /// The failure in a sentence, and what is stored.
    pub fn text(&self) -> String {
        if self.stored.is_empty() {
            return reply::text_of(&self.error);
        }
        let why = match &self.error {
            Error::Truncated => "The form did not arrive whole.".to_owned(),
            other => reply::text_of(other),
        };
        let shown = self.stored.len().min(MAX_SHOWN);
        let names = self.stored.get(..shown).unwrap_or_default().join(", ");
        let more = match self.stored.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{why} Stored before that: {names}{more}.")
    }
}

impl IntoResponse for FormFailure {
    fn into_response(self) -> Response {
        reply::log(&self.error);
        reply::problem_with(&self.error, self.text()).map(Body::new)
    }
}

/// Stores the files of a form in a folder. What goes wrong with one of them is told of that one, and what is beyond the most is told with the
/// first of it; a form that breaks off is a failure, and what had arrived whole before stays.
pub async fn store_form(
    drive: &Drive,
    into: &FormTarget,
    form: MultipartForm,
) -> Result<Vec<ItemResult>, FormFailure> {
    let mut results = Vec::new();
    match store_fields(drive, into, form, &mut results).await {
        Ok(()) => Ok(results),
        Err(error) => {
            let stored = results.into_iter().filter(ItemResult::is_done);
            let stored = stored.map(|result| result.path).collect();
            Err(FormFailure { error, stored })
        }
    }
}

async fn store_fields(
    drive: &Drive,
    into: &FormTarget,
    mut form: MultipartForm,
    results: &mut Vec<ItemResult>,
) -> Result<(), Error> {
    let folder = &into.folder;
    while let Some(field) = form.next_field().await? {
        // A browser sends an empty name when no file was chosen; other fields are not ours.
        let Some(FileName { shown, name }) = file_name(field.headers()) else {
            continue;
        };
        let shown = if folder.is_root() {
            shown
        } else {
            format!("{folder}/{shown}")
        };
        if results.len() == MAX_FILES {
            let limit = Error::LimitReached(
                "A form may have at most 1000 files; the first 1000 are stored.",
            );
            results.push(ItemResult::failed(shown, &limit));
            return Ok(());
        }
        let stored = match name {
            Ok(name) => store_field(drive, into, &name, field).await,
            Err(error) => Err(error),
        };
        results.push(match stored {
            Ok(put) => ItemResult::done(
                shown,
                if put.created() {
                    StatusCode::CREATED
                } else {
                    StatusCode::OK
                },
            ),
            Err(Error::Truncated) => return Err(Error::Truncated),
            Err(error) => {
                // Nothing of what follows would be stored either.
                drive.check()?;
                ItemResult::failed(shown, &error)
            }
        });
    }
    Ok(())
}

/// Where the files of a form go, and how.
#[derive(Clone, Debug)]
pub struct FormTarget {
    /// The folder.
    pub folder: VPath,
    /// Whether they may replace files.
    pub overwrite: bool,
    /// The tokens of the locks that may be passed.
    pub tokens: Vec<String>,
}

async fn store_field(
    drive: &Drive,
    into: &FormTarget,
    name: &str,
    field: MultipartField<'_>,
) -> Result<PutOutcome, Error> {
    let expect = if into.overwrite {
        Expect::Any
    } else {
        Expect::Absent
    };
    let preconditions = RequestPreconditions {
        expect,
        lock_tokens: into.tokens.clone(),
        ..RequestPreconditions::default()
    };
    let announced = UploadOptions {
        len: None,
        estimate: None,
        modified: None,
        start: InitialContent::Empty,
        checksum: None,
    };
    let put = match drive
        .begin_put(&into.folder.join(name)?, announced, preconditions)
        .await
    {
        Ok(upload) => write_body(upload, field.content()).await,
        Err(error) => Err(error),
    };
    put.map_err(|error| refused(error, !into.overwrite))
}

/// Bytes into a file; the last step runs to its end though the client leaves, and before it nothing shows.
async fn write_body(
    mut upload: DriveUpload,
    bytes: impl futures_util::Stream<Item = Result<Bytes, Error>>,
) -> Result<PutOutcome, Error> {
    let mut bytes = std::pin::pin!(bytes);
    while let Some(chunk) = bytes.try_next().await? {
        upload.write(chunk).await?;
    }
    upload.commit().await
}

/// Who must not replace hears that something is there, not that a condition failed.
pub fn refused(error: Error, fresh: bool) -> Error {
    if fresh && matches!(error, Error::PreconditionFailed) {
        Error::Exists
    } else {
        error
    }
}
