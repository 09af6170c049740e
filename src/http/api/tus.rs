//! Resumable uploads, by the tus protocol 1.0.0: creation, creation-with-upload, checksum, expiration, termination.

use super::ApiTag;
use super::caller::{MemberCaller, PublicCaller};
use super::json::Path;
use super::problem::{Failures, Problem};
use super::upload::refused;
use crate::app::App;
use crate::drive::{Checksum, Drive, DriveUpload};
use crate::http::caching;
use crate::http::conditional::with_current_etag;
use crate::http::dav::tokens::lock_tokens;
use crate::http::header_values;
use crate::model::{Error, Result, VPath, time};
use crate::uploads::{ResumableUpload, UploadSpec};
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use std::sync::Arc;
use utoipa::ToSchema;

const VERSION: &str = "1.0.0";
const BYTES: &str = "application/offset+octet-stream";
const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// The most bytes of metadata: they are kept in memory and in the records. A path has 4 KiB at most, in Base64 a third more.
const MAX_METADATA: usize = 8 << 10;
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
/// What the server can do, for clients that ask.
const ABILITIES: [(&str, &str); 3] = [
    ("tus-version", VERSION),
    (
        "tus-extension",
        "creation,creation-with-upload,checksum,expiration,termination",
    ),
    ("tus-checksum-algorithm", "sha1,sha256"),
];

/// The versions of tus that the server speaks.
#[derive(Clone, Copy, Debug, ToSchema)]
pub enum Protocol {
    /// 1.0.0
    #[schema(rename = "1.0.0")]
    V1,
}

/// A method that another may stand for.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(rename_all = "UPPERCASE")]
pub enum Meant {
    /// To go on.
    Patch,
    /// To give up.
    Delete,
    /// To look.
    Head,
}

/// What resumable uploads can do here.
#[utoipa::path(options, path = "/api/v1/uploads", tag = ApiTag::UPLOADS, operation_id = "describeUploads", security(()),
    responses((status = 204, description = "The abilities are in the headers.")))]
pub async fn describe(_: PublicCaller) -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    for (name, value) in ABILITIES {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Begins an upload. `Upload-Length` says how long it is, `Upload-Metadata` where it goes: `path`, or `folder` and `filename`;
/// `overwrite` (`false`: nothing may be there), `if_match` (an entity tag), `modified` (milliseconds since 1970).
/// The body may bring the first bytes.
#[utoipa::path(post, path = "/api/v1/uploads", tag = ApiTag::UPLOADS, operation_id = "beginUpload",
    params(("Upload-Length" = u64, Header, description = "The length in bytes."),
        ("Upload-Metadata" = String, Header, description = "Keys and Base64 values, as tus has them."),
        ("Tus-Resumable" = inline(Protocol), Header, description = "The version of the protocol.")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 201, description = "`Location` is the address of the upload."), Failures))]
pub async fn begin(
    member: MemberCaller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_version(&headers)?;
    let plan = plan(&headers)?;
    let drive = member.drive().await?;
    let (app, tokens) = (member.app.clone(), lock_tokens(&headers)?);
    let upload = {
        let (drive, tokens) = (drive.clone(), tokens.clone());
        let (fresh, path) = (plan.fresh, plan.path.clone());
        let begin = async move {
            let begun = app.uploads.create(&drive, plan, tokens).await;
            report_failure(&drive, &path, fresh, begun).await
        };
        member.app.run_to_completion(begin).await?
    };
    let brings = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == BYTES);
    let record = upload.record();
    let offset = if brings || record.len == 0 {
        let chunk = Chunk {
            offset: 0,
            checksum: checksum(&headers)?,
            tokens,
        };
        append(
            &member.app,
            &drive,
            &upload,
            chunk,
            if brings { body } else { Body::empty() },
        )
        .await?
    } else {
        0
    };
    let mut response = state(&upload, StatusCode::CREATED, offset);
    let location = HeaderValue::try_from(format!("/api/v1/uploads/{}", upload.id));
    response
        .headers_mut()
        .extend(location.ok().map(|location| (header::LOCATION, location)));
    Ok(response)
}

/// How far an upload has come.
#[utoipa::path(head, path = "/api/v1/uploads/{id}", tag = ApiTag::UPLOADS, operation_id = "showUpload",
    params(("id" = String, Path, description = "The id of the upload."),
        ("Tus-Resumable" = inline(Protocol), Header, description = "The version of the protocol.")),
    responses((status = 200, description = "`Upload-Offset` and `Upload-Length` say it."), Failures))]
