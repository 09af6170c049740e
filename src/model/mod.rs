//! Plain values that every layer speaks: no I/O, no clock, no framework.

pub mod access;
pub mod error;
pub mod identity;
pub mod names;
pub mod path;
pub mod time;
pub mod windows1252;

pub use access::{AccessCheck, Irrevocable};
pub use error::{Error, Result};
pub use identity::{AccountName, Identity, Rights, Role, ScopeTarget, Via};
pub use path::{RelPath, VPath, before_extension};
