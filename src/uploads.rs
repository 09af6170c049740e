//! Unfinished uploads: what each is to become is a record, what has come of it lies in the tree it will be published in,
//! and its room is reserved there. One request at a time goes on with one.

mod record;

use crate::drive::{CreatedUpload, Drive, DriveUpload, Publication, RequestPreconditions};
use crate::model::{AccountName, Error, Identity, Result, VPath, time};
use crate::state::StateStore;
use crate::state::table::{Table, new_id};
use crate::storage::{Expect, SpaceReservation};
use parking_lot::{Mutex, RwLock};
pub use record::{UploadRecord, UploadSpec};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

/// The most unfinished uploads of one account.
const MAX_UPLOADS: usize = 1000;
/// The most published uploads of one account that are remembered.
const MAX_REMEMBERED: usize = 1000;
/// How long it is remembered that an upload was published, for clients that did not hear of it.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// An upload in memory.
#[derive(Debug)]
pub struct ResumableUpload {
    /// What clients know it by.
    pub id: String,
    record: RwLock<Arc<UploadRecord>>,
    exclusive: Arc<tokio::sync::Mutex<()>>,
    /// Ends the request that has its turn.
    current_request: Mutex<CancellationToken>,
    reservation: Mutex<Option<Box<dyn SpaceReservation>>>,
}

/// One request's turn at an upload.
#[derive(Debug)]
pub struct UploadGuard {
    /// Cancelled when another request wants to go on with the upload.
    pub cancelled: CancellationToken,
    _alone: OwnedMutexGuard<()>,
}

impl ResumableUpload {
    fn new(
        id: String,
        record: UploadRecord,
        reserved: Option<Box<dyn SpaceReservation>>,
    ) -> Arc<Self> {
        let record = RwLock::new(Arc::new(record));
        let reserved = Mutex::new(reserved);
        Arc::new(Self {
            id,
            record,
            exclusive: Arc::default(),
            current_request: Mutex::default(),
            reservation: reserved,
        })
    }

    /// What is stored of it.
    pub fn record(&self) -> Arc<UploadRecord> {
        Arc::clone(&self.record.read())
    }

    /// Ends the turn of the request before, which may hang on a line that is dead, and waits for it to let go.
    pub async fn acquire(&self) -> UploadGuard {
        let ended = CancellationToken::new();
        std::mem::replace(&mut *self.current_request.lock(), ended.clone()).cancel();
        UploadGuard {
            cancelled: ended,
            _alone: Arc::clone(&self.exclusive).lock_owned().await,
        }
    }

    /// Whether whoever has this drive may go on with it: asked before its turn, which ends that of another request. `Forbidden`, `NotFound`.
    pub async fn check(&self, drive: &Drive) -> Result<()> {
        drive
            .check_may_change(&VPath::parse(&self.record().path)?)
            .await
    }

    /// Opens it at its end; `NotFound` when what had come is gone.
    pub async fn open(&self, drive: &Drive, tokens: Vec<String>) -> Result<DriveUpload> {
        let record = self.record();
        let path = VPath::parse(&record.path)?;
        let modified = record.modified.map(time::from_unix_seconds);
        let terms = preconditions(record.fresh, &record.tags, tokens);
        drive
            .resume_upload(
                &self.id,
                &path,
                Publication {
                    root: record.root.clone(),
                    len: record.len,
                    modified,
                    preconditions: terms,
                },
            )
            .await
    }
}

/// The conditions that an upload was begun with.
fn preconditions(fresh: bool, tags: &[String], tokens: Vec<String>) -> RequestPreconditions {
    let expect = match (fresh, tags.is_empty()) {
        (true, _) => Expect::Absent,
        (false, true) => Expect::Any,
        (false, false) => Expect::Etag(tags.to_vec()),
    };
    RequestPreconditions {
        expect,
        lock_tokens: tokens,
        ..RequestPreconditions::default()
    }
}

