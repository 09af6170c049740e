//! Homes on disks that behave oddly: a file that another program holds a lease on, a file system mounted inside a home.

use crate::harness::{Immutable, PASSWORD, TestServer};
use crate::program::Place;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that holds a write lease on a file and does not give it up, as a file server that hangs.
pub struct Lease(Child);

impl Lease {
    /// `None` where there is no Python, or the file system knows no leases.
    pub fn take(path: &Path) -> Option<Self> {
        let script = "import fcntl, os, signal, sys\n\
                      signal.signal(signal.SIGIO, signal.SIG_IGN)\n\
                      file = os.open(sys.argv[1], os.O_RDWR)\n\
                      fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
                      print('held', flush=True)\n\
                      sys.stdin.read()";
        let mut command = Command::new("python3");
        let piped = command
            .args(["-c", script])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::null()).spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let lease = Self(child);
        (line == "held\n").then_some(lease)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU time of a process so far.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[test]
fn a_leased_file_is_503_without_spinning() {
    // A process of its own: that of the tests has others running beside.
    let place = Place::new();
    place.add_ana();
    let serving = place.serve();
    let ana = serving.ana();
    ana.store("/leased", "x");
    let Some(lease) = Lease::take(&place.path().join("sarang-data/homes/ana/leased")) else {
        return eprintln!("skipped: needs python3 and a file system with leases");
    };
    let (began, before) = (Instant::now(), cpu(serving.pid()));
    let reply = ana.get("/leased").is(503);
    assert!(reply.header("retry-after").is_some(), "{reply}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "it waits for seconds, not until the kernel takes the lease away"
    );
    let spent = cpu(serving.pid()).saturating_sub(before);
    assert!(
        spent < began.elapsed() / 10,
        "{spent:?} of CPU in {:?}",
        began.elapsed()
    );
    drop(lease);
    ana.holds("/leased", "x");
}

/// A small file system of its own, mounted over a folder.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` without the right to mount.
    fn over(folder: &Path) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "none"])
            .arg(folder)
            .stderr(Stdio::null())
            .status();
        mount
            .is_ok_and(|status| status.success())
            .then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn writing_across_a_mount_point_inside_a_home_is_403_and_says_so() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/disk").is(201);
    ana.store("/here", "x");
    let folder = server.home("ana").join("disk");
    let Some(_mounted) = Mounted::over(&folder) else {
        return eprintln!("skipped: only root may mount");
    };
    std::fs::File::create(folder.join("there"))
        .unwrap()
        .write_all(b"y")
        .unwrap();
    std::fs::create_dir(folder.join("sub")).unwrap();
    ana.holds("/disk/there", "y");
    let said = |reply: crate::harness::Reply, what: &str| {
        assert_eq!(reply.status, 403, "{what}: {reply}");
        assert!(
            reply.text().contains("another file system"),
            "{what}: {reply}"
        );
    };
    said(ana.put("/disk/new", "z"), "PUT of a new file");
    said(ana.put("/disk/there", "z"), "PUT over a file");
    said(
        ana.transfer("MOVE", "/here", "/disk/here").send(),
        "MOVE into it",
    );
    said(
        ana.transfer("MOVE", "/disk/there", "/out").send(),
        "MOVE out of it",
    );
    said(
        ana.transfer("COPY", "/here", "/disk/here").send(),
        "COPY into it",
    );
    said(ana.delete("/disk/there"), "DELETE");
    said(ana.delete("/disk/sub"), "DELETE of a folder");
    ana.holds("/disk/there", "y");
    ana.holds("/here", "x");
    ana.transfer("COPY", "/disk/there", "/out").send().is(201);
}

/// A folder that is seen in another place, too.
fn bind(folder: &Path, over: &Path) -> bool {
    let mount = Command::new("mount")
        .arg("--bind")
        .args([folder, over])
        .stderr(Stdio::null())
        .status();
    mount.is_ok_and(|status| status.success())
}

