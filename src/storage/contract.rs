//! What every [`Tree`] promises, as one suite: `contract!(make)` runs it on the trees that `make` opens.
//! `make` gives a fresh, empty tree, or two handles on it, and whatever must live as long as it.

pub use super::digest_contract::*;
pub use super::history_contract::*;
pub use super::resumable_contract::*;
pub use super::space_contract::*;
use super::{
    CopyDepth, DeadProp, Expect, InitialContent, Listing, Node, PropChange, Reader, SpaceRequest,
    Tree, WriteOptions,
};
use crate::model::time::{unix_millis, unix_seconds};
use crate::model::{AccountName, Error, RelPath, Result};
use bytes::Bytes;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A name that breaks careless code.
pub const HOSTILE: &str = "fi le$%<>é.txt";

/// A tree as the tests of an engine have it.
pub type TestTree = Arc<dyn Tree>;

/// Two handles on the tree under test. They take turns with each call, so that every promise goes through both.
#[derive(Clone)]
pub struct TwoHandles {
    handles: [TestTree; 2],
    calls: Arc<AtomicUsize>,
}

impl From<[TestTree; 2]> for TwoHandles {
    fn from(handles: [TestTree; 2]) -> Self {
        let calls = Arc::default();
        Self { handles, calls }
    }
}

impl From<TestTree> for TwoHandles {
    fn from(tree: TestTree) -> Self {
        [tree.clone(), tree].into()
    }
}

impl Deref for TwoHandles {
    type Target = dyn Tree;

    fn deref(&self) -> &Self::Target {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.handles[call % 2].as_ref()
    }
}

/// Makes one test of each promise; but of those that `$without` names, which are not kept where the trees lie.
macro_rules! contract {
    ($make:path) => {
        $crate::storage::contract::contract! { $make, without || [""; 0] }
    };
    ($make:path, without $without:expr) => {
        $crate::storage::contract::contract! { @ $make, $without,
            files_are_written_read_and_replaced, hostile_names_are_kept, large_files_arrive_whole,
            an_upload_dropped_leaves_no_trace, an_upload_cut_short_changes_nothing, uploads_need_a_folder_and_no_folder_there,
            uploads_begin_with_the_present_content, a_change_meanwhile_is_not_lost, times_are_kept_and_tags_differ,
            conditions_are_judged, taken_names_are_passed_over, one_of_many_first_uploads_wins, readers_keep_their_content,
            folders_are_made_and_listed, big_folders_are_listed_whole, folders_are_listed_in_order_from_any_name, moving_keeps_content_and_properties,
            moving_over_something_replaces_it, sources_and_targets_do_not_overlap, spellings_are_one_entry,
            a_spelling_can_change, copies_are_whole, copies_can_be_shallow, workshops_are_seen_by_nobody, deleting_takes_everything,
            properties_are_kept, properties_too_large_are_refused, properties_change_with_the_time,
            usage_counts_bytes, missing_things_are_missing,
            the_trash_is_listed_newest_first, the_trash_can_be_looked_at, the_trash_gives_back, the_trash_is_emptied, overwriting_leaves_versions,
            versions_follow_their_file, reverting_keeps_the_present, no_version_is_lost_between_writers, the_past_expires, the_oldest_of_the_past_goes_first,
            what_is_held_does_not_expire, parts_of_the_trash_come_back, a_rewind_makes_a_folder_as_it_was,
            the_limit_is_exact_for_uploads, the_limit_is_exact_for_copies_and_the_past, what_shrinks_is_let_through,
            many_uploads_at_once_keep_the_limit, deleted_folders_make_room_at_once, the_books_are_right_after_anything,
            an_upload_laid_aside_goes_on, an_upload_laid_aside_outlives_a_refusal, an_upload_refused_has_nothing_of_what_it_met, uploads_laid_aside_are_discarded,
            promised_room_is_kept, hashes_are_known_and_follow, a_scrub_learns_what_is_not_known,
            a_save_that_changes_nothing_makes_no_version,
        }
    };
    (@ $make:path, $without:expr, $($promise:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            if ($without)().contains(&stringify!($promise)) {
                return;
            }
            let (tree, _keep) = $make();
            crate::storage::contract::$promise(tree.into()).await;
        })+
    };
}
pub(crate) use contract;

/// A path.
pub fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

/// A change without conditions.
pub fn commit() -> WriteOptions {
    WriteOptions::by(AccountName::parse("ada").unwrap())
}

/// Uploads a whole file.
pub async fn put(tree: &impl Deref<Target = dyn Tree>, at: &str, content: &[u8]) -> Node {
    try_put(tree, at, content, commit()).await.unwrap().node
}

pub(super) async fn try_put(
    tree: &impl Deref<Target = dyn Tree>,
    at: &str,
    content: &[u8],
    commit: WriteOptions,
) -> Result<super::PutOutcome> {
    let mut upload = tree
        .begin_upload(&path(at), InitialContent::Empty, SpaceRequest::default())
        .await?;
    upload.write(Bytes::copy_from_slice(content)).await?;
    upload.commit(commit).await
}

/// Reads a whole file.
pub async fn content(tree: &impl Deref<Target = dyn Tree>, at: &str) -> Vec<u8> {
    content_at(tree, &path(at)).await
}

pub(super) async fn content_at(tree: &impl Deref<Target = dyn Tree>, at: &RelPath) -> Vec<u8> {
    read_all(&*tree.open(at).await.unwrap()).await
}

async fn read_all(reader: &dyn Reader) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let part = reader.read_at(all.len() as u64, 300_000).await.unwrap();
        assert!(part.len() <= 300_000);
        if part.is_empty() {
            return all;
        }
        all.extend_from_slice(&part);
    }
}

/// The names in a folder, sorted.
pub async fn names(tree: &impl Deref<Target = dyn Tree>, at: &str) -> Vec<String> {
    names_at(tree, &path(at)).await
}

