//! The change log, line by line.

use super::super::{LocalSettings, change, log_replay};
use super::*;
use crate::model::AccountName;
use crate::storage::WriteOptions;
use crate::storage::local::internal_dirs::OWN_DIR;
use crate::storage::local::root::TreeRoot;

fn root(dir: &std::path::Path) -> Arc<TreeRoot> {
    Arc::new(TreeRoot::open(dir, LocalSettings::RELAXED).unwrap())
}

fn mkdir(root: &TreeRoot, name: &str) {
    let commit = WriteOptions::by(AccountName::parse("ada").unwrap());
    change::mkdir(root, &RelPath::parse(name).unwrap(), &commit).unwrap();
}

fn since(root: &TreeRoot, moment: u64) -> (Vec<LoggedChange>, Option<u64>) {
    let mut events = Vec::new();
    let known = log_replay::replay_since(root, moment, |event| {
        events.push(event);
        Ok(())
    });
    (events, known.unwrap())
}

fn lines(text: &[u8]) -> impl Iterator<Item = ChangeLogLine> {
    text.split(|byte| *byte == b'\n').filter_map(parse)
}

fn made(name: &str) -> LoggedChange {
    LoggedChange::Made(name.to_owned())
}

#[test]
fn a_torn_line_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    mkdir(&root(dir.path()), "a");
    let mut text = std::fs::read(dir.path().join(FILE)).unwrap();
    assert_eq!(lines(&text).count(), 2);
    text.extend(br#"{"at":99999,"event":{"mo"#);
    std::fs::write(dir.path().join(FILE), text).unwrap();
    let root = root(dir.path());
    mkdir(&root, "b");
    let (events, known) = since(&root, 0);
    assert_eq!(events, [made("b"), made("a"), LoggedChange::Begun]);
    assert!(known.is_some());
}

#[test]
fn what_is_old_is_forgotten_and_what_happens_meanwhile_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let root = root(dir.path());
    mkdir(&root, "a");
    let day = Duration::from_secs(86400);
    root.change_log
        .trim(&root, day, SystemTime::now() + day)
        .unwrap();
    assert_eq!(since(&root, 0).0.len(), 2, "there is some slack");
    root.change_log
        .trim(&root, day, SystemTime::now() + 3 * day)
        .unwrap();
    let before = unix_nanos(SystemTime::now());
    mkdir(&root, "b");
    let (events, known) = since(&root, 0);
    assert_eq!(events, [made("b"), LoggedChange::Begun]);
    assert!(known >= Some(before), "nothing is known of the time before");
}

/// A change log of so many changes, one a second up to now; returns when now was and how long it is.
fn write(dir: &std::path::Path, count: u64, name: impl Fn(u64) -> String) -> (u64, u64) {
    std::fs::create_dir_all(dir.join(OWN_DIR)).unwrap();
    let now = unix_nanos(SystemTime::now());
    let line = |n: u64| {
        encode(&ChangeLogLine {
            clock: None,
            at: now - (count - n) * 1_000_000_000,
            event: made(&name(n)),
        })
    };
    let text: Vec<u8> = (0..count).flat_map(|n| line(n).unwrap()).collect();
    std::fs::write(dir.join(FILE), &text).unwrap();
    (now, text.len() as u64)
}

#[test]
fn the_first_change_reads_only_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (now, len) = write(dir.path(), 100_000, |n| format!("x/{n}"));
    let root = root(dir.path());
    let file = open(&root).unwrap().unwrap();
    let mut lines = ReverseLines::new(fd(&file), len);
    assert!(lines.next().unwrap().is_some_and(|end| end.is_empty()));
    assert!(
        lines
            .next()
            .unwrap()
            .and_then(|text| parse(&text))
            .is_some()
    );
    assert!(
        lines.read <= 64 << 10 && len > 4 << 20,
        "{} of {len}",
        lines.read
    );
    let torn = [b"\n".as_slice(), &vec![b'x'; 300_000]].concat();
    sys::write_all(
        fd(&sys::open_write(fd(&root.dir), FILE).unwrap()),
        &mut [IoSlice::new(&torn)],
        len,
    )
    .unwrap();
    assert_eq!(
        last(&file, len + torn.len() as u64)
            .unwrap()
            .map(|line| line.event),
        Some(made("x/99999"))
    );
    mkdir(&root, "a");
    assert_eq!(
        since(&root, now - 1_500_000_000).0,
        [made("a"), made("x/99999")]
    );
}

#[test]
fn what_is_too_large_loses_its_older_half() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(1000);
    let (now, len) = write(dir.path(), 70_000, |n| format!("{long}/{n}"));
    assert!(len > MAX_BYTES);
    let root = root(dir.path());
    mkdir(&root, "a");
    root.change_log
        .trim(&root, Duration::from_secs(1 << 40), SystemTime::now())
        .unwrap();
    mkdir(&root, "b");
    let left = std::fs::metadata(dir.path().join(FILE)).unwrap().len();
    assert!(
        (len / 2 - 2000..len / 2 + 2000).contains(&left),
        "{left} of {len}"
    );
    let (events, known) = since(&root, now - 1_500_000_000);
    assert_eq!(
        events,
        [made("b"), made("a"), made(&format!("{long}/69999"))]
    );
    let first = lines(&std::fs::read(dir.path().join(FILE)).unwrap())
        .nth(1)
        .unwrap();
    assert_eq!(known, Some(first.at - 1));
}
