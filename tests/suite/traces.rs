//! Replays recorded client traffic (tests/traces/*.json, format dav-trace/1) and checks what each client needs back.
//! Every `must` step holds; the `should` steps that fail are exactly those of tests/traces/should-fail.txt.
//!
//! A step's `expect`: `status`, `headers` (name: pattern), `no_headers`, `body_is`, `body_like`, `body_unlike`, `body_saved`,
//! `ms` (of a multistatus: `responses`, `min_responses`, `first`, `props`, `hrefs_ok`, `hrefs_absent`) and `lock`. `save` keeps a
//! header, the lock token, a property or the sent body for later steps, written `${NAME}`.

use crate::harness::multistatus::{DAV, Multistatus, Response};
use crate::harness::{Client, Reply, TestServer};
use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// One trace file.
pub struct Trace {
    pub name: String,
    pub json: Value,
}

/// All traces, by name.
pub fn all() -> Vec<Trace> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    paths.iter().map(|path| Trace::read(path)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

impl Trace {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let json: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(json["format"], "dav-trace/1", "{name}");
        Self { name, json }
    }

    pub fn steps(&self) -> &[Value] {
        list(&self.json["steps"])
    }
}

#[test]
fn macos_mount_browse_read() {
    replay("macos-1-mount-browse-read");
}
#[test]
fn macos_create_write() {
    replay("macos-2-create-write");
}
#[test]
fn macos_folders_rename_delete() {
    replay("macos-3-folders-rename-delete");
}
#[test]
fn windows_mount_browse() {
    replay("windows-1-mount-browse");
}
#[test]
fn windows_create_write() {
    replay("windows-2-create-write");
}
#[test]
fn windows_rename_delete() {
    replay("windows-3-rename-delete");
}

#[test]
fn every_trace_is_replayed() {
    let source = include_str!("traces.rs");
    for trace in all() {
        assert!(
            source.contains(&format!("replay(\"{}\")", trace.name)),
            "no test replays {}",
            trace.name
        );
    }
}

