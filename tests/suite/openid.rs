//! Sign-in by an OpenID Connect provider over real HTTP: only what the provider says and only to the browser that asked.

use crate::api_sessions::{LoggedIn, json};
use crate::guessing::at_once;
use crate::harness::provider::{CLIENT, Provider, SECRET, Signed, pairs};
use crate::harness::{Client, PASSWORD, Reply, TestServer, poll};
use sarang::audit::{AuditFilter, AuditKind};
use sarang::config::{Config, OpenIdConfig, UnknownSubjects};
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};
use std::time::Duration;

pub const MAIL: &str = "ana@drive.example";

pub fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

/// What a provider says wrongly.
type Lie = fn(&mut Value);

/// A server, its provider, and a person at the provider with ana's address.
pub struct House {
    pub server: TestServer,
    pub provider: Provider,
}

impl House {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let provider = Provider::start();
        let server = TestServer::with(|config| {
            config.server.public_url = "http://files.test".into();
            config.openid = OpenIdConfig::of(provider.issuer(), CLIENT, SECRET);
            config.accounts.failures_per_network = 1000;
            change(config);
        });
        let house = Self { server, provider };
        house.set_email("ana", MAIL);
        house.provider.person(
            json!({"sub": "person-1", "email": MAIL.to_uppercase(), "email_verified": true}),
        );
        house
    }

    pub fn set_email(&self, account: &str, email: &str) {
        self.server
            .block_on(
                self.server
                    .app()
                    .auth
                    .set_email(&name(account), Some(email.into())),
            )
            .unwrap();
    }

    pub fn link(&self, account: &str, subject: &str) {
        let app = self.server.app();
        self.server
            .block_on(
                app.auth
                    .link_openid(&name(account), self.provider.issuer(), subject),
            )
            .unwrap();
    }

    /// Signs in as a browser does; the answer of the callback.
    pub fn sign_in(&self) -> Reply {
        Journey::begin(self, "/api/v1/openid/start").end()
    }

    /// Demands that the audit log has, or soon will have, so many entries of a kind.
    #[track_caller]
    pub fn audited(&self, kind: AuditKind, count: usize) {
        let app = self.server.app();
        let found = || {
            let filter = AuditFilter {
                kind: Some(kind),
                ..AuditFilter::default()
            };
            self.server
                .block_on(app.audit.read(filter, u64::MAX, 100))
                .unwrap()
                .len()
        };
        assert!(
            poll(Duration::from_secs(10), || found() >= count) && found() == count,
            "{kind:?}: {}",
            found()
        );
    }
}

/// A browser between leaving and coming back.
pub struct Journey {
    pub client: Client,
    /// The cookie that it keeps meanwhile.
    pub cookie: String,
    /// What the provider sends it back to.
    pub target: String,
}

impl Journey {
    pub fn begin(house: &House, start: &str) -> Self {
        let client = house.server.stranger();
        let reply = client.raw("GET", start).send().is(302);
        let (cookie, target) = (
            kept(&reply),
            house.provider.authorize(reply.header("location").unwrap()),
        );
        Self {
            client,
            cookie,
            target,
        }
    }

    pub fn end(&self) -> Reply {
        self.client
            .raw("GET", &self.target)
            .header("Cookie", &self.cookie)
            .header("Sec-Fetch-Site", "cross-site")
            .send()
    }
}

