//! Numbers in words.

/// `1 record`, `2 records`.
pub(crate) fn count(number: impl TryInto<i64>, one: &str) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Bytes in the largest unit that leaves at least one.
pub(crate) fn bytes(number: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A time in the two largest units.
pub(crate) fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_words() {
        assert_eq!(
            [count(1, "record"), count(0, "record"), count(7usize, "group")],
            ["1 record", "0 records", "7 groups"]
        );
        assert_eq!([bytes(1023), bytes(1536), bytes(3 << 40)], ["1023 B", "1.5 KiB", "3.0 TiB"]);
        assert_eq!([duration(5_000), duration(65_000), duration(3_660_000)], ["5 s", "1 min 5 s", "1 h 1 min"]);
    }
}
