//! The rules, each over what somebody has seen.

use super::*;
use crate::model::{AccountName, RelPath, Via};
use crate::storage::{IfTag, Node};
use std::time::{Duration, Instant, SystemTime};

fn node(len: u64) -> Node {
    Node {
        len,
        modified: SystemTime::UNIX_EPOCH + Duration::from_secs(len),
        etag: Etag([len, 1, len, len]),
        ..Node::unseen(false)
    }
}

fn at(path: &str) -> ResourceId {
    ResourceId {
        root: "home/ana".into(),
        path: RelPath::parse(path).unwrap(),
    }
}

fn holder(name: &str) -> LockHolder {
    AccountName::parse(name).unwrap().into()
}

/// A lock whose token is its path.
fn lock(path: &str, who: &str, deep: bool) -> Arc<Lock> {
    Arc::new(Lock {
        token: path.to_owned(),
        resource: at(path),
        folder: false,
        holder: holder(who),
        owner: String::new(),
        shared: false,
        deep,
        since: SystemTime::UNIX_EPOCH,
        ends: Instant::now() + Duration::from_secs(60),
    })
}

fn seen(locks: &[Arc<Lock>]) -> LocksSeen {
    LocksSeen {
        near: locks.to_vec(),
        within: Vec::new(),
        now: Instant::now(),
    }
}

fn check(preconditions: &Preconditions, present: Option<&Node>, locks: &LocksSeen) -> Result<()> {
    let asked = Seen {
        present,
        tags: &[],
        locks,
        is_closed: false,
    };
    let first = preconditions.check(&asked);
    // It may be asked again.
    assert_eq!(
        format!("{:?}", preconditions.check(&asked)),
        format!("{first:?}")
    );
    first
}

/// A change of ana's that takes hold of this, and submits these tokens.
fn change(scope: LockScope, tokens: &[&str]) -> Preconditions {
    Preconditions {
        scopes: vec![scope],
        tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
        holder: Some(holder("ana")),
        ..Preconditions::default()
    }
}

fn is_locked_by(outcome: Result<()>, who: &str) -> bool {
    matches!(outcome, Err(Error::Locked { holder }) if holder == who)
}

fn none() -> LocksSeen {
    LocksSeen::none(Instant::now())
}

#[test]
fn what_is_expected_is_told_apart() {
    let here = node(7);
    let tag = here.etag.to_string();
    for (expect, with, without) in [
        (Expect::Any, true, true),
        (Expect::Absent, false, true),
        (Expect::Exists, true, false),
        (Expect::Etag(vec!["\"x\"".into(), tag.clone()]), true, false),
        (Expect::Etag(vec!["\"x\"".into()]), false, false),
        (Expect::NotEtag(vec![tag]), false, true),
        (Expect::NotEtag(vec!["\"x\"".into()]), true, true),
        (Expect::UnmodifiedSince(7), true, true),
        (Expect::UnmodifiedSince(6), false, true),
    ] {
        let asked = Preconditions::expecting(expect.clone());
        for (present, holds) in [(Some(&here), with), (None, without)] {
            let outcome = check(&asked, present, &none());
            assert_eq!(outcome.is_ok(), holds, "{expect:?} {present:?}");
            assert!(holds || matches!(outcome, Err(Error::PreconditionFailed)));
        }
    }
}

#[test]
fn a_closed_tree_refuses_before_anything_else() {
    let locks = none();
    let asked = Seen {
        present: None,
        tags: &[],
        locks: &locks,
        is_closed: true,
    };
    for expect in [Expect::Any, Expect::Exists] {
        let refused = Preconditions::expecting(expect).check(&asked);
        assert!(matches!(refused, Err(Error::Forbidden(_))));
    }
}

