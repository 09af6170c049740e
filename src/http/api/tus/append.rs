//! Adds a part to an upload, and publishes the file with the last one.

use crate::app::App;
use crate::drive::{Checksum, Drive, DriveUpload};
use crate::http::api::upload::refused;
use crate::http::conditional::with_current_etag;
use crate::model::{Error, Result, VPath};
use crate::uploads::ResumableUpload;
use axum::body::Body;
use futures_util::StreamExt;
use http_body::Body as _;
use std::sync::Arc;

/// One part of an upload.
pub(super) struct Chunk {
    pub(super) offset: u64,
    pub(super) checksum: Option<Checksum>,
    pub(super) tokens: Vec<String>,
}

/// Adds a part; publishes the file when that was the last. Returns how far the upload has come. A part that breaks off is kept as far as
/// it came: though its client leaves, or the server stops, this goes on to its end.
pub(super) async fn append(
    app: &Arc<App>,
    drive: &Drive,
    upload: &Arc<ResumableUpload>,
    chunk: Chunk,
    body: Body,
) -> Result<u64> {
    let program = Arc::clone(app);
    let drive = drive.clone();
    let upload = Arc::clone(upload);
    app.run_to_completion(async move { add(&program, &drive, &upload, chunk, body).await })
        .await
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

/// The failure of an upload with the present entity tag, where a condition failed.
pub(super) async fn report_failure<T>(
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
    let announced = body.size_hint().exact();
    let mut came = 0_u64;
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
