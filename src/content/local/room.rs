//! Room on the disk: looked for before bytes come, and taken where it is known how many will.

use super::os::{self, Errno, fd};
use super::root::{Root, explain};
use super::{forget, held};
use crate::content::Judge;
use crate::model::{Error, Result};
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

impl Root {
    /// Fails when `len` more bytes would not leave the reserve, though the oldest of the history is let go: with `NoSpace`, with `LimitReached`
    /// while the history is held. If history must go, it goes for up to `ahead` bytes more, too, since each time all of it is looked through.
    /// May wait for the disk.
    pub fn check_room(&self, len: u64, ahead: u64) -> Result<()> {
        if self.missing_room(len)? == 0 {
            return Ok(());
        }
        forget::make_room(self, len, ahead)?;
        if self.missing_room(len)? == 0 {
            Ok(())
        } else {
            Err(self.no_room())
        }
    }

    /// As [`check_room`](Self::check_room), for what is only announced, which lets nothing of the history go: false where the room must be made
    /// as the bytes come. Fails where all of the history would not be enough.
    pub fn expect_room(&self, len: u64) -> Result<bool> {
        if self.missing_room(len)? == 0 {
            return Ok(true);
        }
        if forget::would_be_enough(self, len)? {
            Ok(false)
        } else {
            Err(self.no_room())
        }
    }

    /// Takes room on the disk for the `len` bytes that will come into an empty file, so that nobody else gets it; it is given back with
    /// the file. As [`check_room`](Self::check_room) otherwise. What others have taken is no longer free, whatever tree they are in.
    pub fn take_room(&self, file: BorrowedFd<'_>, len: u64) -> Result<()> {
        if self.try_take_room(file, len)? {
            return Ok(());
        }
        forget::make_room(self, len, 0)?;
        if self.try_take_room(file, len)? {
            Ok(())
        } else {
            Err(self.no_room())
        }
    }

    /// As [`take_room`](Self::take_room), for what is only announced: false as for [`expect_room`](Self::expect_room).
    pub fn take_free_room(&self, file: BorrowedFd<'_>, len: u64) -> Result<bool> {
        if self.try_take_room(file, len)? {
            return Ok(true);
        }
        // There is more free than may be taken, or somebody has made room in this moment.
        if self.expect_room(len)? && !self.try_take_room(file, len)? {
            return Err(self.no_room());
        }
        Ok(os::has_room(file, len))
    }

    fn no_room(&self) -> Error {
        if self.held.until(SystemTime::now()).is_some() {
            held::NO_ROOM
        } else {
            Error::NoSpace
        }
    }

    fn try_take_room(&self, file: BorrowedFd<'_>, len: u64) -> Result<bool> {
        // Two that look at once must not both find the room that is there once.
        let _alone = self.waiting.turns.disk().room.lock();
        if self.missing_room(len)? > 0 {
            return Ok(false);
        }
        match os::reserve(file, len) {
            Ok(()) => Ok(true),
            Err(Errno::NOSPC) => os::truncate(file, 0)
                .map(|()| false)
                .map_err(|e| explain("give room back", e)),
            Err(e) => Err(explain("reserve room for the file", e)),
        }
    }

    /// Copies `len` bytes into an empty file: shared where the file system can, else into room taken before.
    /// Before each part the judge is asked whether to go on.
    pub fn copy_into(
        &self,
        file: BorrowedFd<'_>,
        from: BorrowedFd<'_>,
        len: u64,
        judge: &dyn Judge,
    ) -> Result<()> {
        if os::share_bytes(from, file) {
            return Ok(());
        }
        self.take_room(file, len)?;
        match os::copy_bytes(from, file, len, || judge.check().is_ok()) {
            Err(Errno::CANCELED) => judge.check().and(Err(Error::Conflict)),
            // Between file systems, or on one that has no such call.
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                os::copy_content(from, file, len)
                    .map(drop)
                    .map_err(|e| explain("copy the file", e))
            }
            copied => copied.map_err(|e| explain("copy the file", e)),
        }
    }

    /// How many bytes are missing on the disk for `len` more beside the reserve.
    pub fn missing_room(&self, len: u64) -> Result<u64> {
        let free = os::free_bytes(fd(&self.dir)).map_err(|e| explain("ask for free space", e))?;
        Ok(self
            .settings
            .reserve
            .saturating_add(len)
            .saturating_sub(free))
    }
}
