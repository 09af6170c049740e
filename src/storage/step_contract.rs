//! What a tree promises of the step in which it checks and makes a change: `step_contract!(make)` runs it on the trees that `make` opens
//! with the locks it is given.

use super::contract::{TwoHandles, commit, content, names, path, put, try_put};
use super::{
    Changed, CopyDepth, Expect, IfCondition, IfList, IfResource, IfTag, InitialContent, Lock,
    LockHolder, LockScope, LocksSeen, PendingDelete, Preconditions, PropChange, ResourceId,
    SpaceRequest, StateMatch, TreeLocks, WriteOptions,
};
use crate::model::{AccessCheck, AccountName, Error, Result};
use bytes::Bytes;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant, SystemTime};

/// Makes one test of each promise.
macro_rules! step_contract {
    ($make:path) => {
        $crate::storage::step_contract::step_contract! { $make, without || [""; 0] }
    };
    ($make:path, without $without:expr) => {
        $crate::storage::step_contract::step_contract! { @ $make, $without,
            locks_in_the_way_rule, locks_end_with_what_goes, what_is_refused_ends_no_lock, tags_are_read_in_the_step,
            access_is_asked_in_the_step, a_closed_tree_stays_as_it_is, no_two_changes_see_the_same_content,
            a_change_says_what_it_met, a_change_ends_without_its_caller,
        }
    };
    (@ $make:path, $without:expr, $($promise:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            if ($without)().contains(&stringify!($promise)) {
                return;
            }
            let locks = std::sync::Arc::new($crate::storage::step_contract::TestLocks::default());
            let (tree, _keep) = $make(locks.clone());
            $crate::storage::step_contract::$promise(tree.into(), locks).await;
        })+
    };
}
pub(crate) use step_contract;

/// Something to be done at a look.
type Deed = Box<dyn FnOnce() + Send>;

/// Locks that a test holds, and what a tree has asked of them.
#[derive(Default)]
pub struct TestLocks {
    held: Mutex<Vec<Arc<Lock>>>,
    looks: AtomicUsize,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    /// The thread of the last look.
    looked_on: Mutex<Option<ThreadId>>,
    /// Where a look makes nothing wait.
    caller: Mutex<Option<ThreadId>>,
    looked_by_caller: AtomicBool,
    /// While it is locked, looks on other threads wait.
    elsewhere: Mutex<()>,
    /// Done at the next look, once that is taken.
    deed: Mutex<Option<Deed>>,
}

impl Debug for TestLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestLocks")
    }
}

impl TreeLocks for TestLocks {
    fn begin(&self) -> u64 {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        0
    }

    fn finish(&self, _turn: u64) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn look(&self, scopes: &[LockScope], _named: &[ResourceId]) -> LocksSeen {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let here = std::thread::current().id();
        *self.looked_on.lock() = Some(here);
        if *self.caller.lock() == Some(here) {
            self.looked_by_caller.store(true, Ordering::SeqCst);
        } else {
            drop(self.elsewhere.lock());
        }
        std::thread::sleep(Duration::from_millis(1));
        let near = self.held.lock().clone();
        let goes = |lock: &Arc<Lock>| {
            scopes.iter().any(|scope| {
                matches!(scope, LockScope::Subtree(resource) if lock.resource.is_within(resource))
            })
        };
        let within = near.iter().filter(|lock| goes(lock));
        let within = within.map(|lock| lock.token.clone()).collect();
        if let Some(deed) = self.deed.lock().take() {
            deed();
        }
        LocksSeen {
            near,
            within,
            now: Instant::now(),
        }
    }

    fn end(&self, tokens: &[String]) {
        self.held
            .lock()
            .retain(|lock| !tokens.contains(&lock.token));
    }
}

impl TestLocks {
    /// Lets bo hold an exclusive lock; its token is the path.
    fn hold(&self, at: &str, deep: bool) {
        self.hold_as(at, at, deep);
    }

    fn hold_as(&self, token: &str, at: &str, deep: bool) {
        self.held.lock().push(Arc::new(Lock {
            token: token.to_owned(),
            resource: resource(at),
            folder: false,
            holder: bo(),
            owner: String::new(),
            shared: false,
            deep,
            since: SystemTime::now(),
            ends: Instant::now() + Duration::from_secs(600),
        }));
    }

