//! Where the bytes are: trees of files and folders that know paths but no accounts, shares or URLs.
//! [`Tree`] is the seam; [`local`] keeps plain files, and every implementation passes `contract`.

#[cfg(test)]
pub mod contract;
#[cfg(test)]
pub mod digest_contract;
mod etag;
mod file_id;
pub mod history;
#[cfg(test)]
pub mod history_contract;
pub mod local;
mod properties;
#[cfg(test)]
pub mod resumable_contract;
#[cfg(test)]
pub mod space_contract;

pub use etag::{Etag, later_mtime, next_unique_mtime, unique_mtime};
pub use file_id::FileId;
pub use properties::{DeadProp, OWN_NAMESPACE, PROPS_LIMIT, PropChange};

use crate::model::time::unix_seconds;
use crate::model::{AccountName, RelPath, Result};
use async_trait::async_trait;
use bytes::Bytes;
use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::SystemTime;

/// A file or folder as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Whether it is a folder.
    pub folder: bool,
    /// Length in bytes; 0 for a folder.
    pub len: u64,
    /// When its content last changed, or what the client set.
    pub modified: SystemTime,
    /// When it was made; equals `modified` where the file system does not say.
    pub created: SystemTime,
    /// Distinguishes every content this path ever has.
    pub etag: Etag,
}

impl Node {
    /// A file or folder of which nothing else is known.
    pub const fn unseen(folder: bool) -> Self {
        Self {
            folder,
            len: 0,
            modified: SystemTime::UNIX_EPOCH,
            created: SystemTime::UNIX_EPOCH,
            etag: Etag([0; 4]),
        }
    }

    /// What stays the same for as long as this file or folder exists, wherever it is moved within its tree. A file that is saved
    /// anew is another one: what people mean by a file is its [`FileId`].
    pub const fn inode(&self) -> [u64; 2] {
        let [inode, born, ..] = self.etag.0;
        [inode, born]
    }
}

/// BLAKE3 of a file's content.
pub type Digest = [u8; 32];

/// One name in a folder.
#[derive(Clone, Debug)]
pub struct DirEntry {
    /// The name, exactly as stored.
    pub name: String,
    /// What it names.
    pub node: Node,
    /// Its dead properties; empty unless the listing was asked to read them.
    pub props: Vec<DeadProp>,
}

/// A folder being read, some hundred entries at a time, in no particular order.
#[async_trait]
pub trait Listing: Send {
    /// The next entries; empty at the end. Fails with the system's error rather than ending short.
    async fn next_page(&mut self) -> Result<Vec<DirEntry>>;
}

/// The most bytes of a small picture that is kept beside its file.
pub const MAX_THUMBNAIL_BYTES: usize = 1 << 20;

/// A file being read. It keeps showing the content it was opened with, whatever happens to the name.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The file as it was when opened.
    fn node(&self) -> &Node;
    /// The hash of its content, where it is known without reading it.
    fn digest(&self) -> Option<Digest>;
    /// Up to `len` bytes from `offset`, at least one unless `offset` is at the end of the file as it is now.
    /// Implementations may return fewer than asked for, never more.
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes>;
    /// The small picture that was kept of this very content, with its longest side at most `size`.
    async fn cached_thumbnail(&self, _size: u32) -> Result<Option<Bytes>> {
        Ok(None)
    }
    /// Keeps a small picture of this content, of at most [`MAX_THUMBNAIL_BYTES`] bytes, where it costs no quota, or does without.
    async fn cache_thumbnail(&self, _size: u32, _picture: Bytes) {}
}

/// What a change must find at its target to happen: the conditions of RFC 9110 section 13.1, and `Overwrite` of RFC 4918 section 10.6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Anything, or nothing.
    #[default]
    Any,
    /// Nothing (If-None-Match: *); else `PreconditionFailed`.
    Absent,
    /// Something (If-Match: *); else `PreconditionFailed`.
    Exists,
    /// One of these tags (If-Match); else `PreconditionFailed`.
    Etag(Vec<String>),
    /// None of these tags (If-None-Match with tags); else `PreconditionFailed`.
    NotEtag(Vec<String>),
    /// Nothing that was modified after this second since 1970 (If-Unmodified-Since); else `PreconditionFailed`.
    UnmodifiedSince(i64),
}

impl Expect {
    /// Whether `present` (what stands at the target now) satisfies this; tags compare quoted and strongly.
    pub fn holds(&self, present: Option<&Node>) -> bool {
        let among =
            |tags: &[String]| present.is_some_and(|node| tags.contains(&node.etag.to_string()));
        match self {
            Self::Any => true,
            Self::Absent => present.is_none(),
            Self::Exists => present.is_some(),
            Self::Etag(tags) => among(tags),
            Self::NotEtag(tags) => !among(tags),
            Self::UnmodifiedSince(since) => {
                present.is_none_or(|node| unix_seconds(node.modified) <= *since)
            }
        }
    }
}

