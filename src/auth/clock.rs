//! The clock of sessions, app passwords and codes.

use crate::model::time;
use std::time::SystemTime;

/// Seconds by which a stored time of last use may be behind: it is written once an hour at most.
pub const LAST_USE_RESOLUTION: i64 = 3600;

/// Seconds since 1970.
pub fn now() -> i64 {
    time::unix_seconds(SystemTime::now())
}
