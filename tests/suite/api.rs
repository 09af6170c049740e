//! The API's base over real HTTP: who may call, what failures look like, the document that describes it.

use crate::harness::{PASSWORD, TestServer};
use serde_json::Value;

#[test]
fn the_account_sees_itself() {
    let server = TestServer::start();
    server.ana().put("/a.txt", b"12345").is(201);
    let me = server.ana().raw("GET", "/api/v1/me").send().is(200).json();
    assert_eq!(
        (&me["name"], &me["role"], &me["used"]),
        (&"ana".into(), &"user".into(), &5.into())
    );
    assert!(
        me.get("quota").is_none() && me["created"].as_str().unwrap().ends_with('Z'),
        "{me}"
    );
}

#[test]
fn who_does_not_sign_in_is_told_as_a_problem() {
    let server = TestServer::start();
    let reply = server.stranger().raw("GET", "/api/v1/me").send().is(401);
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    assert!(
        reply
            .header("www-authenticate")
            .unwrap()
            .starts_with("Basic ")
    );
    assert_eq!(reply.json()["code"], "unauthenticated");
    server
        .ana()
        .signed_in("ana", "wrong")
        .raw("GET", "/api/v1/me")
        .send()
        .is(401);
    server
        .ana()
        .signed_in("ana", PASSWORD)
        .raw("GET", "/api/v1/me")
        .send()
        .is(200);
}

#[test]
fn unknown_addresses_and_methods_are_problems() {
    let server = TestServer::start();
    let reply = server.ana().raw("GET", "/api/v1/nothing").send().is(404);
    assert_eq!(reply.json()["code"], "not_found");
    let reply = server.ana().raw("DELETE", "/api/v1/me").send().is(405);
    assert_eq!(reply.json()["code"], "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET,HEAD,PATCH"));
}

#[test]
fn the_document_describes_every_route() {
    let server = TestServer::start();
    let document = server
        .stranger()
        .raw("GET", "/api/v1/openapi.json")
        .send()
        .is(200)
        .json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, route) in methods.as_object().unwrap() {
            assert!(
                route["summary"].is_string(),
                "{method} {path} has no summary"
            );
            ids.push(route["operationId"].as_str().unwrap().to_owned());
            // Nobody who is not signed in gets further than 401, but where the document says that nobody needs to.
            let is_public = route["security"] == serde_json::json!([{}]);
            let path = path.replace(['{', '}'], "");
            let reply = server.stranger().raw(&method.to_uppercase(), &path).send();
            assert!(
                is_public || reply.status == 401,
                "{method} {path}: {}",
                reply.status
            );
        }
    }
    let camel_case = |id: &&String| {
        id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(char::is_alphanumeric)
    };
    assert_eq!(
        ids.iter().find(|id| !camel_case(id)),
        None,
        "operation ids are in camelCase"
    );
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
    assert!(
        count >= 2
            && matches!(
                document["components"]["schemas"]["ProblemDocument"],
                Value::Object(_)
            )
    );
}
