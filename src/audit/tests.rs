//! The audit log against real files.

use super::*;
use crate::audit::counters::FailedSignInCounter;
use crate::audit::series::SeriesLimits;
use std::time::Duration;

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn event(target: &str) -> AuditEvent {
    AuditEvent::new(
        Actor::Account(name("ana")),
        AuditKind::AccountCreated,
        target,
    )
}

fn here() -> IpAddr {
    IpAddr::from([192, 0, 2, 1])
}

fn all_of(limits: SeriesLimits) -> AuditLimits {
    let own_sign_ins = limits;
    let own_visitors = limits;
    AuditLimits {
        administration: limits,
        sign_ins: limits,
        others: limits,
        own: limits,
        own_sign_ins,
        own_visitors,
    }
}

async fn all(audit: &Audit, filter: AuditFilter) -> Vec<AuditEntry> {
    audit.read(filter, u64::MAX, 10_000).await.unwrap()
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn entries_are_read_newest_first_by_pages_and_filters() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::new(&dir.path().join("audit"));
    assert!(all(&audit, AuditFilter::default()).await.is_empty());
    for target in ["ben", "eva", "zoe"] {
        audit
            .record(event(target).with_address(here()).with_note("role user"))
            .await;
    }
    audit
        .record(AuditEvent::new(
            Actor::CommandLine,
            AuditKind::SignIn,
            "ben",
        ))
        .await;
    let entries = all(&audit, AuditFilter::default()).await;
    assert_eq!(
        entries
            .iter()
            .map(|e| (e.id, e.target.as_str()))
            .collect::<Vec<_>>(),
        [(4, "ben"), (3, "zoe"), (2, "eva"), (1, "ben")]
    );
    assert_eq!(
        (entries[3].who.as_deref(), entries[3].from.as_deref()),
        (Some("ana"), Some("192.0.2.1"))
    );
    let page = audit.read(AuditFilter::default(), 4, 2).await.unwrap();
    assert_eq!(page.iter().map(|e| e.id).collect::<Vec<_>>(), [3, 2]);
    let filtered = async |filter| {
        all(&audit, filter)
            .await
            .iter()
            .map(|e| e.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        filtered(AuditFilter {
            account: Some("ben".into()),
            ..AuditFilter::default()
        })
        .await,
        [4, 1]
    );
    assert_eq!(
        filtered(AuditFilter {
            account: Some("ana".into()),
            ..AuditFilter::default()
        })
        .await,
        [3, 2, 1]
    );
    assert_eq!(
        filtered(AuditFilter {
            kind: Some(AuditKind::SignIn),
            ..AuditFilter::default()
        })
        .await,
        [4]
    );
    let now = entries[0].at.clone();
    assert_eq!(
        filtered(AuditFilter {
            from: Some("2999-01-01T00:00:00Z".into()),
            ..AuditFilter::default()
        })
        .await,
        [0; 0]
    );
    assert_eq!(
        filtered(AuditFilter {
            to: Some(entries[3].at.clone()),
            ..AuditFilter::default()
        })
        .await,
        [0; 0]
    );
    assert!(
        filtered(AuditFilter {
            from: Some(now),
            ..AuditFilter::default()
        })
        .await
        .contains(&4)
    );
}

#[tokio::test]
async fn a_torn_line_harms_no_other_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    Audit::new(dir.path()).record(event("ben")).await;
    let path = dir.path().join(&files(dir.path())[0]);
    let mut text = std::fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"id\":2,\"at\":\"20");
    std::fs::write(&path, text).unwrap();
    let audit = Audit::new(dir.path());
    audit.record(event("eva")).await;
    let entries = all(&audit, AuditFilter::default()).await;
    assert_eq!(
        entries
            .iter()
            .map(|e| (e.id, e.target.as_str()))
            .collect::<Vec<_>>(),
        [(2, "eva"), (1, "ben")]
    );
}

