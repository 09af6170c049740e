//! The program itself: what it prints, how it ends, what it refuses to start on, whom its files are open to.

use crate::harness::{Client, Connection, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub const SARANG: &str = env!("CARGO_BIN_EXE_sarang");
pub const PASSWORD: &str = "blue kettle 77";

/// A folder to run the program in.
pub struct Place(TempDir);

/// `sarang serve`, told to stop when dropped.
pub struct Serving {
    child: Child,
    pub address: SocketAddr,
    greeting: Vec<String>,
}

impl Place {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn at(folder: TempDir) -> Self {
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program, free of the settings of whoever runs the tests.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SARANG_"))
        {
            command.env_remove(name);
        }
        command
            .current_dir(self.path())
            .env("SARANG_SERVER__LISTEN", "127.0.0.1:0");
        command
    }

    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(SARANG);
        let piped = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    pub fn add_ana(&self) {
        let output = self.run(&["user", "add", "ana", "--password-stdin"], PASSWORD);
        assert!(output.status.success(), "{output:?}");
    }

    pub fn serve(&self) -> Serving {
        self.serve_by(&format!("exec {SARANG} serve"))
    }

    /// Serves by a line of shell.
    pub fn serve_by(&self, line: &str) -> Serving {
        self.serve_with(line, |_| ())
    }

    /// The same by a command that is changed before it runs.
    pub fn serve_with(&self, line: &str, change: impl FnOnce(&mut Command)) -> Serving {
        let mut command = self.command("sh");
        command
            .args(["-c", line])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let mut greeting = Vec::new();
        for line in lines.by_ref() {
            greeting.push(line);
            if greeting
                .last()
                .is_some_and(|line| line.starts_with("Mount: "))
            {
                break;
            }
        }
        let first = greeting.first().expect("a greeting");
        let address = first
            .trim_start_matches("Sarang serves http://")
            .trim_end_matches("/dav/")
            .parse()
            .unwrap();
        Serving {
            child,
            address,
            greeting,
        }
    }
}

impl Serving {
    pub fn ana(&self) -> Client {
        Client::new(self.address, Some(("ana", PASSWORD)))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn greeting(&self) -> String {
        self.greeting.join("\n")
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    /// The exit code, once it has ended.
    pub fn end(&mut self) -> Option<i32> {
        let mut status = None;
        poll(Duration::from_secs(20), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.terminate();
        if self.end().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_says_where_it_is_and_hears_commands_from_that_moment_on() {
    let place = Place::new();
    let serving = place.serve();
    let text = serving.greeting.join("\n");
    assert!(
        text.contains("/setup?token=") && text.contains("sarang user add NAME"),
        "{text}"
    );
    place.add_ana();
    serving.ana().store("/a", "x");
    drop(serving);
    let again = place.serve();
    assert!(
        !again.greeting.join("\n").contains("/setup"),
        "{:?}",
        again.greeting
    );
    again.ana().holds("/a", "x");
}

#[test]
fn an_upload_under_way_ends_before_the_program_does() {
    let place = Place::new();
    place.add_ana();
    let mut serving = place.serve();
    let mut slow = Connection::open(serving.address);
    let whole = serving
        .ana()
        .request("PUT", "/slow")
        .body("0123456789")
        .bytes();
    let (first, rest) = whole.split_at(whole.len() - 5);
    slow.write(first).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    serving.terminate();
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        serving.child.try_wait().unwrap().is_none(),
        "it does not wait"
    );
    slow.write(rest).unwrap();
    slow.read_reply(false, "PUT /slow").unwrap().is(201);
    assert_eq!(serving.end(), Some(0));
    assert_eq!(
        std::fs::read(place.path().join("sarang-data/homes/ana/slow")).unwrap(),
        b"0123456789"
    );
    assert!(!place.path().join("sarang-data/control.sock").exists());
}

#[test]
fn a_log_that_nobody_reads_stops_neither_the_server_nor_its_end() {
    let place = Place::new();
    place.add_ana();
    let line = format!("exec {SARANG} serve");
    let mut serving = place.serve_with(&line, |command| {
        command
            .env("SARANG_SERVER__SHUTDOWN_GRACE", "1")
            .stderr(Stdio::piped());
    });
    // 400 KB of log, of which the pipe takes 64.
    let client = Client::new(serving.address, None);
    let agent = "a".repeat(100);
    for _ in 0..2000 {
        let request = client.raw("GET", "/healthz").header("User-Agent", &agent);
        request.send().is(200);
    }
    drop(client);
    let began = std::time::Instant::now();
    serving.terminate();
    assert_eq!(serving.end(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
    let mut log = String::new();
    let mut stderr = serving.child.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert!(log.len() > 30_000, "it was not read: {}", log.len());
}

#[test]
fn what_was_acknowledged_under_load_is_there_after_the_end() {
    let place = Place::new();
    place.add_ana();
    let mut serving = place.serve();
    let address = serving.address;
    let stored: Vec<String> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|at| scope.spawn(move || store_until_the_end(address, at)))
            .collect();
        std::thread::sleep(Duration::from_secs(1));
        serving.terminate();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    });
    assert_eq!(serving.end(), Some(0));
    assert!(stored.len() > 20, "{}", stored.len());
    let home = place.path().join("sarang-data/homes/ana");
    for name in stored {
        assert_eq!(std::fs::read(home.join(&name)).unwrap(), name.as_bytes());
    }
    assert_eq!(
        std::fs::read_dir(home.join(".sarang/tmp")).unwrap().count(),
        0,
        "temporary files are left"
    );
}

/// Puts file after file until the server goes, and returns the names of those it has acknowledged.
fn store_until_the_end(address: SocketAddr, at: usize) -> Vec<String> {
    let (client, mut connection) = (
        Client::new(address, Some(("ana", PASSWORD))),
        Connection::open(address),
    );
    let mut stored = Vec::new();
    loop {
        let name = format!("{at}-{}", stored.len());
        let request = client
            .request("PUT", &format!("/{name}"))
            .body(&name)
            .bytes();
        // The end of the server is the end of the connection, never a wrong answer.
        match connection.exchange(request).status {
            201 => stored.push(name),
            0 => return stored,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_proxy_that_is_not_trusted_is_told_of_once_in_the_log_and_in_the_overview() {
    let place = Place::new();
    let serving = place.serve_by(&format!("exec {SARANG} serve 2> log"));
    for n in 0..5 {
        let client = Client::new(serving.address, None);
        client
            .raw("GET", "/healthz")
            .header("X-Forwarded-For", format!("192.0.2.{n}"))
            .send()
            .is(200);
    }
    let overview = place.run(&["overview"], "");
    let overview = String::from_utf8(overview.stdout).unwrap();
    assert!(
        overview.contains("127.0.0.1 sends X-Forwarded-For"),
        "{overview}"
    );
    drop(serving);
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert_eq!(log.matches("X-Forwarded-For").count(), 1, "{log}");
}

#[test]
fn administrators_see_and_change_the_same_with_a_server_and_without() {
    let place = Place::new();
    let ran = |arguments: &[&str]| {
        let output = place.run(arguments, PASSWORD);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = |arguments: &[&str]| {
        let output = place.run(arguments, PASSWORD);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        said(&output)
    };
    ran(&["user", "add", "zoe", "--admin", "--password-stdin"]);
    place.add_ana();
    for is_running in [false, true] {
        let serving = is_running.then(|| place.serve());
        assert!(refused(&["user", "role", "zoe", "user"]).contains("last administrator"));
        assert!(
            refused(&["user", "remove", "zoe", "--purge-files"]).contains("last administrator")
        );
        assert!(ran(&["user", "role", "ana", "admin"]).contains("ana is an administrator"));
        ran(&["user", "role", "ana", "user"]);
        let overview: serde_json::Value =
            serde_json::from_str(&ran(&["overview", "--json"])).unwrap();
        assert_eq!(
            (&overview["accounts"], &overview["administrators"]),
            (&2.into(), &1.into())
        );
        assert!(ran(&["status"]).contains("2, 1 administer, 0 disabled"));
        assert!(refused(&["lock", "break", "nothing"]).contains("There is no lock nothing."));
        if let Some(serving) = &serving {
            serving.ana().lock("/open").send().is(201);
            let locks: serde_json::Value =
                serde_json::from_str(&ran(&["lock", "list", "--json"])).unwrap();
            assert!(ran(&["lock", "list"]).contains("home/ana/open  open by ana since 20"));
            ran(&["lock", "break", locks[0]["id"].as_str().unwrap()]);
            serving.ana().store("/open", "x");
        }
        assert_eq!(ran(&["lock", "list"]), "Nothing is locked.\n");
    }
    let moved = ran(&["user", "remove", "ana", "--transfer-to", "zoe"]);
    assert!(moved.contains("\"/Files of ana\""), "{moved}");
    assert_eq!(
        std::fs::read(place.path().join("sarang-data/homes/zoe/Files of ana/open")).unwrap(),
        b"x"
    );
    let log = ran(&["audit", "--account", "ana", "--kind", "account-changed"]);
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(
        log.contains("account-changed  ana  by the command line: role admin"),
        "{log}"
    );
    let entries: serde_json::Value =
        serde_json::from_str(&ran(&["audit", "--json", "--limit", "1"])).unwrap();
    assert_eq!(
        (&entries[0]["kind"], &entries[1]),
        (&"account-removed".into(), &serde_json::Value::Null)
    );
    let document: serde_json::Value = serde_json::from_str(&ran(&["openapi"])).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn the_first_entry_of_the_audit_log_is_kept_in_a_folder_with_a_relative_path() {
    for folder in ["sarang-data", ".", "a/b"] {
        let place = Place::new();
        let run = |arguments: &[&str], input: &str| {
            let mut command = place.command(SARANG);
            let mut child = command
                .env("SARANG_DATA_DIR", folder)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut to = child.stdin.take().unwrap();
            to.write_all(input.as_bytes()).unwrap();
            drop(to);
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{folder} {arguments:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let add = ["user", "add", "ana", "--admin", "--password-stdin"];
        run(&add, PASSWORD);
        let log = run(&["audit"], "");
        assert!(log.contains("account-created"), "{folder}: {log}");
    }
}

#[test]
fn the_past_is_seen_and_restored_with_a_server_and_without() {
    let place = Place::new();
    let ran = |arguments: &[&str]| {
        let output = place.run(arguments, PASSWORD);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let read = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    place.add_ana();
    let serving = place.serve();
    let ana = serving.ana();
    for content in ["one", "second"] {
        ana.store("/x", content);
    }
    for name in ["/y", "/z"] {
        ana.store(name, "kept");
        ana.delete(name).is(204);
    }
    let trash = read(ran(&["trash", "list", "ana", "--json"]));
    assert_eq!(
        (&trash["trash"][0]["path"], &trash["trash"][1]["path"]),
        (&"/z".into(), &"/y".into()),
        "{trash}"
    );
    assert!(
        ran(&["trash", "list", "ana"]).contains("  /z  4 B"),
        "{}",
        ran(&["trash", "list", "ana"])
    );
    assert_eq!(
        ran(&[
            "trash",
            "restore",
            "ana",
            trash["trash"][0]["id"].as_str().unwrap()
        ]),
        "Restored /z.\n"
    );
    ana.holds("/z", "kept");
    drop(ana);
    drop(serving);
    let versions = read(ran(&["versions", "list", "ana", "/x", "--json"]));
    let id = versions["versions"][0]["id"].as_str().unwrap();
    assert_eq!(
        ran(&["versions", "restore", "ana", "/x", id]),
        "Restored /x.\n"
    );
    let home = place.path().join("sarang-data/homes/ana");
    assert_eq!(std::fs::read(home.join("x")).unwrap(), b"one");
    let dry = ran(&[
        "rewind",
        "ana",
        "/",
        "--to",
        "2001-01-01T00:00:00Z",
        "--dry-run",
    ]);
    assert!(
        dry.contains("to the trash    /x\n") && dry.contains("Every change is known since 20"),
        "{dry}"
    );
    let done = read(ran(&[
        "rewind",
        "ana",
        "/",
        "--to",
        "2001-01-01T00:00:00Z",
        "--only",
        "/z",
        "--json",
    ]));
    assert_eq!(
        done["rewound"]["changes"][0]["change"], "discarded",
        "{done}"
    );
    assert!(home.join("x").exists() && !home.join("z").exists());
    assert_eq!(
        ran(&["trash", "purge", "ana", "--all"]),
        "Deleted 2 items for good.\n"
    );
    assert_eq!(ran(&["trash", "list", "ana"]), "The trash is empty.\n");
    assert!(
        ran(&["audit", "--kind", "history-purged"])
            .contains("ana  by the command line: all of the trash: 2")
    );
    assert_eq!(
        ran(&["audit", "--kind", "history-restored"])
            .lines()
            .count(),
        3
    );
}

/// `sarang health` for a server on this address.
fn health(place: &Place, address: SocketAddr) -> (Option<i32>, String) {
    let mut command = place.command(SARANG);
    let output = command
        .arg("health")
        .env("SARANG_SERVER__LISTEN", address.to_string())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    )
}

#[test]
fn health_says_whether_the_server_is_ready() {
    let place = Place::new();
    place.add_ana();
    let mut serving = place.serve();
    let address = serving.address;
    assert_eq!(
        health(&place, address),
        (Some(0), "The server is ready.\n".to_owned())
    );
    serving.terminate();
    assert_eq!(serving.end(), Some(0));
    drop(serving);
    let (code, said) = health(&place, address);
    assert!(
        code == Some(1) && said.contains(&format!("The server does not answer on {address}")),
        "{code:?} {said}"
    );
    // What answers, and is not ready.
    for (answer, sentence) in [
        ("HTTP/1.1 503 x\r\n\r\n", "is not ready: it answers 503"),
        ("SSH-2.0-OpenSSH_9.2", "no HTTP server"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 17];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            question
        });
        let (code, said) = health(&place, address);
        assert!(
            code == Some(1) && said.contains(sentence),
            "{code:?} {said}"
        );
        assert_eq!(&other.join().unwrap(), b"GET /readyz HTTP/");
    }
    let (code, said) = health(&place, SocketAddr::from(([127, 0, 0, 1], 0)));
    assert!(
        code == Some(1) && said.contains("no address with a port"),
        "{code:?} {said}"
    );
}

#[test]
fn a_folder_in_use_is_refused_with_the_process_that_has_it() {
    let place = Place::new();
    let serving = place.serve();
    let second = place.run(&["serve"], "");
    assert_eq!(second.status.code(), Some(1));
    let sentence = format!("in use by process {} since", serving.child.id());
    assert_eq!(
        said(&second).matches(&sentence).count(),
        1,
        "{}",
        said(&second)
    );
}

#[test]
fn a_taken_port_is_named_once() {
    let (place, other) = (Place::new(), Place::new());
    let serving = place.serve();
    let mut command = other.command(SARANG);
    let output = command
        .arg("serve")
        .env("SARANG_SERVER__LISTEN", serving.address.to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output).matches(&serving.address.to_string()).count(),
        1,
        "{}",
        said(&output)
    );
}

#[test]
fn mistakes_in_settings_name_where_they_are() {
    let place = Place::new();
    std::fs::write(
        place.path().join("config.toml"),
        "[log]\nlevel = \"info\"\nlevle = 1\n",
    )
    .unwrap();
    let output = place.run(&["serve"], "");
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(
        text.contains("config.toml") && text.contains("line 3") && text.contains("levle"),
        "{text}"
    );

    std::fs::write(
        place.path().join("config.toml"),
        "[log]\nlevel = \"info\"\n",
    )
    .unwrap();
    let mut command = place.command(SARANG);
    let output = command
        .args(["config", "check"])
        .env("SARANG_LOG__LEVLE", "warn")
        .output()
        .unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("SARANG_LOG__LEVLE") && text.contains("unknown field"),
        "{text}"
    );
    assert!(!text.contains("config.toml"), "the file is right: {text}");
}

#[test]
fn settings_that_cannot_be_reached_are_told_and_those_in_use_named() {
    let place = Place::new();
    let log = || std::fs::read_to_string(place.path().join("log")).unwrap();
    let line = format!("exec {SARANG} serve 2> log");
    drop(place.serve_by(&line));
    assert!(log().contains("no file of settings"), "{}", log());
    let file = place.path().join("config.toml");
    std::os::unix::fs::symlink("elsewhere.toml", &file).unwrap();
    let output = place.run(&["serve"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said(&output).contains("The settings in config.toml cannot be read"),
        "{}",
        said(&output)
    );
    std::fs::write(place.path().join("elsewhere.toml"), "").unwrap();
    drop(place.serve_by(&line));
    let sentence = format!("the settings are read from {}", file.display());
    assert!(log().contains(&sentence), "{}", log());
}

#[test]
fn what_another_user_may_not_reach_does_not_count_as_absent() {
    let place = Place::new();
    place.add_ana();
    if !give(place.path(), 4242) {
        return eprintln!("skipped: only root can act as another user");
    }
    let serve_as_other = |data_dir: &str| {
        let line = format!("exec setpriv --reuid 4243 --regid 4243 --clear-groups {SARANG} serve");
        let mut command = place.command("sh");
        let output = command
            .args(["-c", &line])
            .env("SARANG_DATA_DIR", data_dir)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        said(&output)
    };
    // The folder of the settings.
    let closed = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(place.path(), closed).unwrap();
    let text = serve_as_other("sarang-data");
    assert!(
        text.contains("The settings in config.toml cannot be read"),
        "{text}"
    );
    // The state.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path(), open).unwrap();
    let text = serve_as_other("sarang-data");
    assert!(
        text.contains("belongs to the user with id 4242") && text.contains("sudo chown -R 4243"),
        "{text}"
    );
    // The data folder.
    let text = serve_as_other("sarang-data/homes");
    assert!(
        text.contains("The data folder sarang-data/homes cannot be reached"),
        "{text}"
    );
}

#[test]
fn a_reader_that_is_gone_is_no_failure_and_a_full_one_no_panic() {
    let place = Place::new();
    place.add_ana();
    let mut command = place.command(SARANG);
    let mut listing = command
        .args(["user", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(listing.stdout.take());
    let output = listing.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(said(&output), "");
    let line = format!("exec {SARANG} restore nowhere 2> /dev/full");
    let failed = place.command("sh").args(["-c", &line]).status().unwrap();
    assert_eq!(failed.code(), Some(1));
}

#[test]
fn nothing_in_the_data_folder_is_open_to_others() {
    let place = Place::new();
    place.add_ana();
    let serving = place.serve_by(&format!("umask 000; exec {SARANG} serve"));
    serving.ana().store("/a", "x");
    serving.ana().mkcol("/b").is(201);
    serving.ana().delete("/a").is(204);
    let mut waiting = vec![place.path().join("sarang-data")];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        let facts = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(
            facts.permissions().mode() & 0o077,
            0,
            "{} is open to others",
            path.display()
        );
        seen += 1;
        if facts.is_dir() {
            waiting.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn root_acts_as_the_owner_of_the_data_folder() {
    let place = Place::new();
    place.add_ana();
    if !give(place.path(), 4242) {
        return eprintln!("skipped: only root can act as another user");
    }
    for arguments in [
        &["user", "add", "ben", "--password-stdin"][..],
        &["user", "quota", "ana", "1G"],
        &["trash", "list", "ben"],
        &["audit"],
        &["overview"],
        &["check", "--repair"],
        &["backup", "backups"],
    ] {
        let output = place.run(arguments, PASSWORD);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert_eq!(
            not_owned_by(4242, &place.path().join("sarang-data")),
            [""; 0],
            "{arguments:?}"
        );
    }
    let output = place.run(&["serve"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said(&output).contains("belongs to the user with id 4242. Start its service"),
        "{}",
        said(&output)
    );
    let data_dir = place.path().join("sarang-data");
    let advice = format!(
        "sudo -u '#4242' -g '#4242' SARANG_DATA_DIR='{}' sarang serve",
        data_dir.display()
    );
    assert!(said(&output).contains(&advice), "{}", said(&output));
}

#[test]
fn a_data_folder_of_another_user_is_not_served() {
    let place = Place::new();
    place.add_ana();
    if !give(place.path(), 4242) || !give(&place.path().join("sarang-data/state"), 4243) {
        return eprintln!("skipped: only root can give files to other users");
    }
    let serve = format!("exec setpriv --reuid 4242 --regid 4242 --clear-groups {SARANG} serve");
    let output = place.command("sh").args(["-c", &serve]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said(&output).contains("sudo chown -R 4242"),
        "{}",
        said(&output)
    );
}

/// Gives a folder and all below it to a user; false where only root may.
pub fn give(folder: &Path, user: u32) -> bool {
    let given = Command::new("chown")
        .args(["-R", &format!("{user}:{user}")])
        .arg(folder)
        .stderr(Stdio::null())
        .status();
    given.is_ok_and(|status| status.success())
}

/// What lies below a folder and belongs to another user.
pub fn not_owned_by(user: u32, folder: &Path) -> Vec<String> {
    let found = Command::new("find")
        .arg(folder)
        .args(["!", "-uid", &user.to_string()])
        .output()
        .unwrap();
    String::from_utf8(found.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_the_server_may_not_read_hides_nothing_else() {
    let place = Place::new();
    place.add_ana();
    if !give(place.path(), 4242) {
        return eprintln!("skipped: only root can make files that the server may not read");
    }
    let serving = place.serve_by(&format!(
        "exec setpriv --reuid 4242 --regid 4242 --clear-groups {SARANG} serve"
    ));
    let ana = serving.ana();
    ana.store("/open", "x");
    let home = place.path().join("sarang-data/homes/ana");
    std::fs::write(home.join("closed.txt"), "secret").unwrap();
    std::fs::create_dir(home.join("closed")).unwrap();
    for name in ["closed.txt", "closed"] {
        std::fs::set_permissions(home.join(name), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let listing = ana.propfind("/", "1").multistatus();
    assert_eq!(listing.responses.len(), 4, "{listing:?}");
    ana.get("/closed.txt").is(403);
    ana.propfind("/closed", "1").is(403);
    ana.props("/", "0", "<D:quota-used-bytes/>").is(207);
    ana.holds("/open", "x");
}

#[test]
fn it_recovers_from_having_no_descriptors_left() {
    let place = Place::new();
    place.add_ana();
    let serving = place.serve_by(&format!("ulimit -n 64; exec {SARANG} serve"));
    let ana = serving.ana();
    ana.store("/a", "x");
    let held = ana.lock("/held").send().is(201).token();
    let crowd: Vec<_> = (0..120)
        .map(|_| std::net::TcpStream::connect(serving.address).unwrap())
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    // The connection that is open goes on: it is served or told to come back, and never hangs.
    for at in 0..20 {
        ana.put("/b", "y").is_any(&[201, 204, 503]);
        ana.lock(&format!("/lock{at}"))
            .send()
            .is_any(&[200, 201, 503]);
        ana.get("/a").is_any(&[200, 503]);
    }
    // What needs the state store only neither fails nor harms it.
    ana.unlock("/held", &held).is_any(&[204, 503]);
    drop(crowd);
    let mut byte = [0];
    let mut fresh = std::net::TcpStream::connect(serving.address).unwrap();
    fresh
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    fresh
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(
        fresh.read(&mut byte).unwrap(),
        1,
        "new connections are accepted again"
    );
    let ana = serving.ana();
    ana.store("/c", "z");
    ana.lock("/c").send().is(200);
    let output = place.run(&["user", "disable", "ana"], "");
    assert!(output.status.success(), "{output:?}");
    ana.get("/c").is(401);
}