#[test]
fn content_asks_for_the_token_of_a_lock_that_covers_it() {
    let content = |path: &str| LockScope::Content(at(path));
    let deep = seen(&[lock("a", "ana", true)]);
    assert!(is_locked_by(
        check(&change(content("a/x"), &[]), None, &deep),
        "ana"
    ));
    assert!(is_locked_by(
        check(&change(content("a/x"), &["b"]), None, &deep),
        "ana"
    ));
    assert!(check(&change(content("a/x"), &["b", "a"]), None, &deep).is_ok());
    assert!(check(&change(content("ab"), &[]), None, &deep).is_ok());
    let flat = seen(&[lock("a", "ana", false)]);
    assert!(check(&change(content("a/x"), &[]), None, &flat).is_ok());
    assert!(check(&change(content("a"), &[]), None, &flat).is_err());
    let theirs = seen(&[lock("a", "ben", true)]);
    let refused = check(&change(content("a"), &["a"]), None, &theirs);
    assert!(
        is_locked_by(refused, "ben"),
        "a token is for its holder alone"
    );
    let nobody = Preconditions {
        holder: None,
        ..change(content("a"), &["a"])
    };
    assert!(check(&nobody, None, &deep).is_err());
    let other = ResourceId {
        root: "home/ben".into(),
        ..at("a")
    };
    assert!(check(&change(LockScope::Content(other), &[]), None, &deep).is_ok());
}

#[test]
fn a_lock_is_over_at_its_end() {
    let held = lock("a", "ben", true);
    let after = LocksSeen {
        now: held.ends,
        ..seen(std::slice::from_ref(&held))
    };
    assert!(check(&change(LockScope::Content(at("a")), &[]), None, &after).is_ok());
    let named = if_lists(IfResource::Target(at("a")), &[(false, token("a"))]);
    assert!(check(&named, None, &after).is_err());
}

#[test]
fn one_of_shared_locks_lets_its_own_holder_through() {
    let of = |token: &str, who: &str| {
        let mut lock = Lock::clone(&lock("a", who, true));
        (lock.token, lock.shared) = (token.to_owned(), true);
        Arc::new(lock)
    };
    let both = seen(&[of("hers", "ana"), of("his", "ben")]);
    let content = || LockScope::Content(at("a"));
    assert!(check(&change(content(), &["hers"]), None, &both).is_ok());
    assert!(check(&change(content(), &["his"]), None, &both).is_err());
}

#[test]
fn members_are_guarded_by_a_lock_on_their_folder_alone() {
    let here = node(1);
    for deep in [false, true] {
        let locks = seen(&[lock("a", "ben", deep)]);
        let members = change(LockScope::Members(at("a")), &[]);
        let new = change(LockScope::NewMember(at("a")), &[]);
        assert!(check(&members, None, &locks).is_err());
        assert!(check(&members, Some(&here), &locks).is_err());
        assert!(check(&new, None, &locks).is_err());
        assert!(
            check(&new, Some(&here), &locks).is_ok(),
            "it is no new member"
        );
        let below = change(LockScope::Members(at("a/b")), &[]);
        assert!(check(&below, None, &locks).is_ok());
    }
}

#[test]
fn each_locked_thing_below_asks_for_its_own_token() {
    let locks = seen(&[
        lock("a/y", "ana", false),
        lock("a", "ana", false),
        lock("a/x/z", "ana", false),
        lock("a-", "ben", true),
        lock("", "ben", false),
    ]);
    let subtree = |tokens| change(LockScope::Subtree(at("a")), tokens);
    assert!(check(&subtree(&["a", "a/x/z", "a/y"]), None, &locks).is_ok());
    for some in [&["a", "a/x/z"][..], &["a/x/z", "a/y"], &[]] {
        assert!(check(&subtree(some), None, &locks).is_err(), "{some:?}");
    }
    let all = change(LockScope::Subtree(at("")), &["a", "a/x/z", "a/y"]);
    assert!(is_locked_by(check(&all, None, &locks), "ben"));
}

#[test]
fn the_outermost_lock_is_told_of_or_none_to_visitors() {
    let mut locks = vec![lock("a/b", "eva", false), lock("a", "ben", true)];
    for _ in 0..2 {
        let asked = change(LockScope::Content(at("a/b")), &[]);
        assert!(is_locked_by(check(&asked, None, &seen(&locks)), "ben"));
        let visitor = Preconditions {
            hide_holder: true,
            ..asked
        };
        let refused = check(&visitor, None, &seen(&locks));
        assert!(is_locked_by(refused, "somebody else"));
        locks.reverse();
    }
    let kept = without_holder(Error::NotFound);
    assert!(matches!(kept, Error::NotFound));
}

