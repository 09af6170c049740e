//! Requests by method, front and status: a table that is there from the start, so that counting is a few additions.

use super::{Counter, Durations};
use std::time::{Duration, Instant};

/// Methods by which requests are told apart, those that are sent most first; the last stands for all others.
const METHODS: [&str; 16] = [
    "PROPFIND",
    "GET",
    "PUT",
    "HEAD",
    "OPTIONS",
    "POST",
    "LOCK",
    "UNLOCK",
    "MOVE",
    "DELETE",
    "MKCOL",
    "PROPPATCH",
    "PATCH",
    "COPY",
    "REPORT",
    "other",
];
/// Classes of statuses; the first stands for requests that ended before their answer, as when the client left.
const STATUSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// What of the server a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// The drive, by WebDAV.
    Dav,
    /// A public link: its pages and its drive.
    Link,
    /// The JSON API.
    Api,
    /// The web app, and whatever is nothing else.
    Web,
    /// `/healthz` and `/readyz`.
    Health,
}

impl Front {
    const ALL: [(Self, &str); 5] = [
        (Self::Dav, "dav"),
        (Self::Link, "link"),
        (Self::Api, "api"),
        (Self::Web, "web"),
        (Self::Health, "health"),
    ];
}

/// All requests since the start.
#[derive(Debug, Default)]
pub struct Requests {
    /// All that have come.
    came: Counter,
    /// Those that are over.
    over: Box<[[RequestMetrics; Front::ALL.len()]; METHODS.len()]>,
}

/// The requests of one method to one front.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    statuses: [Counter; STATUSES.len()],
    took: Durations,
}

impl Requests {
    /// A request that has come; it is counted when it is answered, or else when what is returned is dropped.
    pub fn begin(&self, method: &str, front: Front) -> RunningRequest<'_> {
        self.came.add(1);
        let row = METHODS
            .iter()
            .zip(self.over.iter())
            .find(|(name, _)| **name == method);
        let row = row.map(|(_, row)| row).or(self.over.last());
        RunningRequest {
            cell: row.and_then(|row| row.get(front as usize)),
            began: Instant::now(),
        }
    }

    /// How many requests have come.
    pub fn total(&self) -> u64 {
        self.came.get()
    }

    /// How many of them are under way.
    pub fn running(&self) -> u64 {
        let over = self.over.iter().flatten().map(RequestMetrics::count).sum();
        self.total().saturating_sub(over)
    }

    /// Method and front of those that are over, with their numbers.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, &RequestMetrics)> {
        let rows = METHODS.into_iter().zip(self.over.iter());
        let cells = rows.flat_map(|(method, row)| {
            Front::ALL
                .into_iter()
                .zip(row)
                .map(move |((_, front), cell)| (method, front, cell))
        });
        cells.filter(|(.., cell)| cell.count() > 0)
    }
}

impl RequestMetrics {
    fn note(&self, status: u16, took: Duration) {
        if let Some(status) = self.statuses.get(usize::from(status / 100)) {
            status.add(1);
        }
        self.took.note(took);
    }

    fn count(&self) -> u64 {
        self.statuses.iter().map(Counter::get).sum()
    }

    /// How many were answered by each class of statuses.
    pub fn statuses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATUSES
            .into_iter()
            .zip(self.statuses.iter().map(Counter::get))
            .filter(|(_, count)| *count > 0)
    }

    /// From the head of the request to the head of the answer.
    pub fn took(&self) -> &Durations {
        &self.took
    }
}

/// A request that is under way.
#[derive(Debug)]
pub struct RunningRequest<'a> {
    cell: Option<&'a RequestMetrics>,
    began: Instant,
}

impl RunningRequest<'_> {
    /// Counts it by the status of its answer; how long it took.
    pub fn finish(mut self, status: u16) -> Duration {
        let took = self.began.elapsed();
        if let Some(cell) = self.cell.take() {
            cell.note(status, took);
        }
        took
    }
}

impl Drop for RunningRequest<'_> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell {
            cell.note(0, self.began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_counts_once_where_it_belongs() {
        let requests = Requests::default();
        for (method, front, status) in [
            ("GET", Front::Dav, 200),
            ("GET", Front::Dav, 404),
            ("BREW", Front::Web, 405),
        ] {
            requests.begin(method, front).finish(status);
        }
        let left = requests.begin("GET", Front::Api);
        assert_eq!((requests.total(), requests.running()), (4, 1));
        drop(left);
        let seen: Vec<_> = requests
            .each()
            .flat_map(|(method, front, cell)| {
                cell.statuses()
                    .map(move |(status, n)| (method, front, status, n))
            })
            .collect();
        let wanted = [
            ("GET", "dav", "2xx", 1),
            ("GET", "dav", "4xx", 1),
            ("GET", "api", "none", 1),
            ("other", "web", "4xx", 1),
        ];
        assert_eq!(seen, wanted);
        assert_eq!((requests.total(), requests.running()), (4, 0));
        for (at, (front, _)) in Front::ALL.into_iter().enumerate() {
            assert_eq!(
                front as usize, at,
                "the row of a request has a cell for each front, in this order"
            );
        }
    }

    #[test]
    #[ignore = "a measurement: cargo test --lib what_counting_a_request_costs -- --ignored --nocapture"]
    fn what_counting_a_request_costs() {
        const EACH: u32 = 2_000_000;
        let metrics = super::super::Metrics::default();
        for threads in [1, 2] {
            let began = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for n in 0..EACH {
                            let method = if n % 2 == 0 { "PROPFIND" } else { "PROPPATCH" };
                            let asked = metrics
                                .requests
                                .begin(std::hint::black_box(method), Front::Dav);
                            metrics.received.add(300);
                            metrics.sent.add(800);
                            asked.finish(207);
                        }
                    });
                }
            });
            println!("{threads} threads: {:?} a request", began.elapsed() / EACH);
        }
        assert_eq!(metrics.requests.total(), u64::from(EACH) * 3);
    }
}
