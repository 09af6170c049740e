//! What every [`LockStore`] promises, as one suite: an engine's tests call [`suite`] with a way to open two handles on one store, which
//! take turns.

use super::{Lock, LockHolder, LockRequest, LockScope, LockStore, LocksSeen, ResourceId};
use crate::model::{AccountName, Error, RelPath, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Two handles on one store.
pub type Handles = [Arc<dyn LockStore>; 2];

/// Runs the whole suite on empty stores.
pub async fn suite<O: Future<Output = Handles>>(make: impl Fn() -> O) {
    what_one_is_granted_the_other_sees(make().await).await;
    of_two_at_once_one_is_granted(make().await).await;
    shared_locks_stand_side_by_side(make().await).await;
    locks_are_refreshed_and_released_by_their_holder(make().await).await;
    a_look_sees_what_is_near(make().await).await;
    a_look_is_data(make().await).await;
    locks_end_by_their_tokens(make().await).await;
    locks_end_with_their_time(make().await).await;
}

fn holder(name: &str) -> LockHolder {
    AccountName::parse(name).unwrap().into()
}

fn at(path: &str) -> ResourceId {
    ResourceId {
        root: "home/ana".into(),
        path: RelPath::parse(path).unwrap().to_nfc(),
    }
}

fn request(shared: bool, deep: bool) -> LockRequest {
    LockRequest {
        owner: "<D:owner xmlns:D=\"DAV:\">x</D:owner>".into(),
        shared,
        deep,
        folder: true,
        timeout: None,
    }
}

async fn grant(store: &Arc<dyn LockStore>, path: &str, who: &str, deep: bool) -> Arc<Lock> {
    store
        .grant(at(path), &holder(who), request(false, deep))
        .await
        .unwrap()
}

/// Asks for a lock that may be refused.
async fn ask(
    store: &Arc<dyn LockStore>,
    resource: ResourceId,
    who: &str,
    (shared, deep): (bool, bool),
) -> Result<Arc<Lock>> {
    store
        .grant(resource, &holder(who), request(shared, deep))
        .await
}

async fn look(store: &Arc<dyn LockStore>, scopes: &[LockScope], named: &[&str]) -> LocksSeen {
    let named: Vec<_> = named.iter().map(|path| at(path)).collect();
    store.look(scopes, &named).await.unwrap()
}

/// The places of the locks that a look saw near, in order.
fn near(seen: &LocksSeen) -> Vec<&str> {
    let mut near: Vec<_> = seen
        .near
        .iter()
        .map(|lock| lock.resource.path.as_str())
        .collect();
    near.sort_unstable();
    near
}

async fn what_one_is_granted_the_other_sees([one, other]: Handles) {
    let lock = grant(&one, "a", "ana", true).await;
    assert!(lock.token.starts_with("urn:uuid:") && lock.resource == at("a"));
    let seen = look(&other, &[], &["a/b/c"]).await;
    let found = seen.covering(&at("a/b/c")).next().unwrap();
    assert_eq!(
        (&found.token, &found.owner, &found.holder),
        (&lock.token, &lock.owner, &holder("ana"))
    );
    assert!(found.deep && found.folder && !found.shared && found.ends > seen.now);
    for deep in [false, true] {
        let refused = ask(&other, at("a/b"), "ben", (true, deep)).await;
        assert!(matches!(refused, Err(Error::Locked { holder }) if holder == "ana"));
    }
    // What holds it can be locked by itself, but not with all that is in it.
    let refused = ask(&other, at(""), "ben", (false, true)).await;
    assert!(matches!(refused, Err(Error::Locked { .. })));
    grant(&other, "", "ben", false).await;
    let elsewhere = ResourceId {
        root: "home/ben".into(),
        ..at("a")
    };
    let free = ask(&other, elsewhere, "ben", (false, true)).await;
    free.unwrap();
    // Both spellings are one place.
    grant(&one, "cafe\u{301}", "ana", true).await;
    let refused = ask(&other, at("caf\u{e9}"), "ben", (false, true)).await;
    assert!(matches!(refused, Err(Error::Locked { .. })));
}

async fn of_two_at_once_one_is_granted([one, other]: Handles) {
    for n in 0..50 {
        let place = format!("n{n}");
        let (ana, ben) = (holder("ana"), holder("ben"));
        let (hers, his) = tokio::join!(
            one.grant(at(&place), &ana, request(false, true)),
            other.grant(at(&place), &ben, request(false, true)),
        );
        assert_eq!(
            [hers.is_ok(), his.is_ok()].iter().filter(|ok| **ok).count(),
            1
        );
    }
    assert_eq!(one.list(None).await.unwrap().len(), 50);
}

async fn shared_locks_stand_side_by_side([one, other]: Handles) {
    for (store, who) in [(&one, "ana"), (&other, "ben")] {
        let shared = ask(store, at("a"), who, (true, true)).await;
        shared.unwrap();
    }
    let refused = ask(&one, at("a"), "ana", (false, true)).await;
    assert!(matches!(refused, Err(Error::Locked { .. })));
    assert_eq!(look(&one, &[], &["a"]).await.near.len(), 2);
}

async fn locks_are_refreshed_and_released_by_their_holder([one, other]: Handles) {
    let (ana, ben) = (holder("ana"), holder("ben"));
    let lock = grant(&one, "a", "ana", true).await;
    let longer = Some(lock.ends.duration_since(Instant::now()) + Duration::from_secs(60));
    let refreshed = other.refresh(&at("a/b"), &ana, &lock.token, longer).await;
    assert!(refreshed.unwrap().ends > lock.ends);
    assert!(look(&one, &[], &["a"]).await.near[0].ends > lock.ends);
    for (place, who) in [("a", &ben), ("b", &ana)] {
        let refused = other.refresh(&at(place), who, &lock.token, None).await;
        assert!(matches!(refused, Err(Error::PreconditionFailed)));
    }
    let refused = other.release(&at("a"), &ben, &lock.token).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    for (place, token) in [("b", lock.token.as_str()), ("a", "urn:uuid:none")] {
        let refused = other.release(&at(place), &ana, token).await;
        assert!(matches!(refused, Err(Error::NoSuchLock)));
    }
    other.release(&at("a/b"), &ana, &lock.token).await.unwrap();
    assert!(look(&one, &[], &["a"]).await.is_empty());
    let refused = one.release(&at("a"), &ana, &lock.token).await;
    assert!(matches!(refused, Err(Error::NoSuchLock)));
}

async fn a_look_sees_what_is_near([one, other]: Handles) {
    grant(&one, "", "ana", false).await;
    grant(&one, "d", "ana", true).await;
    for path in ["e", "e-", "e/x", "e/x/y", "f"] {
        grant(&one, path, "ana", false).await;
    }
    let content = |path| [LockScope::Content(at(path))];
    assert!(look(&other, &content("new"), &[]).await.is_empty());
    assert_eq!(near(&look(&other, &content("d/a/b"), &[]).await), ["d"]);
    assert_eq!(near(&look(&other, &content("e/x/y"), &[]).await), ["e/x/y"]);
    for scope in [LockScope::Members(at("e")), LockScope::NewMember(at("e"))] {
        assert_eq!(near(&look(&other, &[scope], &[]).await), ["e"]);
    }
    let subtree = look(&other, &[LockScope::Subtree(at("e"))], &["f", "d/z"]).await;
    assert_eq!(near(&subtree), ["d", "e", "e/x", "e/x/y", "f"]);
    let mut within = subtree.within.clone();
    within.sort();
    let mut tokens: Vec<_> = other
        .list(Some(&at("e")))
        .await
        .unwrap()
        .iter()
        .map(|lock| lock.token.clone())
        .collect();
    tokens.sort();
    assert_eq!(within, tokens);
    assert_eq!(within.len(), 3);
    assert_eq!(one.list(None).await.unwrap().len(), 7);
    // Once each, however many places it is near.
    let both = [LockScope::Content(at("d/a")), LockScope::Content(at("d/b"))];
    assert_eq!(look(&one, &both, &["d"]).await.near.len(), 1);
}

async fn a_look_is_data([one, other]: Handles) {
    let lock = grant(&one, "a", "ana", true).await;
    let before = look(&other, &[], &["a", "b"]).await;
    other
        .release(&at("a"), &holder("ana"), &lock.token)
        .await
        .unwrap();
    grant(&one, "b", "ana", true).await;
    assert_eq!(near(&before), ["a"]);
    let after = look(&other, &[], &["a", "b"]).await;
    assert_eq!(near(&after), ["b"]);
    assert!(after.now >= before.now);
}

async fn locks_end_by_their_tokens([one, other]: Handles) {
    let lock = grant(&one, "a", "ana", true).await;
    grant(&one, "b", "ana", true).await;
    let tokens = [lock.token.clone(), "urn:uuid:none".to_owned()];
    other.end(&tokens).await.unwrap();
    assert_eq!(near(&look(&one, &[], &["a", "b"]).await), ["b"]);
    other.end(&tokens).await.unwrap();
    grant(&other, "a", "ben", true).await;
}

async fn locks_end_with_their_time([one, other]: Handles) {
    let brief = LockRequest {
        timeout: Some(Duration::ZERO),
        ..request(false, true)
    };
    let lock = one.grant(at("a"), &holder("ana"), brief).await.unwrap();
    assert!(look(&other, &[], &["a"]).await.is_empty());
    let over = other
        .refresh(&at("a"), &holder("ana"), &lock.token, None)
        .await;
    assert!(matches!(over, Err(Error::PreconditionFailed)));
    grant(&other, "a", "ben", true).await;
}
