//! What real clients need, row by row of tests/rows.md: every row that no recorded trace shows. A row's client stands in its test.

mod changes;
mod discovery;
mod get;
mod locking;
mod names;
mod propfind;
mod proppatch;
mod put;
mod quota;
