//! Guessing over HTTP: how many guesses are judged a minute, and that nobody is told what others have shown.

use crate::api_sessions::{LoggedIn, json};
use crate::api_two_factor::turn_on;
use crate::harness::{Client, Connection, PASSWORD, Reply, TestServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sarang::config::Registration;
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};

const OWNER: &str = "192.0.2.1";

/// Every door that takes a name and a password, and what it answers when they are right.
const DOORS: [(&str, &str, u16); 4] = [
    ("PROPFIND", "/dav/", 207),
    ("GET", "/api/v1/me", 200),
    ("PROPFIND", "/", 207),
    ("POST", "/api/v1/login", 200),
];

/// A server behind a proxy, so that a test can come from many networks.
fn proxied() -> TestServer {
    TestServer::with(|config| config.server.trusted_proxies = vec![[127, 0, 0, 1].into()])
}

/// Tries a password at a door; the connection is the client's.
fn try_at(client: &Client, door: usize, (user, password): (&str, &str), from: &str) -> Reply {
    let (method, target, _) = DOORS[door];
    let request = client.raw(method, target).header("X-Forwarded-For", from);
    if method == "POST" {
        return json(request, &json!({"name": user, "password": password})).send();
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    request
        .header("Depth", "0")
        .header("Authorization", basic)
        .send()
}

/// Sends requests on a connection each, and none of them its last byte before all are there; the statuses.
pub fn at_once(server: &TestServer, requests: Vec<Vec<u8>>) -> Vec<u16> {
    let mut under_way: Vec<_> = requests
        .into_iter()
        .map(|bytes| (server.connect(), bytes))
        .collect();
    for (connection, bytes) in &mut under_way {
        connection.write(&bytes[..bytes.len() - 1]).unwrap();
    }
    for (connection, bytes) in &mut under_way {
        connection.write(&bytes[bytes.len() - 1..]).unwrap();
    }
    let read = |(connection, _): &mut (Connection, _)| {
        connection
            .read_reply(false, "")
            .map_or(0, |reply| reply.status)
    };
    under_way.iter_mut().map(read).collect()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|one| **one == status).count()
}

#[test]
fn a_guesser_elsewhere_is_told_nothing_while_the_owner_is_active() {
    let server = proxied();
    let owner = server.ana();
    let goes_on = |at: &str| {
        try_at(&owner, 0, ("ana", PASSWORD), OWNER).is(207);
        assert_eq!(
            try_at(&server.stranger(), 1, ("ana", PASSWORD), OWNER).status,
            200,
            "{at}"
        );
    };
    for (door, (_, at, _)) in DOORS.iter().enumerate() {
        goes_on(at);
        let from = format!("198.51.100.{door}");
        let guess =
            |password: &str| try_at(&server.stranger(), door, ("ana", password), &from).status;
        for n in 0..5 {
            assert_eq!(guess(&format!("guess {n}")), 401, "{at}");
        }
        for password in ["guess 5", PASSWORD, "guess 0", PASSWORD] {
            assert_eq!(guess(password), 429, "{password} at {at}");
        }
        for (other, (_, _, welcome)) in DOORS.iter().enumerate() {
            try_at(&server.stranger(), other, ("ana", PASSWORD), &from).is(429);
            try_at(&server.stranger(), other, ("ben", PASSWORD), &from).is(*welcome);
        }
        goes_on(at);
    }
}

#[test]
fn of_many_guesses_from_one_network_few_are_judged() {
    let server = proxied();
    let owner = server.ana();
    try_at(&owner, 0, ("ana", PASSWORD), OWNER).is(207);
    let guess = |n: usize, password: String| {
        let client = server.stranger().signed_in("ana", &password);
        let (method, target, _) = DOORS[n % 4];
        let request = client
            .raw(method, target)
            .header("X-Forwarded-For", "198.51.100.7")
            .header("Depth", "0");
        match method {
            "POST" => json(
                request.header("Authorization", ""),
                &json!({"name": "ana", "password": password}),
            )
            .bytes(),
            _ => request.bytes(),
        }
    };
    let statuses = at_once(
        &server,
        (0..200).map(|n| guess(n, format!("guess {n}"))).collect(),
    );
    try_at(&owner, 0, ("ana", PASSWORD), OWNER).is(207);
    let again = at_once(
        &server,
        (0..200).map(|n| guess(n, PASSWORD.into())).collect(),
    );
    let refused = |statuses: &[u16]| count(statuses, 429) + count(statuses, 503);
    let judged = statuses.len() + again.len() - refused(&statuses) - refused(&again);
    println!("{judged} of 400 guesses of a password were judged");
    assert!(
        (1..=5).contains(&judged) && refused(&again) == 200,
        "{statuses:?} {again:?}"
    );
}

