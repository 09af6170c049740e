//! What a confined identity sees and may do.

use super::*;
use crate::audit::Audit;
use crate::config::{HistoryConfig, LocksConfig};
use crate::drive::access::intersect_rights;
use crate::drive::context::{DriveContext, MountFolderNames, TreeProvider};
use crate::drive::locks::Locks;
use crate::drive::mass_change::MassChangeDetector;
use crate::drive::preconditions::ResourceTag;
use crate::drive::resolved_path::authorize;
use crate::model::{AccountName, Irrevocable, RelPath, Rights, Role, Via};
use crate::sharing::Sharing;
use crate::sharing::groups::{Grantee, GroupName, Groups};
use crate::sharing::shares::{NewShare, Share, Shares};
use crate::sharing::teams::Teams;
use crate::state::memory::MemoryStore;
use crate::storage::LockRequest;
use crate::storage::local::{LocalSettings, LocalTree};
use crate::storage::{DeadProp, Expect, InitialContent, PropChange};
use crate::storage::{IfCondition, IfList, StateMatch};
use proptest::prelude::*;
use std::time::SystemTime;

mod access;
mod hung;
mod locking;
mod rights;

struct TestHome {
    dir: tempfile::TempDir,
    root: Arc<NamedTree>,
    locks: Arc<Locks>,
}

impl TestHome {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(MemoryStore::new(), LocksConfig::default()).await;
        Self::with("home/ana", dir, Arc::new(locks.unwrap()))
    }

    /// A tree of this id below a folder, under these locks.
    fn with(id: &str, dir: tempfile::TempDir, locks: Arc<Locks>) -> Self {
        let tree = LocalTree::open(dir.path(), LocalSettings::RELAXED).unwrap();
        tree.set_locks(locks.of_tree(id));
        let root = Arc::new(NamedTree::new(id.into(), tree));
        for folder in ["docs/in", "docs-private"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for file in ["docs/a", "docs/in/b", "docs-private/c", "top"] {
            std::fs::write(dir.path().join(file), file).unwrap();
        }
        Self { dir, root, locks }
    }

    fn drive(&self, scope: &str, rights: Rights) -> Drive {
        let whole = Identity::whole(
            AccountName::parse("ana").unwrap(),
            Role::User,
            None,
            Arc::new(Irrevocable),
        );
        let identity = Identity {
            scope: path(scope),
            rights,
            via: Via::AppPassword("1".into()),
            ..whole
        };
        Drive::new(Arc::new(identity), self.root.clone(), self.locks.clone())
    }
}

impl Drive {
    /// The locks that a PROPFIND of a path shows.
    pub(super) async fn locks_on(&self, path: &VPath) -> Result<Vec<LockView>> {
        self.at(path).await?.locks().await
    }

    async fn quota(&self, path: &VPath) -> Result<Quota> {
        self.at(path).await?.quota().await
    }

    async fn props(&self, path: &VPath) -> Result<Vec<DeadProp>> {
        self.at(path).await?.props().await
    }
}

fn path(text: &str) -> VPath {
    RelPath::parse(text).unwrap()
}

fn deep_lock() -> LockRequest {
    LockRequest {
        owner: String::new(),
        shared: false,
        deep: true,
        folder: true,
        timeout: None,
    }
}

fn announced(start: InitialContent) -> UploadOptions {
    UploadOptions {
        len: None,
        estimate: None,
        modified: None,
        start,
        checksum: None,
    }
}

async fn put(drive: &Drive, at: &str, text: &'static str) -> Result<()> {
    let mut upload = drive
        .begin_put(
            &path(at),
            announced(InitialContent::Empty),
            RequestPreconditions::default(),
        )
        .await?;
    upload.write(text.as_bytes().into()).await?;
    upload.commit().await.map(drop)
}

