//! Sarang: a self-hosted network drive over WebDAV.
//!
//! The layers, bottom to top; a module imports only from layers above its own in this list (`tests/suite/layers/` proves it):
//!
//! - [`model`]: plain values
//! - [`config`]: settings; [`metrics`]: counters
//! - [`log`], [`audit`]: who did what; [`http_client`]: requests it makes itself; [`failures`]: why clients failed lately
//! - [`state`]: records; [`storage`]: trees of files
//! - [`auth`]: who is asking; [`sharing`]: what accounts show to each other
//! - [`drive`]: what an identity sees and may do
//! - [`setup`]: the first administrator; [`links`], [`openid`]: the sign-in provider; [`uploads`], [`certs`]: certificates it gets for itself
//! - [`app`]: everything shared
//! - [`admin`]: what administrators do; [`backup`]; [`check`]: whether all of it agrees
//! - [`jobs`]: hourly work; [`observe`]: metrics; [`http`]: the protocol
//! - [`server`]: connections; [`control`]: the command line's way to the API; [`doctor`]: what clients meet on their way
//! - [`cli`][]: commands
//!
//! ARCHITECTURE.md is the tour.

#![cfg_attr(
    test,
    allow(
        clippy::too_many_lines,
        reason = "a test is a scenario, read from top to bottom"
    )
)]

pub mod model;

pub mod audit;
pub mod config;
pub mod failures;
pub mod http_client;
pub mod links;
pub mod log;
pub mod metrics;

pub mod state;
pub mod storage;
pub mod uploads;

pub mod auth;
pub mod drive;
pub mod sharing;

pub mod admin;
pub mod app;
pub mod backup;
pub mod certs;
pub mod check;
pub mod doctor;
pub mod openid;
pub mod setup;

pub mod control;

pub mod http;
pub mod jobs;
pub mod observe;
pub mod server;

pub mod cli;
