//! Accounts in memory and in the store stay the same, whatever fails.

use super::*;
use crate::auth::Profile;
use crate::model::Role;
use crate::state::memory::MemoryStore;
use crate::state::table;

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn record() -> AccountRecord {
    AccountRecord::new("$argon2id$".into(), Role::User, Some(7), 1000).unwrap()
}

#[tokio::test]
async fn accounts_are_found_again_after_a_restart() {
    let store = MemoryStore::new();
    let accounts = Accounts::open(store.clone()).await.unwrap();
    accounts
        .insert(&name("ana"), record(), Batch::new())
        .await
        .unwrap();
    accounts
        .insert(&name("ben"), record(), Batch::new())
        .await
        .unwrap();
    accounts
        .change(&name("ben"), |r| r.quota = None)
        .await
        .unwrap();
    accounts.remove(&name("ana"), Batch::new()).await.unwrap();
    let again = Accounts::open(store).await.unwrap().list();
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].name.as_str(), again[0].quota, again[0].created),
        ("ben", None, 1000)
    );
}

#[tokio::test]
async fn names_that_look_alike_are_refused() {
    let accounts = Accounts::open(MemoryStore::new()).await.unwrap();
    accounts
        .insert(&name("bill.o"), record(), Batch::new())
        .await
        .unwrap();
    assert!(matches!(
        accounts
            .insert(&name("BILL.O"), record(), Batch::new())
            .await,
        Err(Error::Exists)
    ));
    for alike in ["billo", "bi11.0", "b-i-l-l-o", "bill_o", "blll.o"] {
        assert!(
            matches!(
                accounts.insert(&name(alike), record(), Batch::new()).await,
                Err(Error::BadName(_))
            ),
            "{alike}"
        );
    }
    for other in ["bill", "billo2", "bil.o"] {
        assert!(
            accounts
                .insert(&name(other), record(), Batch::new())
                .await
                .is_ok(),
            "{other}"
        );
    }
}

/// Two nodes, of which neither has seen what the other did when it decides.
#[tokio::test]
async fn a_change_made_elsewhere_is_seen_before_the_next_and_lost_by_none() {
    let store = MemoryStore::new();
    let here = Accounts::open(store.clone()).await.unwrap();
    let there = Accounts::open(store.clone()).await.unwrap();
    let insert = async |accounts: &Arc<Accounts>, text| {
        accounts.insert(&name(text), record(), Batch::new()).await
    };
    insert(&here, "ana").await.unwrap();
    assert!(matches!(insert(&there, "ana").await, Err(Error::Exists)));
    there
        .change(&name("ana"), |r| r.quota = Some(1))
        .await
        .unwrap();
    here.change(&name("ana"), |r| r.disabled = true)
        .await
        .unwrap();
    let view = here.view(&name("ana")).unwrap();
    assert_eq!((view.quota, view.disabled), (Some(1), true));
    here.remove(&name("ana"), Batch::new()).await.unwrap();
    assert!(matches!(
        there.remove(&name("ana"), Batch::new()).await,
        Err(Error::NotFound)
    ));
    assert!(there.find(&name("ana")).is_none());
}

#[tokio::test]
async fn two_handles_make_no_two_names_that_look_alike() {
    for round in 0..20 {
        let store = MemoryStore::new();
        store.slow_down();
        let here = Accounts::open(store.clone()).await.unwrap();
        let there = Accounts::open(store.clone()).await.unwrap();
        let (bill, alike) = (name("bill"), name("b1ll"));
        let (one, two) = tokio::join!(
            here.insert(&bill, record(), Batch::new()),
            there.insert(&alike, record(), Batch::new())
        );
        assert_eq!(
            usize::from(one.is_ok()) + usize::from(two.is_ok()),
            1,
            "{round}"
        );
        for outcome in [one, two] {
            assert!(matches!(outcome, Ok(_) | Err(Error::BadName(_))));
        }
    }
}

#[tokio::test]
async fn two_handles_leave_an_administrator() {
    let admin = || AccountRecord {
        role: Role::Admin,
        ..record()
    };
    for removes in [false, true] {
        let store = MemoryStore::new();
        store.slow_down();
        let here = Accounts::open(store.clone()).await.unwrap();
        for text in ["ana", "ben"] {
            here.insert(&name(text), admin(), Batch::new())
                .await
                .unwrap();
        }
        let there = Accounts::open(store.clone()).await.unwrap();
        let lose = async |accounts: &Arc<Accounts>, text| {
            if removes {
                accounts.remove(&name(text), Batch::new()).await
            } else {
                accounts.change(&name(text), |r| r.role = Role::User).await
            }
        };
        let (one, two) = tokio::join!(lose(&here, "ana"), lose(&there, "ben"));
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
        assert!(matches!(one.and(two), Err(Error::Forbidden(_))));
        let again = Accounts::open(store).await.unwrap();
        let left = again
            .list()
            .into_iter()
            .filter(|account| account.role == Role::Admin);
        assert_eq!(left.count(), 1);
    }
}

