//! Who may read what is made: as the folder wants it that it comes to lie in, or as it was for the file whose place it takes.

use super::attributes::sized;
use super::{CONFINED, Errno, SysResult, facts_fd, retry};
use rustix::fs::{self, Gid, Mode, OFlags, ResolveFlags, Uid, XattrFlags};
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Who may do what with a file or folder, beyond its mode.
const ACCESS: &CStr = c"system.posix_acl_access";
/// What a folder hands on to all that is made in it.
const DEFAULT: &CStr = c"system.posix_acl_default";
const SET_GROUP: u32 = 0o2000;
/// What a program asks for that makes a file or folder and leaves the rest to the folder around it.
const OPEN_FILE: u16 = 0o666;

/// What a folder hands on to what is made in it: its group and its default ACL.
#[derive(Clone, Debug, Default)]
pub(in crate::storage::local) struct InheritedAccess {
    group: Option<Gid>,
    acl: Option<Vec<u8>>,
}

impl InheritedAccess {
    /// What an open folder hands on.
    pub fn of(dir: BorrowedFd<'_>) -> SysResult<Self> {
        let facts = fs::fstat(dir)?;
        let group = (facts.st_mode & SET_GROUP != 0).then(|| Gid::from_raw(facts.st_gid));
        Ok(Self {
            group,
            acl: sized(|room| fs::fgetxattr(dir, DEFAULT, room))?,
        })
    }

    /// Whether it hands on nothing.
    pub fn is_plain(&self) -> bool {
        self.group.is_none() && self.acl.is_none()
    }

    /// Gives a file, made with 0600, what it inherits; where nothing says more, this mode.
    pub fn apply_to_file(&self, file: BorrowedFd<'_>, mode: u16) -> SysResult<()> {
        if let Some(group) = self.group {
            allowed(fs::fchown(file, None, Some(group)))?;
        }
        match &self.acl {
            Some(acl) => allowed(fs::fsetxattr(
                file,
                ACCESS,
                &limited(acl, OPEN_FILE),
                XattrFlags::empty(),
            )),
            None if mode == 0o600 => Ok(()),
            None => change_mode(file, mode.into()),
        }
    }

    /// As [`apply_to_file`](Self::apply_to_file), a folder made with 0700. It hands on the same.
    pub fn apply_to_folder(&self, dir: BorrowedFd<'_>, mode: u16) -> SysResult<()> {
        if let Some(group) = self.group {
            allowed(fs::fchown(dir, None, Some(group)))?;
        }
        let set_group = if self.group.is_some() { SET_GROUP } else { 0 };
        if set_group != 0 || mode != 0o700 {
            change_mode(dir, u32::from(mode) | set_group)?;
        }
        let Some(acl) = &self.acl else { return Ok(()) };
        allowed(fs::fsetxattr(dir, DEFAULT, acl, XattrFlags::empty()))?;
        allowed(fs::fsetxattr(dir, ACCESS, acl, XattrFlags::empty()))
    }
}

/// Gives a new file the mode, owner, group and ACL of the one whose place it takes, as far as this process may. What the group might do
/// is for no other group.
pub(in crate::storage::local) fn copy_access(
    old: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
) -> SysResult<()> {
    let old_facts = facts_fd(old)?;
    let new_facts = facts_fd(new)?;
    let (user, group) = old_facts.owner;
    let mut mode = old_facts.mode & 0o777;
    if old_facts.owner != new_facts.owner
        && fs::fchown(new, Some(Uid::from_raw(user)), Some(Gid::from_raw(group))).is_err()
    {
        let is_kept =
            group == new_facts.owner.1 || fs::fchown(new, None, Some(Gid::from_raw(group))).is_ok();
        mode = if is_kept { mode } else { mode & 0o707 };
    }
    match sized(|room| fs::fgetxattr(old, ACCESS, room))? {
        // It says what the mode says, and more.
        Some(acl) if mode == old_facts.mode & 0o777 => {
            allowed(fs::fsetxattr(new, ACCESS, &acl, XattrFlags::empty()))
        }
        _ if mode == new_facts.mode & 0o777 => Ok(()),
        _ => change_mode(new, mode.into()),
    }
}