#[test]
fn beyond_the_budget_of_a_network_those_who_had_signed_in_go_on() {
    let server = TestServer::start();
    let (active, session) = (server.ana(), LoggedIn::new(&server, "ana"));
    active.propfind("/", "0").is(207);
    let made = active
        .api("POST", "/app-passwords", &json!({"name": "phone"}))
        .is(201)
        .json();
    let phone = made["password"].as_str().unwrap().to_owned();
    for n in 0..5 {
        let other = server.stranger().signed_in("ana", &format!("guess {n}"));
        other.propfind("/", "0").is(401);
        server
            .ana()
            .propfind("/", "0")
            .is_any(&[if n < 4 { 207 } else { 429 }]);
    }
    for _ in 0..3 {
        let reply = server.ana().propfind("/", "0").is(429);
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait));
        server.ana().raw("GET", "/api/v1/me").send().is(429);
        active.propfind("/", "0").is(207);
        active.raw("GET", "/api/v1/me").send().is(200);
        server
            .stranger()
            .signed_in("ana", &phone)
            .propfind("/", "0")
            .is(207);
        session.own("GET", "/api/v1/me").send().is(200);
        session
            .with_bearer("PROPFIND", "/dav/")
            .header("Depth", "0")
            .send()
            .is(207);
        server.ben().propfind("/", "0").is(207);
    }
    // Whoever guesses over the connection of another, as behind a proxy, is not that one.
    let guess = format!("Basic {}", STANDARD.encode("ana:guess 9"));
    active
        .raw("GET", "/api/v1/me")
        .header("Authorization", guess)
        .send()
        .is(429);
    active.propfind("/", "0").is(429);
}

#[test]
fn a_device_with_an_old_password_locks_nobody_out() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 2);
    for round in 0..10 {
        for (door, (_, target, _)) in DOORS.iter().enumerate() {
            for user in ["ana", "CORP\\ana", "ANA@drive.example"] {
                let reply = try_at(&server.stranger(), door, (user, "the old password"), OWNER);
                assert_eq!(reply.status, 401, "{user} at {target} in round {round}");
            }
        }
    }
    let session = LoggedIn::new(&server, "ana");
    for _ in 0..5 {
        json(
            session.own("PUT", "/api/v1/me/password"),
            &json!({"old": "the old password", "new": "x y z 4711 8"}),
        )
        .send()
        .is(422);
    }
    server.ana().propfind("/", "0").is(207);
    server
        .stranger()
        .signed_in("ana", "another wrong one")
        .propfind("/", "0")
        .is(401);
    server.ana().propfind("/", "0").is(429);
}

#[test]
fn of_many_codes_at_once_five_are_judged() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 1000);
    let ana = LoggedIn::new(&server, "ana");
    let (_, recovery) = turn_on(&ana);
    let client = server.stranger();
    let guess = |code: &str| {
        json(
            client.raw("POST", "/api/v1/login"),
            &json!({"name": "ana", "password": PASSWORD, "code": code}),
        )
        .bytes()
    };
    // A password is hashed before each code: no more than wait for that at once.
    let (mut judged, mut refused) = (0, 0);
    for round in 0..4 {
        let statuses = at_once(
            &server,
            (0..20)
                .map(|n| guess(&format!("{:06}", round * 100 + n)))
                .collect(),
        );
        (judged, refused) = (
            judged + count(&statuses, 401),
            refused + count(&statuses, 429),
        );
        assert_eq!(count(&statuses, 200), 0);
    }
    println!("{judged} of 80 guesses of a code were judged");
    assert!(
        judged <= 5 && refused > 0,
        "{judged} judged, {refused} refused"
    );
    assert_eq!(at_once(&server, vec![guess(&recovery[0])]), [429]);
}

#[test]
fn of_many_first_codes_at_once_five_are_judged() {
    let server = TestServer::start();
    let ana = LoggedIn::new(&server, "ana");
    json(
        ana.own("POST", "/api/v1/me/two-factor"),
        &json!({"password": PASSWORD}),
    )
    .send()
    .is(201);
    let guess = |n: usize| {
        json(
            ana.own("POST", "/api/v1/me/two-factor/confirm"),
            &json!({"code": format!("wrong {n}")}),
        )
        .bytes()
    };
    let statuses = at_once(&server, (0..240).map(guess).collect());
    assert_eq!(
        (count(&statuses, 422), count(&statuses, 429)),
        (5, 235),
        "{statuses:?}"
    );
}

#[test]
fn of_many_passwords_at_once_that_are_asked_for_again_few_are_judged() {
    type Proof = fn(&str) -> Value;
    let proofs: [(&str, &str, Proof); 4] = [
        (
            "PUT",
            "/api/v1/me/password",
            |guess| json!({"old": guess, "new": "x y z 4711 8"}),
        ),
        (
            "POST",
            "/api/v1/me/two-factor",
            |guess| json!({"password": guess}),
        ),
        (
            "DELETE",
            "/api/v1/me/two-factor",
            |guess| json!({"password": guess}),
        ),
        (
            "POST",
            "/api/v1/login",
            |guess| json!({"name": "ana", "password": guess}),
        ),
    ];
    for (method, target, body) in proofs {
        let server = TestServer::start();
        let ana = LoggedIn::new(&server, "ana");
        let guess = |password: &str| json(ana.own(method, target), &body(password)).bytes();
        let statuses = at_once(
            &server,
            (0..100).map(|n| guess(&format!("guess {n}"))).collect(),
        );
        let judged = count(&statuses, 422) + count(&statuses, 401);
        assert!(
            judged <= 5 && judged + count(&statuses, 429) + count(&statuses, 503) == 100,
            "{target} {statuses:?}"
        );
        assert_eq!(at_once(&server, vec![guess(PASSWORD)]), [429], "{target}");
    }
}

