//! One WebDAV request, read once by the gate; what the protocol crate's callbacks act on and report into.

use crate::drive::{Checksum, Drive, LockView, RequestPreconditions};
use crate::model::{Error, VPath};
use crate::storage::LockRequest;
use crate::storage::Node;
use http::StatusCode;
use parking_lot::Mutex;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The methods that the protocol crate drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DavMethod {
    /// PUT
    Put,
    /// PATCH (sabredav partial update)
    Patch,
    /// MKCOL
    Mkcol,
    /// DELETE
    Delete,
    /// COPY
    Copy,
    /// MOVE
    Move,
    /// LOCK
    Lock,
    /// UNLOCK
    Unlock,
}

/// One request, as the gate understood it.
pub struct DavExchange {
    /// Whose drive.
    pub drive: Drive,
    /// The method.
    pub method: DavMethod,
    /// The resource named.
    pub path: VPath,
    /// Where to, for COPY and MOVE.
    pub destination: Option<VPath>,
    /// Its conditions.
    pub preconditions: RequestPreconditions,
    /// Whether COPY and MOVE may replace.
    pub overwrite: bool,
    /// Whether a COPY leaves out the members.
    pub shallow: bool,
    /// The exact length announced.
    pub len: Option<u64>,
    /// About how long the body will be.
    pub estimate: Option<u64>,
    /// The modification time to set.
    pub modified: Option<SystemTime>,
    /// What the bytes of an upload must come to.
    pub checksum: Option<Checksum>,
    /// What a LOCK found at the path.
    pub existing: Option<Node>,
    /// What a LOCK asks for; `None` for a refresh.
    pub lock: Option<LockRequest>,
    /// The `Timeout` of a LOCK.
    pub timeout: Option<Duration>,
    /// What the callbacks report.
    pub outcome: Mutex<ExchangeOutcome>,
}

/// What became of a request, beyond the status that the crate found.
#[derive(Debug, Default)]
pub struct ExchangeOutcome {
    /// The first failure: it decides the reply where nothing was changed.
    pub failure: Option<Error>,
    /// The status of a change that is made, and that nothing after it takes back.
    pub status: Option<StatusCode>,
    /// The file that was put.
    pub put: Option<Node>,
    /// The lock granted or prolonged.
    pub lock: Option<LockView>,
}

impl DavExchange {
    /// Records that the change is made; `created` when nothing stood there before.
    pub fn made(&self, created: bool) {
        self.outcome.lock().status = Some(if created {
            StatusCode::CREATED
        } else {
            StatusCode::NO_CONTENT
        });
    }

    /// Records the first failure; returns what the crate has to know of it.
    pub fn fail(&self, error: Error) -> dav_server::fs::FsError {
        let brief = crate::http::reply::fs_error(&error);
        self.outcome.lock().failure.get_or_insert(error);
        brief
    }
}

impl fmt::Debug for DavExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DavExchange")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
