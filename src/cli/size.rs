//! Sizes as people write them: `500M`, `1.5T`, plain bytes. Units are powers of 1024.

use anyhow::{Context, Result};

const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];

/// Reads a size; `500M`, `500MB` and `500MiB` mean the same.
pub fn parse(text: &str) -> Result<u64> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let bytes = scale_of(unit.trim_start()).and_then(|scale| scaled(number, scale));
    bytes
        .with_context(|| format!("{text:?} is no size; write 500M, 10G, 1.5T or a number of bytes"))
}

/// Writes a size with one decimal at most.
pub fn show(bytes: u64) -> String {
    let mut scale = None;
    let mut whole = u128::from(bytes) * 10;
    for unit in UNITS {
        if whole < 10_240 {
            break;
        }
        (scale, whole) = (Some(unit), whole / 1024);
    }
    match (scale, whole / 10, whole % 10) {
        (None, whole, _) => format!("{whole} B"),
        (Some(unit), whole, 0) => format!("{whole} {unit}iB"),
        (Some(unit), whole, tenth) => format!("{whole}.{tenth} {unit}iB"),
    }
}

/// How many times 1024 a unit is.
fn scale_of(unit: &str) -> Option<u32> {
    let unit = unit.to_ascii_uppercase();
    if unit.is_empty() || unit == "B" {
        return Some(0);
    }
    let letter = unit
        .strip_suffix("IB")
        .or_else(|| unit.strip_suffix('B'))
        .unwrap_or(&unit);
    (1..)
        .zip(UNITS)
        .find(|(_, known)| letter.chars().eq([*known]))
        .map(|(scale, _)| scale)
}

/// `number` times 1024 to the power of `scale`, exactly, rounded down to bytes.
fn scaled(number: &str, scale: u32) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    let places = fraction.len();
    if whole.is_empty() || places > 6 || (scale == 0 && places > 0) {
        return None;
    }
    let factor = 1024u128.checked_pow(scale)?;
    let bytes = digits.parse::<u64>().ok().map(u128::from)? * factor
        / 10u128.pow(u32::try_from(places).ok()?);
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("1k", 1024),
            ("500M", 500 << 20),
            ("500MB", 500 << 20),
            ("500 MiB", 500 << 20),
            ("10G", 10 << 30),
            ("1.5T", 3 << 39),
            ("0.1K", 102),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "M",
            ".5M",
            "1.2.3M",
            "-1",
            "1X",
            "10 MM",
            "1.5",
            "1KBB",
            "1IB",
            "none",
            "99999999P",
            "1e3",
        ] {
            let refusal = parse(text).unwrap_err().to_string();
            assert!(refusal.contains("is no size"), "{text}: {refusal}");
        }
    }

    #[test]
    fn sizes_are_shown() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (10 << 30, "10 GiB"),
            (3 << 39, "1.5 TiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(show(bytes), text);
        }
    }
}
