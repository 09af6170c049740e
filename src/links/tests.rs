//! Links through two handles on one store, as two nodes would have them.

use super::*;
use crate::state::memory::MemoryStore;

fn record(max_downloads: Option<u64>) -> LinkRecord {
    LinkRecord {
        owner: AccountName::parse("ana").unwrap(),
        path: "x".into(),
        target: Target::new(true, FileId::new().unwrap()),
        rights: Rights::View,
        token: String::new(),
        password: None,
        generation: 1,
        expires: None,
        max_downloads,
        downloads: 0,
        created: 0,
        last_used: None,
        note: String::new(),
    }
}

#[tokio::test]
async fn two_handles_count_downloads_up_to_the_limit_and_no_further() {
    let store = MemoryStore::new();
    let here = Links::open(store.clone()).await.unwrap();
    let (link, token) = here.create(record(Some(3))).await.unwrap();
    let there = Links::open(store.clone()).await.unwrap();
    let mut allowed = 0;
    for n in 0..10 {
        // Neither has seen the other's last count when it decides.
        let outcome = [&here, &there][n % 2].count_download(&link).await;
        allowed += usize::from(outcome.is_ok());
    }
    assert_eq!(allowed, 3);
    assert!(here.find_by_token(&token).is_none() && there.find_by_token(&token).is_none());
}

#[tokio::test]
async fn two_handles_lose_no_edit_and_make_no_more_links_than_may_be() {
    let store = MemoryStore::new();
    let here = Links::open(store.clone()).await.unwrap();
    let (link, _) = here.create(record(None)).await.unwrap();
    let there = Links::open(store.clone()).await.unwrap();
    let owner = &link.record.owner;
    let note = |record: &mut LinkRecord| {
        record.note = "mine".into();
        Ok(())
    };
    here.change(owner, &link.id, note).await.unwrap();
    there.count_download(&link).await.unwrap();
    let lower = |record: &mut LinkRecord| {
        record.rights = Rights::Drop;
        Ok(())
    };
    let now = here.change(owner, &link.id, lower).await.unwrap().record;
    assert_eq!(
        (now.note.as_str(), now.downloads, now.rights),
        ("mine", 1, Rights::Drop)
    );
    for n in 1..MAX_LINKS {
        [&here, &there][n % 2].create(record(None)).await.unwrap();
    }
    for links in [&here, &there] {
        let one_more = links.create(record(None)).await;
        assert!(matches!(one_more, Err(Error::LimitReached(_))));
    }
    here.remove(owner, &link.id).await.unwrap();
    assert!(matches!(
        there.remove(owner, &link.id).await,
        Err(Error::NotFound)
    ));
}

#[tokio::test]
async fn who_gave_a_password_to_one_handle_gave_it_to_the_other() {
    let store = MemoryStore::new();
    let [here, there] = [
        Links::open(store.clone()).await.unwrap(),
        Links::open(store.clone()).await.unwrap(),
    ];
    let (link, _) = here.create(record(None)).await.unwrap();
    let pass = here.passes.issue(&link).unwrap();
    assert!(there.passes.is_valid(&link, &pass));
    let elsewhere = Links::open(MemoryStore::new()).await.unwrap();
    assert!(!elsewhere.passes.is_valid(&link, &pass));
}
