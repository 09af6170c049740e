//! Trees on file systems that lack something: all promises hold as far as they can be kept, and a kill at any step loses nothing.

use super::super::missing_features::{ALL, MissingFeature, MissingFeatureSet};
use super::super::sys::fake_fs::{FakeFsGuard, fake_fs};
use super::super::sys::{Errno, is_local};
use super::*;
use crate::storage::contract::TestTree;
use crate::storage::local::check::{TreeCheckOptions, check_tree};
use crate::storage::step_contract::{TestLocks, taking};
use futures_util::future::BoxFuture;

fn lacking(these: &[MissingFeature], errno: Errno) -> (TestTree, (FakeFsGuard, TempDir)) {
    lacking_under(these, errno, Arc::new(TestLocks::default()))
}

/// The same with these locks in it.
fn lacking_under(
    these: &[MissingFeature],
    errno: Errno,
    locks: Arc<TestLocks>,
) -> (TestTree, (FakeFsGuard, TempDir)) {
    let dir = TempDir::new().unwrap();
    let pretence = fake_fs(dir.path(), MissingFeatureSet::of(these), errno);
    let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
    tree.set_locks(locks);
    (tree, (pretence, dir))
}

/// The promises that are not kept on such a file system, as `docs/file-systems.md` tells.
pub(super) fn not_kept(lacks: MissingFeatureSet) -> Vec<&'static str> {
    let by: [(MissingFeature, &[&str]); 3] = [
        // Neither versions nor properties nor hashes.
        (
            MissingFeature::Xattrs,
            &[
                "moving_keeps_content_and_properties",
                "moving_over_something_replaces_it",
                "spellings_are_one_entry",
                "copies_are_whole",
                "copies_can_be_shallow",
                "folders_are_made_and_listed",
                "taken_names_are_passed_over",
                "workshops_are_seen_by_nobody",
                "properties_are_kept",
                "properties_too_large_are_refused",
                "properties_change_with_the_time",
                "the_trash_gives_back",
                "overwriting_leaves_versions",
                "versions_follow_their_file",
                "reverting_keeps_the_present",
                "no_version_is_lost_between_writers",
                "the_past_expires",
                "what_is_held_does_not_expire",
                "the_limit_is_exact_for_copies_and_the_past",
                "the_books_are_right_after_anything",
                "an_upload_laid_aside_outlives_a_refusal",
                "an_upload_refused_has_nothing_of_what_it_met",
                "hashes_are_known_and_follow",
                "a_scrub_learns_what_is_not_known",
                "a_save_that_changes_nothing_makes_no_version",
                "a_rewind_makes_a_folder_as_it_was",
                "locks_end_with_what_goes",
                "a_change_says_what_it_met",
            ],
        ),
        // A version is another file.
        (MissingFeature::HardLinks, &["overwriting_leaves_versions"]),
        // Times are kept by the second.
        (
            MissingFeature::SubsecondTimes,
            &["times_are_kept_and_tags_differ", "copies_are_whole"],
        ),
    ];
    by.iter()
        .filter(|(lack, _)| lacks.has(*lack))
        .flat_map(|(_, promises)| promises.iter().copied())
        .collect()
}

macro_rules! all_promises {
    ($($module:ident: [$($lack:ident),*], $errno:ident;)+) => {
        $(mod $module {
            use super::*;

            const LACKS: &[MissingFeature] = &[$(MissingFeature::$lack),*];

            fn make() -> (TestTree, (FakeFsGuard, TempDir)) {
                lacking(LACKS, Errno::$errno)
            }
            crate::storage::contract::contract!(make, without || not_kept(MissingFeatureSet::of(LACKS)));

            fn make_under(locks: Arc<TestLocks>) -> (TestTree, (FakeFsGuard, TempDir)) {
                lacking_under(LACKS, Errno::$errno, locks)
            }
            crate::storage::step_contract::step_contract!(make_under, without || not_kept(MissingFeatureSet::of(LACKS)));
        })+
    };
}

all_promises! {
    no_replace: [NoReplace], INVAL;
    exchange: [Exchange], NOSYS;
    unnamed: [TmpFile], OPNOTSUPP;
    attributes: [Xattrs], OPNOTSUPP;
    birth: [BirthTime], INVAL;
    links: [HardLinks], PERM;
    fractions: [SubsecondTimes], INVAL;
    case: [CaseSensitivity], INVAL;
    room: [Fallocate], OPNOTSUPP;
    names: [NoReplace, Exchange, TmpFile, HardLinks], OPNOTSUPP;
    all_but_attributes: [NoReplace, Exchange, TmpFile, BirthTime, HardLinks, SubsecondTimes, CaseSensitivity, Fallocate], INVAL;
    everything: [NoReplace, Exchange, TmpFile, Xattrs, BirthTime, HardLinks, SubsecondTimes, CaseSensitivity, Fallocate], NOSYS;
}