fn replay(name: &str) {
    let trace = Trace::read(&folder().join(format!("{name}.json")));
    let server = TestServer::start();
    let mut player = Player::new(&server, &trace);
    player.set_up(&trace);
    let mut missed = BTreeSet::new();
    let mut failures = Vec::new();
    for step in trace.steps() {
        let reasons = player.play(step);
        if reasons.is_empty() {
            continue;
        }
        let id = format!("{name}: {}", text(&step["id"]));
        let report = format!(
            "{id}\n    {}\n    note: {}",
            reasons.join("\n    "),
            text(&step["note"])
        );
        if step["level"] == "should" {
            println!("should {report}");
            missed.insert(id);
        } else {
            failures.push(report);
        }
    }
    assert!(
        failures.is_empty(),
        "{} must steps fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    let accepted = include_str!("../traces/should-fail.txt")
        .lines()
        .filter(|line| line.starts_with(&format!("{name}: ")));
    assert_eq!(
        missed,
        accepted.map(str::to_owned).collect(),
        "should steps that fail differ from should-fail.txt"
    );
}

/// Plays the steps of one trace.
struct Player {
    client: Client,
    base: String,
    saved: HashMap<String, String>,
    bodies: HashMap<String, Vec<u8>>,
    token: String,
    answer: Option<Multistatus>,
}

impl Player {
    fn new(server: &TestServer, trace: &Trace) -> Self {
        let base = format!("/dav/{}", trace.name);
        let host = server.address().to_string();
        let mut saved: HashMap<String, String> = [
            ("BASE", base.clone()),
            ("ROOT", "/dav".into()),
            ("ORIGIN", format!("http://{host}")),
            ("HOST", host),
            ("USER", "ana".into()),
            ("PASS", crate::harness::PASSWORD.into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(vars) = trace.json["vars"].as_object() {
            saved.extend(
                vars.iter()
                    .map(|(name, value)| (name.clone(), text(value).to_owned())),
            );
        }
        Self {
            client: server.ana(),
            base,
            saved,
            bodies: HashMap::new(),
            token: String::new(),
            answer: None,
        }
    }

    fn set_up(&self, trace: &Trace) {
        self.client
            .raw("MKCOL", &format!("{}/", self.base))
            .send()
            .is(201);
        for step in list(&trace.json["setup"]) {
            if let Some(path) = step["mkcol"].as_str() {
                self.client
                    .raw("MKCOL", &self.fill(&format!("{}{path}", self.base)))
                    .send()
                    .is(201);
            } else {
                let target = self.fill(&format!("{}{}", self.base, text(&step["put"])));
                self.client
                    .raw("PUT", &target)
                    .body(self.fill(text(&step["text"])))
                    .send()
                    .is(201);
            }
        }
    }

    /// Plays a step and says what is wrong with the reply.
    fn play(&mut self, step: &Value) -> Vec<String> {
        let body = self.body(&step["request"]);
        let reply = self.send(step, body.as_deref());
        let reasons = self.check(&step["expect"], &reply);
        for (name, how) in step["save"].as_object().into_iter().flatten() {
            let value = match text(how) {
                "token" => self.token.clone(),
                "sent" => {
                    self.bodies
                        .insert(name.clone(), body.clone().unwrap_or_default());
                    continue;
                }
                how => self.pick(how, &reply),
            };
            self.saved.insert(name.clone(), value);
        }
        let asked = format!("{} -> {}", reply.asked, reply.status);
        if reasons.is_empty() {
            reasons
        } else {
            std::iter::once(asked).chain(reasons).collect()
        }
    }

    fn pick(&self, how: &str, reply: &Reply) -> String {
        if let Some(header) = how.strip_prefix("header:") {
            return reply.header(header).unwrap_or("").to_owned();
        }
        let name = how.strip_prefix("ms:").expect("a known way to save");
        let mut responses = self.answer.iter().flat_map(|answer| &answer.responses);
        responses
            .find_map(|response| response.find(name))
            .map_or_else(String::new, |prop| prop.text.clone())
    }

    fn body(&self, request: &Value) -> Option<Vec<u8>> {
        if let Some(length) = request["body_random"].as_u64() {
            let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ length;
            let random = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[0]
            });
            return Some(random.take(usize::try_from(length).unwrap()).collect());
        }
        request["body"]
            .as_str()
            .map(|body| self.fill(body).into_bytes())
    }

    fn send(&self, step: &Value, body: Option<&[u8]>) -> Reply {
        let request = &step["request"];
        assert!(
            request["omit_content_length"].as_bool() != Some(true),
            "no trace needs this yet"
        );
        let stranger = Client::new(self.client.host().parse().unwrap(), None);
        let bearer = self.client.authorized("Bearer");
        let client = match &step["auth"] {
            Value::Bool(false) => &stranger,
            Value::String(how) if how == "bearer-empty" => &bearer,
            _ => &self.client,
        };
        let mut out = client.raw(text(&request["method"]), &self.fill(text(&request["path"])));
        for header in list(&request["headers"]) {
            out = out.header(text(&header[0]), self.fill(text(&header[1])));
        }
        if let Some(body) = body {
            out = out.body(body);
        }
        if request["chunked"] == true {
            out = out.chunked();
        }
        out.send()
    }

    fn check(&mut self, expect: &Value, reply: &Reply) -> Vec<String> {
        let mut bad = Vec::new();
        let statuses = list(&expect["status"]);
        if !statuses.is_empty() && !statuses.iter().any(|status| *status == reply.status) {
            bad.push(format!("status {}, want {statuses:?}", reply.status));
        }
        self.check_headers(expect, reply, &mut bad);
        self.check_body(expect, reply, &mut bad);
        if expect["lock"] == true {
            match lock_token(reply) {
                Ok(token) => self.token = token,
                Err(reason) => bad.push(format!("LOCK body: {reason}")),
            }
        }
        if expect["ms"].is_object() && reply.status == 207 {
            match Multistatus::parse(&reply.text()) {
                Ok(answer) => {
                    self.check_answer(&expect["ms"], &answer, &mut bad);
                    self.answer = Some(answer);
                }
                Err(reason) => bad.push(format!("multistatus: {reason}")),
            }
        }
        bad
    }

    fn check_headers(&self, expect: &Value, reply: &Reply, bad: &mut Vec<String>) {
        for (name, pattern) in expect["headers"].as_object().into_iter().flatten() {
            match reply.header(name) {
                None => bad.push(format!("no header {name}")),
                Some(value) if !self.pattern(pattern).is_match(value) => {
                    bad.push(format!("header {name}: {value:?} does not match {pattern}"));
                }
                Some(_) => {}
            }
        }
        for name in list(&expect["no_headers"]) {
            if let Some(value) = reply.header(text(name)) {
                bad.push(format!("has header {name}: {value}"));
            }
        }
    }

    fn check_body(&self, expect: &Value, reply: &Reply, bad: &mut Vec<String>) {
        let body = reply.text();
        if expect["body_is"]
            .as_str()
            .is_some_and(|want| body != self.fill(want))
        {
            bad.push(format!(
                "body is {:?}, want {}",
                body.chars().take(60).collect::<String>(),
                expect["body_is"]
            ));
        }
        if expect["body_like"].is_string() && !self.pattern(&expect["body_like"]).is_match(&body) {
            bad.push(format!("body does not match {}", expect["body_like"]));
        }
        if expect["body_unlike"].is_string() && self.pattern(&expect["body_unlike"]).is_match(&body)
        {
            bad.push(format!("body matches {}", expect["body_unlike"]));
        }
        if expect["body_saved"]
            .as_str()
            .is_some_and(|name| self.bodies.get(name) != Some(&reply.body))
        {
            bad.push(format!(
                "body ({} bytes) is not what was sent as {}",
                reply.body.len(),
                expect["body_saved"]
            ));
        }
    }

    fn check_answer(&self, expect: &Value, answer: &Multistatus, bad: &mut Vec<String>) {
        let responses = &answer.responses;
        let count = responses.len() as u64;
        if expect["responses"]
            .as_u64()
            .is_some_and(|want| want != count)
        {
            bad.push(format!(
                "{count} responses, want {}: {:?}",
                expect["responses"],
                answer.paths()
            ));
        }
        if expect["min_responses"]
            .as_u64()
            .is_some_and(|least| count < least)
        {
            bad.push(format!("only {count} responses"));
        }
        if let Some(first) = expect["first"].as_str() {
            let found = responses.first().map(Response::path);
            if found.as_deref() != Some(&plain(&self.fill(first))) {
                bad.push(format!(
                    "the first response is {found:?}, want the requested resource {first}"
                ));
            }
        }
        if expect["hrefs_ok"] != false {
            for response in responses {
                check_shape(response, bad);
            }
        }
        for href in list(&expect["hrefs_absent"]) {
            let path = self.wanted(text(href));
            if responses.iter().any(|response| response.path() == path) {
                bad.push(format!("lists {path}"));
            }
        }
        for want in list(&expect["props"]) {
            let path = self.wanted(text(&want["href"]));
            match responses.iter().find(|response| response.path() == path) {
                None => bad.push(format!("no response for {path}")),
                Some(response) => bad.extend(self.check_prop(want, response)),
            }
        }
    }

    fn check_prop(&self, want: &Value, response: &Response) -> Option<String> {
        let name = want["name"].as_str()?;
        let found = response.find(name);
        let status = response.status_of(name);
        if want["absent"] == true {
            return (status == 200).then(|| format!("{name} is present on {}", response.href));
        }
        let allowed = match &want["status"] {
            Value::Null => vec![200],
            Value::Array(many) => many.iter().filter_map(Value::as_u64).collect(),
            one => vec![one.as_u64().unwrap()],
        };
        if !allowed.contains(&u64::from(status)) {
            return Some(format!(
                "{name} on {}: propstat {status}, want {allowed:?}",
                response.href
            ));
        }
        let prop = found?;
        if want["match"].is_string() && !self.pattern(&want["match"]).is_match(&prop.text) {
            return Some(format!(
                "{name} = {:?} does not match {}",
                prop.text, want["match"]
            ));
        }
        let child = want["child"].as_str()?;
        let lacks = !prop.children.iter().any(|element| element == child);
        lacks.then(|| format!("{name} on {} lacks {child}", response.href))
    }

    fn wanted(&self, path: &str) -> String {
        let path = self.fill(path);
        let trimmed = path.trim_end_matches('/');
        if trimmed.is_empty() {
            "/".into()
        } else {
            trimmed.into()
        }
    }

    fn pattern(&self, pattern: &Value) -> Regex {
        Regex::new(&self.fill(text(pattern))).unwrap()
    }

    /// Replaces every known `${NAME}`.
    fn fill(&self, text: &str) -> String {
        let names = Regex::new(r"\$\{(\w+)\}").unwrap();
        let value = |found: &regex::Captures<'_>| {
            self.saved
                .get(&found[1])
                .unwrap_or(&found[0].to_owned())
                .clone()
        };
        names.replace_all(text, value).into_owned()
    }
}