#[tokio::test]
async fn what_another_handle_changes_is_followed() {
    let store = MemoryStore::new();
    let here = Accounts::open(store.clone()).await.unwrap();
    let there = Accounts::open(store.clone()).await.unwrap();
    here.insert(&name("ana"), record(), Batch::new())
        .await
        .unwrap();
    let until = async |holds: &dyn Fn() -> bool| {
        let seen = async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), seen)
            .await
            .unwrap();
    };
    until(&|| there.find(&name("ana")).is_some()).await;
    let account = there.find(&name("ana")).unwrap();
    let identity = account.identity_by_password(account.generation().unwrap());
    let access = identity.unwrap().access.clone();
    access.check().unwrap();
    let changes = there.changes();
    here.change(&name("ana"), AccountRecord::end_generation)
        .await
        .unwrap();
    until(&|| access.check().is_err()).await;
    assert!(there.changes() > changes);
    here.remove(&name("ana"), Batch::new()).await.unwrap();
    until(&|| there.find(&name("ana")).is_none()).await;
    assert!(account.generation().is_none());
}

#[tokio::test]
async fn a_failed_commit_changes_nothing() {
    let store = MemoryStore::new();
    let accounts = Accounts::open(store.clone()).await.unwrap();
    accounts
        .insert(&name("ana"), record(), Batch::new())
        .await
        .unwrap();
    store.break_disk();
    assert!(matches!(
        accounts.change(&name("ana"), |r| r.disabled = true).await,
        Err(Error::ReadOnly)
    ));
    assert!(matches!(
        accounts.insert(&name("ben"), record(), Batch::new()).await,
        Err(Error::ReadOnly)
    ));
    assert!(!accounts.view(&name("ana")).unwrap().disabled);
    assert!(accounts.find(&name("ben")).is_none());
}

#[tokio::test]
async fn damaged_and_newer_records_stop_the_start() {
    let newer = table::encode(&record())
        .unwrap()
        .replace("\"v\":3", "\"v\":4");
    for (text, why) in [
        ("{", "cannot be read"),
        ("{\"v\":1}", "cannot be read"),
        (&newer, "a newer Sarang"),
    ] {
        let store = MemoryStore::new();
        store
            .commit(Batch::new().put("account/ana", text))
            .await
            .unwrap();
        let Err(Error::Corrupt(sentence)) = Accounts::open(store).await else {
            panic!("{text}")
        };
        assert!(
            sentence.contains("account/ana") && sentence.contains(why),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn records_of_the_first_version_are_read_and_written_anew() {
    let store = MemoryStore::new();
    let old = r#"{"v":1,"role":"admin","disabled":false,"quota":7,"created":1000,"password":"$argon2id$","generation":5}"#;
    store
        .commit(Batch::new().put("account/ana", old))
        .await
        .unwrap();
    let accounts = Accounts::open(store.clone()).await.unwrap();
    let account = accounts.find(&name("ana")).unwrap();
    assert_eq!(account.view().quota, Some(7));
    assert!(account.identity_at(5).is_some() && account.profile() == Profile::default());
    accounts
        .change(&name("ana"), |r| r.email = Some("ana@x".into()))
        .await
        .unwrap();
    let again = Accounts::open(store)
        .await
        .unwrap()
        .find(&name("ana"))
        .unwrap();
    assert_eq!(again.profile().email.as_deref(), Some("ana@x"));
    assert!(again.identity_at(5).is_some());
}

#[tokio::test]
async fn more_accounts_than_a_page_are_all_read() {
    const PAGE: usize = 1000;
    let store = MemoryStore::new();
    let text = table::encode(&record()).unwrap();
    let batch = (0..=PAGE).fold(Batch::new(), |batch, n| {
        batch.put(format!("account/u{n}"), &text)
    });
    store.commit(batch).await.unwrap();
    assert_eq!(Accounts::open(store).await.unwrap().list().len(), PAGE + 1);
}

/// What lay in the home of an earlier holder is on a disk that does not answer.
#[derive(Debug)]
struct HungCleanup;

#[async_trait::async_trait]
impl AccountCleanup for HungCleanup {
    async fn clean_up(&self, name: &AccountName) -> Result<()> {
        match name.as_str() {
            "ana" => std::future::pending().await,
            "eve" => Err(Error::NoSpace),
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_under_a_new_account_keeps_no_other_from_changing() {
    let accounts = Accounts::open(MemoryStore::new()).await.unwrap();
    accounts.set_cleanup(Arc::new(HungCleanup));
    let hanging = accounts.clone();
    tokio::spawn(async move { hanging.insert(&name("ana"), record(), Batch::new()).await });
    tokio::task::yield_now().await;
    let rest = async {
        accounts
            .insert(&name("ben"), record(), Batch::new())
            .await
            .unwrap();
        accounts
            .change(&name("ben"), |r| r.quota = None)
            .await
            .unwrap();
        assert!(matches!(
            accounts.insert(&name("ana"), record(), Batch::new()).await,
            Err(Error::Exists)
        ));
        for _ in 0..2 {
            assert!(matches!(
                accounts.insert(&name("eve"), record(), Batch::new()).await,
                Err(Error::NoSpace)
            ));
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(1), rest)
        .await
        .expect("nobody waits for ana");
}
