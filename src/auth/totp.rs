//! The codes of authenticator apps: RFC 6238 as every one of them has it, HMAC-SHA-1, six digits, thirty seconds.

use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Seconds that a code is shown for.
const STEP: i64 = 30;

/// The step a code is of: the present one or a neighbour, for clocks differ; none up to `last`, for codes are used once.
pub fn step_of(secret: &[u8], code: &str, now: i64, last: u64) -> Option<u64> {
    let present = u64::try_from(now / STEP).ok()?;
    let mut found = None;
    for step in present.saturating_sub(1)..=present + 1 {
        let same = code_at(secret, step)
            .is_some_and(|right| bool::from(right.as_bytes().ct_eq(code.as_bytes())));
        if same && step > last {
            found = Some(step);
        }
    }
    found
}

/// The code of a step (RFC 4226 section 5.3).
fn code_at(secret: &[u8], step: u64) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).ok()?;
    mac.update(&step.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let offset = usize::from(tag.last()? & 15);
    let four: [u8; 4] = tag.get(offset..offset + 4)?.try_into().ok()?;
    Some(format!(
        "{:06}",
        (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238 appendix B, the last six of its eight digits.
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(SECRET, time / 30).unwrap(), code);
        }
    }

    #[test]
    fn a_code_is_good_once_and_near_its_time() {
        let now = 1_111_111_111;
        let step = 1_111_111_111 / 30;
        assert_eq!(step_of(SECRET, "050471", now, 0), Some(step));
        assert_eq!(step_of(SECRET, "050471", now, step - 1), Some(step));
        assert_eq!(step_of(SECRET, "050471", now, step), None, "used");
        assert_eq!(step_of(SECRET, "050471", now + 30, 0), Some(step));
        assert_eq!(step_of(SECRET, "050471", now - 30, 0), Some(step));
        assert_eq!(step_of(SECRET, "050471", now + 60, 0), None);
        for wrong in ["", "050472", "50471", "0504710", "abcdef"] {
            assert_eq!(step_of(SECRET, wrong, now, 0), None, "{wrong}");
        }
    }
}
