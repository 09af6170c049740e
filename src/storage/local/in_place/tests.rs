//! Folders that are served where they lie.

use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn find(path: &Path) -> Result<FolderLocation, InPlaceError> {
    FolderLocation::resolve_usable(path)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_is_found_through_links_that_nobody_else_may_change() {
    let place = TempDir::new().unwrap();
    let top = fs::canonicalize(place.path()).unwrap();
    fs::create_dir_all(top.join("a/b")).unwrap();
    symlink("a/../a", top.join("relative")).unwrap();
    symlink(top.join("relative/b"), top.join("whole")).unwrap();
    let site = find(&top.join("a/b")).unwrap();
    assert_eq!(site.path, top.join("a/b"));
    assert_eq!(find(&top.join("whole")).unwrap(), site);
    assert_eq!(FolderLocation::of_own(&top.join("whole")).unwrap(), site);
    symlink("round", top.join("round")).unwrap();
    assert!(matches!(
        find(&top.join("round")),
        Err(InPlaceError::NotFolder(_))
    ));
    // Whoever may write there can lead the link elsewhere, sticky or not.
    for open in [0o777, 0o1777, 0o770] {
        mode(&top, open);
        assert!(
            matches!(find(&top.join("whole")), Err(InPlaceError::UntrustedLink(link)) if link == top.join("whole")),
            "{open:o}"
        );
        mode(&top, 0o700);
    }
}

#[test]
fn what_others_may_replace_is_no_way() {
    let place = TempDir::new().unwrap();
    let top = fs::canonicalize(place.path()).unwrap();
    let folder = top.join("open/a/b");
    fs::create_dir_all(&folder).unwrap();
    mode(&top.join("open"), 0o1777);
    find(&folder).unwrap();
    for open in [0o777, 0o775] {
        mode(&top.join("open"), open);
        assert!(
            matches!(find(&folder), Err(InPlaceError::UntrustedParent(step)) if step == top.join("open/a")),
            "{open:o}"
        );
    }
    mode(&top.join("open"), 0o755);
    // What is served may well be open to others.
    mode(&folder, 0o2777);
    find(&folder).unwrap();
    let other = FolderLocation::resolve(&folder, sys::own_user() + 1);
    assert!(
        sys::own_user() == 0 || matches!(other, Err(InPlaceError::UntrustedParent(_))),
        "{other:?}"
    );
}

#[test]
fn what_is_no_folder_and_no_whole_path_is_refused() {
    let place = TempDir::new().unwrap();
    let top = fs::canonicalize(place.path()).unwrap();
    fs::write(top.join("file"), "").unwrap();
    assert!(matches!(
        find(&top.join("none")),
        Err(InPlaceError::NotFound(_))
    ));
    assert!(matches!(
        find(&top.join("file")),
        Err(InPlaceError::NotFolder(_))
    ));
    assert!(matches!(
        find(&top.join("file/below")),
        Err(InPlaceError::NotFolder(_))
    ));
    for path in ["relative", "", "/srv/../etc", "./x"] {
        assert!(
            matches!(find(Path::new(path)), Err(InPlaceError::NotAbsolute(_))),
            "{path}"
        );
    }
}

#[test]
fn folders_overlap_by_path_by_inode_and_by_file_system() {
    let site = |path: &str, line: &[(u64, u64)], on: Option<(&str, &str)>| FolderLocation {
        path: path.into(),
        ancestors: line.to_vec(),
        file_system: on.map(|(disk, at)| (disk.to_owned(), at.into())),
    };
    let ana = site(
        "/srv/ana",
        &[(1, 2), (1, 3), (1, 4)],
        Some(("8:1", "/srv/ana")),
    );
    for (other, overlaps) in [
        (ana.clone(), true),
        (site("/srv", &[(9, 2), (9, 3)], None), true),
        (site("/srv/ana/b", &[(9, 2)], None), true),
        (
            site(
                "/srv/ana2",
                &[(1, 2), (1, 3), (1, 5)],
                Some(("8:1", "/srv/ana2")),
            ),
            false,
        ),
        (site("/mnt/b", &[(1, 2), (1, 4), (1, 9)], None), true),
        (site("/mnt", &[(1, 2), (1, 3)], None), true),
        (
            site("/mnt", &[(1, 2), (1, 8)], Some(("8:1", "/srv/ana/docs"))),
            true,
        ),
        (site("/mnt", &[(1, 2), (1, 8)], Some(("8:1", "/srv"))), true),
        (
            site("/mnt", &[(1, 2), (1, 8)], Some(("8:2", "/srv"))),
            false,
        ),
    ] {
        assert_eq!(ana.overlaps(&other), overlaps, "{other:?}");
        assert_eq!(other.overlaps(&ana), overlaps, "{other:?}");
    }
}
