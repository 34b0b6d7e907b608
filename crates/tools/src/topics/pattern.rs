use regex::Regex;

/// Topic names by regular expression, as Kafka's tools read them: a comma is as good as a bar, blanks and surrounding
/// quotes do not count, and the whole name has to match.
#[derive(Clone, Debug)]
pub(crate) struct TopicPattern {
    regex: Regex,
}

impl TopicPattern {
    /// # Errors
    /// It is no regular expression.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let cleaned = text.trim().replace(',', "|").replace(' ', "");
        let cleaned = cleaned.trim_matches(['"', '\'']);
        match Regex::new(&format!("^(?:{cleaned})$")) {
            Ok(regex) => Ok(Self { regex }),
            Err(_) => Err(format!("{cleaned} is an invalid regex.")),
        }
    }

    pub(crate) fn matches(&self, topic: &str) -> bool {
        self.regex.is_match(topic)
    }
}

/// Whether the topic is one of Kafka's own.
pub(crate) fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_has_to_match() {
        let pattern = TopicPattern::new("a.*").unwrap();
        assert!(pattern.matches("a") && pattern.matches("abc") && !pattern.matches("ba"));
    }

    #[test]
    fn a_comma_is_as_good_as_a_bar_and_quotes_and_blanks_do_not_count() {
        let pattern = TopicPattern::new(" 'one, two' ").unwrap();
        assert!(pattern.matches("one") && pattern.matches("two") && !pattern.matches("one, two"));
    }

    #[test]
    fn a_mistake_is_told() {
        assert_eq!(TopicPattern::new("a(").unwrap_err(), "a( is an invalid regex.");
    }
}
