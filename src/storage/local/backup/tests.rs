//! Copies of trees that nobody changes, of trees that somebody does, and of what is unchanged since.

use super::*;
use crate::storage::FileId;
use crate::storage::local::file_meta::FileMeta;
use crate::storage::local::missing_features::MissingFeatureSet;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

const HOSTILE: &str = "fi le$%<>é.txt";

struct RecordingObserver<'a> {
    marks: Vec<IndexEntry>,
    act: Box<dyn FnMut(&IndexEntry) + 'a>,
}

impl CopyObserver for RecordingObserver<'_> {
    fn copied(&mut self, mark: &IndexEntry, _tally: &BackupStats) -> Result<()> {
        (self.act)(mark);
        self.marks.push(mark.clone());
        Ok(())
    }
}

struct BackupFixture(TempDir);

/// A former copy, of which `marks` say what is in it.
fn as_parent(dir: &Path, marks: &[IndexEntry]) -> ParentCopy {
    let mut index = tempfile::tempfile().unwrap();
    for mark in marks {
        writeln!(index, "{}", serde_json::to_string(mark).unwrap()).unwrap();
    }
    index.rewind().unwrap();
    ParentCopy::open(dir, Some(index)).unwrap().unwrap()
}

impl BackupFixture {
    fn new() -> Self {
        let place = Self(TempDir::new().unwrap());
        fs::create_dir(place.path("from")).unwrap();
        place
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path("from").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, copy: &str, path: &str) -> String {
        fs::read_to_string(self.path(copy).join(path))
            .unwrap_or_else(|e| panic!("{copy}/{path}: {e}"))
    }

    /// Copies to `copy`; `act` is called for everything that was copied.
    fn copy(
        &self,
        copy: &str,
        formers: Vec<ParentCopy>,
        act: impl FnMut(&IndexEntry),
    ) -> (BackupStats, Vec<IndexEntry>) {
        let from = self.path("from");
        let to = self.path(copy);
        fs::create_dir(&to).unwrap();
        let began = SystemTime::now();
        let plan = CopyTreeOptions {
            skip: &[".sarang/tmp"],
            parents: formers,
            began,
            ..CopyTreeOptions::new(&from, &to, "from")
        };
        let mut tally = BackupStats::default();
        let mut watch = RecordingObserver {
            marks: Vec::new(),
            act: Box::new(act),
        };
        assert!(copy_tree(&plan, &mut tally, &mut watch).unwrap());
        (tally, watch.marks)
    }
}

