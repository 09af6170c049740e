//! The journal: changes that are acknowledged but not yet in sled, in one file that is written in place and never grows,
//! so that making a record durable is one write and one `fdatasync` that has no metadata to write.
//!
//! Two header slots, each alone in its page, name generations (number and random epoch); the higher number holds.
//! Records follow each other from [`START`]; each carries its generation's epoch, its place in the sequence and a
//! checksum over all of that. Reading stops at the first that does not fit: a torn one, or one of an older generation.
//! To start anew is to write the other slot: torn, it leaves the old generation, whose records all stand there still.
//! A record shares its disk sector with the one before; a sector is taken to be written whole or not at all.
//!
//! A record may be written before the ones ahead of it are durable. After a power cut it can then stand there while one ahead of
//! it does not, so each says in the upper 16 bits of its sequence number how many ahead of it were still waiting for their fsync:
//! only a record whose predecessors were durable when it was written proves that one missing ahead of it was lost to damage.

mod entry;

pub(super) use entry::JournalEntry;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: &[u8; 8] = b"sarangJ1";
/// Where the second header slot stands.
const PAGE: usize = 4096;
/// Where the records begin.
const START: usize = 2 * PAGE;
/// Length of a checksum: half of a SHA-256.
const SUM: usize = 16;
/// What stands before a record's content: tag, sequence number, length, checksum.
const HEAD: usize = 8 + 8 + 4 + SUM;
/// Where, in the sequence number of a record, the number of records begins that were not durable when it was written.
const LAG_SHIFT: u32 = 48;
/// The most records that may wait for one fsync.
const MAX_LAG: u64 = 1 << 12;
/// The length that stands for "deleted".
const DELETED: u32 = u32::MAX;

/// Keys and their new values (`None`: deleted), in the order in which they were journaled.
pub(super) type JournalChanges = Vec<(String, Option<String>)>;

/// An open journal, ready for its next record.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    len: usize,
    generation: Generation,
    end: usize,
    next: u64,
    /// How many of the records are durable.
    synced: u64,
    fsync: bool,
}

/// What a journal file turned out to be.
#[derive(Debug)]
pub(super) enum OpenedJournal {
    /// There is none.
    Missing,
    /// Acknowledged changes may be lost, for this reason.
    Damaged(&'static str),
    /// A sound one, and what it holds.
    Whole(Journal, Vec<JournalChanges>),
}

/// The records that belong together: those since one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Generation {
    number: u64,
    epoch: [u8; 16],
}

/// A record as it is read.
struct JournalRecord<'a> {
    seq: u64,
    /// How many records were durable when it was written.
    durable: u64,
    content: &'a [u8],
}

impl Journal {
    /// Makes an empty journal of `len` bytes at `path`, which is durably whole or not there.
    pub(super) fn create(path: &Path, len: usize, fsync: bool) -> io::Result<Self> {
        let fresh = path.with_extension("new");
        let before = Generation::new(0)?;
        let generation = Generation::new(1)?;
        let mut image = vec![0; len.max(START)];
        for slot in [before, generation] {
            image
                .iter_mut()
                .skip(slot.place())
                .zip(slot.slot())
                .for_each(|(to, from)| *to = from);
        }
        // real zeros, not a hole: later writes must find their blocks allocated and written
        fs::write(&fresh, &image)?;
        let file = File::options().read(true).write(true).open(&fresh)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        path.parent()
            .map_or(Ok(()), |dir| File::open(dir)?.sync_all())?;
        Ok(Self {
            file,
            len: image.len(),
            generation,
            end: START,
            next: 0,
            synced: 0,
            fsync,
        })
    }