pub(super) async fn names_at(tree: &impl Deref<Target = dyn Tree>, at: &RelPath) -> Vec<String> {
    let mut listing = tree.list(at, false).await.unwrap();
    let mut names: Vec<String> = pages(&mut *listing)
        .await
        .into_iter()
        .flatten()
        .map(|entry| entry.name)
        .collect();
    names.sort();
    names
}

async fn pages(listing: &mut dyn Listing) -> Vec<Vec<super::DirEntry>> {
    let mut pages = Vec::new();
    loop {
        let page = listing.next_page().await.unwrap();
        if page.is_empty() {
            return pages;
        }
        pages.push(page);
    }
}

async fn mkdir(tree: &TwoHandles, at: &str) {
    tree.mkdir(&path(at), commit()).await.unwrap();
}

fn prop(name: &str, text: &str) -> DeadProp {
    DeadProp {
        ns: "urn:x".into(),
        name: name.into(),
        xml: format!("<{name} xmlns='urn:x'>{text}</{name}>"),
    }
}

async fn set_prop(tree: &TwoHandles, at: &str, value: DeadProp) {
    tree.set_props(&path(at), vec![PropChange::Set(value)], commit())
        .await
        .unwrap();
}

async fn exists(tree: &TwoHandles, at: &str) -> bool {
    match tree.stat(&path(at)).await {
        Ok(_) => true,
        Err(Error::NotFound) => false,
        Err(e) => panic!("{e:?}"),
    }
}

macro_rules! fails {
    ($result:expr, $error:pat) => {
        match $result {
            Err($error) => {}
            Err(other) => panic!("failed otherwise: {other:?}"),
            Ok(_) => panic!("did not fail"),
        }
    };
}

/// PUT, GET, PUT again.
pub async fn files_are_written_read_and_replaced(tree: TwoHandles) {
    let first = try_put(&tree, "a", b"one", commit()).await.unwrap();
    assert!(first.created());
    assert_eq!((first.node.len, first.node.folder), (3, false));
    assert_eq!(tree.stat(&path("a")).await.unwrap(), first.node);
    assert_eq!(tree.open(&path("a")).await.unwrap().node(), &first.node);
    let second = try_put(&tree, "a", b"three", commit()).await.unwrap();
    assert!(!second.created());
    assert_eq!(content(&tree, "a").await, b"three");
    assert_eq!(tree.stat(&path("a")).await.unwrap().len, 5);
    put(&tree, "a", b"").await;
    assert_eq!(content(&tree, "a").await, b"");
    assert_eq!(names(&tree, "").await, ["a"]);
}

/// Every name the policy allows works everywhere.
pub async fn hostile_names_are_kept(tree: TwoHandles) {
    for name in [
        HOSTILE,
        "%41",
        "a\\b",
        " lead",
        "-rf",
        "*",
        "x\u{200d}y",
        "🦆",
        &"é".repeat(127),
    ] {
        let below = format!("{name}/{name}");
        mkdir(&tree, name).await;
        put(&tree, &below, name.as_bytes()).await;
        assert_eq!(names(&tree, "").await, [name]);
        assert_eq!(names(&tree, name).await, [name]);
        assert_eq!(content(&tree, &below).await, name.as_bytes());
        tree.rename(&path(name), &path("moved"), commit())
            .await
            .unwrap();
        tree.copy(&path("moved"), &path(name), CopyDepth::Infinity, commit())
            .await
            .unwrap();
        assert_eq!(content(&tree, &below).await, name.as_bytes());
        tree.delete(&path("moved"), commit()).await.unwrap();
        tree.delete(&path(name), commit()).await.unwrap();
        assert_eq!(names(&tree, "").await, Vec::<String>::new());
    }
}

