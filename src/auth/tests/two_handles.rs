//! Sign-in through two handles on one store, as two nodes would have them.

use super::*;
use crate::config::Registration;
use crate::model::{RelPath, Rights};
use std::time::Duration;

async fn open(store: &Arc<MemoryStore>) -> Arc<Auth> {
    let config = AccountsConfig {
        registration: Registration::Invite,
        ..AccountsConfig::default()
    };
    Auth::open(store.clone(), &config).await.unwrap()
}

/// Two handles that know of an administrator `ana` and of `ben`, and what `ana` has signed in as.
async fn pair() -> (Arc<MemoryStore>, [Arc<Auth>; 2], Arc<Identity>) {
    let store = MemoryStore::new();
    let here = open(&store).await;
    here.create(&name("ana"), GOOD, Role::Admin, None)
        .await
        .unwrap();
    here.create(&name("ben"), GOOD, Role::User, None)
        .await
        .unwrap();
    let ana = here.ask("ana", GOOD, HERE).await.unwrap();
    let there = open(&store).await;
    (store, [here, there], ana)
}

/// Waits until what another handle did is seen.
async fn until(holds: impl Fn() -> bool) {
    let seen = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen)
        .await
        .expect("what the other handle changed is seen");
}

fn applicant<'a>(name: &'a str, invite: &'a str) -> Applicant<'a> {
    Applicant {
        name,
        password: GOOD,
        invite: Some(invite),
        profile: ProfileChange::default(),
    }
}

#[tokio::test]
async fn an_invite_makes_one_account_whichever_handles_redeem_it() {
    let (store, [here, there], ana) = pair().await;
    let new = NewInvite {
        note: None,
        quota: None,
        groups: Vec::new(),
        group_ids: std::collections::BTreeMap::new(),
        expires: None,
    };
    let (_, secret) = here.invite(&ana, new).await.unwrap();
    until(|| there.invites.find(&secret).is_some()).await;
    store.slow_down();
    let (one, two) = tokio::join!(
        here.register(applicant("cleo", &secret), HERE),
        there.register(applicant("dora", &secret), ELSEWHERE)
    );
    assert_eq!(
        usize::from(one.is_ok()) + usize::from(two.is_ok()),
        1,
        "{one:?} {two:?}"
    );
    assert!(matches!(one.and(two), Err(Error::Forbidden(_))));
    assert_eq!(open(&store).await.list().len(), 3);
}

#[tokio::test]
async fn a_person_at_a_provider_is_linked_to_one_account_whichever_handles_link_them() {
    let (_, [here, there], _) = pair().await;
    let issuer = "https://id.example";
    here.link_openid(&name("ana"), issuer, "s1").await.unwrap();
    let other = there.link_openid(&name("ben"), issuer, "s1").await;
    assert!(matches!(other, Err(Error::Exists)));
    let again = there.link_openid(&name("ana"), issuer, "s2").await;
    assert!(matches!(again, Err(Error::Exists)));
    there.link_openid(&name("ben"), issuer, "s2").await.unwrap();
}

#[tokio::test]
async fn two_handles_make_no_more_app_passwords_than_may_be() {
    let (_, [here, there], ana) = pair().await;
    let new = || NewAppPassword {
        name: "phone".into(),
        scope: RelPath::root(),
        target: None,
        rights: Rights::Edit,
        expires: None,
    };
    for n in 0..100 {
        let auth = [&here, &there][n % 2];
        auth.add_app_password(&ana, new()).await.unwrap();
    }
    for auth in [&here, &there] {
        let one_more = auth.add_app_password(&ana, new()).await;
        assert!(matches!(one_more, Err(Error::LimitReached(_))));
    }
}

#[tokio::test]
async fn a_new_password_ends_sessions_on_the_other_handle_but_for_the_one_that_asked() {
    let (store, [here, there], _) = pair().await;
    let client = SessionClient {
        address: HERE,
        agent: "",
    };
    let given = PasswordCredentials {
        user: "ana",
        password: GOOD,
    };
    let kept = here.begin_session(given, None, client).await.unwrap();
    let given = PasswordCredentials {
        user: "ana",
        password: GOOD,
    };
    let ended = here.begin_session(given, None, client).await.unwrap();
    until(|| there.by_session(&kept.secret).is_some() && there.by_session(&ended.secret).is_some())
        .await;
    let generation = there.accounts.find(&name("ana")).unwrap().generation();
    // Between the two records of the change, too.
    store.slow_down();
    let asking = here.by_session(&kept.secret).unwrap();
    let mut change =
        std::pin::pin!(here.change_password(&asking, (GOOD, b"green kettle 88"), HERE));
    let mut is_done = false;
    while !is_done || there.accounts.find(&name("ana")).unwrap().generation() == generation {
        tokio::select! {
            biased;
            changed = &mut change, if !is_done => {
                changed.unwrap();
                is_done = true;
            }
            () = tokio::task::yield_now() => {}
        }
        assert!(there.by_session(&kept.secret).is_some());
    }
    until(|| there.by_session(&ended.secret).is_none()).await;
    assert!(there.by_session(&kept.secret).is_some());
}