    /// Does something in the step of the next change, once that has looked.
    pub fn at_next_look(&self, deed: impl FnOnce() + Send + 'static) {
        *self.deed.lock() = Some(Box::new(deed));
    }

    /// On which thread the last look was taken.
    pub fn looked_on(&self) -> Option<ThreadId> {
        *self.looked_on.lock()
    }

    fn tokens(&self) -> Vec<String> {
        let held = self.held.lock();
        let mut tokens: Vec<_> = held.iter().map(|lock| lock.token.clone()).collect();
        tokens.sort();
        tokens
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }
}

fn bo() -> LockHolder {
    AccountName::parse("bo").unwrap().into()
}

fn resource(at: &str) -> ResourceId {
    ResourceId {
        root: "home/ada".into(),
        path: path(at),
    }
}

/// A change under these preconditions.
fn under(preconditions: Preconditions) -> WriteOptions {
    WriteOptions {
        preconditions: Some(Arc::new(preconditions)),
        ..commit()
    }
}

/// A change that takes hold of these places, with all that lies below.
pub fn taking(places: &[&str]) -> WriteOptions {
    let scopes = places.iter().flat_map(|at| {
        [
            LockScope::Content(resource(at)),
            LockScope::Subtree(resource(at)),
        ]
    });
    under(Preconditions {
        scopes: scopes.collect(),
        ..Preconditions::default()
    })
}

/// The same by bo, who submits these tokens.
fn by_bo(places: &[&str], tokens: &[&str]) -> WriteOptions {
    let taking = taking(places);
    under(Preconditions {
        holder: Some(bo()),
        tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
        ..Preconditions::clone(taking.preconditions.as_ref().unwrap())
    })
}

macro_rules! is_locked {
    ($result:expr) => {
        match $result {
            Err(Error::Locked { holder }) => assert_eq!(holder, "bo"),
            other => panic!("not locked: {other:?}"),
        }
    };
}

/// Each change looks at the locks once, one at a time; what stands in the way refuses it, by what stands at the target.
pub async fn locks_in_the_way_rule(tree: TwoHandles, locks: Arc<TestLocks>) {
    put(&tree, "a", b"old").await;
    locks.hold("a", false);
    locks.hold("b", false);
    is_locked!(try_put(&tree, "a", b"new", taking(&["a"])).await);
    is_locked!(tree.rename(&path("a"), &path("b"), taking(&["a"])).await);
    is_locked!(tree.rename(&path("a"), &path("b"), taking(&["b"])).await);
    let whole = CopyDepth::Infinity;
    is_locked!(
        tree.copy(&path("a"), &path("b"), whole, taking(&["b"]))
            .await
    );
    is_locked!(tree.delete(&path("a"), taking(&["a"])).await);
    is_locked!(tree.begin_delete(&path("a"), taking(&["a"])).await);
    is_locked!(tree.set_props(&path("a"), vec![], taking(&["a"])).await);
    is_locked!(try_put(&tree, "b", b"new", taking(&["b"])).await);
    is_locked!(tree.mkdir(&path("b"), taking(&["b"])).await);
    assert_eq!(locks.looks(), 9);
    assert_eq!(names(&tree, "").await, ["a"]);
    assert_eq!(content(&tree, "a").await, b"old");
    // A lock on the folder keeps new members out, and nothing from those that are there.
    locks.end(&["a".into()]);
    locks.hold("", false);
    let adding = || {
        under(Preconditions {
            scopes: vec![LockScope::NewMember(resource(""))],
            ..Preconditions::default()
        })
    };
    is_locked!(try_put(&tree, "c", b"new", adding()).await);
    try_put(&tree, "a", b"newer", adding()).await.unwrap();
    locks.held.lock().clear();
    let before = locks.looks();
    let puts = (0..20).map(|n| {
        let tree = tree.clone();
        let name = format!("f{n}");
        tokio::spawn(async move {
            let commit = taking(&[&name]);
            try_put(&tree, &name, b"x", commit).await.unwrap()
        })
    });
    futures_util::future::join_all(puts.collect::<Vec<_>>()).await;
    assert_eq!(locks.looks(), before + 20);
    assert_eq!(locks.most_inside.load(Ordering::SeqCst), 1);
    assert_eq!(locks.inside.load(Ordering::SeqCst), 0);
}

