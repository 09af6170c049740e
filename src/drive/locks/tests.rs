//! Locks against a store in memory.

use super::store::new_token;
use super::*;
use crate::model::{RelPath, Via};
use crate::state::StateStore;
use crate::state::memory::MemoryStore;
use crate::storage::lock_contract;
use crate::storage::{LockHolder, LockRequest, LockStore, Preconditions, Seen};

#[tokio::test]
async fn they_keep_what_every_store_of_locks_promises() {
    lock_contract::suite(|| async {
        let locks: Arc<dyn LockStore> = Arc::new(locks().await);
        [locks.clone(), locks]
    })
    .await;
}

/// The locks as a change of `who` meets them that takes hold of this and submits these tokens, at a moment.
fn check(
    locks: &Locks,
    scope: LockScope,
    (who, tokens): (&LockHolder, &[&str]),
    now: Instant,
) -> Result<()> {
    let scopes = vec![scope];
    let seen = LocksSeen {
        now,
        ..locks.look_now(&scopes, &[])
    };
    let preconditions = Preconditions {
        scopes,
        tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
        holder: Some(who.clone()),
        ..Preconditions::default()
    };
    preconditions.check(&Seen {
        present: None,
        tags: &[],
        locks: &seen,
        is_closed: false,
    })
}

fn covers(locks: &Locks, resource: &ResourceId, token: &str) -> bool {
    let seen = locks.look_now(&[], std::slice::from_ref(resource));
    seen.covering(resource).any(|lock| lock.token == token)
}

fn tokens_within(locks: &Locks, path: &str) -> Vec<String> {
    locks
        .look_now(&[LockScope::Subtree(resource(path))], &[])
        .within
}

fn none_in_home(locks: &Locks) -> bool {
    tokens_within(locks, "").is_empty()
}

fn account(name: &str) -> LockHolder {
    AccountName::parse(name).unwrap().into()
}

fn resource(path: &str) -> ResourceId {
    ResourceId {
        root: "home/ana".into(),
        path: RelPath::parse(path).unwrap().to_nfc(),
    }
}

fn exclusive(deep: bool) -> LockRequest {
    LockRequest {
        owner: "<D:owner xmlns:D=\"DAV:\">x</D:owner>".into(),
        shared: false,
        deep,
        folder: false,
        timeout: None,
    }
}

fn shared() -> LockRequest {
    LockRequest {
        shared: true,
        ..exclusive(true)
    }
}

async fn locks_with(limits: LocksConfig) -> Locks {
    Locks::open(MemoryStore::new(), limits).await.unwrap()
}

async fn locks() -> Locks {
    locks_with(LocksConfig::default()).await
}

