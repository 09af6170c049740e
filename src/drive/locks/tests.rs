//! Locks against a store in memory.

use super::*;
use crate::model::{RelPath, Via};
use crate::state::StateStore;
use crate::state::memory::MemoryStore;

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
    let held = locks.read_guard();
    let now = Instant::now();
    let token = lock.token.as_str();
    assert!(
        held.check_content(&resource("a/x"), &ana, &[token], now)
            .is_ok()
    );
    assert!(
        held.check_content(&resource("a/x"), &ana, &[], now)
            .is_err()
    );
    assert!(
        held.check_content(&resource("a/x"), &ben, &[token], now)
            .is_err()
    );
    assert!(held.check_subtree(&resource(""), &ana, &[], now).is_err());
    assert!(held.check_members(&resource("a"), &ana, &[], now).is_err());
    assert!(held.check_members(&resource(""), &ana, &[], now).is_ok());
    assert!(
        held.check_content(&resource("a"), &ana, &[], lock.ends)
            .is_ok(),
        "over at its end"
    );
}

#[tokio::test]
async fn shared_locks_stand_beside_each_other() {
    let locks = locks().await;
    let ana = account("ana");
    let ben = account("ben");
    let hers = locks.grant(resource("a"), &ana, shared()).await.unwrap();
    let his = locks.grant(resource("a"), &ben, shared()).await.unwrap();
    let held = locks.read_guard();
    assert!(
        held.check_content(&resource("a"), &ana, &[&hers.token], Instant::now())
            .is_ok()
    );
    assert!(
        held.check_content(&resource("a"), &ana, &[&his.token], Instant::now())
            .is_err()
    );
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
    let gone = locks.read_guard().tokens_within(&resource("c"));
    locks.release_gone(gone).await;
    let brief = LockRequest {
        timeout: Some(Duration::ZERO),
        ..exclusive(true)
    };
    locks.grant(resource("e"), &ana, brief).await.unwrap();
    locks.sweep().await.unwrap();

    let again = Locks::open(store.clone(), LocksConfig::default())
        .await
        .unwrap();
    let held = again.read_guard();
    assert!(held.covers(&resource("a/x"), &kept.token, Instant::now()));
    assert!(!held.covers(&resource("b"), &ended.token, Instant::now()));
    assert!(!held.covers(&resource("c/d"), &moved.token, Instant::now()));
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
    assert!(locks.read_guard().none_in("home/ana"));
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
    assert!(
        again
            .read_guard()
            .covers(&resource(&name), &lock.token, Instant::now())
    );
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
    assert!(again.read_guard().none_in("home/ana"));
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
        let tokens = locks.read_guard().tokens_within(&resource("a"));
        assert_eq!(tokens.len(), 1, "it is in force before it is durable");
        locks.release_gone(tokens).await;
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
    let mut within = locks.read_guard().tokens_within(&resource("a"));
    within.sort();
    gone.sort();
    assert_eq!(within, gone);
    locks.release_gone(within).await;
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