async fn names(drive: &Drive, at: &str) -> Vec<String> {
    let mut listing = drive.list(&path(at), true).await.unwrap();
    let mut names = Vec::new();
    loop {
        let page = listing.next_page().await.unwrap();
        if page.is_empty() {
            names.sort();
            return names;
        }
        names.extend(page.into_iter().map(|entry| entry.name));
    }
}

#[tokio::test]
async fn a_scope_is_the_whole_drive() {
    let home = TestHome::new().await;
    let drive = home.drive("docs", Rights::Edit);
    assert_eq!(names(&drive, "").await, ["a", "in"]);
    put(&drive, "in/new", "new").await.unwrap();
    assert_eq!(
        std::fs::read(home.dir.path().join("docs/in/new")).unwrap(),
        b"new"
    );
    assert!(matches!(
        drive.stat(&path("docs/a")).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(
        drive.stat(&path("top")).await,
        Err(Error::NotFound)
    ));
    drive
        .rename(
            &path("a"),
            &path("in/a"),
            false,
            RequestPreconditions::default(),
        )
        .await
        .unwrap();
    assert!(home.dir.path().join("docs/in/a").exists());
    for refused in [
        drive
            .delete(&path(""), RequestPreconditions::default())
            .await,
        drive
            .rename(&path(""), &path("x"), true, RequestPreconditions::default())
            .await
            .map(drop),
        drive
            .rename(
                &path("in"),
                &path(""),
                true,
                RequestPreconditions::default(),
            )
            .await
            .map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    }
    assert!(matches!(put(&drive, "", "x").await, Err(Error::IsFolder)));
}

#[tokio::test]
async fn a_scope_that_is_gone_leaves_nothing() {
    let home = TestHome::new().await;
    let drive = home.drive("docs/in", Rights::Edit);
    let moved = home
        .drive("", Rights::Edit)
        .rename(
            &path("docs"),
            &path("other"),
            false,
            RequestPreconditions::default(),
        )
        .await;
    assert!(moved.unwrap());
    let nothing =
        |outcome: Result<()>| assert!(matches!(outcome, Err(Error::NotFound)), "{outcome:?}");
    nothing(drive.stat(&path("")).await.map(drop));
    nothing(drive.list(&path(""), false).await.map(drop));
    nothing(put(&drive, "x", "x").await);
    nothing(
        drive
            .mkdir(&path("x"), RequestPreconditions::default())
            .await,
    );
    nothing(
        drive
            .delete(&path("b"), RequestPreconditions::default())
            .await,
    );
    nothing(
        drive
            .lock(&path("x"), deep_lock(), RequestPreconditions::default())
            .await
            .map(drop),
    );
    nothing(drive.quota(&path("")).await.map(drop));
    std::fs::write(home.dir.path().join("docs"), "a file now").unwrap();
    nothing(put(&drive, "x", "x").await);
}

#[tokio::test]
async fn to_view_is_to_change_nothing() {
    let home = TestHome::new().await;
    let drive = home.drive("", Rights::View);
    assert_eq!(names(&drive, "docs").await, ["a", "in"]);
    drive.open(&path("docs/a")).await.unwrap();
    let lock = home
        .drive("", Rights::Edit)
        .lock(&path("top"), deep_lock(), RequestPreconditions::default())
        .await
        .unwrap();
    let token = lock.token.unwrap();
    let at = path("docs/a");
    let to = path("docs/z");
    let remove = vec![PropChange::Remove {
        ns: String::new(),
        name: "x".into(),
    }];
    let copying = Copying {
        reach: CopyDepth::Infinity,
        overwrite: true,
    };
    for refused in [
        put(&drive, "docs/a", "x").await,
        put(&drive, "docs/new", "x").await,
        drive.mkdir(&to, RequestPreconditions::default()).await,
        drive.delete(&at, RequestPreconditions::default()).await,
        drive
            .rename(&at, &to, true, RequestPreconditions::default())
            .await
            .map(drop),
        drive
            .copy(&at, &to, copying, RequestPreconditions::default())
            .await
            .map(drop),
        drive
            .set_props(&at, remove, None, RequestPreconditions::default())
            .await,
        drive
            .lock(&at, deep_lock(), RequestPreconditions::default())
            .await
            .map(drop),
        drive
            .refresh_lock(&path("top"), &token, None)
            .await
            .map(drop),
        drive.unlock(&path("top"), &token).await,
    ] {
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    }
    assert_eq!(names(&drive, "docs").await, ["a", "in"]);
}

#[tokio::test]
async fn to_drop_is_to_add_unseen() {
    let home = TestHome::new().await;
    let drive = home.drive("docs", Rights::Drop);
    put(&drive, "new", "1").await.unwrap();
    for taken in ["new", "a"] {
        put(&drive, taken, "2").await.unwrap();
        assert_eq!(
            std::fs::read(home.dir.path().join(format!("docs/{taken} (2)"))).unwrap(),
            b"2"
        );
    }
    let patch = drive
        .begin_put(
            &path("a"),
            announced(InitialContent::Present),
            RequestPreconditions::default(),
        )
        .await
        .unwrap();
    assert!(patch.is_empty(), "nothing of what is there is handed out");
    let preconditions = RequestPreconditions {
        expect: Expect::Exists,
        ..RequestPreconditions::default()
    };
    let over = drive
        .begin_put(&path("a"), announced(InitialContent::Empty), preconditions)
        .await;
    assert!(matches!(over, Err(Error::PreconditionFailed)));
    assert_eq!(
        std::fs::read(home.dir.path().join("docs/a")).unwrap(),
        b"docs/a"
    );
    assert!(drive.stat(&path("")).await.unwrap().folder);
    assert!(names(&drive, "").await.is_empty());
    assert_eq!(drive.quota(&path("")).await.unwrap().used, 0);
    let copying = Copying {
        reach: CopyDepth::Infinity,
        overwrite: true,
    };
    for unseen in [
        drive.stat(&path("a")).await.map(drop),
        drive.stat(&path("none")).await.map(drop),
        drive.open(&path("a")).await.map(drop),
        drive.props(&path("a")).await.map(drop),
        drive.list(&path("in"), false).await.map(drop),
        drive
            .copy(
                &path("a"),
                &path("z"),
                copying,
                RequestPreconditions::default(),
            )
            .await
            .map(drop),
    ] {
        assert!(matches!(unseen, Err(Error::NotFound)), "{unseen:?}");
    }
    for refused in [
        put(&drive, "in/deep", "x").await,
        drive
            .mkdir(&path("z"), RequestPreconditions::default())
            .await,
        drive
            .delete(&path("a"), RequestPreconditions::default())
            .await,
        drive
            .rename(
                &path("a"),
                &path("z"),
                true,
                RequestPreconditions::default(),
            )
            .await
            .map(drop),
        drive
            .lock(&path("z"), deep_lock(), RequestPreconditions::default())
            .await
            .map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    }
    home.drive("", Rights::Edit)
        .lock(&path("docs"), deep_lock(), RequestPreconditions::default())
        .await
        .unwrap();
    assert!(drive.locks_on(&path("")).await.unwrap().is_empty());
}

#[tokio::test]
async fn locks_hold_across_scopes_and_show_within_them() {
    let home = TestHome::new().await;
    let whole = home.drive("", Rights::Edit);
    let docs = home.drive("docs", Rights::Edit);
    let inner = home.drive("docs/in", Rights::Edit);
    let lock = docs
        .lock(&path(""), deep_lock(), RequestPreconditions::default())
        .await
        .unwrap();
    assert_eq!(lock.root, path(""));
    assert_eq!(
        whole.locks_on(&path("docs/a")).await.unwrap()[0].root,
        path("docs")
    );
    assert_eq!(
        docs.locks_on(&path("in/b")).await.unwrap()[0].root,
        path("")
    );
    assert_eq!(
        inner.locks_on(&path("b")).await.unwrap()[0].root,
        path(""),
        "what lies above the drive shows as its top"
    );
    assert!(matches!(
        put(&inner, "b", "x").await,
        Err(Error::Locked { .. })
    ));
    let token = lock.token.unwrap();
    let list = |subject: &str| IfList {
        resource: ResourceTag::Path(path(subject)),
        conditions: vec![IfCondition {
            not: false,
            state: StateMatch::Token(token.clone()),
        }],
    };
    let begin = async |drive: &Drive, subject| {
        let preconditions = RequestPreconditions {
            if_lists: vec![list(subject)],
            ..RequestPreconditions::default()
        };
        drive
            .begin_put(&path("n"), announced(InitialContent::Empty), preconditions)
            .await
            .map(drop)
    };
    begin(&docs, "in").await.unwrap();
    begin(&inner, "b").await.unwrap();
    assert!(matches!(
        begin(&whole, "top").await,
        Err(Error::PreconditionFailed)
    ));
}

#[tokio::test]
async fn visitors_of_a_link_do_not_see_each_others_tokens() {
    let home = TestHome::new().await;
    let owner = home.drive("", Rights::Edit);
    let identity = Identity {
        via: Via::Link("1".into()),
        ..owner.identity().clone()
    };
    let visitor = Drive::new(Arc::new(identity), home.root.clone(), home.locks.clone());
    let lock = visitor
        .lock(
            &path("docs/a"),
            deep_lock(),
            RequestPreconditions::default(),
        )
        .await
        .unwrap();
    assert!(lock.token.is_some());
    assert_eq!(
        visitor.locks_on(&path("docs/a")).await.unwrap()[0].token,
        None
    );
}

/// Visitors announce what they like: only what they send, and little ahead of it, is taken from others.
#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_sends_nothing_holds_little_space() {
    const MIB: u64 = 1 << 20;
    let home = TestHome::new().await;
    let limited = Identity {
        quota: Some(200 * MIB),
        ..home.drive("", Rights::Edit).identity().clone()
    };
    let drive = |identity| Drive::new(Arc::new(identity), home.root.clone(), home.locks.clone());
    let owner = drive(limited.clone());
    let begin = async |drive: &Drive, at: &str, len| {
        let options = UploadOptions {
            len: Some(len),
            ..announced(InitialContent::Empty)
        };
        drive
            .begin_put(&path(at), options, RequestPreconditions::default())
            .await
    };
    for (scope, rights) in [("", Rights::Edit), ("docs", Rights::Drop)] {
        let visitor = drive(Identity {
            via: Via::Link("1".into()),
            scope: path(scope),
            rights,
            ..limited.clone()
        });
        let too_large = begin(&visitor, "large", 201 * MIB).await;
        assert!(matches!(too_large, Err(Error::NoSpace)));
        let mut hung = begin(&visitor, "large", 190 * MIB).await.unwrap();
        drop(begin(&owner, "other", 130 * MIB).await.unwrap());
        // What has come is taken, whatever was announced.
        for _ in 0..70 {
            hung.write(vec![0; 1 << 20].into()).await.unwrap();
        }
        let other = begin(&owner, "other", 131 * MIB).await;
        assert!(matches!(other, Err(Error::NoSpace)));
        drop(begin(&owner, "other", 129 * MIB).await.unwrap());
    }
}

