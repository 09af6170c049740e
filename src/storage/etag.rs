//! Entity tags of files: made from the modification time and the length where the time is one that a commit has drawn, so that they
//! survive a backup, a restore and a move to another disk; else from inode and birth, too.
//!
//! A commit sets a time in steps of 100 ns, which NTFS and SMB keep, that is no whole millisecond. Such a time is one of millions for
//! each second. They are taken in turn from a random one on, and never the one that the file had before, so that a tag does not come again
//! though clocks go back or clients set the same second for each of thousands of saves. Times that programs beside the server set are nearly all finer, or whole seconds: they say too little by themselves.

use crate::model::{Error, Result};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds between two times that a commit may set.
const STEP: u32 = 100;
/// A time that is a multiple of this was cut off by somebody: by a client's clock or by a file system.
const COARSE: u32 = 1_000_000;
const SECOND: u32 = 1_000_000_000;
/// How many times a draw may take: one of them is neither a whole millisecond nor the one of before.
const TRIES: u64 = 4;
/// What FAT keeps times in.
const COARSEST: Duration = Duration::from_secs(2);

/// A strong entity tag: inode, birth, modification time and length; `Display` writes it quoted, as headers and `getetag` have it
/// (RFC 9110 section 8.8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Etag(pub [u64; 4]);

impl Etag {
    /// The numbers that it is written as.
    pub fn parts(&self) -> &[u64] {
        let from = if self.has_unique_mtime() { 2 } else { 0 };
        self.0.get(from..).unwrap_or_default()
    }

    /// Whether the time is one that a commit may have set.
    pub fn has_unique_mtime(&self) -> bool {
        let [_, _, modified, _] = self.0;
        is_drawn(nanoseconds_of(modified))
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '"';
        for part in self.parts() {
            write!(f, "{before}{part:x}")?;
            before = '-';
        }
        f.write_str("\"")
    }
}

/// The time that a commit sets where a client wants this one, or none, for a file that had the time `before` until now.
pub fn unique_mtime(wanted: Option<SystemTime>, before: Option<SystemTime>) -> Result<SystemTime> {
    Ok(draw(
        wanted.unwrap_or_else(SystemTime::now),
        before,
        next_draw()?,
    ))
}

/// The number of the next draw: another one each time, from a random one on. A draw takes one of so many times from its number on.
fn next_draw() -> Result<u64> {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    let next = if let Some(next) = NEXT.get() {
        next
    } else {
        let random = getrandom::u64();
        let random = random
            .map_err(|e| Error::io("get random bytes", std::io::Error::other(e.to_string())))?;
        // A multiple, so that no two draws share a time.
        NEXT.get_or_init(|| AtomicU64::new(random / TRIES * TRIES))
    };
    Ok(next.fetch_add(TRIES, Ordering::Relaxed))
}

/// As [`unique_mtime`], where the file system keeps no fraction of a second: later than all that the file had before, by as much as the
/// coarsest tells apart.
pub fn later_mtime(wanted: Option<SystemTime>, before: Option<SystemTime>) -> SystemTime {
    let (wanted, _) = split(wanted.unwrap_or_else(SystemTime::now));
    let later = before.map(|before| split(before).0 + COARSEST);
    later.map_or(wanted, |later| later.max(wanted))
}

/// The time of a copy of a file that has this one: drawn anew where a commit has drawn it, so that a file that is replaced by its own copy
/// has another tag; else the same.
pub fn next_unique_mtime(time: SystemTime) -> Result<SystemTime> {
    if is_drawn(split(time).1) {
        unique_mtime(Some(time), Some(time))
    } else {
        Ok(time)
    }
}

/// The time that a commit sets where `wanted` is what the client wants, or the present time: within the same millisecond, and for a time in
/// whole seconds within the same second. It is not `before`, which the file had until now; `number` decides.
fn draw(wanted: SystemTime, before: Option<SystemTime>, number: u64) -> SystemTime {
    let (second, nanoseconds) = split(wanted);
    // Whole seconds are what clients send. Of a finer time the milliseconds stay.
    let (base, room) = if nanoseconds == 0 {
        (0, SECOND)
    } else {
        (nanoseconds / COARSE * COARSE, COARSE)
    };
    let steps = u64::from(room / STEP);
    let drawn = (0..TRIES).filter_map(|more| u32::try_from(number.wrapping_add(more) % steps).ok());
    let mut times = drawn
        .map(|step| base + step * STEP)
        .filter(|nanoseconds| is_drawn(*nanoseconds))
        .map(|nanoseconds| second + Duration::from_nanos(nanoseconds.into()));
    times.find(|time| Some(*time) != before).unwrap_or(wanted)
}

