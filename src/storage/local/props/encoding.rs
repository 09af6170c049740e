//! How dead properties are written in the attribute or the overflow file.

use crate::model::{Error, Result};
use crate::storage::local::overflow;
use crate::storage::local::root::TreeRoot;
use crate::storage::{DeadProp, OWN_NAMESPACE};

/// Reads what an attribute holds, or the overflow file in the folder `overflow` that it names.
pub(in super::super) fn decode(root: &TreeRoot, stored: Option<&[u8]>) -> Result<Vec<DeadProp>> {
    decode_by(|name| overflow::load_of(root, name), stored)
}

/// As [`decode`], with `load` for what an overflow file holds.
pub(in super::super) fn decode_by(
    load: impl FnOnce(&str) -> Result<Vec<u8>>,
    stored: Option<&[u8]>,
) -> Result<Vec<DeadProp>> {
    let Some(stored) = stored else {
        return Ok(Vec::new());
    };
    match overflow::parse_reference(stored) {
        Some(name) => match load(name) {
            Ok(text) => parse(&text),
            Err(Error::NotFound) => Err(unreadable()),
            Err(e) => Err(e),
        },
        None => parse(stored),
    }
}

fn parse(text: &[u8]) -> Result<Vec<DeadProp>> {
    serde_json::from_slice(text).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::Corrupt(
        "The properties kept with this file cannot be read: `sarang check` says more.".to_owned(),
    )
}

/// Writes what is to be stored.
pub(super) fn encode(props: &[DeadProp]) -> Result<Vec<u8>> {
    if props.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::to_vec(props).map_err(|e| Error::io("write properties", std::io::Error::other(e)))
}

/// Properties without those that say which file this is.
pub(super) fn without_link_tags(text: Vec<u8>) -> Result<Vec<u8>> {
    let own = OWN_NAMESPACE.as_bytes();
    if !text.windows(own.len()).any(|bytes| bytes == own) {
        return Ok(text);
    }
    let props: Vec<DeadProp> = parse(&text)?;
    encode(
        &props
            .into_iter()
            .filter(|prop| !prop.is_link_tag())
            .collect::<Vec<_>>(),
    )
}