/// Two homes and what their accounts have in common.
#[derive(Debug)]
struct TwoHomes {
    ana: Arc<NamedTree>,
    ben: Arc<NamedTree>,
}

#[async_trait::async_trait]
impl TreeProvider for TwoHomes {
    async fn home(&self, account: &AccountName) -> Result<(Arc<NamedTree>, Option<u64>)> {
        match account.as_str() {
            "ana" => Ok((self.ana.clone(), None)),
            "ben" => Ok((self.ben.clone(), None)),
            // Their disks do not answer.
            _ => std::future::pending().await,
        }
    }
    fn check_home(&self, _: &AccountName) -> Result<()> {
        Ok(())
    }
    async fn team(&self, _: &str) -> Result<Arc<NamedTree>> {
        Err(Error::NotFound)
    }
}

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

/// The context of ana's and ben's drives: nothing is shared yet.
async fn context_of(ana: &TestHome, ben: &Arc<NamedTree>) -> Arc<DriveContext> {
    let groups = Arc::new(Groups::open(MemoryStore::new()).await.unwrap());
    Arc::new(DriveContext {
        sharing: Arc::new(Sharing {
            shares: Shares::open(MemoryStore::new(), groups.clone())
                .await
                .unwrap(),
            teams: Teams::open(MemoryStore::new(), groups.clone())
                .await
                .unwrap(),
            groups,
        }),
        mount_folders: MountFolderNames {
            shared: "Shared with me".into(),
            teams: "Team folders".into(),
            trash: None,
        },
        mass_changes: MassChangeDetector::new(&HistoryConfig::default()),
        audit: Audit::new(&ana.dir.path().join(".sarang/audit")),
        trees: Arc::new(TwoHomes {
            ana: ana.root.clone(),
            ben: ben.clone(),
        }),
    })
}