/// Whether a commit may have set this fraction of a second.
const fn is_drawn(nanoseconds: u32) -> bool {
    nanoseconds.is_multiple_of(STEP) && !nanoseconds.is_multiple_of(COARSE)
}

/// The fraction of a second of nanoseconds since 1970, which are negative before.
fn nanoseconds_of(modified: u64) -> u32 {
    u32::try_from(modified.cast_signed().rem_euclid(i64::from(SECOND))).unwrap_or_default()
}

/// The second that a time lies in, and the nanoseconds after it.
fn split(time: SystemTime) -> (SystemTime, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (
            time - Duration::from_nanos(after.subsec_nanos().into()),
            after.subsec_nanos(),
        ),
        Err(before) => {
            let rest = (SECOND - before.duration().subsec_nanos()) % SECOND;
            (time - Duration::from_nanos(rest.into()), rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn tag(inode: u64, time: SystemTime, len: u64) -> String {
        let nanoseconds = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap(),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap(),
        };
        Etag([inode, 7, nanoseconds.cast_unsigned(), len]).to_string()
    }

    fn at(nanoseconds: i64) -> SystemTime {
        let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
        if nanoseconds < 0 {
            UNIX_EPOCH - distance
        } else {
            UNIX_EPOCH + distance
        }
    }

    #[test]
    fn a_coarse_time_is_later_than_the_one_before() {
        let second = 1_000_000_000;
        let first = Some(at(7_000_000_000));
        for (wanted, expected) in [(3, 9), (7, 9), (8, 9), (20, 20)] {
            assert_eq!(
                later_mtime(Some(at(wanted * second + 5)), first),
                at(expected * second)
            );
            assert_eq!(
                later_mtime(Some(at(wanted * second + 5)), None),
                at(wanted * second)
            );
        }
    }

    /// As often as anybody saves a file within a second, and within a millisecond.
    #[test]
    fn no_time_is_drawn_twice() {
        let second = at(1_700_000_000_000_000_000);
        for (time, many) in [
            (second, 100_000),
            (second + Duration::from_micros(5300), 2_000),
        ] {
            let drawn: HashSet<_> = (0..many)
                .map(|_| unique_mtime(Some(time), None).unwrap())
                .collect();
            assert_eq!(drawn.len(), many);
        }
    }

    #[test]
    fn the_tag_of_a_drawn_time_does_not_tell_the_inode() {
        let time = draw(at(1_700_000_000_000_000_000), None, 12_345);
        assert_eq!(tag(1, time, 5), tag(2, time, 5));
        assert_ne!(tag(1, time, 5), tag(1, time, 6));
        for whole in [
            0,
            1_700_000_000_000_000_000,
            1_700_000_000_120_000_000,
            1_700_000_000_123_456_789,
            -3_600_000_000_000,
        ] {
            assert_ne!(tag(1, at(whole), 5), tag(2, at(whole), 5), "{whole}");
        }
    }

    proptest! {
        #[test]
        fn a_drawn_time_is_one_within_what_was_wanted(wanted in -(1_i64 << 60)..(1 << 60), random: u64, whole: bool) {
            let second = i64::from(SECOND);
            let wanted = if whole { wanted / second * second } else { wanted };
            let time = draw(at(wanted), None, random);
            let (began, nanoseconds) = split(time);
            prop_assert!(is_drawn(nanoseconds));
            prop_assert_eq!(began, split(at(wanted)).0);
            if wanted % second != 0 {
                prop_assert_eq!(nanoseconds / COARSE, split(at(wanted)).1 / COARSE);
            }
        }

        /// Whatever the clock says and chance draws: never the time that the file had.
        #[test]
        fn two_commits_one_after_the_other_have_different_tags(wanted in 0..(1_i64 << 60), back in 0..3_i64, random: u64) {
            let first = draw(at(wanted), None, random);
            let second = draw(at(wanted - back), Some(first), random);
            prop_assert_ne!(tag(1, first, 5), tag(1, second, 5));
        }
    }
}
