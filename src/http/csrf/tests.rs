//! Which requests of browsers and programs pass, by what they say of their origin.

use super::*;

const MARK: (&str, &str) = ("x-requested-with", "x");

fn is_allowed(
    config: &ServerConfig,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (bool, bool) {
    let mut request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "drive.example:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    (
        check(config, &parts).is_ok(),
        check_if_known(config, &parts).is_ok(),
    )
}

fn foreign(config: &ServerConfig, method: &str, host: &str, headers: &[(&str, &str)]) -> bool {
    let request = http::Request::builder()
        .method(method)
        .uri("/dav/a")
        .header("host", host);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    is_foreign(config, &request.body(()).unwrap())
}

#[test]
fn another_site_is_told_whatever_the_credential() {
    let config = ServerConfig::default();
    let (site, origin) = (|value| ("sec-fetch-site", value), |value| ("origin", value));
    for (headers, expected) in [
        (vec![], false),
        (vec![site("same-origin")], false),
        (vec![site("same-origin"), origin("null")], false),
        (vec![site("none")], false),
        (vec![site("none"), origin("moz-extension://4711")], false),
        (vec![origin("chrome-extension://abc")], false),
        (vec![origin("http://drive.example:8080")], false),
        (vec![site("cross-site")], true),
        (vec![site("same-site")], true),
        (
            vec![site("same-site"), origin("http://drive.example:8080")],
            true,
        ),
        (
            vec![site("cross-site"), origin("chrome-extension://abc")],
            true,
        ),
        (vec![site("Same-Origin")], true),
        (vec![site("")], true),
        (vec![site("same-origin"), site("cross-site")], true),
        (vec![site("none"), origin("http://evil.example")], true),
        (vec![origin("http://evil.example")], true),
        (vec![origin("http://drive.example:8081")], true),
        (vec![origin("http://drive.example")], true),
        (vec![origin("https://drive.example:8080")], true),
        (vec![origin("http://sub.drive.example:8080")], true),
        (vec![origin("http://drive.example:8080.evil.example")], true),
        (
            vec![
                origin("http://drive.example:8080"),
                origin("http://drive.example:8080"),
            ],
            true,
        ),
        (vec![origin("null")], true),
        (vec![origin("")], true),
        (vec![origin("file://")], true),
    ] {
        for method in [
            "POST", "PUT", "DELETE", "MOVE", "LOCK", "PATCH", "SEARCH", "post",
        ] {
            assert_eq!(
                foreign(&config, method, "drive.example:8080", &headers),
                expected,
                "{method} {headers:?}"
            );
        }
        assert!(
            !foreign(&config, "GET", "drive.example:8080", &headers),
            "{headers:?}"
        );
    }
}

#[test]
fn ports_that_need_not_be_said_need_not_agree() {
    let mut config = ServerConfig::default();
    let is_own = |config: &ServerConfig, host: &str, origin: &str| {
        !foreign(config, "PUT", host, &[("origin", origin)])
    };
    assert!(is_own(&config, "a:80", "http://a") && is_own(&config, "A", "http://a:80"));
    assert!(!is_own(&config, "a:443", "https://a") && !is_own(&config, "a:443", "http://a"));
    assert!(
        is_own(&config, "[::1]:4918", "http://[::1]:4918")
            && is_own(&config, "[::1]", "http://[::1]:80")
    );
    config.public_url = "https://files.example:443".into();
    assert!(is_own(&config, "127.0.0.1:4918", "https://files.example"));
    assert!(is_own(
        &config,
        "files.example:443",
        "https://files.example"
    ));
    assert!(is_own(
        &config,
        "files.example",
        "https://files.example:443"
    ));
    // A page that came without TLS under the public name is anybody's; under another name it is the drive at home.
    assert!(!is_own(&config, "files.example", "http://files.example"));
    assert!(
        is_own(&config, "nas:4918", "http://nas:4918") && is_own(&config, "nas", "https://nas")
    );
}

#[test]
fn only_own_pages_change_anything_with_a_cookie() {
    let config = ServerConfig::default();
    let origin = |origin| ("origin", origin);
    let cases = [
        (vec![("sec-fetch-site", "same-origin"), MARK], (true, true)),
        (
            vec![
                ("sec-fetch-site", "same-origin"),
                origin("https://evil.example"),
                MARK,
            ],
            (true, true),
        ),
        (
            vec![
                ("sec-fetch-site", "same-site"),
                origin("http://drive.example:8080"),
                MARK,
            ],
            (false, false),
        ),
        (vec![("sec-fetch-site", "cross-site"), MARK], (false, false)),
        (vec![("sec-fetch-site", "none"), MARK], (false, false)),
        (
            vec![
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "same-origin"),
                MARK,
            ],
            (false, false),
        ),
        (
            vec![origin("http://drive.example:8080"), MARK],
            (true, true),
        ),
        (
            vec![origin("http://DRIVE.example:8080"), MARK],
            (true, true),
        ),
        (vec![origin("http://drive.example"), MARK], (false, false)),
        (
            vec![origin("https://drive.example:8080"), MARK],
            (false, false),
        ),
        (
            vec![origin("http://drive.example:8080.evil.example"), MARK],
            (false, false),
        ),
        (vec![origin("null"), MARK], (false, false)),
        (vec![origin("http://"), MARK], (false, false)),
        (vec![MARK], (false, true)),
        (vec![], (false, true)),
    ];
    for (headers, expected) in cases {
        assert_eq!(
            is_allowed(&config, "DELETE", "/dav/a", &headers),
            expected,
            "{headers:?}"
        );
    }
    for method in ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"] {
        assert!(
            is_allowed(
                &config,
                method,
                "/dav/a",
                &[("sec-fetch-site", "cross-site")]
            )
            .0,
            "{method}"
        );
    }
}

#[test]
fn a_change_carries_what_no_form_can() {
    let config = ServerConfig::default();
    let site = ("sec-fetch-site", "same-origin");
    let json = ("content-type", "application/json; charset=utf-8");
    for (path, headers, expected) in [
        ("/api/v1/logout", vec![site, json], true),
        ("/api/v1/logout", vec![site, MARK], true),
        (
            "/api/v1/logout",
            vec![site, ("content-type", "text/plain")],
            false,
        ),
        ("/api/v1/logout", vec![site], false),
        ("/dav/a", vec![site, json], false),
        ("/dav/a", vec![site, MARK], true),
    ] {
        assert_eq!(
            is_allowed(&config, "POST", path, &headers).0,
            expected,
            "{path} {headers:?}"
        );
    }
}

#[test]
fn the_settings_name_more_origins() {
    let mut config = ServerConfig::default();
    config.hosts.push("files.example.org".into());
    let is_own = |config: &ServerConfig, origin| {
        is_allowed(config, "PUT", "/dav/a", &[("origin", origin), MARK]).0
    };
    assert!(
        is_own(&config, "http://files.example.org")
            && !is_own(&config, "https://files.example.org")
    );
    config.public_url = "https://files.example.org".into();
    assert!(is_own(&config, "https://files.example.org"));
}
