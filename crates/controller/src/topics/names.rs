use ottla_metadata::MetadataImage;
use std::collections::{BTreeMap, BTreeSet};

const NAME_LENGTH_MAX: usize = 249;

/// Whether a topic may bear that name.
///
/// # Errors
/// The sentence that says what is wrong, as Kafka's clients expect it.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fault = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        // Java counts UTF-16 units.
        _ if name.encode_utf16().count() > NAME_LENGTH_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {NAME_LENGTH_MAX}")
        }
        _ if !name.chars().all(is_allowed) => {
            format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {fault}"))
}

/// The topics whose names hold a dot or an underscore. Metrics turn the one into the other, so two names that differ only
/// in that are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CollidingNames(BTreeMap<String, BTreeSet<String>>);

impl CollidingNames {
    pub(crate) fn of(image: &MetadataImage) -> Self {
        let mut names = Self::default();
        for topic in image.topics.iter() {
            names.insert(&topic.name);
        }
        names
    }

    pub(crate) fn insert(&mut self, name: &str) {
        if let Some(unified) = unified(name) {
            self.0.entry(unified).or_default().insert(name.to_owned());
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let Some(unified) = unified(name) else { return };
        if let Some(names) = self.0.get_mut(&unified) {
            names.remove(name);
            if names.is_empty() {
                self.0.remove(&unified);
            }
        }
    }

    /// An existing topic with which the name collides.
    pub(crate) fn colliding(&self, name: &str) -> Option<&str> {
        self.0.get(&unified(name)?)?.first().map(String::as_str)
    }
}

/// The name with one of the two characters for both; `None` if it has neither.
fn unified(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kafka_allows_are_allowed() {
        for name in ["a", "A-b_c.9", "...", &"x".repeat(249)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn other_names_are_refused_with_the_reason() {
        let long = "x".repeat(250);
        for (name, reason) in [
            ("", "the empty string is not allowed"),
            (".", "'.' is not allowed"),
            ("..", "'..' is not allowed"),
            ("a b", "'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
            ("ä", "'ä' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
            (&long, &format!("the length of '{long}' is longer than the max allowed length 249")),
        ] {
            assert_eq!(check_name(name), Err(format!("Topic name is invalid: {reason}")));
        }
    }

    #[test]
    fn names_collide_when_they_differ_only_in_dots_and_underscores() {
        let mut names = CollidingNames::default();
        names.insert("a.b");
        names.insert("plain");
        assert_eq!(names.colliding("a_b"), Some("a.b"));
        assert_eq!(names.colliding("a-b"), None);
        names.remove("a.b");
        assert_eq!(names, CollidingNames::default());
    }
}