/// On a file system that keeps whole seconds only, whether or not it tells when files were made.
#[tokio::test]
async fn no_tag_comes_again_where_times_are_coarse() {
    for these in [
        &[MissingFeature::SubsecondTimes][..],
        &[MissingFeature::SubsecondTimes, MissingFeature::BirthTime],
        &ALL,
    ] {
        let (tree, _keep) = lacking(these, Errno::INVAL);
        let mut tags = std::collections::HashSet::new();
        for n in 0..50_u64 {
            let wanted = (n % 3 == 0)
                .then(|| std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 + n));
            let mut upload = tree
                .begin_upload(&path("a"), InitialContent::Empty, SpaceRequest::default())
                .await
                .unwrap();
            upload.write(Bytes::from_static(b"x")).await.unwrap();
            let node = upload
                .commit(WriteOptions {
                    modified: wanted,
                    ..commit()
                })
                .await
                .unwrap()
                .node;
            assert_eq!(
                tree.stat(&path("a")).await.unwrap().etag.to_string(),
                node.etag.to_string()
            );
            assert!(tags.insert(node.etag.to_string()), "{these:?} {n}");
        }
    }
}

#[tokio::test]
async fn what_is_lacking_is_found_out() {
    for lack in ALL {
        let (tree, (_pretence, dir)) = lacking(&[lack], Errno::INVAL);
        drop(tree);
        let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
        // What has no second names cannot give a file without a name its first.
        let expected = if lack == MissingFeature::HardLinks {
            vec![MissingFeature::TmpFile, lack]
        } else {
            vec![lack]
        };
        assert_eq!(
            tree.missing_features(),
            MissingFeatureSet::of(&expected),
            "{lack:?}"
        );
        assert_eq!(tree.missing_features().describe().len(), expected.len());
        assert!(in_folder(&dir.path().join("home/.sarang/tmp")).is_empty());
    }
}

/// As when the same device has been mounted with another file system, or a call is refused later on.
#[tokio::test]
async fn what_turns_out_to_be_lacking_later_is_done_without() {
    for errno in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP] {
        let (tree, dir) = relaxed();
        let _pretence = fake_fs(
            dir.path(),
            MissingFeatureSet::of(&[MissingFeature::NoReplace, MissingFeature::Exchange]),
            errno,
        );
        for text in [b"1", b"2"] {
            put(&tree, "a", text).await;
        }
        tree.rename(&path("a"), &path("b"), commit()).await.unwrap();
        put(&tree, "c", b"3").await;
        assert!(matches!(
            tree.rename(
                &path("b"),
                &path("c"),
                WriteOptions {
                    overwrite: false,
                    ..commit()
                }
            )
            .await,
            Err(Error::PreconditionFailed)
        ));
        tree.delete(&path("b"), commit()).await.unwrap();
        assert_eq!(names(&tree, "").await, ["c"]);
    }
}

/// A program beside the server makes the name in the very moment.
#[tokio::test]
async fn nothing_made_beside_the_server_is_replaced_where_renames_replace() {
    for these in [
        &[MissingFeature::NoReplace, MissingFeature::TmpFile][..],
        &[
            MissingFeature::NoReplace,
            MissingFeature::TmpFile,
            MissingFeature::HardLinks,
        ],
    ] {
        let locks = Arc::new(TestLocks::default());
        let (tree, (_pretence, dir)) = lacking_under(these, Errno::INVAL, locks.clone());
        let home = dir.path().join("home");
        put(&tree, "from", b"ours").await;
        let beside = |name: &str| {
            let file = home.join(name);
            locks.at_next_look(move || fs::write(&file, "theirs").unwrap());
            taking(&[name])
        };
        let mut upload = tree
            .begin_upload(&path("new"), InitialContent::Empty, SpaceRequest::default())
            .await
            .unwrap();
        upload.write(Bytes::from_static(b"ours")).await.unwrap();
        assert!(upload.commit(beside("new")).await.is_err());
        assert!(
            tree.rename(&path("from"), &path("to"), beside("to"))
                .await
                .is_err()
        );
        assert!(
            tree.copy(
                &path("from"),
                &path("copy"),
                CopyDepth::Infinity,
                beside("copy")
            )
            .await
            .is_err()
        );
        let id = tree.delete(&path("from"), commit()).await.unwrap().id;
        assert!(
            tree.restore(&id, &path("back"), beside("back"))
                .await
                .is_err()
        );
        for name in ["new", "to", "copy", "back"] {
            assert_eq!(content(&tree, name).await, b"theirs", "{name}");
        }
        tree.restore(&id, &path("from"), commit()).await.unwrap();
        assert_eq!(content(&tree, "from").await, b"ours");
        assert!(in_folder(&home.join(".sarang/tmp")).is_empty());
    }
}

