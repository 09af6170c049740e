//! No secret is in the log, at its finest level and in both forms, nor in the audit log: every kind is used, rightly and wrongly.

use crate::api_sessions::json;
use crate::api_two_factor::Authenticator;
use crate::harness::provider::{CLIENT, Provider, SECRET};
use crate::harness::{Client, LOCK_BODY, Reply, poll, url};
use crate::program::{Place, SARANG, Serving, said};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const BOSS: &str = "the boss has a long one";
const BEN: &str = "ben: a pass%word & more";
const NEW: &str = "ben has got another";
const WRONG: &str = "nearly the right words";
const LINK: &str = "a word for the link";

/// What must be found nowhere.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// A secret, in each way that it may be written.
    fn add(&mut self, what: &'static str, secret: &str) -> String {
        assert!(secret.len() >= 6, "{what}: {secret}");
        let form = url(secret).replace("%20", "+");
        for written in [
            secret.to_owned(),
            url(secret),
            form,
            BASE64_STANDARD.encode(secret),
        ] {
            self.0
                .push((what, written.trim_end_matches('=').to_owned()));
        }
        secret.to_owned()
    }

    /// A password, also as Basic carries it.
    fn add_password(&mut self, what: &'static str, user: &str, password: &str) {
        self.add(what, password);
        self.add(what, &format!("{user}:{password}"));
    }

    /// The value of the cookie that an answer sets, and `name=value`.
    fn add_cookie(&mut self, what: &'static str, reply: &Reply) -> String {
        let cookie = reply
            .header("set-cookie")
            .unwrap_or_else(|| panic!("{what}: {reply}"));
        let pair = cookie.split(';').next().unwrap();
        self.add(what, pair.split_once('=').unwrap().1);
        pair.to_owned()
    }

    #[track_caller]
    fn are_not_in(&self, place: &str, text: &str) {
        let found: Vec<_> = self
            .0
            .iter()
            .filter(|(_, secret)| text.contains(secret))
            .collect();
        let lines = |secret: &str| {
            text.lines()
                .find(|line| line.contains(secret))
                .unwrap_or_default()
                .to_owned()
        };
        let told: Vec<_> = found
            .iter()
            .map(|(what, secret)| (what, secret, lines(secret)))
            .collect();
        assert!(told.is_empty(), "{place} tells secrets: {told:#?}");
    }
}

fn form(client: &Client, target: &str, body: &str) -> Reply {
    client
        .raw("POST", target)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
}

fn own<'a>(
    client: &'a Client,
    method: &str,
    target: &str,
    cookie: &str,
) -> crate::harness::client::Request<'a> {
    client
        .raw(method, target)
        .header("Cookie", cookie)
        .header("Sec-Fetch-Site", "same-origin")
        .header("X-Requested-With", "sarang")
}

/// The way to the first administrator, by form and by API, rightly and wrongly.
fn set_up(secrets: &mut Secrets, serving: &Serving, nobody: &Client) {
    let greeting = serving.greeting();
    let token = greeting
        .split("/setup?token=")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let token = secrets.add("set-up token", token);
    secrets.add("wrong set-up token", &token[1..]);
    secrets.add_password("password", "boss", BOSS);
    nobody
        .raw("GET", &format!("/setup?token={token}"))
        .send()
        .is(200);
    form(
        nobody,
        "/setup",
        &format!("token={}&name=boss&password={}", &token[1..], url(BOSS)),
    )
    .is(403);
    nobody
        .api(
            "POST",
            "/setup",
            &json!({"token": token, "name": "boss", "password": BOSS}),
        )
        .is(201);
}

