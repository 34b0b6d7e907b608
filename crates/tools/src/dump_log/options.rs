use super::decoder::DecoderChoice;
use crate::options::{Opt, OptionError, Options, Parsed};

pub(super) const STRING_DECODER: &str = "org.apache.kafka.tools.api.StringDecoder";

pub(super) const OPTIONS: Options = Options {
    about: "This tool shows what is in the files of a log: for people who look into a segment that they don't trust.",
    table: &[
        Opt::flag("print-data-log", "Show keys and values of the records too. Every decoder option implies it."),
        Opt::flag("verify-index-only", "Compare indexes with their log but don't show their entries."),
        Opt::flag(
            "index-sanity-check",
            "Only check indexes as a broker does at its start, when it decides whether to build them again.",
        ),
        Opt::text("files", "file1, file2, ...", "REQUIRED: The files to show, by commas."),
        Opt::integer("max-message-size", "size", "How large a batch may be that an index points to.")
            .with_default("5242880"),
        Opt::integer("max-bytes", "size", "Stop reading a log behind this many bytes.").with_default("2147483647"),
        Opt::flag("deep-iteration", "Show the records of each batch. --print-data-log implies it."),
        Opt::optional(
            "value-decoder-class",
            "",
            "How values are shown: the String, Integer, Long or DefaultDecoder of org.apache.kafka.tools.api. Classes \
             of your own need Apache Kafka's own tool.",
        )
        .with_default(STRING_DECODER),
        Opt::optional("key-decoder-class", "", "How keys are shown; as with --value-decoder-class.")
            .with_default(STRING_DECODER),
        Opt::flag("offsets-decoder", "Read records as those of the topic __consumer_offsets."),
        Opt::flag("transaction-log-decoder", "Read records as those of the topic __transaction_state."),
        Opt::flag("cluster-metadata-decoder", "Read records as those of the cluster's metadata."),
        Opt::flag("remote-log-metadata-decoder", "Read records as those of the topic __remote_log_metadata."),
        Opt::flag("share-group-state-decoder", "Read records as those of the topic __share_group_state."),
        Opt::flag("skip-record-metadata", "Show keys and values without what the records' headers say."),
    ],
};

/// The options that choose a decoder, the first of them counts.
const DECODERS: [(&str, DecoderChoice); 5] = [
    ("offsets-decoder", DecoderChoice::Offsets),
    ("transaction-log-decoder", DecoderChoice::Transactions),
    ("cluster-metadata-decoder", DecoderChoice::ClusterMetadata),
    ("remote-log-metadata-decoder", DecoderChoice::RemoteLogMetadata),
    ("share-group-state-decoder", DecoderChoice::ShareGroupState),
];

/// What was asked for.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) files: Vec<String>,
    pub(super) shows_records: bool,
    pub(super) shows_contents: bool,
    pub(super) skips_record_metadata: bool,
    pub(super) verifies_only: bool,
    pub(super) checks_sanity_only: bool,
    pub(super) message_size_max: i32,
    /// How far logs are read; `i32::MAX` for all of it.
    pub(super) bytes_max: i32,
    pub(super) decoder: DecoderChoice,
}

impl Settings {
    pub(super) fn new(parsed: &Parsed) -> Result<Self, OptionError> {
        let number = |name| -> Result<i32, OptionError> {
            Ok(parsed.number(name)?.and_then(|number| i32::try_from(number).ok()).unwrap_or(i32::MAX))
        };
        let class = |name| Ok(parsed.value(name)?.unwrap_or_else(|| STRING_DECODER.to_owned()));
        let chosen = DECODERS.into_iter().find(|(name, _)| parsed.has(name));
        let decoder = match chosen {
            Some((_, decoder)) => decoder,
            None => DecoderChoice::Classes { key: class("key-decoder-class")?, value: class("value-decoder-class")? },
        };
        let implying = DECODERS.map(|(name, _)| name);
        let shows_contents = ["print-data-log", "value-decoder-class", "key-decoder-class"]
            .iter()
            .chain(&implying)
            .any(|name| parsed.has(name));
        let files = parsed.value("files")?.unwrap_or_default();
        Ok(Self {
            files: split(&files),
            shows_records: parsed.has("deep-iteration") || shows_contents,
            shows_contents,
            skips_record_metadata: parsed.has("skip-record-metadata"),
            verifies_only: parsed.has("verify-index-only"),
            checks_sanity_only: parsed.has("index-sanity-check"),
            message_size_max: number("max-message-size")?,
            bytes_max: number("max-bytes")?,
            decoder,
        })
    }
}

/// As Java splits: empty parts at the end don't count, but an empty text is one part.
fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = text.split(',').map(str::to_owned).collect();
    while parts.len() > 1 && parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_split_as_java_splits() {
        assert_eq!(split("a,b"), ["a", "b"]);
        assert_eq!(split(",,a,,"), ["", "", "a"]);
        assert_eq!(split(""), [""]);
    }

    #[test]
    fn a_decoder_implies_that_contents_are_shown() {
        let settings = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            Settings::new(&OPTIONS.parse(&words).unwrap()).unwrap()
        };
        assert!(settings("--files a --offsets-decoder").shows_contents);
        assert!(settings("--files a --key-decoder-class").shows_records);
        let plain = settings("--files a");
        assert!(!plain.shows_contents && !plain.shows_records);
        assert_eq!((plain.bytes_max, plain.message_size_max), (i32::MAX, 5 << 20));
        assert!(settings("--files a --deep-iteration").shows_records);
    }
}