#[test]
fn of_many_invites_and_set_up_links_at_once_ten_are_judged() {
    let server = TestServer::with(|config| config.accounts.registration = Registration::Invite);
    let client = server.stranger();
    let guess = |n: usize| {
        let body = json!({"name": format!("new{n}"), "password": "x y z 4711 8", "invite": format!("invite {n}")});
        json(client.raw("POST", "/api/v1/register"), &body).bytes()
    };
    let statuses = at_once(&server, (0..100).map(guess).collect());
    assert_eq!(
        (count(&statuses, 403), count(&statuses, 429)),
        (10, 90),
        "{statuses:?}"
    );

    let server = TestServer::without_accounts();
    let (client, token) = (
        server.stranger(),
        server.app().setup.token().unwrap().to_string(),
    );
    let ask = |n: usize, token: &str| {
        if n.is_multiple_of(2) {
            let form = client
                .raw("POST", "/setup")
                .header("Content-Type", "application/x-www-form-urlencoded");
            return form
                .body(format!("token={token}&name=boss&password=x+y+z+4711+8"))
                .bytes();
        }
        let body = json!({"token": token, "name": "boss", "password": "x y z 4711 8"});
        json(client.raw("POST", "/api/v1/setup"), &body).bytes()
    };
    let statuses = at_once(
        &server,
        (0..100).map(|n| ask(n, &format!("token-{n}"))).collect(),
    );
    assert_eq!(
        (count(&statuses, 403), count(&statuses, 429)),
        (10, 90),
        "{statuses:?}"
    );
    assert_eq!(
        at_once(&server, vec![ask(1, &token), ask(0, &token)]),
        [429, 429]
    );
    assert!(server.app().auth.list().is_empty());
}

#[test]
fn passwords_in_windows_1252_sign_in_at_every_door_that_takes_basic() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 2);
    let mounted = |password: &str| {
        server.ana().mkcol("/shared").is_any(&[201, 405]);
        let made = server
            .ana()
            .api(
                "POST",
                "/links",
                &json!({"path": "shared", "password": password}),
            )
            .is(201)
            .json();
        format!("/s/{}/dav/", made["token"].as_str().unwrap())
    };
    let basic = |user: &str, password: &[u8]| {
        let text = [user.as_bytes(), b":", password].concat();
        server
            .stranger()
            .authorized(&format!("Basic {}", STANDARD.encode(text)))
    };
    let plain = b"correct:horse %25 b\xe4ttery";
    for (method, target, right) in &DOORS[..3] {
        let ask = |client: Client| client.raw(method, target).header("Depth", "0").send();
        ask(basic("ana", plain)).is(*right);
        ask(basic("ana", PASSWORD.as_bytes())).is(*right);
        ask(basic("b\u{e4}n", plain)).is(401);
    }
    let link = mounted("\u{20ac}uro b\u{e4}ttery");
    basic("x", b"\x80uro b\xe4ttery")
        .raw("PROPFIND", &link)
        .header("Depth", "0")
        .send()
        .is(207);
    basic("x", b"\x80uro b\xe5ttery")
        .raw("PROPFIND", &link)
        .header("Depth", "0")
        .send()
        .is(401);
    // One failure, however often and in whichever of the two it comes.
    for (method, target, _) in &DOORS[..3] {
        for wrong in [
            b"wrong b\xe4ttery".as_slice(),
            "wrong b\u{e4}ttery".as_bytes(),
        ] {
            basic("ana", wrong)
                .raw(method, target)
                .header("Depth", "0")
                .send()
                .is(401);
        }
    }
    basic("ana", plain).propfind("/", "0").is(207);
    basic("ana", b"wrong b\xe5ttery").propfind("/", "0").is(401);
    basic("ana", plain).propfind("/", "0").is(429);
}

#[test]
fn a_proxy_that_is_not_trusted_is_told_of() {
    for (server, expected) in [
        (TestServer::start(), json!(["127.0.0.1"])),
        (proxied(), json!([])),
    ] {
        let boss = AccountName::parse("boss").unwrap();
        server
            .block_on(
                server
                    .app()
                    .auth
                    .create(&boss, PASSWORD.as_bytes(), Role::Admin, None),
            )
            .unwrap();
        let client = server.stranger().signed_in("boss", PASSWORD);
        let told = || {
            client.raw("GET", "/api/v1/overview").send().is(200).json()["untrusted_proxies"].clone()
        };
        assert_eq!(told(), json!([]));
        for n in 0..5 {
            let from = format!("192.0.2.{n}");
            server
                .stranger()
                .raw("GET", "/healthz")
                .header("X-Forwarded-For", from)
                .send()
                .is(200);
        }
        assert_eq!(told(), expected);
    }
}
