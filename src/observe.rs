//! What the server tells of itself in numbers, for Prometheus. A new metric is counted where it happens, by a kind of `src/metrics.rs`
//! (or is asked for), and gets a line in a `write_` method of `MetricsSnapshot`; an alert or a panel in `docs/monitoring/` may name it from then on. No label
//! holds the name of a person or file, and each has few values that are known beforehand.

mod exposition;

use crate::app::App;
use crate::config::is_public;
use crate::model::{Error, Result, time};
use crate::storage::local::LocalTree;
pub use exposition::ExpositionFormat;
use exposition::MetricsEncoder;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

/// The page of all metrics. It is made on a thread that may wait, and no disk is waited for that does not answer.
pub async fn page(
    app: &Arc<App>,
    certificates: Vec<SystemTime>,
    format: ExpositionFormat,
) -> Result<String> {
    let (free_space, unready) = tokio::join!(app.free_disk_space(), app.readiness_problems());
    let snapshot = MetricsSnapshot {
        app: Arc::clone(app),
        certificates,
        free_space: free_space.ok(),
        is_ready: unready.is_empty(),
    };
    let written = tokio::task::spawn_blocking(move || format.write(snapshot))
        .await
        .map_err(std::io::Error::other);
    let written = written.and_then(|page| page.map_err(std::io::Error::other));
    written.map_err(|error| Error::io("write the page of metrics", error))
}

/// What a page is made of.
#[derive(Debug)]
struct MetricsSnapshot {
    app: Arc<App>,
    /// When each certificate expires.
    certificates: Vec<SystemTime>,
    /// Bytes that can still be stored; `None` when the disk does not say.
    free_space: Option<u64>,
    is_ready: bool,
}

impl Collector for MetricsSnapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = MetricsEncoder(encoder);
        self.write_requests(&mut page)?;
        self.write_connections(&mut page)?;
        self.write_sign_ins(&mut page)?;
        self.write_disks(&mut page)?;
        self.write_drives(&mut page)?;
        self.write_jobs(&mut page)?;
        self.write_server(&mut page)
    }
}

impl MetricsSnapshot {
    fn write_requests(&self, page: &mut MetricsEncoder<'_>) -> fmt::Result {
        let metrics = &self.app.metrics;
        let counts = metrics.requests.each().flat_map(|(method, front, cell)| {
            let labels = move |status| [("front", front), ("method", method), ("status", status)];
            cell.statuses()
                .map(move |(status, count)| (labels(status), count))
        });
        page.counters(
            "sarang_requests",
            "Requests by front, method and class of status; none: it ended before its answer",
            counts,
        )?;
        let took = metrics.requests.each();
        let took =
            took.map(|(method, front, cell)| ([("front", front), ("method", method)], cell.took()));
        page.histograms(
            "sarang_request_duration_seconds",
            "From the head of a request to the head of its answer",
            took,
        )?;
        page.gauge(
            "sarang_requests_running",
            "Requests that are under way",
            metrics.requests.running(),
        )?;
        page.counter(
            "sarang_multiplexed_requests",
            "Requests that came over HTTP/2",
            &metrics.http2,
        )
    }

    fn write_connections(&self, page: &mut MetricsEncoder<'_>) -> fmt::Result {
        let metrics = &self.app.metrics;
        page.counter(
            "sarang_received_bytes",
            "Bytes of requests, heads included, without TLS",
            &metrics.received,
        )?;
        page.counter(
            "sarang_sent_bytes",
            "Bytes of answers, heads included, without TLS",
            &metrics.sent,
        )?;
        page.gauge(
            "sarang_connections",
            "Connections that are open",
            metrics.connections.load(Ordering::Relaxed),
        )?;
        page.counter(
            "sarang_connections_refused",
            "Connections beyond a limit, answered with 503",
            &metrics.refused,
        )?;
        page.counter(
            "sarang_connection_floods",
            "Connections of HTTP/2 ended for more resets or idle frames than any client needs",
            &metrics.floods,
        )?;
        page.counter(
            "sarang_panics",
            "Requests whose handling panicked before their answer began",
            &metrics.panics,
        )?;
        let proxies = metrics
            .untrusted_proxies
            .all()
            .into_iter()
            .filter(|peer| !is_public(*peer))
            .count();
        page.gauge(
            "sarang_untrusted_proxies",
            "Addresses of this machine and of private networks that sent X-Forwarded-For and are not trusted",
            proxies,
        )
    }

