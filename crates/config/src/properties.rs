//! Java's `.properties` text.
//!
//! Bytes are ISO-8859-1, as `java.util.Properties.load(InputStream)` takes them; other characters are written as
//! `\uXXXX`. Entries end at the line's end unless it is escaped; the key ends at the first unescaped `=`, `:` or blank.
//! A key that comes twice keeps its last value.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

/// No configuration file is longer; a limit, so that a wrong path given by mistake is refused soon.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// No entry with all its continuation lines is longer. Certificates in PEM form have to fit.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name, or what took its place.
    pub source: Arc<str>,
    /// The line of the entry's first character, counted from 1; 0 when the source has no lines.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.source),
            line => write!(f, "{}:{line}", self.source),
        }
    }
}

/// One entry: its value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value, with escapes undone. Never trimmed at its end: Java keeps blanks there.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

/// The entries of one or several sources, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<String, Entry>,
}

impl Properties {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.value.as_str())
    }

    /// Where `key` stands.
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.entries.get(key).map(|entry| &entry.place)
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets `key`, as an `--override` on the command line does. `source` names who said so.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>, source: &str) {
        let place = Place { source: source.into(), line: 0 };
        self.entries.insert(key.into(), Entry { value: value.into(), place });
    }

    /// Forgets `key`.
    pub fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// Gives an entry another value, and leaves its place.
    pub(crate) fn replace_value(&mut self, key: &str, value: String) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.value = value;
        }
    }
}

/// Why text is not a properties file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesError {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub problem: PropertiesProblem,
}

