//! An access that ends at any of the looks at it: the operation fails, what it would have changed is as before, and nothing of it lies about.

use super::*;
use crate::model::AccessCheck;
use crate::storage::DeadProp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An access that ends after so many looks.
#[derive(Debug)]
struct AccessEndingAfter(AtomicUsize);

impl AccessCheck for AccessEndingAfter {
    fn check(&self) -> Result<()> {
        let left = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        left.map(drop).map_err(|_| Error::AccessEnded)
    }
}

/// What is done to a drive whose mount is `Shared with me/docs`, ana's `docs`.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Put,
    PutOver,
    PutInShare,
    Append,
    Mkdir,
    Props,
    Delete,
    DeleteInShare,
    Move,
    MoveOver,
    MoveOut,
    MoveIn,
    CopyFile,
    CopyFolder,
    CopyOver,
    CopyOut,
    CopyFileOut,
    CopyOutOver,
    CopyIn,
    Revert,
    PutBack,
    Purge,
    PurgeVersion,
    Lock,
    LockNew,
    Unlock,
    Leave,
}

const ALL: [Operation; 27] = [
    Operation::Put,
    Operation::PutOver,
    Operation::PutInShare,
    Operation::Append,
    Operation::Mkdir,
    Operation::Props,
    Operation::Delete,
    Operation::DeleteInShare,
    Operation::Move,
    Operation::MoveOver,
    Operation::MoveOut,
    Operation::MoveIn,
    Operation::CopyFile,
    Operation::CopyFolder,
    Operation::CopyOver,
    Operation::CopyOut,
    Operation::CopyFileOut,
    Operation::CopyOutOver,
    Operation::CopyIn,
    Operation::Revert,
    Operation::PutBack,
    Operation::Purge,
    Operation::PurgeVersion,
    Operation::Lock,
    Operation::LockNew,
    Operation::Unlock,
    Operation::Leave,
];

const SHARE: &str = "Shared with me/docs";

/// Ben's home and ana's, which shares `docs` with him.
struct AccessFixture {
    ana: TestHome,
    ben: TestHome,
    context: Arc<DriveContext>,
    root: Arc<NamedTree>,
    trashed: String,
    version: String,
    lock: LockView,
}

impl AccessFixture {
    async fn new() -> Self {
        let (ana, ben, context, drive) = shared(Rights::Edit, Rights::Edit).await;
        let version = {
            put(&drive, "docs/a", "newer").await.unwrap();
            drive.versions(&path("docs/a")).await.unwrap()[0].id.clone()
        };
        put(&drive, "docs/in/gone", "gone").await.unwrap();
        drive
            .delete(&path("docs/in/gone"), RequestPreconditions::default())
            .await
            .unwrap();
        let trashed = drive.list_trash(None, None, 1).await.unwrap()[0].id.clone();
        let request = LockRequest {
            deep: false,
            folder: false,
            ..deep_lock()
        };
        let lock = drive
            .lock(
                &path("docs-private/c"),
                request,
                RequestPreconditions::default(),
            )
            .await
            .unwrap();
        let root = drive.home.clone();
        Self {
            ana,
            ben,
            context,
            root,
            trashed,
            version,
            lock,
        }
    }

    /// Ben's drive, for so many looks.
    async fn drive(&self, looks: usize) -> Drive {
        let access = Arc::new(AccessEndingAfter(AtomicUsize::new(looks)));
        let identity = Identity::whole(name("ben"), Role::User, None, access);
        let drive = Drive::new(
            Arc::new(identity),
            self.root.clone(),
            self.ana.locks.clone(),
        );
        drive.with_context(&self.context).await.unwrap()
    }

    /// All that the two have: files with what they hold, trash and versions, properties, locks, shares. What a failure leaves behind
    /// is removed on another thread: it is waited for.
    async fn state(&self) -> String {
        let mut last = String::new();
        let mut same = 0;
        for _ in 0..1000 {
            let now = self.look().await;
            let stages = [&self.ana, &self.ben].iter().any(|home| home.stages());
            same = if now == last && !stages { same + 1 } else { 0 };
            if same == 3 {
                return now;
            }
            last = now;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("it never comes to rest: {last}")
    }

    async fn look(&self) -> String {
        let mut found = BTreeMap::new();
        for home in [&self.ana, &self.ben] {
            walk(home.dir.path(), &mut found);
        }
        let locks: Vec<_> = self
            .ana
            .locks
            .all()
            .iter()
            .map(|lock| lock.token.clone())
            .collect();
        let props = self.root.tree.props(&path("top")).await;
        format!(
            "{found:#?} {props:?} {locks:?} {:?}",
            self.context.sharing.shares.to(&name("ben"))
        )
    }
}

impl TestHome {
    /// Whether something lies in its staging folder.
    fn stages(&self) -> bool {
        std::fs::read_dir(self.dir.path().join(".sarang/tmp"))
            .is_ok_and(|mut entries| entries.next().is_some())
    }
}

fn walk(dir: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let at = entry.path();
        if at.is_dir() {
            found.insert(at.display().to_string(), "folder".into());
            walk(&at, found);
        } else if entry.file_name() != "history.log" {
            found.insert(
                at.display().to_string(),
                format!("{:?}", std::fs::read(&at).ok()),
            );
        }
    }
}

