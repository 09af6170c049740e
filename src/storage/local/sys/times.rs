//! Setting when a file was changed.

use super::SysResult;
use rustix::fs::{self, Timespec, Timestamps};
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Sets the modification time.
pub(in crate::storage::local) fn set_modified(
    file: BorrowedFd<'_>,
    time: SystemTime,
) -> SysResult<()> {
    // Where the time of the last access is left out, bindfs sets neither.
    let last_access = timespec(SystemTime::now());
    let last_modification = timespec(time);
    fs::futimens(
        file,
        &Timestamps {
            last_access,
            last_modification,
        },
    )
}

fn timespec(time: SystemTime) -> Timespec {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timespec {
            tv_sec: seconds(after),
            tv_nsec: after.subsec_nanos().into(),
        },
        Err(before) => {
            let before = before.duration();
            let whole = seconds(before) + i64::from(before.subsec_nanos() > 0);
            let rest = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
            Timespec {
                tv_sec: -whole,
                tv_nsec: rest.into(),
            }
        }
    }
}

fn seconds(distance: Duration) -> i64 {
    i64::try_from(distance.as_secs()).unwrap_or(i64::MAX)
}
