//! Log lines to standard error, buffered: an event costs a copy into memory, and a thread writes five times a second.
//! Warnings, errors and panics wake it at once. Nobody else writes, so that a log which nobody reads stops nothing but itself: lines
//! that have no room are counted. The line of a request is put together by hand, for its price.

mod queue;

use crate::config::{LogConfig, LogFormat};
use crate::model::time;
use http::Version;
use queue::LogQueue;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

/// How long the last lines are waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(2);

static LOG: OnceLock<LogBuffer> = OnceLock::new();

struct LogBuffer {
    format: LogFormat,
    requests: AtomicBool,
    /// Changes the level.
    level: reload::Handle<LevelFilter, Registry>,
    queue: LogQueue,
}

/// What the log says about one request; never its query, credentials or body.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The request's id, as the client got it.
    pub id: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path without the query.
    pub path: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the answer's body, if known.
    pub bytes: Option<u64>,
    /// From the head of the request to the head of the answer.
    pub took: Duration,
    /// The client.
    pub client: IpAddr,
    /// Who signed in.
    pub account: Option<&'a str>,
    /// The `User-Agent`.
    pub agent: Option<&'a [u8]>,
    /// The version of HTTP.
    pub version: Version,
}

/// Waits until the last lines are written when dropped, for two seconds at most.
#[derive(Debug)]
#[must_use = "dropping it ends the log's last lines"]
pub struct Flush(());

impl Drop for Flush {
    fn drop(&mut self) {
        if let Some(log) = LOG.get() {
            log.queue.drain(LAST_WAIT);
        }
    }
}

/// Starts logging for the whole process; only the first call has an effect.
pub fn start(config: &LogConfig) -> Flush {
    let (filter, level) = reload::Layer::new(LevelFilter::from_level(level_of(config)));
    let log = LogBuffer {
        format: config.format,
        requests: AtomicBool::new(counts_requests(config)),
        level,
        queue: LogQueue::default(),
    };
    if LOG.set(log).is_err() {
        return Flush(());
    }
    let events = tracing_subscriber::fmt::layer()
        .with_writer(LogWriter)
        .with_ansi(false);
    let filtered = tracing_subscriber::registry().with(filter);
    match config.format {
        LogFormat::Text => filtered.with(events).init(),
        LogFormat::Json => filtered.with(events.json().flatten_event(true)).init(),
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!("panic: {panic}")));
    start_writer();
    Flush(())
}

/// Starts the thread that writes. Its sink is a descriptor of its own: the lock of Rust's standard error is left to others.
fn start_writer() {
    let sink = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let started = sink.and_then(|mut sink| {
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || {
                let mut text = Vec::new();
                while let Some(log) = LOG.get() {
                    log.queue.write_once(&mut text, &mut sink, |lost| {
                        lost_lines(log.format, lost, SystemTime::now())
                    });
                }
            })
    });
    if let Err(error) = started {
        // Without it there is no log to say it in.
        let _ = writeln!(
            io::stderr(),
            "There is no log: no thread writes it: {error}"
        );
    }
}

/// The line that tells how many others are missing.
fn lost_lines(format: LogFormat, lost: u64, now: SystemTime) -> Vec<u8> {
    let mut text = String::new();
    let said = format!("{lost} lines of the log were lost: they came faster than they were read");
    // Writing to a String cannot fail.
    let _ = match format {
        LogFormat::Text => {
            write_moment(&mut text, now).and_then(|()| writeln!(text, "  WARN sarang::log: {said}"))
        }
        LogFormat::Json => {
            text.push_str("{\"timestamp\":\"");
            write_moment(&mut text, now).and_then(|()| {
                writeln!(
                    text,
                    "\",\"level\":\"WARN\",\"message\":\"{said}\",\"lost\":{lost}}}"
                )
            })
        }
    };
    text.into_bytes()
}

/// Takes level and request lines of other settings; their format stays what it was.
pub fn change(config: &LogConfig) {
    let Some(log) = LOG.get() else { return };
    log.requests
        .store(counts_requests(config), Ordering::Relaxed);
    // It is gone only with the log itself.
    let _ = log.level.reload(LevelFilter::from_level(level_of(config)));
}

fn level_of(config: &LogConfig) -> Level {
    config.level.parse().unwrap_or(Level::INFO)
}

fn counts_requests(config: &LogConfig) -> bool {
    config.requests && level_of(config) >= Level::INFO
}

/// Whether requests get a line.
pub fn wants_requests() -> bool {
    LOG.get()
        .is_some_and(|log| log.requests.load(Ordering::Relaxed))
}

/// Logs one request.
pub fn request(line: &RequestLine<'_>) {
    let Some(log) = LOG.get().filter(|log| log.requests.load(Ordering::Relaxed)) else {
        return;
    };
    log.queue.add(false, |out| {
        line.write_to(out, log.format, SystemTime::now());
    });
}

/// Where tracing writes its events.
struct LogWriter;

struct LogLine {
    urgent: bool,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogLine;
    fn make_writer(&'a self) -> LogLine {
        LogLine { urgent: true }
    }
    fn make_writer_for(&'a self, event: &Metadata<'_>) -> LogLine {
        LogLine {
            urgent: *event.level() <= Level::WARN,
        }
    }
}

