//! Small pictures of files, in `.sarang/thumbnails`, each under the id of its file and its size. What one holds begins with a hash of the
//! file's content tag and the picture, so that neither another content nor what a power cut has torn is shown: nothing here waits for the disk.
//! They have a bounded part of it, that used least lately goes first, and all of them where room is wanted for anything else.

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::file_meta::FileMeta;
use super::names::stat_name;
use super::sys::{self, Errno, FileKind, FileStat, Lookup, fd};
use super::{internal_dirs, walk};
use crate::model::Result;
use crate::storage::{FileId, MAX_THUMBNAIL_BYTES, Node};
use bytes::Bytes;
use parking_lot::Mutex;
use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

/// Where they lie, below the root.
pub(super) const THUMBNAILS: &str = ".sarang/thumbnails";
/// The most bytes of them in one tree.
const ROOM: u64 = 64 << 20;
/// How much is left when that was exceeded.
const LEFT: u64 = ROOM / 4 * 3;
/// The sizes that are kept: whoever asks for all others fills nothing.
const SIZES: [u32; 4] = [160, 320, 640, 1024];
/// How long one lies unused, as when its file was deleted beside the server.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);
/// How old the note of the last use may be.
const USE_STEP: Duration = Duration::from_secs(24 * 3600);
/// What precedes a picture.
const HASH: usize = blake3::OUT_LEN;

/// How many bytes there are at most, once they were counted; one change at a time.
#[derive(Debug, Default)]
pub(super) struct ThumbnailCache(Mutex<Option<u64>>);

impl ThumbnailCache {
    /// Keeps a picture in the place of what was kept of an earlier content. Where the disk is full, nothing is.
    pub fn store(
        &self,
        dirs: &TreeDirs,
        file: BorrowedFd<'_>,
        node: &Node,
        (size, picture): (u32, &[u8]),
    ) -> Result<()> {
        let len = (picture.len() + HASH) as u64;
        if !SIZES.contains(&size)
            || picture.len() > MAX_THUMBNAIL_BYTES
            || dirs.missing_space(len)? > 0
        {
            return Ok(());
        }
        let mut bytes = self.0.lock();
        let dir = open_or_make(dirs)?;
        let name = name_of(id_of(file, node), size);
        let before = match *bytes {
            Some(known) => known,
            None => all(fd(&dir))?.iter().map(|(_, found)| found.node.len).sum(),
        };
        let replaced = stat_name(fd(&dir), &name)?.map_or(0, |found| found.node.len);
        write(dirs, fd(&dir), &name, &[&hash_of(node, picture), picture])?;
        let mut now = before.saturating_sub(replaced).saturating_add(len);
        if now > ROOM {
            now = evict(fd(&dir), |_, left| left > LEFT)?;
        }
        *bytes = Some(now);
        Ok(())
    }

    /// Deletes those that nobody has looked at for long.
    pub fn expire(&self, dirs: &TreeDirs, now: SystemTime) -> Result<()> {
        let mut bytes = self.0.lock();
        let Some(dir) = internal_dirs::find(fd(&dirs.dir), THUMBNAILS).map_err(failed)? else {
            return Ok(());
        };
        let is_over = |found: &FileStat, left| {
            left > ROOM
                || now
                    .duration_since(found.node.modified)
                    .is_ok_and(|age| age > UNUSED)
        };
        *bytes = Some(evict(fd(&dir), is_over)?);
        Ok(())
    }

    /// Deletes all of them; whether there were any.
    pub fn purge_all(&self, dirs: &TreeDirs) -> bool {
        let mut bytes = self.0.lock();
        let Ok(Some(dir)) = internal_dirs::find(fd(&dirs.dir), THUMBNAILS) else {
            return false;
        };
        let had_any = all(fd(&dir)).is_ok_and(|all| !all.is_empty());
        *bytes = evict(fd(&dir), |_, _| true).ok();
        had_any
    }
}

/// The picture of this size of this very content, if it is kept.
pub(super) fn find(dirs: &TreeDirs, file: BorrowedFd<'_>, node: &Node, size: u32) -> Option<Bytes> {
    let name = format!("{THUMBNAILS}/{}", name_of(id_of(file, node), size));
    let kept = sys::open_read(fd(&dirs.dir), &name, Lookup::Full).ok()?;
    let found = sys::stat_fd(fd(&kept))
        .ok()
        .filter(|found| found.kind == FileKind::File)?;
    let len = usize::try_from(found.node.len)
        .ok()
        .filter(|len| *len <= MAX_THUMBNAIL_BYTES + HASH)?;
    let mut bytes = vec![0; len];
    let mut at = 0;
    while let Some(room) = bytes.get_mut(at..).filter(|room| !room.is_empty()) {
        match sys::read(fd(&kept), room, at as u64) {
            Ok(0) | Err(_) => return None,
            Ok(more) => at += more,
        }
    }
    let (hash, picture) = bytes.split_first_chunk::<HASH>()?;
    if hash != &hash_of(node, picture) {
        return None;
    }
    if found
        .node
        .modified
        .elapsed()
        .is_ok_and(|age| age > USE_STEP)
    {
        // Where it cannot be noted, it goes earlier.
        let _ = sys::set_modified(fd(&kept), SystemTime::now());
    }
    Some(Bytes::from(bytes).slice(HASH..))
}

