use crate::console::Console;
use regex_syntax::ast::{ErrorKind, parse::Parser};

/// `--validate-regex`: whether a subscription may have this regular expression, by the rules of RE2.
pub(super) fn validate(pattern: &str, console: &mut Console) {
    match fault(pattern) {
        None => console.line(&format!("The regular expression `{pattern}` is valid.")),
        Some(fault) => console.line(&format!("The regular expression `{pattern}` is invalid: {fault}.")),
    }
}

/// What is wrong with it, in RE2's words where it has some.
fn fault(pattern: &str) -> Option<String> {
    let parsed = Parser::new().parse(pattern);
    let Err(error) = parsed else {
        // What can be read may still be too much.
        return regex::Regex::new(pattern).err().map(|error| error.to_string());
    };
    Some(match error.kind() {
        ErrorKind::GroupUnclosed => "missing closing )".to_owned(),
        ErrorKind::GroupUnopened => "unexpected )".to_owned(),
        ErrorKind::ClassUnclosed => format!("missing closing ]: `{}`", from(pattern, error.span())),
        ErrorKind::RepetitionMissing => {
            format!("missing argument to repetition operator: `{}`", from(pattern, error.span()))
        }
        ErrorKind::EscapeUnexpectedEof => "trailing \\ at end of expression".to_owned(),
        ErrorKind::EscapeUnrecognized => {
            let span = error.span();
            let escape = pattern.get(span.start.offset..span.end.offset).unwrap_or_default();
            format!("invalid escape sequence: `{escape}`")
        }
        kind => kind.to_string(),
    })
}

fn from<'a>(pattern: &'a str, span: &regex_syntax::ast::Span) -> &'a str {
    pattern.get(span.start.offset..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_as_re2_does() {
        assert_eq!(fault("a.*"), None);
        assert_eq!(fault("topic-[0-9]+(-dlq)?"), None);
        assert_eq!(fault("a(").as_deref(), Some("missing closing )"));
        assert_eq!(fault("a)").as_deref(), Some("unexpected )"));
        assert_eq!(fault("[a").as_deref(), Some("missing closing ]: `[a`"));
        assert_eq!(fault("*a").as_deref(), Some("missing argument to repetition operator: `*a`"));
        assert!(fault("(?<=a)b").is_some(), "RE2 looks neither ahead nor behind");
    }
}
