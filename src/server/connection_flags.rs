//! What is noticed on a connection beside hyper: by the stream before hyper sees the bytes, and by the requests in flight.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What is noticed on a connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionFlags {
    /// Something came.
    pub began: AtomicBool,
    /// A head could be read in two ways.
    pub ambiguous: AtomicBool,
    /// It began like a header of the PROXY protocol, which hyper cannot read.
    pub proxy: AtomicBool,
    /// The stream is between two requests: all that came was a whole request, and all that was written has been flushed.
    pub is_between_requests: AtomicBool,
    /// Requests since the beginning.
    requests: AtomicUsize,
    /// Requests whose response or whose own body is not done with.
    in_flight: AtomicUsize,
}

impl ConnectionFlags {
    /// Counts one more request.
    pub(super) fn begin_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.hold_request();
    }

    /// Keeps the present request in flight until one more [`end_request`](Self::end_request).
    pub(super) fn hold_request(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// The counterpart of both.
    pub(super) fn end_request(&self) {
        self.in_flight.fetch_sub(1, Ordering::Release);
    }

    /// How many requests there were.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.is_between_requests.load(Ordering::Relaxed)
            && self.in_flight.load(Ordering::Acquire) == 0
    }
}
