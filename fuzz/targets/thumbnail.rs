//! Small pictures of any bytes: refused or made, small and whole, never a panic, and within the memory that libFuzzer is given.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sarang::http::thumbnails::downscale::downscale;

const SIZE: u32 = 64;

fuzz_target!(|data: &[u8]| {
    let Ok(picture) = downscale(Bytes::copy_from_slice(data), SIZE) else {
        return;
    };
    // What was made is a picture itself, and stays as it is but for a second loss.
    assert!(picture.starts_with(b"\x89PNG") || picture.starts_with(b"\xff\xd8"));
    assert!(
        downscale(picture, SIZE).is_ok(),
        "what was made is no picture"
    );
});
