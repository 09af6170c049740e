//! Sarang: a self-hosted network drive over WebDAV.
//!
//! The layers, bottom to top; a module imports only what stands above it in this list:
//! [`model`] plain values, [`config`] settings, [`metrics`] counters, [`audit`] who did what, [`outgoing`] requests it makes itself, [`failures`] why clients failed lately, [`store`] remembers records,
//! [`content`] where the bytes are, [`auth`] who is asking, [`drive`] what they see and may do,
//! [`setup`] the first administrator, [`openid`] the provider that people sign in by, [`certs`] certificates it gets for itself, [`app`] everything shared, [`admin`] what administrators do, [`backup`] copies of it all, [`check`] whether all of it agrees, [`control`] what administrators ask of it, [`jobs`] hourly work, [`observe`] numbers about it all, [`http`] the protocol,
//! [`server`] connections, [`doctor`] what clients meet on their way, [`cli`] commands. [`log`] is written to from everywhere. ARCHITECTURE.md is the tour.

pub mod model;

pub mod audit;
pub mod config;
pub mod failures;
pub mod http_client;
pub mod links;
pub mod log;
pub mod metrics;

pub mod content;
pub mod store;
pub mod uploads;

pub mod auth;
pub mod drive;

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
