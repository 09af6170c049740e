//! Dates written into listings by the thousand: the calendar part is kept per day, the clock is written by hand.

use crate::model::time::{from_unix_seconds, http_date, iso_date, unix_seconds};
use std::time::SystemTime;

const SLOTS: i64 = 64;
const DAY: i64 = 86_400;

/// Writes dates, remembering some calendar days.
#[derive(Debug)]
pub struct Dates {
    days: Vec<Day>,
}

/// What the dates of one day begin with.
#[derive(Clone, Debug, Default)]
struct Day {
    number: Option<i64>,
    http: String,
    iso: String,
}

impl Default for Dates {
    fn default() -> Self {
        Self {
            days: vec![Day::default(); usize::try_from(SLOTS).unwrap_or(1)],
        }
    }
}

impl Dates {
    /// As [`http_date`].
    pub fn write_http(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let (day, seconds) = self.split(time);
        out.extend_from_slice(day.http.as_bytes());
        write_clock(out, seconds);
        out.extend_from_slice(b" GMT");
    }

    /// As [`iso_date`].
    pub fn write_iso(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let (day, seconds) = self.split(time);
        out.extend_from_slice(day.iso.as_bytes());
        write_clock(out, seconds);
        out.push(b'Z');
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder by the number of slots is a slot"
    )]
    fn split(&mut self, time: SystemTime) -> (&Day, i64) {
        let seconds = unix_seconds(time);
        let number = seconds.div_euclid(DAY);
        let slot = &mut self.days[usize::try_from(number.rem_euclid(SLOTS)).unwrap_or(0)];
        if slot.number != Some(number) {
            *slot = Day::of(number);
        }
        (slot, seconds.rem_euclid(DAY))
    }
}

impl Day {
    fn of(number: i64) -> Self {
        let midnight = from_unix_seconds(number.saturating_mul(DAY));
        let head = |date: String, clock: &str| {
            date.strip_suffix(clock)
                .map(str::to_owned)
                .unwrap_or_default()
        };
        Self {
            number: Some(number),
            http: head(http_date(midnight), "00:00:00 GMT"),
            iso: head(iso_date(midnight), "00:00:00Z"),
        }
    }
}

fn write_clock(out: &mut Vec<u8>, seconds: i64) {
    let two = |n: i64| u8::try_from(n).map_or([b'0'; 2], |n| [b'0' + n / 10, b'0' + n % 10]);
    let [h, hh] = two(seconds / 3600);
    let [m, mm] = two(seconds / 60 % 60);
    let [s, ss] = two(seconds % 60);
    out.extend_from_slice(&[h, hh, b':', m, mm, b':', s, ss]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::decimal::{write_decimal, write_hex};
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn dates_and_numbers_are_those_of_the_slow_way(seconds in -100_000_000_000_i64..250_000_000_000, number: u64) {
            let time = from_unix_seconds(seconds);
            let mut dates = Dates::default();
            for _ in 0..2 {
                prop_assert_eq!(text(|out| dates.write_http(out, time)), http_date(time));
                prop_assert_eq!(text(|out| dates.write_iso(out, time)), iso_date(time));
            }
            prop_assert_eq!(text(|out| write_decimal(out, number)), number.to_string());
            prop_assert_eq!(text(|out| write_hex(out, number)), format!("{number:x}"));
        }
    }

    #[test]
    fn days_that_share_a_slot_are_kept_apart() {
        let mut dates = Dates::default();
        for seconds in [0, SLOTS * DAY, -SLOTS * DAY, 1, 0] {
            let time = from_unix_seconds(seconds);
            assert_eq!(text(|out| dates.write_http(out, time)), http_date(time));
        }
        assert_eq!(text(|out| write_decimal(out, 0)), "0");
        assert_eq!(text(|out| write_hex(out, u64::MAX)), "ffffffffffffffff");
    }
}