    /// Opens the journal at `path` and reads all that was acknowledged, and perhaps one record that was about to be.
    ///
    /// What was read is written once more, with zeros after it: after a failed fsync the kernel may show what is not
    /// on the disk, and a torn record has no business there any longer.
    pub(super) fn open(path: &Path, fsync: bool) -> io::Result<OpenedJournal> {
        let mut image = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(OpenedJournal::Missing),
            read => read?,
        };
        let len = image.len();
        let replay = match read(&image) {
            Ok(replay) => replay,
            Err(why) => return Ok(OpenedJournal::Damaged(why)),
        };
        if replay.is_cut {
            tracing::warn!(
                "the last record of the journal is not whole: a crash has cut a change that nobody was told of, or that \
                 need not outlive a power cut, or the disk has damaged one"
            );
        }
        image.truncate(replay.end);
        image.resize(len, 0);
        let file = File::options().read(true).write(true).open(path)?;
        file.write_all_at(&image, 0)?;
        let Replay {
            generation,
            changes,
            end,
            ..
        } = replay;
        let next = changes.len() as u64;
        let mut journal = Self {
            file,
            len,
            generation,
            end,
            next,
            synced: 0,
            fsync,
        };
        journal.sync()?;
        Ok(OpenedJournal::Whole(journal, changes))
    }

    /// Whether nothing was journaled since the generation began.
    pub(super) fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Whether there is room for an entry.
    pub(super) fn fits(&self, entry: &JournalEntry) -> bool {
        self.end + entry.len() <= self.len
    }

    /// Whether records wait for their fsync.
    pub(super) fn needs_sync(&self) -> bool {
        self.unsynced() > 0
    }

    /// How many records wait for their fsync.
    pub(super) fn unsynced(&self) -> u64 {
        self.next - self.synced
    }

    /// Writes a record that fits; it and all before it are durable after the next [`sync`](Self::sync). After a failure the
    /// journal must not be used again.
    pub(super) fn append(&mut self, entry: JournalEntry) -> io::Result<()> {
        if !self.fits(&entry) {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the change is larger than the journal",
            ));
        }
        if self.unsynced() >= MAX_LAG {
            self.sync()?;
        }
        let seq = self.next | self.unsynced() << LAG_SHIFT;
        let record = entry.seal(&self.generation, seq);
        self.file.write_all_at(&record, self.end as u64)?;
        self.end += record.len();
        self.next += 1;
        Ok(())
    }

    /// Forgets all records, which by now are durable elsewhere; one must have been journaled.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        let generation = Generation::new(self.generation.number + 1)?;
        self.file
            .write_all_at(&generation.slot(), generation.place() as u64)?;
        self.sync()?;
        (self.generation, self.end, self.next, self.synced) = (generation, START, 0, 0);
        Ok(())
    }

    /// Makes all records durable. After a failure the journal must not be used again.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.fsync {
            self.file.sync_data()?;
        }
        self.synced = self.next;
        Ok(())
    }
}

impl Generation {
    /// A generation whose records nobody can have written before.
    fn new(number: u64) -> io::Result<Self> {
        let mut epoch = [0; 16];
        getrandom::fill(&mut epoch).map_err(|e| io::Error::other(e.to_string()))?;
        Ok(Self { number, epoch })
    }

    /// Where its slot stands: beside that of the generation before.
    fn place(&self) -> usize {
        if self.number.is_multiple_of(2) {
            0
        } else {
            PAGE
        }
    }

    fn slot(&self) -> [u8; 48] {
        let number = self.number.to_le_bytes();
        let mut slot = [0; 48];
        let sum = sum(&[MAGIC, &number, &self.epoch]);
        let bytes = MAGIC.iter().chain(&number).chain(&self.epoch).chain(&sum);
        slot.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        slot
    }

    fn from_slot(image: &[u8], place: usize) -> Option<Self> {
        let (_, rest) = image.get(place..)?.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk()?;
        let generation = Self {
            number: u64::from_le_bytes(*number),
            epoch: *rest.first_chunk()?,
        };
        (generation.place() == place && image.get(place..)?.starts_with(&generation.slot()))
            .then_some(generation)
    }