/// Checks a change at the moment it happens, by what storage does not know: locks and `If` lists, RFC 4918 sections 7 and 10.4.
pub trait PreconditionCheck: Send + Sync {
    /// Runs `change` and returns its result if the change may happen now, given what stands at the target; else says why not.
    /// What the check rests on must not change until `change` has returned. `change` is called at most once.
    fn check_and_apply(
        &self,
        present: Option<&Node>,
        change: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()>;

    /// Whether whoever wants the change may still have it, asked at each step of what takes time before it; nothing is changed
    /// where it fails.
    fn check_still_allowed(&self) -> Result<()> {
        Ok(())
    }
}

/// Lets everything happen.
#[derive(Clone, Copy, Debug)]
pub struct NoPreconditions;

impl PreconditionCheck for NoPreconditions {
    fn check_and_apply(
        &self,
        _present: Option<&Node>,
        change: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        change()
    }
}

/// Under which conditions, and by whom, a name changes. `expect` and `preconditions` hold for the path the call names first
/// (for rename and copy: the source), inside the step that changes the name.
#[derive(Clone)]
pub struct WriteOptions {
    /// Who does it; kept with what lands in the trash.
    pub actor: AccountName,
    /// What must stand at the path named first.
    pub expect: Expect,
    /// Bytes announced for an upload; another count is `Truncated`.
    pub len: Option<u64>,
    /// The modification time to set instead of now.
    pub modified: Option<SystemTime>,
    /// Whether something at the target of a rename or copy may be replaced; else `PreconditionFailed`.
    pub overwrite: bool,
    /// The most bytes that the tree may hold after the change; where it brings more, `NoSpace`.
    pub limit: Option<u64>,
    /// Whether the name need not be on the disk when the call returns: who makes many changes waits for all of them at once, by
    /// [`RewindSteps::sync`](history::RewindSteps::sync).
    pub defer_sync: bool,
    /// Whether nothing of what is moved is too deep where it goes, or not for long: so it is not looked over.
    pub skip_depth_check: bool,
    /// Checked under the same lock of names as the change itself.
    pub preconditions: Arc<dyn PreconditionCheck>,
}

impl WriteOptions {
    /// A change by `who` with no conditions; replaces what is there.
    pub fn by(who: AccountName) -> Self {
        Self {
            actor: who,
            expect: Expect::Any,
            len: None,
            modified: None,
            overwrite: true,
            limit: None,
            defer_sync: false,
            skip_depth_check: false,
            preconditions: Arc::new(NoPreconditions),
        }
    }
}

impl Debug for WriteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("who", &self.actor)
            .field("expect", &self.expect)
            .finish_non_exhaustive()
    }
}

/// What an upload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialContent {
    /// Nothing: the upload is the whole new content.
    Empty,
    /// The present content, of which parts are overwritten or appended to; `Empty` where there is none.
    Present,
}

/// How much an upload brings, and may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceRequest {
    /// Bytes expected, if known.
    pub len: Option<u64>,
    /// The most bytes that the tree may hold with the upload in its place and all others that are under way.
    pub limit: Option<u64>,
}

impl SpaceRequest {
    /// Room for so many bytes, without a limit.
    pub const fn of(len: u64) -> Self {
        Self {
            len: Some(len),
            limit: None,
        }
    }
}

/// Room that was promised to an upload; given back when dropped.
pub trait SpaceReservation: Debug + Send + Sync {}

/// A file being written where nobody sees it. Dropping it without `commit` leaves no trace.
#[async_trait]
pub trait Upload: Send + Sync {
    /// Bytes that lie in the upload now (the present content's, when started from that).
    fn len(&self) -> u64;
    /// Whether nothing lies in the upload yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Moves to where the next bytes go; beyond the end is `BadRequest`.
    async fn seek(&mut self, offset: u64) -> Result<()>;
    /// Adds bytes. `NoSpace` when the disk is full or the limit is reached.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;
    /// Takes back all bytes beyond `len`.
    async fn truncate(&mut self, len: u64) -> Result<()>;
    /// Puts all bytes that have come on disk and leaves them there; for resumable uploads. Returns how many they are.
    async fn persist(self: Box<Self>) -> Result<u64>;
    /// Publishes the file: length check against [`WriteOptions::len`] (bytes written, for [`InitialContent::Empty`]), durable content,
    /// conditions, limit and preconditions under the lock of names, one rename, durable folder. Runs to its end once begun.
    /// `ParentMissing`, `IsFolder`, `PreconditionFailed`, `Truncated` and the errors of the preconditions leave all as it was.
    async fn commit(self: Box<Self>, commit: WriteOptions) -> Result<PutOutcome>;
    /// As [`commit`](Self::commit), at the first of these paths that is not refused because of what stands there or is locked:
    /// for whoever must not learn which names are taken. The paths lie in the folder that the upload was begun in.
    async fn commit_first_free(
        self: Box<Self>,
        ways: Vec<(RelPath, WriteOptions)>,
    ) -> Result<PutOutcome>;
}

