//! Connections that were open and signed in before a password changed: none of their later requests is accepted.

use crate::api_sessions::json;
use crate::harness::{Client, NAME, PASSWORD, TestServer, propfind_body};
use serde_json::json;

const CONNECTIONS: usize = 10;
const REQUESTS: usize = 100;
const NEW: &str = "green teapot 88";

/// One request of the mixture; whether it was accepted, and whether the connection was closed behind it.
fn ask(
    connection: &mut crate::harness::Connection,
    client: &Client,
    number: usize,
) -> (bool, bool) {
    let request = match number % 4 {
        0 => client.request("GET", NAME),
        1 => client.request("PUT", &format!("/new {number}")).body("x"),
        2 => client
            .request("PROPFIND", "/")
            .header("Depth", "1")
            .xml(propfind_body("<D:displayname/>")),
        _ => client.raw("GET", "/api/v1/me"),
    };
    let reply = connection.exchange(request.bytes());
    assert!(
        (200..300).contains(&reply.status) || reply.status == 401,
        "{reply}"
    );
    (
        reply.status < 300,
        reply
            .header("connection")
            .is_some_and(|value| value == "close"),
    )
}

#[test]
fn no_request_on_an_open_connection_outlives_the_password() {
    let server = TestServer::with(|config| {
        (
            config.accounts.failures_per_network,
            config.accounts.failures_per_account,
        ) = (100_000, 100_000);
    });
    let ana = server.ana();
    ana.store(NAME, "x");
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    for connection in &mut connections {
        for number in 0..4 {
            assert_eq!(
                ask(connection, &ana, number),
                (true, false),
                "all are signed in"
            );
        }
    }
    json(
        ana.raw("PUT", "/api/v1/me/password"),
        &json!({"old": PASSWORD, "new": NEW}),
    )
    .send()
    .is(204);
    let (mut asked, mut accepted, mut closed) = (0, 0, 0);
    for number in 0..REQUESTS {
        for connection in &mut connections {
            let (was_accepted, was_closed) = ask(connection, &ana, number);
            asked += 1;
            accepted += usize::from(was_accepted);
            if was_closed {
                closed += 1;
                *connection = server.connect();
            }
        }
    }
    println!(
        "{asked} requests with the former password, {accepted} accepted, {closed} connections closed"
    );
    assert_eq!((asked, accepted), (CONNECTIONS * REQUESTS, 0));
    let new = server.stranger().signed_in("ana", NEW);
    new.holds(NAME, "x");
    assert_eq!(
        new.propfind("/", "1").multistatus().responses.len(),
        3,
        "nothing was stored: the folder, and two files of before"
    );
}