#[test]
fn visitors_of_a_link_are_strangers_to_its_owner() {
    let link = |generation| LockHolder {
        via: Via::Link("l".into()),
        generation,
        ..holder("ana")
    };
    let mut theirs = Lock::clone(&lock("a", "ana", true));
    theirs.holder = link(1);
    let locks = seen(&[Arc::new(theirs)]);
    for (who, passes) in [(holder("ana"), false), (link(1), true), (link(2), false)] {
        let asked = Preconditions {
            holder: Some(who),
            ..change(LockScope::Content(at("a")), &["a"])
        };
        assert_eq!(check(&asked, None, &locks).is_ok(), passes);
    }
}

fn token(token: &str) -> StateMatch {
    StateMatch::Token(token.to_owned())
}

fn etag(etag: &Etag) -> StateMatch {
    StateMatch::Etag(etag.to_string())
}

fn list(resource: IfResource, conditions: &[(bool, StateMatch)]) -> IfList<IfResource> {
    let condition = |(not, state): &(bool, StateMatch)| IfCondition {
        not: *not,
        state: state.clone(),
    };
    IfList {
        resource,
        conditions: conditions.iter().map(condition).collect(),
    }
}

fn if_lists(resource: IfResource, conditions: &[(bool, StateMatch)]) -> Preconditions {
    Preconditions {
        if_lists: vec![list(resource, conditions)],
        ..Preconditions::default()
    }
}

#[test]
fn all_conditions_of_one_list_must_hold() {
    let here = node(3);
    let own = etag(&here.etag);
    let other = etag(&node(4).etag);
    let locks = seen(&[lock("a", "ben", true)]);
    let target = || IfResource::Target(at("a/x"));
    let holds = |conditions: &[(bool, StateMatch)]| {
        check(&if_lists(target(), conditions), Some(&here), &locks).is_ok()
    };
    assert!(holds(&[(false, own.clone()), (false, token("a"))]));
    assert!(!holds(&[(false, own.clone()), (false, token("b"))]));
    assert!(holds(&[(false, own.clone()), (true, token("b"))]));
    assert!(!holds(&[(true, own.clone())]));
    assert!(holds(&[(true, other.clone())]) && !holds(&[(false, other.clone())]));
    assert!(holds(&[]));
    // Nothing has no tag, and may have a lock.
    let absent = |conditions: &[_]| check(&if_lists(target(), conditions), None, &locks).is_ok();
    assert!(
        absent(&[(true, own.clone()), (false, token("a"))]) && !absent(&[(false, own.clone())])
    );
    // One list is enough.
    let two = Preconditions {
        if_lists: vec![
            list(target(), &[(false, other)]),
            list(target(), &[(false, own)]),
        ],
        ..Preconditions::default()
    };
    assert!(check(&two, Some(&here), &locks).is_ok());
    assert!(check(&two, None, &locks).is_err());
}

#[test]
fn tagged_lists_speak_of_other_resources() {
    let there = node(5).etag;
    let locks = seen(&[lock("b", "ben", false)]);
    let about = |tag, conditions: &[_]| {
        let preconditions = if_lists(IfResource::Tagged(at("b"), tag), conditions);
        let asked = Seen {
            present: Some(&node(9)),
            tags: &[None, Some(there)],
            locks: &locks,
            is_closed: false,
        };
        preconditions.check(&asked).is_ok()
    };
    let own = (false, etag(&there));
    for (tag, is_there) in [
        (IfTag::Known(Some(there)), true),
        (IfTag::Known(None), false),
        (IfTag::Read(1), true),
        (IfTag::Read(0), false),
        (IfTag::Read(2), false),
    ] {
        assert_eq!(about(tag, std::slice::from_ref(&own)), is_there, "{tag:?}");
        assert!(about(tag, &[(false, token("b"))]));
        assert!(!about(tag, &[(false, token("a"))]));
    }
    // Elsewhere has no state at all.
    let elsewhere = |conditions: &[_]| {
        check(&if_lists(IfResource::Elsewhere, conditions), None, &locks).is_ok()
    };
    assert!(elsewhere(&[(true, token("b")), (true, etag(&there))]));
    assert!(!elsewhere(&[(false, token("b"))]) && !elsewhere(&[own]));
}

#[test]
fn what_rests_on_locks_is_known_before_they_are_looked_at() {
    assert!(!Preconditions::expecting(Expect::Absent).asks_for_locks());
    assert!(change(LockScope::Content(at("a")), &[]).asks_for_locks());
    let named = Preconditions {
        named: vec![at("a")],
        ..Preconditions::default()
    };
    assert!(named.asks_for_locks());
}
