//! What a faithful copy of a file or folder takes: all that is known about it, its bytes on whatever file system, our attributes.

use super::attributes::{PROPS, sized};
use super::{Errno, Found, Outcome, found, nanoseconds, read, retry, write_all};
use crate::content::local::os;
use rustix::fs::{self as sys, AtFlags, Gid, Mode, StatxFlags, Uid, XattrFlags};
use std::ffi::CStr;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;

/// How the attributes that Sarang sets begin.
const OURS: &[u8] = b"user.sarang";
/// Bytes read at once where the kernel cannot copy.
const PIECE: usize = 1 << 20;

/// A file or folder, with what only a copy of it needs to know.
#[derive(Clone, Debug)]
pub(in crate::content::local) struct Facts {
    pub found: Found,
    /// Nanoseconds since 1970 of the last change to it, attributes included; nobody can set this.
    pub changed: u64,
    pub(super) mode: u16,
    pub(super) owner: (u32, u32),
}

/// Everything about an open file or folder.
pub(in crate::content::local) fn facts_fd(fd: BorrowedFd<'_>) -> Outcome<Facts> {
    let facts = sys::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    let (changed, mode, owner) = (nanoseconds(facts.stx_ctime), facts.stx_mode, (facts.stx_uid, facts.stx_gid));
    Ok(Facts { found: found(&facts), changed, mode, owner })
}

/// Copies a file's bytes: shared blocks, inside the kernel, or piece by piece. Returns how many there were.
pub(in crate::content::local) fn copy_content(from: BorrowedFd<'_>, to: BorrowedFd<'_>, len: u64) -> Outcome<u64> {
    match os::copy_bytes(from, to, len, || true) {
        Ok(()) => os::stat_fd(to).map(|copy| copy.node.len),
        // Between file systems, or on one that has no such call.
        Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => copy_pieces(from, to),
        Err(e) => Err(e),
    }
}

fn copy_pieces(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Outcome<u64> {
    let (mut room, mut offset) = (vec![0; PIECE], 0);
    loop {
        let count = read(from, &mut room, offset)?;
        let piece = room.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(offset);
        }
        write_all(to, &mut [IoSlice::new(piece)], offset)?;
        offset += piece.len() as u64;
    }
}

/// Copies the attributes that Sarang has set; `EOPNOTSUPP` when there are some and the file system of the copy keeps none. Returns
/// properties that are too large for an attribute there.
pub(in crate::content::local) fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Outcome<Option<Vec<u8>>> {
    let mut too_large = None;
    let Some(names) = sized(|room| sys::flistxattr(from, room))? else { return Ok(None) };
    for name in names.split_inclusive(|byte| *byte == 0).filter(|name| name.starts_with(OURS)) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let Some(value) = sized(|room| sys::fgetxattr(from, name, room))? else { continue };
        match sys::fsetxattr(to, name, &value, XattrFlags::empty()) {
            Err(Errno::NOSPC | Errno::DQUOT | Errno::TOOBIG | Errno::RANGE) if name == PROPS => too_large = Some(value),
            set => set?,
        }
    }
    Ok(too_large)
}

/// Gives a copy the owner, as far as we may, and the permissions of what it is a copy of.
pub(in crate::content::local) fn set_access(copy: BorrowedFd<'_>, facts: &Facts) -> Outcome<()> {
    let (user, group) = (Uid::from_raw(facts.owner.0), Gid::from_raw(facts.owner.1));
    let made = facts_fd(copy)?;
    if made.owner == facts.owner && made.mode & 0o7777 == facts.mode & 0o777 {
        return Ok(());
    }
    // Only root may give files away; anybody else keeps what they copy.
    let _ = sys::fchown(copy, Some(user), Some(group));
    retry(|| sys::fchmod(copy, Mode::from_raw_mode(u32::from(facts.mode & 0o777))))
}