/// The cookie that remembers who left.
#[track_caller]
pub fn kept(reply: &Reply) -> String {
    let cookie = reply
        .all("set-cookie")
        .into_iter()
        .find(|c| c.starts_with("openid="))
        .unwrap();
    assert!(
        cookie.contains("; HttpOnly; SameSite=Lax") && cookie.ends_with("Max-Age=600"),
        "{cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

/// Demands a session, and says whose it is.
#[track_caller]
pub fn entered(house: &House, reply: &Reply) -> Value {
    assert_eq!(reply.status, 302, "{reply}");
    let cookies = reply.all("set-cookie");
    let session = cookies.iter().find(|c| c.starts_with("sid=")).unwrap();
    assert!(session.contains("; HttpOnly; SameSite=Strict"), "{session}");
    assert!(
        cookies
            .iter()
            .any(|c| c.starts_with("openid=;") && c.ends_with("Max-Age=0")),
        "{reply}"
    );
    let cookie = session.split(';').next().unwrap();
    house
        .server
        .stranger()
        .raw("GET", "/api/v1/me")
        .header("Cookie", cookie)
        .send()
        .is(200)
        .json()
}

/// Demands a refusal without a session.
#[track_caller]
pub fn refused(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply}");
    assert!(
        !reply
            .all("set-cookie")
            .iter()
            .any(|c| c.starts_with("sid=")),
        "{reply}"
    );
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
}

#[test]
fn a_verified_address_links_the_account_that_has_it() {
    let house = House::new();
    let journey = Journey::begin(&house, "/api/v1/openid/start?return=/photos%3Fa=b");
    let reply = journey.end();
    assert_eq!(entered(&house, &reply)["name"], "ana");
    assert_eq!(reply.header("location"), Some("/photos?a=b"));
    house.audited(AuditKind::OpenidLinked, 1);
    house.audited(AuditKind::SignIn, 1);
    house.audited(AuditKind::SessionStarted, 1);
    let links = house
        .server
        .ana()
        .raw("GET", "/api/v1/me/openid")
        .send()
        .is(200)
        .json();
    assert_eq!(
        (
            &links["items"][0]["subject"],
            links["items"].as_array().unwrap().len()
        ),
        (&"person-1".into(), 1)
    );
    // From now on it is who they are that counts, not the address.
    house.provider.person(json!({"sub": "person-1"}));
    assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
    let house = House {
        server: house.server.restart(),
        provider: house.provider,
    };
    assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
    // And whoever gets the address later is somebody else.
    house
        .provider
        .person(json!({"sub": "person-2", "email": MAIL, "email_verified": true}));
    refused(&house.sign_in(), 403);
    house.audited(AuditKind::SignInFailed, 1);
    house.audited(AuditKind::OpenidLinked, 1);
}

#[test]
fn what_the_id_token_leaves_out_is_asked_for() {
    let house = House::new();
    house.provider.tell_in_token(false);
    assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
    assert_eq!(house.provider.count("/person"), 1);
    assert_eq!(
        house.provider.count("/keys"),
        1,
        "what the provider says of itself is remembered"
    );
    house.provider.change_key();
    assert_eq!(
        entered(&house, &house.sign_in())["name"],
        "ana",
        "with the provider's new key"
    );
    assert_eq!(house.provider.count("/keys"), 2);
}

#[test]
fn only_the_browser_that_left_comes_back() {
    let house = House::new();
    let journey = Journey::begin(&house, "/api/v1/openid/start");
    let (path, said) = journey.target.split_once('?').unwrap();
    let (path, said) = (path.to_owned(), pairs(said));
    let get = |query: &str, cookie: Option<&str>| {
        let client = house.server.stranger();
        let target = format!("{path}?{query}");
        let request = client.raw("GET", &target);
        match cookie {
            Some(cookie) => request.header("Cookie", cookie).send(),
            None => request.send(),
        }
    };
    let (state, code) = (&said["state"], &said["code"]);
    let other = Journey::begin(&house, "/api/v1/openid/start");
    refused(&get(&format!("code={code}&state={state}"), None), 403);
    refused(
        &get(&format!("code={code}&state={state}"), Some(&other.cookie)),
        403,
    );
    refused(
        &get(
            &format!("code={code}&state={state}"),
            Some(&format!("{}; {}", journey.cookie, other.cookie)),
        ),
        403,
    );
    refused(
        &get(
            &format!("code={code}&state={state}"),
            Some(&journey.cookie.replace('.', "A.")),
        ),
        403,
    );
    refused(
        &get(&format!("code={code}&state=wrong"), Some(&journey.cookie)),
        403,
    );
    refused(&get(&format!("code={code}"), Some(&journey.cookie)), 403);
    refused(
        &get(
            &format!("error=access_denied&state={state}"),
            Some(&journey.cookie),
        ),
        403,
    );
    refused(
        &get(
            &format!("code={code}&state={state}&iss=https://evil.example"),
            Some(&journey.cookie),
        ),
        403,
    );
    assert_eq!(house.provider.count("/token"), 0);
    assert_eq!(entered(&house, &journey.end())["name"], "ana");
    refused(&journey.end(), 403); // the code is used up
    // Another's code in one's own journey: it was got for another challenge.
    let mixed = pairs(other.target.split_once('?').unwrap().1);
    let own = Journey::begin(&house, "/api/v1/openid/start");
    let state = pairs(own.target.split_once('?').unwrap().1)["state"].clone();
    refused(
        &get(
            &format!("code={}&state={state}", mixed["code"]),
            Some(&own.cookie),
        ),
        403,
    );
}

#[test]
fn an_id_token_that_is_not_right_lets_nobody_in() {
    let house = House::new();
    let lies: [(&str, Lie); 14] = [
        ("another nonce", |claims| claims["nonce"] = "x".into()),
        ("no nonce", |claims| {
            _ = claims.as_object_mut().unwrap().remove("nonce");
        }),
        ("another audience", |claims| claims["aud"] = "others".into()),
        ("one audience more", |claims| {
            claims["aud"] = json!([CLIENT, "others"]);
        }),
        ("several audiences and no party", |claims| {
            claims["aud"] = json!([CLIENT, CLIENT]);
        }),
        (
            "several audiences, ours and another, the party ours",
            |claims| {
                (claims["aud"], claims["azp"]) = (json!([CLIENT, "others"]), CLIENT.into());
            },
        ),
        ("another party", |claims| claims["azp"] = "others".into()),
        ("a party that is none", |claims| claims["azp"] = "".into()),
        ("expired", |claims| {
            claims["exp"] = (claims["iat"].as_u64().unwrap() - 1).into();
        }),
        ("no expiry", |claims| {
            _ = claims.as_object_mut().unwrap().remove("exp");
        }),
        ("another issuer", |claims| {
            claims["iss"] = "http://127.0.0.1:1".into();
        }),
        ("nobody", |claims| {
            _ = claims.as_object_mut().unwrap().remove("sub");
        }),
        ("an empty subject", |claims| claims["sub"] = "".into()),
        ("another access token", |claims| {
            claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA".into();
        }),
    ];
    for (what, lie) in lies {
        house.provider.lie(lie);
        let reply = house.sign_in();
        assert!(
            matches!(reply.status, 403 | 422) && reply.all("set-cookie").len() == 1,
            "{what}: {reply}"
        );
    }
    house.audited(AuditKind::OpenidLinked, 0);
    for truth in [
        (|claims: &mut Value| claims["azp"] = CLIENT.into()) as Lie,
        |claims| claims["aud"] = json!([CLIENT]),
        |claims| (claims["aud"], claims["azp"]) = (json!([CLIENT, CLIENT]), CLIENT.into()),
    ] {
        house.provider.lie(truth);
        entered(&house, &house.sign_in());
        house
            .server
            .block_on(house.server.app().auth.unlink_openid(&name("ana")))
            .unwrap();
    }
    // Without the hash of the access token, which is checked as well, the signature alone decides.
    house
        .provider
        .lie(|claims| _ = claims.as_object_mut().unwrap().remove("at_hash"));
    for signed in [
        Signed::NotAtAll,
        Signed::BySecret(SECRET),
        Signed::BySecret("key-1"),
        Signed::ByAnother,
    ] {
        house.provider.sign(signed);
        refused(&house.sign_in(), 403);
    }
    house.provider.sign(Signed::Rightly);
    house.provider.tell_in_token(false);
    let sub = |claims: &mut Value| claims["sub"] = "person-9".into();
    house.provider.lie(sub);
    refused(&house.sign_in(), 403); // what is asked for is of another person than the ID token
    house.provider.lie(|_| {});
    assert!(
        house
            .server
            .app()
            .auth
            .openid_links_of(&name("ana"))
            .is_empty()
    );
    assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
}

#[test]
fn nobody_is_linked_by_an_address_that_proves_nothing() {
    let house = House::new();
    for person in [
        json!({"sub": "p", "email": MAIL}),
        json!({"sub": "p", "email": MAIL, "email_verified": false}),
        json!({"sub": "p", "email": "other@drive.example", "email_verified": true}),
        json!({"sub": "p", "email_verified": true}),
        json!({"sub": "ana", "preferred_username": "ana"}),
    ] {
        house.provider.person(person);
        refused(&house.sign_in(), 403);
    }
    house
        .provider
        .person(json!({"sub": "p", "email": MAIL, "email_verified": true}));
    assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
    let house = House::with(|config| config.openid.link_by_email = false);
    refused(&house.sign_in(), 403);
}

#[test]
fn a_disabled_or_removed_account_is_refused() {
    let house = House::new();
    let app = house.server.app();
    house
        .server
        .block_on(app.auth.set_disabled(&name("ana"), true))
        .unwrap();
    refused(&house.sign_in(), 403);
    house.audited(AuditKind::OpenidLinked, 0);
    house
        .server
        .block_on(app.auth.set_disabled(&name("ana"), false))
        .unwrap();
    entered(&house, &house.sign_in());
    house
        .server
        .block_on(app.auth.set_disabled(&name("ana"), true))
        .unwrap();
    refused(&house.sign_in(), 403);
    house
        .server
        .block_on(app.remove_account(&name("ana"), sarang::app::removal::FilesDisposal::Keep))
        .unwrap();
    house
        .server
        .block_on(
            app.auth
                .create(&name("ana"), PASSWORD.as_bytes(), Role::User, None),
        )
        .unwrap();
    refused(&house.sign_in(), 403);
    drop(app);
}

#[test]
fn strangers_get_an_account_where_the_settings_say_so() {
    let house = House::with(|config| {
        config.openid.strangers = UnknownSubjects::Create;
        config.accounts.default_quota = Some(5_000_000);
    });
    let eva = json!({"sub": "e", "preferred_username": "Eva", "name": "Eva Müller", "email": "e@x.example", "email_verified": true});
    house.provider.person(eva);
    let me = entered(&house, &house.sign_in());
    assert_eq!(
        (&me["name"], &me["display_name"], &me["role"]),
        (&"eva".into(), &"Eva Müller".into(), &"user".into())
    );
    assert_eq!(
        (&me["email"], &me["quota"]),
        (&"e@x.example".into(), &5_000_000.into())
    );
    assert_eq!(entered(&house, &house.sign_in())["name"], "eva");
    for (person, why) in [
        (
            json!({"sub": "f", "preferred_username": "ben"}),
            "a name that is taken",
        ),
        (
            json!({"sub": "f", "preferred_username": "b.e-n"}),
            "a name that looks like one that is",
        ),
        (
            json!({"sub": "f", "preferred_username": "../ben"}),
            "no name of ours",
        ),
        (json!({"sub": "f"}), "no name"),
        (
            json!({"sub": "f", "preferred_username": "fay", "email": MAIL, "email_verified": true}),
            "ana, by the address",
        ),
    ] {
        house.provider.person(person.clone());
        let reply = house.sign_in();
        if why.starts_with("ana") {
            assert_eq!(entered(&house, &reply)["name"], "ana");
        } else {
            refused(&reply, 403);
        }
    }
    house.provider.person(
        json!({"sub": "g", "preferred_username": "gil", "email": "G@x", "email_verified": false}),
    );
    let me = entered(&house, &house.sign_in());
    assert!(
        me["name"] == "gil" && me.get("email").is_none(),
        "an address that is not verified is not kept: {me}"
    );
    house.audited(AuditKind::AccountCreated, 2);
}

#[test]
fn an_account_links_and_unlinks_itself_with_its_password() {
    let house = House::new();
    let ana = LoggedIn::new(&house.server, "ana");
    house.provider.person(json!({"sub": "person-7"}));
    let wish = |password: &str| json!({"password": password, "return": "/profile"});
    let leave = |password: &str| json(ana.own("POST", "/api/v1/me/openid"), &wish(password)).send();
    assert_eq!(
        leave("wrong").is(422).json()["errors"][0]["pointer"],
        "/password"
    );
    json(
        ana.bare("POST", "/api/v1/me/openid")
            .header("Sec-Fetch-Site", "cross-site"),
        &wish(PASSWORD),
    )
    .send()
    .is(403);
    let begun = leave(PASSWORD).is(200);
    let target = house
        .provider
        .authorize(begun.json()["location"].as_str().unwrap());
    let reply = ana
        .client
        .raw("GET", &target)
        .header("Cookie", kept(&begun))
        .send()
        .is(302);
    assert_eq!(reply.header("location"), Some("/profile"));
    assert!(
        !reply
            .all("set-cookie")
            .iter()
            .any(|c| c.starts_with("sid=")),
        "who is signed in stays so"
    );
    assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
    // Neither a second link nor another account's.
    let begun = leave(PASSWORD).is(200);
    let target = house
        .provider
        .authorize(begun.json()["location"].as_str().unwrap());
    refused(
        &ana.client
            .raw("GET", &target)
            .header("Cookie", kept(&begun))
            .send(),
        403,
    );
    json(
        ana.own("DELETE", "/api/v1/me/openid"),
        &json!({"password": "wrong"}),
    )
    .send()
    .is(422);
    json(
        ana.own("DELETE", "/api/v1/me/openid"),
        &json!({"password": PASSWORD}),
    )
    .send()
    .is(204);
    json(
        ana.own("DELETE", "/api/v1/me/openid"),
        &json!({"password": PASSWORD}),
    )
    .send()
    .is(404);
    refused(&house.sign_in(), 403);
    ana.own("GET", "/api/v1/me").send().is(200);
    house.audited(AuditKind::OpenidUnlinked, 1);
    house.audited(AuditKind::OpenidLinked, 1);
}

#[test]
fn an_administrator_links_and_unlinks() {
    let house = House::new();
    let (app, root) = (house.server.app(), name("root"));
    house
        .server
        .block_on(
            app.auth
                .create(&root, PASSWORD.as_bytes(), Role::Admin, None),
        )
        .unwrap();
    let root = house.server.stranger().signed_in("root", PASSWORD);
    let (at, wish) = (
        "/api/v1/accounts/ben/openid",
        json!({"subject": "person-1"}),
    );
    json(house.server.ana().raw("POST", at), &wish)
        .send()
        .is(403);
    json(root.raw("POST", "/api/v1/accounts/nobody/openid"), &wish)
        .send()
        .is(404);
    assert_eq!(
        json(root.raw("POST", at), &json!({"subject": ""}))
            .send()
            .is(422)
            .json()["errors"][0]["pointer"],
        "/subject"
    );
    let made = json(root.raw("POST", at), &wish).send().is(201).json();
    assert_eq!(
        (&made["subject"], &made["issuer"]),
        (&"person-1".into(), &house.provider.issuer().into())
    );
    json(root.raw("POST", at), &json!({"subject": "other"}))
        .send()
        .is(409);
    json(root.raw("POST", "/api/v1/accounts/ana/openid"), &wish)
        .send()
        .is(409);
    assert_eq!(
        entered(&house, &house.sign_in())["name"],
        "ben",
        "the administrator's choice goes before the address"
    );
    assert_eq!(
        root.raw("GET", at).send().is(200).json()["items"][0]["subject"],
        "person-1"
    );
    root.raw("DELETE", at).send().is(204);
    root.raw("DELETE", at).send().is(404);
    assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
    house.audited(AuditKind::OpenidUnlinked, 1);
}

#[test]
fn the_second_factor_of_the_account_is_asked_for_all_the_same() {
    let house = House::new();
    let ana = LoggedIn::new(&house.server, "ana");
    let (_, recovery) = crate::api_two_factor::turn_on(&ana);
    let asked = house.sign_in();
    assert!(
        asked.status == 200 && asked.text().contains("name=\"code\""),
        "{asked}"
    );
    assert!(
        !asked
            .all("set-cookie")
            .iter()
            .any(|c| c.starts_with("sid=")),
        "{asked}"
    );
    let cookie = kept(&asked);
    let send = |cookie: &str, code: &str| {
        let client = house.server.stranger();
        let request = client
            .raw("POST", "/openid/code")
            .header("Content-Type", "application/x-www-form-urlencoded");
        request
            .header("Cookie", cookie)
            .body(format!("code={code}"))
            .send()
    };
    let wrong = send(&cookie, "000000").is(401);
    assert!(wrong.text().contains("name=\"code\""), "{wrong}");
    refused(&send("openid=x.y", &recovery[0]), 403);
    let away = Journey::begin(&house, "/api/v1/openid/start");
    refused(&send(&away.cookie, &recovery[0]), 403);
    house.audited(AuditKind::OpenidLinked, 0); // who knows no code links nothing
    assert_eq!(entered(&house, &send(&cookie, &recovery[0]))["name"], "ana");
    send(&cookie, &recovery[0]).is(401);
    house.audited(AuditKind::OpenidLinked, 1);
    let foreign = house.server.stranger();
    let request = foreign
        .raw("POST", "/openid/code")
        .header("Cookie", &cookie)
        .header("Sec-Fetch-Site", "cross-site");
    refused(&request.body(format!("code={}", recovery[1])).send(), 403);
    house
        .server
        .block_on(house.server.app().auth.set_disabled(&name("ana"), true))
        .unwrap();
    refused(&send(&cookie, &recovery[2]), 403);
}

#[test]
fn of_many_codes_at_once_five_are_judged() {
    let house = House::with(|config| config.accounts.failures_per_account = 1000);
    let ana = LoggedIn::new(&house.server, "ana");
    let (_, recovery) = crate::api_two_factor::turn_on(&ana);
    let cookie = kept(&house.sign_in());
    let client = house.server.stranger();
    let guess = |code: &str| {
        let request = client
            .raw("POST", "/openid/code")
            .header("Content-Type", "application/x-www-form-urlencoded");
        request
            .header("Cookie", &cookie)
            .body(format!("code={code}"))
            .bytes()
    };
    let statuses = at_once(
        &house.server,
        (0..240).map(|n| guess(&format!("{n:06}"))).collect(),
    );
    let judged = statuses.iter().filter(|status| **status == 401).count();
    println!("{judged} of 240 guesses of a code were judged");
    assert!(
        judged == 5 && statuses.iter().all(|status| [401, 429].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(at_once(&house.server, vec![guess(&recovery[0])]), [429]);
}

#[test]
fn of_many_who_come_back_at_once_with_nothing_few_are_asked_about() {
    let house = House::with(|config| config.accounts.failures_per_network = 3);
    house.provider.sign(Signed::NotAtAll);
    let journeys: Vec<_> = (0..40)
        .map(|_| Journey::begin(&house, "/api/v1/openid/start"))
        .collect();
    let requests = journeys.iter().map(|journey| {
        let request = journey
            .client
            .raw("GET", &journey.target)
            .header("Cookie", &journey.cookie);
        request.header("Sec-Fetch-Site", "cross-site").bytes()
    });
    let statuses = at_once(&house.server, requests.collect());
    assert!(
        statuses.iter().filter(|status| **status == 403).count() == 3,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| [403, 429].contains(status)),
        "{statuses:?}"
    );
}

#[test]
fn without_the_provider_everything_else_goes_on() {
    let house = House::new();
    let address = house.provider.address();
    let House { server, provider } = house;
    drop(provider);
    let reply = server.stranger().raw("GET", "/api/v1/openid/start").send();
    refused(&reply, 503);
    assert_eq!(reply.json()["code"], "provider_down");
    let page = server
        .stranger()
        .raw("GET", "/api/v1/openid/start")
        .header("Accept", "text/html")
        .send()
        .is(503);
    assert!(
        page.text().contains("<h1>Not signed in</h1>") && page.text().contains("password"),
        "{page}"
    );
    LoggedIn::new(&server, "ana");
    let house = House {
        server,
        provider: Provider::again(address),
    };
    house
        .provider
        .person(json!({"sub": "person-1", "email": MAIL, "email_verified": true}));
    let is_back = || {
        house
            .server
            .stranger()
            .raw("GET", "/api/v1/openid/start")
            .send()
            .status
            == 302
    };
    assert!(poll(Duration::from_secs(10), is_back));
    let journey = Journey::begin(&house, "/api/v1/openid/start");
    assert_eq!(entered(&house, &journey.end())["name"], "ana");
    // It goes away while somebody is there.
    let journey = Journey::begin(&house, "/api/v1/openid/start");
    let House { server, provider } = house;
    drop(provider);
    refused(&journey.end(), 503);
    drop(server);
}

#[test]
fn failures_are_slowed() {
    let house = House::with(|config| config.accounts.failures_per_network = 3);
    house.provider.sign(Signed::NotAtAll);
    for _ in 0..3 {
        refused(&house.sign_in(), 403);
    }
    house.provider.sign(Signed::Rightly);
    refused(&house.sign_in(), 429);
}

#[test]
fn what_the_server_offers_is_public_and_nothing_leads_elsewhere() {
    let house = House::new();
    let ways = house
        .server
        .stranger()
        .raw("GET", "/api/v1/sign-in")
        .send()
        .is(200)
        .json();
    let expected = json!({"password": true, "registration": "invite",
        "openid": {"name": "OpenID Connect", "start": "/api/v1/openid/start"}});
    assert_eq!(ways, expected);
    for bad in [
        "//evil.example",
        "https://evil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
    ] {
        let reply = house
            .server
            .stranger()
            .raw("GET", &format!("/api/v1/openid/start?return={bad}"))
            .send();
        refused(&reply, 422);
    }
    house.link("ben", "person-1");
    assert_eq!(entered(&house, &house.sign_in())["name"], "ben");
    let without = TestServer::start();
    let ways = without
        .stranger()
        .raw("GET", "/api/v1/sign-in")
        .send()
        .is(200)
        .json();
    assert!(ways.get("openid").is_none(), "{ways}");
    for path in [
        "/api/v1/openid/start",
        "/api/v1/openid/callback?code=a&state=b",
    ] {
        refused(&without.stranger().raw("GET", path).send(), 403);
    }
    json(
        without.ana().raw("POST", "/api/v1/me/openid"),
        &json!({"password": PASSWORD}),
    )
    .send()
    .is(403);
}

#[test]
fn over_tls_the_cookies_belong_to_this_host_alone() {
    let house = House::with(|config| config.server.public_url = "https://files.test".into());
    let reply = house
        .server
        .stranger()
        .raw("GET", "/api/v1/openid/start")
        .send()
        .is(302);
    let cookie = reply.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-openid=") && cookie.contains("; SameSite=Lax; Secure"),
        "{cookie}"
    );
    let asked = pairs(reply.header("location").unwrap().split_once('?').unwrap().1);
    assert_eq!(
        asked["redirect_uri"],
        "https://files.test/api/v1/openid/callback"
    );
}
