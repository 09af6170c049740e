//! The only place that speaks HTTP.

pub mod body;
pub mod dav;
pub mod intake;
pub mod reply;