#[tokio::test]
async fn an_exclusive_lock_keeps_others_out_until_it_ends() {
    let locks = locks().await;
    let ana = account("ana");
    let ben = account("ben");
    let lock = locks
        .grant(resource("a"), &ana, exclusive(true))
        .await
        .unwrap();
    for request in [exclusive(false), shared()] {
        let refused = locks.grant(resource("a/b"), &ben, request).await;
        assert!(matches!(refused, Err(Error::Locked { holder }) if holder == "ana"));
    }
    assert!(
        locks
            .grant(resource("ab"), &ben, exclusive(true))
            .await
            .is_ok(),
        "a sibling that begins alike is free"
    );
    assert!(matches!(
        locks.release(&resource("a"), &ben, &lock.token).await,
        Err(Error::Forbidden(_))
    ));
    assert!(matches!(
        locks.release(&resource("b"), &ana, &lock.token).await,
        Err(Error::NoSuchLock)
    ));
    locks
        .release(&resource("a/below"), &ana, &lock.token)
        .await
        .unwrap();
    assert!(
        locks
            .grant(resource("a/b"), &ben, exclusive(true))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_deep_lock_conflicts_with_what_is_locked_below() {
    let locks = locks().await;
    let ana = account("ana");
    let ben = account("ben");
    locks
        .grant(resource("a/b/c"), &ana, exclusive(false))
        .await
        .unwrap();
    locks
        .grant(resource("a-b"), &ana, exclusive(false))
        .await
        .unwrap();
    assert!(matches!(
        locks.grant(resource("a"), &ben, exclusive(true)).await,
        Err(Error::Locked { .. })
    ));
    assert!(
        locks
            .grant(resource("a"), &ben, exclusive(false))
            .await
            .is_ok(),
        "depth 0 touches only the folder"
    );
}

#[tokio::test]
async fn changes_pass_only_with_the_token_and_the_account() {
    let locks = locks().await;
    let ana = account("ana");
    let ben = account("ben");
    let lock = locks
        .grant(resource("a"), &ana, exclusive(true))
        .await
        .unwrap();
    let now = Instant::now();
    let token = lock.token.as_str();
    let content = || LockScope::Content(resource("a/x"));
    let members = |path| LockScope::Members(resource(path));
    assert!(check(&locks, content(), (&ana, &[token]), now).is_ok());
    assert!(check(&locks, content(), (&ana, &[]), now).is_err());
    assert!(check(&locks, content(), (&ben, &[token]), now).is_err());
    let all = LockScope::Subtree(resource(""));
    assert!(check(&locks, all, (&ana, &[]), now).is_err());
    assert!(check(&locks, members("a"), (&ana, &[]), now).is_err());
    assert!(check(&locks, members(""), (&ana, &[]), now).is_ok());
    let at_end = check(&locks, content(), (&ana, &[]), lock.ends);
    assert!(at_end.is_ok(), "over at its end");
}

#[tokio::test]
async fn shared_locks_stand_beside_each_other() {
    let locks = locks().await;
    let ana = account("ana");
    let ben = account("ben");
    let hers = locks.grant(resource("a"), &ana, shared()).await.unwrap();
    let his = locks.grant(resource("a"), &ben, shared()).await.unwrap();
    let content = || LockScope::Content(resource("a"));
    let now = Instant::now();
    assert!(check(&locks, content(), (&ana, &[&hers.token]), now).is_ok());
    assert!(check(&locks, content(), (&ana, &[&his.token]), now).is_err());
}

#[tokio::test]
async fn both_spellings_of_a_name_are_one_place() {
    let locks = locks().await;
    let ana = account("ana");
    let ben = account("ben");
    locks
        .grant(resource("cafe\u{301}"), &ana, exclusive(true))
        .await
        .unwrap();
    assert!(
        locks
            .grant(resource("caf\u{e9}"), &ben, exclusive(true))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn terms_are_the_smaller_of_asked_and_allowed() {
    let limits = LocksConfig {
        default_timeout: 600,
        max_timeout: 1000,
        ..LocksConfig::default()
    };
    let locks = locks_with(limits).await;
    let ana = account("ana");
    for (name, asked, granted) in [
        ("a", None, 600),
        ("b", Some(5), 5),
        ("c", Some(u64::MAX), 1000),
    ] {
        let request = LockRequest {
            timeout: asked.map(Duration::from_secs),
            ..exclusive(true)
        };
        let lock = locks.grant(resource(name), &ana, request).await.unwrap();
        let left = lock.ends.duration_since(Instant::now()).as_secs_f64();
        assert!(
            (f64::from(granted) - 1.0..=f64::from(granted)).contains(&left),
            "{name}: {left}"
        );
    }
}

#[tokio::test]
async fn the_caps_hold() {
    let limits = LocksConfig {
        per_account: 3,
        per_resource: 2,
        ..LocksConfig::default()
    };
    let locks = locks_with(limits).await;
    let ana = account("ana");
    let ben = account("ben");
    for _ in 0..2 {
        locks.grant(resource("a"), &ana, shared()).await.unwrap();
    }
    assert!(matches!(
        locks.grant(resource("a"), &ben, shared()).await,
        Err(Error::LimitReached(_))
    ));
    locks.grant(resource("b"), &ana, shared()).await.unwrap();
    assert!(matches!(
        locks.grant(resource("c"), &ana, shared()).await,
        Err(Error::LimitReached(_))
    ));
    assert!(locks.grant(resource("c"), &ben, shared()).await.is_ok());
}

/// Whoever takes locks that are over at once fills neither memory nor the records, and holds none against the caps.
#[tokio::test]
async fn what_is_over_goes_with_the_next_lock() {
    let store = MemoryStore::new();
    let ana = account("ana");
    let limits = LocksConfig {
        per_account: 3,
        ..LocksConfig::default()
    };
    let locks = Locks::open(store.clone(), limits).await.unwrap();
    let over = || LockRequest {
        timeout: Some(Duration::ZERO),
        ..exclusive(false)
    };
    for n in 0..500 {
        locks
            .grant(resource(&format!("n{n}")), &ana, over())
            .await
            .unwrap();
    }
    for n in 0..3 {
        locks
            .grant(resource(&format!("m{n}")), &ana, exclusive(false))
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let refused = locks.grant(resource("m3"), &ana, exclusive(false)).await;
        assert!(matches!(refused, Err(Error::LimitReached(_))));
    }
    let counts = |index: &LockIndex| (index.by_token.len(), index.by_root.len());
    assert_eq!(counts(&locks.index.read()), (3, 1));
    assert_eq!(store.scan(PREFIX, "", 1000).await.unwrap().len(), 3);
    locks
        .release_account(&ana.account, "home/ana")
        .await
        .unwrap();
    assert!(locks.index.read().by_root.is_empty());
    locks
        .grant(resource("m3"), &ana, exclusive(false))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_visitors_of_all_links_of_an_account_have_a_limit_together() {
    let limits = LocksConfig {
        per_account: 60,
        ..LocksConfig::default()
    };
    let locks = locks_with(limits).await;
    let ana = account("ana");
    let visitor = |link: usize| LockHolder {
        via: Via::Link(format!("l{link}")),
        ..account("ana")
    };
    for n in 0..60 {
        locks
            .grant(
                resource(&format!("n{n}")),
                &visitor(n % 3),
                exclusive(false),
            )
            .await
            .unwrap();
    }
    let refused = locks
        .grant(resource("more"), &visitor(4), exclusive(false))
        .await;
    assert!(matches!(refused, Err(Error::LimitReached(_))));
    locks
        .grant(resource("more"), &ana, exclusive(false))
        .await
        .unwrap();
}

#[tokio::test]
async fn locks_survive_a_restart_and_the_swept_do_not() {
    let store = MemoryStore::new();
    let ana = account("ana");
    let locks = Locks::open(store.clone(), LocksConfig::default())
        .await
        .unwrap();
    let kept = locks
        .grant(resource("a"), &ana, exclusive(true))
        .await
        .unwrap();
    let ended = locks
        .grant(resource("b"), &ana, exclusive(true))
        .await
        .unwrap();
    let moved = locks
        .grant(resource("c/d"), &ana, exclusive(true))
        .await
        .unwrap();
    locks
        .release(&resource("b"), &ana, &ended.token)
        .await
        .unwrap();
    let gone = tokens_within(&locks, "c");
    locks.end(&gone).await.unwrap();
    let brief = LockRequest {
        timeout: Some(Duration::ZERO),
        ..exclusive(true)
    };
    locks.grant(resource("e"), &ana, brief).await.unwrap();
    locks.sweep().await.unwrap();

    let again = Locks::open(store.clone(), LocksConfig::default())
        .await
        .unwrap();
    assert!(covers(&again, &resource("a/x"), &kept.token));
    assert!(!covers(&again, &resource("b"), &ended.token));
    assert!(!covers(&again, &resource("c/d"), &moved.token));
    assert_eq!(store.scan(PREFIX, "", 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lock_that_cannot_be_remembered_is_not_granted() {
    let store = MemoryStore::new();
    let ana = account("ana");
    let locks = Locks::open(store.clone(), LocksConfig::default())
        .await
        .unwrap();
    store.break_disk();
    assert!(matches!(
        locks.grant(resource("a"), &ana, exclusive(true)).await,
        Err(Error::ReadOnly)
    ));
    assert!(none_in_home(&locks));
}

#[tokio::test]
async fn names_that_nfc_makes_longer_survive_a_restart() {
    let store = MemoryStore::new();
    let ana = account("ana");
    let locks = Locks::open(store.clone(), LocksConfig::default())
        .await
        .unwrap();
    // 255 bytes as written, 510 in NFC: U+0958 is always taken apart.
    let name = "\u{958}".repeat(85);
    let lock = locks
        .grant(resource(&name), &ana, exclusive(true))
        .await
        .unwrap();
    let again = Locks::open(store, LocksConfig::default()).await.unwrap();
    assert!(covers(&again, &resource(&name), &lock.token));
}

#[tokio::test]
async fn records_whose_time_is_over_are_gone_after_a_restart() {
    let store = MemoryStore::new();
    let ana = account("ana");
    let locks = Locks::open(store.clone(), LocksConfig::default())
        .await
        .unwrap();
    let brief = LockRequest {
        timeout: Some(Duration::ZERO),
        ..exclusive(true)
    };
    locks.grant(resource("a"), &ana, brief).await.unwrap();
    let again = Locks::open(store.clone(), LocksConfig::default())
        .await
        .unwrap();
    assert!(none_in_home(&again));
    assert!(store.scan(PREFIX, "", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lock_that_ends_while_it_is_written_down_does_not_come_back() {
    let store = MemoryStore::new();
    let ana = account("ana");
    store.slow_down();
    let locks = Locks::open(store.clone(), LocksConfig::default())
        .await
        .unwrap();
    let ended = async {
        let tokens = tokens_within(&locks, "a");
        assert_eq!(tokens.len(), 1, "it is in force before it is durable");
        locks.end(&tokens).await.unwrap();
    };
    let (granted, ()) = tokio::join!(locks.grant(resource("a"), &ana, exclusive(true)), ended);
    assert!(granted.is_ok());
    assert!(store.scan(PREFIX, "", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_goes_ends_the_locks_there_and_no_others() {
    let locks = locks().await;
    let ana = account("ana");
    let gone = [
        locks.grant(resource("a"), &ana, exclusive(false)).await,
        locks.grant(resource("a/b"), &ana, exclusive(false)).await,
    ];
    let mut gone = gone.map(|lock| lock.unwrap().token.clone());
    locks
        .grant(resource("a-b"), &ana, exclusive(true))
        .await
        .unwrap();
    locks.grant(resource(""), &ana, shared()).await.unwrap_err();
    let mut within = tokens_within(&locks, "a");
    within.sort();
    gone.sort();
    assert_eq!(within, gone);
    locks.end(&within).await.unwrap();
    assert!(
        locks
            .grant(resource("a"), &ana, exclusive(true))
            .await
            .is_ok()
    );
    assert!(
        locks
            .grant(resource("a-b"), &ana, exclusive(true))
            .await
            .is_err()
    );
}

#[test]
fn tokens_are_version_4_urns() {
    let token = new_token().unwrap();
    assert_eq!(token.len(), 45);
    assert_eq!(token.as_bytes()[9 + 14], b'4', "{token}");
    assert!(b"89ab".contains(&token.as_bytes()[9 + 19]), "{token}");
    assert_ne!(token, new_token().unwrap());
}

/// What a tree ends in its step counts no more at once; its record goes with the next sweep if nobody saw to it.
#[tokio::test]
async fn what_ends_in_a_step_does_not_come_back() {
    let store = MemoryStore::new();
    let ana = account("ana");
    let locks = Arc::new(
        Locks::open(store.clone(), LocksConfig::default())
            .await
            .unwrap(),
    );
    let tree = locks.of_tree("home/ana");
    for path in ["a", "b"] {
        let lock = locks
            .grant(resource(path), &ana, exclusive(true))
            .await
            .unwrap();
        let turn = tree.begin();
        tree.end(std::slice::from_ref(&lock.token));
        tree.finish(turn);
        assert!(none_in_home(&locks));
        let written = || async { store.scan(PREFIX, "", 10).await.unwrap().len() };
        assert_eq!(written().await, 1);
        match path {
            "a" => locks.end(std::slice::from_ref(&lock.token)).await.unwrap(),
            _ => locks.sweep().await.unwrap(),
        }
        assert_eq!(written().await, 0);
        assert!(locks.ended_in_step.lock().is_empty());
    }
}

/// The engine and the drive of one tree have the same turns, for as long as either is there.
#[tokio::test(start_paused = true)]
async fn a_grant_waits_for_the_changes_of_its_own_tree() {
    let ana = account("ana");
    let locks = Arc::new(locks().await);
    let tree = locks.of_tree("home/ana");
    let other = locks.of_tree("home/ben");
    let again = locks.of_tree("home/ana");
    let (own, elsewhere) = (again.begin(), other.begin());
    let refused = locks.grant(resource("a"), &ana, exclusive(true)).await;
    assert!(matches!(refused, Err(Error::Busy { .. })));
    assert!(none_in_home(&locks));
    tree.finish(own);
    let granted = locks.grant(resource("a"), &ana, exclusive(true)).await;
    assert!(granted.is_ok());
    other.finish(elsewhere);
}
