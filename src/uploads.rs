//! Unfinished uploads: what each is to become is a record, what has come of it lies in the tree it will be published in,
//! and its room is reserved there. One request at a time goes on with one.

mod record;

use crate::drive::{CreatedUpload, Drive, DriveUpload, Publication, RequestPreconditions};
use crate::model::{AccountName, Error, Identity, Result, VPath, time};
use crate::state::registry::{Edit, RecordIndex, Registry};
use crate::state::table::new_id;
use crate::state::{Batch, StateStore};
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
const FULL: Error = Error::LimitReached("An account may have at most 1000 unfinished uploads.");
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
    fn new(id: &str, record: Arc<UploadRecord>) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            record: RwLock::new(record),
            exclusive: Arc::default(),
            current_request: Mutex::default(),
            reservation: Mutex::default(),
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
    all: Arc<UploadRegistry>,
    days: u32,
    /// The uploads that are being begun, and whose they are: what is kept of them is not swept.
    pending: Mutex<HashMap<String, AccountName>>,
}

type UploadRegistry = Registry<UploadRecord, UploadIndex>;

/// What requests go on with.
#[derive(Debug, Default)]
struct UploadIndex(HashMap<String, Arc<ResumableUpload>>);

impl RecordIndex<UploadRecord> for UploadIndex {
    fn update(&mut self, id: &str, _: Option<&Arc<UploadRecord>>, now: Option<&Arc<UploadRecord>>) {
        match (now, self.0.get(id)) {
            (Some(now), Some(upload)) => *upload.record.write() = Arc::clone(now),
            (Some(now), None) => {
                let upload = ResumableUpload::new(id, Arc::clone(now));
                self.0.insert(id.to_owned(), upload);
            }
            (None, _) => {
                if let Some(upload) = self.0.remove(id) {
                    *upload.reservation.lock() = None;
                }
            }
        }
    }
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
        Ok(Self {
            all: Registry::open(store, "upload/").await?,
            days,
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
        let plan = |all: &UploadRegistry, _| {
            if count_unfinished(all, &record.owner) >= MAX_UPLOADS {
                return Err(FULL);
            }
            Ok(Edit::store(record.clone()).guarded())
        };
        self.all.edit(&id, Batch::new(), plan).await?;
        let upload = self.get(&id).ok_or(Error::NotFound)?;
        *upload.reservation.lock() = Some(reserved);
        drop(beginning);
        Ok(upload)
    }

    fn get(&self, id: &str) -> Option<Arc<ResumableUpload>> {
        self.all.view().index.0.get(id).cloned()
    }

    /// The uploads of which this is true.
    fn list(&self, wanted: impl Fn(&UploadRecord) -> bool) -> Vec<Arc<ResumableUpload>> {
        let view = self.all.view();
        let uploads = view.index.0.values();
        uploads
            .filter(|upload| wanted(&upload.record()))
            .cloned()
            .collect()
    }

    /// Counts a new upload of an account among those that are being begun.
    fn begin_pending(&self, owner: &AccountName) -> Result<PendingUpload<'_>> {
        let id = new_id()?;
        let mut all = self.pending.lock();
        let begun = all.values().filter(|other| *other == owner).count();
        if count_unfinished(&self.all, owner) + begun >= MAX_UPLOADS {
            return Err(FULL);
        }
        all.insert(id.clone(), owner.clone());
        Ok(PendingUpload {
            all: &self.pending,
            id,
        })
    }

    /// An upload of this identity; `NotFound`.
    pub fn find(&self, identity: &Identity, id: &str) -> Result<Arc<ResumableUpload>> {
        let upload = self.get(id).ok_or(Error::NotFound)?;
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
            self.note(upload, |record| record.expires = end).await;
        }
    }

    /// Notes that an upload has become a file.
    pub async fn publish(&self, upload: &ResumableUpload, etag: String) {
        *upload.reservation.lock() = None;
        let expires = now().saturating_add_unsigned(REMEMBERED.as_secs());
        let publish = |record: &mut UploadRecord| {
            record.expires = expires;
            record.published = Some(etag.clone());
        };
        self.note(upload, publish).await;
        let owner = upload.record().owner.clone();
        let is_meant = |record: &UploadRecord| record.owner == owner && record.published.is_some();
        let mut published = self.list(is_meant);
        published.sort_by_key(|upload| std::cmp::Reverse(upload.record().expires));
        for upload in published.iter().skip(MAX_REMEMBERED) {
            if let Err(error) = self.remove(upload).await {
                tracing::warn!(%error, "a published upload is remembered longer than it need be");
            }
        }
    }

    /// Forgets an upload; what has come of it is the caller's to discard.
    pub async fn remove(&self, upload: &ResumableUpload) -> Result<()> {
        match self.all.remove(&upload.id, |_| Ok(())).await {
            Err(Error::NotFound) => Ok(()),
            removed => removed,
        }
    }

    /// All uploads that are not published yet.
    pub fn unfinished(&self) -> Vec<Arc<ResumableUpload>> {
        self.list(|record| record.published.is_none())
    }

    /// All uploads whose time is over, and all of an account.
    pub fn expired_or_of(&self, account: Option<&AccountName>) -> Vec<Arc<ResumableUpload>> {
        let now = now();
        self.list(|record| match account {
            Some(account) => record.owner == *account || record.root == format!("home/{account}"),
            None => record.expires <= now,
        })
    }

    /// All uploads into a root.
    pub fn in_root(&self, root: &str) -> Vec<Arc<ResumableUpload>> {
        self.list(|record| record.root == root)
    }

    /// Whose uploads there are.
    pub fn owners(&self) -> BTreeSet<AccountName> {
        let all = self.list(|_| true).into_iter();
        all.map(|upload| upload.record().owner.clone()).collect()
    }

    /// Gives an upload the room again that it was promised before a restart.
    pub fn set_reservation(upload: &ResumableUpload, reserved: Box<dyn SpaceReservation>) {
        *upload.reservation.lock() = Some(reserved);
    }

    /// Whether there is an upload with this id, or one is being begun.
    pub fn has(&self, id: &str) -> bool {
        // In this order: from the one it comes into the other.
        self.pending.lock().contains_key(id) || self.get(id).is_some()
    }

    /// Changes the record of an upload whose bytes are in place already: a store that fails takes nothing back, so it is only logged.
    async fn note(&self, upload: &ResumableUpload, edit: impl Fn(&mut UploadRecord)) {
        let change = |record: &mut UploadRecord| {
            edit(record);
            Ok(())
        };
        if let Err(error) = self.all.change(&upload.id, change).await {
            let mut record = UploadRecord::clone(&upload.record());
            edit(&mut record);
            *upload.record.write() = Arc::new(record);
            tracing::error!(%error, upload = upload.id, "upload record not stored; it is kept in memory until the next start");
        }
    }

    fn end(&self) -> i64 {
        now().saturating_add(i64::from(self.days) * 24 * 3600)
    }
}

/// How many uploads of an account are not published yet.
fn count_unfinished(all: &UploadRegistry, owner: &AccountName) -> usize {
    let view = all.view();
    let is_meant = |record: &UploadRecord| record.owner == *owner && record.published.is_none();
    view.iter().filter(|(_, record)| is_meant(record)).count()
}

/// Seconds since 1970.
fn now() -> i64 {
    time::unix_seconds(SystemTime::now())
}

#[cfg(test)]
mod tests;
