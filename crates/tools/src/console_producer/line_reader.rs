use ottla_client::{Header, ProducerRecord};
use regex::Regex;

/// Makes records of lines: `headers<TAB>key<TAB>value`, as far as headers and keys are wanted.
#[derive(Debug)]
pub(super) struct LineReader {
    topic: String,
    has_key: bool,
    key_separator: String,
    has_headers: bool,
    headers_delimiter: String,
    headers_separator: Regex,
    headers_key_separator: String,
    ignores_errors: bool,
    null_marker: Option<String>,
    line_number: u64,
}

impl LineReader {
    /// # Errors
    /// Two properties contradict each other, in Kafka's words.
    pub(super) fn new(topic: &str, properties: &[(String, String)]) -> Result<Self, String> {
        let get = |name: &str| {
            let last = properties.iter().rev().find(|(key, _)| key == name);
            last.map(|(_, value)| value.clone())
        };
        let or = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned());
        let is_true = |name: &str| get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let key_separator = or("key.separator", "\t");
        let headers_delimiter = or("headers.delimiter", "\t");
        let headers_separator = or("headers.separator", ",");
        let headers_key_separator = or("headers.key.separator", ":");
        let null_marker = get("null.marker");
        let differ = |a: (&str, &str), b: (&str, &str)| {
            if a.1 == b.1 { Err(format!("{} and {} may not be equal", a.0, b.0)) } else { Ok(()) }
        };
        let delimiter = ("headers.delimiter", headers_delimiter.as_str());
        let separator = ("headers.separator", headers_separator.as_str());
        let within = ("headers.key.separator", headers_key_separator.as_str());
        differ(delimiter, separator)?;
        differ(delimiter, within)?;
        differ(separator, within)?;
        if let Some(marker) = &null_marker {
            let marker = ("null.marker", marker.as_str());
            for other in [("key.separator", key_separator.as_str()), separator, delimiter, within] {
                differ(marker, other)?;
            }
        }
        let pattern = Regex::new(&headers_separator).map_err(|error| error.to_string())?;
        Ok(Self {
            topic: topic.to_owned(),
            has_key: is_true("parse.key"),
            key_separator,
            has_headers: is_true("parse.headers"),
            headers_delimiter,
            headers_separator: pattern,
            headers_key_separator,
            ignores_errors: is_true("ignore.error"),
            null_marker,
            line_number: 0,
        })
    }

    /// The record of the next line.
    ///
    /// # Errors
    /// A part is missing, in Kafka's words.
    pub(super) fn record(&mut self, line: &str) -> Result<ProducerRecord, String> {
        self.line_number += 1;
        let (headers, rest) = self.cut(self.has_headers, line, line, &self.headers_delimiter, "headers delimiter")?;
        let (key, value) = self.cut(self.has_key, line, rest, &self.key_separator, "key separator")?;
        let bytes = |text: &str| (!self.is_null(text)).then(|| text.to_owned().into());
        let headers = match headers {
            Some(headers) if !self.is_null(headers) => self.headers(headers)?,
            _ => Vec::new(),
        };
        Ok(ProducerRecord {
            topic: self.topic.clone(),
            key: key.and_then(bytes),
            value: bytes(value),
            headers,
            ..ProducerRecord::default()
        })
    }

    fn is_null(&self, text: &str) -> bool {
        self.null_marker.as_deref() == Some(text)
    }

    /// What stands before the separator, and the rest behind it.
    fn cut<'a>(
        &self,
        is_wanted: bool,
        line: &str,
        rest: &'a str,
        separator: &str,
        name: &str,
    ) -> Result<(Option<&'a str>, &'a str), String> {
        if !is_wanted {
            return Ok((None, rest));
        }
        match rest.split_once(separator) {
            Some((part, rest)) => Ok((Some(part), rest)),
            None if self.ignores_errors => Ok((None, rest)),
            None => Err(format!("No {name} found on line number {}: '{line}'", self.line_number)),
        }
    }

    fn headers(&self, text: &str) -> Result<Vec<Header>, String> {
        let mut pairs: Vec<_> = self.headers_separator.split(text).collect();
        // As Java splits: nothing of empty parts at the end.
        while pairs.len() > 1 && pairs.last().is_some_and(|pair| pair.is_empty()) {
            pairs.pop();
        }
        pairs.into_iter().map(|pair| self.header(pair)).collect()
    }

    fn header(&self, pair: &str) -> Result<Header, String> {
        let Some((key, value)) = pair.split_once(&self.headers_key_separator) else {
            if self.ignores_errors {
                return Ok(Header { key: pair.to_owned(), value: None });
            }
            let number = self.line_number;
            return Err(format!("No header key separator found in pair '{pair}' on line number {number}"));
        };
        if self.is_null(key) {
            return Err(format!("Header keys should not be equal to the null marker '{key}' as they can't be null"));
        }
        let value = (!self.is_null(value)).then(|| value.to_owned().into());
        Ok(Header { key: key.to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[&str]) -> Result<LineReader, String> {
        let pair = |text: &&str| {
            let (key, value) = text.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        LineReader::new("t", &properties.iter().map(pair).collect::<Vec<_>>())
    }

    fn shown(line: &str, properties: &[&str]) -> Result<String, String> {
        let record = reader(properties)?.record(line)?;
        let text = |bytes: &Option<bytes::Bytes>| match bytes {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => "null".to_owned(),
        };
        let headers: Vec<_> = record.headers.iter().map(|h| format!("{}={}", h.key, text(&h.value))).collect();
        Ok(format!("[{}] {} {}", headers.join(" "), text(&record.key), text(&record.value)))
    }

    #[test]
    fn a_line_is_a_value_unless_keys_or_headers_are_wanted() {
        assert_eq!(shown("a\tb", &[]).unwrap(), "[] null a\tb");
        assert_eq!(shown("a\tb\tc", &["parse.key=true"]).unwrap(), "[] a b\tc");
        let both = ["parse.key=TRUE", "parse.headers=true"];
        assert_eq!(shown("h1:v1,h2:v2\tkey\tvalue", &both).unwrap(), "[h1=v1 h2=v2] key value");
        assert_eq!(shown("h:1\tvalue", &["parse.headers=true"]).unwrap(), "[h=1] null value");
    }

    #[test]
    fn separators_may_be_chosen() {
        let properties =
            ["parse.key=true", "parse.headers=true", "headers.delimiter=|", "headers.separator=;", "key.separator==>"];
        assert_eq!(shown("a:1;b:2|k=>v", &properties).unwrap(), "[a=1 b=2] k v");
    }

    #[test]
    fn the_marker_stands_for_null() {
        let properties = ["parse.key=true", "parse.headers=true", "null.marker=NULL"];
        assert_eq!(shown("h:NULL\tNULL\tNULL", &properties).unwrap(), "[h=null] null null");
        assert_eq!(shown("NULL\tk\tv", &properties).unwrap(), "[] k v");
        assert!(shown("NULL:1\tk\tv", &properties).unwrap_err().starts_with("Header keys should not be equal"));
    }

    #[test]
    fn a_missing_part_is_told_with_the_line() {
        let error = shown("hello", &["parse.key=true"]).unwrap_err();
        assert_eq!(error, "No key separator found on line number 1: 'hello'");
        let error = shown("hello\tv", &["parse.headers=true"]).unwrap_err();
        assert_eq!(error, "No header key separator found in pair 'hello' on line number 1");
        assert_eq!(shown("hello", &["parse.key=true", "ignore.error=true"]).unwrap(), "[] null hello");
    }

    #[test]
    fn separators_that_are_equal_are_refused() {
        let error = reader(&["headers.separator=:"]).unwrap_err();
        assert_eq!(error, "headers.separator and headers.key.separator may not be equal");
        assert!(reader(&["null.marker=,"]).is_err());
    }
}