/// DELETE, MOVE, COPY: locks end with what goes away, in the step that takes it away, and no others.
pub async fn locks_end_with_what_goes(tree: TwoHandles, locks: Arc<TestLocks>) {
    for folder in ["d", "e"] {
        tree.mkdir(&path(folder), commit()).await.unwrap();
    }
    for file in ["d/x", "f", "g", "h"] {
        put(&tree, file, file.as_bytes()).await;
    }
    for at in ["d", "d-", "d/x", "e", "f", "g", "h", "new", "newer"] {
        locks.hold(at, false);
    }
    let copy = |from: &str, to: &str, depth| {
        let options = by_bo(&[to], &[to]);
        let (from, to) = (path(from), path(to));
        let tree = tree.clone();
        async move { tree.copy(&from, &to, depth, options).await.unwrap().ended }
    };
    let none: [String; 0] = [];
    assert_eq!(copy("f", "new", CopyDepth::Infinity).await, none);
    assert_eq!(copy("d", "e", CopyDepth::Zero).await, none);
    let props = vec![PropChange::Remove {
        ns: "x".into(),
        name: "y".into(),
    }];
    let set = tree
        .set_props(&path("f"), props, by_bo(&["f"], &["f"]))
        .await;
    assert_eq!(set.unwrap().ended, none);
    assert_eq!(locks.tokens().len(), 9);
    assert_eq!(copy("f", "g", CopyDepth::Infinity).await, ["g"]);
    // Granted once the change has looked: on something new of the same name.
    let again = Arc::clone(&locks);
    locks.at_next_look(move || again.hold_as("since", "d/x", false));
    let deleted = tree.delete(&path("d"), by_bo(&["d"], &["d", "d/x"])).await;
    let mut ended = deleted.unwrap().changed.ended;
    ended.sort();
    assert_eq!(ended, ["d", "d/x"]);
    let options = by_bo(&["f", "h"], &["f", "h"]);
    let moved = tree.rename(&path("f"), &path("h"), options).await.unwrap();
    let mut ended = moved.ended.clone();
    ended.sort();
    assert_eq!(
        (ended, moved.created()),
        (vec!["f".into(), "h".into()], false)
    );
    let options = by_bo(&["h", "newer"], &["newer"]);
    let moved = tree.rename(&path("h"), &path("newer"), options).await;
    assert_eq!(moved.unwrap().ended, ["newer"], "they do not follow a move");
    // Out of sight is not gone.
    let taken = tree
        .begin_delete(&path("new"), by_bo(&["new"], &["new"]))
        .await;
    let PendingDelete {
        path,
        locks: on,
        node,
    } = taken.unwrap();
    assert_eq!((on, node.folder), (vec!["new".to_owned()], false));
    tree.cancel_delete(&path).await.unwrap();
    assert_eq!(locks.tokens(), ["d-", "e", "new", "since"]);
    assert_eq!(locks.inside.load(Ordering::SeqCst), 0);
}

/// A change that fails, for whatever reason.
pub async fn what_is_refused_ends_no_lock(tree: TwoHandles, locks: Arc<TestLocks>) {
    put(&tree, "a", b"x").await;
    put(&tree, "b", b"x").await;
    for at in ["a", "b", "gone"] {
        locks.hold(at, false);
    }
    let tokens = &["a", "b", "gone"];
    let options = |at: &[&str]| by_bo(at, tokens);
    assert!(
        tree.delete(&path("gone"), options(&["gone"]))
            .await
            .is_err()
    );
    let unmet = options(&["a"]).expecting(Expect::Absent);
    assert!(tree.delete(&path("a"), unmet).await.is_err());
    let careful = WriteOptions {
        overwrite: false,
        ..options(&["a", "b"])
    };
    let moved = tree.rename(&path("a"), &path("b"), careful.clone()).await;
    assert!(matches!(moved, Err(Error::PreconditionFailed)));
    let small = WriteOptions {
        limit: Some(1),
        ..options(&["b"])
    };
    let copied = tree
        .copy(&path("a"), &path("c"), CopyDepth::Infinity, small)
        .await;
    assert!(copied.is_err());
    assert_eq!(locks.tokens(), ["a", "b", "gone"]);
    assert_eq!(locks.inside.load(Ordering::SeqCst), 0);
}