/// What an upload has become.
#[derive(Clone, Debug)]
pub struct PutOutcome {
    /// The new file.
    pub node: Node,
    /// Whether nothing stood there before.
    pub created: bool,
}

/// Bytes in a tree and in reach of it: `DAV:quota-used-bytes` and the bound of `DAV:quota-available-bytes`, RFC 4331 sections 3 and 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of live files.
    pub used: u64,
    /// Bytes that the disk has left.
    pub free: u64,
}

/// What reading every file again has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Files that were read whole.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files whose hash was not known before, and is now.
    pub new: u64,
    /// Where the content is not what came, relative to the root's folder on disk.
    pub damaged: Vec<String>,
    /// Where it could not be read.
    pub unreadable: Vec<String>,
}

/// How far a copy reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyDepth {
    /// A folder without what is in it.
    Zero,
    /// Everything below.
    Infinity,
}

impl CopyDepth {
    /// Whether a copy of `node` onto what is `there` leaves that standing: a folder without its members, onto another.
    pub fn keeps_target(self, node: &Node, there: Option<&Node>) -> bool {
        self == Self::Zero && node.folder && there.is_some_and(|there| there.folder)
    }
}

/// What lies in a folder and is not shown, as a tree found it; only a tree of the same kind knows what it is.
#[derive(Clone, Debug)]
pub struct Unshown(Arc<dyn Any + Send + Sync>);