    fn write_sign_ins(&self, page: &mut MetricsEncoder<'_>) -> fmt::Result {
        let auth = &self.app.auth;
        let outcomes = auth
            .sign_ins()
            .all()
            .map(|(with, outcome, count)| ([("with", with), ("outcome", outcome)], count));
        page.counters(
            "sarang_sign_ins",
            "Requests by what they signed in with and what came of it; what is remembered is not counted again",
            outcomes,
        )?;
        let (running, waiting) = auth.hashing();
        let hashes = [
            ([("state", "running")], running),
            ([("state", "waiting")], waiting),
        ];
        page.gauges(
            "sarang_password_hashes",
            "Passwords that are being hashed, and that wait for it",
            hashes,
        )
    }

    fn write_disks(&self, page: &mut MetricsEncoder<'_>) -> fmt::Result {
        let [now, later] = self.app.commits();
        let commits = [([("fsync", "now")], now), ([("fsync", "later")], later)];
        page.histograms(
            "sarang_store_commit_duration_seconds",
            "Commits of the state store, by when they reach the disk",
            commits,
        )?;
        page.gauge(
            "sarang_store_writable",
            "1 while the state store can be changed",
            u64::from(self.app.store.is_writable()),
        )?;
        let calls = LocalTree::disk_calls();
        let took = calls
            .iter()
            .map(|(disk, calls)| ([("disk", *disk)], calls.took()));
        page.histograms(
            "sarang_disk_call_duration_seconds",
            "Calls to the disks of homes: the one of the state, other local ones, remote ones (FUSE, NFS)",
            took,
        )?;
        let running = calls
            .iter()
            .map(|(disk, calls)| ([("disk", *disk)], calls.running()));
        page.gauges(
            "sarang_disk_calls",
            "Calls to the disks of homes that are under way",
            running,
        )?;
        let free_space = self.free_space.map(|bytes| ([], bytes));
        page.gauges(
            "sarang_disk_free_bytes",
            "Bytes that can still be stored in the data folder or its homes, the lesser; absent while their disk does not answer",
            free_space,
        )
    }

    fn write_drives(&self, page: &mut MetricsEncoder<'_>) -> fmt::Result {
        let app = &self.app;
        page.gauge(
            "sarang_homes_open",
            "Homes and team folders that are open",
            app.count_open_homes(),
        )?;
        page.gauge(
            "sarang_homes_missing",
            "Homes and team folders that were not there when they were looked for last",
            app.missing_trees().len(),
        )?;
        page.gauge(
            "sarang_histories_held",
            "Drives of which much was overwritten or deleted at once: nothing of their history expires",
            app.retention_holds().len(),
        )?;
        page.gauge(
            "sarang_locks",
            "WebDAV locks that are held",
            app.locks.count(),
        )?;
        page.gauge(
            "sarang_uploads",
            "Uploads by tus that are not finished",
            app.uploads.unfinished().len(),
        )
    }

    fn write_jobs(&self, page: &mut MetricsEncoder<'_>) -> fmt::Result {
        let metrics = &self.app.metrics;
        let runs = metrics.jobs.all();
        let succeeded = runs.iter().map(|(task, run)| {
            let since = run.succeeded.unwrap_or(self.app.started());
            ([("task", *task)], time::unix_seconds(since))
        });
        page.gauges(
            "sarang_job_last_success_timestamp_seconds",
            "When an hourly job went well last; the start of the server until it has",
            succeeded,
        )?;
        let took = runs
            .iter()
            .map(|(task, run)| ([("task", *task)], run.took.as_secs_f64()));
        page.gauges(
            "sarang_job_duration_seconds",
            "How long an hourly job took last",
            took,
        )?;
        let failures = runs
            .iter()
            .map(|(task, run)| ([("task", *task)], run.failures));
        page.counters(
            "sarang_job_failures",
            "How often an hourly job failed",
            failures,
        )?;
        let is_doubted = metrics.is_date_doubted.load(Ordering::Relaxed);
        page.gauge(
            "sarang_date_doubted",
            "1 while the clock is not believed, so that nothing expires",
            u64::from(is_doubted),
        )
    }

    fn write_server(&self, page: &mut MetricsEncoder<'_>) -> fmt::Result {
        let places: Vec<String> = (1..=self.certificates.len())
            .map(|place| place.to_string())
            .collect();
        let expiry = places.iter().zip(&self.certificates);
        let expiry = expiry.map(|(place, until)| {
            (
                [("certificate", place.as_str())],
                time::unix_seconds(*until),
            )
        });
        page.gauges(
            "sarang_certificate_expiry_timestamp_seconds",
            "When a TLS certificate expires, by its place among those in use",
            expiry,
        )?;
        page.gauge(
            "sarang_ready",
            "1 while /readyz says so",
            u64::from(self.is_ready),
        )?;
        page.gauges(
            "sarang_build_info",
            "The program",
            [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)],
        )?;
        let started = time::unix_seconds(self.app.started());
        page.gauge(
            "process_start_time_seconds",
            "When the server was started",
            started,
        )
    }
}