#[test]
fn what_is_mounted_inside_a_home_keeps_its_properties_while_it_is_away() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/disk").is(201);
    ana.store("/here", "x");
    let (folder, other) = (
        server.home("ana").join("disk"),
        tempfile::tempdir().unwrap(),
    );
    std::fs::create_dir(other.path().join("sub")).unwrap();
    for name in ["saved", "moved", "sub/copied"] {
        std::fs::write(other.path().join(name), "x").unwrap();
    }
    let set = |path: &str, letter: &str| {
        let value = letter.repeat(20_000);
        ana.proppatch(
            path,
            &format!("<D:set><D:prop><x:p>{value}</x:p></D:prop></D:set>"),
        )
        .send()
        .is(207);
    };
    let has = |path: &str, letter: &str| {
        let text = ana.propfind(path, "0").is(207).text();
        assert!(
            text.contains(&letter.repeat(20_000)),
            "{path} has lost its properties: {} bytes",
            text.len()
        );
    };
    let overflow = || {
        std::fs::read_dir(server.home("ana").join(".sarang/props"))
            .unwrap()
            .count()
    };
    let sweep = || server.block_on(server.app().expire_history()).unwrap();
    if !bind(other.path(), &folder) {
        return eprintln!("skipped: only root may mount");
    }
    let mut mounted = Mounted(folder.clone());
    set("/disk/saved", "a");
    if overflow() == 0 {
        return eprintln!("skipped: this file system keeps such properties in attributes");
    }
    // Another program takes a file there, with its attributes; a look through the tree finds it.
    set("/here", "b");
    let moved = Command::new("mv")
        .arg(server.home("ana").join("here"))
        .arg(folder.join("moved"))
        .status();
    assert!(moved.is_ok_and(|status| status.success()));
    ana.store("/loose", "x");
    set("/loose", "c");
    set("/loose", "d");
    sweep();
    for away in [1, 2] {
        drop(mounted);
        ana.lacks("/disk/saved");
        set("/loose", &away.to_string());
        sweep();
        assert!(bind(other.path(), &folder));
        mounted = Mounted(folder.clone());
        has("/disk/saved", "a");
        has("/disk/moved", "b");
        has("/loose", &away.to_string());
    }
    // Once it is there again, what is loose goes.
    set("/loose", "e");
    sweep();
    assert_eq!(overflow(), 3);
    drop(mounted);
}

/// A bind mount, which may be of the same file system.
struct Bound(PathBuf);