/// Many chunks of odd sizes, read back at odd places.
pub async fn large_files_arrive_whole(tree: TwoHandles) {
    let whole: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    let mut upload = tree
        .begin_upload(
            &path("big"),
            InitialContent::Empty,
            SpaceRequest::of(whole.len() as u64),
        )
        .await
        .unwrap();
    for chunk in whole.chunks(77_777) {
        upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    assert_eq!(upload.len(), whole.len() as u64);
    let put = upload
        .commit(WriteOptions {
            len: Some(whole.len() as u64),
            ..commit()
        })
        .await
        .unwrap();
    assert_eq!(put.node.len, whole.len() as u64);
    assert!(content(&tree, "big").await == whole);
    let reader = tree.open(&path("big")).await.unwrap();
    for (offset, len) in [
        (0, 1),
        (2_999_999, 10),
        (65_535, 4096),
        (1_000_000, 100_000),
    ] {
        let part = reader.read_at(offset, len).await.unwrap();
        let offset = usize::try_from(offset).unwrap();
        assert!(!part.is_empty() && part.len() <= len);
        assert_eq!(part, whole[offset..offset + part.len()]);
    }
    assert!(reader.read_at(3_000_001, 10).await.unwrap().is_empty());
    assert!(
        reader
            .read_at(u64::from(u32::MAX), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let mut tiny = tree
        .begin_upload(
            &path("tiny"),
            InitialContent::Empty,
            SpaceRequest::default(),
        )
        .await
        .unwrap();
    for byte in &whole[..5000] {
        tiny.write(Bytes::copy_from_slice(&[*byte])).await.unwrap();
    }
    tiny.seek(10).await.unwrap();
    tiny.write(Bytes::from_static(b"seek")).await.unwrap();
    assert_eq!(tiny.len(), 5000);
    fails!(tiny.seek(5001).await, Error::BadRequest(_));
    tiny.commit(commit()).await.unwrap();
    let mut expected = whole[..5000].to_vec();
    expected[10..14].copy_from_slice(b"seek");
    assert!(content(&tree, "tiny").await == expected);
}

/// A9: whether little or much has come, and whatever is being written.
pub async fn an_upload_dropped_leaves_no_trace(tree: TwoHandles) {
    put(&tree, "a", b"old").await;
    for size in [10, 100_000, 2_000_000] {
        for at in ["a", "new"] {
            let mut upload = tree
                .begin_upload(&path(at), InitialContent::Empty, SpaceRequest::default())
                .await
                .unwrap();
            upload.write(Bytes::from(vec![7; size])).await.unwrap();
            upload.write(Bytes::from(vec![7; size])).await.unwrap();
            drop(upload);
        }
    }
    assert_eq!(names(&tree, "").await, ["a"]);
    assert_eq!(content(&tree, "a").await, b"old");
}

/// Another count of bytes than announced.
pub async fn an_upload_cut_short_changes_nothing(tree: TwoHandles) {
    let before = put(&tree, "a", b"old").await;
    for (size, announced) in [(3, 4), (4, 3), (1_500_000, 1_500_001), (0, 1)] {
        for at in ["a", "new"] {
            let mut upload = tree
                .begin_upload(
                    &path(at),
                    InitialContent::Empty,
                    SpaceRequest::of(announced),
                )
                .await
                .unwrap();
            upload.write(Bytes::from(vec![7; size])).await.unwrap();
            fails!(
                upload
                    .commit(WriteOptions {
                        len: Some(announced),
                        ..commit()
                    })
                    .await,
                Error::Truncated
            );
        }
    }
    assert_eq!(names(&tree, "").await, ["a"]);
    assert_eq!(tree.stat(&path("a")).await.unwrap(), before);
}

/// Refused at once, and at the commit when it has become so meanwhile.
pub async fn uploads_need_a_folder_and_no_folder_there(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    put(&tree, "f", b"x").await;
    for start in [InitialContent::Empty, InitialContent::Present] {
        fails!(
            tree.begin_upload(&path("no/x"), start, SpaceRequest::default())
                .await,
            Error::ParentMissing
        );
        fails!(
            tree.begin_upload(&path("f/x"), start, SpaceRequest::default())
                .await,
            Error::ParentMissing
        );
        fails!(
            tree.begin_upload(&path("d"), start, SpaceRequest::default())
                .await,
            Error::IsFolder
        );
        fails!(
            tree.begin_upload(&RelPath::root(), start, SpaceRequest::default())
                .await,
            Error::IsFolder
        );
        fails!(
            tree.begin_upload(&path("huge"), start, SpaceRequest::of(1 << 60))
                .await,
            Error::NoSpace
        );
    }
    let below = tree
        .begin_upload(&path("d/x"), InitialContent::Empty, SpaceRequest::default())
        .await
        .unwrap();
    let beside = tree
        .begin_upload(&path("e"), InitialContent::Empty, SpaceRequest::default())
        .await
        .unwrap();
    tree.delete(&path("d"), commit()).await.unwrap();
    mkdir(&tree, "e").await;
    fails!(below.commit(commit()).await, Error::ParentMissing);
    fails!(beside.commit(commit()).await, Error::IsFolder);
    assert_eq!(names(&tree, "").await, ["e", "f"]);
}

/// Partial updates overwrite and append.
pub async fn uploads_begin_with_the_present_content(tree: TwoHandles) {
    put(&tree, "a", b"0123456789").await;
    let mut upload = tree
        .begin_upload(&path("a"), InitialContent::Present, SpaceRequest::default())
        .await
        .unwrap();
    assert_eq!(upload.len(), 10);
    upload.seek(3).await.unwrap();
    upload.write(Bytes::from_static(b"xyz")).await.unwrap();
    upload.seek(10).await.unwrap();
    upload.write(Bytes::from_static(b"!")).await.unwrap();
    fails!(upload.seek(12).await, Error::BadRequest(_));
    assert_eq!(content(&tree, "a").await, b"0123456789");
    let put = upload.commit(commit()).await.unwrap();
    assert_eq!((put.created(), put.node.len), (false, 11));
    assert_eq!(content(&tree, "a").await, b"012xyz6789!");
    let mut fresh = tree
        .begin_upload(
            &path("new"),
            InitialContent::Present,
            SpaceRequest::default(),
        )
        .await
        .unwrap();
    assert!(fresh.is_empty());
    fresh.write(Bytes::from_static(b"n")).await.unwrap();
    assert!(fresh.commit(commit()).await.unwrap().created());
}

/// An update of parts does not bring back the rest as it was before somebody else's upload.
pub async fn a_change_meanwhile_is_not_lost(tree: TwoHandles) {
    put(&tree, "a", b"0123456789").await;
    let mut upload = tree
        .begin_upload(&path("a"), InitialContent::Present, SpaceRequest::default())
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"x")).await.unwrap();
    put(&tree, "a", b"theirs").await;
    fails!(upload.commit(commit()).await, Error::Conflict);
    assert_eq!(content(&tree, "a").await, b"theirs");
}

/// Times are set as asked, to the second where that is what was asked for and else to the millisecond; tags never repeat.
pub async fn times_are_kept_and_tags_differ(tree: TwoHandles) {
    let mut tags = Vec::new();
    for time in [
        UNIX_EPOCH + Duration::from_secs(1_000_000_000),
        UNIX_EPOCH - Duration::from_secs(2),
    ] {
        for _ in 0..10 {
            let node = try_put(
                &tree,
                "a",
                b"x",
                WriteOptions {
                    modified: Some(time),
                    ..commit()
                },
            )
            .await
            .unwrap()
            .node;
            assert_eq!(unix_seconds(node.modified), unix_seconds(time));
            assert_eq!(tree.stat(&path("a")).await.unwrap().modified, node.modified);
            tags.push(node.etag.to_string());
        }
    }
    let time = UNIX_EPOCH - Duration::from_millis(1500);
    let node = try_put(
        &tree,
        "a",
        b"x",
        WriteOptions {
            modified: Some(time),
            ..commit()
        },
    )
    .await
    .unwrap()
    .node;
    assert_eq!(unix_millis(node.modified), unix_millis(time));
    let before = unix_millis(SystemTime::now());
    for _ in 0..50 {
        let node = put(&tree, "a", b"x").await;
        assert!((before..=unix_millis(SystemTime::now())).contains(&unix_millis(node.modified)));
        tags.push(node.etag.to_string());
    }
    let count = tags.len();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), count);
}

