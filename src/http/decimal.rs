//! Numbers written into buffers, in decimal and hexadecimal, without a `String` for each.

/// Writes a number in decimal.
pub fn write_decimal(out: &mut Vec<u8>, number: u64) {
    write_digits(out, number, 10);
}

/// Writes a number in lower-case hexadecimal.
pub fn write_hex(out: &mut Vec<u8>, number: u64) {
    write_digits(out, number, 16);
}

fn write_digits(out: &mut Vec<u8>, mut number: u64, base: u64) {
    let mut digits = [0_u8; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        let value = u8::try_from(number % base).unwrap_or(0);
        *digit = if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        };
        number /= base;
        used += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