pub async fn show(
    member: MemberCaller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_version(&headers)?;
    let upload = member.app.uploads.find(&member.identity, &id)?;
    let record = upload.record();
    let offset = if record.published.is_some() {
        record.len
    } else {
        // Whoever still sends is cut off: its bytes would come where the next ones will.
        let drive = member.drive().await?;
        upload.check(&drive).await?;
        let _turn = upload.acquire().await;
        upload.open(&drive, Vec::new()).await?.len()
    };
    let mut response = state(&upload, StatusCode::OK, offset);
    let out = response.headers_mut();
    out.insert(UPLOAD_LENGTH, HeaderValue::from(record.len));
    out.insert(header::CACHE_CONTROL, caching::NEVER);
    if let Ok(metadata) = HeaderValue::try_from(&record.metadata)
        && !record.metadata.is_empty()
    {
        out.insert(UPLOAD_METADATA, metadata);
    }
    Ok(response)
}

/// Goes on with an upload at `Upload-Offset`. With the last byte the file appears, under the conditions it was begun with.
#[utoipa::path(patch, path = "/api/v1/uploads/{id}", tag = ApiTag::UPLOADS, operation_id = "continueUpload",
    params(("id" = String, Path, description = "The id of the upload."),
        ("Upload-Offset" = u64, Header, description = "Where the bytes go: at the end of what has come."),
        ("Tus-Resumable" = inline(Protocol), Header, description = "The version of the protocol.")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, description = "`Upload-Offset` says how far it has come."),
        (status = 460, description = "The bytes are not those of `Upload-Checksum`; they are not kept."), Failures))]
pub async fn go_on(
    member: MemberCaller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_version(&headers)?;
    if headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind != BYTES)
    {
        return Err(Problem(Error::UnexpectedBody));
    }
    let upload = member.app.uploads.find(&member.identity, &id)?;
    let tokens = lock_tokens(&headers)?;
    let chunk = Chunk {
        offset: number(&headers, &UPLOAD_OFFSET)?,
        checksum: checksum(&headers)?,
        tokens,
    };
    let drive = member.drive().await?;
    let offset = append(&member.app, &drive, &upload, chunk, body).await?;
    Ok(state(&upload, StatusCode::NO_CONTENT, offset))
}

/// Gives an upload up; what has come of it is deleted.
#[utoipa::path(delete, path = "/api/v1/uploads/{id}", tag = ApiTag::UPLOADS, operation_id = "endUpload",
    params(("id" = String, Path, description = "The id of the upload."),
        ("Tus-Resumable" = inline(Protocol), Header, description = "The version of the protocol.")),
    responses((status = 204, description = "It is gone."), Failures))]
pub async fn end(
    member: MemberCaller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    check_version(&headers)?;
    let upload = member.app.uploads.find(&member.identity, &id)?;
    let (app, drive) = (member.app.clone(), member.drive().await?);
    let discard = async move {
        upload.check(&drive).await.or_else(gone)?;
        let _turn = upload.acquire().await;
        // Who may not go on with it may not end it either.
        match upload.open(&drive, Vec::new()).await {
            Ok(_) | Err(Error::NotFound) => app.abort_upload(&upload).await,
            Err(error) => Err(error),
        }
    };
    member.app.run_to_completion(discard).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// For clients that cannot send PATCH and DELETE: the method is in `X-HTTP-Method-Override`.
#[utoipa::path(post, path = "/api/v1/uploads/{id}", tag = ApiTag::UPLOADS, operation_id = "overrideUploadMethod",
    params(("id" = String, Path, description = "The id of the upload."),
        ("X-HTTP-Method-Override" = inline(Meant), Header, description = "The method that is meant."),
        ("Tus-Resumable" = inline(Protocol), Header, description = "The version of the protocol.")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 200, description = "As HEAD."), (status = 204, description = "As PATCH or DELETE."), Failures))]
pub async fn overridden(
    member: MemberCaller,
    id: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let method = headers
        .get(METHOD_OVERRIDE)
        .and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    match method {
        Some(Method::PATCH) => go_on(member, id, headers, body).await,
        Some(Method::DELETE) => end(member, id, headers).await.map(empty),
        Some(Method::HEAD) => show(member, id, headers).await,
        _ => Err(Problem(Error::BadRequest(
            "Say the method in X-HTTP-Method-Override: PATCH, DELETE or HEAD.",
        ))),
    }
}

/// Says in every answer which protocol this is.
pub async fn mark(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    if response.status() == StatusCode::PRECONDITION_FAILED {
        response
            .headers_mut()
            .insert("tus-version", HeaderValue::from_static(VERSION));
    }
    response
}

/// One part of an upload.
struct Chunk {
    offset: u64,
    checksum: Option<Checksum>,
    tokens: Vec<String>,
}