/// What can be wrong with a properties file. Everything else has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertiesProblem {
    /// `\u` without four hexadecimal digits.
    MalformedEscape,
    /// More than [`FILE_BYTES_MAX`].
    FileTooLong,
    /// An entry of more than [`ENTRY_BYTES_MAX`].
    EntryTooLong,
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        match self.problem {
            PropertiesProblem::MalformedEscape => f.write_str("\\u needs four hexadecimal digits after it"),
            PropertiesProblem::FileTooLong => write!(f, "more than {FILE_BYTES_MAX} bytes"),
            PropertiesProblem::EntryTooLong => write!(f, "an entry of more than {ENTRY_BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for PropertiesError {}

/// Reads `bytes`, which come from `source` (a file name, for error texts).
///
/// # Errors
/// A malformed `\u` escape or a limit passed; nothing else can be wrong.
pub fn parse(bytes: &[u8], source: &str) -> Result<Properties, PropertiesError> {
    let source: Arc<str> = source.into();
    let error = |line, problem| PropertiesError { place: Place { source: source.clone(), line }, problem };
    if bytes.len() > FILE_BYTES_MAX {
        return Err(error(1, PropertiesProblem::FileTooLong));
    }
    let mut properties = Properties::default();
    let mut lines = LogicalLines { bytes, position: 0, line: 1 };
    while let Some((line, text)) = lines.next() {
        if text.len() > ENTRY_BYTES_MAX {
            return Err(error(line, PropertiesProblem::EntryTooLong));
        }
        let (key, value) = split(&text);
        let malformed = || error(line, PropertiesProblem::MalformedEscape);
        let key = unescape(key).ok_or_else(malformed)?;
        let value = unescape(value).ok_or_else(malformed)?;
        properties.entries.insert(key, Entry { value, place: Place { source: source.clone(), line } });
    }
    Ok(properties)
}

/// Lines with continuations joined, without comments, blank lines and leading blanks. Escapes are still in them.
struct LogicalLines<'a> {
    bytes: &'a [u8],
    position: usize,
    line: u32,
}

impl LogicalLines<'_> {
    fn next(&mut self) -> Option<(u32, Vec<u8>)> {
        let mut text = Vec::new();
        let mut first_line = self.line;
        loop {
            self.skip_blanks();
            if text.is_empty() {
                // As in Java, a line that holds nothing but the backslash of a continuation leaves the logical line
                // unbegun: what follows may still be a comment.
                first_line = self.line;
                match self.bytes.get(self.position)? {
                    b'#' | b'!' => {
                        self.skip_natural_line();
                        continue;
                    }
                    b'\r' | b'\n' => {
                        self.skip_line_end();
                        continue;
                    }
                    _ => {}
                }
            }
            let continued = self.take_natural_line(&mut text);
            let at_end = self.position >= self.bytes.len();
            if !continued || at_end {
                // Empty only where the file ends in a lone backslash, which to Java is an empty key, but not before "\r\n".
                return if text.is_empty() && self.bytes.ends_with(b"\r\n") { None } else { Some((first_line, text)) };
            }
        }
    }

    /// Appends up to the line's end and passes it. Says whether a backslash before the end asks for the next line; that
    /// backslash is dropped, also at the end of the file.
    fn take_natural_line(&mut self, text: &mut Vec<u8>) -> bool {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let natural = rest.get(..length).unwrap_or_default();
        let backslashes = natural.iter().rev().take_while(|byte| **byte == b'\\').count();
        let continued = backslashes % 2 == 1;
        text.extend_from_slice(natural.get(..length - usize::from(continued)).unwrap_or_default());
        self.position += length;
        self.skip_line_end();
        continued
    }

    fn skip_natural_line(&mut self) {
        while self.bytes.get(self.position).is_some_and(|byte| !matches!(byte, b'\r' | b'\n')) {
            self.position += 1;
        }
        self.skip_line_end();
    }

    fn skip_line_end(&mut self) {
        match self.bytes.get(self.position..) {
            Some([b'\r', b'\n', ..]) => self.position += 2,
            Some([b'\r' | b'\n', ..]) => self.position += 1,
            _ => return,
        }
        self.line = self.line.saturating_add(1);
    }

    fn skip_blanks(&mut self) {
        while self.bytes.get(self.position).is_some_and(|byte| is_blank(*byte)) {
            self.position += 1;
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

/// The key and the value, escapes still in them.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let mut key_bytes = text.len();
    for (index, byte) in text.iter().enumerate() {
        if !escaped && (matches!(byte, b'=' | b':') || is_blank(*byte)) {
            key_bytes = index;
            break;
        }
        escaped = *byte == b'\\' && !escaped;
    }
    let (key, mut rest) = text.split_at_checked(key_bytes).unwrap_or((text, &[]));
    // One separator may stand among the blanks before the value.
    let mut separated = false;
    while let [byte, tail @ ..] = rest {
        if is_blank(*byte) {
            rest = tail;
        } else if matches!(byte, b'=' | b':') && !separated {
            separated = true;
            rest = tail;
        } else {
            break;
        }
    }
    (key, rest)
}

/// Undoes escapes. `None` for a malformed `\u`. A surrogate without its partner, which Java would keep and no encoding
/// can carry, becomes U+FFFD.
fn unescape(text: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            units.push(u16::from(byte));
            continue;
        }
        match bytes.next() {
            Some(b'u') => {
                let mut unit = 0u16;
                for _ in 0..4 {
                    let digit = char::from(bytes.next()?).to_digit(16)?;
                    unit = unit << 4 | u16::try_from(digit).ok()?;
                }
                units.push(unit);
            }
            Some(b't') => units.push(u16::from(b'\t')),
            Some(b'r') => units.push(u16::from(b'\r')),
            Some(b'n') => units.push(u16::from(b'\n')),
            Some(b'f') => units.push(0x0c),
            Some(other) => units.push(u16::from(other)),
            None => {}
        }
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let properties = parse(text.as_bytes(), "test").unwrap();
        properties.iter().map(|(key, entry)| (key.to_owned(), entry.value.clone())).collect()
    }

    fn pair(text: &str) -> (String, String) {
        let mut pairs = pairs(text);
        assert_eq!(pairs.len(), 1, "{text}");
        pairs.remove(0)
    }

    fn owned(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn the_key_ends_at_the_first_unescaped_separator_or_blank() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("a:b", "a", "b"),
            ("a b", "a", "b"),
            (" a \t= \x0cb c ", "a", "b c "),
            ("a==b", "a", "=b"),
            ("a = : b", "a", ": b"),
            ("a\\ b=c", "a b", "c"),
            ("a\\=b:c", "a=b", "c"),
            ("a", "a", ""),
            ("=b", "", "b"),
            ("a\\\\=b", "a\\", "b"),
        ] {
            assert_eq!(pair(text), owned(key, value), "{text}");
        }
    }

    #[test]
    fn a_backslash_joins_lines_and_drops_the_blanks_of_the_next() {
        assert_eq!(pair("a=b\\\n   c\\\r\n\td"), owned("a", "bcd"));
        assert_eq!(pair("a=b\\\\\n"), owned("a", "b\\"));
        assert_eq!(pair("a=b\\"), owned("a", "b"));
        assert_eq!(pairs("a=b\\\n\nc=d"), [owned("a", "b"), owned("c", "d")]);
        assert_eq!(pair("a=b\\\n#c"), owned("a", "b#c"));
        assert_eq!(pairs("a=b\n\\"), [owned("", ""), owned("a", "b")]);
    }

    #[test]
    fn comments_and_blank_lines_are_nothing() {
        assert!(pairs("# a=b\n! c=d\\\n\n  \t\n  # e").is_empty());
        assert_eq!(pair("# a\\\nb=c"), owned("b", "c"));
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(pair("a=\\t\\n\\r\\f\\q\\u00e9\\uD83D\\uDE00"), owned("a", "\t\n\r\x0cqé😀"));
        assert_eq!(pair("\\u0061=b"), owned("a", "b"));
        assert_eq!(pair("a=\\uD83D"), owned("a", "\u{fffd}"));
    }

    #[test]
    fn bytes_are_latin_1() {
        let properties = parse(b"a=\xe9\x80", "test").unwrap();
        assert_eq!(properties.get("a"), Some("\u{e9}\u{80}"));
    }

    #[test]
    fn the_last_of_two_entries_wins_and_its_line_is_kept() {
        let properties = parse(b"\n# x\na=1\nb=\\\n 2\r\na=3", "f.properties").unwrap();
        assert_eq!(properties.get("a"), Some("3"));
        assert_eq!(properties.place("a").unwrap().to_string(), "f.properties:6");
        assert_eq!(properties.place("b").unwrap().line, 4);
    }

    #[test]
    fn a_malformed_escape_is_refused_with_its_line() {
        for text in ["\na=\\u12", "\na=\\u12g4", "\n\\u=1"] {
            let error = parse(text.as_bytes(), "f").unwrap_err();
            assert_eq!((error.place.line, error.problem), (2, PropertiesProblem::MalformedEscape), "{text}");
        }
    }

    #[test]
    fn limits_hold() {
        let long = vec![b'a'; ENTRY_BYTES_MAX + 1];
        assert_eq!(parse(&long, "f").unwrap_err().problem, PropertiesProblem::EntryTooLong);
        let longer = vec![b'\n'; FILE_BYTES_MAX + 1];
        assert_eq!(parse(&longer, "f").unwrap_err().problem, PropertiesProblem::FileTooLong);
    }
}
