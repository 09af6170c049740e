//! Counters, cheap enough for every request.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What is counted since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests answered.
    pub requests: AtomicU64,
    /// Connections that are open now.
    pub connections: Arc<AtomicU64>,
    /// Requests whose handling panicked; each was answered with 500.
    pub panics: AtomicU64,
}
