//! Sign-in as the HTTP layer uses it: `recall`, then `sign_in`.

use super::accounts::AccountRecord;
use super::password::old_hash;
use super::*;
use crate::model::Role;
use crate::state::Batch;
use crate::state::memory::MemoryStore;
use std::sync::atomic::Ordering;

mod two_handles;

const GOOD: &[u8] = b"blue kettle 77";
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn over_a_connection() -> RequestOrigin {
    RequestOrigin {
        address: HERE,
        connection: Some(Arc::default()),
        ..HERE.into()
    }
}

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn header(user: &str, password: &[u8]) -> Vec<u8> {
    [b"Basic ", user.as_bytes(), b":", password].concat()
}

async fn auth_with_ana() -> Arc<Auth> {
    let auth = Auth::open(MemoryStore::new(), &AccountsConfig::default())
        .await
        .unwrap();
    auth.create(&name("ana"), GOOD, Role::User, Some(9))
        .await
        .unwrap();
    auth
}

impl Auth {
    fn hashes(&self) -> usize {
        self.hasher.hashes.load(Ordering::Relaxed)
    }

    fn is_known(&self, header: &[u8]) -> bool {
        self.cached_identity(header, &RequestOrigin::from(HERE))
            .is_some()
    }

    fn is_wrong(&self, user: &str, password: &[u8]) -> bool {
        self.door.is_wrong(user, password, HERE)
    }

    async fn ask(&self, user: &str, password: &[u8], from: IpAddr) -> Result<Arc<Identity>> {
        self.ask_over(&RequestOrigin::from(from), user, password)
            .await
    }

    async fn ask_over(
        &self,
        origin: &RequestOrigin,
        user: &str,
        password: &[u8],
    ) -> Result<Arc<Identity>> {
        let header = header(user, password);
        match self.cached_identity(&header, origin) {
            Some(identity) => Ok(identity),
            None => self.sign_in(&header, user, password, origin.clone()).await,
        }
    }
}

#[tokio::test]
async fn a_right_password_is_hashed_once_and_then_recalled() {
    let auth = auth_with_ana().await;
    let before = auth.hashes();
    assert!(!auth.is_known(&header("CORP\\Ana", GOOD)));
    for _ in 0..3 {
        let identity = auth.ask("CORP\\Ana", GOOD, HERE).await.unwrap();
        assert_eq!(
            (identity.account.as_str(), identity.role, identity.quota),
            ("ana", Role::User, Some(9))
        );
    }
    assert_eq!(auth.hashes() - before, 1);
}

#[tokio::test]
async fn eight_first_sign_ins_at_once_hash_once() {
    let auth = auth_with_ana().await;
    for (password, is_right) in [(GOOD, true), (b"wrong password".as_slice(), false)] {
        let before = auth.hashes();
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let auth = Arc::clone(&auth);
                tokio::spawn(async move {
                    auth.sign_in(&header("ana", password), "ana", password, HERE)
                        .await
                })
            })
            .collect();
        for one in tries {
            assert_eq!(one.await.unwrap().is_ok(), is_right);
        }
        assert_eq!(auth.hashes() - before, 1);
    }
}

