//! Times as the protocols write them.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// The seconds since 1970 that the years 1 to 9999 have: the dates of HTTP and RFC 3339 can say no others.
const CALENDAR: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Seconds since 1970, negative before; rounded down, and no further away than the years 1 to 9999.
pub fn unix_seconds(time: SystemTime) -> i64 {
    floor(time, |distance| distance.as_secs(), NANOS).clamp(*CALENDAR.start(), *CALENDAR.end())
}

/// Milliseconds since 1970, negative before; rounded down.
pub fn unix_millis(time: SystemTime) -> i64 {
    floor(
        time,
        |distance| u64::try_from(distance.as_millis()).unwrap_or(u64::MAX),
        1_000_000,
    )
}

/// Nanoseconds since 1970; 0 before.
pub fn unix_nanos(time: SystemTime) -> u64 {
    let distance = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(distance.as_nanos()).unwrap_or(u64::MAX)
}

const NANOS: u32 = 1_000_000_000;

/// Whole units of so many nanoseconds since 1970, rounded down: a time before 1970 with a fraction counts as the kernel counts it.
fn floor(time: SystemTime, whole: impl Fn(Duration) -> u64, unit: u32) -> i64 {
    let count = |distance: Duration| i64::try_from(whole(distance)).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => count(after),
        Err(before) => {
            let before = before.duration();
            -count(before) - i64::from(before.subsec_nanos() % unit > 0)
        }
    }
}

/// The moment `seconds` after 1970.
pub fn from_unix_seconds(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    moment.unwrap_or(UNIX_EPOCH)
}

/// Reads seconds as a decimal number, with a sign only below zero; a fraction is cut off. `None` for what is none.
pub fn parse_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = is_digits(whole.strip_prefix('-').unwrap_or(whole)) && is_digits(fraction);
    whole.parse().ok().filter(|_| is_number)
}

