//! Two-factor sign-in over real HTTP: a code after the password, each good once, and app passwords for programs.

use crate::api_sessions::{LoggedIn, json};
use crate::harness::{PASSWORD, Reply, TestServer};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use std::time::{SystemTime, UNIX_EPOCH};

/// An authenticator app that has taken the secret; its codes are counted from the step it began in.
pub struct Authenticator {
    secret: Vec<u8>,
    begun: u64,
}

impl Authenticator {
    pub fn new(secret: &str) -> Self {
        let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
        for c in secret.bytes() {
            let five = if c.is_ascii_uppercase() {
                c - b'A'
            } else {
                c - b'2' + 26
            };
            held = ((held & 0xff) << 5) | u32::from(five);
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from((held >> bits) & 0xff).unwrap());
            }
        }
        Self {
            secret: bytes,
            begun: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs()
                / 30,
        }
    }

    /// The code so many steps after the first; 0 and 1 are good for half a minute at least.
    pub fn code(&self, after: u64) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.secret).unwrap();
        mac.update(&(self.begun + after).to_be_bytes());
        let tag = mac.finalize().into_bytes();
        let at = usize::from(tag[19] & 15);
        let number = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

fn login(server: &TestServer, password: &str, code: Option<&str>) -> Reply {
    let mut body = json!({"name": "ana", "password": password, "bearer": true});
    if let Some(code) = code {
        body["code"] = code.into();
    }
    json(server.stranger().raw("POST", "/api/v1/login"), &body).send()
}

fn post(ana: &LoggedIn, target: &str, body: &Value) -> Reply {
    json(ana.own("POST", target), body).send()
}

pub fn begin(ana: &LoggedIn) -> Authenticator {
    let begun = post(ana, "/api/v1/me/two-factor", &json!({"password": PASSWORD}))
        .is(201)
        .json();
    let (secret, uri) = (
        begun["secret"].as_str().unwrap(),
        begun["uri"].as_str().unwrap(),
    );
    assert_eq!(
        uri,
        format!("otpauth://totp/Sarang:ana?secret={secret}&issuer=Sarang")
    );
    assert_eq!(secret.len(), 32);
    Authenticator::new(secret)
}

/// Turns it on; the app and the recovery codes.
pub fn turn_on(ana: &LoggedIn) -> (Authenticator, Vec<String>) {
    let app = begin(ana);
    let confirmed = post(
        ana,
        "/api/v1/me/two-factor/confirm",
        &json!({"code": app.code(0)}),
    )
    .is(200)
    .json();
    let codes = confirmed["recovery_codes"].as_array().unwrap();
    (
        app,
        codes
            .iter()
            .map(|code| code.as_str().unwrap().to_owned())
            .collect(),
    )
}

#[test]
fn a_code_is_asked_for_after_the_password_and_is_good_once() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 100);
    let ana = LoggedIn::new(&server, "ana");
    let (app, recovery) = turn_on(&ana);
    assert_eq!(
        ana.own("GET", "/api/v1/me").send().is(200).json()["two_factor"],
        true
    );
    let asked = login(&server, PASSWORD, None).is(401);
    assert!(
        asked.json()["code"] == "code_required" && asked.header("set-cookie").is_none(),
        "{asked}"
    );
    assert_eq!(
        login(&server, "wrong", None).is(401).json()["code"],
        "unauthenticated"
    );
    assert_eq!(
        login(&server, "wrong", Some(&app.code(1))).is(401).json()["code"],
        "unauthenticated"
    );
    login(&server, PASSWORD, Some(&app.code(0))).is(401); // it has confirmed already
    login(&server, PASSWORD, Some(&app.code(1))).is(200);
    login(&server, PASSWORD, Some(&app.code(1))).is(401);
    assert_eq!(recovery.len(), 10);
    login(
        &server,
        PASSWORD,
        Some(&recovery[3].to_uppercase().replace('-', " ")),
    )
    .is(200);
    login(&server, PASSWORD, Some(&recovery[3])).is(401);
    let server = server.restart();
    login(&server, PASSWORD, Some(&recovery[3])).is(401);
    login(&server, PASSWORD, Some(&app.code(1))).is(401);
    login(&server, PASSWORD, Some(&recovery[4])).is(200);
    let other = json!({"name": "ben", "password": PASSWORD});
    json(server.stranger().raw("POST", "/api/v1/login"), &other)
        .send()
        .is(200);
}