impl Bound {
    fn over(folder: &Path, other: &Path) -> Option<Self> {
        bind(other, folder).then(|| Self(folder.to_owned()))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn what_is_mounted_inside_a_folder_is_not_deleted_with_it() {
    let (server, other) = (TestServer::start(), tempfile::tempdir().unwrap());
    let ana = server.ana();
    let precious = other.path().join("precious");
    std::fs::write(&precious, "x").unwrap();
    for folder in ["/m", "/m/disk", "/else", "/gone", "/gone/disk"] {
        ana.mkcol(folder).is(201);
    }
    let Some(mounted) = Bound::over(&server.home("ana").join("m/disk"), other.path()) else {
        return eprintln!("skipped: only root may mount");
    };
    for path in ["/m/disk/precious", "/m/disk", "/m"] {
        let refused = ana.delete(path).is(403).text();
        assert!(refused.contains("another file system"), "{path}: {refused}");
    }
    ana.transfer("MOVE", "/else", "/m").send().is(403);
    ana.transfer("COPY", "/else", "/m").send().is(403);
    ana.holds("/m/disk/precious", "x");
    drop(mounted);
    // Mounted in the trash, by whoever does such a thing: what is deleted for good stops there.
    ana.delete("/gone").is(204);
    let trash = server.home("ana").join(".sarang/trash/files");
    let gone = std::fs::read_dir(&trash)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mounted = Bound::over(&gone.join("disk"), other.path()).unwrap();
    ana.raw("DELETE", "/api/v1/trash").send().is(403);
    assert!(precious.exists());
    drop(mounted);
    ana.delete("/m").is(204);
}

#[test]
fn what_is_mounted_inside_a_home_is_not_deleted_with_its_account() {
    let (server, other) = (TestServer::start(), tempfile::tempdir().unwrap());
    let (ben, root) = (server.ben(), crate::shares::admin(&server));
    let precious = other.path().join("precious");
    std::fs::write(&precious, "x").unwrap();
    ben.mkcol("/disk").is(201);
    let Some(_mounted) = Bound::over(&server.home("ben").join("disk"), other.path()) else {
        return eprintln!("skipped: only root may mount");
    };
    root.raw("DELETE", "/api/v1/accounts/ben?files=purge")
        .send();
    assert!(precious.exists());
}

#[test]
fn a_home_behind_a_link_is_not_moved_without_its_files_and_is_deleted_with_them() {
    let (server, disk) = (TestServer::start(), tempfile::tempdir().unwrap());
    crate::shares::admin(&server);
    server.ana().mkcol("/x").is(201);
    server.ben().store("/a", "kept");
    let (home, moved) = (server.home("ben"), disk.path().join("ben"));
    let server = {
        let copied = Command::new("cp")
            .arg("-a")
            .arg(&home)
            .arg(&moved)
            .status()
            .unwrap();
        assert!(copied.success());
        std::fs::remove_dir_all(&home).unwrap();
        std::os::unix::fs::symlink(&moved, &home).unwrap();
        server.restart()
    };
    let (ben, root) = (
        server.stranger().signed_in("ben", PASSWORD),
        server.stranger().signed_in("root", PASSWORD),
    );
    ben.holds("/a", "kept");
    let refused = root
        .raw("DELETE", "/api/v1/accounts/ben?files=transfer&to=ana")
        .send()
        .is(403)
        .text();
    assert!(refused.contains("symbolic link"), "{refused}");
    ben.holds("/a", "kept");
    root.raw("DELETE", "/api/v1/accounts/ben?files=purge")
        .send()
        .is(200);
    assert!(!moved.join("a").exists() && !moved.join(".sarang").exists());
}

#[test]
fn what_cannot_be_deleted_of_a_crash_keeps_nothing_else_there() {
    let server = TestServer::start();
    server.ana().store("/a", "x");
    let tmp = server.home("ana").join(".sarang/tmp");
    for n in 0..5 {
        std::fs::write(tmp.join(format!("left{n}")), "x").unwrap();
    }
    let first = std::fs::read_dir(&tmp)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let Some(immutable) = Immutable::make(&first) else {
        return;
    };
    let server = server.restart();
    server.ana().holds("/a", "x");
    let left: Vec<_> = std::fs::read_dir(&tmp)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    drop(immutable);
    assert_eq!(left, [first]);
}

#[test]
fn purging_stops_at_a_mount_and_leaves_the_mode_of_its_disk() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.mkcol("/d/disk").is(201);
    ana.delete("/d").is(204);
    let trash = server.home("ana").join(".sarang/trash/files");
    let entry = std::fs::read_dir(&trash).unwrap().next().unwrap().unwrap();
    let (point, other) = (entry.path().join("disk"), tempfile::tempdir().unwrap());
    let read_only = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions(other.path(), read_only).unwrap();
    if !bind(other.path(), &point) {
        return println!("skipped: only root may mount");
    }
    ana.raw("DELETE", "/api/v1/trash").send();
    let mode = std::fs::metadata(other.path())
        .unwrap()
        .permissions()
        .mode();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    for line in mounts.lines() {
        let at = line.split(' ').nth(1).unwrap();
        if at.starts_with(server.data().to_str().unwrap()) {
            Command::new("umount").args(["-l", at]).status().unwrap();
        }
    }
    assert_eq!(mode & 0o777, 0o555);
}
