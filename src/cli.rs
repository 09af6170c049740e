//! The commands of `sarang`, one module each. They print; nothing below them does.

mod prompt;
mod size;
pub mod user;
