//! Changes of different fields of one record, made at once, are all there afterwards: a request assigns what it says and nothing else.
//! Which routes change records is read from the API's own description, so that none is forgotten.

use crate::api_sessions::{LoggedIn, json};
use crate::harness::{Client, PASSWORD, TestServer};
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Barrier;

const ROUNDS: u64 = 8;
/// Routes whose body is the content of a file.
const BYTES: [&str; 2] = ["patch /api/v1/uploads/{id}", "put /api/v1/files/content"];

/// One change of a record.
struct Change {
    /// The route, as the description names it.
    route: &'static str,
    target: String,
    /// The `Authorization`, or `Cookie`, of who makes it.
    header: (&'static str, String),
    body: Value,
}

impl Change {
    fn send(&self, client: &Client) {
        let (method, _) = self.route.split_once(' ').unwrap();
        let request = client
            .raw(&method.to_uppercase(), &self.target)
            .header(self.header.0, &self.header.1);
        let request = request
            .header("Sec-Fetch-Site", "same-origin")
            .header("X-Requested-With", "sarang");
        json(request, &self.body).send().is_any(&[200, 204]);
    }
}

struct World {
    server: TestServer,
    root: Client,
    session: LoggedIn,
    link: String,
    share: String,
}

impl World {
    fn new() -> Self {
        let server = TestServer::start();
        let name = AccountName::parse("root").unwrap();
        server
            .block_on(
                server
                    .app()
                    .auth
                    .create(&name, PASSWORD.as_bytes(), Role::Admin, None),
            )
            .unwrap();
        let (ana, root) = (server.ana(), server.ana().signed_in("root", PASSWORD));
        ana.mkcol("/docs").is(201);
        let made = |client: &Client, path: &str, body: Value| {
            client.api("POST", path, &body).is(201).json()
        };
        let id = |made: Value| made["id"].as_str().unwrap().to_owned();
        let link = id(made(&ana, "/links", json!({"path": "docs"})));
        let share = id(made(
            &ana,
            "/shares",
            json!({"path": "docs", "to": {"account": "ben"}, "rights": "view"}),
        ));
        made(&root, "/team-folders", json!({"name": "Plans"}));
        made(&root, "/groups", json!({"name": "crew"}));
        let session = LoggedIn::new(&server, "ana");
        Self {
            server,
            root,
            session,
            link,
            share,
        }
    }

    /// The changes of one round, of all records.
    fn changes(&self, round: u64) -> Vec<Change> {
        let basic = |client: &Client| ("Authorization", client.authorization().to_owned());
        let (root, ana, ben) = (
            basic(&self.root),
            ("Cookie", self.session.cookie.clone()),
            basic(&self.server.ben()),
        );
        let change =
            |route: &'static str, named: &str, header: &(&'static str, String), body: Value| {
                let (_, path) = route.split_once(' ').unwrap();
                let target = path.replace("{id}", named).replace("{name}", named);
                Change {
                    route,
                    target,
                    header: header.clone(),
                    body,
                }
            };
        let (link, share) = ("patch /api/v1/links/{id}", "patch /api/v1/shares/{id}");
        let (account, team) = (
            "patch /api/v1/accounts/{name}",
            "patch /api/v1/team-folders/{name}",
        );
        let odd = round % 2 == 1;
        let (rights, role) = (
            if odd { "edit" } else { "view" },
            if odd { "admin" } else { "user" },
        );
        let (expires, note) = (date(round), format!("round {round}"));
        vec![
            change(link, &self.link, &ana, json!({"rights": rights})),
            change(
                link,
                &self.link,
                &ana,
                json!({"password": if odd { json!("hidden") } else { Value::Null }}),
            ),
            change(link, &self.link, &ana, json!({"expires": expires})),
            change(
                link,
                &self.link,
                &ana,
                json!({"max_downloads": 100 + round}),
            ),
            change(link, &self.link, &ana, json!({"note": note})),
            change(share, &self.share, &ana, json!({"rights": rights})),
            change(share, &self.share, &ana, json!({"expires": expires})),
            change(share, &self.share, &ana, json!({"note": note})),
            change(share, &self.share, &ben, json!({"name": note})),
            change(team, "Plans", &root, json!({"quota": 1000 + round})),
            change(
                team,
                "Plans",
                &root,
                json!({"members": [{"to": {"account": "ben"}, "rights": rights}]}),
            ),
            change(
                "patch /api/v1/groups/{name}",
                "crew",
                &root,
                json!({"members": if odd { ["ana"] } else { ["ben"] }}),
            ),
            change("patch /api/v1/me", "", &ana, json!({"display_name": note})),
            change(
                "put /api/v1/me/password",
                "",
                &ana,
                json!({"old": password(round), "new": password(round + 1)}),
            ),
            change(account, "ana", &root, json!({"quota": 1_000_000 + round})),
            change(account, "eva", &root, json!({"quota": 1_000_000 + round})),
            change(account, "eva", &root, json!({"role": role})),
            change(account, "eva", &root, json!({"disabled": odd})),
            change(
                "put /api/v1/accounts/{name}/email",
                "eva",
                &root,
                json!({"email": email(round)}),
            ),
            change(
                "put /api/v1/accounts/{name}/password",
                "eva",
                &root,
                json!({"password": password(round)}),
            ),
        ]
    }

