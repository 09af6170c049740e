//! Tests of path.

use super::*;

#[test]
fn urls_decode_once_and_stay_inside() {
    let read = |url: &str| RelPath::from_url(url, "");
    let text = |url: &str| read(url).unwrap().unwrap().as_str().to_owned();
    assert_eq!(text("/a//b/./c%20d/"), "a/b/c d");
    assert_eq!(text("/a/%2e%2e/b"), "b");
    assert_eq!(text("/a%252fb"), "a%2fb");
    assert_eq!(text("/"), "");
    assert!(matches!(read("/../x"), Err(Error::Forbidden(_))));
    for bad in [
        "/a%2fb",
        "/a%00b",
        "/%ff",
        "/.sarang/trash",
        "/.SARANG",
        "/a%0ab",
        "/%E2%80%AEgnp.exe",
    ] {
        assert!(matches!(read(bad), Err(Error::BadName(_))), "{bad}");
    }
    for bad in ["/%", "/a%zz", "/%4", "/100% sure", "/%%20", "/%é"] {
        assert!(matches!(read(bad), Err(Error::BadRequest(_))), "{bad}");
    }
    assert!(read(&format!("/{}", "a".repeat(256))).is_err());
}

#[test]
fn what_lies_beneath_a_prefix_has_the_whole_room_of_a_path() {
    let read = |url: &str| {
        RelPath::from_url(url, "/dav")
            .unwrap()
            .map(|path| path.as_str().to_owned())
    };
    for (url, expected) in [
        ("/dav", Some("")),
        ("/dav/", Some("")),
        ("//dav//a/", Some("a")),
        ("/%64av/a", Some("a")),
        ("/dav/../dav/a", Some("a")),
        ("/dav/..", None),
        ("/davx/a", None),
        ("/a/dav", None),
        ("/", None),
    ] {
        assert_eq!(read(url).as_deref(), expected, "{url}");
    }
    for prefix in ["", "/dav"] {
        let deep = |levels| RelPath::from_url(&format!("{prefix}{}", "/a".repeat(levels)), prefix);
        let most = MAX_DEPTH + MOUNT_DEPTH;
        assert_eq!(deep(most).unwrap().unwrap().names().count(), most);
        assert!(matches!(deep(most + 1), Err(Error::BadName(_))));
        let long = |last| {
            RelPath::from_url(
                &format!(
                    "{prefix}{}/{}",
                    format!("/{}", "a".repeat(240)).repeat(19),
                    "b".repeat(last)
                ),
                prefix,
            )
        };
        assert_eq!(
            long(29).unwrap().unwrap().as_str().len(),
            MAX_BYTES + MOUNT_BYTES
        );
        assert!(matches!(long(30), Err(Error::BadName(_))));
    }
}

#[test]
fn comparisons_are_by_whole_names() {
    let path = |text| RelPath::parse(text).unwrap();
    assert!(path("a/b").is_within(&path("a")));
    assert!(path("a").is_within(&path("a")));
    assert!(!path("ab").is_within(&path("a")));
    assert!(path("a").is_within(&RelPath::root()));
    assert_eq!(path("a/b").parent(), Some(path("a")));
    assert_eq!(path("a").parent(), Some(RelPath::root()));
    assert_eq!(RelPath::root().parent(), None);
    assert_eq!(path("cafe\u{301}").to_nfc(), path("café"));
    assert_eq!(path("a/b/c").after(&path("a/b")), Some(path("c")));
    assert_eq!(path("a/bc").after(&path("a/b")), None);
    assert_eq!(
        [0, 1, 2, 3].map(|count| path("a/b").skip(count)),
        ["a/b", "b", "", ""].map(path)
    );
    assert_eq!(path("a").after(&path("a")), Some(RelPath::root()));
    assert_eq!(path("c").beneath(&path("a/b")), path("a/b/c"));
    assert_eq!(RelPath::root().beneath(&path("a")), path("a"));
    assert_eq!(path("a").beneath(&RelPath::root()), path("a"));
    assert_eq!(RelPath::root().child("a").child("b"), path("a/b"));
}

#[test]
fn what_is_made_has_a_shorter_path_than_what_is_read() {
    let deep = |levels| RelPath::parse(&"a/".repeat(levels)).unwrap();
    assert!(
        deep(MAX_DEPTH)
            .remaining()
            .is_ok_and(|left| left.below("b").is_err() && !left.fits_a_name())
    );
    assert!(matches!(
        deep(MAX_DEPTH + 1).remaining(),
        Err(Error::BadName(_))
    ));
    let long = |last| {
        RelPath::parse(&(format!("{}/", "a".repeat(240)).repeat(16) + &"b".repeat(last))).unwrap()
    };
    assert!(
        long(240)
            .remaining()
            .is_ok_and(|left| left.below("b").is_err())
    );
    assert!(matches!(long(241).remaining(), Err(Error::BadName(_))));
    assert!(
        RelPath::root()
            .remaining()
            .is_ok_and(PathBudget::fits_a_name)
    );
    let longer = "a/".repeat(MAX_BYTES) + "a";
    assert_eq!(
        RelPath::of_existing(&longer).unwrap().names().count(),
        MAX_BYTES + 1
    );
    assert!(RelPath::of_existing("a/..").is_err() && RelPath::parse(&longer).is_err());
}

#[test]
fn portable_names_refuse_what_windows_cannot_show() {
    for bad in ["a:b", "x.", "y ", "CON", "aux.txt", "Lpt1.log", "what?"] {
        assert!(check_portable(bad).is_err(), "{bad}");
    }
    for good in ["console", "com0", "com10", "a.b", "über.txt"] {
        assert!(check_portable(good).is_ok(), "{good}");
    }
}

#[test]
fn names_take_additions_and_stay_names() {
    assert_eq!(before_extension("a.tar.gz", "~1"), "a.tar~1.gz");
    assert_eq!(before_extension(".x", "~1"), ".x~1");
    assert_eq!(before_extension("x", " (2)"), "x (2)");
    for (name, end) in [
        ("\u{e9}".repeat(127) + "x", " (2)"),
        ("y".repeat(250) + ".jpeg", " (2).jpeg"),
    ] {
        let longer = before_extension(&name, " (2)");
        assert!(
            longer.ends_with(end) && longer.len() > 250 && longer.len() <= MAX_NAME,
            "{longer}"
        );
    }
}
