//! Where the bytes are: trees of files and folders that know paths but no accounts, shares or URLs.
//! [`Tree`] is the seam; [`local`] keeps plain files, and every implementation passes `contract`.

mod changed;
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
mod lock;
#[cfg(test)]
pub mod lock_contract;
mod lock_store;
#[cfg(test)]
mod memory;
mod node;
mod preconditions;
mod properties;
mod reading;
mod resource_id;
#[cfg(test)]
pub mod resumable_contract;
#[cfg(test)]
pub mod space_contract;
#[cfg(test)]
pub mod step_contract;
mod upload;
mod write_options;

pub use changed::{Changed, Deleted, PendingDelete};
pub use etag::{Etag, later_mtime, next_unique_mtime, unique_mtime};
pub use file_id::FileId;
pub use lock::{Lock, LockHolder, LockRequest, LockScope};
pub use lock_store::{LockLook, LockStep, LockStore, LocksSeen, TreeLocks};
pub use node::{Digest, Node};
pub use preconditions::{
    Expect, IfCondition, IfList, IfResource, IfTag, Preconditions, Seen, StateMatch, without_holder,
};
pub use properties::{DeadProp, OWN_NAMESPACE, PROPS_LIMIT, PropChange};
pub use reading::{DirEntry, Listing, MAX_THUMBNAIL_BYTES, Reader};
pub use resource_id::ResourceId;
pub use upload::{InitialContent, PutOutcome, SpaceRequest, SpaceReservation, Upload};
pub use write_options::WriteOptions;

use crate::model::{RelPath, Result};
use async_trait::async_trait;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

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
///
/// A change is a value and has an outcome. In one step of its own the engine reads what stands at the path that the call names first, the
/// tags at [`Preconditions::tagged`] and the locks near [`Preconditions::scopes`] and [`Preconditions::named`], asks
/// [`WriteOptions::check`], and changes only while all that it has read still holds: another change comes wholly before or wholly
/// after, and so does a lock. It may read and ask again. With what goes away the locks that were seen in [`LockScope::Subtree`] end, in
/// the same step; `mkdir`, `set_props`, `restore` and a copy that replaces nothing end none. A refusal leaves all as it was.
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
    /// Lets no change under [`WriteOptions::preconditions`] happen any more, not even one that is under way: the account of the tree is
    /// being removed.
    fn refuse_changes(&self);
    /// Whether [`refuse_changes`](Self::refuse_changes) was called.
    fn refuses_changes(&self) -> bool;
    /// Makes a folder; `Exists`, `ParentMissing`.
    async fn mkdir(&self, path: &RelPath, commit: WriteOptions) -> Result<Changed>;
    /// Makes an empty folder that no listing shows: what is built in it is moved to its place by [`rename`](Self::rename).
    /// What a crash leaves of it is swept when the tree is opened next.
    async fn create_staging_dir(&self) -> Result<RelPath>;
    /// Removes a staging folder with all that is still in it, for good.
    async fn remove_staging_dir(&self, staging_dir: &RelPath) -> Result<()>;
    /// Moves `from` to `to` in one step, replacing what is there if the commit allows (into the trash).
    /// `NotFound`, `ParentMissing`, `PreconditionFailed`;
    /// `Forbidden` when one lies within the other (a change of spelling of one name is allowed).
    async fn rename(&self, from: &RelPath, to: &RelPath, commit: WriteOptions) -> Result<Changed>;
    /// Copies `from` to `to` with dead properties and what is not shown, staged aside and published in one step; otherwise as
    /// [`rename`](Self::rename). `NotCopied`.
    /// A shallow copy of a folder onto an existing folder replaces its properties and keeps its members.
    async fn copy(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
        commit: WriteOptions,
    ) -> Result<Changed>;
    /// What lies in a folder and no listing shows, for [`copy_unshown`](Self::copy_unshown); `None` when there is nothing.
    async fn unshown(&self, path: &RelPath) -> Result<Option<Unshown>>;
    /// Copies what is not shown into a folder that nobody sees yet; `NotCopied` for what cannot be, `NoSpace` beyond the
    /// commit's limit. Its access is asked at each step.
    async fn copy_unshown(&self, from: Unshown, to: &RelPath, commit: WriteOptions) -> Result<()>;
    /// Moves a file or folder to the trash, whole, in one step.
    async fn delete(&self, path: &RelPath, commit: WriteOptions) -> Result<Deleted>;
    /// Takes a file or folder out of sight, whole, in one step, for a move into another tree: nothing is saved into it any more. It can be
    /// read until it is moved to the trash by [`finish_delete`](Self::finish_delete) or put back. A crash puts it back when the tree is
    /// opened next.
    async fn begin_delete(&self, path: &RelPath, commit: WriteOptions) -> Result<PendingDelete>;
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
    ) -> Result<Changed>;
    /// Makes an upload that outlives restarts, empty and under a new id, for [`resume_upload`](Self::resume_upload). The disk keeps room for all of
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