/// Lets what was made so far be older than the steps of the clock.
fn age() {
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn a_copy_is_like_what_it_is_a_copy_of() {
    let place = BackupFixture::new();
    place.write(HOSTILE, "content");
    place.write("folder/deep/empty", "");
    place.write(".sarang/trash/files/gone", "gone");
    place.write(".sarang/tmp/half", "half");
    let file = place.path("from").join(HOSTILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let open = fs::File::open(&file).unwrap();
    let of = |file: &fs::File| sys::stat_fd(fd(file)).unwrap().node;
    let id = FileId::new().unwrap();
    FileMeta::new(id, None, &of(&open))
        .store(fd(&open))
        .unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    open.set_modified(long_ago).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", place.path("from/link")).unwrap();
    fs::File::open(place.path("from/folder"))
        .unwrap()
        .set_modified(long_ago)
        .unwrap();

    let (tally, marks) = place.copy("to", Vec::new(), |_| {});
    assert_eq!(
        (tally.files, tally.copied, tally.bytes, tally.left_out),
        (3, 3, 11, 0),
        "{tally:?}"
    );
    assert_eq!((tally.failures.len(), tally.restless.len()), (0, 0));
    assert_eq!(place.read("to", HOSTILE), "content");
    assert_eq!(place.read("to", ".sarang/trash/files/gone"), "gone");
    assert!(!place.path("to/.sarang/tmp").exists());
    assert_eq!(
        fs::read_link(place.path("to/link")).unwrap(),
        Path::new("/etc/passwd")
    );
    let copy = fs::File::open(place.path("to").join(HOSTILE)).unwrap();
    assert_eq!(copy.metadata().unwrap().modified().unwrap(), long_ago);
    assert_eq!(copy.metadata().unwrap().mode() & 0o777, 0o640);
    let dir = sys::open_root(&place.path("to")).unwrap();
    assert_eq!(
        FileMeta::of_name(fd(&dir), HOSTILE).unwrap().id(&of(&copy)),
        id
    );
    assert_eq!(
        fs::metadata(place.path("to/folder"))
            .unwrap()
            .modified()
            .unwrap(),
        long_ago
    );
    assert_eq!(
        marks.iter().filter(|mark| mark.folder).count(),
        6,
        "{marks:?}"
    );
    assert_eq!(marks[0].path, "");
}

#[test]
fn what_is_unchanged_is_not_copied_again() {
    let place = BackupFixture::new();
    for name in ["same", "touched", "replaced", "folder/moved"] {
        place.write(name, name);
    }
    age();
    let (_, marks) = place.copy("first", Vec::new(), |_| {});
    place.write("replaced.new", "REPLACED");
    fs::rename(place.path("from/replaced.new"), place.path("from/replaced")).unwrap();
    let touched = fs::File::open(place.path("from/touched")).unwrap();
    FileMeta::new(
        FileId::new().unwrap(),
        None,
        &sys::stat_fd(fd(&touched)).unwrap().node,
    )
    .store(fd(&touched))
    .unwrap();
    fs::rename(place.path("from/folder"), place.path("from/other")).unwrap();
    let former = as_parent(&place.path("first"), &marks);
    let (tally, _) = place.copy("second", vec![former], |_| {});
    assert_eq!(
        (tally.files, tally.linked, tally.copied),
        (4, 2, 2),
        "{tally:?}"
    );
    assert_eq!(
        (
            place.read("first", "replaced"),
            place.read("second", "replaced")
        ),
        ("replaced".into(), "REPLACED".into())
    );
    let inode = |path: &str| fs::metadata(place.path(path)).unwrap().ino();
    assert_eq!(inode("first/folder/moved"), inode("second/other/moved"));
    assert_ne!(inode("first/touched"), inode("second/touched"));

    // A former copy that was meddled with is not trusted.
    fs::write(place.path("first/same"), "meddled with").unwrap();
    let former = as_parent(&place.path("first"), &marks);
    place.copy("third", vec![former], |_| {});
    assert_eq!(place.read("third", "same"), "same");
}

/// However often it is copied, and though both names are one file in a former copy.
#[test]
fn of_two_names_of_a_file_one_keeps_its_id() {
    let place = BackupFixture::new();
    place.write("one", "content");
    place.write(".sarang/trash/files/gone", "gone");
    fs::hard_link(place.path("from/one"), place.path("from/two")).unwrap();
    let id = FileId::new().unwrap();
    for own in ["from/one", "from/.sarang"] {
        let file = fs::File::open(place.path(own)).unwrap();
        FileMeta::new(id, None, &sys::stat_fd(fd(&file)).unwrap().node)
            .store(fd(&file))
            .unwrap();
    }
    age();
    let with_id = |copy: &str| {
        let has_it = |name: &&str| {
            let file = fs::File::open(place.path(copy).join(name)).unwrap();
            FileMeta::of_file(fd(&file))
                .unwrap()
                .own_id(&sys::stat_fd(fd(&file)).unwrap().node)
                == Some(id)
        };
        ["one", "two"].into_iter().filter(has_it).count()
    };
    let (_, mut marks) = place.copy("first", Vec::new(), |_| {});
    assert_eq!(with_id("first"), 1);
    for (before, copy) in [("first", "second"), ("second", "third")] {
        let former = as_parent(&place.path(before), &marks);
        marks = place.copy(copy, vec![former], |_| {}).1;
        assert!(with_id(copy) > 0, "{copy}");
    }
    assert_eq!(with_id("first"), 1, "a former copy stays as it is");
}

#[test]
fn what_is_moved_to_where_the_copy_has_been_is_found() {
    for whole_folder in [false, true] {
        let place = BackupFixture::new();
        place.write("one/a", "a");
        place.write("two/a", "a");
        place.write("one/moving/x", "x");
        place.write("two/moving/x", "x");
        age();
        let from = place.path("from");
        let mut first = None;
        let (tally, _) = place.copy("to", Vec::new(), |mark| {
            if mark.path != "one" && mark.path != "two" {
                return;
            }
            // Told before it is read; by then the other one has been copied whole.
            if let Some(first) = &first {
                let here = from.join(&mark.path);
                let there = from.join(first);
                if whole_folder {
                    fs::rename(here.join("moving"), there.join("moved")).unwrap();
                } else {
                    fs::rename(here.join("a"), there.join("moved")).unwrap();
                    // Also onto what was copied already.
                    fs::write(here.join("moving/x"), "other").unwrap();
                    fs::rename(here.join("moving/x"), there.join("a")).unwrap();
                }
            } else {
                first = Some(mark.path.clone());
            }
        });
        let first = first.unwrap();
        if whole_folder {
            assert_eq!(place.read("to", &format!("{first}/moved/x")), "x");
        } else {
            assert_eq!(place.read("to", &format!("{first}/moved")), "a");
            assert_eq!(place.read("to", &format!("{first}/a")), "other");
        }
        assert!(tally.restless.is_empty());
    }
}

#[test]
fn a_file_that_is_saved_meanwhile_is_whole() {
    let place = BackupFixture::new();
    place.write("a", "old");
    place.write("b", "old");
    age();
    let from = place.path("from");
    let mut saved = false;
    place.copy("to", Vec::new(), |mark| {
        if !mark.folder && !std::mem::replace(&mut saved, true) {
            for name in ["a", "b"] {
                fs::write(from.join("temp"), "new content").unwrap();
                fs::rename(from.join("temp"), from.join(name)).unwrap();
            }
        }
    });
    let mut seen = [place.read("to", "a"), place.read("to", "b")];
    seen.sort();
    assert_eq!(seen, ["new content", "old"]);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_copied() {
    if rustix::process::geteuid().is_root() {
        return eprintln!("skipped: root may read everything");
    }
    let place = BackupFixture::new();
    place.write("closed", "x");
    place.write("open", "x");
    fs::set_permissions(place.path("from/closed"), fs::Permissions::from_mode(0o0)).unwrap();
    let (tally, _) = place.copy("to", Vec::new(), |_| {});
    assert_eq!(tally.failures.len(), 1);
    assert!(tally.failures[0].starts_with("from/closed: it cannot be read"));
    assert_eq!(place.read("to", "open"), "x");
}

#[test]
fn a_tree_that_vanishes_is_told() {
    let place = BackupFixture::new();
    place.write("a", "x");
    let from = place.path("from");
    let to = place.path("to");
    fs::create_dir(&to).unwrap();
    let plan = CopyTreeOptions::new(&from, &to, "from");
    let away = |_: &IndexEntry| drop(fs::rename(&from, from.with_extension("away")));
    let mut watch = RecordingObserver {
        marks: Vec::new(),
        act: Box::new(away),
    };
    assert!(!copy_tree(&plan, &mut BackupStats::default(), &mut watch).unwrap());
    assert!(!copy_tree(&plan, &mut BackupStats::default(), &mut watch).unwrap());
}

/// A folder that is being moved to another tree: it left before the copy came to it, and is under way until the copy is done.
#[test]
fn what_is_on_its_way_to_another_tree_is_in_the_copy() {
    let place = BackupFixture::new();
    for path in ["d/x", "f", "other/y"] {
        place.write(path, path);
    }
    for folder in [".sarang/tmp", ".sarang/trash/info"] {
        fs::create_dir_all(place.path("from").join(folder)).unwrap();
    }
    age();
    let mut is_first = true;
    let (tally, _) = place.copy("to", Vec::new(), |_| {
        if std::mem::take(&mut is_first) {
            for name in ["d", "f"] {
                place.write(&format!(".sarang/trash/info/{name}.1.trashinfo"), "note");
                let leaving = place
                    .path("from/.sarang/tmp")
                    .join(format!("leaving-{name}.1"));
                fs::rename(place.path("from").join(name), leaving).unwrap();
            }
            place.write(".sarang/tmp/half", "half");
        }
    });
    assert!(
        tally.restless.is_empty() && tally.failures.is_empty(),
        "{tally:?}"
    );
    assert_eq!(place.read("to", ".sarang/tmp/leaving-d.1/x"), "d/x");
    assert_eq!(place.read("to", ".sarang/tmp/leaving-f.1"), "f");
    for name in ["d", "f"] {
        assert_eq!(
            place.read("to", &format!(".sarang/trash/info/{name}.1.trashinfo")),
            "note"
        );
    }
    assert!(!place.path("to/.sarang/tmp/half").exists());
}

/// Should a way lead to it that nobody has seen before: by a mount that came meanwhile.
#[test]
fn the_folder_of_backups_is_not_copied_wherever_it_turns_up() {
    let place = BackupFixture::new();
    place.write("a/backups/one", "x");
    place.write("a/b", "x");
    let from = place.path("from");
    let to = place.path("to");
    for (avoid, here, failure) in [
        (
            "from/a/backups",
            true,
            "from/a/backups: this is the folder of backups",
        ),
        ("from", false, "from/: this is the folder of backups"),
    ] {
        fs::create_dir(&to).unwrap();
        let plan = CopyTreeOptions {
            exclude: Some(identity(&place.path(avoid)).unwrap()),
            ..CopyTreeOptions::new(&from, &to, "from")
        };
        let mut tally = BackupStats::default();
        let mut watch = RecordingObserver {
            marks: Vec::new(),
            act: Box::new(|_| {}),
        };
        assert!(copy_tree(&plan, &mut tally, &mut watch).unwrap());
        assert!(
            tally.failures.len() == 1 && tally.failures[0].starts_with(failure),
            "{tally:?}"
        );
        assert!(!to.join("a/backups").exists() && to.join("a/b").exists() == here);
        fs::remove_dir_all(&to).unwrap();
    }
}

#[test]
fn a_folder_that_cannot_be_read_to_its_end_keeps_what_the_copy_before_has_of_it() {
    let place = BackupFixture::new();
    for path in [
        "folder/a",
        "folder/gone",
        "folder/sub/gone",
        "folder/left/out",
        "beside",
    ] {
        place.write(path, path);
    }
    age();
    let (_, marks) = place.copy("first", Vec::new(), |_| {});
    let index = place.path("index");
    let lines: String = marks
        .iter()
        .map(|mark| serde_json::to_string(mark).unwrap() + "\n")
        .collect();
    fs::write(&index, lines).unwrap();
    // What is not listed any more, as far as the copy can tell.
    fs::remove_file(place.path("from/folder/gone")).unwrap();
    fs::remove_dir_all(place.path("from/folder/sub")).unwrap();
    fs::remove_file(place.path("from/beside")).unwrap();
    place.write("folder/a", "new");
    let pretence = sys::fake_fs::fake_fs(
        &place.path("from/folder"),
        MissingFeatureSet::default(),
        sys::Errno::OPNOTSUPP,
    );
    pretence.tear();
    let from = place.path("from");
    let to = place.path("second");
    fs::create_dir(&to).unwrap();
    let earlier = vec![
        FallbackCopy::new(place.path("none"), place.path("none")),
        FallbackCopy::new(place.path("first"), index),
    ];
    let plan = CopyTreeOptions {
        skip: &["folder/left"],
        fallbacks: earlier,
        ..CopyTreeOptions::new(&from, &to, "from")
    };
    let mut tally = BackupStats::default();
    let mut watch = RecordingObserver {
        marks: Vec::new(),
        act: Box::new(|_| {}),
    };
    assert!(copy_tree(&plan, &mut tally, &mut watch).unwrap());
    assert_eq!(place.read("second", "folder/a"), "new");
    for path in ["folder/gone", "folder/sub/gone"] {
        assert_eq!(place.read("second", path), path);
        let told = |all: &[IndexEntry]| all.iter().find(|mark| mark.path == path).cloned();
        assert!(
            told(&watch.marks).is_some() && told(&watch.marks) == told(&marks),
            "{path}"
        );
    }
    assert!(!to.join("folder/left").exists() && !to.join("beside").exists());
    assert!(
        tally.failures.len() == 1 && tally.failures[0].contains("to its end"),
        "{tally:?}"
    );
}