    /// What tells its records from others at a glance.
    fn tag(&self) -> [u8; 8] {
        self.epoch.first_chunk().copied().unwrap_or_default()
    }

    fn sum(&self, seq: [u8; 8], len: [u8; 4], content: &[u8]) -> [u8; SUM] {
        sum(&[&self.epoch, &seq, &len, content])
    }

    /// The whole record that begins at `at`.
    fn record<'a>(&self, image: &'a [u8], at: usize) -> Option<JournalRecord<'a>> {
        let (tag, rest) = image.get(at..)?.split_first_chunk::<8>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<SUM>()?;
        let content = rest.get(..usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        let sound = *tag == self.tag() && *sum == self.sum(*seq, *len, content);
        let seq = u64::from_le_bytes(*seq);
        let (seq, lag) = (seq & ((1 << LAG_SHIFT) - 1), seq >> LAG_SHIFT);
        sound.then(|| JournalRecord {
            seq,
            durable: seq.saturating_sub(lag),
            content,
        })
    }
}

/// What a journal's bytes hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replay {
    generation: Generation,
    pub(super) changes: Vec<JournalChanges>,
    end: usize,
    /// Whether a record begins after the last whole one: one write was torn, or damaged since, which looks the same.
    pub(super) is_cut: bool,
}

/// Reads a journal as a crash may have left it; `Err` when no crash leaves it like that.
pub(super) fn read(image: &[u8]) -> Result<Replay, &'static str> {
    let slots = [
        Generation::from_slot(image, 0),
        Generation::from_slot(image, PAGE),
    ];
    let unreadable = slots.iter().filter(|slot| slot.is_none()).count();
    let newest = slots
        .into_iter()
        .flatten()
        .max_by_key(|generation| generation.number);
    let generation = newest.ok_or("neither of its headers can be read")?;
    let mut changes = Vec::new();
    let mut end = START;
    while let Some(record) = generation.record(image, end)
        && record.seq == changes.len() as u64
    {
        changes.push(unpack(record.content).ok_or("a record makes no sense")?);
        end += HEAD + record.content.len();
    }
    // the other slot is torn only while the records that it would end stand there
    if unreadable > 0 && changes.is_empty() {
        return Err("one of its headers cannot be read");
    }
    // what a later record found durable cannot be missing after a crash
    let tail = image.get(end..).unwrap_or_default();
    let tags = tail
        .windows(8)
        .enumerate()
        .filter(|(_, bytes)| *bytes == generation.tag());
    if tags
        .filter_map(|(at, _)| generation.record(tail, at))
        .any(|record| record.durable > changes.len() as u64)
    {
        return Err("a record in its middle cannot be read");
    }
    Ok(Replay {
        generation,
        changes,
        end,
        is_cut: tail.starts_with(&generation.tag()),
    })
}

fn unpack(mut content: &[u8]) -> Option<JournalChanges> {
    let mut changes = JournalChanges::new();
    while !content.is_empty() {
        let (key_len, rest) = content.split_first_chunk()?;
        let (value_len, rest) = rest.split_first_chunk()?;
        let key_len = u32::from_le_bytes(*key_len);
        let value_len = u32::from_le_bytes(*value_len);
        let (key, rest) = rest.split_at_checked(usize::try_from(key_len).ok()?)?;
        let deleted = value_len == DELETED;
        let (value, rest) = rest.split_at_checked(if deleted {
            0
        } else {
            usize::try_from(value_len).ok()?
        })?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        changes.push((text(key)?, if deleted { None } else { Some(text(value)?) }));
        content = rest;
    }
    Some(changes)
}

fn sum(parts: &[&[u8]]) -> [u8; SUM] {
    let digest = parts
        .iter()
        .fold(Sha256::new(), Sha256::chain_update)
        .finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
pub(super) fn number_of_generation(path: &Path) -> u64 {
    fs::read(path)
        .ok()
        .and_then(|image| read(&image).ok())
        .map_or(0, |replay| replay.generation.number)
}
