//! Passwords of public links: what stands for one, how often strangers may guess, and that nobody takes a pass from another.

use crate::harness::{Client, Reply, TestServer, url};
use crate::links::{Shared, share};
use serde_json::json;

const PROXY: [u8; 4] = [127, 0, 0, 1];

/// A server behind a proxy that is believed, so that requests come from the networks they say.
fn server() -> (TestServer, Shared) {
    let server = TestServer::with(|config| config.server.trusted_proxies = vec![PROXY.into()]);
    server.ana().mkcol("/d").is(201);
    server.ana().store("/d/a.txt", "content");
    let shared = share(&server.ana(), &json!({"path": "d", "password": "secret"}));
    (server, shared)
}

fn form(client: &Client, shared: &Shared, password: &str, from: &str) -> Reply {
    client
        .raw("POST", &format!("/s/{}/password", shared.token))
        .header("X-Forwarded-For", from)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!("password={}", url(password)))
        .send()
}

fn basic(server: &TestServer, shared: &Shared, password: &str, from: &str) -> Reply {
    let client = server.stranger().signed_in("anybody", password);
    client
        .raw("GET", &format!("/s/{}/dav/a.txt", shared.token))
        .header("X-Forwarded-For", from)
        .send()
}

fn with_cookie(server: &TestServer, shared: &Shared, cookie: &str) -> Reply {
    server
        .stranger()
        .raw("GET", &format!("/s/{}/file?path=a.txt", shared.token))
        .header("Cookie", cookie)
        .send()
}

fn pass_of(reply: &Reply) -> String {
    reply
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn a_cookie_is_only_what_was_issued() {
    let (server, shared) = server();
    basic(&server, &shared, "secret", "192.0.2.1").is(200);
    let pass = pass_of(&form(&server.stranger(), &shared, "secret", "192.0.2.1").is(303));
    with_cookie(&server, &shared, &pass).is(200);
    for guess in [
        "basic:secret",
        "secret",
        "",
        "anybody:secret",
        "192.0.2.1:secret",
    ] {
        with_cookie(&server, &shared, &format!("pass={guess}")).is(401);
    }
    let other = share(&server.ana(), &json!({"path": "d", "password": "secret"}));
    with_cookie(&server, &other, &pass).is(401);
}

#[test]
fn more_than_a_few_passes_are_none() {
    let (server, shared) = server();
    let pass = pass_of(&form(&server.stranger(), &shared, "secret", "192.0.2.1").is(303));
    with_cookie(&server, &shared, &format!("pass=old; other=x; {pass}")).is(200);
    let guesses = (0..1500)
        .map(|n| format!("pass=basic:{n}"))
        .collect::<Vec<_>>()
        .join("; ");
    with_cookie(&server, &shared, &format!("{pass}; {guesses}")).is_any(&[401, 431]);
    with_cookie(
        &server,
        &shared,
        &format!("pass=1; pass=2; pass=3; pass=4; {pass}"),
    )
    .is(401);
}

#[test]
fn a_link_without_password_issues_no_pass_and_nobody_pushes_out_a_pass() {
    let (server, shared) = server();
    let pass = pass_of(&form(&server.stranger(), &shared, "secret", "192.0.2.1").is(303));
    let open = share(&server.ana(), &json!({"path": "d"}));
    let stranger = server.stranger();
    assert!(
        form(&stranger, &open, "x", "192.0.2.2")
            .is(303)
            .header("set-cookie")
            .is_none()
    );
    for _ in 0..10 {
        form(&stranger, &shared, "secret", "192.0.2.3").is(303);
    }
    with_cookie(&server, &shared, &pass).is(200);
}

#[test]
fn guesses_are_few_whatever_others_have_proven() {
    let (server, shared) = server();
    let (owner, guesser) = ("192.0.2.1", "192.0.2.2");
    basic(&server, &shared, "secret", owner).is(200);
    let judged = |guess: &dyn Fn(usize) -> Reply| {
        (0..40)
            .filter(|n| guess(*n).is_any(&[401, 429]).status == 401)
            .count()
    };
    let by_basic = judged(&|n| basic(&server, &shared, &n.to_string(), guesser));
    assert!(by_basic <= 10, "{by_basic} guesses by Basic");
    // The right one is not told from the wrong ones then, by neither door; its owner elsewhere goes on.
    basic(&server, &shared, "secret", guesser).is(429);
    form(&server.stranger(), &shared, "secret", guesser).is(429);
    basic(&server, &shared, "secret", owner).is(200);
    let stranger = server.stranger();
    let by_form = judged(&|n| form(&stranger, &shared, &n.to_string(), "192.0.2.3"));
    assert!(by_form <= 10, "{by_form} guesses by the form");
    // A cookie is judged as no password at all: the right one is as good as any other.
    let by_cookie = ["secret", "basic:secret"]
        .map(|guess| with_cookie(&server, &shared, &format!("pass={guess}")));
    assert!(by_cookie.iter().all(|reply| reply.status == 401));
    println!("guesses judged in a minute: by cookie 0, by Basic {by_basic}, by form {by_form}");
}

#[test]
fn guesses_that_come_at_once_are_counted_before_they_are_judged() {
    let (server, shared) = server();
    let ask = |password: &str| {
        let client = server.stranger();
        client
            .raw("POST", &format!("/s/{}/password", shared.token))
            .header("X-Forwarded-For", "192.0.2.9")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("password={password}"))
            .bytes()
    };
    let mut open: Vec<_> = (0..60).map(|_| server.connect()).collect();
    for (n, connection) in open.iter_mut().enumerate() {
        connection.write(ask(&format!("guess{n}"))).unwrap();
    }
    let replies = open
        .iter_mut()
        .map(|connection| connection.read_reply(false, "guess").unwrap());
    let judged = replies.filter(|reply| reply.status == 401).count();
    assert!(
        (1..=5).contains(&judged),
        "{judged} of 60 at once were judged"
    );
}

#[test]
fn what_one_network_proved_another_must_prove() {
    let (server, shared) = server();
    basic(&server, &shared, "secret", "192.0.2.1").is(200);
    for n in 0..5 {
        basic(&server, &shared, &n.to_string(), "192.0.2.2").is(401);
    }
    basic(&server, &shared, "secret", "192.0.2.2").is(429);
    // Beyond the tries of its network only a connection that had given it goes on.
    let at = format!("/s/{}/dav/a.txt", shared.token);
    let active = server.stranger().signed_in("anybody", "secret");
    let go_on = || {
        active
            .raw("GET", &at)
            .header("X-Forwarded-For", "192.0.2.3")
            .send()
    };
    go_on().is(200);
    for n in 0..5 {
        basic(&server, &shared, &n.to_string(), "192.0.2.3").is(401);
    }
    basic(&server, &shared, "secret", "192.0.2.3").is(429);
    basic(&server, &shared, "wrong", "192.0.2.3").is(429);
    go_on().is(200);
    // Within a network that proved it, the tries are as few.
    for n in 0..5 {
        basic(&server, &shared, &n.to_string(), "192.0.2.1").is(401);
    }
    basic(&server, &shared, "wrong", "192.0.2.1").is(429);
}