#[tokio::test]
async fn names_that_differ_in_case_only_are_one_and_can_change() {
    for these in [
        &[MissingFeature::CaseSensitivity][..],
        &[
            MissingFeature::CaseSensitivity,
            MissingFeature::NoReplace,
            MissingFeature::Exchange,
        ],
    ] {
        let (tree, (_pretence, dir)) = lacking(these, Errno::INVAL);
        tree.mkdir(&path("Folder"), commit()).await.unwrap();
        for text in [b"1", b"2"] {
            put(&tree, "Folder/file", text).await;
        }
        let id = tree.identify(&path("Folder/file")).await.unwrap().1;
        assert!(
            tree.rename(&path("folder/FILE"), &path("FOLDER/File"), commit())
                .await
                .unwrap()
                .created()
        );
        assert!(
            tree.rename(&path("folder"), &path("FOLDER"), commit())
                .await
                .unwrap()
                .created()
        );
        assert_eq!(
            (names(&tree, "").await, names(&tree, "FOLDER").await),
            (vec!["FOLDER".into()], vec!["File".into()])
        );
        assert_eq!(
            tree.stored_path(&path("fOLDER/fILE")).await.unwrap(),
            path("FOLDER/File")
        );
        assert!(tree.list_trash(None, 9).await.unwrap().is_empty());
        assert_eq!(tree.identify(&path("FOLDER/File")).await.unwrap().1, id);
        assert_eq!(tree.versions(&path("folder/file")).await.unwrap().len(), 1);
        put(&tree, "folder/FILE", b"3").await;
        assert_eq!(tree.versions(&path("FOLDER/File")).await.unwrap().len(), 2);
        // Two names of one file are no spellings of one.
        fs::hard_link(
            dir.path().join("home/FOLDER/File"),
            dir.path().join("home/FOLDER/other"),
        )
        .unwrap();
        tree.rename(&path("FOLDER/other"), &path("FOLDER/File"), commit())
            .await
            .unwrap();
        assert_eq!(names(&tree, "FOLDER").await, ["File"]);
        assert!(in_folder(&dir.path().join("home/.sarang/tmp")).is_empty());
    }
}

/// A change that is tried.
type ChangeCase = (
    &'static str,
    for<'a> fn(&'a TestTree) -> BoxFuture<'a, crate::model::Result<()>>,
);

const CHANGE_CASES: [ChangeCase; 9] = [
    ("PUT of a new file", |tree| {
        Box::pin(async { try_put(tree, "new").await })
    }),
    ("PUT over a file", |tree| {
        Box::pin(async { try_put(tree, "file").await })
    }),
    ("MOVE of a file", |tree| {
        Box::pin(async { moved(tree, "file", "d/new").await })
    }),
    ("MOVE of a folder", |tree| {
        Box::pin(async { moved(tree, "d", "new").await })
    }),
    ("MOVE over a file", |tree| {
        Box::pin(async { moved(tree, "d/x", "file").await })
    }),
    ("MOVE over a folder", |tree| {
        Box::pin(async { moved(tree, "d", "e").await })
    }),
    ("COPY over a folder", |tree| {
        Box::pin(async {
            tree.copy(&path("d"), &path("e"), CopyDepth::Infinity, commit())
                .await
                .map(drop)
        })
    }),
    ("DELETE", |tree| {
        Box::pin(async { tree.delete(&path("file"), commit()).await.map(drop) })
    }),
    ("back from the trash", |tree| {
        Box::pin(async {
            let id = tree.list_trash(None, 1).await?.remove(0).id;
            tree.restore(&id, &path("back"), commit()).await.map(drop)
        })
    }),
];

async fn try_put(tree: &TestTree, at: &str) -> crate::model::Result<()> {
    let mut upload = tree
        .begin_upload(&path(at), InitialContent::Empty, SpaceRequest::default())
        .await?;
    upload.write(Bytes::from_static(b"new content")).await?;
    upload.commit(commit()).await.map(drop)
}