/// Deletes those of a file that goes for good.
pub(super) fn purge(dirs: &TreeDirs, id: FileId) {
    let Ok(Some(dir)) = internal_dirs::find(fd(&dirs.dir), THUMBNAILS) else {
        return;
    };
    for size in SIZES {
        // How many bytes there are is counted anew when they seem too many.
        let _ = sys::unlink_file(fd(&dir), &name_of(id, size));
    }
}

/// Deletes those for which `goes` is true, the one used least lately first; it is told how many bytes are left, and so is the caller.
fn evict(dir: BorrowedFd<'_>, goes: impl Fn(&FileStat, u64) -> bool) -> Result<u64> {
    let mut all = all(dir)?;
    all.sort_by_key(|(_, found)| found.node.modified);
    let mut left = all.iter().map(|(_, found)| found.node.len).sum();
    for (name, found) in all {
        if goes(&found, left) {
            match sys::unlink_file(dir, &name) {
                Ok(()) | Err(Errno::NOENT) => left -= found.node.len,
                Err(e) => return Err(failed(e)),
            }
        }
    }
    Ok(left)
}

fn all(dir: BorrowedFd<'_>) -> Result<Vec<(String, FileStat)>> {
    let mut all = Vec::new();
    for name in walk::names(dir).map_err(failed)? {
        all.extend(
            stat_name(dir, &name)?
                .filter(|found| found.kind == FileKind::File)
                .map(|found| (name, found)),
        );
    }
    Ok(all)
}

fn open_or_make(dirs: &TreeDirs) -> Result<OwnedFd> {
    if let Some(dir) = internal_dirs::find(fd(&dirs.dir), THUMBNAILS).map_err(failed)? {
        return Ok(dir);
    }
    match sys::make_folder(fd(&dirs.dir), THUMBNAILS) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(failed(e)),
    }
    internal_dirs::open(fd(&dirs.dir), THUMBNAILS)
}

fn write(dirs: &TreeDirs, dir: BorrowedFd<'_>, name: &str, parts: &[&[u8]]) -> Result<()> {
    let stamp = dirs.new_stamp();
    let file = sys::create_file(fd(&dirs.tmp), &stamp).map_err(failed)?;
    let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let written = sys::write_all(fd(&file), &mut slices, 0);
    written
        .and_then(|()| sys::rename_over((fd(&dirs.tmp), &stamp), (dir, name)))
        .map_err(|e| {
            let _ = sys::unlink_file(fd(&dirs.tmp), &stamp);
            failed(e)
        })
}

fn failed(errno: Errno) -> crate::model::Error {
    map_errno("keep a small picture", errno)
}

fn id_of(file: BorrowedFd<'_>, node: &Node) -> FileId {
    FileMeta::of_file(file).map_or_else(|_| FileId::derived(node), |meta| meta.id(node))
}

fn name_of(id: FileId, size: u32) -> String {
    format!("{id}-{size}")
}

