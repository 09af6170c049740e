//! Secrets that this server makes: random text, of which only a hash is kept.

use super::password::random_bytes;
use crate::model::Result;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A secret for programs: 256 bits in 43 characters.
pub fn long_secret() -> Result<Zeroizing<String>> {
    Ok(Zeroizing::new(
        BASE64_URL_SAFE_NO_PAD.encode(Zeroizing::new(random_bytes::<32>()?).as_slice()),
    ))
}

/// A secret that people type: `N` random bytes (a multiple of five) in groups of four characters.
pub fn readable_secret<const N: usize>() -> Result<Zeroizing<String>> {
    let plain = Zeroizing::new(base32(Zeroizing::new(random_bytes::<N>()?).as_slice()));
    let mut grouped = Zeroizing::new(String::with_capacity(plain.len() * 5 / 4));
    for (at, c) in plain.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(c);
    }
    Ok(grouped)
}

/// A readable secret as it was made, whatever case and separators it was typed with.
pub fn as_made(typed: &str) -> Zeroizing<String> {
    Zeroizing::new(
        typed
            .chars()
            .filter(|c| !matches!(c, '-' | ' '))
            .map(|c| c.to_ascii_lowercase())
            .collect(),
    )
}

/// A public id: 128 random bits in letters and digits.
pub fn public_id() -> Result<String> {
    Ok(base32(&random_bytes::<16>()?))
}

/// What is kept of a secret. It needs no salt: nobody tries out 80 random bits and more.
pub fn digest(secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

/// RFC 4648 section 6, in small letters and without padding.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let mut held = 0_u32;
    let mut bits = 0_u32;
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(symbol(held >> bits));
            held &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        text.push(symbol(held << (5 - bits)));
    }
    text
}

fn symbol(five_bits: u32) -> char {
    ALPHABET
        .get((five_bits & 31) as usize)
        .map_or('a', |byte| char::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn secrets_are_long_and_never_the_same() {
        assert_eq!(
            (long_secret().unwrap().len(), public_id().unwrap().len()),
            (43, 26)
        );
        assert_ne!(long_secret().unwrap(), long_secret().unwrap());
        let secret = readable_secret::<20>().unwrap();
        assert_eq!(secret.split('-').map(str::len).collect::<Vec<_>>(), [4; 8]);
        assert_eq!(
            as_made(&secret),
            as_made(&secret.to_uppercase().replace('-', " "))
        );
        assert_ne!(digest("a"), digest("b"));
    }
}