/// Passwords by Basic, in the address and at the login; sessions, bearers, app passwords, the second factor, new passwords.
fn sign_in(secrets: &mut Secrets, nobody: &Client) -> Client {
    secrets.add_password("wrong password", "ben", WRONG);
    let boss = nobody.signed_in("boss", BOSS);
    boss.propfind("/", "0").is(207);
    nobody.signed_in("ben", WRONG).propfind("/", "0").is(401);
    let spelled = format!(
        "http://ben:{}@{}/dav/?password={}",
        url(WRONG),
        nobody.host(),
        url(WRONG)
    );
    nobody.raw("GET", &spelled).send().is_any(&[400, 401]);
    nobody
        .api("POST", "/login", &json!({"name": "ben", "password": WRONG}))
        .is(401);
    nobody
        .raw("POST", "/api/v1/login")
        .header("Content-Type", "application/json")
        .body(format!("{{{WRONG}"))
        .send()
        .is(400);

    let login = nobody
        .api(
            "POST",
            "/login",
            &json!({"name": "boss", "password": BOSS, "bearer": true}),
        )
        .is(200);
    let cookie = secrets.add_cookie("session cookie", &login);
    let bearer = secrets.add("bearer", login.json()["bearer"]["token"].as_str().unwrap());
    own(nobody, "GET", "/api/v1/me", &cookie).send().is(200);
    own(nobody, "GET", "/dav/", &format!("{cookie}x; {cookie}")).send();
    nobody
        .authorized(&format!("Bearer {bearer}"))
        .raw("GET", &format!("/api/v1/me?access_token={bearer}"))
        .send()
        .is(200);
    let fresh = own(nobody, "POST", "/api/v1/session/refresh", &cookie)
        .send()
        .is(200)
        .json();
    secrets.add(
        "fresh bearer",
        fresh["bearer"]["token"]
            .as_str()
            .or(fresh["token"].as_str())
            .unwrap(),
    );

    let made = boss
        .api("POST", "/app-passwords", &json!({"name": "phone"}))
        .is(201)
        .json();
    let app_password = secrets.add("app password", made["password"].as_str().unwrap());
    secrets.add("app password as it is kept", &app_password.replace('-', ""));
    nobody
        .signed_in("boss", &app_password)
        .propfind("/", "0")
        .is(207);
    nobody
        .authorized(&format!("Bearer {app_password}"))
        .raw("GET", "/api/v1/me")
        .send()
        .is(200);
    boss
}

/// An invite, and the account that is made by it; its new password.
fn register(secrets: &mut Secrets, place: &Place, boss: &Client, nobody: &Client) {
    let invite = boss
        .api("POST", "/invites", &json!({"note": "for Ben"}))
        .is(201)
        .json();
    let invite = secrets.add("invite", invite["invite"].as_str().unwrap());
    secrets.add_password("password", "ben", BEN);
    secrets.add_password("new password", "ben", NEW);
    let ask = |invite: &str| {
        nobody.api(
            "POST",
            "/register",
            &json!({"name": "ben", "password": BEN, "invite": invite}),
        )
    };
    secrets.add("wrong invite", &invite[1..]);
    ask(&invite[1..]).is(403);
    nobody
        .raw("GET", &format!("/register?invite={invite}"))
        .send()
        .is(200);
    ask(&invite).is(201);
    let ben = nobody.signed_in("ben", BEN);
    ben.propfind("/", "0").is(207);
    json(
        ben.raw("PUT", "/api/v1/me/password"),
        &json!({"old": WRONG, "new": NEW}),
    )
    .send()
    .is(422);
    let reset = place.run(&["user", "passwd", "ben", "--password-stdin"], NEW);
    assert!(reset.status.success(), "{reset:?}");
    nobody.signed_in("ben", NEW).propfind("/", "0").is(207);
}