/// Ana's home, the context, and ben's drive.
async fn shared(rights: Rights, of_ben: Rights) -> (TestHome, TestHome, Arc<DriveContext>, Drive) {
    let ana = TestHome::new().await;
    let ben = TestHome::new().await;
    let root = Arc::new(NamedTree::new("home/ben".into(), ben.root.tree.clone()));
    let context = context_of(&ana, &root).await;
    let at = path("docs");
    let to = name("ben").into();
    let (_, node) = ana.root.tree.keep_id(&at).await.unwrap();
    let new = NewShare {
        path: at,
        node,
        folder: true,
        to,
        rights,
        expires: None,
        note: String::new(),
    };
    context
        .sharing
        .shares
        .create(&name("ana"), new)
        .await
        .unwrap();
    let identity = Identity {
        rights: of_ben,
        ..Identity::whole(name("ben"), Role::User, None, Arc::new(Irrevocable))
    };
    let drive = Drive::new(Arc::new(identity), root, ana.locks.clone())
        .with_context(&context)
        .await
        .unwrap();
    (ana, ben, context, drive)
}

/// Between the step that moves it and the share's following nobody is told that it is gone.
#[tokio::test]
async fn who_looks_for_a_share_that_moves_waits_for_it() {
    let (ana, _ben, context, drive) = shared(Rights::View, Rights::Edit).await;
    let moving = ana.root.moving.lock().await;
    let home = ana.dir.path();
    std::fs::rename(home.join("docs"), home.join("moved")).unwrap();
    let looks = tokio::spawn(async move { drive.incoming().await.unwrap().len() });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!looks.is_finished());
    let shares = &context.sharing.shares;
    shares.follow(&name("ana"), &path("docs"), &path("moved"));
    drop(moving);
    assert_eq!(looks.await.unwrap(), 1);
}

