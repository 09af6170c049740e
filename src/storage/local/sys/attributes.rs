//! Extended attributes: what is kept with a file, wherever it goes.

#[cfg(test)]
use super::fake_fs;
use super::{Errno, SysResult};
#[cfg(test)]
use crate::storage::local::missing_features::MissingFeature;
use rustix::fs::{self, Mode, XattrFlags};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

pub(in crate::storage::local::sys) const PROPS: &CStr = c"user.sarang.props";
/// Short, as it shares a file's inode with its value.
const META: &CStr = c"user.sarang";
const SYNCED_LEN: &CStr = c"user.sarang.kept";
const ADOPTED: &CStr = c"user.sarang.given";
/// More than Linux allows an attribute to have.
const PROPS_ROOM: usize = 64 << 10;

/// The stored properties of an open file; `None` when it has none.
pub(in crate::storage::local) fn props_fd(file: BorrowedFd<'_>) -> SysResult<Option<Vec<u8>>> {
    #[cfg(test)]
    if fake_fs::lacks(file, MissingFeature::Xattrs) {
        return Ok(None);
    }
    sized(|room| fs::fgetxattr(file, PROPS, room))
}

/// The stored properties of a name in a folder, without opening it.
pub(in crate::storage::local) fn props_at(
    dir: BorrowedFd<'_>,
    name: &str,
) -> SysResult<Option<Vec<u8>>> {
    #[cfg(test)]
    if fake_fs::lacks(dir, MissingFeature::Xattrs) {
        return Ok(None);
    }
    let path = path_at(dir, name);
    sized(|room| fs::lgetxattr(&path, PROPS, room))
}