/// Public links: their tokens, passwords and passes.
fn share(secrets: &mut Secrets, boss: &Client, nobody: &Client) {
    secrets.add_password("link password", "anybody", LINK);
    boss.mkcol("/d").is(201);
    boss.store("/d/a.txt", "x");
    let made = boss
        .api(
            "POST",
            "/links",
            &json!({"path": "d", "rights": "edit", "password": LINK}),
        )
        .is(201)
        .json();
    let token = secrets.add("link token", made["token"].as_str().unwrap());
    secrets.add("wrong link token", &format!("{token}7")[1..]);
    let page = format!("/s/{token}");
    nobody.raw("GET", &page).send().is(401);
    nobody.raw("GET", &format!("/{page}//file")).send();
    nobody
        .raw("GET", &format!("/s/{}", &format!("{token}7")[1..]))
        .send()
        .is(404);
    form(
        nobody,
        &format!("{page}/password"),
        &format!("password={}", url(WRONG)),
    )
    .is_any(&[401, 403]);
    let entered = form(
        nobody,
        &format!("{page}/password"),
        &format!("password={}", url(LINK)),
    )
    .is(303);
    let pass = secrets.add_cookie("link pass", &entered);
    nobody
        .raw("GET", &format!("{page}/file?path=a.txt"))
        .header("Cookie", &pass)
        .send()
        .is(200);
    nobody
        .raw("GET", &format!("{page}/file?path=none"))
        .header("Cookie", &pass)
        .send()
        .is(404);
    let visitor = nobody.signed_in("anybody", LINK);
    visitor
        .raw("PROPFIND", &format!("{page}/dav/"))
        .header("Depth", "1")
        .header("Referer", &page)
        .send()
        .is(207);
    let to = format!("http://{}{page}/dav/b.txt", nobody.host());
    visitor
        .raw("COPY", &format!("{page}/dav/a.txt"))
        .header("Destination", to)
        .send()
        .is(201);
    let locked = visitor
        .raw("LOCK", &format!("{page}/dav/a.txt"))
        .header("Depth", "0")
        .xml(LOCK_BODY)
        .send()
        .is(200);
    let lock = secrets.add("lock token", &locked.token());
    visitor
        .raw("PUT", &format!("{page}/dav/a.txt"))
        .header("If", format!("(<{lock}7>)"))
        .body("y")
        .send()
        .is_any(&[412, 423]);
    visitor
        .raw("UNLOCK", &format!("{page}/dav/a.txt"))
        .header("Lock-Token", format!("<{lock}>"))
        .send()
        .is(204);
}

/// The second factor: its secret, codes and recovery codes.
fn second_factor(secrets: &mut Secrets, nobody: &Client) {
    let login = |extra: &str| {
        let mut body = json!({"name": "ben", "password": NEW});
        if !extra.is_empty() {
            body["code"] = extra.into();
        }
        nobody.api("POST", "/login", &body)
    };
    let cookie = secrets.add_cookie("session cookie", &login("").is(200));
    let post = |target: &str, body| json(own(nobody, "POST", target, &cookie), &body).send();
    let begun = post("/api/v1/me/two-factor", json!({"password": NEW}))
        .is(201)
        .json();
    let app = Authenticator::new(&secrets.add("second factor", begun["secret"].as_str().unwrap()));
    let confirmed = post(
        "/api/v1/me/two-factor/confirm",
        json!({"code": app.code(0)}),
    )
    .is(200)
    .json();
    let recovery: Vec<&str> = confirmed["recovery_codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_str().unwrap())
        .collect();
    for code in &recovery {
        secrets.add("recovery code", code);
    }
    login("").is(401);
    login(&secrets.add("wrong code", "recovery-code-of-another")).is(401);
    secrets.add_cookie("session by recovery code", &login(recovery[0]).is(200));
    secrets.add_cookie("session by code", &login(&app.code(1)).is(200));
}

/// A sign-in by the provider: the client's secret, the state, and the cookie between leaving and coming back.
fn by_provider(secrets: &mut Secrets, provider: &Provider, nobody: &Client) {
    secrets.add("secret at the provider", SECRET);
    let start = nobody.raw("GET", "/api/v1/openid/start").send().is(302);
    let cookie = secrets.add_cookie("cookie of a sign-in under way", &start);
    let target = provider.authorize(start.header("location").unwrap());
    let state = target
        .split("state=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    secrets.add("state", state);
    secrets.add(
        "code of the provider",
        &format!(
            "?{}",
            target.split('?').nth(1).unwrap().split('&').next().unwrap()
        ),
    );
    let back = || {
        nobody
            .raw("GET", &target)
            .header("Cookie", &cookie)
            .header("Sec-Fetch-Site", "cross-site")
            .send()
    };
    let entered = back().is(302);
    let session = entered
        .all("set-cookie")
        .into_iter()
        .find(|cookie| cookie.starts_with("sid="))
        .expect("a session");
    secrets.add(
        "session by the provider",
        session.split(['=', ';']).nth(1).unwrap(),
    );
    back().is_any(&[302, 400, 401, 403]);
}

fn texts_in(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            texts_in(&entry.path(), into);
        } else {
            into.push_str(&String::from_utf8_lossy(
                &std::fs::read(entry.path()).unwrap(),
            ));
        }
    }
}

