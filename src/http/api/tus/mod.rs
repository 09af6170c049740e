//! Resumable uploads, by the tus protocol 1.0.0: creation, creation-with-upload, checksum, expiration, termination.

mod append;
mod headers;

use crate::http::api::ApiTag;
use crate::http::api::caller::{MemberCaller, PublicCaller};
use crate::http::api::json::Path;
use crate::http::api::problem::{Failures, Problem};
use crate::http::caching;
use crate::http::dav::tokens::lock_tokens;
use crate::model::{Error, Result, time};
use crate::uploads::ResumableUpload;
use append::{Chunk, append, report_failure};
use axum::body::Body;
use axum::response::Response;
use headers::{
    TUS_RESUMABLE, UPLOAD_EXPIRES, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET, VERSION,
    check_version, checksum, number, plan,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use utoipa::ToSchema;

const BYTES: &str = "application/offset+octet-stream";
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
    let app = member.app.clone();
    let tokens = lock_tokens(&headers)?;
    let upload = {
        let drive = drive.clone();
        let tokens = tokens.clone();
        let fresh = plan.fresh;
        let path = plan.path.clone();
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
    let app = member.app.clone();
    let drive = member.drive().await?;
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

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// What every answer about an upload says.
fn state(upload: &ResumableUpload, status: StatusCode, offset: u64) -> Response {
    let mut response = empty(status);
    let record = upload.record();
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