/// A tagged list of `If` about another path of the tree.
pub async fn tags_are_read_in_the_step(tree: TwoHandles, _locks: Arc<TestLocks>) {
    put(&tree, "a", b"1").await;
    let tag = put(&tree, "d", b"1").await.etag.to_string();
    let under_tag = |tag: &str, other: &str| {
        let condition = IfCondition {
            not: false,
            state: StateMatch::Etag(tag.to_owned()),
        };
        under(Preconditions {
            if_lists: vec![IfList {
                resource: IfResource::Tagged(resource(other), IfTag::Read(0)),
                conditions: vec![condition],
            }],
            tagged: vec![path(other)],
            ..Preconditions::default()
        })
    };
    let mut upload = tree
        .begin_upload(&path("a"), InitialContent::Empty, SpaceRequest::default())
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"2")).await.unwrap();
    let new = put(&tree, "d", b"22").await.etag.to_string();
    let stale = upload.commit(under_tag(&tag, "d")).await;
    assert!(matches!(stale, Err(Error::PreconditionFailed)));
    assert_eq!(content(&tree, "a").await, b"1");
    let gone = try_put(&tree, "a", b"2", under_tag(&tag, "no/where")).await;
    assert!(matches!(gone, Err(Error::PreconditionFailed)));
    try_put(&tree, "a", b"2", under_tag(&new, "d"))
        .await
        .unwrap();
    assert_eq!(content(&tree, "a").await, b"2");
}

/// An access that has ended, or will once it was asked so often.
#[derive(Debug, Default)]
struct EndingAccess {
    asked: AtomicUsize,
    has_ended: AtomicBool,
}

impl AccessCheck for EndingAccess {
    fn check(&self) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.has_ended.load(Ordering::SeqCst) {
            Err(Error::AccessEnded)
        } else {
            Ok(())
        }
    }
}

/// A credential that ends while an upload is under way, and before any other change.
pub async fn access_is_asked_in_the_step(tree: TwoHandles, _locks: Arc<TestLocks>) {
    put(&tree, "a", b"old").await;
    let access = Arc::new(EndingAccess::default());
    let let_in = || WriteOptions {
        access: Some(access.clone()),
        ..commit()
    };
    tree.mkdir(&path("d"), let_in()).await.unwrap();
    assert!(access.asked.load(Ordering::SeqCst) > 0);
    let mut upload = tree
        .begin_upload(&path("a"), InitialContent::Empty, SpaceRequest::default())
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"new")).await.unwrap();
    access.has_ended.store(true, Ordering::SeqCst);
    macro_rules! has_ended {
        ($result:expr) => {
            assert!(matches!($result.await, Err(Error::AccessEnded)))
        };
    }
    has_ended!(upload.commit(let_in()));
    has_ended!(tree.mkdir(&path("e"), let_in()));
    has_ended!(tree.rename(&path("a"), &path("b"), let_in()));
    has_ended!(tree.copy(&path("a"), &path("b"), CopyDepth::Infinity, let_in()));
    has_ended!(tree.delete(&path("a"), let_in()));
    has_ended!(tree.set_props(&path("a"), vec![], let_in()));
    assert_eq!(names(&tree, "").await, ["a", "d"]);
    assert_eq!(content(&tree, "a").await, b"old");
}

/// The account of the tree is being removed.
pub async fn a_closed_tree_stays_as_it_is(tree: TwoHandles, _locks: Arc<TestLocks>) {
    put(&tree, "a", b"old").await;
    let mut upload = tree
        .begin_upload(&path("a"), InitialContent::Empty, SpaceRequest::default())
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"new")).await.unwrap();
    assert!(!tree.refuses_changes());
    tree.refuse_changes();
    assert!(tree.refuses_changes());
    let asked = || under(Preconditions::default());
    let refused = upload.commit(asked()).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    let refused = tree.delete(&path("a"), asked()).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    assert_eq!(content(&tree, "a").await, b"old");
}

/// If-Match: many who add one each to what they have read come to the sum.
pub async fn no_two_changes_see_the_same_content(tree: TwoHandles, _locks: Arc<TestLocks>) {
    put(&tree, "sum", b"0").await;
    let adders = (0..6).map(|_| {
        let tree = tree.clone();
        tokio::spawn(async move {
            let mut left = 10;
            while left > 0 {
                let tag = tree.stat(&path("sum")).await.unwrap().etag.to_string();
                let text = String::from_utf8(content(&tree, "sum").await).unwrap();
                let next = (text.parse::<u32>().unwrap() + 1).to_string();
                let if_same = commit().expecting(Expect::Etag(vec![tag]));
                match try_put(&tree, "sum", next.as_bytes(), if_same).await {
                    Ok(_) => left -= 1,
                    Err(error) => assert!(matches!(error, Error::PreconditionFailed), "{error:?}"),
                }
            }
        })
    });
    for adder in futures_util::future::join_all(adders.collect::<Vec<_>>()).await {
        adder.unwrap();
    }
    assert_eq!(content(&tree, "sum").await, b"60");
}

