//! What a faithful copy of a file or folder takes: all that is known about it, its bytes on whatever file system, our attributes.

use super::attributes::{PROPS, set_attribute, sized};
use super::{Errno, FileStat, SysResult, found, nanoseconds, read, retry, write_all};
use crate::storage::local::sys;
use rustix::fs::{self, AtFlags, Gid, Mode, SeekFrom, StatxFlags, Uid};
use std::ffi::CStr;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;

/// How the attributes that Sarang sets begin.
const OURS: &[u8] = b"user.sarang";
/// Bytes read at once where the kernel cannot copy.
const PIECE: usize = 1 << 20;

/// A file or folder, with what only a copy of it needs to know.
#[derive(Clone, Debug)]
pub(in crate::storage::local) struct CopyMetadata {
    pub found: FileStat,
    /// Nanoseconds since 1970 of the last change to it, attributes included; nobody can set this.
    pub changed: u64,
    pub(super) mode: u16,
    pub(super) owner: (u32, u32),
}

/// Everything about an open file or folder.
pub(in crate::storage::local) fn facts_fd(fd: BorrowedFd<'_>) -> SysResult<CopyMetadata> {
    let facts = fs::statx(
        fd,
        c"",
        AtFlags::EMPTY_PATH,
        StatxFlags::BASIC_STATS | StatxFlags::BTIME,
    )?;
    let changed = nanoseconds(facts.stx_ctime);
    let mode = facts.stx_mode;
    let owner = (facts.stx_uid, facts.stx_gid);
    Ok(CopyMetadata {
        found: found(&facts),
        changed,
        mode,
        owner,
    })
}

/// Copies the first `len` bytes of a file: shared blocks, inside the kernel, or piece by piece; what is a hole stays one. Returns how
/// long the copy is.
pub(in crate::storage::local) fn copy_content(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    len: u64,
) -> SysResult<u64> {
    let mut at = 0;
    while let Some((begin, end)) = stretch(from, at, len)? {
        copy_stretch(from, to, begin, end)?;
        at = end;
    }
    // What has become shorter meanwhile gets no zeros in place of what is gone.
    let len = sys::stat_fd(from)?.node.len.min(len);
    sys::truncate(to, len).map(|()| len)
}

/// The next stretch of a file that is no hole.
fn stretch(from: BorrowedFd<'_>, at: u64, len: u64) -> SysResult<Option<(u64, u64)>> {
    if at >= len {
        return Ok(None);
    }
    match fs::seek(from, SeekFrom::Data(at)) {
        Ok(begin) if begin < len => {
            let end = fs::seek(from, SeekFrom::Hole(begin)).unwrap_or(len);
            Ok(Some((begin, end.min(len))))
        }
        Ok(_) | Err(Errno::NXIO) => Ok(None),
        // A file system that does not tell.
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Some((at, len))),
        Err(e) => Err(e),
    }
}

fn copy_stretch(from: BorrowedFd<'_>, to: BorrowedFd<'_>, begin: u64, end: u64) -> SysResult<()> {
    let mut source = begin;
    let mut target = begin;
    while target < end {
        let most = usize::try_from(end - target).unwrap_or(usize::MAX);
        match retry(|| fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), most)) {
            // It has become shorter.
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Between file systems, or on one that has no such call.
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return copy_pieces(from, to, target, end);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn copy_pieces(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mut offset: u64,
    end: u64,
) -> SysResult<()> {
    let mut room = vec![0; PIECE];
    while offset < end {
        let most = usize::try_from(end - offset).unwrap_or(PIECE).min(PIECE);
        let count = read(from, room.get_mut(..most).unwrap_or_default(), offset)?;
        let piece = room.get(..count).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        write_all(to, &mut [IoSlice::new(piece)], offset)?;
        offset += piece.len() as u64;
    }
    Ok(())
}

/// Copies the attributes that Sarang has set; `EOPNOTSUPP` when there are some and the file system of the copy keeps none. Returns
/// properties that are too large for an attribute there.
pub(in crate::storage::local) fn copy_attributes(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
) -> SysResult<Option<Vec<u8>>> {
    let mut too_large = None;
    let Some(names) = sized(|room| fs::flistxattr(from, room))? else {
        return Ok(None);
    };
    for name in names
        .split_inclusive(|byte| *byte == 0)
        .filter(|name| name.starts_with(OURS))
    {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        let Some(value) = sized(|room| fs::fgetxattr(from, name, room))? else {
            continue;
        };
        match set_attribute(to, name, &value) {
            Err(Errno::NOSPC | Errno::DQUOT | Errno::TOOBIG | Errno::RANGE) if name == PROPS => {
                too_large = Some(value);
            }
            set => set?,
        }
    }
    Ok(too_large)
}

/// Gives a copy the owner, as far as we may, and the permissions of what it is a copy of.
pub(in crate::storage::local) fn set_access(
    copy: BorrowedFd<'_>,
    facts: &CopyMetadata,
) -> SysResult<()> {
    let user = Uid::from_raw(facts.owner.0);
    let group = Gid::from_raw(facts.owner.1);
    let made = facts_fd(copy)?;
    if made.owner == facts.owner && made.mode & 0o7777 == facts.mode & 0o777 {
        return Ok(());
    }
    // Only root may give files away; anybody else keeps what they copy.
    let _ = fs::fchown(copy, Some(user), Some(group));
    retry(|| fs::fchmod(copy, Mode::from_raw_mode(u32::from(facts.mode & 0o777))))
}