fn check_shape(response: &Response, bad: &mut Vec<String>) {
    let odd = |c: char| !('!'..='~').contains(&c) || "\"<>\\^`{|}".contains(c);
    let href = &response.href;
    let broken = href.match_indices('%').any(|(at, _)| {
        !href
            .get(at + 1..at + 3)
            .is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()))
    });
    if href.contains(odd) || broken {
        bad.push(format!("href is not fully percent-encoded: {href:?}"));
    }
    if response.hrefs != 1 {
        bad.push(format!(
            "{} hrefs in the response for {href}",
            response.hrefs
        ));
    }
    if response.order.contains(&200) && response.order[0] != 200 {
        bad.push(format!("the 200 propstat is not the first for {href}"));
    }
    if response.order.contains(&0) {
        bad.push(format!(
            "a propstat status line is not `HTTP/1.1 NNN` for {href}"
        ));
    }
}

/// The token of a LOCK answer whose body is complete and agrees with its header.
pub fn lock_token(reply: &Reply) -> Result<String, String> {
    let body = reply.text();
    let document = roxmltree::Document::parse(&body).map_err(|error| error.to_string())?;
    let root = document.root_element();
    let child = |node: roxmltree::Node<'_, '_>, name: &'static str| {
        node.children()
            .find(|n| n.has_tag_name((DAV, name)))
            .map(|n| n.id())
            .ok_or(format!("no {name}"))
    };
    if !root.has_tag_name((DAV, "prop")) {
        return Err(format!("root {}", root.tag_name().name()));
    }
    let node = |id| document.get_node(id).unwrap();
    let active = node(child(node(child(root, "lockdiscovery")?), "activelock")?);
    for name in ["lockscope", "locktype", "depth", "timeout"] {
        child(active, name)?;
    }
    let token = node(child(node(child(active, "locktoken")?), "href")?)
        .text()
        .unwrap_or("")
        .to_owned();
    if token.is_empty() || token.trim() != token {
        return Err(format!("locktoken href {token:?}"));
    }
    match reply.header("lock-token") {
        Some(header) if header != format!("<{token}>") => {
            Err(format!("header {header}, body {token}"))
        }
        _ => Ok(token),
    }
}

/// A path decoded, without trailing slashes.
fn plain(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let trimmed = decoded.trim_end_matches('/');
    if trimmed.is_empty() {
        "/".into()
    } else {
        trimmed.into()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
