//! The bytes of a zip archive (PKWARE APPNOTE 6.3): heads, data descriptors, the directory at the end.

use crate::model::time::{calendar, unix_seconds};
use bytes::Bytes;
use crc32fast::Hasher;
use std::time::SystemTime;

/// What a 32-bit field says when the Zip64 field beside it counts.
const ELSEWHERE: u32 = u32::MAX;
/// The same for 16 bits.
const ELSEWHERE_16: u16 = u16::MAX;
/// UTF-8 names (bit 11); sizes and checksum after the content (bit 3).
const UTF8: u16 = 1 << 11;
const SIZES_FOLLOW: u16 = 1 << 3;
/// Made by Unix (3), format 4.5 (45, Zip64).
const MADE_BY: u16 = 0x032d;
const PLAIN: u16 = 20;
const ZIP64: u16 = 45;

/// A file or folder of an archive.
#[derive(Clone, Debug)]
pub struct ZipMember {
    name: String,
    folder: bool,
    modified: SystemTime,
    len: u64,
    offset: u64,
    crc: Hasher,
}

impl ZipMember {
    /// A folder; its name ends in a slash.
    pub fn folder(name: &str, modified: SystemTime) -> Self {
        Self {
            name: name.to_owned(),
            folder: true,
            modified,
            len: 0,
            offset: 0,
            crc: Hasher::new(),
        }
    }

    /// A file of exactly `len` bytes.
    pub fn file(name: &str, modified: SystemTime, len: u64) -> Self {
        Self {
            name: name.to_owned(),
            folder: false,
            modified,
            len,
            offset: 0,
            crc: Hasher::new(),
        }
    }

    /// Says where in the archive it begins.
    pub fn place(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Bytes of content.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Takes content into the checksum.
    pub fn update(&mut self, content: &[u8]) {
        self.crc.update(content);
    }

    fn is_large(&self) -> bool {
        self.len >= u64::from(ELSEWHERE)
    }

    /// What stands before the content.
    pub fn head(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.name.len());
        put32(&mut out, 0x0403_4b50);
        put16(&mut out, if self.is_large() { ZIP64 } else { PLAIN });
        self.put_common(&mut out);
        put32(&mut out, 0);
        let size = if self.is_large() { ELSEWHERE } else { 0 };
        put32(&mut out, size);
        put32(&mut out, size);
        let mut extra = self.times();
        if self.is_large() {
            // Says that the sizes that follow the content have 64 bits.
            put16(&mut extra, 1);
            put16(&mut extra, 16);
            put64(&mut extra, 0);
            put64(&mut extra, 0);
        }
        put16(&mut out, short(self.name.len()));
        put16(&mut out, short(extra.len()));
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&extra);
        out.into()
    }

    /// What stands after the content.
    pub fn tail(&self) -> Bytes {
        let mut out = Vec::with_capacity(24);
        put32(&mut out, 0x0807_4b50);
        put32(&mut out, self.crc.clone().finalize());
        for _ in 0..2 {
            if self.is_large() {
                put64(&mut out, self.len);
            } else {
                put32(&mut out, narrow(self.len));
            }
        }
        out.into()
    }

    /// Its line of the directory.
    fn put_line(&self, out: &mut Vec<u8>) {
        let mut wide = Vec::new();
        if self.is_large() {
            put64(&mut wide, self.len);
            put64(&mut wide, self.len);
        }
        if self.offset >= u64::from(ELSEWHERE) {
            put64(&mut wide, self.offset);
        }
        let mut extra = self.times();
        if !wide.is_empty() {
            put16(&mut extra, 1);
            put16(&mut extra, short(wide.len()));
            extra.extend_from_slice(&wide);
        }
        put32(out, 0x0201_4b50);
        put16(out, MADE_BY);
        put16(out, if wide.is_empty() { PLAIN } else { ZIP64 });
        self.put_common(out);
        put32(out, self.crc.clone().finalize());
        put32(out, narrow(self.len));
        put32(out, narrow(self.len));
        put16(out, short(self.name.len()));
        put16(out, short(extra.len()));
        put16(out, 0); // comment
        put16(out, 0); // disk
        put16(out, 0); // internal attributes
        put32(
            out,
            if self.folder {
                (0o040_755 << 16) | 0x10
            } else {
                0o100_644 << 16
            },
        );
        put32(out, narrow(self.offset));
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&extra);
    }

    /// Flags, method (stored), time.
    fn put_common(&self, out: &mut Vec<u8>) {
        put16(
            out,
            if self.folder {
                UTF8
            } else {
                UTF8 | SIZES_FOLLOW
            },
        );
        put16(out, 0);
        let (date, time) = dos_moment(self.modified);
        put16(out, time);
        put16(out, date);
    }

    /// The modification time in seconds since 1970, where 32 bits can say it (Info-ZIP's extended timestamp).
    fn times(&self) -> Vec<u8> {
        let mut extra = Vec::with_capacity(32);
        if let Ok(seconds) = i32::try_from(unix_seconds(self.modified)) {
            put16(&mut extra, 0x5455);
            put16(&mut extra, 5);
            extra.push(1);
            extra.extend_from_slice(&seconds.to_le_bytes());
        }
        extra
    }
}

