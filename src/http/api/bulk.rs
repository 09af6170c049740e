//! Moving, copying and deleting many paths in one call: each on its own, each with a result of its own.

use super::ApiTag;
use super::caller::MemberCaller;
use super::json::Json;
use super::problem::{Failures, Problem};
use crate::drive::{Copying, Drive, RequestPreconditions};
use crate::http::dav::tokens::lock_tokens;
use crate::http::reply;
use crate::model::{Error, Result, VPath};
use crate::storage::CopyDepth;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most paths of one call.
const MAX_ITEMS: usize = 1000;

/// What became of one path.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ItemResult {
    /// The path, as it was given.
    pub path: String,
    /// The status that the change would have had alone.
    pub status: u16,
    /// The stable name of the failure; absent on success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The failure in a sentence; absent on success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of each path, in the order given.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Results {
    /// One for each path.
    pub results: Vec<ItemResult>,
}

/// Paths to be moved or copied.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfers {
    /// From where to where.
    #[schema(max_items = 1000)]
    items: Vec<Transfer>,
    /// Whether what stands at a target may be replaced (it goes to the trash).
    #[serde(default)]
    overwrite: bool,
}

/// From where to where; both with the name itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    from: String,
    to: String,
}

/// Paths to be deleted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deletions {
    /// The files and folders.
    #[schema(max_items = 1000)]
    paths: Vec<String>,
}

impl ItemResult {
    /// A path that went well.
    pub fn done(path: String, status: StatusCode) -> Self {
        Self {
            path,
            status: status.as_u16(),
            code: None,
            detail: None,
        }
    }

    /// A path that did not.
    pub fn failed(path: String, error: &Error) -> Self {
        reply::log(error);
        let status = reply::api_status(error).as_u16();
        Self {
            path,
            status,
            code: Some(reply::code(error)),
            detail: Some(reply::text_of(error)),
        }
    }

    /// Whether it went well.
    pub fn is_done(&self) -> bool {
        self.code.is_none()
    }

    fn of(path: String, outcome: Result<StatusCode>) -> Self {
        match outcome {
            Ok(status) => Self::done(path, status),
            Err(error) => Self::failed(path, &error),
        }
    }
}

/// Moves or renames files and folders.
#[utoipa::path(post, path = "/api/v1/files/move", tag = ApiTag::FILES, operation_id = "moveFiles", request_body = Transfers,
    responses((status = 200, body = Results), Failures))]
pub async fn rename(
    member: MemberCaller,
    headers: HeaderMap,
    Json(wanted): Json<Transfers>,
) -> Result<axum::Json<Results>, Problem> {
    transfer(member, wanted, TransferKind::Move, submitted(&headers)?).await
}

/// Copies files and folders, with all below.
#[utoipa::path(post, path = "/api/v1/files/copy", tag = ApiTag::FILES, operation_id = "copyFiles", request_body = Transfers,
    responses((status = 200, body = Results), Failures))]
pub async fn copy(
    member: MemberCaller,
    headers: HeaderMap,
    Json(wanted): Json<Transfers>,
) -> Result<axum::Json<Results>, Problem> {
    transfer(member, wanted, TransferKind::Copy, submitted(&headers)?).await
}

/// Moves files and folders to the trash.
#[utoipa::path(post, path = "/api/v1/files/delete", tag = ApiTag::FILES, operation_id = "deleteFiles", request_body = Deletions,
    responses((status = 200, body = Results), Failures))]
pub async fn delete(
    member: MemberCaller,
    headers: HeaderMap,
    Json(wanted): Json<Deletions>,
) -> Result<axum::Json<Results>, Problem> {
    let preconditions = submitted(&headers)?;
    check_count(wanted.paths.len(), "/paths")?;
    let drive = member.drive().await?;
    let work = async move {
        let mut results = Vec::with_capacity(wanted.paths.len());
        for path in wanted.paths {
            let outcome = delete_one(&drive, &path, preconditions.clone())
                .await
                .map(|()| StatusCode::NO_CONTENT);
            results.push(ItemResult::of(path, outcome));
        }
        Ok(Results { results })
    };
    Ok(axum::Json(member.app.run_to_completion(work).await?))
}

async fn delete_one(drive: &Drive, path: &str, preconditions: RequestPreconditions) -> Result<()> {
    drive.delete(&VPath::parse(path)?, preconditions).await
}

/// The tokens of the locks that may be passed, and no condition.
pub fn submitted(headers: &HeaderMap) -> Result<RequestPreconditions> {
    Ok(RequestPreconditions {
        lock_tokens: lock_tokens(headers)?,
        ..RequestPreconditions::default()
    })
}

/// Runs a change from path to path over all items, to its end though the client leaves.
async fn transfer(
    member: MemberCaller,
    wanted: Transfers,
    way: TransferKind,
    preconditions: RequestPreconditions,
) -> Result<axum::Json<Results>, Problem> {
    check_count(wanted.items.len(), "/items")?;
    let drive = member.drive().await?;
    let work = async move {
        let mut results = Vec::with_capacity(wanted.items.len());
        for Transfer { from, to } in wanted.items {
            let outcome = transfer_one(
                &drive,
                way,
                (&from, &to),
                (wanted.overwrite, preconditions.clone()),
            )
            .await;
            results.push(ItemResult::of(from, outcome));
        }
        Ok(Results { results })
    };
    Ok(axum::Json(member.app.run_to_completion(work).await?))
}

async fn transfer_one(
    drive: &Drive,
    way: TransferKind,
    (from, to): (&str, &str),
    (overwrite, preconditions): (bool, RequestPreconditions),
) -> Result<StatusCode> {
    let from = VPath::parse(from)?;
    let to = VPath::parse(to)?;
    let outcome = match way {
        TransferKind::Move => drive.rename(&from, &to, overwrite, preconditions).await,
        TransferKind::Copy => {
            drive
                .copy(
                    &from,
                    &to,
                    Copying {
                        reach: CopyDepth::Infinity,
                        overwrite,
                    },
                    preconditions,
                )
                .await
        }
    };
    match outcome {
        Ok(true) => Ok(StatusCode::CREATED),
        Ok(false) => Ok(StatusCode::NO_CONTENT),
        Err(Error::PreconditionFailed) if !overwrite => Err(Error::Exists),
        Err(error) => Err(error),
    }
}

/// What becomes of the source.
#[derive(Clone, Copy, Debug)]
enum TransferKind {
    Move,
    Copy,
}

fn check_count(count: usize, pointer: &str) -> Result<()> {
    if count > MAX_ITEMS {
        return Err(Error::Invalid {
            pointer: pointer.into(),
            why: "One call takes at most 1000 paths.".into(),
        });
    }
    Ok(())
}