/// All uploads.
#[derive(Debug)]
pub struct Uploads {
    table: Table<UploadRecord>,
    days: u32,
    index: RwLock<HashMap<String, Arc<ResumableUpload>>>,
    /// The uploads that are being begun, and whose they are: what is kept of them is not swept.
    pending: Mutex<HashMap<String, AccountName>>,
}

/// An upload that is being begun.
struct PendingUpload<'a> {
    all: &'a Mutex<HashMap<String, AccountName>>,
    id: String,
}

impl Drop for PendingUpload<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Uploads {
    /// Reads every upload into memory; those untouched for `days` are given up.
    pub async fn open(store: Arc<dyn StateStore>, days: u32) -> Result<Self> {
        let table = Table::<UploadRecord>::new(store, "upload/");
        let all = table.all().await?.into_iter();
        let index = all
            .map(|(id, record)| (id.clone(), ResumableUpload::new(id, record, None)))
            .collect();
        Ok(Self {
            table,
            days,
            index: RwLock::new(index),
            pending: Mutex::default(),
        })
    }

    /// Begins an upload: refused at once where it could not be published now.
    pub async fn create(
        &self,
        drive: &Drive,
        plan: UploadSpec,
        tokens: Vec<String>,
    ) -> Result<Arc<ResumableUpload>> {
        let terms = preconditions(plan.fresh, &plan.tags, tokens);
        let path = plan.path.clone();
        let len = plan.len;
        let create = |id: String| async move { drive.create_upload(&id, &path, len, terms).await };
        self.create_with(drive.identity(), plan, create).await
    }

    /// As [`create`](Self::create), made by `create`. That may wait for a disk: others do not wait for it.
    async fn create_with<F: Future<Output = Result<CreatedUpload>>>(
        &self,
        identity: &Identity,
        plan: UploadSpec,
        create: impl FnOnce(String) -> F,
    ) -> Result<Arc<ResumableUpload>> {
        let beginning = self.begin_pending(&identity.account)?;
        let id = beginning.id.clone();
        let CreatedUpload {
            root,
            path: at,
            reservation: reserved,
        } = create(id.clone()).await?;
        let record = UploadRecord {
            owner: identity.account.clone(),
            scope: identity.scope.to_string(),
            path: plan.path.to_string(),
            root: root.to_string(),
            at: at.to_string(),
            len: plan.len,
            metadata: plan.metadata,
            modified: plan.modified,
            fresh: plan.fresh,
            tags: plan.tags,
            expires: self.end(),
            published: None,
        };
        self.table.put(&id, &record).await?;
        let upload = ResumableUpload::new(id.clone(), record, Some(reserved));
        self.index.write().insert(id, upload.clone());
        drop(beginning);
        Ok(upload)
    }

