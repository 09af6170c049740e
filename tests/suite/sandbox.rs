//! The server's sandbox: what the settings did not name at its start is out of its reach, and nothing that it is for is.

use crate::harness::poll;
use crate::program::{PASSWORD, Place, SARANG, Serving};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

fn begin(place: &Place, settings: &str) -> Serving {
    fs::write(place.path().join("config.toml"), settings).unwrap();
    place.serve_by(&format!("exec {SARANG} serve 2>log"))
}

fn log(place: &Place) -> String {
    fs::read_to_string(place.path().join("log")).unwrap()
}

fn has_landlock(place: &Place) -> bool {
    assert!(poll(Duration::from_secs(20), || log(place)
        .contains("andbox")
        || log(place).contains("Landlock")));
    let has = log(place).contains("confined by Landlock");
    if !has {
        println!("not run: this kernel has no Landlock");
    }
    has
}

/// Writes other settings, and returns what is logged when they are read again.
fn reread(place: &Place, serving: &Serving, settings: &str) -> String {
    fs::write(place.path().join("config.toml"), settings).unwrap();
    kill_process(
        Pid::from_raw(i32::try_from(serving.pid()).unwrap()).unwrap(),
        Signal::HUP,
    )
    .unwrap();
    let is_read = || log(place).contains("SIGHUP") || log(place).contains("cannot be used");
    assert!(poll(Duration::from_secs(20), is_read), "{}", log(place));
    log(place)
}

fn provider(secret: &TempDir) -> String {
    let file = secret.path().join("secret");
    fs::write(&file, "the secret\n").unwrap();
    format!(
        "[openid]\nissuer = \"https://127.0.0.1:9\"\nclient_id = \"sarang\"\nclient_secret_file = \"{}\"\n\n\
         [server]\npublic_url = \"https://files.example.org\"\n",
        file.display()
    )
}

#[test]
fn a_file_that_no_setting_named_at_the_start_is_out_of_reach() {
    let (place, elsewhere) = (Place::new(), TempDir::new().unwrap());
    let serving = begin(&place, "");
    if !has_landlock(&place) {
        return;
    }
    let said = reread(&place, &serving, &provider(&elsewhere));
    assert!(said.contains("Permission denied"), "{said}");
}

#[test]
fn without_the_sandbox_and_for_what_was_named_nothing_is() {
    let elsewhere = TempDir::new().unwrap();
    for (settings, later) in [
        (
            "[server]\nsandbox = false\n".to_owned(),
            provider(&elsewhere),
        ),
        (
            provider(&elsewhere),
            format!("{}max_connections = 99\n", provider(&elsewhere)),
        ),
    ] {
        let place = Place::new();
        let serving = begin(&place, &settings);
        let said = reread(&place, &serving, &later);
        assert!(
            !said.contains("Permission denied") && said.contains("SIGHUP"),
            "{said}"
        );
    }
}

#[test]
fn what_a_link_leads_to_later_is_within_reach() {
    let (place, elsewhere) = (Place::new(), TempDir::new().unwrap());
    let link = elsewhere.path().join("current");
    for version in ["v1", "v2"] {
        fs::create_dir(elsewhere.path().join(version)).unwrap();
        fs::write(elsewhere.path().join(version).join("secret"), version).unwrap();
    }
    std::os::unix::fs::symlink("v1", &link).unwrap();
    let settings = format!(
        "[openid]\nissuer = \"https://127.0.0.1:9\"\nclient_id = \"sarang\"\nclient_secret_file = \"{}\"\n\n\
         [server]\npublic_url = \"https://files.example.org\"\n",
        link.join("secret").display()
    );
    let serving = begin(&place, &settings);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("v2", &link).unwrap();
    let said = reread(
        &place,
        &serving,
        &format!("{settings}max_connections = 99\n"),
    );
    assert!(
        !said.contains("Permission denied") && said.contains("SIGHUP"),
        "{said}"
    );
}

#[test]
fn an_allowed_folder_that_comes_later_is_within_reach() {
    let (place, disks) = (Place::new(), TempDir::new().unwrap());
    let disk = disks.path().join("disk");
    let serving = begin(
        &place,
        &format!("[storage]\nallowed = [\"{}\"]\n", disk.display()),
    );
    fs::create_dir_all(disk.join("ana")).unwrap();
    let home = disk.join("ana");
    let added = place.run(
        &[
            "user",
            "add",
            "ana",
            "--home",
            home.to_str().unwrap(),
            "--password-stdin",
        ],
        PASSWORD,
    );
    assert!(added.status.success(), "{added:?}");
    let ana = serving.ana();
    ana.put("/a", "kept").is(201);
    ana.put("/a", "anew").is(204);
    ana.transfer("MOVE", "/a", "/b").send().is(201);
    ana.delete("/b").is(204);
    assert!(home.join(".sarang/trash/files").read_dir().unwrap().count() == 1);
    ana.put("/c", "kept").is(201);
    drop(serving);
    let serving = begin(&place, "");
    if has_landlock(&place) {
        serving.ana().get("/c").is(503);
    }
    drop(serving);
    begin(&place, "[server]\nsandbox = false\n")
        .ana()
        .holds("/c", "kept");
}

#[test]
fn a_home_that_a_link_leads_to_is_within_reach_from_the_next_start_on() {
    let (place, disk) = (Place::new(), TempDir::new().unwrap());
    place.add_ana();
    let serving = begin(&place, "");
    serving.ana().put("/a", "kept").is(201);
    drop(serving);
    let (home, moved) = (
        place.path().join("sarang-data/homes/ana"),
        disk.path().join("ana"),
    );
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&home)
        .arg(&moved)
        .status()
        .unwrap();
    assert!(copied.success());
    fs::remove_dir_all(&home).unwrap();
    std::os::unix::fs::symlink(&moved, &home).unwrap();
    let serving = begin(&place, "");
    serving.ana().holds("/a", "kept");
    serving.ana().put("/a", "anew").is(204);
}
