//! Answers PROPFIND, streaming: memory does not grow with the folder, and a listing that fails is cut off, never short.

use crate::drive::{Drive, LocatedPath, LockView};
use crate::http::body::Body;
use crate::http::dav::headers::Depth;
use crate::http::dav::multistatus::{HEAD, MultistatusWriter, ResponseHref, TAIL};
use crate::http::dav::propfind_plan::PropfindPlan;
use crate::http::dav::props::PropertySource;
use crate::http::dav::requests::PropfindKind;
use crate::http::href;
use crate::http::reply;
use crate::model::{Identity, Result, VPath, Via};
use crate::storage::{DirEntry, Listing, Node};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use std::io;

/// A frame of the body goes out when it has this many bytes.
const FRAME: usize = 48 * 1024;
/// Buffer size: a frame and the entry that fills it.
const ROOM: usize = 64 * 1024;

/// What a PROPFIND asks.
#[derive(Clone, Debug)]
pub struct PropfindRequest<'a> {
    /// How far it reaches.
    pub depth: Depth,
    /// The client, for its quirks; empty if it does not say.
    pub user_agent: &'a str,
    /// Whether the quota properties shall not exist for this client.
    pub hide_quota: bool,
    /// What it wants to know.
    pub find: PropfindKind,
    /// What the addresses in the drive begin with.
    pub prefix: &'a str,
}

/// Answers with a 207.
pub async fn answer(
    drive: &Drive,
    path: &VPath,
    request: PropfindRequest<'_>,
) -> Result<Response<Body>> {
    let at = drive.at(path).await?;
    let node = at.node().await?;
    let plan = PropfindPlan::new(request.find, request.hide_quota, request.user_agent);
    let list = node.folder && request.depth != Depth::Zero;
    let listing = if list {
        Some(at.list(plan.needs_props()).await?)
    } else {
        None
    };
    let locked = list && plan.needs_locks() && !at.has_no_locks().await?;
    let mut pages = PropfindBody {
        base: href::encode(request.prefix, path, node.folder),
        account: shown_account(drive.identity()).to_owned(),
        prefix: request.prefix.to_owned(),
        locks: locked.then(|| locks_in(drive, path)),
        writer: MultistatusWriter::new(plan),
        listing,
        page: Vec::new().into_iter(),
        page_locks: Vec::new().into_iter(),
        out: HEAD.to_vec(),
        done: false,
    };
    if !list || request.depth != Depth::OneNoRoot {
        pages.write_self(&at, &node).await?;
    }
    Ok(multistatus(pages.into_body().await?))
}

/// The account that `current-user-principal` names; for visitors of a link it is hidden.
fn shown_account(identity: &Identity) -> &str {
    match identity.via {
        Via::Link(_) => "link",
        _ => identity.account.as_str(),
    }
}

/// The locks on each child of these names.
type ChildLocks = Box<dyn Fn(Vec<String>) -> LockViews + Send + Sync>;
type LockViews = BoxFuture<'static, Result<Vec<Vec<LockView>>>>;

fn locks_in(drive: &Drive, folder: &VPath) -> ChildLocks {
    let drive = drive.clone();
    let folder = folder.clone();
    Box::new(move |names| {
        let drive = drive.clone();
        let folder = folder.clone();
        async move { drive.locks_on_members(&folder, &names).await }.boxed()
    })
}

/// A 207 with this body.
pub fn multistatus(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::MULTI_STATUS;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/xml; charset=utf-8"),
    );
    response
}

/// A folder being written.
struct PropfindBody {
    base: Vec<u8>,
    account: String,
    prefix: String,
    /// `None` when no child can have a lock, or none is asked for.
    locks: Option<ChildLocks>,
    writer: MultistatusWriter,
    listing: Option<Box<dyn Listing>>,
    page: std::vec::IntoIter<DirEntry>,
    /// The locks on the rest of the page, in its order.
    page_locks: std::vec::IntoIter<Vec<LockView>>,
    out: Vec<u8>,
    done: bool,
}

impl PropfindBody {
    /// Writes what was asked for itself.
    async fn write_self(&mut self, at: &LocatedPath<'_>, node: &Node) -> Result<()> {
        let plan = self.writer.plan();
        let props = if plan.needs_props() {
            at.props().await?
        } else {
            Vec::new()
        };
        let quota = if plan.needs_quota() {
            Some(at.quota().await?)
        } else {
            None
        };
        let locks = if plan.needs_locks() {
            at.locks().await?
        } else {
            Vec::new()
        };
        let subject = PropertySource {
            name: at.path().name(),
            node,
            props: &props,
            locks: &locks,
            quota,
            account: &self.account,
            prefix: &self.prefix,
        };
        self.writer.write(
            &mut self.out,
            ResponseHref {
                base: &self.base,
                child: None,
            },
            &subject,
        );
        Ok(())
    }

    /// The body: whole if it is no more than a frame, so that early failures still have their status; else streamed.
    async fn into_body(mut self) -> Result<Body> {
        let first = self.next_frame().await?;
        if self.done {
            return Ok(Body::full(first));
        }
        let frames = stream::try_unfold((Some(first), self), |(first, mut pages)| async move {
            match first {
                Some(frame) => Ok(Some((frame, (None, pages)))),
                None if pages.done => Ok::<_, io::Error>(None),
                None => {
                    let frame = pages.next_frame().await.map_err(reply::cut_off)?;
                    Ok(Some((frame, (None, pages))))
                }
            }
        });
        Ok(Body::stream(frames, None))
    }

    /// The next bytes of the body, at least one.
    async fn next_frame(&mut self) -> Result<Bytes> {
        while !self.write_page() {
            let page = match &mut self.listing {
                Some(listing) => listing.next_page().await?,
                None => Vec::new(),
            };
            if page.is_empty() {
                self.out.extend_from_slice(TAIL);
                self.done = true;
                break;
            }
            if let Some(of) = &self.locks {
                let names = page.iter().map(|entry| entry.name.clone()).collect();
                self.page_locks = of(names).await?.into_iter();
            }
            self.out.reserve(ROOM.saturating_sub(self.out.len()));
            self.page = page.into_iter();
        }
        Ok(Bytes::from(std::mem::take(&mut self.out)))
    }

    /// Writes entries of the present page until a frame is full; says whether it is.
    fn write_page(&mut self) -> bool {
        if self.out.capacity() == 0 && self.page.len() > 0 {
            self.out.reserve(ROOM);
        }
        for entry in self.page.by_ref() {
            let locks = self.page_locks.next().unwrap_or_default();
            let subject = PropertySource {
                name: Some(&entry.name),
                node: &entry.node,
                props: &entry.props,
                locks: &locks,
                quota: None,
                account: &self.account,
                prefix: &self.prefix,
            };
            self.writer.write(
                &mut self.out,
                ResponseHref {
                    base: &self.base,
                    child: Some(&entry.name),
                },
                &subject,
            );
            if self.out.len() >= FRAME {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