#[test]
fn the_password_alone_opens_nothing_any_more() {
    let server = TestServer::start();
    let (ana, basic) = (LoggedIn::new(&server, "ana"), server.ana());
    basic.propfind("/", "0").is(207);
    let _app = begin(&ana);
    basic.propfind("/", "0").is(207);
    login(&server, PASSWORD, None).is(200);
    let phone = json(
        basic.raw("POST", "/api/v1/app-passwords"),
        &json!({"name": "x"}),
    )
    .send()
    .is(201)
    .json();
    let (app, _) = turn_on(&ana);
    basic.propfind("/", "0").is(401);
    basic.raw("GET", "/api/v1/me").send().is(401);
    server.ana().propfind("/", "0").is(401);
    server
        .stranger()
        .signed_in("ana", &format!("{PASSWORD}{}", app.code(1)))
        .propfind("/", "0")
        .is(401);
    server
        .stranger()
        .signed_in("ana", phone["password"].as_str().unwrap())
        .propfind("/", "0")
        .is(207);
    ana.own("GET", "/api/v1/me").send().is(200);
    server.ben().propfind("/", "0").is(207);
}

#[test]
fn turning_it_on_and_off_takes_the_password() {
    let server = TestServer::start();
    let ana = LoggedIn::new(&server, "ana");
    post(
        &ana,
        "/api/v1/me/two-factor/confirm",
        &json!({"code": "123456"}),
    )
    .is(404);
    let wrong = json!({"password": "wrong"});
    assert_eq!(
        post(&ana, "/api/v1/me/two-factor", &wrong).is(422).json()["errors"][0]["pointer"],
        "/password"
    );
    let app = begin(&ana);
    let mistyped = if app.code(0) == "000000" {
        "000001"
    } else {
        "000000"
    };
    let reply = post(
        &ana,
        "/api/v1/me/two-factor/confirm",
        &json!({"code": mistyped}),
    )
    .is(422);
    assert_eq!(reply.json()["errors"][0]["pointer"], "/code");
    let (_, recovery) = turn_on(&ana);
    post(
        &ana,
        "/api/v1/me/two-factor",
        &json!({"password": PASSWORD}),
    )
    .is(409);
    post(
        &ana,
        "/api/v1/me/two-factor/confirm",
        &json!({"code": recovery[0]}),
    )
    .is(409);
    json(ana.own("DELETE", "/api/v1/me/two-factor"), &wrong)
        .send()
        .is(422);
    json(
        ana.own("DELETE", "/api/v1/me/two-factor"),
        &json!({"password": PASSWORD}),
    )
    .send()
    .is(204);
    server.ana().propfind("/", "0").is(207);
    login(&server, PASSWORD, None).is(200);
}

#[test]
fn guessing_codes_is_slowed_wherever_it_comes_from() {
    let server = TestServer::with(|config| {
        config.accounts.failures_per_account = 100;
        config.accounts.failures_per_network = 100;
        config.server.trusted_proxies = vec![[127, 0, 0, 1].into()];
    });
    let ana = LoggedIn::new(&server, "ana");
    let (_, recovery) = turn_on(&ana);
    let guess = |at: u8, code: &str| {
        let body = json!({"name": "ana", "password": PASSWORD, "code": code});
        let client = server.stranger();
        let request = json(client.raw("POST", "/api/v1/login"), &body);
        request
            .header("X-Forwarded-For", format!("192.0.2.{at}"))
            .send()
            .status
    };
    for at in 0..5 {
        assert_eq!(guess(at, "not it"), 401);
    }
    assert_eq!(guess(9, &recovery[0]), 429);
    ana.own("GET", "/api/v1/me").send().is(200);
}