/// Takes from a file what it had from another by [`copy_access`]: it is as it was made.
pub(in crate::storage::local) fn clear_access(file: BorrowedFd<'_>) -> SysResult<()> {
    remove_acl(file, ACCESS)?;
    change_mode(file, 0o600)
}

/// Lets the owner of a folder, which may be one that cannot be opened (0000), do everything in it, as far as this process may. `XDEV` for
/// a mount point, whose mode is that of another file system.
pub(in crate::storage::local) fn unlock_folder(
    above: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = CONFINED | ResolveFlags::NO_XDEV;
    let dir = retry(|| fs::openat2(above, name, flags, Mode::empty(), resolve))?;
    if fs::fstat(&dir)?.st_mode & 0o700 == 0o700 {
        return Ok(());
    }
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    allowed(fs::chmod(path, Mode::RWXU))
}

/// Lets a folder hand on no ACL: what is made in it is nobody else's yet.
pub(in crate::storage::local) fn clear_default(dir: BorrowedFd<'_>) -> SysResult<()> {
    remove_acl(dir, DEFAULT)
}

fn remove_acl(of: BorrowedFd<'_>, name: &CStr) -> SysResult<()> {
    match fs::fremovexattr(of, name) {
        Err(Errno::NODATA) => Ok(()),
        removed => allowed(removed),
    }
}

fn change_mode(of: BorrowedFd<'_>, mode: u32) -> SysResult<()> {
    allowed(retry(|| fs::fchmod(of, Mode::from_raw_mode(mode))))
}

/// What a file system does not keep, or this process may not set, stays as it was made: for nobody else.
fn allowed(outcome: SysResult<()>) -> SysResult<()> {
    match outcome {
        Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// An ACL as a file has it that was made with this mode: owner, mask (or group, where there is none) and others have no more than that.
fn limited(acl: &[u8], mode: u16) -> Vec<u8> {
    const HEAD: usize = 4;
    const ENTRY: usize = 8;
    const OWNER: u16 = 1;
    const GROUP: u16 = 4;
    const MASK: u16 = 0x10;
    const OTHERS: u16 = 0x20;
    let mut limited = acl.to_vec();
    let Some((_, entries)) = limited.split_at_mut_checked(HEAD) else {
        return limited;
    };
    let tag = |entry: &[u8]| {
        entry
            .first_chunk()
            .map_or(0, |tag| u16::from_le_bytes(*tag))
    };
    let has_mask = entries.chunks_exact(ENTRY).any(|entry| tag(entry) == MASK);
    for entry in entries.chunks_exact_mut(ENTRY) {
        let most = match tag(entry) {
            OWNER => mode >> 6,
            MASK => mode >> 3,
            GROUP if !has_mask => mode >> 3,
            OTHERS => mode,
            _ => 7,
        };
        if let Some(rights) = entry.get_mut(2) {
            *rights &= most.to_le_bytes()[0] & 7;
        }
    }
    limited
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(u16, u16)]) -> Vec<u8> {
        let parts = entries
            .iter()
            .map(|(tag, rights)| [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &[0; 4]].concat());
        std::iter::once(vec![2, 0, 0, 0])
            .chain(parts)
            .flatten()
            .collect()
    }

    #[test]
    fn an_acl_is_limited_as_the_kernel_does() {
        let named = 2;
        let all = 7;
        let with_mask = [(1, all), (named, all), (4, 5), (0x10, all), (0x20, 5)];
        let expected = [(1, 6), (named, all), (4, 5), (0x10, 6), (0x20, 4)];
        assert_eq!(limited(&acl(&with_mask), OPEN_FILE), acl(&expected));
        assert_eq!(
            limited(&acl(&[(1, 7), (4, 7), (0x20, 7)]), 0o640),
            acl(&[(1, 6), (4, 4), (0x20, 0)])
        );
        assert_eq!(limited(&[2, 0], 0o640), [2, 0]);
    }
}
