//! How the server is, for who watches over it: whether it can do its work, and what can be asked for cheaply.

use super::{App, blocking};
use crate::metrics::Durations;
use crate::model::{Error, Result};
use crate::storage::local::LocalTree;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long a look at the disk is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what it brought is good.
const FRESH: Duration = Duration::from_secs(1);

/// Looks at the disk of the data folder, one at a time: however often it is asked for, a disk that hangs keeps one thread.
#[derive(Debug, Default)]
pub(super) struct DiskProbe {
    /// What was found last; held while somebody looks.
    last: Arc<Mutex<Option<(Instant, u64)>>>,
    /// Whether nothing was found then.
    is_silent: AtomicBool,
}

impl DiskProbe {
    /// The bytes that `look` finds, or that were found a moment ago. `Busy` when the disk does not answer.
    async fn probe(&self, look: impl FnOnce() -> Result<u64> + Send + 'static) -> Result<u64> {
        let found = async {
            let mut last = Arc::clone(&self.last).lock_owned().await;
            if let Some((at, bytes)) = *last
                && at.elapsed() < FRESH
            {
                return Ok(bytes);
            }
            blocking(move || {
                let bytes = look()?;
                *last = Some((Instant::now(), bytes));
                Ok(bytes)
            })
            .await
        };
        let found = tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or(Err(Error::Busy {
                retry_after: PATIENCE,
            }));
        let was_silent = self.is_silent.swap(found.is_err(), Ordering::Relaxed);
        match &found {
            Err(error) if !was_silent => {
                tracing::error!(%error, "the disk of the data folder does not answer");
            }
            Ok(_) if was_silent => tracing::info!("the disk of the data folder answers again"),
            _ => {}
        }
        found
    }
}

impl App {
    /// Why the server cannot do its work now, a sentence each; none when it can.
    pub async fn readiness_problems(&self) -> Vec<&'static str> {
        let mut why = Vec::new();
        if self.metrics.is_stopping.load(Ordering::Relaxed) {
            why.push("The server is shutting down.");
        }
        if !self.store.is_writable() {
            why.push("The state store is read-only; the log says why.");
        }
        if self.free_disk_space().await.is_err() {
            why.push(
                "The disk of the homes or of the data folder does not answer; the log says more.",
            );
        }
        why
    }

    /// Bytes that can still be stored, as of a second ago; `Busy` soon when the disk of the data folder or of the homes does not answer.
    pub async fn free_disk_space(&self) -> Result<u64> {
        let dir = self.config.data_dir.clone();
        let reserve = self.config.drive.reserve;
        let look = move || {
            let mut free = LocalTree::free_at(&dir)?;
            // The homes may lie on a disk of their own; before the first of them there is no folder for them.
            let homes = dir.join("homes");
            if std::fs::symlink_metadata(&homes).is_ok() {
                free = free.min(LocalTree::free_at(&homes)?);
            }
            Ok(free.saturating_sub(reserve))
        };
        self.disk_probe.probe(look).await
    }

    /// How many homes and team folders are open.
    pub fn count_open_homes(&self) -> usize {
        self.homes.count_open()
    }

    /// How long commits of the state store took: those that waited for the disk, and those that did not.
    pub fn commits(&self) -> [&Durations; 2] {
        self.sled.commits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_one_thread_however_often_it_is_asked() {
        let look = DiskProbe::default();
        let looks = Arc::new(AtomicUsize::new(0));
        let (answer, disk) = mpsc::channel();
        let disk = Arc::new(parking_lot::Mutex::new(disk));
        let ask = || {
            let disk = Arc::clone(&disk);
            let looks = Arc::clone(&looks);
            look.probe(move || {
                looks.fetch_add(1, Ordering::Relaxed);
                disk.lock().recv().map_err(|_| Error::NotFound)
            })
        };
        let asked = tokio::join!(ask(), ask(), ask());
        assert!(
            matches!(
                asked,
                (
                    Err(Error::Busy { .. }),
                    Err(Error::Busy { .. }),
                    Err(Error::Busy { .. })
                )
            ),
            "{asked:?}"
        );
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        let answered = Instant::now();
        answer.send(7).unwrap();
        answer.send(7).unwrap();
        answer.send(7).unwrap();
        assert_eq!((ask().await.unwrap(), ask().await.unwrap()), (7, 7));
        let is_fresh = answered.elapsed() < FRESH;
        assert!(
            looks.load(Ordering::Relaxed) == 1 || !is_fresh,
            "what was found is good for a second"
        );
    }

    #[tokio::test]
    async fn the_room_is_that_of_the_fuller_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        };
        config.drive.reserve = 0;
        let app = App::open(config).await.unwrap();
        assert!(app.free_disk_space().await.unwrap() > 0);
        let homes = dir.path().join("homes");
        if homes.exists() {
            std::fs::remove_dir(&homes).unwrap();
        }
        // No file system has less room than this one.
        std::os::unix::fs::symlink("/proc", &homes).unwrap();
        tokio::time::sleep(FRESH).await;
        assert_eq!(app.free_disk_space().await.unwrap(), 0);
        app.close().await.unwrap();
    }
}