/// That a path was resolved once is no right that was granted once.
#[tokio::test]
async fn each_question_about_a_path_asks_for_rights_again() {
    let (_ana, _ben, context, drive) = shared(Rights::View, Rights::Edit).await;
    let (file, folder) = (path("Shared with me/docs/a"), path("Shared with me/docs"));
    let file = drive.at(&file).await.unwrap();
    let folder = drive.at(&folder).await.unwrap();
    assert!(file.node().await.is_ok() && folder.list(false).await.is_ok());
    let shares = &context.sharing.shares;
    let share = shares.of(&name("ana")).remove(0);
    shares.revoke(&name("ana"), &share.id).await.unwrap();
    for refused in [
        file.node().await.map(drop),
        file.identify().await.map(drop),
        file.open().await.map(drop),
        file.props().await.map(drop),
        file.quota().await.map(drop),
        folder.list(false).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    assert!(file.locks().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_move_that_is_refused_leaves_the_shares_as_they_are() {
    let (ana, _ben, context, _drive) = shared(Rights::View, Rights::Edit).await;
    let drive = ana.drive("", Rights::Edit);
    let drive = drive.with_context(&context).await.unwrap();
    for (from, to) in [("missing", "docs"), ("top", "docs"), ("docs", "no/where")] {
        let none = RequestPreconditions::default();
        assert!(
            drive
                .rename(&path(from), &path(to), false, none)
                .await
                .is_err()
        );
    }
    let shares = context.sharing.shares.of(&name("ana"));
    assert_eq!(shares[0].path().as_str(), "docs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_follow_moves_in_their_order() {
    let (ana, _ben, context, _drive) = shared(Rights::View, Rights::Edit).await;
    let mover = |from: &'static str, to: &'static str| {
        let drive = ana.drive("", Rights::Edit);
        let context = context.clone();
        tokio::spawn(async move {
            let drive = drive.with_context(&context).await.unwrap();
            for _ in 0..300 {
                let none = RequestPreconditions::default();
                match drive.rename(&path(from), &path(to), false, none).await {
                    Ok(_) | Err(Error::NotFound | Error::PreconditionFailed) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    };
    let there = mover("docs", "moved");
    let back = mover("moved", "docs");
    there.await.unwrap();
    back.await.unwrap();
    let share = context.sharing.shares.of(&name("ana")).remove(0);
    assert!(ana.root.tree.stat(&share.path()).await.is_ok());
}

#[tokio::test]
async fn a_listing_ends_with_the_share() {
    let (ana, _ben, context, drive) = shared(Rights::View, Rights::Edit).await;
    for number in 0..2000 {
        std::fs::write(ana.dir.path().join(format!("docs/{number}")), "").unwrap();
    }
    let at = path("Shared with me/docs");
    let mut listing = drive.list(&at, false).await.unwrap();
    let first = listing.next_page().await.unwrap().len();
    assert!((1..2000).contains(&first), "{first}");
    let share = &context.sharing.shares.of(&name("ana"))[0];
    context
        .sharing
        .shares
        .revoke(&name("ana"), &share.id)
        .await
        .unwrap();
    assert!(matches!(listing.next_page().await, Err(Error::NotFound)));
    assert!(matches!(drive.stat(&at).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn an_upload_under_way_ends_with_the_share() {
    let (ana, _ben, context, drive) = shared(Rights::Edit, Rights::Edit).await;
    let at = path("Shared with me/docs/late");
    let mut upload = drive
        .begin_put(
            &at,
            announced(InitialContent::Empty),
            RequestPreconditions::default(),
        )
        .await
        .unwrap();
    upload.write("x".into()).await.unwrap();
    let share = &context.sharing.shares.of(&name("ana"))[0];
    let view = |share: &mut Share| share.rights = Rights::View;
    context
        .sharing
        .shares
        .change(|shares| shares.made_by(&name("ana"), &share.id), view)
        .await
        .unwrap();
    assert!(matches!(upload.commit().await, Err(Error::Forbidden(_))));
    assert!(!ana.dir.path().join("docs/late").exists());
}

/// However many receivers rename a share, or leave it, its owner can change it.
#[tokio::test]
async fn receivers_leave_room_in_the_record_of_a_share() {
    let (_ana, _ben, context, _drive) = shared(Rights::Edit, Rights::Edit).await;
    let members: Vec<_> = (0..600).map(|n| name(&format!("{n:040}"))).collect();
    let crew = GroupName::parse("crew").unwrap();
    context
        .sharing
        .groups
        .create(&crew, members.iter().cloned().collect())
        .await
        .unwrap();
    let first = context.sharing.shares.of(&name("ana"))[0].clone();
    let path = first.path();
    let node = first.node;
    let to = context.sharing.groups.bind(&Grantee::Group(crew)).unwrap();
    let new = NewShare {
        path,
        node,
        folder: true,
        to,
        rights: Rights::Edit,
        expires: None,
        note: String::new(),
    };
    let id = context
        .sharing
        .shares
        .create(&name("ana"), new)
        .await
        .unwrap()
        .id
        .clone();
    let mut is_full = false;
    let long = "\"".repeat(200);
    for (n, member) in members.iter().enumerate() {
        let changed = match n % 2 {
            0 => context.sharing.shares.rename(member, &id, &long).await,
            _ => context.sharing.shares.leave(member, &id).await,
        };
        is_full |= matches!(changed, Err(Error::LimitReached(_)));
    }
    assert!(is_full);
    let lower = |share: &mut Share| {
        (share.rights, share.expires, share.note) =
            (Rights::View, Some(i64::MAX), "\u{1f4c1}".repeat(1000));
    };
    context
        .sharing
        .shares
        .change(|shares| shares.made_by(&name("ana"), &id), lower)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_share_with_an_end_ends() {
    let (_ana, _ben, context, drive) = shared(Rights::Edit, Rights::Edit).await;
    let share = &context.sharing.shares.of(&name("ana"))[0];
    let over = |share: &mut Share| {
        share.expires = Some(crate::model::time::unix_seconds(SystemTime::now()) - 1);
    };
    context
        .sharing
        .shares
        .change(|shares| shares.made_by(&name("ana"), &share.id), over)
        .await
        .unwrap();
    assert!(matches!(
        drive.stat(&path("Shared with me/docs")).await,
        Err(Error::NotFound)
    ));
    assert!(context.sharing.shares.to(&name("ben")).is_empty());
}

#[tokio::test]
async fn nobody_gets_more_than_both_the_share_and_the_sign_in_allow() {
    for granted in [Rights::View, Rights::Edit] {
        for own in [Rights::Drop, Rights::View, Rights::Edit] {
            let (_ana, _ben, _commons, drive) = shared(granted, own).await;
            let seen = drive.stat(&path("Shared with me/docs/a")).await.is_ok();
            let changed = put(&drive, "Shared with me/docs/new", "x").await.is_ok();
            assert_eq!(seen, own != Rights::Drop, "{granted:?} {own:?}");
            assert_eq!(
                changed,
                granted == Rights::Edit && own == Rights::Edit,
                "{granted:?} {own:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_link_passes_nothing_on_that_others_share() {
    let (_ana, _ben, context, drive) = shared(Rights::Edit, Rights::Edit).await;
    let link = Identity {
        via: Via::Link("1".into()),
        ..drive.identity().clone()
    };
    let drive = Drive::new(Arc::new(link), drive.home.clone(), drive.locks.clone())
        .with_context(&context)
        .await
        .unwrap();
    assert!(matches!(
        drive.stat(&path("Shared with me/docs")).await,
        Err(Error::NotFound)
    ));
}

fn any_rights() -> impl Strategy<Value = Rights> {
    prop_oneof![Just(Rights::Drop), Just(Rights::View), Just(Rights::Edit)]
}

proptest! {
    #[test]
    fn what_two_allow_neither_refuses(one in any_rights(), other in any_rights(), below in 0_usize..3) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let top = runtime.block_on(async { TestHome::new().await.drive("", Rights::Edit).top() });
        let both = intersect_rights(one, other);
        prop_assert_eq!(both, intersect_rights(other, one));
        for access in [Access::Stat, Access::Read, Access::Create, Access::Change] {
            let may = |rights| authorize(&ResolvedPath { rights, depth: below, ..top.clone() }, access).is_ok();
            if both.is_some_and(may) {
                prop_assert!(may(one) && may(other));
            }
        }
    }

    #[test]
    fn nothing_leads_out_of_a_scope(asked in "(docs|docs-private|in|\\.\\.|\\.|/|a|-private){0,8}") {
        if let Ok(asked) = RelPath::parse(&asked) {
            let landed = asked.beneath(&path("docs"));
            prop_assert!(landed.is_within(&path("docs")));
            prop_assert_eq!(landed.after(&path("docs")), Some(asked));
        }
    }
}
