//! Records of groups: many members, crashes between the steps, what older versions wrote.

use super::super::{GranteeRef, Groups};
use super::*;
use crate::state::memory::MemoryStore;

fn named(range: std::ops::Range<usize>) -> BTreeSet<AccountName> {
    range
        .map(|n| AccountName::parse(&format!("account-number-{n:06}")).unwrap())
        .collect()
}

fn crew() -> GroupName {
    GroupName::parse("crew").unwrap()
}

/// The records of a store, and bytes of the largest.
async fn records(store: &Arc<MemoryStore>) -> (usize, usize) {
    let all = store.scan("group", "", usize::MAX).await.unwrap();
    (
        all.len(),
        all.iter()
            .map(|(key, text)| key.len() + text.len())
            .max()
            .unwrap_or(0),
    )
}

#[tokio::test]
async fn a_hundred_thousand_belong_to_a_group_in_records_of_bounded_size() {
    let store = MemoryStore::new();
    let groups = Groups::open(store.clone()).await.unwrap();
    let all = named(0..100_000);
    groups.create(&crew(), all.clone()).await.unwrap();
    let (count, largest) = records(&store).await;
    assert!(
        largest < 32 << 10 && count < 400,
        "{count} records, the largest of {largest}"
    );
    let read = async || {
        Groups::open(store.clone())
            .await
            .unwrap()
            .find(&crew())
            .unwrap()
            .members
            .clone()
    };
    assert!(read().await == all);
    let joined = AccountName::parse("zoe").unwrap();
    let before = store.scan("group", "", usize::MAX).await.unwrap();
    groups
        .add(
            &crew(),
            groups.find(&crew()).unwrap().id.as_deref(),
            &joined,
        )
        .await
        .unwrap();
    let after = store.scan("group", "", usize::MAX).await.unwrap();
    let changed = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after)
        .count();
    assert_eq!((after.len(), changed), (before.len(), 1));
    assert!(read().await.contains(&joined));
    groups.remove_account(&joined).await.unwrap();
    assert!(read().await == all);
    groups
        .change_members(&crew(), |members| *members = named(50_000..150_000))
        .await
        .unwrap();
    assert!(read().await == named(50_000..150_000));
    groups
        .change_members(&crew(), |members| *members = named(0..3))
        .await
        .unwrap();
    assert!(read().await == named(0..3) && records(&store).await.0 == 1);
    groups
        .change_members(&crew(), |members| *members = named(0..5000))
        .await
        .unwrap();
    groups.remove(&crew()).await.unwrap();
    assert_eq!(records(&store).await.0, 0);
}

#[tokio::test]
async fn a_part_that_grows_is_divided() {
    let store = MemoryStore::new();
    let groups = Groups::open(store.clone()).await.unwrap();
    for step in 1..=20 {
        let all = named(0..step * 1000);
        match step {
            1 => groups.create(&crew(), all.clone()).await.unwrap(),
            _ => groups
                .change_members(&crew(), |members| *members = all.clone())
                .await
                .unwrap(),
        };
        let (_, largest) = records(&store).await;
        assert!(largest < 32 << 10, "{largest}");
        assert!(
            Groups::open(store.clone())
                .await
                .unwrap()
                .find(&crew())
                .unwrap()
                .members
                == all
        );
    }
}

#[tokio::test]
async fn a_group_of_before_there_were_parts_is_read_and_grows() {
    let store = MemoryStore::new();
    let old = r#"{"v":1,"members":["ana","ben"],"created":7}"#;
    store
        .commit(Batch::new().put("group/crew", old))
        .await
        .unwrap();
    let groups = Groups::open(store.clone()).await.unwrap();
    assert_eq!(groups.find(&crew()).unwrap().members.len(), 2);
    groups
        .change_members(&crew(), |members| *members = named(0..5000))
        .await
        .unwrap();
    let again = Groups::open(store.clone())
        .await
        .unwrap()
        .find(&crew())
        .unwrap();
    assert!(again.members == named(0..5000) && again.created == 7);
}

#[tokio::test]
async fn what_named_a_group_of_before_groups_had_ids_names_no_other() {
    let store = MemoryStore::new();
    let old = r#"{"v":2,"members":["ana"],"created":7}"#;
    store
        .commit(Batch::new().put("group/crew", old))
        .await
        .unwrap();
    let groups = Groups::open(store.clone()).await.unwrap();
    let ana = AccountName::parse("ana").unwrap();
    let record: GranteeRef = serde_json::from_str(r#"{"to":{"group":"crew"}}"#).unwrap();
    assert!(groups.includes(&record, &ana) && groups.exists(&record));
    groups.remove(&crew()).await.unwrap();
    groups.create(&crew(), [ana.clone()].into()).await.unwrap();
    assert!(!groups.includes(&record, &ana) && !groups.exists(&record));
    let again = Groups::open(store).await.unwrap();
    let new = groups.bind(&record.named).unwrap();
    assert!(again.includes(&new, &ana) && again.bind(&record.named) == Some(new));
}

#[tokio::test]
async fn what_a_crash_leaves_of_a_change_does_not_count_and_goes() {
    let store = MemoryStore::new();
    let groups = Groups::open(store.clone()).await.unwrap();
    groups.create(&crew(), named(0..5000)).await.unwrap();
    let before = records(&store).await.0;
    let parts = GroupPartition {
        generation: 2,
        count: 20,
    };
    groups
        .records
        .write(&crew(), parts, &named(5000..9000))
        .await
        .unwrap();
    assert_eq!(records(&store).await.0, before + 20);
    let again = Groups::open(store.clone())
        .await
        .unwrap()
        .find(&crew())
        .unwrap();
    assert!(again.members == named(0..5000));
    assert_eq!(records(&store).await.0, before);
}

/// Two nodes, of which neither has seen what the other did when it decides.
#[tokio::test]
async fn two_handles_lose_no_member_of_a_small_or_a_large_group() {
    for (before, more) in [(3, 1), (3, 3000), (5000, 1), (5000, 9000)] {
        let store = MemoryStore::new();
        let here = Groups::open(store.clone()).await.unwrap();
        let there = Groups::open(store.clone()).await.unwrap();
        let made = here.create(&crew(), named(0..before)).await.unwrap();
        assert!(matches!(
            there.create(&crew(), named(0..1)).await,
            Err(Error::Exists)
        ));
        let more = named(100_000..100_000 + more);
        let all: BTreeSet<_> = made.members.union(&more).cloned().collect();
        here.change_members(&crew(), |members| members.clone_from(&all))
            .await
            .unwrap();
        let zoe = AccountName::parse("zoe").unwrap();
        there.add(&crew(), made.id.as_deref(), &zoe).await.unwrap();
        let ben = AccountName::parse("ben").unwrap();
        here.add(&crew(), made.id.as_deref(), &ben).await.unwrap();
        let after: BTreeSet<_> = all.into_iter().chain([zoe, ben]).collect();
        let followed = async {
            while here.find(&crew()).unwrap().members != after {
                tokio::task::yield_now().await;
            }
        };
        let limit = std::time::Duration::from_secs(30);
        tokio::time::timeout(limit, followed).await.unwrap();
        let again = Groups::open(store.clone()).await.unwrap();
        assert!(again.find(&crew()).unwrap().members == after, "{before}");
        there.remove(&crew()).await.unwrap();
        let added = here
            .add(
                &crew(),
                made.id.as_deref(),
                &named(0..1).pop_first().unwrap(),
            )
            .await;
        assert!(matches!(added, Err(Error::NotFound)));
        assert_eq!(records(&store).await.0, 0);
    }
}
