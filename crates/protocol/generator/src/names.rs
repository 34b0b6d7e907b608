//! How Kafka's names are spelled in Rust and in JSON.

const KEYWORDS: [&str; 12] =
    ["type", "match", "ref", "in", "loop", "use", "where", "impl", "move", "self", "enum", "struct"];

/// `TopicData` to `topic_data`. A run of capitals is one word, but `KRaft` is.
pub(crate) fn snake(name: &str) -> String {
    let name = name.replace("KRaft", "Kraft");
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| chars.get(i)).copied();
        let after = chars.get(i + 1).copied();
        let starts_word = c.is_ascii_uppercase()
            && before.is_some_and(|b| !b.is_ascii_uppercase() || after.is_some_and(|a| a.is_ascii_lowercase()));
        if starts_word {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The name of a field in Rust: snake case, with an underscore behind a keyword.
pub(crate) fn field(name: &str) -> String {
    let mut name = snake(name);
    if KEYWORDS.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// The name of a field in JSON: Kafka's name, first letter small.
pub(crate) fn camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_snake_case_word_by_word() {
        assert_eq!(snake("TopicData"), "topic_data");
        assert_eq!(snake("KRaftVersionRecord"), "kraft_version_record");
        assert_eq!(snake("brokerIdOSRVersion"), "broker_id_osr_version");
        assert_eq!(snake("V3AndBelowTopics"), "v3_and_below_topics");
        assert_eq!(field("Type"), "type_");
        assert_eq!(camel("TopicData"), "topicData");
    }
}