/// Adds a part; publishes the file when that was the last. Returns how far the upload has come. A part that breaks off is kept as far as
/// it came: though its client leaves, or the server stops, this goes on to its end.
async fn append(
    app: &Arc<App>,
    drive: &Drive,
    upload: &Arc<ResumableUpload>,
    chunk: Chunk,
    body: Body,
) -> Result<u64> {
    let (program, drive, upload) = (Arc::clone(app), drive.clone(), Arc::clone(upload));
    app.run_to_completion(async move { add(&program, &drive, &upload, chunk, body).await })
        .await
}

/// What leads nowhere any more may be given up.
fn gone(error: Error) -> Result<()> {
    if matches!(
        error,
        Error::NotFound | Error::ParentMissing | Error::NotFolder
    ) {
        Ok(())
    } else {
        Err(error)
    }
}

async fn add(
    app: &App,
    drive: &Drive,
    upload: &ResumableUpload,
    chunk: Chunk,
    body: Body,
) -> Result<u64> {
    upload.check(drive).await?;
    let turn = upload.acquire().await;
    let record = upload.record();
    if record.published.is_some() {
        return if chunk.offset == record.len {
            Ok(record.len)
        } else {
            Err(Error::Conflict)
        };
    }
    let mut open = upload.open(drive, chunk.tokens.clone()).await?;
    if open.len() != chunk.offset {
        return Err(Error::Conflict);
    }
    let poured = tokio::select! {
        poured = write_body(&mut open, chunk.checksum, record.len, body) => poured,
        () = turn.cancelled.cancelled() => Err(Error::Truncated),
    };
    if let Err(error @ (Error::Checksum | Error::TooLarge)) = poured {
        open.truncate(chunk.offset).await?;
        open.keep().await?;
        return Err(error);
    }
    if poured.is_err() || open.len() < record.len {
        let offset = open.keep().await?;
        poured?;
        app.uploads.touch(upload).await;
        return Ok(offset);
    }
    let put = report_failure(
        drive,
        &VPath::parse(&record.path)?,
        record.fresh,
        open.commit().await,
    )
    .await?;
    app.uploads.publish(upload, put.node.etag.to_string()).await;
    Ok(record.len)
}

/// What is said of an upload whose conditions may have failed.
async fn report_failure<T>(
    drive: &Drive,
    path: &VPath,
    fresh: bool,
    outcome: Result<T>,
) -> Result<T> {
    match outcome {
        Err(error) => Err(with_current_etag(drive, path, refused(error, fresh)).await),
        done => done,
    }
}

/// The bytes of a request into the upload: no more than it is long.
async fn write_body(
    open: &mut DriveUpload,
    mut checksum: Option<Checksum>,
    len: u64,
    body: Body,
) -> Result<()> {
    let (announced, mut came) = (body.size_hint().exact(), 0_u64);
    let mut chunks = body.into_data_stream();
    while let Some(bytes) = chunks.next().await {
        let bytes = bytes.map_err(|_| Error::Truncated)?;
        came = came.saturating_add(bytes.len() as u64);
        if open.len().saturating_add(bytes.len() as u64) > len {
            return Err(Error::TooLarge);
        }
        if let Some(checksum) = &mut checksum {
            checksum.update(&bytes);
        }
        open.write(bytes).await?;
    }
    // As it seems to end where its connection is dropped.
    if announced.is_some_and(|announced| came < announced) {
        return Err(Error::Truncated);
    }
    if checksum.is_none_or(Checksum::matches) {
        Ok(())
    } else {
        Err(Error::Checksum)
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// What every answer about an upload says.
fn state(upload: &ResumableUpload, status: StatusCode, offset: u64) -> Response {
    let (mut response, record) = (empty(status), upload.record());
    let out = response.headers_mut();
    out.insert(UPLOAD_OFFSET, HeaderValue::from(offset));
    if let Some(etag) = record
        .published
        .as_deref()
        .and_then(|etag| HeaderValue::try_from(etag).ok())
    {
        out.insert(header::ETAG, etag);
    } else if let Ok(end) =
        HeaderValue::try_from(time::http_date(time::from_unix_seconds(record.expires)))
    {
        out.insert(UPLOAD_EXPIRES, end);
    }
    response
}

fn check_version(headers: &HeaderMap) -> Result<()> {
    let said = headers.get(TUS_RESUMABLE);
    if said.is_some_and(|version| version == VERSION) {
        Ok(())
    } else {
        Err(Error::PreconditionFailed)
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64> {
    let text = header_values::text(headers, name)?.unwrap_or_default();
    let number = text
        .parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.ok_or(Error::BadRequest(
        "Upload-Length, or Upload-Offset, must be a number of bytes.",
    ))
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>> {
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

/// What the headers of a new upload say of it.
fn plan(headers: &HeaderMap) -> Result<UploadSpec> {
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