/// The moment `seconds` after 1970, if it lies in the years 1 to 9999: no client could read another back.
pub fn in_calendar(seconds: i64) -> Option<SystemTime> {
    CALENDAR
        .contains(&seconds)
        .then(|| from_unix_seconds(seconds))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
pub fn http_date(time: SystemTime) -> String {
    calendar(time)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// `1994-11-06T08:49:37Z` (RFC 3339), as `creationdate` wants it.
pub fn iso_date(time: SystemTime) -> String {
    format!("{}Z", calendar(time))
}

/// A time in the calendar's fields, in UTC, without what is below a second.
pub fn calendar(time: SystemTime) -> DateTime {
    EPOCH.saturating_add(SignedDuration::from_secs(unix_seconds(time)))
}

/// Reads a time as RFC 3339 writes it, with any offset; what is below a second is cut off. `None` when it is none.
pub fn parse_iso_date(text: &str) -> Option<SystemTime> {
    let (read, offset) = parse_rfc_3339(text)?;
    in_calendar(seconds_of(read) - offset)
}

/// As [`parse_iso_date`], to the nanosecond.
pub fn parse_iso_moment(text: &str) -> Option<SystemTime> {
    let (read, _) = parse_rfc_3339(text)?;
    let fraction = Duration::from_nanos(read.subsec_nanosecond().try_into().ok()?);
    parse_iso_date(text)?.checked_add(fraction)
}

/// Date and time, and seconds east of Greenwich. jiff reads more than RFC 3339 has: dates without separators, hours without minutes.
fn parse_rfc_3339(text: &str) -> Option<(DateTime, i64)> {
    let (local, offset) = if let Some(local) = text.strip_suffix(['Z', 'z']) {
        (local, 0)
    } else {
        let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
        (local, parse_offset(offset)?)
    };
    let separates = |at: usize, by: &[u8]| local.as_bytes().get(at).is_some_and(|b| by.contains(b));
    let has_form = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    let has_form = has_form
        .iter()
        .all(|(at, by)| separates(*at, by.as_bytes()));
    let has_end = local.len() == 19 || separates(19, b".");
    let read = if has_form && has_end {
        local.parse().ok()?
    } else {
        return None;
    };
    Some((read, offset))
}

/// Seconds east of Greenwich, of `+01:00`.
fn parse_offset(text: &str) -> Option<i64> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let seconds = (hours < 24 && minutes < 60)
        .then_some(i64::from(hours) * 3600 + i64::from(minutes) * 60)?;
    match text.as_bytes().first()? {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// Seconds since 1970 of a date and time in UTC.
fn seconds_of(utc: DateTime) -> i64 {
    EPOCH.duration_until(utc).as_secs()
}

/// Reads the three forms of an HTTP date (RFC 9110 section 5.6.7) in the years 1 to 9999; `None` when it is none of them.
pub fn parse_http_date(text: &str) -> Option<SystemTime> {
    let words: Vec<&str> = text
        .split([' ', ',', '-'])
        .filter(|w| !w.is_empty())
        .collect();
    let ([_, day, month, year, clock, "GMT"] | [_, month, day, clock, year]) = words.as_slice()
    else {
        return None;
    };
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))?;
    let year = match year.len() {
        2 => digits(year).map(|y| if y < 70 { y + 2000 } else { y + 1900 })?,
        4 => digits(year)?,
        _ => return None,
    };
    let date = Date::new(
        year,
        i8::try_from(month + 1).ok()?,
        digits(day)?.try_into().ok()?,
    )
    .ok()?;
    let parts: Vec<i16> = clock.split(':').map_while(digits).collect();
    let [hour, minute, second] = parts.as_slice() else {
        return None;
    };
    // A leap second counts as the one before it.
    let second = if *second == 60 { 59 } else { *second };
    let field = |value: i16| i8::try_from(value).ok();
    let clock = Time::new(field(*hour)?, field(*minute)?, field(second)?, 0).ok()?;
    in_calendar(seconds_of(date.to_datetime(clock)))
}

fn digits(text: &str) -> Option<i16> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read_back() {
        let moment = from_unix_seconds(784_111_777);
        assert_eq!(http_date(moment), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(iso_date(moment), "1994-11-06T08:49:37Z");
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_http_date(text), Some(moment), "{text}");
        }
        for seconds in [-1, 0, 951_782_400, 4_102_444_800, -2_208_988_800] {
            let moment = from_unix_seconds(seconds);
            assert_eq!(
                parse_http_date(&http_date(moment)),
                Some(moment),
                "{seconds}"
            );
        }
        for text in [
            "",
            "Sun, 06 Nov 1994",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "x, 06 Foo 1994 08:49:37 GMT",
            "Sat, 01 Jan 0000 00:00:00 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06 Nov 1994 +8:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn times_before_1970_are_rounded_down_and_far_ones_stay_in_the_calendar() {
        let before = |millis| UNIX_EPOCH - Duration::from_millis(millis);
        assert_eq!(
            [0, 1, 1000, 1500].map(|millis| unix_seconds(before(millis))),
            [0, -1, -1, -2]
        );
        assert_eq!(
            [0, 1, 1500].map(|millis| unix_millis(before(millis))),
            [0, -1, -1500]
        );
        assert_eq!(unix_millis(UNIX_EPOCH - Duration::from_nanos(1)), -1);
        assert_eq!(http_date(before(1500)), "Wed, 31 Dec 1969 23:59:58 GMT");
        for (seconds, date) in [
            (i64::MIN, "Mon, 01 Jan 0001 00:00:00 GMT"),
            (-62_135_596_801, "Mon, 01 Jan 0001 00:00:00 GMT"),
            (253_402_300_800, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let time = from_unix_seconds(seconds);
            assert_eq!(http_date(time), date, "{seconds}");
            assert_eq!(
                parse_http_date(date).map(unix_seconds),
                Some(unix_seconds(time)),
                "what is shown is known again"
            );
            assert_eq!(
                parse_iso_date(&iso_date(time)).map(unix_seconds),
                Some(unix_seconds(time))
            );
        }
    }

    #[test]
    fn rfc_3339_is_read() {
        let moment = Some(from_unix_seconds(784_111_777));
        for text in [
            "1994-11-06T08:49:37Z",
            "1994-11-06t08:49:37.999z",
            "1994-11-06 09:49:37+01:00",
            "1994-11-05T23:49:37-09:00",
        ] {
            assert_eq!(parse_iso_date(text), moment, "{text}");
        }
        for text in [
            "",
            "1994-11-06",
            "1994-11-06T08:49:37",
            "1994-02-30T08:49:37Z",
            "1994-13-06T08:49:37Z",
            "94-11-06T08:49:37Z",
            "1994-11-06T24:00:00Z",
            "1994-11-06T08:49:37.Z",
            "1994-11-06T08:49:37*01:00",
            "0000-01-01T00:00:00Z",
            "T+00:00é",
            "1994-11-06T08:49:+7Z",
        ] {
            assert_eq!(parse_iso_date(text), None, "{text}");
        }
    }
}
