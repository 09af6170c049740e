//! Shares through two handles on one store, as two nodes would have them.

use super::*;
use crate::model::{RelPath, Rights};
use crate::state::memory::MemoryStore;
use crate::storage::FileId;

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn new_share(path: &str, node: FileId) -> NewShare {
    NewShare {
        path: RelPath::parse(path).unwrap(),
        node,
        folder: true,
        to: name("ben").into(),
        rights: Rights::View,
        expires: None,
        note: String::new(),
    }
}

async fn pair(store: &Arc<MemoryStore>) -> [Shares; 2] {
    let groups = Arc::new(Groups::open(store.clone()).await.unwrap());
    [
        Shares::open(store.clone(), groups.clone()).await.unwrap(),
        Shares::open(store.clone(), groups).await.unwrap(),
    ]
}

#[tokio::test]
async fn two_handles_make_no_share_twice_and_lose_no_change() {
    let store = MemoryStore::new();
    let [here, there] = pair(&store).await;
    let file = FileId::new().unwrap();
    let ana = name("ana");
    let share = here.create(&ana, new_share("x", file)).await.unwrap();
    assert!(
        there.find(&share.id).is_none(),
        "it has not been followed yet"
    );
    let again = there.create(&ana, new_share("x", file)).await;
    assert!(matches!(again, Err(Error::Exists)));
    let seen = |shares: &Shares| shares.find(&share.id);
    let note = |share: &mut Share| share.note = "by here".into();
    here.change(seen, note).await.unwrap();
    there.rename(&name("ben"), &share.id, "mine").await.unwrap();
    let after = there.find(&share.id).unwrap();
    assert_eq!(
        (after.note.as_str(), after.name_for(&name("ben"))),
        ("by here", "mine")
    );
}

#[tokio::test]
async fn two_handles_make_no_more_shares_than_an_account_may_have() {
    let store = MemoryStore::new();
    let [here, there] = pair(&store).await;
    let ana = name("ana");
    for n in 0..MAX_SHARES {
        let new = new_share(&n.to_string(), FileId::new().unwrap());
        [&here, &there][n % 2].create(&ana, new).await.unwrap();
    }
    for shares in [&here, &there] {
        let one_more = shares
            .create(&ana, new_share("y", FileId::new().unwrap()))
            .await;
        assert!(matches!(one_more, Err(Error::LimitReached(_))));
    }
}

/// Two shares of one name, each of which is looked at through another handle first.
#[tokio::test]
async fn two_handles_give_no_two_shares_one_name() {
    let store = MemoryStore::new();
    let [here, there] = pair(&store).await;
    let folder = VPath::parse("in").unwrap();
    for (shares, path) in [(&here, "a/docs"), (&there, "b/docs")] {
        let new = new_share(path, FileId::new().unwrap());
        shares.create(&name("ana"), new).await.unwrap();
        let (shown, names) = shares
            .assign_names(&name("ben"), &folder, "Shared")
            .await
            .unwrap();
        assert_eq!(shown.len(), names.len());
    }
    let (shown, names) = there
        .assign_names(&name("ben"), &folder, "Shared")
        .await
        .unwrap();
    assert_eq!(shown.len(), 2);
    assert_eq!(
        BTreeSet::from_iter(&names),
        BTreeSet::from([&"docs".to_owned(), &"docs (1)".to_owned()])
    );
}

#[tokio::test]
async fn a_share_follows_its_files_also_while_its_record_changes() {
    let store = MemoryStore::new();
    let [here, _] = pair(&store).await;
    let ana = name("ana");
    let file = FileId::new().unwrap();
    let path = |text: &str| RelPath::parse(text).unwrap();
    let share = here.create(&ana, new_share("x/y", file)).await.unwrap();
    assert!(here.follow(&ana, &path("x"), &path("z")).is_empty());
    // The owner changes it between the move and the storing of the path.
    let note = |share: &mut Share| share.note = "new".into();
    let changed = here.change(|all| all.find(&share.id), note).await.unwrap();
    assert_eq!(changed.path(), path("z/y"));
    here.save_moved(&ana, &path("z"), &[]).await;
    let [again, _] = pair(&store).await;
    let stored = again.find(&share.id).unwrap();
    assert_eq!((stored.path(), stored.note.as_str()), (path("z/y"), "new"));
    assert_eq!(here.revoke_within(&ana, &path("z")).await.len(), 1);
    assert!(here.list().is_empty());
    let [again, _] = pair(&store).await;
    assert!(again.list().is_empty());
}