    /// Demands that all changes of a round are there.
    fn check(&self, round: u64) {
        let odd = round % 2 == 1;
        let (rights, note) = (if odd { "edit" } else { "view" }, format!("round {round}"));
        let get = |path: &str| self.root.api("GET", path, &Value::Null).is(200).json();
        let own = |path: &str| {
            self.session
                .own("GET", &format!("/api/v1{path}"))
                .send()
                .is(200)
                .json()
        };
        let link = own(&format!("/links/{}", self.link));
        let wanted = json!({"rights": rights, "has_password": odd, "expires": date(round), "max_downloads": 100 + round, "note": note});
        has(&link, &wanted, round);
        let share = own("/shares")["items"][0].clone();
        has(
            &share,
            &json!({"rights": rights, "expires": date(round), "note": note}),
            round,
        );
        let seen = self
            .server
            .ben()
            .api("GET", "/shares/incoming", &Value::Null)
            .is(200)
            .json();
        has(
            &seen["items"][0],
            &json!({"path": format!("/Shared with me/{note}")}),
            round,
        );
        let members = json!([{"to": {"account": "ben"}, "rights": rights}]);
        has(
            &get("/team-folders")["items"][0],
            &json!({"quota": 1000 + round, "members": members}),
            round,
        );
        has(
            &get("/groups")["items"][0],
            &json!({"members": [if odd { "ana" } else { "ben" }]}),
            round,
        );
        has(
            &own("/me"),
            &json!({"display_name": note, "quota": 1_000_000 + round}),
            round,
        );
        let eva = json!({"quota": 1_000_000 + round, "email": email(round), "disabled": odd, "role": if odd { "admin" } else { "user" }});
        has(&get("/accounts/eva"), &eva, round);
        self.root
            .api("PATCH", "/accounts/eva", &json!({"disabled": false}))
            .is(200);
        self.root
            .signed_in("eva", &password(round))
            .propfind("/", "0")
            .is(207);
        self.root
            .signed_in("ana", &password(round + 1))
            .propfind("/", "0")
            .is(207);
    }
}

fn password(round: u64) -> String {
    if round == 0 {
        PASSWORD.to_owned()
    } else {
        format!("blue kettle {round}")
    }
}

fn email(round: u64) -> String {
    format!("eva{round}@drive.example")
}

fn date(round: u64) -> String {
    format!("2999-12-{:02}T00:00:00Z", 1 + round)
}

#[track_caller]
fn has(present: &Value, wanted: &Value, round: u64) {
    for (field, value) in wanted.as_object().unwrap() {
        assert_eq!(
            &present[field], value,
            "round {round}: the change of {field} is lost: {present}"
        );
    }
}

#[test]
fn changes_of_different_fields_at_once_are_all_kept() {
    let world = World::new();
    let name = AccountName::parse("eva").unwrap();
    world
        .server
        .block_on(
            world
                .server
                .app()
                .auth
                .create(&name, PASSWORD.as_bytes(), Role::User, None),
        )
        .unwrap();
    for round in 0..ROUNDS {
        let changes = world.changes(round);
        let start = Barrier::new(changes.len());
        let (server, start) = (&world.server, &start);
        std::thread::scope(|scope| {
            for change in &changes {
                scope.spawn(move || {
                    let client = server.stranger();
                    start.wait();
                    change.send(&client);
                });
            }
        });
        world.check(round);
    }
}

#[test]
fn every_route_and_field_that_changes_a_record_is_tried() {
    let world = World::new();
    let document = world
        .server
        .stranger()
        .raw("GET", "/api/v1/openapi.json")
        .send()
        .is(200)
        .json();
    let changes = world.changes(0);
    let tried: BTreeSet<&str> = changes
        .iter()
        .map(|change| change.route)
        .chain(BYTES)
        .collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in ["patch", "put"]
            .iter()
            .filter(|method| methods.get(**method).is_some())
        {
            let route = format!("{method} {path}");
            assert!(
                tried.contains(route.as_str()),
                "nothing here tries {route} beside other changes of the same record"
            );
            let schema =
                &methods[*method]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(name) = schema.as_str().and_then(|name| name.rsplit('/').next()) else {
                continue;
            };
            let fields = document["components"]["schemas"][name]["properties"]
                .as_object()
                .unwrap();
            for field in fields.keys().filter(|field| !is_confirmed(&route, field)) {
                let says =
                    |change: &Change| change.route == route && change.body.get(field).is_some();
                assert!(
                    changes.iter().any(says),
                    "nothing here changes {field} by {route}"
                );
            }
        }
    }
}

/// Fields of a profile that only a test of their own changes: what lets somebody sign in, and the password that confirms it.
fn is_confirmed(route: &str, field: &str) -> bool {
    route == "patch /api/v1/me" && field != "display_name"
}
