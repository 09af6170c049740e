//! Generations one after the other: what a cut one hands on, one at a time, how many are kept.

use super::*;
use crate::state::StateStore as _;
use tempfile::TempDir;

/// A data folder with a state, some files, and an export to back up.
async fn data_folder(files: usize) -> (TempDir, PathBuf) {
    let around = TempDir::new().unwrap();
    let data = around.path().join("data");
    let store = SledStore::open(&data.join("state")).unwrap();
    let export = store.export_daily().unwrap();
    store.close().await.unwrap();
    fs::create_dir_all(data.join("homes/ana/folder")).unwrap();
    for number in 0..files {
        fs::write(
            data.join(format!("homes/ana/folder/{number}")),
            number.to_string(),
        )
        .unwrap();
    }
    // What is younger than the steps of the clock counts as changed.
    std::thread::sleep(std::time::Duration::from_millis(50));
    (around, export)
}

fn order(around: &TempDir, keep: Option<usize>) -> BackupOptions {
    BackupOptions {
        data_dir: around.path().join("data"),
        dir: around.path().join("backups"),
        history: true,
        keep,
    }
}

fn whole(order: BackupOptions, export: &Path) -> Summary {
    let mut making = BackupRun::begin(order).unwrap();
    making.add_state(export).unwrap();
    assert!(making.copy_files(&mut |_| {}).unwrap());
    making.finish().unwrap()
}

#[tokio::test]
async fn what_a_cut_one_has_copied_is_not_copied_again() {
    let (around, export) = data_folder(20).await;
    let mut cut = BackupRun::begin(order(&around, None)).unwrap();
    cut.add_state(&export).unwrap();
    cut.copy_files(&mut |_| {}).unwrap();
    drop(cut);
    let names = || {
        repository::generations(&around.path().join("backups"))
            .unwrap()
            .len()
    };
    assert_eq!(names(), 0);
    let summary = whole(order(&around, None), &export);
    assert_eq!(
        (
            summary.tally.files,
            summary.tally.linked,
            summary.tally.copied
        ),
        (20, 20, 0),
        "{summary:?}"
    );
    assert_eq!(
        fs::read(summary.generation.join("files/homes/ana/folder/7")).unwrap(),
        b"7"
    );
    assert_eq!(
        fs::read_dir(around.path().join("backups")).unwrap().count(),
        2,
        "the marker and one generation"
    );
}

#[tokio::test]
async fn an_index_line_cut_short_costs_only_a_copy() {
    let (around, export) = data_folder(20).await;
    let first = whole(order(&around, None), &export);
    let index = first.generation.join("index/homes/ana.jsonl");
    let text = fs::read(&index).unwrap();
    fs::write(&index, &text[..text.len() / 2]).unwrap();
    let second = whole(order(&around, None), &export);
    assert!(
        second.tally.linked > 0 && second.tally.copied > 0,
        "{second:?}"
    );
    assert_eq!(second.tally.files, 20);
}

#[tokio::test]
async fn only_one_is_made_at_a_time_and_as_many_are_kept_as_was_asked() {
    let (around, export) = data_folder(3).await;
    let first = BackupRun::begin(order(&around, None)).unwrap();
    let refusal = BackupRun::begin(order(&around, None))
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("under way"), "{refusal}");
    drop(first);
    let removed: Vec<_> = (0..4)
        .map(|_| whole(order(&around, Some(2)), &export).removed)
        .collect();
    assert_eq!(removed, [0, 0, 1, 1]);
    assert_eq!(
        repository::generations(&around.path().join("backups"))
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn small_pictures_are_in_no_generation() {
    let (around, export) = data_folder(1).await;
    let kept = "homes/ana/.sarang/thumbnails/0-320";
    fs::create_dir_all(around.path().join("data/homes/ana/.sarang/thumbnails")).unwrap();
    fs::write(around.path().join("data").join(kept), "small").unwrap();
    let summary = whole(order(&around, None), &export);
    let files = summary.generation.join("files");
    assert!(files.join("homes/ana/folder/0").exists() && !files.join(kept).exists());
}

#[tokio::test]
async fn one_that_is_deleted_meanwhile_counts_no_more() {
    let (around, export) = data_folder(1).await;
    let first = whole(order(&around, None), &export);
    let second = whole(order(&around, None), &export);
    assert_eq!((first.number, second.number), (1, 2));
    let mut making = BackupRun::begin(order(&around, Some(2))).unwrap();
    fs::remove_dir_all(first.generation).unwrap();
    making.add_state(&export).unwrap();
    assert!(making.copy_files(&mut |_| {}).unwrap());
    let third = making.finish().unwrap();
    assert_eq!((third.number, third.removed), (3, 0));
    assert!(second.generation.exists());
}
