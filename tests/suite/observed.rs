//! Metrics and health over real HTTP: what is counted and who may read it, and that dashboard, alerts and documents name what there is.

use crate::harness::{Client, Connection, PASSWORD, Reply, TestServer, poll};
use crate::links::share;
use crate::program::{Place, SARANG, said};
use regex::Regex;
use sarang::config::{CertificateFiles, Config};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

fn free() -> Vec<SocketAddr> {
    vec!["127.0.0.1:0".parse().unwrap()]
}

fn server() -> TestServer {
    server_with(|_| {})
}

fn server_with(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.metrics.listen = free();
        change(config);
    })
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn scrape(server: &TestServer) -> String {
    server
        .scraper()
        .raw("GET", "/metrics")
        .send()
        .is(200)
        .text()
}

/// The value of each series.
fn series(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

#[test]
fn metrics_have_a_listener_of_their_own_and_nothing_else_is_there() {
    let server = server();
    let scraper = server.scraper();
    let page = scraper.raw("GET", "/metrics").send().is(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(
        (
            page.header("cache-control"),
            page.header("x-content-type-options")
        ),
        (Some("no-store"), Some("nosniff"))
    );
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    let open = scraper
        .raw("GET", "/metrics")
        .header("Accept", accept)
        .send()
        .is(200);
    assert!(
        open.header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text"),
        "{open}"
    );
    assert!(open.text().ends_with("# EOF\n") && !page.text().contains("# EOF"));
    assert!(
        scraper
            .raw("HEAD", "/metrics")
            .send()
            .is(200)
            .body
            .is_empty()
    );
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let refused = scraper.raw(method, "/metrics").send().is(405);
        assert_eq!(refused.header("allow"), Some("GET, HEAD"));
    }
    for target in [
        "/",
        "/dav/",
        "/metrics/",
        "/healthz",
        "/api/v1/me",
        "/_/0/app.js",
        "//metrics",
    ] {
        scraper
            .signed_in("ana", PASSWORD)
            .raw("GET", target)
            .send()
            .is(404);
    }
    server.stranger().raw("GET", "/metrics").send().is(404);
}

#[test]
fn connections_to_the_metrics_are_few_and_take_none_from_others() {
    let server = server();
    let address = server.scraper().host().parse().unwrap();
    let mut open: Vec<Connection> = (0..8).map(|_| Connection::open(address)).collect();
    for connection in &mut open {
        let reply = connection.exchange("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(
            reply.is(200).text().contains("sarang_connections 0\n"),
            "they are not counted"
        );
    }
    assert_eq!(
        Connection::open(address)
            .exchange("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            .status,
        503
    );
    server.ana().propfind("/", "0").is(207);
}

#[test]
fn what_was_done_is_counted() {
    let server = server();
    let (ana, ben) = (server.ana(), server.ben());
    ana.store("/plan.txt", vec![b'x'; 50_000]);
    for _ in 0..3 {
        ana.get("/plan.txt").is(200);
    }
    ana.propfind("/", "1").is(207);
    ben.get("/none").is(404);
    ana.request("BREW", "/").send().is_any(&[400, 405, 501]);
    server
        .stranger()
        .signed_in("ana", "wrong password")
        .propfind("/", "0")
        .is(401);
    ana.lock("/plan.txt").send().is(200);
    let shared = share(
        &ana,
        &json!({"path": "plan.txt", "password": "link secret"}),
    );
    let visitor = server.stranger();
    visitor
        .raw("GET", &format!("/s/{}", shared.token))
        .send()
        .is(401);
    for password in ["link secret", "no secret"] {
        visitor
            .signed_in("any", password)
            .raw("PROPFIND", &format!("/s/{}/dav/", shared.token))
            .header("Depth", "0")
            .send();
    }
    let login = |password: &str| {
        ana.api(
            "POST",
            "/login",
            &json!({"name": "ana", "password": password}),
        )
    };
    login(PASSWORD).is(200);
    login("another wrong one").is(401);
    let upload = ana
        .raw("POST", "/api/v1/uploads")
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", "9");
    upload
        .header("Upload-Metadata", "path bGF0ZXIuYmlu")
        .body("")
        .send()
        .is(201);
    server.stranger().raw("GET", "/readyz").send().is(200);

    let seen = series(&scrape(&server));
    let requests = |labels: &str| {
        seen.get(&format!("sarang_requests_total{{{labels}}}"))
            .copied()
    };
    assert_eq!(
        requests(r#"front="dav",method="PUT",status="2xx""#),
        Some(1.0),
        "{seen:#?}"
    );
    assert_eq!(
        requests(r#"front="dav",method="GET",status="2xx""#),
        Some(3.0)
    );
    assert_eq!(
        requests(r#"front="dav",method="GET",status="4xx""#),
        Some(1.0)
    );
    assert_eq!(
        requests(r#"front="dav",method="PROPFIND",status="2xx""#),
        Some(1.0)
    );
    assert_eq!(
        requests(r#"front="dav",method="other",status="4xx""#),
        Some(1.0)
    );
    assert_eq!(
        requests(r#"front="link",method="GET",status="4xx""#),
        Some(1.0)
    );
    assert_eq!(
        requests(r#"front="api",method="POST",status="2xx""#),
        Some(3.0)
    );
    assert_eq!(
        requests(r#"front="health",method="GET",status="2xx""#),
        Some(1.0)
    );
    let sign_ins = |with: &str, outcome: &str| {
        seen[&format!(r#"sarang_sign_ins_total{{with="{with}",outcome="{outcome}"}}"#)]
    };
    assert_eq!(
        (sign_ins("password", "done"), sign_ins("password", "wrong")),
        (3.0, 2.0),
        "ana, ben, a session"
    );
    assert_eq!(
        (
            sign_ins("link_password", "done"),
            sign_ins("link_password", "wrong")
        ),
        (1.0, 1.0)
    );
    assert_eq!(
        (
            sign_ins("provider", "done"),
            sign_ins("password", "throttled")
        ),
        (0.0, 0.0)
    );
    let took = |end: &str| seen[&format!("sarang_request_duration_seconds_{end}")];
    let whole = took(r#"bucket{front="dav",method="GET",le="+Inf"}"#);
    assert_eq!(
        (took(r#"count{front="dav",method="GET"}"#), whole),
        (4.0, 4.0)
    );
    assert!(
        took(r#"sum{front="dav",method="GET"}"#) > 0.0
            && took(r#"sum{front="dav",method="GET"}"#) < 60.0
    );
    assert!(
        (50_000.0..80_000.0).contains(&seen["sarang_received_bytes_total"]),
        "{seen:#?}"
    );
    assert!(
        (150_000.0..250_000.0).contains(&seen["sarang_sent_bytes_total"]),
        "{seen:#?}"
    );
    assert_eq!(
        (
            seen["sarang_locks"],
            seen["sarang_homes_open"],
            seen["sarang_uploads"]
        ),
        (1.0, 2.0, 1.0)
    );
    assert_eq!(
        (
            seen["sarang_ready"],
            seen["sarang_store_writable"],
            seen["sarang_panics_total"]
        ),
        (1.0, 1.0, 0.0)
    );
    assert!(seen["sarang_connections"] >= 2.0 && seen["sarang_disk_free_bytes"] > 0.0);
    assert!(seen[r#"sarang_store_commit_duration_seconds_count{fsync="now"}"#] >= 1.0);
    let calls: f64 = ["state", "local", "remote"]
        .map(|disk| seen[&format!("sarang_disk_call_duration_seconds_count{{disk=\"{disk}\"}}")])
        .into_iter()
        .sum();
    assert!(calls >= 1.0, "{seen:#?}");
}

#[test]
fn an_upload_that_its_client_breaks_off_is_counted_once_as_refused() {
    let server = server();
    let ana = server.ana();
    let bytes = ana
        .request("PUT", "/half")
        .header("Content-Length", "100")
        .bytes();
    let mut leaving = Connection::open(server.address());
    leaving.write(&bytes).unwrap();
    leaving.write("half").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    drop(leaving);
    let counted = || {
        let seen = series(&scrape(&server));
        let put = |status: &str| {
            seen.get(&format!(
                r#"sarang_requests_total{{front="dav",method="PUT",status="{status}"}}"#
            ))
            .copied()
        };
        let others: f64 = ["1xx", "2xx", "3xx", "5xx", "none"]
            .into_iter()
            .filter_map(put)
            .sum();
        (put("4xx"), others) == (Some(1.0), 0.0)
    };
    assert!(poll(Duration::from_secs(5), counted), "{}", scrape(&server));
}

#[test]
fn no_label_holds_a_name_and_each_has_values_that_are_known() {
    let server = server();
    let ana = server.ana();
    ana.mkcol("/Divorce").is(201);
    ana.store("/Divorce/lawyer.txt", "x");
    let shared = share(&ana, &json!({"path": "Divorce"}));
    server
        .stranger()
        .raw("GET", &format!("/s/{}", shared.token))
        .send()
        .is(200);
    for n in 0..40 {
        server
            .stranger()
            .raw(&format!("BREW{n}"), &format!("/pot-{n}"))
            .send();
        server
            .stranger()
            .raw("GET", &format!("/api/v1/made-up-{n}"))
            .header("X-Forwarded-For", format!("192.0.2.{n}"))
            .send();
    }
    let page = scrape(&server);
    for secret in [
        "ana",
        "ben",
        "Divorce",
        "lawyer",
        shared.token.as_str(),
        shared.id.as_str(),
        "BREW",
        "pot-",
        "made-up",
        "192.0.2",
        "127.0.0",
    ] {
        assert!(
            !series(&page).keys().any(|name| name.contains(secret)),
            "{secret} is in {page}"
        );
    }
    let label = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    let known = [
        "front",
        "method",
        "status",
        "le",
        "with",
        "outcome",
        "state",
        "fsync",
        "disk",
        "task",
        "certificate",
        "version",
    ];
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for found in label.captures_iter(&page) {
        values
            .entry(found.get(1).unwrap().as_str())
            .or_default()
            .insert(found.get(2).unwrap().as_str());
    }
    for (name, values) in values {
        assert!(
            known.contains(&name) && values.len() <= 16,
            "{name}: {values:?}"
        );
    }
}

/// The names of all metrics of a server that has everything.
fn metric_names() -> BTreeSet<String> {
    let file = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/tls")
            .join(name)
    };
    let server = server_with(|config| {
        config.tls.listen = free();
        config.tls.certificates = vec![CertificateFiles {
            certificate: file("here.pem"),
            key: file("here-key.pem"),
        }];
    });
    server.ana().propfind("/", "0").is(207);
    series(&scrape(&server))
        .into_keys()
        .map(|name| name.split('{').next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_dashboard_the_alerts_and_the_page_name_what_there_is() {
    let names = metric_names();
    let name = Regex::new(r"\b(?:sarang|process)_[a-z_]+").unwrap();
    let dashboard: Value = serde_json::from_str(&read("docs/monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let panels: Vec<&str> = targets
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    let alerts = read("docs/monitoring/alerts.yml");
    let alerts: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .collect();
    assert!(
        panels.len() > 25 && alerts.len() > 12,
        "{} panels, {} alerts",
        panels.len(),
        alerts.len()
    );
    for question in panels.iter().chain(&alerts) {
        let mut used = name
            .find_iter(question)
            .map(|found| found.as_str())
            .peekable();
        assert!(
            used.peek().is_some() || question.starts_with("up{"),
            "{question} asks for nothing of the server"
        );
        used.for_each(|used| {
            assert!(
                names.contains(used),
                "{question}: there is no {used} in {names:#?}"
            );
        });
    }
    let page = read("docs/operations.md");
    let told: BTreeSet<String> = name
        .find_iter(&page)
        .map(|found| found.as_str().to_owned())
        .collect();
    let whole = |name: &String| {
        name.trim_end_matches("_bucket")
            .trim_end_matches("_sum")
            .trim_end_matches("_count")
            .to_owned()
    };
    assert_eq!(
        told.iter().map(whole).collect::<BTreeSet<_>>(),
        names.iter().map(whole).collect(),
        "docs/operations.md lists all metrics"
    );
    let raised = Regex::new(r"Sarang[A-Z]\w+").unwrap();
    let in_rules: BTreeSet<_> = raised
        .find_iter(&read("docs/monitoring/alerts.yml"))
        .map(|found| found.as_str().to_owned())
        .collect();
    let in_page: BTreeSet<_> = raised
        .find_iter(&page)
        .map(|found| found.as_str().to_owned())
        .collect();
    assert!(in_page.is_subset(&in_rules), "{in_page:?}");
}

#[test]
fn ready_is_who_can_store_and_goes_on() {
    let server = TestServer::start();
    let ask = || -> Reply { server.stranger().raw("GET", "/readyz").send() };
    assert_eq!(ask().is(200).text(), "ready\n");
    server.ana().store("/a", "x");
    let (homes, aside) = (server.data().join("homes"), server.data().join("aside"));
    std::fs::rename(&homes, &aside).unwrap();
    std::fs::write(&homes, "no folder").unwrap();
    assert!(
        poll(Duration::from_secs(5), || ask().status == 503),
        "what was seen is good for a second only"
    );
    assert!(ask().text().contains("disk of the homes"));
    server.stranger().raw("GET", "/healthz").send().is(200);
    std::fs::remove_file(&homes).unwrap();
    std::fs::rename(&aside, &homes).unwrap();
    assert!(poll(Duration::from_secs(5), || ask().status == 200));
    server
        .app()
        .metrics
        .is_stopping
        .store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ask().is(503).text(), "The server is shutting down.\n");
    server.stranger().raw("GET", "/healthz").send().is(200);
}

#[test]
fn a_public_address_for_metrics_is_warned_of_and_a_taken_one_is_named() {
    let place = Place::new();
    let served = |listen: &str, log: &str| {
        let serving = place.serve_by(&format!(
            "SARANG_METRICS__LISTEN={listen} exec {SARANG} serve 2> {log}"
        ));
        let log = place.path().join(log);
        let line = Regex::new(r"metrics are at http://(\S+)/metrics").unwrap();
        let mut address = None;
        assert!(poll(Duration::from_secs(5), || {
            address = line
                .captures(&std::fs::read_to_string(&log).unwrap())
                .map(|found| found[1].to_owned());
            address.is_some()
        }));
        (
            serving,
            address.unwrap(),
            std::fs::read_to_string(log).unwrap(),
        )
    };
    let (serving, _, log) = served("0.0.0.0:0", "public");
    assert_eq!(
        log.matches("metrics.listen: 0.0.0.0:0 may be reached from the internet")
            .count(),
        1,
        "{log}"
    );
    drop(serving);
    let (_serving, address, log) = served("127.0.0.1:0", "private");
    assert!(!log.contains("internet"), "{log}");
    let here = Client::new(address.parse().unwrap(), None)
        .raw("GET", "/metrics")
        .send()
        .is(200);
    assert!(here.text().contains("sarang_ready 1\n"), "{here}");
    let other = Place::new();
    let output = other
        .command(SARANG)
        .arg("serve")
        .env("SARANG_METRICS__LISTEN", &address)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains(&format!("{address}: another program uses this address")),
        "{}",
        said(&output)
    );
}

#[test]
fn its_listener_reads_no_request_in_two_ways() {
    let server = server();
    for coding in ["identity", "gzip, chunked", "xchunked"] {
        let request = server
            .scraper()
            .raw("POST", "/metrics")
            .header("Transfer-Encoding", coding)
            .send()
            .is(501);
        assert_eq!(request.header("connection"), Some("close"), "{coding}");
    }
}
