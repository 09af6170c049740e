//! Reading folders, a page at a time, in memory that does not grow with them.

use super::os::{self, Errno, Kind, Lookup, fd};
use super::root::{Root, explain};
use super::{blocking, props};
use crate::content::{Entry, Listing};
use crate::model::path::check_name;
use crate::model::{Error, RelPath, Result};
use async_trait::async_trait;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Names read before a page is given out; the kernel's last buffer may bring some more.
const PAGE: usize = 256;

/// A folder being read.
pub(super) struct LocalListing {
    state: Option<State>,
}

struct State {
    root: Arc<Root>,
    dir: OwnedFd,
    with_props: bool,
    room: Vec<u8>,
}

impl LocalListing {
    /// Opens a folder; `None` when that would wait and `lookup` forbids it.
    pub fn open(root: &Arc<Root>, path: &RelPath, with_props: bool, lookup: Lookup) -> Result<Option<Self>> {
        match root.look(path, lookup, os::open_folder) {
            Ok(dir) => Ok(dir
                .map(|dir| Self { state: Some(State { root: Arc::clone(root), dir, with_props, room: Vec::new() }) })),
            // The kernel says ENOTDIR for a file and for a path that leads through one.
            Err(Error::NotFound) => match root.stat(path, lookup) {
                Ok(Some(node)) if !node.folder => Err(Error::NotFolder),
                Ok(None) => Ok(None),
                _ => Err(Error::NotFound),
            },
            Err(e) => Err(e),
        }
    }
}

#[async_trait]
impl Listing for LocalListing {
    async fn next_page(&mut self) -> Result<Vec<Entry>> {
        let Some(state) = self.state.take() else { return Ok(Vec::new()) };
        let (state, page) = blocking(move || state.next_page()).await?;
        self.state = state;
        Ok(page)
    }
}

impl State {
    /// The next page, and what reads on after it unless that was the end.
    fn next_page(mut self) -> Result<(Option<Self>, Vec<Entry>)> {
        let mut page = Vec::new();
        loop {
            let dir = fd(&self.dir);
            let more = os::read_names(dir, &mut self.room, PAGE, |name, kind| {
                page.extend(entry((&self.root, dir), name, kind, self.with_props)?);
                Ok::<_, Failed>(())
            });
            let more = more.map_err(|Failed(e)| explain("read the folder", e))?;
            if !more {
                return Ok((None, page));
            }
            if !page.is_empty() {
                return Ok((Some(self), page));
            }
        }
    }
}

struct Failed(Errno);

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

/// The name if drives show it: valid UTF-8, allowed by the name policy, not the server's own.
pub(super) fn visible(name: &CStr) -> Option<&str> {
    name.to_str().ok().filter(|name| check_name(name).is_ok())
}

/// One name and what it names, unless that is invisible or gone meanwhile.
fn entry(
    (root, dir): (&Root, BorrowedFd<'_>),
    raw: &CStr,
    kind: Option<Kind>,
    with_props: bool,
) -> os::Outcome<Option<Entry>> {
    if kind == Some(Kind::Other) {
        return Ok(None);
    }
    let Some(name) = visible(raw) else { return Ok(None) };
    let found = match os::stat_entry(dir, raw) {
        Ok(found) if found.kind != Kind::Other => found,
        Ok(_) | Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e),
    };
    let props = if with_props { props::read_at(root, dir, name)? } else { Vec::new() };
    Ok(Some(Entry { name: name.to_owned(), node: found.node, props }))
}
