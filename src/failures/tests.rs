//! Tests of what is kept of failures, and how much.

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn owner(n: impl Into<Option<usize>>) -> FailureOwner {
    n.into().map(|n| {
        (
            AccountName::parse(&format!("a{n}")).unwrap(),
            format!("id{n}").into(),
        )
    })
}

fn failure(cause: Cause, detail: &str) -> Failure {
    Failure::new(
        ClientKind::Rclone,
        HERE,
        Reason {
            cause,
            detail: detail.into(),
        },
    )
}

#[test]
fn what_happens_again_is_one_line_with_a_count_and_the_newest_comes_first() {
    let log = FailureLog::default();
    for path in ["/a", "/b"] {
        log.record(owner(1), failure(Cause::Locked, "ben").asked("PUT", path));
        log.record(owner(1), failure(Cause::NoSpace, "").asked("PUT", path));
    }
    log.record(
        owner(1),
        failure(Cause::Locked, "cy").asked("DELETE", "/c\u{202e}\n"),
    );
    let told: Vec<_> = log
        .of(&owner(1), None)
        .into_iter()
        .map(|one| ClientFailure::of(one, Language::English))
        .collect();
    let lines: Vec<_> = told
        .iter()
        .map(|one| (one.kind, one.count, one.path.as_deref().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            (Cause::Locked, 1, "/c"),
            (Cause::NoSpace, 2, "/b"),
            (Cause::Locked, 2, "/b")
        ]
    );
    assert_eq!(told[0].cause, "The file or folder is locked by cy.");
    assert!(log.of(&owner(2), None).is_empty());
}

#[test]
fn strangers_have_few_lines_and_push_out_nothing_that_came_after_a_sign_in() {
    let log = FailureLog::default();
    for n in 0..SIGNED_IN + 5 {
        log.record(owner(1), failure(Cause::BadName, &format!("reason {n}")));
    }
    for n in 0..500 {
        log.record_unauthenticated(
            owner(1),
            failure(Cause::WrongPassword, "").of_device(Some(format!("device {n}"))),
        );
        log.record_unauthenticated(owner(1), failure(Cause::Throttled, ""));
    }
    let kept = log.of(&owner(1), None);
    assert_eq!(kept.len(), SIGNED_IN + BEFORE);
    assert_eq!(
        kept.iter()
            .filter(|one| one.reason.cause == Cause::BadName)
            .count(),
        SIGNED_IN
    );
    let throttled = kept
        .iter()
        .find(|one| one.reason.cause == Cause::Throttled)
        .unwrap();
    assert_eq!(throttled.count, 500);
}

#[test]
fn what_the_throttle_does_not_count_is_one_line_whatever_the_client_says_it_is() {
    let log = FailureLog::default();
    log.record_unauthenticated(owner(1), failure(Cause::WrongPassword, ""));
    for client in [
        ClientKind::Windows,
        ClientKind::MacOs,
        ClientKind::Gnome,
        ClientKind::Kde,
        ClientKind::Curl,
        ClientKind::Ios,
    ] {
        log.record_unauthenticated(
            owner(1),
            Failure::new(client, HERE, Cause::PlainHttp.into()),
        );
        log.record_unauthenticated(
            owner(1),
            Failure::new(client, HERE, Cause::Throttled.into()),
        );
    }
    let kept = log.of(&owner(1), None);
    let lines: Vec<_> = kept
        .iter()
        .map(|one| (one.reason.cause, one.count))
        .collect();
    assert_eq!(
        lines,
        [
            (Cause::Throttled, 6),
            (Cause::PlainHttp, 6),
            (Cause::WrongPassword, 1)
        ]
    );
}

#[test]
fn memory_is_bounded_whoever_fails() {
    let log = FailureLog::default();
    let much = "x".repeat(100_000);
    for n in 0..ACCOUNTS + 50 {
        log.record(
            owner(n),
            failure(Cause::BadName, &much)
                .asked(&much, &much)
                .of_device(Some(much.clone())),
        );
        log.record_unauthenticated(
            owner(None),
            failure(Cause::WrongPassword, "").of_device(Some(n.to_string())),
        );
        log.record_anonymous(Failure::new(
            ClientKind::Windows,
            IpAddr::from((n as u128).to_be_bytes()),
            Cause::WindowsPlainHttp.into(),
        ));
    }
    let kept = log.0.lock();
    assert_eq!(kept.lists.len(), ACCOUNTS);
    assert!(kept.lists.contains_key(&owner(ACCOUNTS + 49)) && !kept.lists.contains_key(&owner(0)));
    assert_eq!(
        kept.lists[&None].before.len(),
        BEFORE,
        "all names that nobody has are one list"
    );
    assert_eq!(kept.nameless.len(), NAMELESS);
    let one = &kept.lists[&owner(ACCOUNTS)].signed_in[0];
    let (method, path) = one.asked.as_ref().unwrap();
    for text in [
        method,
        path,
        one.device.as_ref().unwrap(),
        &one.reason.detail,
    ] {
        assert_eq!(text.len(), MAX_TEXT);
    }
}

#[test]
fn a_client_without_a_name_is_seen_from_its_address_until_it_signs_in() {
    let log = FailureLog::default();
    let plain = || {
        Failure::new(
            ClientKind::Windows,
            "::ffff:192.0.2.1".parse().unwrap(),
            Cause::WindowsPlainHttp.into(),
        )
    };
    log.record_anonymous(plain());
    log.record_anonymous(plain());
    let seen = |near: Option<IpAddr>| {
        log.of(&owner(1), near)
            .iter()
            .map(|one| one.count)
            .collect::<Vec<_>>()
    };
    assert_eq!((seen(Some(HERE)), seen(None)), (vec![2], vec![]));
    assert!(seen(Some([192, 0, 2, 2].into())).is_empty());
    log.record_success(ClientKind::MacOs, HERE);
    assert_eq!(seen(Some(HERE)), [2]);
    log.record_success(ClientKind::Windows, HERE);
    assert!(seen(Some(HERE)).is_empty());
}
