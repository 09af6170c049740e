//! What anybody may do without signing in, and within which limits, tried on running servers with their default settings.
//! The table in `docs/security.md` is what this test found; `SARANG_GOLDEN=write` accepts a change.

use crate::api_sessions::LoggedIn;
use crate::api_two_factor::turn_on;
use crate::harness::{Client, PASSWORD, Reply, TestServer, url};
use crate::links::{self, Shared, share};
use sarang::config::Registration;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Different wrong secrets sent within a minute, more than any budget lets through.
const TRIES: usize = 16;
/// Where a body that nobody may send is given up as unlimited.
const MOST: usize = 4 << 20;
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/security.md");

/// What is open to anybody, as a line of the table.
struct Surface {
    /// Where, as people read it.
    at: &'static str,
    /// What anybody may do there.
    may: &'static str,
    /// The status of a plain request.
    status: u16,
    /// The most bytes of a body that are taken.
    body: String,
    /// How many different wrong secrets of one network are judged in a minute.
    judged: String,
}

impl Surface {
    fn new(at: &'static str, may: &'static str, reply: &Reply) -> Self {
        Self {
            at,
            may,
            status: reply.status,
            body: "none".into(),
            judged: "-".into(),
        }
    }

    fn body(mut self, body: String) -> Self {
        self.body = body;
        self
    }

    fn judged(mut self, guess: impl FnMut(usize) -> Reply) -> Self {
        self.judged = judged(guess).to_string();
        self
    }

    fn line(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} |\n",
            self.at, self.may, self.status, self.body, self.judged
        )
    }
}

/// How many of many different guesses are judged: those beyond the budget are 429, whatever they say.
fn judged(guess: impl FnMut(usize) -> Reply) -> usize {
    let replies: Vec<u16> = (0..TRIES).map(guess).map(|reply| reply.status).collect();
    let refused = replies.iter().filter(|status| **status == 429).count();
    assert!(
        replies.iter().all(|status| (400..500).contains(status)),
        "a guess was let in: {replies:?}"
    );
    assert_eq!(
        replies
            .iter()
            .rev()
            .take(refused)
            .filter(|status| **status == 429)
            .count(),
        refused,
        "{replies:?}"
    );
    TRIES - refused
}

/// The largest body that is not refused for its length, by halves; tried to the byte.
fn largest(send: impl Fn(usize) -> Reply) -> String {
    let is_taken = |len| send(len).status != 413;
    if is_taken(MOST) {
        return "any length, streamed".into();
    }
    let (mut taken, mut refused) = (0, MOST);
    while refused - taken > 1 {
        let middle = usize::midpoint(taken, refused);
        if is_taken(middle) {
            taken = middle;
        } else {
            refused = middle;
        }
    }
    if taken % 1024 == 0 {
        format!("{} KiB", taken >> 10)
    } else {
        format!("{taken} bytes")
    }
}

fn json_body(client: &Client, path: &str, len: usize) -> Reply {
    let body = format!("{{\"x\": \"{}\"}}", "x".repeat(len.saturating_sub(9)));
    client
        .raw("POST", path)
        .header("Content-Type", "application/json")
        .body(body)
        .send()
}

