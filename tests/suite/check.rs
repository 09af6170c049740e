//! `sarang check`: a healthy data folder is clean, each planted damage is found, and what can be repaired is.

use crate::harness::NAME;
use crate::program::{PASSWORD, Place, said};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// What `sarang check` says, and whether it found nothing wrong.
fn check(place: &Place, arguments: &[&str]) -> (String, bool) {
    let output = place.run(&[&["check"], arguments].concat(), "");
    let clean = output.status.success();
    assert!(clean || output.status.code() == Some(1), "{output:?}");
    (
        String::from_utf8(output.stdout.clone()).unwrap() + &said(&output),
        clean,
    )
}

/// A place in which ana has used everything once; ben has not.
fn used() -> Place {
    let place = Place::new();
    place.add_ana();
    assert!(
        place
            .run(&["user", "add", "ben", "--password-stdin"], PASSWORD)
            .status
            .success()
    );
    let serving = place.serve();
    let ana = serving.ana();
    ana.mkcol("/docs").is(201);
    for path in [NAME, "/docs/a", "/docs/b", "/shared", "/gone"] {
        ana.store(path, "first");
        ana.store(path, "second");
    }
    ana.delete("/gone").is(204);
    ana.transfer("MOVE", "/docs/a", "/docs/b").send().is(204);
    for (collection, body) in [
        (
            "shares",
            json!({"path": "/shared", "to": {"account": "ben"}, "rights": "view"}),
        ),
        ("links", json!({"path": "shared"})),
    ] {
        let request = ana.raw("POST", &format!("/api/v1/{collection}"));
        request
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
            .is(201);
    }
    place
}

fn home(place: &Place, below: &str) -> PathBuf {
    place.path().join("sarang-data/homes/ana").join(below)
}

#[test]
fn a_healthy_folder_is_clean_with_a_server_and_without() {
    let place = used();
    for is_running in [false, true] {
        let _serving = is_running.then(|| place.serve());
        let (text, clean) = check(&place, &[]);
        assert!(clean && text.contains("nothing is wrong"), "{text}");
        assert!(
            text.contains("Note: The account ben has no folder in homes"),
            "{text}"
        );
        assert!(!text.contains("shows nothing"), "{text}");
        assert_eq!(text.contains("A server is running"), is_running);
    }
    assert!(
        !place.path().join("sarang-data/homes/ben").exists(),
        "to look makes nothing"
    );
    let (text, clean) = check(&Place::new(), &[]);
    assert!(!clean && text.contains("There is no data folder"), "{text}");
}