/// The directory at the end, and how far the archive has come.
#[derive(Debug, Default)]
pub struct CentralDirectory {
    position: u64,
    count: u64,
    lines: Vec<u8>,
}

impl CentralDirectory {
    /// Bytes written so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of memory that it takes.
    pub fn room(&self) -> usize {
        self.lines.capacity()
    }

    /// Counts bytes written.
    pub fn advance(&mut self, bytes: usize) {
        self.position += bytes as u64;
    }

    /// Adds a member that is written whole.
    pub fn add(&mut self, member: &ZipMember) {
        self.count += 1;
        member.put_line(&mut self.lines);
    }

    /// The end of the archive.
    pub fn finish(self) -> Bytes {
        let Self {
            position: start,
            count,
            lines: mut out,
        } = self;
        let len = out.len() as u64;
        let wide = count >= u64::from(ELSEWHERE_16)
            || start >= u64::from(ELSEWHERE)
            || len >= u64::from(ELSEWHERE);
        if wide {
            put32(&mut out, 0x0606_4b50);
            put64(&mut out, 44);
            put16(&mut out, MADE_BY);
            put16(&mut out, ZIP64);
            put32(&mut out, 0);
            put32(&mut out, 0);
            put64(&mut out, count);
            put64(&mut out, count);
            put64(&mut out, len);
            put64(&mut out, start);
            put32(&mut out, 0x0706_4b50);
            put32(&mut out, 0);
            put64(&mut out, start + len);
            put32(&mut out, 1);
        }
        put32(&mut out, 0x0605_4b50);
        put32(&mut out, 0);
        let few = u16::try_from(count).unwrap_or(ELSEWHERE_16);
        put16(&mut out, few);
        put16(&mut out, few);
        put32(&mut out, narrow(len));
        put32(&mut out, narrow(start));
        put16(&mut out, 0);
        out.into()
    }
}

/// Date and time as DOS has them, in UTC; years it cannot say become the nearest it can.
fn dos_moment(time: SystemTime) -> (u16, u16) {
    let moment = calendar(time);
    if moment.year() < 1980 {
        return ((1 << 5) | 1, 0);
    }
    let field = |value: i16, shift: u32| u16::try_from(value).unwrap_or(0) << shift;
    let date = field((moment.year() - 1980).min(127), 9)
        | field(moment.month().into(), 5)
        | field(moment.day().into(), 0);
    let clock = field(moment.hour().into(), 11)
        | field(moment.minute().into(), 5)
        | field((moment.second() / 2).into(), 0);
    (date, clock)
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(ELSEWHERE)
}

/// The length of a name or extra field; longer names are no members.
fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(ELSEWHERE_16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::from_unix_seconds;

    #[test]
    fn moments_are_kept_within_what_dos_can_say() {
        assert_eq!(dos_moment(from_unix_seconds(0)), (0x21, 0));
        let (date, time) = dos_moment(from_unix_seconds(784_111_777));
        assert_eq!((date >> 9, (date >> 5) & 15, date & 31), (14, 11, 6));
        assert_eq!((time >> 11, (time >> 5) & 63, (time & 31) * 2), (8, 49, 36));
    }

    #[test]
    fn large_members_and_late_ones_use_wide_fields() {
        let mut member = ZipMember::file("a", from_unix_seconds(0), 5 << 30);
        member.place(6 << 30);
        assert_eq!(member.tail().len(), 24);
        assert_eq!(&member.head()[18..26], [0xff; 8]);
        let mut directory = CentralDirectory::default();
        directory.advance(1 << 33);
        directory.add(&member);
        let end = directory.finish();
        assert!(end.windows(4).any(|w| w == [0x50, 0x4b, 6, 6]));
        assert!(end.windows(8).any(|w| w == (6_u64 << 30).to_le_bytes()));
        assert_eq!(
            ZipMember::file("a", from_unix_seconds(0), 3).tail().len(),
            16
        );
    }
}