fn form_body(client: &Client, path: &str, len: usize) -> Reply {
    let body = format!("x={}", "x".repeat(len.saturating_sub(2)));
    client
        .raw("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
}

/// A form's field, sent as a browser does.
fn form(client: &Client, path: &str, field: &str, value: &str) -> Reply {
    let body = format!("{field}={value}");
    client
        .raw("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
}

fn stranger_at(server: &TestServer, n: usize) -> Client {
    server.stranger().signed_in("ana", &format!("guess {n}"))
}

fn passwords() -> Vec<Surface> {
    let server = TestServer::start();
    let get = server.stranger().get("/");
    let drive = Surface::new("`/dav/`", "sign in by Basic; nothing else", &get)
        .judged(|n| stranger_at(&server, n).get("/"));
    let server = TestServer::start();
    let body = largest(|len| json_body(&server.stranger(), "/api/v1/login", len));
    let ask = |n: usize| {
        let body = json!({"name": "ana", "password": format!("guess {n}")});
        server.stranger().api("POST", "/login", &body)
    };
    let login = Surface::new(
        "`POST /api/v1/login`",
        "sign in by password",
        &server.stranger().api("POST", "/login", &Value::Null),
    );
    let login = login.body(body).judged(ask);
    let server = TestServer::start();
    turn_on(&LoggedIn::new(&server, "ana"));
    let ask = |n: usize| {
        let body = json!({"name": "ana", "password": PASSWORD, "code": format!("{n:06}")});
        server.stranger().api("POST", "/login", &body)
    };
    let may = "say the code of the second factor, with the right password";
    let code = Surface {
        at: "`POST /api/v1/login`",
        may,
        status: 401,
        body: "64 KiB".into(),
        judged: judged(ask).to_string(),
    };
    vec![drive, login, code]
}

fn registration() -> Vec<Surface> {
    let server = TestServer::start();
    let ask = |n: usize| {
        let body =
            json!({"name": "new", "password": "blue kettle 77", "invite": format!("guess {n}")});
        server.stranger().api("POST", "/register", &body)
    };
    let invited = Surface::new("`POST /api/v1/register`", "show an invite", &ask(99));
    let invited = invited.body(largest(|len| {
        json_body(&server.stranger(), "/api/v1/register", len)
    }));
    let server = TestServer::start();
    let ask = |n: usize| {
        let body =
            json!({"name": "new", "password": "blue kettle 77", "invite": format!("guess {n}")});
        server.stranger().api("POST", "/register", &body)
    };
    let invited = invited.judged(ask);
    let open = TestServer::with(|config| config.accounts.registration = Registration::Open);
    let free = |n: usize| {
        open.stranger().api(
            "POST",
            "/register",
            &json!({"name": format!("new{n}"), "password": "blue kettle 77"}),
        )
    };
    let made = (0..TRIES)
        .map(free)
        .filter(|reply| reply.status == 201)
        .count();
    let again = free(0);
    let mut free = Surface::new(
        "`POST /api/v1/register`, `registration = \"open\"`",
        "make an account",
        &again,
    );
    free.judged = format!("{made} accounts");
    let day_one = TestServer::without_accounts();
    let wrong = |n: usize| {
        form(
            &day_one.stranger(),
            "/setup",
            "token",
            &format!("guess{n}&name=boss&password=blue+kettle+77"),
        )
    };
    let setup = Surface::new(
        "`/setup`, `POST /api/v1/setup`",
        "show the set-up link, while there is no account",
        &wrong(99),
    );
    let day_one = TestServer::without_accounts();
    let setup = setup.body(largest(|len| form_body(&day_one.stranger(), "/setup", len)));
    let day_one = TestServer::without_accounts();
    let wrong = |n: usize| {
        form(
            &day_one.stranger(),
            "/setup",
            "token",
            &format!("guess{n}&name=boss&password=blue+kettle+77"),
        )
    };
    vec![invited, free, setup.judged(wrong)]
}

/// A server with a link of ana's, and what leads to it.
fn linked(wish: &Value) -> (TestServer, Shared) {
    let server = links::server();
    let mut body = json!({"path": "shared"});
    for (name, value) in wish.as_object().unwrap() {
        body[name] = value.clone();
    }
    let shared = share(&server.ana(), &body);
    (server, shared)
}

fn closed_links() -> Vec<Surface> {
    let secret = json!({"password": "se cret"});
    let (server, shared) = linked(&secret);
    let at = |rest: &str| format!("/s/{}{rest}", shared.token);
    let page = Surface::new(
        "`/s/TOKEN` with a password",
        "give the password",
        &links::page(&server, &shared, ""),
    );
    let page = page.body(largest(|len| {
        form_body(&server.stranger(), &at("/password"), len)
    }));
    let (server, shared) = linked(&secret);
    let at = |rest: &str| format!("/s/{}{rest}", shared.token);
    let page = page.judged(|n| {
        form(
            &server.stranger(),
            &at("/password"),
            "password",
            &format!("guess{n}"),
        )
    });
    let (server, shared) = linked(&secret);
    let mount = format!("/s/{}/dav/", shared.token);
    let ask = |n: usize| {
        server
            .stranger()
            .signed_in("x", &format!("guess {n}"))
            .raw("GET", &mount)
            .send()
    };
    let basic = Surface::new(
        "`/s/TOKEN/dav/` with a password",
        "give the password by Basic",
        &server.stranger().raw("GET", &mount).send(),
    );
    let basic = basic.judged(ask);
    let (server, shared) = linked(&secret);
    let cookies: Vec<String> = (0..TRIES)
        .map(|n| format!("pass=basic:guess {n}"))
        .collect();
    let tried = server
        .stranger()
        .raw("GET", &format!("/s/{}", shared.token))
        .header("Cookie", cookies.join("; ") + "; pass=basic:se cret")
        .send();
    let cookie = Surface::new(
        "`/s/TOKEN` with a cookie",
        "show a pass that was given out",
        &tried,
    );
    vec![
        page,
        basic,
        Surface {
            judged: "0: a pass is random".into(),
            ..cookie
        },
    ]
}

fn open_links() -> Vec<Surface> {
    let (server, shared) = linked(&json!({}));
    let page = Surface::new(
        "`/s/TOKEN`, `/file`, `/zip`",
        "see and download what was shared",
        &links::page(&server, &shared, ""),
    );
    let mount = links::dav(&server, &shared, "PROPFIND", "/");
    let mount = Surface::new("`/s/TOKEN/dav/`", "the same by WebDAV", &mount);
    let stranger = server.stranger();
    let propfind = |len: usize| {
        let body = "<D:propfind xmlns:D=\"DAV:\"><D:allprop/></D:propfind>";
        let body = format!("{}{body}", " ".repeat(len.saturating_sub(body.len())));
        stranger
            .raw("PROPFIND", &format!("/s/{}/dav/", shared.token))
            .header("Depth", "0")
            .xml(body)
            .send()
    };
    let mount = mount.body(largest(propfind));
    let (server, shared) = linked(&json!({"path": "inbox", "rights": "drop"}));
    let drop = Surface::new(
        "`/s/TOKEN/upload` of a drop link",
        "add files within the owner's quota",
        &links::upload(&server, &shared, "", "new", "x"),
    );
    let long = "x".repeat(MOST);
    links::upload(&server, &shared, "", "long", &long).is_any(&[200, 201, 303]);
    let drop = drop.body("any length, streamed".into());
    let (server, shared) = linked(&json!({"rights": "edit"}));
    let lock = |n: usize| {
        let path = format!("/s/{}/dav{}", shared.token, url(&format!("/new{n}")));
        server
            .stranger()
            .raw("LOCK", &path)
            .header("Depth", "0")
            .header("Timeout", "Second-600")
            .xml(crate::harness::LOCK_BODY)
            .send()
    };
    let first = lock(0);
    let held = (1..100)
        .map(lock)
        .filter(|reply| reply.status < 300)
        .count()
        + 1;
    server.ana().lock("/own").send().is_any(&[200, 201]);
    let mut edit = Surface::new(
        "`/s/TOKEN/dav/` of an edit link",
        "change what was shared, and lock it",
        &first,
    );
    edit.judged = format!("{held} locks");
    vec![page, mount, drop, edit]
}

/// What the API's document calls public must have a line above, and all else is closed.
fn api_routes() -> Vec<Surface> {
    let server = TestServer::start();
    let document = server
        .stranger()
        .raw("GET", "/api/v1/openapi.json")
        .send()
        .is(200);
    let described = Surface::new(
        "`GET /api/v1/openapi.json`",
        "read the description of the API",
        &document,
    );
    let health = Surface::new(
        "`/` and the other pages of the app, `/_/…`, `/healthz`, `/readyz`",
        "see that a server is there",
        &server.stranger().raw("GET", "/healthz").send(),
    );
    let ways = server.stranger().raw("GET", "/api/v1/sign-in").send();
    let ways = Surface::new(
        "`GET /api/v1/sign-in`, `OPTIONS /api/v1/uploads`",
        "see how to sign in, and which tus extensions there are",
        &ways,
    );
    let openid = server.stranger().raw("GET", "/api/v1/openid/start").send();
    let openid = Surface::new(
        "`GET /api/v1/openid/start`, `/callback`",
        "sign in by the provider, where one is set",
        &openid,
    );
    let (mut public, mut closed) = (BTreeSet::new(), 0);
    for (path, methods) in document.json()["paths"].as_object().unwrap() {
        for (method, route) in methods.as_object().unwrap() {
            if route["security"] == json!([{}]) {
                public.insert(format!("{method} {path}"));
                continue;
            }
            let path = path.replace(['{', '}'], "");
            let reply = server.stranger().raw(&method.to_uppercase(), &path).send();
            assert_eq!(reply.status, 401, "{method} {path}");
            closed += 1;
        }
    }
    let known = [
        "get /api/v1/openid/callback",
        "get /api/v1/openid/start",
        "get /api/v1/sign-in",
        "options /api/v1/uploads",
        "post /api/v1/login",
        "post /api/v1/register",
        "post /api/v1/setup",
    ];
    assert!(
        public.iter().eq(known),
        "what is public has a line in the table: {public:?}"
    );
    assert!(closed > 60, "{closed} routes are closed");
    let shut = server.stranger().raw("GET", "/api/v1/me").send();
    let rest = Surface::new("every other route of the API", "nothing", &shut);
    vec![health, described, ways, openid, rest]
}

#[test]
fn what_anybody_may_do_is_what_the_page_says() {
    let surfaces = [
        api_routes(),
        passwords(),
        registration(),
        closed_links(),
        open_links(),
    ]
    .into_iter()
    .flatten();
    let head = "| Where | Without signing in, anybody may | Answer | Body at most | Judged a minute, from one network |\n|---|---|---|---|---|\n";
    let table = surfaces.fold(head.to_owned(), |table, surface| table + &surface.line());
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page
        .split_once("<!-- tried -->\n")
        .expect("the page says where the table is");
    let (kept, after) = rest.split_once("<!-- end -->").expect("and where it ends");
    if std::env::var("SARANG_GOLDEN").is_ok_and(|wish| wish == "write") {
        std::fs::write(
            PAGE,
            format!("{before}<!-- tried -->\n{table}<!-- end -->{after}"),
        )
        .unwrap();
        return;
    }
    assert!(
        kept == table,
        "docs/security.md is not what was found; SARANG_GOLDEN=write accepts the change:\n{table}"
    );
}
