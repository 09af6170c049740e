//! Uploads into memory: the bytes lie aside until the step that makes them the content of a file.

use super::Shared;
use super::space::MemoryReservation;
use super::state::{
    FileContent, FormerContent, ItemId, ItemKind, MemoryEvent, MemoryItem, MemoryState,
    StoredUpload,
};
use crate::model::{Error, RelPath, Result};
use crate::storage::history::Version;
use crate::storage::{
    Digest, InitialContent, PutOutcome, SpaceRequest, Upload, WriteOptions, unique_mtime,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::SystemTime;

/// A file being written.
pub(super) struct MemoryUpload {
    shared: Arc<Shared>,
    path: RelPath,
    bytes: Arc<Mutex<Vec<u8>>>,
    position: usize,
    written: u64,
    /// Whether the content did not come from its start to its end.
    is_patched: bool,
    base: ContentBase,
    /// Its id, if it outlives requests.
    id: Option<String>,
    reservation: MemoryReservation,
}

/// What new content is made from.
#[derive(Clone, Copy, Debug)]
pub(super) enum ContentBase {
    Nothing,
    /// The content of this number, if there was one: another one by now means that somebody else's change would be lost.
    Present(Option<u64>),
}

/// What a file is to hold.
pub(super) struct NewContent {
    pub bytes: Bytes,
    pub digest: Option<Digest>,
    pub base: ContentBase,
    /// The number of the promise that is kept by this.
    pub promise: Option<u64>,
}

impl MemoryUpload {
    pub fn begin(
        shared: &Arc<Shared>,
        path: &RelPath,
        start: InitialContent,
        room: SpaceRequest,
    ) -> Result<Self> {
        let mut base = ContentBase::Nothing;
        let mut bytes = Vec::new();
        let replaced = {
            let state = shared.state.lock();
            if state.find(path).is_ok_and(|id| state.item(id).is_folder()) {
                return Err(Error::IsFolder);
            }
            state.place(path)?;
            state.check_disk(room.len.unwrap_or_default())?;
            if start == InitialContent::Present {
                let present = state.file(path).ok().map(|(_, content)| content);
                bytes = present.map_or_else(Vec::new, |content| content.bytes.to_vec());
                base = ContentBase::Present(present.map(|content| content.serial));
            }
            state.replaced(path).1
        };
        let reservation = MemoryReservation::new(shared, room.limit, replaced);
        reservation.grow(room.len.unwrap_or_default())?;
        let bytes = Arc::new(Mutex::new(bytes));
        let mut upload = Self::new(shared, path, bytes, reservation);
        upload.is_patched = start == InitialContent::Present;
        upload.base = base;
        Ok(upload)
    }

    pub fn resume(shared: &Arc<Shared>, id: &str, path: &RelPath) -> Result<Self> {
        let stored = shared.state.lock().uploads.get(id).cloned();
        let bytes = stored.ok_or(Error::NotFound)?.bytes;
        let end = bytes.lock().len();
        let reservation = MemoryReservation::new(shared, None, 0);
        let mut upload = Self::new(shared, path, bytes, reservation);
        upload.position = end;
        upload.id = Some(id.to_owned());
        Ok(upload)
    }

    fn new(
        shared: &Arc<Shared>,
        path: &RelPath,
        bytes: Arc<Mutex<Vec<u8>>>,
        reservation: MemoryReservation,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            path: path.clone(),
            bytes,
            position: 0,
            written: 0,
            is_patched: false,
            base: ContentBase::Nothing,
            id: None,
            reservation,
        }
    }

    fn content(&self) -> NewContent {
        let bytes = Bytes::copy_from_slice(&self.bytes.lock());
        NewContent {
            digest: (!self.is_patched).then(|| *blake3::hash(&bytes).as_bytes()),
            bytes,
            base: self.base,
            promise: Some(self.reservation.number),
        }
    }
}

#[async_trait]
impl Upload for MemoryUpload {
    fn len(&self) -> u64 {
        self.bytes.lock().len() as u64
    }

    async fn seek(&mut self, offset: u64) -> Result<()> {
        let to = usize::try_from(offset).map_err(|_| Error::TooLarge)?;
        if to > self.bytes.lock().len() {
            return Err(Error::BadRequest("The write would leave a gap."));
        }
        self.is_patched |= to != self.position;
        self.position = to;
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let end = self.position + chunk.len();
        self.reservation.grow(self.len().max(end as u64))?;
        let mut bytes = self.bytes.lock();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[self.position..end].copy_from_slice(&chunk);
        self.position = end;
        self.written += chunk.len() as u64;
        Ok(())
    }

