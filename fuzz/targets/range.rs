//! The `Range` header: what is chosen lies in the file, never overlaps, and is never more than the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sarang::http::range::{ByteRange, RangeSelection, select};

fuzz_target!(|header: &str| {
    for len in [0, 1, 10, 100, 1 << 40, u64::MAX] {
        check(header, len);
        check(&format!("bytes={header}"), len);
    }
});

fn check(header: &str, len: u64) {
    let spans = match select(header, len) {
        RangeSelection::Whole | RangeSelection::Unsatisfiable => return,
        RangeSelection::One(span) => vec![span],
        RangeSelection::Several(spans) => {
            assert!(spans.len() > 1 && spans.len() <= 16);
            spans
        }
    };
    let total: u128 = spans.iter().map(|span| u128::from(span.count())).sum();
    assert!(total <= u128::from(len), "{spans:?} of {len}");
    for (at, span) in spans.iter().enumerate() {
        assert!(
            span.first <= span.last && span.last < len,
            "{span:?} of {len}"
        );
        assert!(
            spans.iter().skip(at + 1).all(|other| apart(*span, *other)),
            "{spans:?}"
        );
    }
    check_again(&spans, len);
}

fn apart(one: ByteRange, other: ByteRange) -> bool {
    one.last < other.first || other.last < one.first
}

/// Asking for exactly what was chosen chooses the same.
fn check_again(spans: &[ByteRange], len: u64) {
    let written: Vec<String> = spans
        .iter()
        .map(|span| format!("{}-{}", span.first, span.last))
        .collect();
    let again = match select(&format!("bytes={}", written.join(", ")), len) {
        RangeSelection::One(span) => vec![span],
        RangeSelection::Several(spans) => spans,
        other => panic!("{other:?}"),
    };
    assert_eq!(again, spans);
}