#[tokio::test]
async fn what_a_client_chose_is_bounded_and_cannot_fool_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::new(dir.path());
    audit
        .record(event("a\nb\x1b[31m\u{202e}é").with_note("x".repeat(5000)))
        .await;
    let entry = all(&audit, AuditFilter::default()).await.remove(0);
    assert_eq!(entry.target, "a\\u{a}b\\u{1b}[31m\\u{202e}é");
    assert_eq!(entry.note.chars().count(), 301);
    let text = std::fs::read_to_string(dir.path().join(&files(dir.path())[0])).unwrap();
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test]
async fn files_turn_by_size_and_age_and_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SeriesLimits {
        total: 16 * 1024,
        ..SeriesLimits::of_total(0)
    };
    let audit = Audit::limited(dir.path(), all_of(limits));
    for n in 0..400 {
        audit.record(event(&format!("u{n}"))).await;
    }
    let kept = files(dir.path());
    let total: u64 = kept
        .iter()
        .map(|n| std::fs::metadata(dir.path().join(n)).unwrap().len())
        .sum();
    assert!(
        kept.len() > 8 && total <= 16 * 1024,
        "{} files, {total} bytes",
        kept.len()
    );
    let entries = all(&audit, AuditFilter::default()).await;
    assert_eq!(entries[0].target, "u399");
    assert!(entries.len() > 50 && entries.windows(2).all(|pair| pair[0].id == pair[1].id + 1));

    let dir = tempfile::tempdir().unwrap();
    let limits = SeriesLimits {
        turn: Duration::ZERO,
        ..AuditLimits::default().administration
    };
    let audit = Audit::limited(dir.path(), all_of(limits));
    for n in 0..3 {
        audit.record(event(&format!("u{n}"))).await;
    }
    assert_eq!(
        files(dir.path()).len(),
        3,
        "a file for each, for all are old at once"
    );
    let limits = SeriesLimits {
        turn: Duration::ZERO,
        keep: Duration::ZERO,
        ..AuditLimits::default().administration
    };
    Audit::limited(dir.path(), all_of(limits))
        .record(event("u3"))
        .await;
    assert_eq!(files(dir.path()), ["changes-000000000004.jsonl"]);
}

#[tokio::test]
async fn an_attack_on_passwords_gets_a_handful_of_lines_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::new(dir.path());
    audit.record(event("ben")).await;
    for n in 0..1000_u32 {
        let from = if n % 2 == 0 {
            here()
        } else {
            IpAddr::from(n.to_be_bytes())
        };
        audit.count_failure(Some(&name("ana")), from);
    }
    // Entries are written one after the other: with this one all before it are.
    audit.flush(true).await;
    let counted: Vec<_> = std::iter::repeat_with(|| ()).take(200).collect();
    for () in counted {
        if all(&audit, AuditFilter::default())
            .await
            .iter()
            .filter(|e| e.kind == AuditKind::SignInFailed)
            .map(|e| e.count)
            .sum::<u64>()
            == 1000
        {
            break;
        }
        tokio::task::yield_now().await;
        audit.flush(true).await;
    }
    let entries = all(
        &audit,
        AuditFilter {
            kind: Some(AuditKind::SignInFailed),
            ..AuditFilter::default()
        },
    )
    .await;
    assert_eq!(entries.iter().map(|e| e.count).sum::<u64>(), 1000);
    assert!(
        entries
            .iter()
            .all(|e| e.outcome == AuditOutcome::Refused && e.by == ActorKind::Nobody)
    );
    let changes = files(dir.path())
        .into_iter()
        .filter(|name| name.starts_with("changes"))
        .count();
    assert_eq!(changes, 1);
}

#[test]
fn failures_are_counted_within_bounds() {
    let mut tally = FailedSignInCounter::default();
    let now = Instant::now();
    let key = |n: u32| FailedSignIn {
        name: Some(name("ana")),
        from: IpAddr::from(n.to_be_bytes()),
    };
    let written = (0..1000).filter(|n| tally.count(&key(*n), now)).count();
    assert_eq!(written, 50);
    assert!(!tally.count(&key(1), now));
    assert!(tally.due(now + Duration::from_secs(599)).is_empty());
    let counted = tally.due(now + Duration::from_secs(600));
    assert_eq!(
        counted.iter().map(|(_, count)| *count).collect::<Vec<_>>(),
        [1, 950]
    );
    assert!(tally.count(&key(1), now), "a new window");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    std::fs::write(&path, "in the way").unwrap();
    let audit = Audit::new(&path);
    audit.record(event("ben")).await;
    std::fs::remove_file(&path).unwrap();
    audit.record(event("eva")).await;
    assert_eq!(all(&audit, AuditFilter::default()).await[0].target, "eva");
}

