//! Our reader of properties against Java's.

#![allow(clippy::unwrap_used)]

use ottla_config::properties;
use ottla_oracle::Oracle;
use std::fmt::Write as _;

const TEXTS: usize = 20_000;

/// What properties are made of, in the proportions that bring about the odd cases.
const PIECES: [&str; 26] = [
    "a", "b", "key", " ", " ", "\t", "\x0c", "=", "=", ":", "#", "!", "\\", "\\", "\\\n", "\\\r\n", "\n", "\n", "\r",
    "\r\n", "\\u0041", "\\u00", "\\n", "\\=", "é", "\0",
];

#[test]
fn random_texts_are_read_as_java_reads_them() {
    let texts: Vec<Vec<u8>> = (0..TEXTS as u64).map(random_text).collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("texts");
    std::fs::write(&path, texts.iter().map(|text| format!("{}\n", hex(text))).collect::<String>()).unwrap();
    let answers = Oracle::install().unwrap().run_program("PropertiesText", &[path.to_str().unwrap()]).unwrap();
    assert_eq!(answers.lines().count(), TEXTS);
    let mut differences = Vec::new();
    for (text, theirs) in texts.iter().zip(answers.lines()) {
        let ours = ours(text);
        if ours.trim_end() != theirs.trim_end() {
            differences.push(format!("{:?}\n  theirs {theirs:?}\n  ours   {ours:?}", String::from_utf8_lossy(text)));
        }
    }
    let shown = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differ:\n{shown}", differences.len());
}

fn ours(text: &[u8]) -> String {
    let Ok(properties) = properties::parse(text, "test") else { return "!".to_owned() };
    let mut pairs: Vec<(Vec<u16>, Vec<u16>)> = properties
        .iter()
        .map(|(key, entry)| (key.encode_utf16().collect(), entry.value.encode_utf16().collect()))
        .collect();
    pairs.sort();
    let units = |text: &[u16]| {
        text.iter().fold(String::new(), |mut hex, unit| {
            write!(hex, "{unit:04x}").unwrap();
            hex
        })
    };
    pairs.iter().map(|(key, value)| format!("{}={} ", units(key), units(value))).collect()
}

/// Text number `seed`: up to twenty pieces.
fn random_text(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % bound
    };
    let count = next(21);
    // One byte per character, as Java's reader takes them.
    (0..count).flat_map(|_| PIECES[next(PIECES.len())].chars().map(|c| c as u32 as u8)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