/// What stood at the path named first, and in the place of what is new.
pub async fn a_change_says_what_it_met(tree: TwoHandles, _locks: Arc<TestLocks>) {
    let made = tree.mkdir(&path("d"), commit()).await.unwrap();
    assert_eq!(made, Changed::default());
    let first = try_put(&tree, "a", b"1", commit()).await.unwrap();
    assert_eq!(first.changed, Changed::default());
    let second = try_put(&tree, "a", b"22", commit()).await.unwrap();
    let of = |met, replaced| Changed {
        met,
        replaced,
        ended: Vec::new(),
    };
    let old = Some(first.node);
    assert_eq!(second.changed, of(old.clone(), old));
    let a = Some(second.node);
    let whole = CopyDepth::Infinity;
    let copied = tree.copy(&path("a"), &path("b"), whole, commit()).await;
    assert_eq!(copied.unwrap(), of(a.clone(), None));
    let b = Some(tree.stat(&path("b")).await.unwrap());
    let copied = tree.copy(&path("a"), &path("b"), whole, commit()).await;
    assert_eq!(copied.unwrap(), of(a.clone(), b));
    let b = Some(tree.stat(&path("b")).await.unwrap());
    let moved = tree.rename(&path("a"), &path("b"), commit()).await.unwrap();
    assert_eq!(moved, of(a, b));
    let b = tree.stat(&path("b")).await.unwrap();
    let set = tree.set_props(&path("b"), vec![], commit()).await.unwrap();
    assert_eq!(set, of(Some(b.clone()), None));
    let deleted = tree.delete(&path("b"), commit()).await.unwrap();
    assert_eq!(deleted.changed, of(Some(b), None));
    let back = tree.restore(&deleted.id, &path("c"), commit()).await;
    assert_eq!(back.unwrap(), Changed::default());
}

/// The client goes away in the middle of a change.
pub async fn a_change_ends_without_its_caller(tree: TwoHandles, locks: Arc<TestLocks>) {
    tree.mkdir(&path("d"), commit()).await.unwrap();
    for n in 0..20 {
        put(&tree, &format!("d/{n}"), &[7; 1000]).await;
    }
    let mut large = tree
        .begin_upload(
            &path("large"),
            InitialContent::Empty,
            SpaceRequest::default(),
        )
        .await
        .unwrap();
    for _ in 0..5 {
        large.write(Bytes::from(vec![1; 1 << 20])).await.unwrap();
    }
    *locks.caller.lock() = Some(std::thread::current().id());
    let from = path("d");
    let to = path("moved");
    let copied = path("copy");
    let copy = tree.copy(&from, &copied, CopyDepth::Infinity, taking(&["copy"]));
    abandon(&locks, copy).await;
    abandon(&locks, large.commit(taking(&["large"]))).await;
    abandon(&locks, tree.rename(&from, &to, taking(&["d"]))).await;
    abandon(&locks, tree.delete(&path("copy/0"), taking(&["copy/0"]))).await;
    assert_eq!(names(&tree, "").await, ["copy", "large", "moved"]);
    assert_eq!(names(&tree, "copy").await.len(), 19);
    assert_eq!(content(&tree, "large").await.len(), 5 << 20);
}

/// Drops a change after the first look at it, while its step is kept waiting; returns when it has been checked and has ended. What is done
/// at that first look was not handed to anybody.
async fn abandon<T>(locks: &TestLocks, change: impl Future<Output = Result<T>>) {
    let before = locks.looks();
    {
        let _wait = locks.elsewhere.lock();
        let outcome = change.now_or_never();
        assert_eq!(
            outcome.is_some(),
            locks.looked_by_caller.swap(false, Ordering::SeqCst)
        );
        assert!(outcome.is_none_or(|outcome| outcome.is_ok()));
    }
    for _ in 0..2000 {
        if locks.looks() == before + 1 && locks.inside.load(Ordering::SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the change did not go on");
}