/// Whatever an account does to what is its own, however often and in how many kinds, displaces its own entries alone.
#[tokio::test]
async fn nobody_washes_away_what_others_did() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SeriesLimits {
        total: 16 * 1024,
        ..SeriesLimits::of_total(0)
    };
    let audit = Audit::limited(dir.path(), all_of(limits));
    audit.record(event("evil")).await;
    audit
        .record(AuditEvent::new(
            Actor::CommandLine,
            AuditKind::PasswordChanged,
            "evil",
        ))
        .await;
    audit
        .record(AuditEvent::new(
            Actor::Account(name("ana")),
            AuditKind::LinkCreated,
            "anas",
        ))
        .await;
    audit
        .record(
            AuditEvent::new(Actor::Account(name("ana")), AuditKind::SignIn, "ana")
                .with_address(here()),
        )
        .await;
    audit
        .record(AuditEvent::new(
            Actor::Account(name("evil")),
            AuditKind::AppPasswordCreated,
            "first",
        ))
        .await;
    let before = all(&audit, AuditFilter::default()).await.len();
    assert_eq!(before, 5);
    let evil = || Actor::Account(name("evil"));
    for n in 0..300 {
        let target = format!("t{n}");
        for kind in [
            AuditKind::LinkCreated,
            AuditKind::LinkChanged,
            AuditKind::LinkRemoved,
            AuditKind::ShareCreated,
            AuditKind::ShareChanged,
            AuditKind::ShareRemoved,
            AuditKind::AppPasswordCreated,
            AuditKind::AppPasswordRemoved,
            AuditKind::SessionStarted,
            AuditKind::SessionEnded,
            AuditKind::HistoryHeld,
        ] {
            audit.record(AuditEvent::new(evil(), kind, &target)).await;
        }
        for kind in [
            AuditKind::AccountChanged,
            AuditKind::PasswordChanged,
            AuditKind::TwoFactorChanged,
            AuditKind::OpenidLinked,
            AuditKind::HistoryPurged,
            AuditKind::HistoryRestored,
        ] {
            audit
                .record(AuditEvent::new(evil(), kind, "evil").with_note(&target))
                .await;
        }
        let id = target.clone();
        let owner = name("evil");
        audit
            .record(AuditEvent::new(
                Actor::Link { id, owner },
                AuditKind::HistoryHeld,
                "ana",
            ))
            .await;
        audit
            .record(AuditEvent::new(
                Actor::Nobody,
                AuditKind::AccountCreated,
                &target,
            ))
            .await;
        audit
            .record(AuditEvent::new(
                Actor::Nobody,
                AuditKind::SignInFailed,
                &target,
            ))
            .await;
    }
    let entries = all(&audit, AuditFilter::default()).await;
    let has = |kind, target: &str| {
        entries
            .iter()
            .any(|entry| entry.kind == kind && entry.target == target)
    };
    assert!(
        has(AuditKind::AccountCreated, "evil") && has(AuditKind::PasswordChanged, "evil"),
        "what administrators did"
    );
    assert!(
        has(AuditKind::LinkCreated, "anas") && has(AuditKind::SignIn, "ana"),
        "what another account did"
    );
    assert!(
        !has(AuditKind::AppPasswordCreated, "first"),
        "its own is pushed out by its own"
    );
    assert!(
        entries.windows(2).all(|pair| pair[0].id > pair[1].id),
        "all series are one log, in order"
    );
    let own = all(
        &audit,
        AuditFilter {
            account: Some("ana".into()),
            ..AuditFilter::default()
        },
    )
    .await;
    assert!(own.iter().any(|entry| entry.target == "anas"));
    let page = audit
        .read(AuditFilter::default(), entries[9].id, 20)
        .await
        .unwrap();
    assert_eq!(
        page.iter().map(|e| e.id).collect::<Vec<_>>(),
        entries[10..30].iter().map(|e| e.id).collect::<Vec<_>>()
    );
}

