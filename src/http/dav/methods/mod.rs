//! The methods that the server answers itself, one file each; the rest goes through the [`adaptor`](super::adaptor).

pub mod get;
pub mod options;
pub mod propfind;
pub mod proppatch;
