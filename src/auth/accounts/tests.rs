//! Accounts in memory and in the store stay the same, whatever fails.

use super::*;
use crate::auth::Profile;
use crate::model::Role;
use crate::state::memory::MemoryStore;

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

#[tokio::test]
async fn a_change_made_elsewhere_is_a_conflict_once_and_then_seen() {
    let store = MemoryStore::new();
    let here = Accounts::open(store.clone()).await.unwrap();
    let there = Accounts::open(store.clone()).await.unwrap();
    here.insert(&name("ana"), record(), Batch::new())
        .await
        .unwrap();
    assert!(matches!(
        there.insert(&name("ana"), record(), Batch::new()).await,
        Err(Error::Conflict)
    ));
    there
        .change(&name("ana"), |r| r.quota = Some(1))
        .await
        .unwrap();
    assert!(matches!(
        here.change(&name("ana"), |r| r.disabled = true).await,
        Err(Error::Conflict)
    ));
    assert_eq!(here.view(&name("ana")).unwrap().quota, Some(1));
    here.change(&name("ana"), |r| r.disabled = true)
        .await
        .unwrap();
    here.remove(&name("ana"), Batch::new()).await.unwrap();
    assert!(matches!(
        there.remove(&name("ana"), Batch::new()).await,
        Err(Error::Conflict)
    ));
    assert!(matches!(
        there.remove(&name("ana"), Batch::new()).await,
        Err(Error::NotFound)
    ));
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
