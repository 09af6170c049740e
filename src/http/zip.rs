//! Zip archives written while they are sent: stored members, sizes after the content, Zip64 where it is needed, UTF-8 names.
//! What is kept of each member is its line of the directory at the end; content passes through piece by piece.

mod format;
mod memory;

use super::body::Body;
use super::reply;
use crate::auth::ClientNetwork;
use crate::drive::Drive;
use crate::drive::revocable::ReadAccess;
use crate::model::{Error, Result, VPath, Via, before_extension};
use crate::storage::{DirEntry, Listing, Node, Reader};
use bytes::Bytes;
use format::{CentralDirectory, ZipMember};
use futures_util::stream;
use memory::ZipMemory;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// The most bytes of a name that an archive can have, but for the slash of a folder.
const MAX_NAME: usize = u16::MAX as usize - 1;
/// How much is read of a file at a time.
const CHUNK: usize = 256 * 1024;

/// The archive of these paths, with all below, as it is now or will be when it is come to, for who asks from a network.
pub fn archive(drive: Drive, paths: Vec<VPath>, network: ClientNetwork) -> Body {
    let room = if let Via::Link(id) = &drive.identity().via {
        Some(ZipMemory::new(id, network))
    } else {
        None
    };
    let archive = ZipArchive {
        drive,
        room,
        given: None,
        tops: paths.into(),
        taken: HashSet::new(),
        random: RandomState::new(),
        open: Vec::new(),
        file: None,
        directory: Some(CentralDirectory::default()),
    };
    let pieces = stream::try_unfold(archive, |mut archive| async move {
        let piece = archive.next_piece().await.map_err(reply::cut_off)?;
        Ok::<_, io::Error>(piece.map(|piece| (piece, archive)))
    });
    Body::stream(pieces, None)
}

/// An archive on its way.
struct ZipArchive {
    drive: Drive,
    /// What was asked for and has not been come to.
    tops: VecDeque<VPath>,
    /// The names at the top of the archive, for case-blind systems too.
    taken: HashSet<String>,
    random: RandomState,
    /// The folders that are being read, from the top down.
    open: Vec<ZipFolder>,
    file: Option<ZipFileContent>,
    /// What the directory may take, where that has a bound.
    room: Option<ZipMemory>,
    /// When the last piece was given to the reader, and its bytes, where there is room to be taken.
    given: Option<(Instant, usize)>,
    /// `None` once it is written.
    directory: Option<CentralDirectory>,
}

/// A folder whose members are being written.
struct ZipFolder {
    path: VPath,
    /// Its name in the archive, with a slash at the end; empty for the drive itself.
    prefix: String,
    listing: Box<dyn Listing>,
    page: VecDeque<DirEntry>,
    /// What it is read by: once that has ended, what is missing in it has not vanished.
    watch: ReadAccess,
}

/// A file whose bytes are being written.
struct ZipFileContent {
    reader: Arc<dyn Reader>,
    offset: u64,
    member: ZipMember,
}

