//! The integration suite: one binary, real HTTP over loopback against the library server.
//! `harness` starts servers and speaks raw HTTP; every other module is a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "a test fails by panicking and reports by printing; a scenario is read from top to bottom"
)]

mod harness;

mod access_ends;
mod activated;
mod admin;
mod anonymous;
mod api;
mod api_accounts;
mod api_admin;
mod api_app_passwords;
mod api_sessions;
mod api_two_factor;
mod attacks;
mod audited;
mod backup;
mod backup_kept;
mod beside;
mod bursts;
mod carried;
mod check;
mod commands;
mod dav_conditions;
mod dav_cut;
mod dav_listing;
mod dav_locks;
mod dav_moves;
mod dav_overflow;
mod dav_props;
mod depths;
mod doctor;
mod edges;
mod email;
mod failures;
mod files;
mod former_data;
mod generations;
mod guessing;
mod guests;
mod http2;
mod identity;
mod in_place;
mod kept_connections;
mod layers;
mod lengths;
mod link_downloads;
mod link_drops;
mod link_locks;
mod link_passwords;
mod links;
mod lock_credentials;
mod lost_locks;
mod lost_updates;
mod matrix;
mod misread;
mod missing_homes;
mod observed;
mod odd_names;
mod odd_requests;
mod odd_times;
mod open_homes;
mod openid;
mod past;
mod path_prefix;
mod people;
mod program;
mod promised;
mod proxied;
mod quota;
mod read_only_files;
mod removal;
mod resumable;
mod revoked;
mod rewind;
mod rows;
mod sandbox;
mod scope;
mod searching;
mod secrets;
mod shares;
mod shown_names;
mod sign_in;
mod strange_disk;
mod table;
mod thumbnails;
mod tls;
mod traces;
mod trash;
mod trash_folder;
mod unshown;
