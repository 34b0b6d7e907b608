//! A short fixed number of what the fuzz target does at length: the shipped file, changed, cut and doubled at random.

use ottla_config::{NodeConfig, SHIPPED_PROPERTIES, TopicConfig, keys, properties};
use std::collections::BTreeMap;

/// `OTTLA_CONFIG_MUTATIONS` asks for more of them than CI has time for.
fn rounds() -> u64 {
    std::env::var("OTTLA_CONFIG_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000)
}

/// A seeded source of numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound.max(1)
    }
}

/// Text with some lines of known keys and odd values, then changed in some places.
fn file(numbers: &mut Numbers) -> Vec<u8> {
    const VALUES: [&str; 12] =
        ["", "-1", "0", "1", "9223372036854775807", "2147483648", "true", "a,b", "A://:1", "1@a:1", "\\u00e9", "0.5"];
    let all: Vec<_> = keys::broker().collect();
    let mut text = SHIPPED_PROPERTIES.to_owned();
    for _ in 0..numbers.below(6) {
        let key = all[numbers.below(all.len())].name;
        text.push_str(&format!("{key}={}\n", VALUES[numbers.below(VALUES.len())]));
    }
    let mut bytes = text.into_bytes();
    for _ in 0..numbers.below(5) {
        let at = numbers.below(bytes.len());
        match numbers.below(5) {
            0 => bytes[at] = numbers.below(256) as u8,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, b"\\\n=:#! \r\t\0"[numbers.below(10)]),
            3 => drop(bytes.remove(at)),
            _ => bytes.extend_from_within(at..(at + 40).min(bytes.len())),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn any_file_is_read_or_refused_in_words() {
    let mut numbers = Numbers(0x5eed);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..rounds() {
        let Ok(properties) = properties::parse(&file(&mut numbers), "fuzz") else { continue };
        let overrides: BTreeMap<String, String> =
            properties.iter().map(|(key, entry)| (key.to_owned(), entry.value.clone())).collect();
        let _ = TopicConfig::resolve(&TopicConfig::default(), &overrides);
        match NodeConfig::from_properties(properties) {
            Ok((config, notices)) => {
                assert!(notices.iter().all(|notice| !notice.to_string().is_empty()));
                assert!(!config.log_dirs.is_empty());
                assert!(!ottla_config::describe::broker(&config, None).is_empty());
                read += 1;
            }
            Err(errors) => {
                assert!(!errors.0.is_empty());
                assert!(errors.0.iter().all(|error| !error.to_string().is_empty()));
                refused += 1;
            }
        }
    }
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}