impl ZipArchive {
    /// The next bytes, `None` at the end.
    async fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if let (Some(room), Some((when, bytes))) = (&mut self.room, self.given.take()) {
            room.progress(bytes, when.elapsed())?;
        }
        let piece = self.made().await?;
        self.given = piece.as_ref().map(|piece| (Instant::now(), piece.len()));
        Ok(piece)
    }

    async fn made(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let (Some(room), Some(directory)) = (&mut self.room, &self.directory) {
                room.reserve(directory.room()).await;
            }
            // Else all that is left would be passed over, and the archive seem whole.
            self.check()?;
            if self.file.is_some() {
                return self.next_content().await.map(Some);
            }
            let begun = if let Some(folder) = self.open.last_mut() {
                let Some(entry) = folder.next().await? else {
                    self.open.pop();
                    continue;
                };
                let path = folder.path.child(&entry.name);
                let name = format!("{}{}", folder.prefix, safe_name(&entry.name, &self.random));
                self.begin(path, name, &entry.node).await?
            } else if let Some(path) = self.tops.pop_front() {
                let node = self.drive.stat(&path).await?;
                let name = self.top_name(&path);
                self.begin(path, name, &node).await?
            } else {
                return Ok(self.directory.take().map(CentralDirectory::finish));
            };
            if begun.is_some() {
                return Ok(begun);
            }
        }
    }

    /// Begins a member; `None` when there is nothing to write for it: the drive itself, or what has gone meanwhile.
    async fn begin(&mut self, path: VPath, name: String, node: &Node) -> Result<Option<Bytes>> {
        if name.len() > MAX_NAME {
            return Err(Error::BadName(
                "This name or path is too long for an archive.",
            ));
        }
        if node.folder {
            let watch = self.drive.read_access_at(&path).await?;
            let listing = match self.drive.list(&path, false).await {
                Ok(listing) => listing,
                Err(error) => return self.gone(error),
            };
            let prefix = if name.is_empty() { name } else { name + "/" };
            let head =
                (!prefix.is_empty()).then(|| self.add(ZipMember::folder(&prefix, node.modified)));
            self.open.push(ZipFolder {
                path,
                prefix,
                listing,
                page: VecDeque::new(),
                watch,
            });
            return Ok(head);
        }
        let reader = match self.drive.open(&path).await {
            Ok(reader) => reader,
            Err(error) => return self.gone(error),
        };
        let member = self.placed(ZipMember::file(
            &name,
            reader.node().modified,
            reader.node().len,
        ));
        let head = member.head();
        self.directory
            .iter_mut()
            .for_each(|directory| directory.advance(head.len()));
        self.file = Some(ZipFileContent {
            reader,
            offset: 0,
            member,
        });
        Ok(Some(head))
    }

    /// Passes over what is there no longer. What is only seen no longer ends the archive.
    fn gone(&self, error: Error) -> Result<Option<Bytes>> {
        self.check()?;
        if vanished(&error) {
            Ok(None)
        } else {
            Err(error)
        }
    }

    /// Whether what is being read may still be.
    fn check(&self) -> Result<()> {
        self.drive.check()?;
        self.open
            .last()
            .map_or(Ok(()), |folder| folder.watch.check())
    }

    /// The next bytes of the file being written, and after the last what follows them.
    async fn next_content(&mut self) -> Result<Bytes> {
        let Some(mut content) = self.file.take() else {
            return Ok(Bytes::new());
        };
        let left = content.member.len() - content.offset;
        if left == 0 {
            let tail = content.member.tail();
            if let Some(directory) = &mut self.directory {
                directory.advance(tail.len());
                directory.add(&content.member);
            }
            return Ok(tail);
        }
        let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut bytes = content.reader.read_at(content.offset, wanted).await?;
        bytes.truncate(wanted);
        if bytes.is_empty() {
            return Err(Error::io(
                "read the whole file, which has become shorter",
                io::ErrorKind::UnexpectedEof,
            ));
        }
        content.member.update(&bytes);
        content.offset += bytes.len() as u64;
        self.directory
            .iter_mut()
            .for_each(|directory| directory.advance(bytes.len()));
        self.file = Some(content);
        Ok(bytes)
    }

    fn placed(&self, mut member: ZipMember) -> ZipMember {
        member.place(
            self.directory
                .as_ref()
                .map_or(0, CentralDirectory::position),
        );
        member
    }

    /// A member without content.
    fn add(&mut self, member: ZipMember) -> Bytes {
        let member = self.placed(member);
        let head = member.head();
        if let Some(directory) = &mut self.directory {
            directory.advance(head.len());
            directory.add(&member);
        }
        head
    }

    /// A name at the top of the archive that no other has.
    fn top_name(&mut self, path: &VPath) -> String {
        let Some(name) = path.name() else {
            return String::new();
        };
        let name = safe_name(name, &self.random);
        let mut unique = name.clone();
        for number in 2_u32.. {
            if self.taken.insert(unique.to_lowercase()) {
                break;
            }
            unique = before_extension(&name, &format!(" ({number})"));
        }
        unique
    }
}

impl ZipFolder {
    async fn next(&mut self) -> Result<Option<DirEntry>> {
        if self.page.is_empty() {
            self.page = match self.listing.next_page().await {
                Ok(page) => page.into(),
                Err(error) if vanished(&error) => {
                    self.watch.check()?;
                    VecDeque::new()
                }
                Err(error) => return Err(error),
            };
        }
        Ok(self.page.pop_front())
    }
}

/// Whether a failure says that there is nothing there any more, or nothing that may be seen.
fn vanished(error: &Error) -> bool {
    matches!(
        error,
        Error::NotFound
            | Error::ParentMissing
            | Error::NotFolder
            | Error::IsFolder
            | Error::Forbidden(_)
    )
}

/// A name that no system reads as more than a name. What had to be changed gets a mark that nobody can foresee, so that
/// it never takes the name of another.
fn safe_name(name: &str, random: &RandomState) -> String {
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    let dots = name.bytes().all(|b| b == b'.');
    if !drive && !dots && !name.contains(['\\', '/']) && !name.chars().any(char::is_control) {
        return name.to_owned();
    }
    let clean: String = name
        .char_indices()
        .map(|(at, c)| {
            let unsafe_here = c == '\\' || c == '/' || c.is_control() || dots || (drive && at == 1);
            if unsafe_here { '_' } else { c }
        })
        .collect();
    before_extension(
        &clean,
        &format!("~{:08x}", random.hash_one(name) & 0xFFFF_FFFF),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_plain_ones() {
        let random = RandomState::new();
        for name in [
            "..\\..\\evil.exe",
            "C:evil",
            "a\\b",
            "a\nb",
            "\u{9b}31m",
            "..",
            "\u{7f}",
        ] {
            let safe = safe_name(name, &random);
            assert!(
                !safe.contains(['\\', '/', '\n', '\u{9b}', '\u{7f}']) && safe != "..",
                "{safe:?}"
            );
            assert!(
                safe.as_bytes().get(1) != Some(&b':') && safe.contains('~'),
                "{safe:?}"
            );
        }
        for name in ["10:30 notes.txt", "über.txt", ".hidden", "a b", "...x"] {
            assert_eq!(safe_name(name, &random), name);
        }
        assert_ne!(safe_name("a\\b", &random), safe_name("a\nb", &random));
    }
}
