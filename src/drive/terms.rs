//! The conditions of one request: what it expects to find and the lock tokens it submits.

/// The conditions of one request.
#[derive(Clone, Debug, Default)]
pub struct Terms {}
