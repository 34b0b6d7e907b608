//! Bytes as Java reads them to text.

/// Reads bytes as UTF-8, with a replacement character for each part that Java's `String` replaces. That differs from
/// Rust's choice for surrogates and for a cut-off end.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        match str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                return text;
            }
            Err(error) => {
                let (valid, broken) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
                text.push_str(&String::from_utf8_lossy(valid));
                text.push(char::REPLACEMENT_CHARACTER);
                rest = broken.get(replaced_length(broken)..).unwrap_or_default();
            }
        }
    }
}

/// How many bytes at the start of `broken`, which is no UTF-8, become one replacement character.
fn replaced_length(broken: &[u8]) -> usize {
    let Some(&first) = broken.first() else { return 1 };
    let continues = |index: usize| broken.get(index).map(|byte| byte & 0xc0 == 0x80);
    match first {
        // What is cut off at the end is replaced as a whole.
        0xe0..=0xef => match (starts_three(broken), continues(2)) {
            (false, _) if broken.len() > 1 => 1,
            (_, None) => broken.len(),
            (_, Some(false)) => 2,
            // A surrogate in the form of three bytes.
            (_, Some(true)) => 3,
        },
        0xf0..=0xf4 => match (starts_four(broken), continues(2), continues(3)) {
            (false, ..) if broken.len() > 1 => 1,
            (_, Some(false), _) => 2,
            (_, _, Some(_)) => 3,
            (_, _, None) => broken.len(),
        },
        _ => 1,
    }
}

/// Whether the second byte may follow the first of three; surrogates are let through here.
fn starts_three(bytes: &[u8]) -> bool {
    match bytes {
        [0xe0, second, ..] => (0xa0..=0xbf).contains(second),
        [_, second, ..] => second & 0xc0 == 0x80,
        _ => false,
    }
}

/// Whether the second byte may follow the first of four.
fn starts_four(bytes: &[u8]) -> bool {
    match bytes {
        [0xf0, second, ..] => (0x90..=0xbf).contains(second),
        [0xf4, second, ..] => (0x80..=0x8f).contains(second),
        [_, second, ..] => second & 0xc0 == 0x80,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_replaced_as_java_does() {
        // As `new String(bytes, UTF_8)` of Java 17 answers.
        let cases: [(&[u8], &str); 12] = [
            (b"plain \xc3\xa9", "plain \u{e9}"),
            (&[0xff, 0xc3, 0x28, 0, 10], "\u{fffd}\u{fffd}(\0\n"),
            (&[0xed, 0xa0, 0x80, 65], "\u{fffd}A"),
            (&[0xe2, 0x82], "\u{fffd}"),
            (&[0xe2, 0x82, 65], "\u{fffd}A"),
            (&[0xe2, 65, 66], "\u{fffd}AB"),
            (&[0xf0, 0x90, 65, 66], "\u{fffd}AB"),
            (&[0xf0, 0x90, 0x80, 65], "\u{fffd}A"),
            (&[0xf0, 0x80, 0x80, 0x80], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (&[0xf5, 0x80], "\u{fffd}\u{fffd}"),
            (&[0xc0, 0x80], "\u{fffd}\u{fffd}"),
            (&[0xf0, 0x90, 0x80], "\u{fffd}"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text(bytes), expected, "{bytes:x?}");
        }
    }
}