/// Conditions hold at the commit, for every kind of change.
pub async fn conditions_are_judged(tree: TwoHandles) {
    let old = put(&tree, "a", b"old").await.etag.to_string();
    let with = |expect: Expect| commit().expecting(expect);
    let other = vec!["\"other\"".to_owned()];
    let refused = [
        Expect::Absent,
        Expect::Etag(other.clone()),
        Expect::NotEtag(vec![old.clone()]),
    ];
    for expect in refused {
        fails!(
            try_put(&tree, "a", b"new", with(expect.clone())).await,
            Error::PreconditionFailed
        );
        fails!(
            tree.delete(&path("a"), with(expect.clone())).await,
            Error::PreconditionFailed
        );
        fails!(
            tree.rename(&path("a"), &path("b"), with(expect.clone()))
                .await,
            Error::PreconditionFailed
        );
        fails!(
            tree.copy(
                &path("a"),
                &path("b"),
                CopyDepth::Infinity,
                with(expect.clone())
            )
            .await,
            Error::PreconditionFailed
        );
        fails!(
            tree.set_props(&path("a"), vec![], with(expect)).await,
            Error::PreconditionFailed
        );
    }
    fails!(
        try_put(&tree, "b", b"new", with(Expect::Exists)).await,
        Error::PreconditionFailed
    );
    fails!(
        try_put(&tree, "b", b"new", with(Expect::Etag(vec![old.clone()]))).await,
        Error::PreconditionFailed
    );
    fails!(
        tree.mkdir(&path("b"), with(Expect::Exists)).await,
        Error::PreconditionFailed
    );
    assert_eq!(names(&tree, "").await, ["a"]);
    assert_eq!(content(&tree, "a").await, b"old");
    try_put(
        &tree,
        "a",
        b"new",
        with(Expect::Etag(vec![other[0].clone(), old])),
    )
    .await
    .unwrap();
    try_put(&tree, "b", b"new", with(Expect::Absent))
        .await
        .unwrap();
    try_put(&tree, "b", b"more", with(Expect::NotEtag(other)))
        .await
        .unwrap();
    tree.delete(&path("b"), with(Expect::Exists)).await.unwrap();
    assert_eq!(names(&tree, "").await, ["a"]);
}

