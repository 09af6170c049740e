//! Large uploads go to the disk while they come: their end waits for little, and what they wrote does not push everything else
//! out of memory. A fresh page costs the system more than the disk does, so pages that are soon free again also make it faster.
//! Of an upload that was laid aside, what is on the disk counts as kept, whatever becomes of the request that brings it.

use super::blocking::join;
use super::errors::map_errno;
use super::spawn;
use super::staging::StagedFile;
use super::sys::{self, SysResult};
use crate::model::Result;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Shorter uploads are left to the system, which keeps them in memory for who reads them next.
const LARGE: u64 = 32 << 20;
/// Bytes between two calls on the disk.
const STEP: u64 = 8 << 20;

/// How far an upload is on its way to the disk.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    /// Up to where the disk was asked.
    requested: u64,
    running: Option<JoinHandle<Result<()>>>,
}

impl Writeback {
    /// Of an upload that goes on where `len` bytes are on the disk.
    pub fn resumed_at(len: u64) -> Self {
        Self {
            requested: len,
            running: None,
        }
    }

    /// Sees to what was written before `end`. Waits for the call before this one, so a slow disk slows the sender.
    pub async fn advance(&mut self, stage: &Arc<StagedFile>, end: u64) -> Result<()> {
        let due = if self.requested == 0 && !stage.is_resumable() {
            LARGE
        } else {
            self.requested.saturating_add(STEP)
        };
        if end < due {
            return Ok(());
        }
        self.wait().await?;
        let root = Arc::clone(stage.root());
        let stage = Arc::clone(stage);
        let turn = root.disk_access.slots.acquire().await?.unmeasured();
        self.running = Some(spawn(&root, turn, move |_| {
            write_back(&stage, end).map_err(|e| map_errno("write the file", e))?;
            stage.note_synced(end)
        }));
        self.requested = end;
        Ok(())
    }

    /// Waits for what was begun, and tells what became of it: the system tells a failed write only once.
    pub async fn wait(&mut self) -> Result<()> {
        match self.running.take() {
            Some(running) => join(running.await),
            None => Ok(()),
        }
    }
}

fn write_back(stage: &StagedFile, end: u64) -> SysResult<()> {
    sys::sync_content(stage.file())?;
    if end >= LARGE {
        sys::drop_cached(stage.file(), end);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::contract::{commit, content, path};
    use crate::storage::local::{LocalTree, tests::RELAXED};
    use crate::storage::{InitialContent, SpaceRequest, Tree};
    use bytes::Bytes;

    #[tokio::test]
    async fn the_disk_is_asked_at_every_step_of_a_large_upload() {
        let dir = tempfile::TempDir::new().unwrap();
        let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
        let stage = Arc::new(StagedFile::create(&tree.root).unwrap());
        let mut behind = Writeback::default();
        let mut asked = Vec::new();
        for end in [
            LARGE - 1,
            LARGE,
            LARGE + STEP - 1,
            LARGE + STEP,
            LARGE + STEP + 1,
        ] {
            behind.advance(&stage, end).await.unwrap();
            asked.push(behind.requested);
        }
        assert_eq!(asked, [0, LARGE, LARGE, LARGE + STEP, LARGE + STEP]);
        assert!(behind.running.is_some());
        behind.wait().await.unwrap();
        assert!(behind.running.is_none());
    }

    #[tokio::test]
    async fn what_an_upload_laid_aside_has_on_the_disk_is_kept_though_it_is_cut() {
        let dir = tempfile::TempDir::new().unwrap();
        let home = dir.path().join("home");
        let tree = LocalTree::open(&home, RELAXED).unwrap();
        tree.create_upload("id", 0).await.unwrap();
        let mut came = 0;
        for steps in [2, 1] {
            let mut upload = tree
                .resume_upload("id", &path("x"), SpaceRequest::default())
                .await
                .unwrap();
            assert!(upload.len() >= came, "{} of {came}", upload.len());
            let part = Bytes::from(vec![b'x'; 1 << 20]);
            for _ in 0..=8 * steps {
                upload.write(part.clone()).await.unwrap();
            }
            came = upload.len() - (9 << 20);
        }
        drop(tree);
        let tree = LocalTree::open(&home, RELAXED).unwrap();
        let upload = tree
            .resume_upload("id", &path("x"), SpaceRequest::default())
            .await
            .unwrap();
        assert!(
            upload.len() >= came && came >= 8 << 20,
            "{} of {came}",
            upload.len()
        );
    }

    #[tokio::test]
    async fn a_failed_write_is_told_once_and_to_the_one_who_asks_next() {
        let failed =
            || tokio::task::spawn_blocking(|| Err(map_errno("write the file", sys::Errno::IO)));
        let mut behind = Writeback {
            requested: LARGE,
            running: Some(failed()),
        };
        assert!(behind.wait().await.is_err());
        assert!(behind.wait().await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_upload_that_goes_to_the_disk_as_it_comes_is_whole() {
        let dir = tempfile::TempDir::new().unwrap();
        let tree: Arc<dyn Tree> = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
        let parts: Vec<Vec<u8>> = (0..49_u8).map(|part| vec![part; (1 << 20) + 7]).collect();
        let mut upload = tree
            .begin_upload(
                &path("large"),
                InitialContent::Empty,
                SpaceRequest::default(),
            )
            .await
            .unwrap();
        for part in &parts {
            upload.write(Bytes::copy_from_slice(part)).await.unwrap();
        }
        let node = upload.commit(commit()).await.unwrap().node;
        assert_eq!(
            node.len,
            parts.iter().map(|part| part.len() as u64).sum::<u64>()
        );
        assert!(content(&tree, "large").await == parts.concat());
    }
}
