//! Numbers and times as the text of a field, quickly: a row holds a dozen of them.
//!
//! Written by hand because formatting through `std::fmt` costs more than all else of a row. Nothing here allocates, and
//! nothing knows what a value is for.

/// The numbers from 00 to 99: two digits cost one division.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// The numbers from 00 to ff.
const HEX_PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[b'0'; 2]; 256];
    let mut n = 0;
    while n < 256 {
        pairs[n] = [digits[n / 16], digits[n % 16]];
        n += 1;
    }
    pairs
};

/// Writes the value with leading zeros; higher digits than there is room for are left out.
#[inline(always)]
pub(super) fn digits(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = [0; 20];
    put(&mut buffer[..width], value);
    out.extend_from_slice(&buffer[..width]);
}

/// Fills the place with the last digits of the value.
#[inline(always)]
pub(super) fn put(place: &mut [u8], mut value: u64) {
    let mut pairs = place.rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if let [odd] = pairs.into_remainder() {
        *odd = b'0' + (value % 10) as u8;
    }
}

/// Milliseconds as seconds with three decimals.
pub(super) fn decimal(out: &mut Vec<u8>, ms: u64) {
    let seconds = ms / 1000;
    let width = match seconds {
        0..10 => 1,
        10..100 => 2,
        100..1000 => 3,
        _ => 4,
    };
    digits(out, seconds, width);
    out.push(b'.');
    digits(out, ms % 1000, 3);
}

/// As many digits as it takes.
#[inline]
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    digits(out, value, value.checked_ilog10().map_or(1, |n| n as usize + 1));
}

/// Sixteen hexadecimal digits.
pub(super) fn hex(out: &mut Vec<u8>, value: u64) {
    hex_digits(out, value, 16);
}

/// The first so many of sixteen hexadecimal digits.
#[inline(always)]
pub(super) fn hex_digits(out: &mut Vec<u8>, value: u64, width: usize) {
    out.extend_from_slice(&hex_text(value)[..width]);
}

/// The text of [`hex`].
#[inline(always)]
pub(super) fn hex_text(value: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (pair, byte) in text.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        pair.copy_from_slice(&HEX_PAIRS[byte as usize]);
    }
    text
}

/// RFC 3339 in UTC with milliseconds; years 0000 to 9999.
pub(super) fn time(out: &mut Vec<u8>, ms: i64) {
    out.extend_from_slice(&moment(ms));
}

/// The text of [`time`].
pub(super) fn moment(ms: i64) -> [u8; 24] {
    let ms = ms.clamp(-62_167_219_200_000, 253_402_300_799_999);
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000).cast_unsigned());
    // Days to a civil date, counting years from March so that the leap day comes last.
    let shifted = (days + 719_468).cast_unsigned();
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], of_day / 3_600_000);
    put(&mut text[14..16], of_day / 60_000 % 60);
    put(&mut text[17..19], of_day / 1000 % 60);
    put(&mut text[20..23], of_day % 1000);
    text
}

#[cfg(test)]
mod tests {
    use crate::model::Timestamp;

    use super::*;

    #[test]
    fn numbers_have_no_leading_zeros_and_hexadecimal_ones_have_all() {
        let mut out = Vec::new();
        for value in [0, 9, 10, 4_711, u64::MAX] {
            number(&mut out, value);
            out.push(b' ');
        }
        hex(&mut out, 0xAB);
        hex_digits(&mut out, 0x0123_4567_89AB_CDEF, 3);
        assert_eq!(String::from_utf8(out).unwrap(), "0 9 10 4711 18446744073709551615 00000000000000ab012");
    }

    #[test]
    fn times_agree_with_a_calendar_that_is_not_ours() {
        for ms in [0, -1, 951_782_400_000, 1_709_164_800_001, 4_102_444_799_999, 253_402_000_000_001] {
            let mut out = Vec::new();
            time(&mut out, ms);
            assert_eq!(String::from_utf8(out).unwrap(), Timestamp(ms).to_string());
        }
    }
}