async fn moved(tree: &TestTree, from: &str, to: &str) -> crate::model::Result<()> {
    tree.rename(&path(from), &path(to), commit())
        .await
        .map(drop)
}

async fn fill(home: &Path) {
    let tree: TestTree = LocalTree::open(home, RELAXED).unwrap();
    for folder in ["d", "e"] {
        tree.mkdir(&path(folder), commit()).await.unwrap();
    }
    for (name, text) in [
        ("file", "f"),
        ("d/x", "x"),
        ("d/y", "y"),
        ("e/x", "ex"),
        ("gone", "g"),
    ] {
        put(&tree, name, text.as_bytes()).await;
    }
    tree.delete(&path("gone"), commit()).await.unwrap();
}

/// Every file with its content, and what the trash holds.
async fn state(tree: &TestTree) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let mut files = Vec::new();
    let mut waiting = vec![String::new()];
    while let Some(folder) = waiting.pop() {
        for name in names(tree, &folder).await {
            let at = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            if tree.stat(&path(&at)).await.unwrap().folder {
                files.push((at.clone() + "/", Vec::new()));
                waiting.push(at);
            } else {
                files.push((at.clone(), content(tree, &at).await));
            }
        }
    }
    files.sort();
    let mut trash: Vec<_> = tree
        .list_trash(None, 99)
        .await
        .unwrap()
        .into_iter()
        .map(|item| item.path.as_str().to_owned())
        .collect();
    trash.sort();
    (files, trash)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_step_leaves_what_was_or_what_is_to_be() {
    let sets: [&[MissingFeature]; 5] = [
        &[],
        &[MissingFeature::NoReplace],
        &[MissingFeature::Exchange, MissingFeature::TmpFile],
        &[
            MissingFeature::NoReplace,
            MissingFeature::Exchange,
            MissingFeature::TmpFile,
            MissingFeature::HardLinks,
        ],
        &[
            MissingFeature::NoReplace,
            MissingFeature::Exchange,
            MissingFeature::TmpFile,
            MissingFeature::BirthTime,
            MissingFeature::SubsecondTimes,
            MissingFeature::Fallocate,
        ],
    ];
    for these in sets {
        for (name, deed) in CHANGE_CASES {
            let mut step = 0;
            let mut after = None;
            loop {
                let dir = TempDir::new().unwrap();
                let home = dir.path().join("home");
                let pretence = fake_fs(dir.path(), MissingFeatureSet::of(these), Errno::INVAL);
                fill(&home).await;
                let tree: TestTree = LocalTree::open(&home, RELAXED).unwrap();
                let before = state(&tree).await;
                // First as a whole, to know what it comes to.
                pretence.cut_after(after.is_some().then_some(step));
                let outcome = deed(&tree).await;
                let was_cut = pretence.is_cut();
                drop(tree);
                pretence.cut_after(None);
                let tree: TestTree = LocalTree::open(&home, RELAXED).unwrap();
                let now = state(&tree).await;
                let Some(after) = &after else {
                    outcome.unwrap();
                    assert_ne!(before, now, "{name}");
                    after = Some(now);
                    continue;
                };
                let case = format!("{name} without {these:?}, cut after {step}");
                assert!(
                    now == *after || (now == before && outcome.is_err()),
                    "{case}: {outcome:?} {now:?}"
                );
                let findings = check_tree(
                    &home,
                    TreeCheckOptions {
                        served: false,
                        repair: None,
                    },
                )
                .unwrap()
                .findings;
                assert_eq!(findings, [], "{case}");
                if !was_cut {
                    assert!(step > 0 && outcome.is_ok(), "{case}");
                    break;
                }
                step += 1;
            }
        }
    }
}

/// Runs everywhere: what the folder for temporary files lies on is said, so that `tests/file-systems/run` can tell it.
#[tokio::test]
async fn the_file_system_under_test_is_told() {
    let (_tree, dir) = relaxed();
    let tree = LocalTree::open(&dir.path().join("other"), RELAXED).unwrap();
    let is_local = is_local(sys::fd(&sys::open_root(dir.path()).unwrap()));
    let lacks: Vec<_> = ALL
        .into_iter()
        .filter(|lack| tree.missing_features().has(*lack))
        .collect();
    println!(
        "lacks {lacks:?}, local {is_local}, not kept {:?}",
        not_kept(tree.missing_features())
    );
}
