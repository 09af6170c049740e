//! Tests of sessions.

use super::*;
use crate::config::AccountsConfig;
use crate::model::Role;
use crate::state::memory::MemoryStore;
use crate::state::table::{Table, encode};
use crate::state::{Batch, StateStore};

const GOOD: &[u8] = b"blue kettle 77";
const CALLER: SessionClient<'static> = SessionClient {
    address: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    agent: "Nest/1",
};

fn ana() -> AccountName {
    AccountName::parse("ana").unwrap()
}

async fn open(store: &Arc<MemoryStore>) -> Arc<Auth> {
    Auth::open(store.clone(), &AccountsConfig::default())
        .await
        .unwrap()
}

async fn log_in(auth: &Auth) -> NewSession {
    auth.begin_session(
        PasswordCredentials {
            user: "ana",
            password: GOOD,
        },
        None,
        CALLER,
    )
    .await
    .unwrap()
}

/// A store with one session of ana's that began and was last used so many seconds ago, and its secret.
async fn store_with(created: i64, used: i64) -> (Arc<MemoryStore>, NewSession) {
    let store = MemoryStore::new();
    let auth = open(&store).await;
    auth.create(&ana(), GOOD, Role::User, None).await.unwrap();
    let begun = log_in(&auth).await;
    let mut session = auth.sessions.get(&begun.id).unwrap().as_ref().clone();
    (session.created, session.used) = (now() - created, now() - used);
    let key = format!("{PREFIX}{}", begun.id);
    store
        .commit(Batch::new().put(key, encode(&session).unwrap()))
        .await
        .unwrap();
    (store, begun)
}

#[tokio::test]
async fn a_session_ends_unused_or_old() {
    let day = 24 * 3600;
    for (created, used, stands) in [
        (0, 0, true),
        (80 * day, 29 * day, true),
        (80 * day, 30 * day, false),
        (90 * day - 60, 0, true),
        (90 * day, 0, false),
    ] {
        let (store, begun) = store_with(created, used).await;
        let auth = open(&store).await;
        assert_eq!(
            auth.by_session(&begun.secret).is_some(),
            stands,
            "{created} {used}"
        );
        assert_eq!(auth.sessions_of(&ana()).len(), usize::from(stands));
        let kept = store.get(&format!("{PREFIX}{}", begun.id)).await.unwrap();
        assert_eq!(kept.is_some(), stands, "what has ended is cleared away");
    }
}

#[tokio::test]
async fn a_use_is_noted_once_an_hour() {
    let (store, begun) = store_with(LAST_USE_RESOLUTION * 3, LAST_USE_RESOLUTION * 2).await;
    let auth = open(&store).await;
    let before = now();
    auth.by_session(&begun.secret).unwrap();
    while auth.sessions.get(&begun.id).unwrap().used < before {
        tokio::task::yield_now().await;
    }
    let stored = Table::<Session>::new(store.clone(), PREFIX)
        .get(&begun.id)
        .await
        .unwrap()
        .unwrap();
    assert!(stored.used >= before, "also on disk");
    store.break_disk();
    assert!(
        auth.by_session(&begun.secret).is_some(),
        "the next use within the hour writes nothing"
    );
}

#[tokio::test]
async fn one_session_too_many_ends_the_one_unused_longest() {
    let (store, first) = store_with(60, 30).await;
    let auth = open(&store).await;
    let present = auth.sessions.get(&first.id).unwrap();
    for at in 1..MAX_PER_ACCOUNT {
        let other = Session {
            hash: format!("hash {at}"),
            used: now(),
            ..present.as_ref().clone()
        };
        auth.sessions
            .insert(&format!("id{at}"), other)
            .await
            .unwrap();
    }
    assert!(auth.by_session(&first.secret).is_some());
    let last = log_in(&auth).await;
    assert!(auth.by_session(&first.secret).is_none() && auth.by_session(&last.secret).is_some());
    assert_eq!(auth.sessions_of(&ana()).len(), MAX_PER_ACCOUNT);
}

#[tokio::test]
async fn a_session_that_cannot_be_ended_on_disk_is_reported() {
    let (store, begun) = store_with(0, 0).await;
    let auth = open(&store).await;
    store.break_disk();
    assert!(matches!(
        auth.revoke_session(&ana(), &begun.id).await,
        Err(Error::ReadOnly)
    ));
}

#[test]
fn little_is_kept_of_a_user_agent() {
    let long = SessionClient {
        agent: &"é\u{7}".repeat(200),
        ..CALLER
    };
    assert_eq!(long.truncated_agent(), "é".repeat(100));
}
