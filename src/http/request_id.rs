//! Short ids by which a client's report finds its log line: four characters for the process, then a count.

use http::HeaderValue;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PREFIX: usize = 4;

static PROCESS: LazyLock<[u8; PREFIX]> = LazyLock::new(|| {
    let mut bits = RandomState::new().build_hasher().finish();
    [(); PREFIX].map(|()| next_digit(&mut bits))
});
static COUNT: AtomicU64 = AtomicU64::new(1);

/// The id of one request.
pub(super) struct RequestId {
    text: [u8; PREFIX + 14],
    length: usize,
}

impl RequestId {
    /// An id that no request of this process had.
    pub(super) fn next() -> Self {
        let mut text = [b'-'; PREFIX + 14];
        let mut count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut length = PREFIX + 1;
        for (to, from) in text.iter_mut().zip(PROCESS.iter()) {
            *to = *from;
        }
        for to in text.iter_mut().skip(PREFIX + 1) {
            *to = next_digit(&mut count);
            length += 1;
            if count == 0 {
                break;
            }
        }
        Self { text, length }
    }

    /// As text.
    pub(super) fn as_str(&self) -> &str {
        self.text
            .get(..self.length)
            .and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or("-")
    }

    /// As a header value.
    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(self.as_str()).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

/// The lowest five bits as a digit, low ones first: ids that follow each other differ early.
fn next_digit(bits: &mut u64) -> u8 {
    let digit = usize::try_from(*bits & 31).unwrap_or(0);
    *bits >>= 5;
    DIGITS.get(digit).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_differ() {
        let ids: std::collections::HashSet<String> = (0..2000)
            .map(|_| RequestId::next().as_str().to_owned())
            .collect();
        assert_eq!(ids.len(), 2000);
        let prefix = RequestId::next().as_str()[..=PREFIX].to_owned();
        assert!(
            ids.iter()
                .all(|id| id.starts_with(&prefix) && id.len() <= PREFIX + 5),
            "{ids:?}"
        );
        COUNT.fetch_max(u64::MAX - 5000, Ordering::Relaxed);
        assert_eq!(RequestId::next().as_str().len(), PREFIX + 14);
    }
}
