//! `Range` (RFC 9110 section 14): which bytes a GET asks for, without overflow and without amplification.

use super::conditional::if_range_matches;
use super::header_values::single_value;
use crate::storage::Node;
use http::HeaderMap;
use http::header::RANGE;

/// The most ranges that are served; more is the whole file.
pub const MAX_RANGES: usize = 16;

/// Consecutive bytes, never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes.
    pub const fn count(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// The bytes to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeSelection {
    /// The whole file, as without a range.
    Whole,
    /// One part of it.
    One(ByteRange),
    /// Several parts, none of which touches another.
    Several(Vec<ByteRange>),
    /// Nothing of what is asked for exists.
    Unsatisfiable,
}

/// What a GET of a file asks for. A range is no list: several lines of `Range` are the whole file.
pub fn requested(headers: &HeaderMap, etag: &str, node: &Node) -> RangeSelection {
    let range = single_value(headers, &RANGE).and_then(|value| value.to_str().ok());
    let counts = |_: &&str| if_range_matches(headers, etag, node.modified);
    range
        .filter(counts)
        .map_or(RangeSelection::Whole, |range| select(range, node.len))
}

/// Reads a `Range` header for a file of `len` bytes. What is malformed, has too many ranges or asks for more than
/// the file in total is answered with the whole file, and so is every range of an empty one: it has nothing that could be left out.
pub fn select(header: &str, len: u64) -> RangeSelection {
    let Some(wanted) = parse(header).filter(|_| len > 0) else {
        return RangeSelection::Whole;
    };
    let mut spans: Vec<ByteRange> = wanted.iter().filter_map(|wanted| wanted.of(len)).collect();
    let total = spans
        .iter()
        .fold(0_u64, |sum, span| sum.saturating_add(span.count()));
    if total > len {
        return RangeSelection::Whole;
    }
    coalesce(&mut spans);
    match spans.as_slice() {
        [] => RangeSelection::Unsatisfiable,
        [one] => RangeSelection::One(*one),
        _ => RangeSelection::Several(spans),
    }
}

/// A range as it is written.
#[derive(Clone, Copy, Debug)]
enum RangeSpec {
    Between(u64, u64),
    Suffix(u64),
}

impl RangeSpec {
    /// The bytes of a file of `len` bytes, if there are any.
    fn of(self, len: u64) -> Option<ByteRange> {
        let end = len.checked_sub(1)?;
        match self {
            Self::Between(first, last) => (first <= end).then_some(ByteRange {
                first,
                last: last.min(end),
            }),
            Self::Suffix(0) => None,
            Self::Suffix(count) => Some(ByteRange {
                first: len.saturating_sub(count),
                last: end,
            }),
        }
    }
}

fn parse(header: &str) -> Option<Vec<RangeSpec>> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut wanted = Vec::new();
    for range in set
        .split(',')
        .map(|range| range.trim_matches([' ', '\t']))
        .filter(|range| !range.is_empty())
    {
        let (first, last) = range.split_once('-')?;
        let one = match (first, last) {
            ("", count) => RangeSpec::Suffix(number(count)?),
            (first, "") => RangeSpec::Between(number(first)?, u64::MAX),
            (first, last) => RangeSpec::Between(number(first)?, number(last)?),
        };
        if matches!(one, RangeSpec::Between(first, last) if first > last)
            || wanted.len() >= MAX_RANGES
        {
            return None;
        }
        wanted.push(one);
    }
    if wanted.is_empty() {
        None
    } else {
        Some(wanted)
    }
}

/// Digits; what does not fit is as good as the largest number.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Joins parts that overlap or touch, in which case all come in ascending order; else the order stays.
fn coalesce(spans: &mut Vec<ByteRange>) {
    let mut sorted = spans.clone();
    sorted.sort_unstable_by_key(|span| span.first);
    sorted.dedup_by(|next, before| {
        let touches = next.first <= before.last.saturating_add(1);
        if touches {
            before.last = before.last.max(next.last);
        }
        touches
    });
    if sorted.len() < spans.len() {
        *spans = sorted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(first: u64, last: u64) -> RangeSelection {
        RangeSelection::One(ByteRange { first, last })
    }

    #[test]
    fn single_ranges() {
        let cases = [
            ("bytes=0-4", one(0, 4)),
            ("Bytes = 5-", one(5, 9)),
            ("bytes=-3", one(7, 9)),
            ("bytes=-99", one(0, 9)),
            ("bytes=9-9", one(9, 9)),
            ("bytes=1-18446744073709551615", one(1, 9)),
            ("bytes=1-99999999999999999999999", one(1, 9)),
            ("bytes=10-", RangeSelection::Unsatisfiable),
            (
                "bytes=99999999999999999999999-",
                RangeSelection::Unsatisfiable,
            ),
            ("bytes=-0", RangeSelection::Unsatisfiable),
            ("bytes=50-60, 1-2", one(1, 2)),
        ];
        for (header, expected) in cases {
            assert_eq!(select(header, 10), expected, "{header}");
        }
    }

    #[test]
    fn malformed_and_greedy_headers_are_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=0x1-2",
            "bytes=+1-2",
            "lines=0-1",
            "bytes=0-1-2",
            "bytes=0-,0-",
            "bytes=0-8,1-9",
        ] {
            assert_eq!(select(header, 10), RangeSelection::Whole, "{header}");
        }
        let many = |n: usize| {
            format!(
                "bytes={}",
                (0..n)
                    .map(|i| format!("{}-{}", i * 3, i * 3))
                    .collect::<Vec<_>>()
                    .join(",")
            )
        };
        assert!(
            matches!(select(&many(16), 100), RangeSelection::Several(spans) if spans.len() == 16)
        );
        assert_eq!(select(&many(17), 100), RangeSelection::Whole);
    }

    #[test]
    fn several_ranges_keep_their_order_unless_joined() {
        let span = |first, last| ByteRange { first, last };
        assert_eq!(
            select("bytes=7-8,0-1", 10),
            RangeSelection::Several(vec![span(7, 8), span(0, 1)])
        );
        assert_eq!(
            select("bytes=7-8,0-1,2-3", 10),
            RangeSelection::Several(vec![span(0, 3), span(7, 8)])
        );
        assert_eq!(select("bytes=0-3,2-5", 10), one(0, 5));
    }

    #[test]
    fn empty_files_are_whole_in_every_range() {
        for range in [
            "bytes=0-",
            "bytes=0-0",
            "bytes=5-9",
            "bytes=-5",
            "bytes=-0",
            "bytes=0-,-1",
            "bytes=1-1,3-3",
            "x",
        ] {
            assert_eq!(select(range, 0), RangeSelection::Whole, "{range}");
        }
    }

    proptest! {
        #[test]
        fn selections_lie_in_the_file(header in "bytes=([0-9]{0,20}-[0-9]{0,20}[, ]{0,2}){0,5}", len: u64) {
            let spans = match select(&header, len) {
                RangeSelection::One(span) => vec![span],
                RangeSelection::Several(spans) => spans,
                RangeSelection::Whole | RangeSelection::Unsatisfiable => vec![],
            };
            prop_assert!(spans.iter().all(|s| s.first <= s.last && s.last < len));
            let total: u128 = spans.iter().map(|s| u128::from(s.count())).sum();
            prop_assert!(total <= u128::from(len));
        }

        #[test]
        fn nothing_makes_it_panic(header in "\\PC{0,60}", len: u64) {
            let _ = select(&header, len);
            let _ = select(&format!("bytes={header}"), len);
        }
    }
}