    /// Counts a new upload of an account among those that are being begun.
    fn begin_pending(&self, owner: &AccountName) -> Result<PendingUpload<'_>> {
        let id = new_id()?;
        let mut all = self.pending.lock();
        let begun = all.values().filter(|other| *other == owner).count();
        if self.of(owner, false).len() + begun >= MAX_UPLOADS {
            return Err(Error::LimitReached(
                "An account may have at most 1000 unfinished uploads.",
            ));
        }
        all.insert(id.clone(), owner.clone());
        Ok(PendingUpload {
            all: &self.pending,
            id,
        })
    }

    /// An upload of this identity; `NotFound`.
    pub fn find(&self, identity: &Identity, id: &str) -> Result<Arc<ResumableUpload>> {
        let upload = self.index.read().get(id).cloned().ok_or(Error::NotFound)?;
        let record = upload.record();
        let is_own = record.owner == identity.account && record.scope == identity.scope.as_str();
        if is_own && now() < record.expires {
            Ok(upload)
        } else {
            Err(Error::NotFound)
        }
    }

    /// Notes that an upload goes on, once in a while.
    pub async fn touch(&self, upload: &ResumableUpload) {
        let record = upload.record();
        let end = self.end();
        let half = i64::from(self.days) * 12 * 3600;
        if end - record.expires >= half {
            self.note(
                upload,
                UploadRecord {
                    expires: end,
                    ..record.as_ref().clone()
                },
            )
            .await;
        }
    }

    /// Notes that an upload has become a file.
    pub async fn publish(&self, upload: &ResumableUpload, etag: String) {
        *upload.reservation.lock() = None;
        let expires = now().saturating_add_unsigned(REMEMBERED.as_secs());
        let record = upload.record();
        self.note(
            upload,
            UploadRecord {
                expires,
                published: Some(etag),
                ..record.as_ref().clone()
            },
        )
        .await;
        let mut published = self.of(&record.owner, true);
        published.sort_by_key(|upload| std::cmp::Reverse(upload.record().expires));
        for upload in published.iter().skip(MAX_REMEMBERED) {
            if let Err(error) = self.remove(upload).await {
                tracing::warn!(%error, "a published upload is remembered longer than it need be");
            }
        }
    }

    /// The uploads of an account that are published, or those that are not.
    fn of(&self, owner: &AccountName, published: bool) -> Vec<Arc<ResumableUpload>> {
        let is_meant = |record: &UploadRecord| {
            record.owner == *owner && record.published.is_some() == published
        };
        self.index
            .read()
            .values()
            .filter(|upload| is_meant(&upload.record()))
            .cloned()
            .collect()
    }

    /// Forgets an upload; what has come of it is the caller's to discard.
    pub async fn remove(&self, upload: &ResumableUpload) -> Result<()> {
        self.table.delete(&upload.id).await?;
        self.index.write().remove(&upload.id);
        *upload.reservation.lock() = None;
        Ok(())
    }

    /// All uploads that are not published yet.
    pub fn unfinished(&self) -> Vec<Arc<ResumableUpload>> {
        self.index
            .read()
            .values()
            .filter(|upload| upload.record().published.is_none())
            .cloned()
            .collect()
    }

    /// All uploads whose time is over, and all of an account.
    pub fn expired_or_of(&self, account: Option<&AccountName>) -> Vec<Arc<ResumableUpload>> {
        let now = now();
        let is_over = |record: &UploadRecord| match account {
            Some(account) => record.owner == *account || record.root == format!("home/{account}"),
            None => record.expires <= now,
        };
        self.index
            .read()
            .values()
            .filter(|upload| is_over(&upload.record()))
            .cloned()
            .collect()
    }

    /// All uploads into a root.
    pub fn in_root(&self, root: &str) -> Vec<Arc<ResumableUpload>> {
        self.index
            .read()
            .values()
            .filter(|upload| upload.record().root == root)
            .cloned()
            .collect()
    }

    /// Whose uploads there are.
    pub fn owners(&self) -> BTreeSet<AccountName> {
        self.index
            .read()
            .values()
            .map(|upload| upload.record().owner.clone())
            .collect()
    }

    /// Gives an upload the room again that it was promised before a restart.
    pub fn set_reservation(upload: &ResumableUpload, reserved: Box<dyn SpaceReservation>) {
        *upload.reservation.lock() = Some(reserved);
    }

    /// Whether there is an upload with this id, or one is being begun.
    pub fn has(&self, id: &str) -> bool {
        // In this order: from the one it comes into the other.
        self.pending.lock().contains_key(id) || self.index.read().contains_key(id)
    }

    /// Changes the record of an upload whose bytes are in place already: a store that fails takes nothing back, so it is only logged.
    async fn note(&self, upload: &ResumableUpload, record: UploadRecord) {
        let stored = self.table.put(&upload.id, &record).await;
        *upload.record.write() = Arc::new(record);
        if let Err(error) = stored {
            tracing::error!(%error, upload = upload.id, "upload record not stored; it is kept in memory until the next start");
        }
    }

    fn end(&self) -> i64 {
        now().saturating_add(i64::from(self.days) * 24 * 3600)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    time::unix_seconds(SystemTime::now())
}

#[cfg(test)]
mod tests;