/// Locks in one's own home are broken, and shares are deleted by one's own links, as often as anybody likes.
#[tokio::test]
async fn visitors_of_links_and_broken_locks_wash_away_only_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SeriesLimits {
        total: 16 * 1024,
        ..SeriesLimits::of_total(0)
    };
    let audit = Audit::limited(dir.path(), all_of(limits));
    let evil = || Actor::Account(name("evil"));
    audit
        .record(AuditEvent::new(
            Actor::Nobody,
            AuditKind::AccountCreated,
            "invited",
        ))
        .await;
    audit.record(event("ben")).await;
    audit
        .record(AuditEvent::new(
            evil(),
            AuditKind::LockBroken,
            "home/evilyn/file",
        ))
        .await;
    audit
        .record(AuditEvent::new(evil(), AuditKind::LinkCreated, "first"))
        .await;
    for n in 0..300 {
        let id = format!("l{n}");
        let owner = name("evil");
        audit
            .record(AuditEvent::new(
                Actor::Link { id, owner },
                AuditKind::ShareRemoved,
                format!("s{n}"),
            ))
            .await;
    }
    let has = async |target: &str| {
        all(&audit, AuditFilter::default())
            .await
            .iter()
            .any(|entry| entry.target == target)
    };
    assert!(
        has("first").await,
        "visitors leave alone what the account did"
    );
    for n in 0..300 {
        audit
            .record(AuditEvent::new(
                evil(),
                AuditKind::LockBroken,
                format!("home/evil/f{n}"),
            ))
            .await;
    }
    for target in ["invited", "ben", "home/evilyn/file"] {
        assert!(has(target).await, "{target}");
    }
    assert!(!has("first").await, "its own is pushed out by its own");
}

#[tokio::test]
async fn what_is_repeated_is_counted_in_one_entry() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::new(dir.path());
    let change = |note: &str| {
        AuditEvent::new(Actor::Account(name("ana")), AuditKind::LinkChanged, "x").with_note(note)
    };
    for n in 0..1000 {
        audit.record(change("a")).await;
        if n == 500 {
            audit.record(change("b")).await;
        }
    }
    audit.record(event("ben")).await;
    audit.record(event("ben")).await;
    let told = |entries: &[AuditEntry]| {
        entries
            .iter()
            .map(|e| (e.note.clone(), e.count))
            .collect::<Vec<_>>()
    };
    let expected = [("a", 999), ("", 1), ("", 1), ("b", 1), ("a", 1)]
        .map(|(note, count)| (note.to_owned(), count));
    assert_eq!(told(&all(&audit, AuditFilter::default()).await), expected);
    audit.record(change("a")).await;
    audit.record(change("a")).await;
    audit.flush(true).await;
    let entries = all(&Audit::new(dir.path()), AuditFilter::default()).await;
    assert_eq!(
        told(&entries[..2]),
        [("a".to_owned(), 1), ("a".to_owned(), 1)]
    );
}

/// What earlier versions wrote lies in the two files of the top alone.
#[tokio::test]
async fn files_of_earlier_versions_are_read_and_their_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let line = |id: u64, kind: &str| {
        format!(
            "{{\"id\":{id},\"at\":\"2026-01-01T00:00:00Z\",\"by\":\"account\",\"who\":\"ana\",\"kind\":\"{kind}\",\
             \"target\":\"x\",\"note\":\"\",\"outcome\":\"done\",\"count\":1}}\n"
        )
    };
    let changes = format!("{}{}", line(1, "link-created"), line(4, "account-changed"));
    std::fs::write(dir.path().join("changes-000000000001.jsonl"), changes).unwrap();
    let sign_ins = format!("{}{}", line(2, "sign-in"), line(3, "session-started"));
    std::fs::write(dir.path().join("sign-ins-000000000002.jsonl"), sign_ins).unwrap();
    let audit = Audit::new(dir.path());
    audit
        .record(AuditEvent::new(
            Actor::Account(name("ana")),
            AuditKind::LinkChanged,
            "x",
        ))
        .await;
    let ids = all(&audit, AuditFilter::default())
        .await
        .iter()
        .map(|entry| entry.id)
        .collect::<Vec<_>>();
    assert_eq!(ids, [5, 4, 3, 2, 1]);
    let own = all(
        &audit,
        AuditFilter {
            account: Some("ana".into()),
            ..AuditFilter::default()
        },
    )
    .await
    .len();
    assert_eq!(own, 5);
}

#[tokio::test]
async fn accounts_that_are_silent_keep_no_old_files() {
    let dir = tempfile::tempdir().unwrap();
    let change = || AuditEvent::new(Actor::Account(name("ana")), AuditKind::LinkChanged, "x");
    Audit::new(dir.path()).record(change()).await;
    let files = || files(&dir.path().join("accounts/ana"));
    assert_eq!(files(), ["changes-000000000001.jsonl"]);
    let limits = SeriesLimits {
        keep: Duration::ZERO,
        ..AuditLimits::default().own
    };
    Audit::limited(dir.path(), all_of(limits))
        .record(event("ben"))
        .await;
    assert!(files().is_empty());
}