#[test]
fn each_damage_is_found_and_what_can_be_repaired_is() {
    let place = used();
    let versions = || {
        fs::read_dir(home(&place, ".sarang/versions"))
            .unwrap()
            .count()
    };
    let before = versions();
    for (path, text) in [
        (
            ".sarang/trash/info/ghost.18a0b1c2d3e4.trashinfo",
            "[Trash Info]\nPath=ghost\n",
        ),
        (".sarang/trash/files/orphan.txt.18a0b1c2d3e4", "orphan"),
        (".sarang/trash/files/unclear", "unclear"),
        (".sarang/trash/info/unclear.trashinfo", "garbage"),
        (".sarang/tmp/left", "left"),
        (".sarang/versions/lost/0000000000001.1", "former"),
    ] {
        fs::create_dir_all(home(&place, path).parent().unwrap()).unwrap();
        fs::write(home(&place, path), text).unwrap();
    }
    fs::create_dir(home(&place, ".sarang/versions/empty")).unwrap();
    fs::remove_file(home(&place, "shared")).unwrap();
    let data = place.path().join("sarang-data");
    fs::create_dir_all(data.join("homes/zed")).unwrap();
    fs::create_dir_all(data.join("teams/Plans")).unwrap();
    fs::write(data.join("homes/stray"), "").unwrap();
    fs::create_dir_all(data.join("state/exports")).unwrap();
    fs::write(
        data.join("state/exports/state-2026-01-01T000000Z.jsonl"),
        "torn",
    )
    .unwrap();

    let repairable = [
        "homes/ana: the note \"ghost.18a0b1c2d3e4.trashinfo\" in the trash is about nothing",
        "homes/ana: \"orphan.txt.18a0b1c2d3e4\" in the trash has no note",
        "homes/ana: \"unclear\" in the trash has a note that cannot be read",
        "homes/ana: 1 things in .sarang/tmp",
        "homes/ana: the versions in .sarang/versions/lost are of no file",
    ];
    let others = [
        "homes/stray: it is no folder",
        "state: an export is of no use",
    ];
    let notes = [
        "Note: There is no account zed, and homes/zed keeps files",
        "Note: There is no team folder Plans, and teams/Plans keeps files",
    ];
    let (text, clean) = check(&place, &[]);
    assert!(!clean, "{text}");
    for finding in repairable.iter().chain(&others).chain(&notes) {
        assert!(text.contains(finding), "{finding} is not in:\n{text}");
    }
    assert_eq!(
        text.matches("shows nothing").count(),
        2,
        "the share and the link, as notes: {text}"
    );
    // The file that was removed beside the server has left its versions, too.
    assert!(text.contains("8 findings, 0"), "{text}");
    assert!(
        !text.contains("versions/empty"),
        "where nothing is kept nothing is lost: {text}"
    );
    assert!(
        home(&place, ".sarang/tmp/left").exists(),
        "to look changes nothing"
    );

    let (text, clean) = check(&place, &["--repair"]);
    assert_eq!(
        (clean, text.matches("(repaired)").count()),
        (false, 6),
        "{text}"
    );
    let (text, _) = check(&place, &[]);
    assert!(
        text.contains("2 findings, 0") && others.iter().all(|finding| text.contains(finding)),
        "{text}"
    );
    assert_eq!(versions(), before - 1, "the empty one goes, too");
    let serving = place.serve();
    let trash = serving
        .ana()
        .raw("GET", "/api/v1/trash")
        .send()
        .is(200)
        .text();
    for name in ["/orphan.txt", "/unclear", "/Versions of a lost file (lost)"] {
        assert!(trash.contains(name), "{name} is not in {trash}");
    }
}

#[test]
fn beside_a_server_nothing_is_repaired_and_the_books_are_looked_at() {
    let place = used();
    let serving = place.serve();
    assert_eq!(
        serving
            .ana()
            .props("/", "0", "<D:quota-used-bytes/>")
            .is(207)
            .status,
        207
    );
    let (text, clean) = check(&place, &["--repair"]);
    assert!(!clean && text.contains("Stop the server first"), "{text}");
    fs::write(home(&place, "beside"), vec![b'x'; 12_345]).unwrap();
    fs::write(home(&place, ".sarang/tmp/under way"), "").unwrap();
    fs::write(home(&place, ".sarang/trash/info/under way.trashinfo"), "").unwrap();
    let (text, clean) = check(&place, &[]);
    assert!(
        clean && text.contains("The usage of home/ana was noted as"),
        "{text}"
    );
    let (text, _) = check(&place, &[]);
    assert!(!text.contains("The usage of"), "{text}");
    fs::write(place.path().join("sarang-data/homes/stray"), "").unwrap();
    let (text, clean) = check(&place, &[]);
    assert!(
        !clean && text.contains("homes/stray: it is no folder"),
        "{text}"
    );
}

#[test]
fn a_scrub_names_the_file_that_has_rotted() {
    let place = used();
    let (text, clean) = check(&place, &["--scrub"]);
    assert!(
        clean && text.contains("Read ") && text.contains("nothing is wrong"),
        "{text}"
    );
    let file = home(&place, "docs/b");
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let open = fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_at(&open, b"F", 0).unwrap();
    open.set_modified(time).unwrap();
    for is_running in [false, true] {
        let _serving = is_running.then(|| place.serve());
        let (text, clean) = check(&place, &["--scrub"]);
        assert!(
            !clean && text.contains("homes/ana: docs/b is not what was uploaded"),
            "{text}"
        );
        assert!(text.contains("1 findings"), "{text}");
    }
    let (text, clean) = check(&place, &[]);
    assert!(clean, "only a scrub reads: {text}");
}