#[test]
fn no_secret_is_in_the_logs() {
    for format in ["text", "json"] {
        let (place, provider, mut secrets) = (Place::new(), Provider::start(), Secrets::default());
        provider.person(json!({"sub": "person-1", "preferred_username": "paul"}));
        let settings = format!(
            "[server]\npublic_url = \"http://files.test\"\n[log]\nlevel = \"trace\"\nformat = \"{format}\"\n\
             [accounts]\nfailures_per_network = 1000\nfailures_per_account = 1000\n[openid]\nissuer = \"{}\"\n\
             client_id = \"{CLIENT}\"\nclient_secret = \"{SECRET}\"\nstrangers = \"create\"\n",
            provider.issuer()
        );
        std::fs::write(place.path().join("config.toml"), settings).unwrap();
        let serving = place.serve_by(&format!("exec {SARANG} serve 2> log"));
        let nobody = Client::new(serving.address, None);
        set_up(&mut secrets, &serving, &nobody);
        let boss = sign_in(&mut secrets, &nobody);
        register(&mut secrets, &place, &boss, &nobody);
        share(&mut secrets, &boss, &nobody);
        second_factor(&mut secrets, &nobody);
        by_provider(&mut secrets, &provider, &nobody);
        drop(serving);
        let log = std::fs::read_to_string(place.path().join("log")).unwrap();
        assert!(
            log.matches("/api/v1/login").count() >= 5 && log.contains("/s/-/dav/a.txt"),
            "{log}"
        );
        assert!(
            log.contains("DEBUG") || log.contains("TRACE"),
            "it is at its finest: {log}"
        );
        secrets.are_not_in("the log", &log);
        assert!(!log.contains("eyJ"), "a token in JSON (JWT): {log}");
        let mut audit = String::new();
        texts_in(&place.path().join("sarang-data/audit"), &mut audit);
        assert!(audit.contains("sign-in-failed"), "{audit}");
        secrets.are_not_in("the audit log", &audit);
        assert!(
            secrets.0.len() > 100,
            "{} texts were looked for",
            secrets.0.len()
        );
    }
}

#[test]
fn a_mistake_beside_a_secret_in_the_settings_does_not_tell_it() {
    let place = Place::new();
    let serving = place.serve_by(&format!("exec {SARANG} serve 2> log"));
    let log = || std::fs::read_to_string(place.path().join("log")).unwrap();
    let settings = format!("[openid]\nclient_secret = \"{SECRET}\n");
    std::fs::write(place.path().join("config.toml"), settings).unwrap();
    let pid = Pid::from_raw(serving.pid().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let is_told = poll(Duration::from_secs(10), || log().contains("cannot be used"));
    assert!(is_told, "{}", log());
    let output = place.run(&["config", "check"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for text in [log(), said(&output)] {
        assert!(text.contains("line 2, column "), "{text}");
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
#[should_panic(expected = "session cookie")]
fn a_secret_is_found_however_it_is_written() {
    let mut secrets = Secrets::default();
    secrets.add("session cookie", "a/b+c d");
    secrets.are_not_in("the log", "GET /a?sid=a/b%2Bc+d");
}