impl Write for LogLine {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if let Some(log) = LOG.get() {
            log.queue
                .add(self.urgent, |out| out.extend_from_slice(text));
        }
        Ok(text.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RequestLine<'_> {
    fn write_to(&self, out: &mut Vec<u8>, format: LogFormat, now: SystemTime) {
        let mut text = String::with_capacity(320);
        // Writing to a String cannot fail.
        let _ = match format {
            LogFormat::Text => self.write_text(&mut text, now),
            LogFormat::Json => self.write_json(&mut text, now),
        };
        text.push('\n');
        out.extend_from_slice(text.as_bytes());
    }

    fn write_text(&self, out: &mut String, now: SystemTime) -> std::fmt::Result {
        write_moment(out, now)?;
        out.push_str("  INFO request: ");
        out.push_str(self.method);
        out.push(' ');
        escape(out, self.path.as_bytes());
        write!(out, " {} ", self.status)?;
        match self.bytes {
            Some(bytes) => write!(out, "{bytes}B")?,
            None => out.push('-'),
        }
        write!(out, " {}us {} ", self.took.as_micros(), self.client)?;
        out.push_str(self.account.unwrap_or("-"));
        out.push_str(" \"");
        escape(out, self.agent.unwrap_or_default());
        write!(out, "\" {} HTTP/{}", self.id, self.version())
    }

    fn write_json(&self, out: &mut String, now: SystemTime) -> std::fmt::Result {
        out.push_str("{\"timestamp\":\"");
        write_moment(out, now)?;
        write!(
            out,
            "\",\"level\":\"INFO\",\"message\":\"request\",\"method\":\"{}\",\"path\":\"",
            self.method
        )?;
        escape(out, self.path.as_bytes());
        write!(out, "\",\"status\":{},", self.status)?;
        if let Some(bytes) = self.bytes {
            write!(out, "\"bytes\":{bytes},")?;
        }
        write!(
            out,
            "\"micros\":{},\"client\":\"{}\",",
            self.took.as_micros(),
            self.client
        )?;
        if let Some(account) = self.account {
            write!(out, "\"account\":\"{account}\",")?;
        }
        out.push_str("\"agent\":\"");
        escape(out, self.agent.unwrap_or_default());
        write!(
            out,
            "\",\"id\":\"{}\",\"version\":\"{}\"}}",
            self.id,
            self.version()
        )
    }

    fn version(&self) -> &'static str {
        match self.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        }
    }
}

/// `2026-01-31T12:00:00.123Z`; the calendar is worked out once a second and thread.
fn write_moment(out: &mut String, now: SystemTime) -> std::fmt::Result {
    use std::cell::RefCell;
    thread_local!(static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) });
    let millis = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .subsec_millis();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != time::unix_seconds(now) {
            *second = time::unix_seconds(now);
            *text = time::iso_date(now);
        }
        write!(out, "{}.{millis:03}Z", text.trim_end_matches('Z'))
    })
}

/// Text of the client's, fit for both formats: no control characters, no end of the quotes it stands in.
fn escape(out: &mut String, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c.is_control()
                    || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}') =>
                {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn line(format: LogFormat) -> String {
        let line = RequestLine {
            id: "abc-1",
            method: "GET",
            path: "/dav/a",
            status: 200,
            bytes: Some(5),
            took: Duration::from_micros(1200),
            client: Ipv4Addr::LOCALHOST.into(),
            account: Some("ana"),
            agent: Some(b"x\"\\\n\x1b[31m\xff\xc2\x85"),
            version: Version::HTTP_2,
        };
        let mut out = Vec::new();
        line.write_to(
            &mut out,
            format,
            UNIX_EPOCH + Duration::from_millis(784_111_777_042),
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_is_one_line_of_text_without_control_characters() {
        assert_eq!(
            line(LogFormat::Text),
            "1994-11-06T08:49:37.042Z  INFO request: GET /dav/a 200 5B 1200us 127.0.0.1 ana \
             \"x\\\"\\\\\\u000a\\u001b[31m\u{FFFD}\\u0085\" abc-1 HTTP/2\n"
        );
    }

    #[test]
    fn lost_lines_are_told_in_the_form_of_the_others() {
        let of = |format| {
            let now = UNIX_EPOCH + Duration::from_millis(784_111_777_042);
            String::from_utf8(lost_lines(format, 7, now)).unwrap()
        };
        let text = of(LogFormat::Text);
        assert!(
            text.starts_with("1994-11-06T08:49:37.042Z  WARN sarang::log: 7 lines of the log")
                && text.ends_with("read\n"),
            "{text}"
        );
        let value: serde_json::Value = serde_json::from_str(&of(LogFormat::Json)).unwrap();
        assert_eq!(
            (&value["level"], &value["lost"]),
            (&"WARN".into(), &7.into())
        );
    }

    #[test]
    fn a_request_is_one_json_object() {
        let text = line(LogFormat::Json);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["agent"], "x\"\\\n\u{1b}[31m\u{FFFD}\u{85}");
        assert_eq!(
            (&value["status"], &value["account"], &value["bytes"]),
            (&200.into(), &"ana".into(), &5.into())
        );
        assert_eq!(
            (&value["version"], text.matches('\n').count()),
            (&"2".into(), 1)
        );
    }
}
