//! Times as the protocols write them, without a calendar library on the hot path.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment split into calendar fields, in UTC.
struct Civil {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    seconds: i64,
}

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
    let c = civil(unix_seconds(time));
    let day = DAYS.get(c.weekday).unwrap_or(&"Thu");
    let month = MONTHS.get(c.month - 1).unwrap_or(&"Jan");
    let h = c.seconds / 3600;
    let m = c.seconds / 60 % 60;
    let s = c.seconds % 60;
    format!(
        "{day}, {:02} {month} {:04} {h:02}:{m:02}:{s:02} GMT",
        c.day, c.year
    )
}

/// `1994-11-06T08:49:37Z` (RFC 3339), as `creationdate` wants it.
pub fn iso_date(time: SystemTime) -> String {
    let c = civil(unix_seconds(time));
    let h = c.seconds / 3600;
    let m = c.seconds / 60 % 60;
    let s = c.seconds % 60;
    format!(
        "{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}Z",
        c.year, c.month, c.day
    )
}

/// Year, month, day, hour, minute and second, in UTC.
pub fn calendar(time: SystemTime) -> [i64; 6] {
    let Civil {
        year,
        month,
        day,
        seconds,
        ..
    } = civil(unix_seconds(time));
    [
        year,
        i64::try_from(month).unwrap_or(1),
        day,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    ]
}

/// Reads a time as RFC 3339 writes it, with any offset; what is below a second is cut off. `None` when it is none.
pub fn parse_iso_date(text: &str) -> Option<SystemTime> {
    let (date, clock) = text.split_once(['T', 't', ' '])?;
    let (clock, offset) = if let Some(clock) = clock.strip_suffix(['Z', 'z']) {
        (clock, 0)
    } else {
        let (clock, offset) = clock.split_at_checked(clock.len().checked_sub(6)?)?;
        (clock, offset_of(offset)?)
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let ([year, month, day], [h, m, s]) = (
        numbers(date, '-', [4, 2, 2])?,
        numbers(clock, ':', [2, 2, 2])?,
    );
    let fraction_reads = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    if !fraction_reads || !(1..=12).contains(&month) || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let month = usize::try_from(month).ok()?;
    let days = days_since_epoch(year, month, day);
    let back = civil(days * 86400);
    let exists = (back.month, back.day) == (month, day);
    exists
        .then(|| in_calendar(days * 86400 + h * 3600 + m * 60 + s - offset))
        .flatten()
}

/// As [`parse_iso_date`], to the nanosecond.
pub fn parse_iso_moment(text: &str) -> Option<SystemTime> {
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    let digits: String = fraction
        .chars()
        .take_while(char::is_ascii_digit)
        .chain("000000000".chars())
        .take(9)
        .collect();
    parse_iso_date(text)?.checked_add(Duration::from_nanos(digits.parse().ok()?))
}

/// Seconds east of Greenwich, of `+01:00`.
fn offset_of(text: &str) -> Option<i64> {
    let (sign, offset) = text.split_at_checked(1)?;
    let [hours, minutes] = numbers(offset, ':', [2, 2])?;
    let seconds = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
    match sign {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

/// Numbers of so many digits each, between separators.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts
            .next()
            .filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Reads the three forms of an HTTP date (RFC 9110 section 5.6.7) in the years 1 to 9999; `None` when it is none of them.
pub fn parse_http_date(text: &str) -> Option<SystemTime> {
    let digits = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<i64>().ok())
            .flatten()
    };
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
    let parts: Vec<i64> = clock.split(':').map_while(digits).collect();
    let [h, m, s] = parts.as_slice() else {
        return None;
    };
    let day = digits(day)?;
    if !(1..=31).contains(&day)
        || !(0..24).contains(h)
        || !(0..60).contains(m)
        || !(0..=60).contains(s)
    {
        return None;
    }
    in_calendar(days_since_epoch(year, month + 1, day) * 86400 + h * 3600 + m * 60 + s)
}

/// Gregorian date of a day count, by the era arithmetic of Howard Hinnant's `civil_from_days`.
fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86400);
    let seconds = seconds.rem_euclid(86400);
    let weekday = usize::try_from(days.rem_euclid(7)).unwrap_or(0);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil {
        year,
        month: usize::try_from(month).unwrap_or(1),
        day,
        weekday,
        seconds,
    }
}

/// Day count of a Gregorian date, the inverse of [`civil`].
fn days_since_epoch(year: i64, month: usize, day: i64) -> i64 {
    let month = i64::try_from(month).unwrap_or(1);
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
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