/// If-None-Match: * from a hundred clients at once.
pub async fn one_of_many_first_uploads_wins(tree: TwoHandles) {
    let puts = (0..100).map(|n| {
        let tree = tree.clone();
        tokio::spawn(async move {
            let first = commit().expecting(Expect::Absent);
            let spelling = if n % 2 == 0 {
                "caf\u{e9}"
            } else {
                "cafe\u{301}"
            };
            (
                n,
                try_put(&tree, spelling, format!("{n}").as_bytes(), first).await,
            )
        })
    });
    let mut winners = Vec::new();
    for task in futures_util::future::join_all(puts.collect::<Vec<_>>()).await {
        match task.unwrap() {
            (n, Ok(put)) => {
                assert!(put.created());
                winners.push(n);
            }
            (_, Err(e)) => assert!(matches!(e, Error::PreconditionFailed), "{e:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(names(&tree, "").await.len(), 1);
    assert_eq!(
        content(&tree, "caf\u{e9}").await,
        winners[0].to_string().as_bytes()
    );
}

/// A reader is not disturbed by what happens to the name.
pub async fn readers_keep_their_content(tree: TwoHandles) {
    let old: Vec<u8> = vec![1; 700_000];
    put(&tree, "a", &old).await;
    let readers = [
        tree.open(&path("a")).await.unwrap(),
        tree.open(&path("a")).await.unwrap(),
    ];
    put(&tree, "a", &vec![2; 900_000]).await;
    assert!(read_all(&*readers[0]).await == old);
    tree.delete(&path("a"), commit()).await.unwrap();
    assert!(read_all(&*readers[1]).await == old);
    assert_eq!(readers[1].node().len, 700_000);
}

/// MKCOL and PROPFIND.
pub async fn folders_are_made_and_listed(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    fails!(tree.mkdir(&path("d"), commit()).await, Error::Exists);
    fails!(tree.mkdir(&RelPath::root(), commit()).await, Error::Exists);
    fails!(
        tree.mkdir(&path("no/d"), commit()).await,
        Error::ParentMissing
    );
    put(&tree, "d/f", b"abc").await;
    fails!(tree.mkdir(&path("d/f"), commit()).await, Error::Exists);
    fails!(
        tree.mkdir(&path("d/f/g"), commit()).await,
        Error::ParentMissing
    );
    mkdir(&tree, "d/e").await;
    set_prop(&tree, "d/f", prop("p", "1")).await;
    for with_props in [false, true] {
        let mut listing = tree.list(&path("d"), with_props).await.unwrap();
        let mut entries: Vec<_> = pages(&mut *listing).await.into_iter().flatten().collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (
                entries[0].name.as_str(),
                entries[0].node.folder,
                entries[0].node.len
            ),
            ("e", true, 0)
        );
        assert_eq!(entries[1].node, tree.stat(&path("d/f")).await.unwrap());
        assert!(entries[0].props.is_empty());
        assert_eq!(
            entries[1].props,
            if with_props {
                vec![prop("p", "1")]
            } else {
                vec![]
            }
        );
    }
    fails!(tree.list(&path("d/f"), false).await, Error::NotFolder);
    fails!(tree.list(&path("d/f/x"), false).await, Error::NotFound);
    fails!(tree.list(&path("d/no"), false).await, Error::NotFound);
    fails!(tree.open(&path("d")).await, Error::IsFolder);
    fails!(tree.open(&path("d/no")).await, Error::NotFound);
    assert!(tree.stat(&RelPath::root()).await.unwrap().folder);
    assert!(names(&tree, "d/e").await.is_empty());
}

/// More names than a page holds, each once.
pub async fn big_folders_are_listed_whole(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    for n in 0..700 {
        mkdir(&tree, &format!("d/a rather long name of a folder {n:04}")).await;
    }
    let mut listing = tree.list(&path("d"), false).await.unwrap();
    let pages = pages(&mut *listing).await;
    assert!(
        pages.len() > 1 && pages.iter().all(|page| page.len() < 600),
        "{}",
        pages.len()
    );
    let mut all: Vec<_> = pages
        .into_iter()
        .flatten()
        .map(|entry| entry.name)
        .collect();
    all.sort();
    assert_eq!(
        all,
        (0..700)
            .map(|n| format!("a rather long name of a folder {n:04}"))
            .collect::<Vec<_>>()
    );
}

/// The pages of the API.
pub async fn folders_are_listed_in_order_from_any_name(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    mkdir(&tree, "d/b").await;
    for name in ["é", "a", "c", "B2", "z"] {
        put(&tree, &format!("d/{name}"), b"abc").await;
    }
    let page = async |after: Option<&str>, most| {
        let mut listing = tree
            .list_after(&path("d"), after.map(str::to_owned), most)
            .await
            .unwrap();
        pages(&mut *listing)
            .await
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    let names = |page: &[super::DirEntry]| {
        page.iter()
            .map(|entry| entry.name.clone())
            .collect::<Vec<_>>()
    };
    let all = page(None, 10).await;
    assert_eq!(names(&all), ["B2", "a", "b", "c", "z", "é"]);
    assert_eq!(all[1].node, tree.stat(&path("d/a")).await.unwrap());
    assert!(all[2].node.folder);
    assert_eq!(names(&page(None, 2).await), ["B2", "a"]);
    tree.delete(&path("d/c"), commit()).await.unwrap();
    assert_eq!(names(&page(Some("a"), 2).await), ["b", "z"]);
    assert_eq!(names(&page(Some("bb"), 10).await), ["z", "é"]);
    assert!(page(Some("é"), 10).await.is_empty());
    put(&tree, "d/aa", b"").await;
    assert_eq!(
        names(&page(None, 3).await),
        ["B2", "a", "aa"],
        "who begins sees what is there now"
    );
    fails!(
        tree.list_after(&path("d/a"), None, 1).await,
        Error::NotFolder
    );
    fails!(
        tree.list_after(&path("d/no"), None, 1).await,
        Error::NotFound
    );
}

/// MOVE.
pub async fn moving_keeps_content_and_properties(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    mkdir(&tree, "e").await;
    let node = put(&tree, "d/f", b"abc").await;
    set_prop(&tree, "d/f", prop("p", "1")).await;
    set_prop(&tree, "d", prop("q", "2")).await;
    assert!(
        tree.rename(&path("d"), &path("e/d2"), commit())
            .await
            .unwrap()
            .created()
    );
    assert!(
        tree.rename(&path("e/d2/f"), &path(HOSTILE), commit())
            .await
            .unwrap()
            .created()
    );
    assert_eq!(tree.stat(&path(HOSTILE)).await.unwrap(), node);
    assert_eq!(tree.props(&path(HOSTILE)).await.unwrap(), [prop("p", "1")]);
    assert_eq!(tree.props(&path("e/d2")).await.unwrap(), [prop("q", "2")]);
    assert_eq!(names(&tree, "").await, ["e", HOSTILE]);
    fails!(
        tree.rename(&path("no"), &path("x"), commit()).await,
        Error::NotFound
    );
    fails!(
        tree.rename(&path("no/no"), &path("x"), commit()).await,
        Error::NotFound
    );
    fails!(
        tree.rename(&path("e"), &path("no/x"), commit()).await,
        Error::ParentMissing
    );
    fails!(
        tree.rename(&RelPath::root(), &path("x"), commit()).await,
        Error::Forbidden(_)
    );
    fails!(
        tree.rename(&path("e"), &RelPath::root(), commit()).await,
        Error::Forbidden(_)
    );
}

/// All four pairs of file and folder, with and without leave to replace.
pub async fn moving_over_something_replaces_it(tree: TwoHandles) {
    for (from_folder, to_folder) in [(false, false), (false, true), (true, false), (true, true)] {
        for (at, folder) in [("from", from_folder), ("to", to_folder)] {
            if folder {
                mkdir(&tree, at).await;
                put(&tree, &format!("{at}/in {at}"), at.as_bytes()).await;
            } else {
                put(&tree, at, at.as_bytes()).await;
            }
        }
        let keep = WriteOptions {
            overwrite: false,
            ..commit()
        };
        fails!(
            tree.rename(&path("from"), &path("to"), keep.clone()).await,
            Error::PreconditionFailed
        );
        fails!(
            tree.copy(&path("from"), &path("to"), CopyDepth::Infinity, keep)
                .await,
            Error::PreconditionFailed
        );
        assert_eq!(tree.stat(&path("to")).await.unwrap().folder, to_folder);
        assert!(
            !tree
                .copy(&path("from"), &path("to"), CopyDepth::Infinity, commit())
                .await
                .unwrap()
                .created()
        );
        check_replaced(&tree, from_folder).await;
        assert_eq!(names(&tree, "").await, ["from", "to"]);
        assert!(
            !tree
                .rename(&path("from"), &path("to"), commit())
                .await
                .unwrap()
                .created()
        );
        check_replaced(&tree, from_folder).await;
        assert_eq!(names(&tree, "").await, ["to"]);
        tree.delete(&path("to"), commit()).await.unwrap();
    }
}

async fn check_replaced(tree: &TwoHandles, folder: bool) {
    if folder {
        assert_eq!(names(tree, "to").await, ["in from"]);
        assert_eq!(content(tree, "to/in from").await, b"from");
    } else {
        assert_eq!(content(tree, "to").await, b"from");
    }
}

/// A5, A6: refused before anything is touched.
pub async fn sources_and_targets_do_not_overlap(tree: TwoHandles) {
    mkdir(&tree, "a").await;
    mkdir(&tree, "a/b").await;
    put(&tree, "a/b/f", b"f").await;
    put(&tree, "a/sibling", b"s").await;
    put(&tree, "ab", b"apart").await;
    for (from, to) in [
        ("a/b", "a"),
        ("a", "a/b"),
        ("a", "a/b/c"),
        ("a", "a"),
        ("a/b/f", "a"),
        ("ab", "ab"),
        ("a", ""),
    ] {
        fails!(
            tree.rename(&path(from), &path(to), commit()).await,
            Error::Forbidden(_)
        );
        for reach in [CopyDepth::Infinity, CopyDepth::Zero] {
            fails!(
                tree.copy(&path(from), &path(to), reach, commit()).await,
                Error::Forbidden(_)
            );
        }
        assert_eq!(content(&tree, "a/b/f").await, b"f");
        assert_eq!(content(&tree, "a/sibling").await, b"s");
    }
    fails!(
        tree.copy(&RelPath::root(), &path("x"), CopyDepth::Infinity, commit())
            .await,
        Error::Forbidden(_)
    );
    tree.rename(&path("ab"), &path("a/ab"), commit())
        .await
        .unwrap();
    assert_eq!(names(&tree, "a").await, ["ab", "b", "sibling"]);
}

/// A19: NFC and NFD find the same entry, and never make two.
pub async fn spellings_are_one_entry(tree: TwoHandles) {
    let nfc = "caf\u{e9}";
    let nfd = "cafe\u{301}";
    for (made, asked) in [(nfc, nfd), (nfd, nfc)] {
        mkdir(&tree, made).await;
        let made_file = format!("{made}/{made}");
        let asked_file = format!("{asked}/{asked}");
        put(&tree, &made_file, b"one").await;
        assert_eq!(content(&tree, &asked_file).await, b"one");
        assert_eq!(
            tree.stored_path(&path(&asked_file)).await.unwrap(),
            path(&made_file)
        );
        assert_eq!(
            tree.stored_path(&path(&made_file)).await.unwrap(),
            path(&made_file)
        );
        let missing = path(&format!("{asked}/x"));
        assert_eq!(tree.stored_path(&missing).await.unwrap(), missing);
        assert!(
            !try_put(&tree, &asked_file, b"two", commit())
                .await
                .unwrap()
                .created()
        );
        fails!(tree.mkdir(&path(asked), commit()).await, Error::Exists);
        assert_eq!(names(&tree, "").await, [made]);
        assert_eq!(names(&tree, asked).await, [made]);
        set_prop(&tree, &asked_file, prop("p", "1")).await;
        assert_eq!(
            tree.props(&path(&made_file)).await.unwrap(),
            [prop("p", "1")]
        );
        fails!(
            tree.rename(&path(made), &path(&format!("{asked}/in")), commit())
                .await,
            Error::Forbidden(_)
        );
        put(&tree, "other", b"three").await;
        assert!(
            !tree
                .rename(&path("other"), &path(&asked_file), commit())
                .await
                .unwrap()
                .created()
        );
        assert_eq!(content(&tree, &made_file).await, b"three");
        tree.delete(&path(asked), commit()).await.unwrap();
        assert!(!exists(&tree, made).await);
    }
}

/// From NFD to NFC, and from small to capital letters, without anything going to the trash.
pub async fn a_spelling_can_change(tree: TwoHandles) {
    let nfc = "caf\u{e9}";
    let nfd = "cafe\u{301}";
    put(&tree, nfd, b"x").await;
    for (from, to) in [(nfd, nfc), (nfc, nfd), (nfd, "CAFE"), ("CAFE", "Cafe")] {
        assert!(
            tree.rename(
                &path(from),
                &path(to),
                WriteOptions {
                    overwrite: false,
                    ..commit()
                }
            )
            .await
            .unwrap()
            .created()
        );
        assert_eq!(names(&tree, "").await, [to]);
        assert_eq!(content(&tree, to).await, b"x");
    }
}

/// COPY of files and trees.
pub async fn copies_are_whole(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    mkdir(&tree, "d/e").await;
    mkdir(&tree, "d/e/empty").await;
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 253) as u8).collect();
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let original = try_put(
        &tree,
        "d/e/f",
        &large,
        WriteOptions {
            modified: Some(time),
            ..commit()
        },
    )
    .await
    .unwrap()
    .node;
    put(&tree, "d/none", b"").await;
    for (at, value) in [("d", "1"), ("d/e", "2"), ("d/e/f", "3")] {
        set_prop(&tree, at, prop("p", value)).await;
    }
    assert!(
        tree.copy(&path("d"), &path("c"), CopyDepth::Infinity, commit())
            .await
            .unwrap()
            .created()
    );
    assert_eq!(names(&tree, "c").await, ["e", "none"]);
    assert_eq!(names(&tree, "c/e").await, ["empty", "f"]);
    assert!(content(&tree, "c/e/f").await == large);
    let copy = tree.stat(&path("c/e/f")).await.unwrap();
    assert_eq!(unix_millis(copy.modified), unix_millis(original.modified));
    assert_ne!(copy.etag.to_string(), original.etag.to_string());
    assert_ne!(copy.etag, original.etag);
    for (at, value) in [("c", "1"), ("c/e", "2"), ("c/e/f", "3")] {
        assert_eq!(tree.props(&path(at)).await.unwrap(), [prop("p", value)]);
    }
    put(&tree, "c/e/f", b"changed").await;
    assert!(content(&tree, "d/e/f").await == large);
    assert!(
        tree.copy(&path("d/e/f"), &path(HOSTILE), CopyDepth::Zero, commit())
            .await
            .unwrap()
            .created()
    );
    assert!(content(&tree, HOSTILE).await == large);
    assert_eq!(tree.props(&path(HOSTILE)).await.unwrap(), [prop("p", "3")]);
    fails!(
        tree.copy(&path("no"), &path("x"), CopyDepth::Infinity, commit())
            .await,
        Error::NotFound
    );
    fails!(
        tree.copy(&path("d"), &path("no/x"), CopyDepth::Infinity, commit())
            .await,
        Error::ParentMissing
    );
}

/// Depth: 0.
pub async fn copies_can_be_shallow(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    put(&tree, "d/f", b"x").await;
    set_prop(&tree, "d", prop("p", "1")).await;
    assert!(
        tree.copy(&path("d"), &path("c"), CopyDepth::Zero, commit())
            .await
            .unwrap()
            .created()
    );
    assert!(names(&tree, "c").await.is_empty());
    assert_eq!(tree.props(&path("c")).await.unwrap(), [prop("p", "1")]);
    put(&tree, "c/member", b"y").await;
    set_prop(&tree, "c", prop("own", "2")).await;
    assert!(
        !tree
            .copy(&path("d"), &path("c"), CopyDepth::Zero, commit())
            .await
            .unwrap()
            .created()
    );
    assert_eq!(names(&tree, "c").await, ["member"]);
    assert_eq!(tree.props(&path("c")).await.unwrap(), [prop("p", "1")]);
}

/// An upload gets the first of several names that is free, and nothing of what stands at the others.
pub async fn taken_names_are_passed_over(tree: TwoHandles) {
    put(&tree, "a", b"a").await;
    tree.set_props(&path("a"), vec![PropChange::Set(prop("p", "1"))], commit())
        .await
        .unwrap();
    tree.mkdir(&path("b"), commit()).await.unwrap();
    let begun = async |len: usize| {
        let mut upload = tree
            .begin_upload(
                &path("fresh"),
                InitialContent::Empty,
                SpaceRequest::default(),
            )
            .await
            .unwrap();
        upload.write(Bytes::from(vec![b'x'; len])).await.unwrap();
        upload
    };
    let absent = || commit().expecting(Expect::Absent);
    let ways = |names: &[&str]| {
        names
            .iter()
            .map(|name| (path(name), absent()))
            .collect::<Vec<_>>()
    };
    for (len, free) in [(3, "c"), (300_000, "d")] {
        let put = begun(len)
            .await
            .commit_first_free(ways(&["a", "b", free]))
            .await
            .unwrap();
        assert!(put.created());
        assert_eq!(content(&tree, free).await.len(), len);
        assert_eq!(tree.props(&path(free)).await.unwrap(), []);
    }
    fails!(
        begun(3).await.commit_first_free(ways(&["b", "a"])).await,
        Error::PreconditionFailed
    );
    fails!(
        begun(3)
            .await
            .commit_first_free(ways(&["none/a", "e"]))
            .await,
        Error::ParentMissing
    );
    assert_eq!(names(&tree, "").await, ["a", "b", "c", "d"]);
    assert_eq!(content(&tree, "a").await, b"a");
}

/// What is built aside is seen when it is moved into place, and not before.
pub async fn workshops_are_seen_by_nobody(tree: TwoHandles) {
    tree.mkdir(&path("old"), commit()).await.unwrap();
    put(&tree, "old/kept", b"x").await;
    let staging_dir = tree.create_staging_dir().await.unwrap();
    let other = tree.create_staging_dir().await.unwrap();
    assert_ne!(staging_dir, other);
    let within = |rest: &str| path(rest).beneath(&staging_dir);
    tree.mkdir(&within("new"), commit()).await.unwrap();
    tree.mkdir(&within("new/ünter"), commit()).await.unwrap();
    for name in ["new/a", &format!("new/ünter/{HOSTILE}"), "left"] {
        let mut upload = tree
            .begin_upload(
                &within(name),
                InitialContent::Empty,
                SpaceRequest::default(),
            )
            .await
            .unwrap();
        upload.write(Bytes::from_static(b"built")).await.unwrap();
        upload.commit(commit()).await.unwrap();
    }
    assert_eq!(names(&tree, "").await, ["old"]);
    let over = WriteOptions {
        overwrite: true,
        ..commit()
    };
    assert!(
        !tree
            .rename(&within("new"), &path("old"), over)
            .await
            .unwrap()
            .created()
    );
    assert_eq!(names(&tree, "old").await, ["a", "ünter"]);
    assert_eq!(
        content(&tree, &format!("old/ünter/{HOSTILE}")).await,
        b"built"
    );
    tree.remove_staging_dir(&staging_dir).await.unwrap();
    fails!(tree.remove_staging_dir(&staging_dir).await, Error::NotFound);
    fails!(tree.remove_staging_dir(&path("old")).await, Error::NotFound);
    fails!(tree.stat(&within("left")).await, Error::NotFound);
    assert_eq!(tree.usage().await.unwrap().used, 10);
    tree.remove_staging_dir(&other).await.unwrap();
}

/// DELETE of files and trees; the name is free again.
pub async fn deleting_takes_everything(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    mkdir(&tree, "d/e").await;
    put(&tree, "d/e/f", b"x").await;
    put(&tree, "g", b"x").await;
    tree.delete(&path("d"), commit()).await.unwrap();
    tree.delete(&path("g"), commit()).await.unwrap();
    assert!(names(&tree, "").await.is_empty());
    fails!(tree.delete(&path("d"), commit()).await, Error::NotFound);
    fails!(tree.delete(&path("d/e"), commit()).await, Error::NotFound);
    fails!(
        tree.delete(&RelPath::root(), commit()).await,
        Error::Forbidden(_)
    );
    for _ in 0..3 {
        mkdir(&tree, "d").await;
        tree.delete(&path("d"), commit()).await.unwrap();
    }
    assert!(!exists(&tree, "d").await);
}

/// PROPPATCH: in order, and through what happens to the file.
pub async fn properties_are_kept(tree: TwoHandles) {
    put(&tree, "a", b"x").await;
    let remove = |name: &str| PropChange::Remove {
        ns: "urn:x".into(),
        name: name.into(),
    };
    let changes = vec![
        PropChange::Set(prop("p", "1")),
        PropChange::Set(prop("q", "é & <b/>")),
        PropChange::Set(prop("p", "2")),
        remove("never"),
        PropChange::Set(prop("r", "3")),
        remove("r"),
    ];
    tree.set_props(&path("a"), changes, commit()).await.unwrap();
    let kept = [prop("p", "2"), prop("q", "é & <b/>")];
    assert_eq!(tree.props(&path("a")).await.unwrap(), kept);
    put(&tree, "a", b"replaced").await;
    assert_eq!(tree.props(&path("a")).await.unwrap(), kept);
    tree.set_props(&path("a"), vec![remove("p"), remove("q")], commit())
        .await
        .unwrap();
    assert!(tree.props(&path("a")).await.unwrap().is_empty());
    tree.set_props(
        &RelPath::root(),
        vec![PropChange::Set(prop("p", "root"))],
        commit(),
    )
    .await
    .unwrap();
    assert_eq!(
        tree.props(&RelPath::root()).await.unwrap(),
        [prop("p", "root")]
    );
    fails!(tree.props(&path("no")).await, Error::NotFound);
    fails!(
        tree.set_props(&path("no"), vec![], commit()).await,
        Error::NotFound
    );
}

/// All or nothing.
pub async fn properties_too_large_are_refused(tree: TwoHandles) {
    put(&tree, "a", b"x").await;
    set_prop(&tree, "a", prop("p", "1")).await;
    let changes = vec![
        PropChange::Set(prop("p", "2")),
        PropChange::Set(prop("big", &"x".repeat(1 << 20))),
    ];
    fails!(
        tree.set_props(&path("a"), changes, commit()).await,
        Error::LimitReached(_)
    );
    assert_eq!(tree.props(&path("a")).await.unwrap(), [prop("p", "1")]);
    set_prop(&tree, "a", prop("p", &"x".repeat(2000))).await;
    assert_eq!(
        tree.props(&path("a")).await.unwrap(),
        [prop("p", &"x".repeat(2000))]
    );
    let mut listing = tree.list(&RelPath::root(), true).await.unwrap();
    assert_eq!(
        pages(&mut *listing).await[0][0].props,
        [prop("p", &"x".repeat(2000))]
    );
}

/// Properties leave the time alone unless it is asked for.
pub async fn properties_change_with_the_time(tree: TwoHandles) {
    let before = put(&tree, "a", b"x").await;
    set_prop(&tree, "a", prop("p", "1")).await;
    assert_eq!(tree.stat(&path("a")).await.unwrap(), before);
    let time = UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    tree.set_props(
        &path("a"),
        vec![],
        WriteOptions {
            modified: Some(time),
            ..commit()
        },
    )
    .await
    .unwrap();
    let after = tree.stat(&path("a")).await.unwrap();
    assert_eq!(unix_seconds(after.modified), 1_234_567_890);
    assert_ne!(after.etag.to_string(), before.etag.to_string());
    tree.set_props(
        &path("a"),
        vec![],
        WriteOptions {
            modified: Some(time),
            ..commit()
        },
    )
    .await
    .unwrap();
    assert_eq!(
        tree.stat(&path("a")).await.unwrap(),
        after,
        "the time that it has already"
    );
    assert_eq!(tree.props(&path("a")).await.unwrap(), [prop("p", "1")]);
}

/// Quota needs numbers.
pub async fn usage_counts_bytes(tree: TwoHandles) {
    mkdir(&tree, "d").await;
    put(&tree, "d/a", &[1; 1000]).await;
    put(&tree, "b", &[1; 234]).await;
    let usage = tree.usage().await.unwrap();
    assert_eq!(usage.used, 1234);
    tree.copy(&path("d"), &path("c"), CopyDepth::Infinity, commit())
        .await
        .unwrap();
    put(&tree, "b", &[1; 200]).await;
    assert_eq!(tree.usage().await.unwrap().used, 2200);
    tree.rename(&path("c/a"), &path("b"), commit())
        .await
        .unwrap();
    tree.delete(&path("d/a"), commit()).await.unwrap();
    assert_eq!(tree.usage().await.unwrap().used, 1000);
    assert!(usage.free > 0);
}

/// Nothing is found in nothing, nor below a file.
pub async fn missing_things_are_missing(tree: TwoHandles) {
    put(&tree, "f", b"x").await;
    for at in ["no", "no/no", "f/x", "f/x/y", "é", "é/é"] {
        fails!(tree.stat(&path(at)).await, Error::NotFound);
        fails!(tree.open(&path(at)).await, Error::NotFound);
        fails!(tree.delete(&path(at), commit()).await, Error::NotFound);
        fails!(
            tree.copy(&path(at), &path("x"), CopyDepth::Infinity, commit())
                .await,
            Error::NotFound
        );
    }
}
