//! `Cache-Control` of every answer: the one place that says who may keep it, and how long.

use http::header::{CACHE_CONTROL, ETAG};
use http::{HeaderValue, Response};

/// Nobody keeps it but who asked, who asks again each time; and nobody on the way changes it: a proxy that compresses
/// leaves the entity tag as it was, or makes it weak, and conditional changes fail.
pub const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache, no-transform");
/// Nobody keeps it at all.
pub const NEVER: HeaderValue =
    HeaderValue::from_static("private, no-cache, no-transform, no-store");

/// Anybody keeps it and never asks again: its address names its content.
pub const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Confines an answer to who asked. Nearly all have private bytes or names in them, failures too.
pub fn forbid_caching<B>(response: &mut Response<B>) {
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(REVALIDATE);
}

/// The same for a page or a document of the API, which is only worth keeping when its entity tag tells whether it still holds.
pub fn confine_page<B>(response: &mut Response<B>) {
    let value = if response.headers().contains_key(ETAG) {
        REVALIDATE
    } else {
        NEVER
    };
    response.headers_mut().entry(CACHE_CONTROL).or_insert(value);
}
