//! Answers PROPFIND, streaming: memory does not grow with the folder, and a listing that fails is cut off, never short.

use super::headers::Depth;
use super::href;
use super::multistatus::{HEAD, Place, Plan, TAIL, Writer};
use super::props::Subject;
use super::requests::Find;
use crate::content::{Entry, Listing, Node};
use crate::drive::{Drive, LockView};
use crate::http::body::Body;
use crate::model::{Result, VPath};
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use std::io;

/// A frame of the body goes out when it has this many bytes.
const FRAME: usize = 48 * 1024;
/// Room for a frame and the entry that fills it.
const ROOM: usize = 64 * 1024;

/// What a PROPFIND asks.
#[derive(Clone, Debug)]
pub struct PropfindRequest<'a> {
    /// The path as the client wrote it, percent-encoded, beginning with the prefix of the drive.
    pub href: &'a str,
    /// How far it reaches.
    pub depth: Depth,
    /// The client, for its quirks; empty if it does not say.
    pub user_agent: &'a str,
    /// Whether the quota properties shall not exist for this client.
    pub hide_quota: bool,
    /// What it wants to know.
    pub find: Find,
}

/// Answers with a 207.
pub async fn answer(drive: &Drive, path: &VPath, request: PropfindRequest<'_>) -> Result<Response<Body>> {
    let node = drive.stat(path).await?;
    let writer = Writer::new(Plan::new(request.find, request.hide_quota, request.user_agent));
    let mut pages = Pages {
        base: href::canonical(request.href, node.folder),
        path: path.clone(),
        drive: drive.clone(),
        writer,
        listing: None,
        page: Vec::new().into_iter(),
        out: Vec::new(),
        done: false,
    };
    let list = node.folder && request.depth != Depth::Zero;
    if list {
        pages.listing = Some(drive.list(path, pages.writer.plan().needs_props()).await?);
    }
    pages.out.extend_from_slice(HEAD);
    if !list || request.depth != Depth::OneNoRoot {
        pages.write_self(&node).await?;
    }
    let first = pages.next_frame().await?;
    let body = if pages.done { Body::full(first) } else { stream_from(first, pages) };
    Ok(multistatus(body))
}

/// A 207 with this body.
pub fn multistatus(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::MULTI_STATUS;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=utf-8"));
    response
}

/// The first frame and all that follow.
fn stream_from(first: Bytes, pages: Pages) -> Body {
    let frames = stream::try_unfold((Some(first), pages), |(first, mut pages)| async move {
        match first {
            Some(frame) => Ok(Some((frame, (None, pages)))),
            None if pages.done => Ok::<_, io::Error>(None),
            None => {
                let frame = pages.next_frame().await.map_err(io::Error::other)?;
                Ok(Some((frame, (None, pages))))
            }
        }
    });
    Body::stream(frames, None)
}

/// A folder being written.
struct Pages {
    drive: Drive,
    path: VPath,
    base: Vec<u8>,
    writer: Writer,
    listing: Option<Box<dyn Listing>>,
    page: std::vec::IntoIter<Entry>,
    out: Vec<u8>,
    done: bool,
}

impl Pages {
    /// Writes what was asked for itself.
    async fn write_self(&mut self, node: &Node) -> Result<()> {
        let plan = self.writer.plan();
        let props = if plan.needs_props() { self.drive.props(&self.path).await? } else { Vec::new() };
        let quota = if plan.needs_quota() { Some(self.drive.quota(&self.path).await?) } else { None };
        let locks = if plan.needs_locks() { self.drive.locks_on(&self.path) } else { Vec::new() };
        let account = self.drive.identity().account.as_str();
        let subject = Subject { name: self.path.name(), node, props: &props, locks: &locks, quota, account };
        self.writer.write(&mut self.out, Place { base: &self.base, child: None }, &subject);
        Ok(())
    }

    /// The next bytes of the body, at least one.
    async fn next_frame(&mut self) -> Result<Bytes> {
        loop {
            if self.write_page() {
                break;
            }
            let page = match &mut self.listing {
                Some(listing) => listing.next_page().await?,
                None => Vec::new(),
            };
            if page.is_empty() {
                self.out.extend_from_slice(TAIL);
                self.done = true;
                break;
            }
            self.out.reserve(ROOM.saturating_sub(self.out.len()));
            self.page = page.into_iter();
        }
        Ok(Bytes::from(std::mem::take(&mut self.out)))
    }

    /// Writes entries of the present page until a frame is full; says whether it is.
    fn write_page(&mut self) -> bool {
        let locked = self.page.len() > 0 && self.writer.plan().needs_locks() && !self.drive.has_no_locks();
        if self.out.capacity() == 0 && self.page.len() > 0 {
            self.out.reserve(ROOM);
        }
        let account = self.drive.identity().account.as_str();
        for entry in self.page.by_ref() {
            let locks = if locked { locks_on(&self.drive, &self.path, &entry.name) } else { Vec::new() };
            let subject = Subject {
                name: Some(&entry.name),
                node: &entry.node,
                props: &entry.props,
                locks: &locks,
                quota: None,
                account,
            };
            self.writer.write(&mut self.out, Place { base: &self.base, child: Some(&entry.name) }, &subject);
            if self.out.len() >= FRAME {
                return true;
            }
        }
        false
    }
}

/// The locks on a child.
fn locks_on(drive: &Drive, folder: &VPath, name: &str) -> Vec<LockView> {
    folder.join(name).map(|path| drive.locks_on(&path)).unwrap_or_default()
}
