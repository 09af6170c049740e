//! Thumbnails of the pictures in a drive.

use super::ApiTag;
use super::caller::MemberCaller;
use super::json::Query;
use super::problem::{Failures, Problem};
use crate::http::thumbnails::{ThumbnailRequester, USUAL, answer};
use crate::model::{Error, VPath};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

/// Of which file, and how large.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ThumbnailQuery {
    /// The picture.
    path: String,
    /// The longest side in pixels, 320 if not said.
    #[param(minimum = 32, maximum = 1024)]
    size: Option<u32>,
}

/// A small picture of a JPEG, PNG, WebP or GIF (its first), upright. 422 for what is none, or is too large to be looked at:
/// 24 MiB, or what takes more than 64 MiB of memory.
#[utoipa::path(get, path = "/api/v1/files/thumbnail", tag = ApiTag::FILES, operation_id = "showThumbnail", params(ThumbnailQuery),
    responses((status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = 304, description = "It is as `If-None-Match` has it."), Failures))]
pub async fn show(
    member: MemberCaller,
    Query(query): Query<ThumbnailQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let size = query.size.unwrap_or(USUAL);
    if !(32..=1024).contains(&size) {
        return Err(Error::Invalid {
            pointer: "/size".into(),
            why: "A side has 32 to 1024 pixels.".into(),
        }
        .into());
    }
    let path = VPath::parse(&query.path)?;
    let reader = member.drive().await?.open(&path).await?;
    Ok(answer(
        reader,
        size,
        &headers,
        ThumbnailRequester::ByMember(&member.identity.account_id),
    )
    .await?)
}