    async fn truncate(&mut self, len: u64) -> Result<()> {
        let len = usize::try_from(len).map_err(|_| Error::TooLarge)?;
        self.bytes.lock().truncate(len);
        self.position = self.position.min(len);
        Ok(())
    }

    async fn persist(self: Box<Self>) -> Result<u64> {
        Ok(self.len())
    }

    async fn commit(self: Box<Self>, options: WriteOptions) -> Result<PutOutcome> {
        let way = (self.path.clone(), options);
        self.commit_first_free(vec![way]).await
    }

    async fn commit_first_free(
        self: Box<Self>,
        ways: Vec<(RelPath, WriteOptions)>,
    ) -> Result<PutOutcome> {
        let is_other = |len| len != self.written;
        if ways
            .iter()
            .any(|(_, options)| options.len.is_some_and(is_other))
        {
            return Err(Error::Truncated);
        }
        let content = self.content();
        let mut put = Err(Error::PreconditionFailed);
        for (path, options) in &ways {
            put = self.shared.put(path, &content, options);
            if !put.as_ref().is_err_and(is_taken) {
                break;
            }
        }
        if let (Some(id), Ok(_)) = (&self.id, &put) {
            self.shared.state.lock().uploads.remove(id);
        }
        put
    }
}

/// Whether something stands at a name or is locked there.
fn is_taken(error: &Error) -> bool {
    matches!(
        error,
        Error::PreconditionFailed | Error::IsFolder | Error::Locked { .. } | Error::Conflict
    )
}

impl Shared {
    /// Gives the file at a path this content; the one before becomes a version.
    pub fn put(
        &self,
        path: &RelPath,
        new: &NewContent,
        options: &WriteOptions,
    ) -> Result<PutOutcome> {
        let mut state = self.state.lock();
        let place = state.place(path)?;
        let old = place.there.map(|_| state.file(path)).transpose()?;
        let serial = old.map(|(_, content)| content.serial);
        let old_len = old.map_or(0, |(_, content)| content.bytes.len() as u64);
        if matches!(new.base, ContentBase::Present(base) if base != serial) {
            return Err(Error::Conflict);
        }
        let step = self.check(&state, options, place.there)?;
        state.check_limit(new.bytes.len() as u64, old_len, options.limit)?;
        let replaced = place.there.map(|there| state.node(there));
        let before = replaced.as_ref().map(|node| node.modified);
        let modified = unique_mtime(options.modified, before)?;
        let id = if let Some(id) = place.there {
            state.overwrite(id, new);
            id
        } else {
            let kind = ItemKind::File(FileContent {
                bytes: new.bytes.clone(),
                digest: new.digest,
                serial: state.next_number(),
                versions: Vec::new(),
            });
            state.add(MemoryItem {
                kind,
                ..MemoryItem::folder(place.parent, &place.name)
            })
        };
        state.item_mut(id).modified = modified;
        // What was promised is used now: nobody must see it twice.
        if let Some(number) = new.promise {
            state.promises.remove(&number);
        }
        Ok(PutOutcome {
            node: state.node(id),
            changed: step.made(replaced, true),
        })
    }
}

impl MemoryState {
    /// Replaces the content of a file. It becomes a version, unless it is empty or the same.
    fn overwrite(&mut self, id: ItemId, new: &NewContent) {
        let node = self.node(id);
        let version = Version {
            id: format!("{:x}", self.next_number()),
            replaced_at: SystemTime::now(),
            node,
        };
        let serial = self.next_number();
        let ItemKind::File(content) = &mut self.item_mut(id).kind else {
            return;
        };
        let bytes = std::mem::replace(&mut content.bytes, new.bytes.clone());
        let digest = std::mem::replace(&mut content.digest, new.digest);
        content.serial = serial;
        if bytes == new.bytes {
            return;
        }
        let kept = (!bytes.is_empty()).then(|| version.id.clone());
        if kept.is_some() {
            let former = FormerContent {
                version,
                bytes,
                digest,
            };
            content.versions.insert(0, former);
        }
        self.note(MemoryEvent::Written(id, kept));
    }
}

/// Makes what an upload that outlives requests is kept by.
pub(super) fn create(shared: &Shared, id: &str, len: u64) -> Result<()> {
    let mut state = shared.state.lock();
    if state.uploads.contains_key(id) {
        return Err(Error::Exists);
    }
    state.check_disk(len)?;
    let bytes = Arc::default();
    let upload = StoredUpload { bytes, len };
    state.uploads.insert(id.to_owned(), upload);
    Ok(())
}