async fn upload(drive: &Drive, at: &str, start: InitialContent) -> Result<()> {
    let mut upload = drive
        .begin_put(&path(at), announced(start), RequestPreconditions::default())
        .await?;
    let end = upload.len();
    upload.seek(end).await?;
    for _ in 0..3 {
        upload.write(vec![7; 100_000].into()).await?;
    }
    upload.commit().await.map(drop)
}

async fn copy(drive: &Drive, from: &str, to: &str) -> Result<()> {
    let copying = Copying {
        reach: CopyDepth::Infinity,
        overwrite: true,
    };
    drive
        .copy(
            &path(from),
            &path(to),
            copying,
            RequestPreconditions::default(),
        )
        .await
        .map(drop)
}

async fn shift(drive: &Drive, from: &str, to: &str) -> Result<()> {
    drive
        .rename(
            &path(from),
            &path(to),
            true,
            RequestPreconditions::default(),
        )
        .await
        .map(drop)
}

async fn lock(drive: &Drive, at: &str) -> Result<()> {
    let request = LockRequest {
        deep: false,
        folder: false,
        ..deep_lock()
    };
    let lock = drive
        .lock(&path(at), request, RequestPreconditions::default())
        .await?;
    drive
        .create_locked(&path(at), &lock, &RequestPreconditions::default())
        .await
}

async fn done(world: &AccessFixture, drive: &Drive, doing: Operation) -> Result<()> {
    let none = RequestPreconditions::default();
    let share = |rest: &str| format!("{SHARE}/{rest}");
    match doing {
        Operation::Put => upload(drive, "new", InitialContent::Empty).await,
        Operation::PutOver => upload(drive, "docs/a", InitialContent::Empty).await,
        Operation::PutInShare => upload(drive, &share("new"), InitialContent::Empty).await,
        Operation::Append => upload(drive, "docs/a", InitialContent::Present).await,
        Operation::Mkdir => drive.mkdir(&path("new"), none).await,
        Operation::Props => {
            let prop = DeadProp {
                ns: "x:".into(),
                name: "a".into(),
                xml: "<a xmlns=\"x:\"/>".into(),
            };
            drive
                .set_props(&path("top"), vec![PropChange::Set(prop)], None, none)
                .await
        }
        Operation::Delete => drive.delete(&path("docs"), none).await,
        Operation::DeleteInShare => drive.delete(&path(&share("in")), none).await,
        Operation::Move => shift(drive, "docs", "moved").await,
        Operation::MoveOver => shift(drive, "top", "docs/a").await,
        Operation::MoveOut => shift(drive, &share("in"), "docs/in").await,
        Operation::MoveIn => shift(drive, "docs", &share("new")).await,
        Operation::CopyFile => copy(drive, "top", "copy").await,
        Operation::CopyFolder => copy(drive, "docs", "copy").await,
        Operation::CopyOver => copy(drive, "docs/in", "docs-private").await,
        Operation::CopyOut => copy(drive, SHARE, "copy").await,
        Operation::CopyFileOut => copy(drive, &share("a"), "copy").await,
        Operation::CopyOutOver => copy(drive, &share("a"), "docs/a").await,
        Operation::CopyIn => copy(drive, "docs", &share("copy")).await,
        Operation::Revert => {
            drive
                .restore_version(&path("docs/a"), &world.version, none)
                .await
        }
        Operation::PutBack => drive
            .restore_from_trash(None, &world.trashed, Some(path("docs/back")), none)
            .await
            .map(drop),
        Operation::Purge => drive.purge(&world.trashed).await,
        Operation::PurgeVersion => drive.purge_version(&path("docs/a"), &world.version).await,
        Operation::Lock => lock(drive, "top").await,
        Operation::LockNew => lock(drive, "new").await,
        Operation::Unlock => {
            drive
                .unlock(
                    &path("docs-private/c"),
                    world.lock.token.as_deref().unwrap(),
                )
                .await
        }
        Operation::Leave => drive.delete(&path(SHARE), none).await,
    }
}

#[tokio::test]
async fn an_access_that_ends_at_any_step_leaves_all_as_it_was() {
    for doing in ALL {
        // A look into the same thing costs the world no change, so that one serves for all the looks that fail.
        let world = AccessFixture::new().await;
        if matches!(
            doing,
            Operation::MoveOver | Operation::CopyOver | Operation::MoveOut
        ) {
            world
                .drive(usize::MAX)
                .await
                .unlock(
                    &path("docs-private/c"),
                    world.lock.token.as_deref().unwrap(),
                )
                .await
                .unwrap();
        }
        let before = world.state().await;
        let mut looks = 0;
        loop {
            let drive = world.drive(looks).await;
            match done(&world, &drive, doing).await {
                Ok(()) => break,
                Err(Error::AccessEnded) => {
                    assert_eq!(world.state().await, before, "{doing:?} after {looks} looks");
                }
                Err(error) => panic!("{doing:?} after {looks} looks: {error:?}"),
            }
            looks += 1;
            assert!(looks < 100, "{doing:?} never ends");
        }
        assert!(looks >= 1, "{doing:?} asks nobody");
        assert_ne!(world.state().await, before, "{doing:?} does nothing");
    }
}
