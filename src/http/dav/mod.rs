//! The file protocol (RFC 4918): our own answers, and what stands in front of those that `dav_server` gives.

pub mod conditional;
pub mod dates;
pub mod get;
pub mod href;
pub mod lockxml;
pub mod media;
pub mod multistatus;
pub mod propfind;
pub mod proppatch;
pub mod props;
pub mod quirks;
pub mod range;
pub mod requests;
pub mod xml;
pub mod xmlname;
