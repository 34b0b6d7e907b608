use regex::Regex;

/// One part of a path: a name, or a pattern of names.
pub(super) enum Part {
    Name(String),
    Pattern(Regex),
}

impl Part {
    /// Reads a part: `*` is any text, `?` any letter, `{a,b}` one of several; a backslash takes their meaning away. What is no
    /// pattern, or none that makes sense, is a name.
    pub(super) fn new(text: &str) -> Self {
        let pattern = expression(text).and_then(|expression| Regex::new(&expression).ok());
        pattern.map_or_else(|| Self::Name(text.to_owned()), Self::Pattern)
    }
}

/// The regular expression of a pattern; `None` for a name.
fn expression(text: &str) -> Option<String> {
    let mut expression = "^(?s:".to_owned();
    let mut is_pattern = false;
    let mut is_group = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '?' => expression.push('.'),
            '*' => expression.push_str(".*"),
            '{' if is_group => return None,
            '{' => expression.push_str("(?:"),
            ',' if is_group => expression.push('|'),
            '}' if is_group => expression.push(')'),
            '\\' => expression.push_str(&regex::escape(&letters.next().unwrap_or('\\').to_string())),
            letter => expression.push_str(&regex::escape(&letter.to_string())),
        }
        is_pattern |= matches!(letter, '?' | '*' | '{');
        is_group = letter == '{' || is_group && letter != '}';
    }
    (is_pattern && !is_group).then(|| expression + ")$")
}

/// The parts of a path that starts at a directory: dots and doubled slashes don't count, two dots go up.
pub(super) fn parts(directory: &str, path: &str) -> Vec<String> {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part.to_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        match Part::new(pattern) {
            Part::Name(text) => text == name,
            Part::Pattern(pattern) => pattern.is_match(name),
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name) in [("*", "a.b"), ("a?c", "abc"), ("{one,two}x", "twox"), ("a.b", "a.b"), ("to*", "topics")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a?", "a"), ("a.b", "axb"), ("{one,two}", "three"), ("t*", "at")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_makes_no_sense_as_a_pattern_is_a_name() {
        for name in ["{a", "{a{b}}", "a}", "a\\"] {
            assert!(matches!(Part::new(name), Part::Name(text) if text == name), "{name}");
        }
        assert!(matches("\\**", "*x") && !matches("\\**", "yx"));
    }

    #[test]
    fn paths_are_cleared_of_what_does_not_count() {
        assert_eq!(parts("/image", "topics//byName/."), ["image", "topics", "byName"]);
        assert_eq!(parts("/image", "../local/"), ["local"]);
        assert_eq!(parts("/image", "/../.."), [""; 0]);
    }
}