#[tokio::test]
async fn unknown_disabled_and_wrong_cost_one_hash_and_read_the_same() {
    let auth = auth_with_ana().await;
    auth.create(&name("gone"), GOOD, Role::User, None)
        .await
        .unwrap();
    auth.set_disabled(&name("gone"), true).await.unwrap();
    for (user, password) in [
        ("ana", b"wrong password".as_slice()),
        ("nobody", GOOD),
        ("gone", GOOD),
        ("no name!", GOOD),
    ] {
        let before = auth.hashes();
        let outcome = auth.ask(user, password, HERE).await;
        assert!(
            matches!(outcome, Err(Error::Unauthenticated)),
            "{user}: {outcome:?}"
        );
        assert_eq!(auth.hashes() - before, 1, "{user}");
        assert!(auth.is_wrong(user, password), "{user}");
    }
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_at_once() {
    let auth = auth_with_ana().await;
    auth.ask("ana", GOOD, HERE).await.unwrap();
    auth.set_password(&name("ana"), b"green teapot 88")
        .await
        .unwrap();
    assert!(!auth.is_known(&header("ana", GOOD)));
    assert!(matches!(
        auth.ask("ana", GOOD, HERE).await,
        Err(Error::Unauthenticated)
    ));
    auth.ask("ana", b"green teapot 88", HERE).await.unwrap();
    auth.set_password(&name("ana"), GOOD).await.unwrap();
    auth.ask("ana", GOOD, HERE)
        .await
        .expect("its wrong verdict was about an older password");
    assert!(matches!(
        auth.ask("ana", b"green teapot 88", HERE).await,
        Err(Error::Unauthenticated)
    ));
}

#[tokio::test]
async fn disabling_and_enabling_act_at_once() {
    let auth = auth_with_ana().await;
    auth.ask("ana", GOOD, HERE).await.unwrap();
    auth.set_disabled(&name("ana"), true).await.unwrap();
    assert!(!auth.is_known(&header("ana", GOOD)));
    assert!(matches!(
        auth.ask("ana", GOOD, HERE).await,
        Err(Error::Unauthenticated)
    ));
    assert!(auth.account(&name("ana")).unwrap().disabled);
    auth.set_disabled(&name("ana"), false).await.unwrap();
    auth.ask("ana", GOOD, HERE).await.unwrap();
}

#[tokio::test]
async fn a_removed_account_is_gone_and_a_new_one_of_its_name_owes_it_nothing() {
    let auth = auth_with_ana().await;
    auth.ask("ana", GOOD, HERE).await.unwrap();
    auth.remove(&name("ana")).await.unwrap();
    assert!(!auth.is_known(&header("ana", GOOD)));
    assert!(matches!(
        auth.ask("ana", GOOD, HERE).await,
        Err(Error::Unauthenticated)
    ));
    assert!(auth.account(&name("ana")).is_none() && auth.list().is_empty());
    auth.create(&name("ana"), b"green teapot 88", Role::Admin, None)
        .await
        .unwrap();
    assert!(matches!(
        auth.ask("ana", GOOD, HERE).await,
        Err(Error::Unauthenticated)
    ));
    assert_eq!(
        auth.ask("ana", b"green teapot 88", HERE)
            .await
            .unwrap()
            .role,
        Role::Admin
    );
}

/// Starts a sign-in and returns while its hash is under way; holding the hasher's spare memory keeps it there.
async fn begin_sign_in(
    auth: &Arc<Auth>,
    password: &'static [u8],
) -> tokio::task::JoinHandle<Result<Arc<Identity>>> {
    let hashes = auth.hashes();
    let at = Arc::clone(auth);
    let sign_in = tokio::spawn(async move { at.sign_in(b"h", "ana", password, HERE).await });
    while auth.hashes() == hashes {
        tokio::task::yield_now().await;
    }
    sign_in
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "keeps the hash from ending")]
async fn a_password_changed_during_the_hash_lets_nobody_in() {
    let auth = auth_with_ana().await;
    let held = auth.hasher.spare.lock();
    let sign_in = begin_sign_in(&auth, GOOD).await;
    auth.accounts
        .change(&name("ana"), |record| record.generation += 1)
        .await
        .unwrap();
    drop(held);
    assert!(matches!(
        sign_in.await.unwrap(),
        Err(Error::Unauthenticated)
    ));
    assert!(
        !auth.is_known(b"h"),
        "the verdict is about a generation that is over"
    );
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "keeps the hash from ending")]
async fn a_client_that_leaves_has_still_made_its_try() {
    let auth = auth_with_ana().await;
    let held = auth.hasher.spare.lock();
    let sign_in = begin_sign_in(&auth, b"wrong password").await;
    sign_in.abort();
    assert!(sign_in.await.unwrap_err().is_cancelled());
    drop(held);
    while !auth.is_wrong("ana", b"wrong password") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn beyond_the_budget_a_connection_that_had_signed_in_goes_on_and_nothing_else_is_told() {
    let auth = auth_with_ana().await;
    let active = over_a_connection();
    let other = over_a_connection();
    auth.ask_over(&active, "ana", GOOD).await.unwrap();
    for n in 0..5 {
        let guess = format!("guess number {n}");
        assert!(
            matches!(
                auth.ask_over(&other, "ana", guess.as_bytes()).await,
                Err(Error::Unauthenticated)
            ),
            "{n}"
        );
    }
    let before = auth.hashes();
    for said in [b"guess number 5".as_slice(), b"guess number 4", GOOD] {
        assert!(matches!(
            auth.ask_over(&other, "ana", said).await,
            Err(Error::Throttled { .. })
        ));
        assert!(matches!(
            auth.ask("ana", said, HERE).await,
            Err(Error::Throttled { .. })
        ));
    }
    auth.ask_over(&active, "ana", GOOD)
        .await
        .expect("signed in before");
    assert_eq!(auth.hashes(), before, "none of these is hashed");
    auth.ask("ana", GOOD, ELSEWHERE).await.unwrap();
    // What a proxy sends over the same connection for others ends what it stands for.
    assert!(matches!(
        auth.ask_over(&active, "ana", b"guess number 6").await,
        Err(Error::Throttled { .. })
    ));
    assert!(matches!(
        auth.ask_over(&active, "ana", GOOD).await,
        Err(Error::Throttled { .. })
    ));
}

#[tokio::test]
async fn an_active_connection_goes_on_also_when_its_verdict_is_over_until_its_password_is() {
    let auth = auth_with_ana().await;
    let active = over_a_connection();
    auth.ask_over(&active, "ana", GOOD).await.unwrap();
    for n in 0..5 {
        let _ = auth
            .ask("ana", format!("guess number {n}").as_bytes(), HERE)
            .await;
    }
    auth.door.forget_verdicts();
    auth.ask_over(&active, "ana", GOOD).await.unwrap();
    auth.set_password(&name("ana"), b"green teapot 88")
        .await
        .unwrap();
    assert!(matches!(
        auth.ask_over(&active, "ana", GOOD).await,
        Err(Error::Unauthenticated)
    ));
    assert!(matches!(
        auth.ask_over(&active, "ana", GOOD).await,
        Err(Error::Throttled { .. })
    ));
}

#[tokio::test]
async fn what_one_network_has_shown_is_told_to_no_other() {
    let auth = auth_with_ana().await;
    auth.ask("ana", GOOD, HERE).await.unwrap();
    assert!(
        auth.cached_identity(&header("ana", GOOD), &RequestOrigin::from(ELSEWHERE))
            .is_none()
    );
    for n in 0..5 {
        let _ = auth
            .ask("ana", format!("guess number {n}").as_bytes(), ELSEWHERE)
            .await;
    }
    assert!(matches!(
        auth.ask("ana", GOOD, ELSEWHERE).await,
        Err(Error::Throttled { .. })
    ));
    auth.ask("ana", GOOD, HERE).await.unwrap();
    let wrong = auth.ask("ana", b"guess number 0", HERE).await;
    assert!(matches!(wrong, Err(Error::Unauthenticated)));
}

#[tokio::test]
async fn of_many_guesses_at_once_five_are_judged_and_so_many_a_network_has_for_all_names() {
    for (account, most) in [(Some("ana"), 5), (None, 10)] {
        let auth = auth_with_ana().await;
        let before = auth.hashes();
        let tries: Vec<_> = (0..40)
            .map(|n| {
                let auth = Arc::clone(&auth);
                let user = account.map_or_else(|| format!("ana{n}"), str::to_owned);
                tokio::spawn(async move {
                    let password = format!("guess number {n}");
                    if n % 2 == 0 {
                        auth.ask(&user, password.as_bytes(), HERE).await.map(drop)
                    } else {
                        let attempted = PasswordCredentials {
                            user: &user,
                            password: password.as_bytes(),
                        };
                        auth.begin_session(
                            attempted,
                            None,
                            SessionClient {
                                address: HERE,
                                agent: "",
                            },
                        )
                        .await
                        .map(drop)
                    }
                })
            })
            .collect();
        for one in tries {
            let outcome = one.await.unwrap();
            let expected = matches!(
                outcome,
                Err(Error::Unauthenticated | Error::Throttled { .. } | Error::Busy { .. })
            );
            assert!(expected, "{outcome:?}");
        }
        assert!(
            auth.hashes() - before <= most,
            "{} were judged",
            auth.hashes() - before
        );
    }
}

#[tokio::test]
async fn a_client_with_an_old_password_locks_nobody_out() {
    let auth = auth_with_ana().await;
    for round in 0..20 {
        // Any change voids the wrong verdict, so that each round is hashed again.
        auth.set_quota(&name("ana"), Some(round)).await.unwrap();
        assert!(
            matches!(
                auth.ask("ana", b"last year's one", HERE).await,
                Err(Error::Unauthenticated)
            ),
            "{round}"
        );
    }
    auth.ask("ana", GOOD, HERE).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_hashed_once_at_each_kind_of_door_in_whatever_form_it_comes() {
    let auth = auth_with_ana().await;
    let before = auth.hashes();
    for user in ["ana", "CORP\\ana", "ana@host", "ANA"] {
        let login = PasswordCredentials {
            user,
            password: b"last year's one",
        };
        let begun = auth
            .begin_session(
                login,
                None,
                SessionClient {
                    address: HERE,
                    agent: "",
                },
            )
            .await;
        assert!(matches!(begun, Err(Error::Unauthenticated)));
        assert!(matches!(
            auth.ask(user, b"last year's one", HERE).await,
            Err(Error::Unauthenticated)
        ));
    }
    assert_eq!(auth.hashes() - before, 2);
}

#[tokio::test]
async fn signing_in_renews_an_old_hash() {
    let store = MemoryStore::new();
    let record = AccountRecord::new(old_hash(GOOD), Role::User, None, 0).unwrap();
    store
        .commit(Batch::new().put("account/ana", crate::state::table::encode(&record).unwrap()))
        .await
        .unwrap();
    let auth = Auth::open(store.clone(), &AccountsConfig::default())
        .await
        .unwrap();
    auth.ask("ana", GOOD, HERE).await.unwrap();
    assert!(
        store
            .get("account/ana")
            .await
            .unwrap()
            .unwrap()
            .contains("m=19456,t=2,p=1")
    );
    assert!(
        auth.is_known(&header("ana", GOOD)),
        "the same password, the same generation"
    );
    let again = Auth::open(store, &AccountsConfig::default()).await.unwrap();
    again.ask("ana", GOOD, HERE).await.unwrap();
}

#[tokio::test]
async fn refused_accounts_leave_nothing_behind() {
    let auth = auth_with_ana().await;
    let make = |text: &str, password: &'static [u8]| {
        let auth = Arc::clone(&auth);
        let name = name(text);
        async move { auth.create(&name, password, Role::User, None).await }
    };
    assert!(matches!(make("ana", GOOD).await, Err(Error::Exists)));
    assert!(matches!(make("a-n-a", GOOD).await, Err(Error::BadName(_))));
    assert!(matches!(
        make("ben", b"short").await,
        Err(Error::BadRequest(_))
    ));
    assert!(matches!(
        auth.set_password(&name("ana"), b"password123").await,
        Err(Error::BadRequest(_))
    ));
    assert!(matches!(
        auth.set_password(&name("ben"), GOOD).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(
        auth.set_disabled(&name("ben"), true).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(
        auth.set_quota(&name("ben"), None).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(
        auth.remove(&name("ben")).await,
        Err(Error::NotFound)
    ));
    let names: Vec<_> = auth
        .list()
        .into_iter()
        .map(|account| account.name)
        .collect();
    assert_eq!(names, [name("ana")]);
    auth.ask("ana", GOOD, HERE).await.unwrap();
}

#[tokio::test]
async fn a_new_quota_is_seen_by_the_next_request_without_a_hash() {
    let auth = auth_with_ana().await;
    auth.ask("ana", GOOD, HERE).await.unwrap();
    let before = auth.hashes();
    auth.set_quota(&name("ana"), None).await.unwrap();
    assert_eq!(auth.ask("ana", GOOD, HERE).await.unwrap().quota, None);
    assert_eq!(auth.hashes(), before);
}