/// The stored properties of a name as the kernel gave it, if they have exactly `N` bytes.
pub(in crate::storage::local) fn small_props_at<const N: usize>(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<Option<[u8; N]>> {
    #[cfg(test)]
    fake_fs::attributes(dir)?;
    let path = raw_path_at(dir, name);
    fixed(|room| fs::lgetxattr(path.as_slice(), PROPS, room))
}

/// Stores properties with an open file; empty removes them.
pub(in crate::storage::local) fn set_props(file: BorrowedFd<'_>, props: &[u8]) -> SysResult<()> {
    if !props.is_empty() {
        #[cfg(test)]
        fake_fs::attributes(file)?;
        return set_attribute(file, PROPS, props);
    }
    remove(file, PROPS)
}

/// The meta of an open file; `None` when it has none, or one of more than `N` bytes.
pub(in crate::storage::local) fn meta_fd<const N: usize>(
    file: BorrowedFd<'_>,
) -> SysResult<Option<Vec<u8>>> {
    #[cfg(test)]
    fake_fs::attributes(file)?;
    at_most::<N>(|room| fs::fgetxattr(file, META, room))
}

/// As [`meta_fd`], of a name in a folder.
pub(in crate::storage::local) fn meta_at<const N: usize>(
    dir: BorrowedFd<'_>,
    name: &str,
) -> SysResult<Option<Vec<u8>>> {
    #[cfg(test)]
    fake_fs::attributes(dir)?;
    let path = path_at(dir, name);
    at_most::<N>(|room| fs::lgetxattr(&path, META, room))
}

/// As [`meta_fd`], of a name in a folder as the kernel gave it.
pub(in crate::storage::local) fn meta_at_raw<const N: usize>(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<Option<Vec<u8>>> {
    #[cfg(test)]
    fake_fs::attributes(dir)?;
    let path = raw_path_at(dir, name);
    at_most::<N>(|room| fs::lgetxattr(path.as_slice(), META, room))
}

/// As [`meta_fd`], of what is open only to be looked at.
pub(in crate::storage::local) fn meta_path<const N: usize>(
    file: BorrowedFd<'_>,
) -> SysResult<Option<Vec<u8>>> {
    #[cfg(test)]
    fake_fs::attributes(file)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    at_most::<N>(|room| fs::getxattr(&path, META, room))
}

/// Keeps a meta with an open file.
pub(in crate::storage::local) fn set_meta(file: BorrowedFd<'_>, meta: &[u8]) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::attributes(file)?;
    set_attribute(file, META, meta)
}

/// Takes its meta from an open file.
pub(in crate::storage::local) fn clear_meta(file: BorrowedFd<'_>) -> SysResult<()> {
    remove(file, META)
}

/// How many bytes of an unfinished upload are known to be on the disk; `None` where that was not noted.
pub(in crate::storage::local) fn synced_len(file: BorrowedFd<'_>) -> Option<u64> {
    let mut room = [0; 8];
    #[cfg(test)]
    fake_fs::attributes(file).ok()?;
    (fs::fgetxattr(file, SYNCED_LEN, &mut room) == Ok(8)).then_some(u64::from_le_bytes(room))
}

/// Notes, or with `None` forgets, how many bytes of an unfinished upload are on the disk.
pub(in crate::storage::local) fn set_synced_len(
    file: BorrowedFd<'_>,
    len: Option<u64>,
) -> SysResult<()> {
    let Some(len) = len else {
        return remove(file, SYNCED_LEN);
    };
    #[cfg(test)]
    if fake_fs::lacks(file, MissingFeature::Xattrs) {
        return Ok(());
    }
    match set_attribute(file, SYNCED_LEN, &len.to_le_bytes()) {
        Err(Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Marks the own folder of a tree that becomes a folder of another: the history in it counts for nobody, as before.
pub(in crate::storage::local) fn set_adopted(dir: BorrowedFd<'_>) -> SysResult<()> {
    match set_attribute(dir, ADOPTED, b"1") {
        Err(Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Whether an open folder is marked so. A copy of it is not.
pub(in crate::storage::local) fn is_adopted(dir: BorrowedFd<'_>) -> bool {
    fs::fgetxattr(dir, ADOPTED, &mut [0; 1]).is_ok()
}

/// The path of a name in an open folder: there is no call that takes the two.
fn path_at(dir: BorrowedFd<'_>, name: &str) -> String {
    #[cfg(test)]
    let name = &*fake_fs::spelled(dir, name);
    format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())
}

/// As [`path_at`], of a name as the kernel gave it.
fn raw_path_at(dir: BorrowedFd<'_>, name: &CStr) -> Vec<u8> {
    let dir = format!("/proc/self/fd/{}/", dir.as_raw_fd());
    [dir.as_bytes(), name.to_bytes()].concat()
}

/// Reads an attribute of a known length.
fn fixed<const N: usize>(
    read: impl FnOnce(&mut [u8]) -> SysResult<usize>,
) -> SysResult<Option<[u8; N]>> {
    let mut room = [0; N];
    match read(&mut room) {
        Ok(len) => Ok((len == N).then_some(room)),
        Err(Errno::NODATA | Errno::RANGE) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Reads an attribute of at most `N` bytes.
fn at_most<const N: usize>(
    read: impl FnOnce(&mut [u8]) -> SysResult<usize>,
) -> SysResult<Option<Vec<u8>>> {
    let mut room = [0; N];
    match read(&mut room) {
        Ok(len) => Ok(room.get(..len).map(<[u8]>::to_vec)),
        Err(Errno::NODATA | Errno::RANGE) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Sets an attribute of an open file or folder.
pub(in crate::storage::local::sys) fn set_attribute(
    file: BorrowedFd<'_>,
    name: &CStr,
    value: &[u8],
) -> SysResult<()> {
    with_write_bit(file, || {
        fs::fsetxattr(file, name, value, XattrFlags::empty())
    })
}

/// Changes attributes, which takes the write bit (xattr(7)): what is read-only (0444) has it for that moment, if it is ours. It may be
/// replaced, moved and deleted without.
fn with_write_bit(file: BorrowedFd<'_>, change: impl Fn() -> SysResult<()>) -> SysResult<()> {
    match change() {
        Err(Errno::ACCESS) => {
            let mode = Mode::from_raw_mode(fs::fstat(file)?.st_mode & 0o7777);
            fs::fchmod(file, mode | Mode::WUSR).map_err(|_| Errno::ACCESS)?;
            let changed = change();
            fs::fchmod(file, mode)?;
            changed
        }
        other => other,
    }
}

/// Removes an attribute, which need not be there.
fn remove(file: BorrowedFd<'_>, name: &CStr) -> SysResult<()> {
    match with_write_bit(file, || fs::fremovexattr(file, name)) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Reads an attribute into a small buffer first: nearly no file has one, and nearly none is large.
pub(in crate::storage::local::sys) fn sized(
    read: impl Fn(&mut [u8]) -> SysResult<usize>,
) -> SysResult<Option<Vec<u8>>> {
    let mut small = [0; 1024];
    match read(&mut small) {
        Ok(len) => return Ok(Some(small.get(..len).unwrap_or_default().to_vec())),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
        Err(Errno::RANGE) => {}
        Err(other) => return Err(other),
    }
    let mut large = vec![0; PROPS_ROOM];
    let len = read(&mut large)?;
    large.truncate(len);
    Ok(Some(large))
}