/// A tree of files and folders. Paths may be spelled in NFC or NFD: a missing exact name finds the other spelling,
/// and a new name never makes a second entry beside its other spelling. What is neither a regular file nor a folder,
/// and what is named `.sarang*`, does not exist. Every change runs to its end once begun, though its caller is dropped.
#[async_trait]
pub trait Tree: history::History + Debug + Send + Sync + 'static {
    /// What stands at a path.
    async fn stat(&self, path: &RelPath) -> Result<Node>;
    /// What stands at a path, and which file or folder that is.
    async fn identify(&self, path: &RelPath) -> Result<(Node, FileId)>;
    /// As [`identify`](Self::identify), for what is to be bound to it: the id is kept with the file from now on, durably. `Busy` when the
    /// path comes to name something else meanwhile.
    async fn keep_id(&self, path: &RelPath) -> Result<(Node, FileId)>;
    /// The path as it is spelled in the tree, for a path that exists; the same path where it does not.
    async fn stored_path(&self, path: &RelPath) -> Result<RelPath>;
    /// Begins to read a folder; `with_props` also reads dead properties. `NotFolder` for a file.
    async fn list(&self, path: &RelPath, with_props: bool) -> Result<Box<dyn Listing>>;
    /// Begins to read at most so many entries of a folder, without dead properties, in byte order of their names: those that follow `after`, or
    /// the first. Who goes on after the last name of a page misses nothing that was there since the first page was asked for. `NotFolder`.
    async fn list_after(
        &self,
        path: &RelPath,
        after: Option<String>,
        most: usize,
    ) -> Result<Box<dyn Listing>>;
    /// Opens a file; `IsFolder` for a folder.
    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Reader>>;
    /// Begins an upload; its length, when known, is reserved, of the limit and, unless it is small or history must go for it, on the disk, or fails at once with
    /// `NoSpace`, with `LimitReached` while the history is held. `ParentMissing`, `IsFolder` at once
    /// too, or with the commit when a small length is announced.
    async fn begin_upload(
        &self,
        path: &RelPath,
        start: InitialContent,
        room: SpaceRequest,
    ) -> Result<Box<dyn Upload>>;
    /// Fails as [`begin_upload`](Self::begin_upload) would for want of space, and promises nothing.
    async fn check_space(&self, path: &RelPath, room: SpaceRequest) -> Result<()>;
    /// `NoSpace` when the file system has less than 1 % or 1,000 of its inodes left: empty files use them up beside every quota.
    async fn check_inodes(&self) -> Result<()>;
    /// Makes a folder; `Exists`, `ParentMissing`.
    async fn mkdir(&self, path: &RelPath, commit: WriteOptions) -> Result<()>;
    /// Makes an empty folder that no listing shows: what is built in it is moved to its place by [`rename`](Self::rename).
    /// What a crash leaves of it is swept when the tree is opened next.
    async fn create_staging_dir(&self) -> Result<RelPath>;
    /// Removes a workshop with all that is still in it, for good.
    async fn remove_staging_dir(&self, workshop: &RelPath) -> Result<()>;
    /// Moves `from` to `to` in one step, replacing what is there if the commit allows (into the trash).
    /// Returns whether nothing stood there before. `NotFound`, `ParentMissing`, `PreconditionFailed`;
    /// `Forbidden` when one lies within the other (a change of spelling of one name is allowed).
    async fn rename(&self, from: &RelPath, to: &RelPath, commit: WriteOptions) -> Result<bool>;
    /// Copies `from` to `to` with dead properties and what is not shown, staged aside and published in one step; otherwise as
    /// [`rename`](Self::rename). `NotCopied`.
    /// A shallow copy of a folder onto an existing folder replaces its properties and keeps its members.
    async fn copy(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
        commit: WriteOptions,
    ) -> Result<bool>;
    /// What lies in a folder and no listing shows, for [`copy_unshown`](Self::copy_unshown); `None` when there is nothing.
    async fn unshown(&self, path: &RelPath) -> Result<Option<Unshown>>;
    /// Copies what is not shown into a folder that nobody sees yet; `NotCopied` for what cannot be, `NoSpace` beyond the
    /// commit's limit. Its preconditions are asked at each step.
    async fn copy_unshown(&self, from: Unshown, to: &RelPath, commit: WriteOptions) -> Result<()>;
    /// Moves a file or folder to the trash, whole, in one step; returns what it is called there.
    async fn delete(&self, path: &RelPath, commit: WriteOptions) -> Result<String>;
    /// Takes a file or folder out of sight, whole, in one step, for a move into another tree: nothing is saved into it any more. Returns
    /// where it can be read until it is moved to the trash by [`finish_delete`](Self::finish_delete) or put back. A crash puts it back when the tree is
    /// opened next.
    async fn begin_delete(&self, path: &RelPath, commit: WriteOptions) -> Result<RelPath>;
    /// Moves what was taken out of sight to the trash; returns what it is called there.
    async fn finish_delete(&self, out: &RelPath) -> Result<String>;
    /// Puts back what was taken out of sight; where something stands in its place by now, or its folder is gone, into the trash.
    async fn cancel_delete(&self, out: &RelPath) -> Result<()>;
    /// The dead properties of a file or folder.
    async fn props(&self, path: &RelPath) -> Result<Vec<DeadProp>>;
    /// Changes dead properties in order, and the modification time if [`WriteOptions::modified`] says, all or nothing, whatever a crash cuts;
    /// `LimitReached` when they outgrow [`PROPS_LIMIT`], `NoSpace`, `Invalid` for a time that the file system does not keep.
    async fn set_props(
        &self,
        path: &RelPath,
        changes: Vec<PropChange>,
        commit: WriteOptions,
    ) -> Result<()>;
    /// Makes an upload that outlives restarts, empty and under a new id, for [`resume`](Self::resume). The disk keeps room for all of
    /// its `len` bytes until it is published or discarded, unless history must go for it; `NoSpace` where there is too little beside what others were promised.
    async fn create_upload(&self, id: &str, len: u64) -> Result<()>;
    /// Goes on with an resumable upload, at its end, to be published at `path`; `NotFound`. Unless it is committed,
    /// what has come stays.
    async fn resume_upload(
        &self,
        id: &str,
        path: &RelPath,
        room: SpaceRequest,
    ) -> Result<Box<dyn Upload>>;
    /// The ids of all resumable uploads.
    async fn list_uploads(&self) -> Result<Vec<String>>;
    /// Deletes an resumable upload; one that is gone is no error.
    async fn abort_upload(&self, id: &str) -> Result<()>;
    /// Promises the room below the limit for a file that will stand at `path`, and fails with `NoSpace` where there is none; without a
    /// limit the room is promised in any case.
    async fn reserve_space(
        &self,
        path: &RelPath,
        room: SpaceRequest,
    ) -> Result<Box<dyn SpaceReservation>>;
    /// Reads every file, trash and versions too, and compares it with the hash that was kept when it came.
    async fn scrub(&self) -> Result<ScrubReport>;
    /// Bytes used below the root and left on the disk. Exact for what is changed here; what is changed beside may show minutes later.
    async fn usage(&self) -> Result<Usage>;
}