fn hash_of(node: &Node, picture: &[u8]) -> [u8; HASH] {
    let mut hash = blake3::Hasher::new();
    hash.update(node.etag.to_string().as_bytes())
        .update(picture);
    *hash.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::missing_features::MissingFeatureSet;
    use super::super::sys::fake_fs::fake_fs;
    use super::super::{LocalSettings, LocalTree};
    use super::*;
    use crate::storage::contract::{TestTree, commit, path, put};
    use crate::storage::history::Retention;
    use crate::storage::{InitialContent, SpaceRequest};
    use std::fs;
    use std::path::Path;

    fn open(dir: &Path) -> TestTree {
        LocalTree::open(dir, LocalSettings::RELAXED).unwrap()
    }

    async fn found(tree: &TestTree, name: &str) -> Option<Bytes> {
        tree.open(&path(name))
            .await
            .unwrap()
            .cached_thumbnail(320)
            .await
            .unwrap()
    }

    async fn keep(tree: &TestTree, name: &str, picture: impl Into<Bytes>) {
        tree.open(&path(name))
            .await
            .unwrap()
            .cache_thumbnail(320, picture.into())
            .await;
    }

    fn kept(dir: &Path) -> Vec<std::path::PathBuf> {
        let all = fs::read_dir(dir.join(THUMBNAILS)).into_iter().flatten();
        all.map(|entry| entry.unwrap().path()).collect()
    }

    #[tokio::test]
    async fn a_picture_is_of_one_content_wherever_its_file_lies() {
        let dir = tempfile::tempdir().unwrap();
        let tree = open(dir.path());
        put(&tree, "a.jpg", b"one").await;
        assert_eq!(found(&tree, "a.jpg").await, None);
        keep(&tree, "a.jpg", "small").await;
        let used = tree.usage().await.unwrap().used;
        tree.rename(&path("a.jpg"), &path("b.jpg"), commit())
            .await
            .unwrap();
        drop(tree);
        let tree = open(dir.path());
        assert_eq!(
            found(&tree, "b.jpg").await.as_deref(),
            Some(b"small".as_slice()),
            "over a restart, too"
        );
        assert_eq!(tree.usage().await.unwrap().used, used, "it costs no quota");
        put(&tree, "b.jpg", b"two").await;
        assert_eq!(found(&tree, "b.jpg").await, None, "another content");
        keep(&tree, "b.jpg", "other").await;
        assert_eq!(kept(dir.path()).len(), 1, "in the place of the one before");
        assert_eq!(
            found(&tree, "b.jpg").await.as_deref(),
            Some(b"other".as_slice())
        );
        tree.open(&path("b.jpg"))
            .await
            .unwrap()
            .cache_thumbnail(321, Bytes::from_static(b"odd"))
            .await;
        assert_eq!(kept(dir.path()).len(), 1, "only usual sizes are kept");
    }

    #[tokio::test]
    async fn what_is_torn_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let tree = open(dir.path());
        put(&tree, "a.jpg", b"one").await;
        keep(&tree, "a.jpg", "small").await;
        let file = kept(dir.path()).remove(0);
        for torn in [vec![], vec![0; 37], fs::read(&file).unwrap()[..36].to_vec()] {
            fs::write(&file, torn).unwrap();
            assert_eq!(found(&tree, "a.jpg").await, None);
        }
    }

    #[tokio::test]
    async fn pictures_go_with_their_file_and_when_nobody_looks_at_them() {
        let dir = tempfile::tempdir().unwrap();
        let tree = open(dir.path());
        for name in ["a", "b", "c"] {
            put(&tree, name, name.as_bytes()).await;
            keep(&tree, name, "small").await;
        }
        let id = tree.delete(&path("a"), commit()).await.unwrap().id;
        assert_eq!(kept(dir.path()).len(), 3, "it may come back");
        tree.purge(&id).await.unwrap();
        assert_eq!(kept(dir.path()).len(), 2);
        let old = kept(dir.path()).remove(0);
        let now = SystemTime::now();
        fs::File::options()
            .write(true)
            .open(&old)
            .unwrap()
            .set_modified(now - 2 * UNUSED)
            .unwrap();
        assert!(LocalTree::has_expirable(dir.path(), true, Retention::default(), now).unwrap());
        tree.expire(Retention::default(), now).await.unwrap();
        assert!(kept(dir.path()).len() == 1 && !old.exists());
    }

    #[tokio::test]
    async fn of_too_many_those_go_that_were_used_least_lately() {
        let dir = tempfile::tempdir().unwrap();
        let tree = open(dir.path());
        put(&tree, "a", b"a").await;
        keep(&tree, "a", "small").await;
        let first = kept(dir.path()).remove(0);
        // As those of other files; holes cost nothing.
        for n in 0..ROOM >> 20 {
            let file = fs::File::create(dir.path().join(THUMBNAILS).join(n.to_string())).unwrap();
            file.set_len(1 << 20).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(1000 - n))
                .unwrap();
        }
        drop(tree);
        let tree = open(dir.path());
        put(&tree, "b", b"b").await;
        keep(&tree, "b", "small").await;
        let left: u64 = kept(dir.path())
            .iter()
            .map(|file| file.metadata().unwrap().len())
            .sum();
        assert!(left <= LEFT && left > LEFT - (2 << 20), "{left}");
        assert!(first.exists() && !dir.path().join(THUMBNAILS).join("0").exists());
        assert!(found(&tree, "b").await.is_some());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_disk_has_no_room_for_pictures_and_takes_theirs_first() {
        let dir = tempfile::tempdir().unwrap();
        let pretence = fake_fs(dir.path(), MissingFeatureSet::default(), Errno::INVAL);
        let tree = open(dir.path());
        for name in ["a", "b"] {
            put(&tree, name, name.as_bytes()).await;
        }
        keep(&tree, "a", vec![7; 1 << 20]).await;
        assert_eq!(kept(dir.path()).len(), 1);
        pretence.limit(2 << 20);
        tree.begin_upload(&path("x"), InitialContent::Empty, SpaceRequest::of(3 << 19))
            .await
            .map(drop)
            .unwrap();
        assert_eq!(kept(dir.path()).len(), 0, "the upload has their room");
        pretence.limit(0);
        keep(&tree, "b", "small").await;
        assert_eq!((kept(dir.path()).len(), found(&tree, "b").await), (0, None));
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_done_without() {
        let dir = tempfile::tempdir().unwrap();
        let tree = open(dir.path());
        put(&tree, "a", b"a").await;
        fs::write(dir.path().join(THUMBNAILS), "in the way").unwrap();
        keep(&tree, "a", "small").await;
        assert_eq!(found(&tree, "a").await, None);
    }
}
