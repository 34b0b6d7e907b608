use crate::key::{Check, ConfigType};
use std::collections::BTreeSet;

/// A configuration value, converted to its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a `BOOLEAN`.
    Boolean(bool),
    /// Of a `SHORT`, an `INT` or a `LONG`, in the range of its type.
    Integer(i64),
    /// Of a `DOUBLE`.
    Double(f64),
    /// Of a `STRING`, a `CLASS` or a `PASSWORD`.
    Text(String),
    /// Of a `LIST`.
    List(Vec<String>),
}

impl Value {
    /// Converts trimmed `text` to `config_type`. The error says what was expected.
    pub(crate) fn parse(config_type: ConfigType, text: &str) -> Result<Self, String> {
        let text = java_trim(text);
        match config_type {
            ConfigType::Boolean if text.eq_ignore_ascii_case("true") => Ok(Self::Boolean(true)),
            ConfigType::Boolean if text.eq_ignore_ascii_case("false") => Ok(Self::Boolean(false)),
            ConfigType::Boolean => Err("must be true or false".to_owned()),
            ConfigType::Short => integer(text, i64::from(i16::MIN), i64::from(i16::MAX), config_type),
            ConfigType::Int => integer(text, i64::from(i32::MIN), i64::from(i32::MAX), config_type),
            ConfigType::Long => integer(text, i64::MIN, i64::MAX, config_type),
            ConfigType::Double => java_double(text).map(Self::Double).ok_or_else(|| not_a_number(config_type)),
            ConfigType::List => Ok(Self::List(list(text))),
            ConfigType::String | ConfigType::Class | ConfigType::Password => Ok(Self::Text(text.to_owned())),
        }
    }

    /// The text that Kafka shows for the value: lists joined by commas, numbers as Java prints them.
    pub fn to_text(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Double(value) => java_double_text(*value),
            Self::Text(value) => value.clone(),
            Self::List(values) => values.join(","),
        }
    }
}

/// Java's `trim`: all characters up to the space, control characters included, and nothing else.
pub(crate) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// Splits at commas with any white space around them; empty text is the empty list, empty entries are kept.
pub(crate) fn list(text: &str) -> Vec<String> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|entry| entry.trim_matches(blank).to_owned()).collect()
}

fn not_a_number(config_type: ConfigType) -> String {
    format!("Not a number of type {}", config_type.name())
}

fn integer(text: &str, least: i64, greatest: i64, config_type: ConfigType) -> Result<Value, String> {
    match text.parse::<i64>() {
        Ok(value) if (least..=greatest).contains(&value) => Ok(Value::Integer(value)),
        _ => Err(not_a_number(config_type)),
    }
}

/// Java's decimal forms; its hexadecimal ones have never been seen in a configuration and are refused.
fn java_double(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']) {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        rest if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') => return None,
        _ => {}
    }
    // Java allows the suffix of its own literals.
    text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()
}

/// Java's `Double.toString`: plain from a thousandth to ten million, else with an exponent, always with a point.
fn java_double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => text,
    }
}

impl Check {
    /// Drops the second and later of equal entries of a list, as Kafka does before it checks.
    pub(crate) fn without_repeats(self, value: Value) -> Value {
        match (self, value) {
            (Self::EachOf(_) | Self::SomeOf(_) | Self::Distinct | Self::DistinctAndSome, Value::List(mut values)) => {
                let mut seen = BTreeSet::new();
                values.retain(|value| seen.insert(value.clone()));
                Value::List(values)
            }
            (_, value) => value,
        }
    }

    /// Whether the check allows `value`. The error says what is allowed.
    pub(crate) fn accept(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::AtLeast(least), Value::Integer(value)) if *value < least => {
                Err(format!("Value must be at least {least}"))
            }
            (Self::Between(least, greatest), Value::Integer(value)) => between(*value, &least, &greatest),
            (Self::BetweenDoubles(least, greatest), Value::Double(value)) => between(*value, &least, &greatest),
            (Self::MinusOneOr(least, greatest), Value::Integer(value)) => {
                let good = *value == -1 || (least..=greatest).contains(value);
                good.then_some(()).ok_or_else(|| format!("Value must be -1 or between {least} and {greatest}"))
            }
            (Self::OneOf(allowed), Value::Text(value)) => one_of(allowed, allowed.contains(&value.as_str())),
            (Self::OneOfIgnoringCase(allowed), Value::Text(value)) => {
                one_of(allowed, allowed.iter().any(|one| one.eq_ignore_ascii_case(value)))
            }
            (Self::NotEmpty, Value::Text(value)) if value.is_empty() => Err("Text must not be empty".to_owned()),
            (Self::OffsetReset, Value::Text(value)) => offset_reset(value),
            (check, Value::List(values)) => check.accept_list(values),
            _ => Ok(()),
        }
    }

    fn accept_list(self, values: &[String]) -> Result<(), String> {
        match self {
            Self::EachOf(allowed) | Self::SomeOf(allowed) => {
                no_blank(values)?;
                let stranger = values.iter().find(|value| !allowed.contains(&value.as_str()));
                one_of(allowed, stranger.is_none())?;
                some(values, matches!(self, Self::EachOf(_)))
            }
            Self::Distinct => no_blank(values),
            Self::DistinctAndSome => no_blank(values).and_then(|()| some(values, false)),
            Self::ThrottledReplicas => throttled_replicas(values),
            Self::QuorumVoters => values.iter().try_for_each(|entry| {
                crate::listener::parse_voter(entry)
                    .map(|_| ())
                    .map_err(|_| "Each entry must be id@host:port".to_owned())
            }),
            Self::BootstrapServers => values.iter().try_for_each(|entry| {
                crate::listener::parse_host_port(entry)
                    .map(|_| ())
                    .map_err(|_| "Each entry must be host:port".to_owned())
            }),
            _ => Ok(()),
        }
    }

    /// The allowed values in a few words, for error texts and documentation; empty when all of the type are allowed.
    pub fn allowed(self) -> String {
        match self {
            Self::Any => String::new(),
            Self::AtLeast(least) => format!("{least} or more"),
            Self::Between(least, greatest) => format!("{least} to {greatest}"),
            Self::BetweenDoubles(least, greatest) => format!("{least} to {greatest}"),
            Self::MinusOneOr(least, greatest) => format!("-1, or {least} to {greatest}"),
            Self::OneOf(allowed) => allowed.join(", "),
            Self::OneOfIgnoringCase(allowed) => format!("{}, in any case", allowed.join(", ")),
            Self::EachOf(allowed) => format!("any of {}", allowed.join(", ")),
            Self::SomeOf(allowed) => format!("at least one of {}", allowed.join(", ")),
            Self::Distinct => "entries that are not empty".to_owned(),
            Self::DistinctAndSome => "at least one entry, none empty".to_owned(),
            Self::NotEmpty => "not empty".to_owned(),
            Self::ThrottledReplicas => "*, or partition:broker entries".to_owned(),
            Self::QuorumVoters => "id@host:port entries".to_owned(),
            Self::BootstrapServers => "host:port entries".to_owned(),
            Self::OffsetReset => "latest, earliest, by_duration:PnDTnHnMn.nS".to_owned(),
        }
    }
}

fn between<T: PartialOrd + core::fmt::Display>(value: T, least: &T, greatest: &T) -> Result<(), String> {
    if value < *least {
        return Err(format!("Value must be at least {least}"));
    }
    if value > *greatest {
        return Err(format!("Value must be no more than {greatest}"));
    }
    Ok(())
}

fn one_of(allowed: &[&str], good: bool) -> Result<(), String> {
    good.then_some(()).ok_or_else(|| format!("String must be one of: {}", allowed.join(", ")))
}

fn no_blank(values: &[String]) -> Result<(), String> {
    if values.iter().any(String::is_empty) {
        return Err("Entries must not be empty".to_owned());
    }
    Ok(())
}

fn some(values: &[String], may_be_empty: bool) -> Result<(), String> {
    if values.is_empty() && !may_be_empty {
        return Err("At least one entry is needed".to_owned());
    }
    Ok(())
}

fn throttled_replicas(values: &[String]) -> Result<(), String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let replica = |entry: &str| entry.split_once(':').is_some_and(|(left, right)| digits(left) && digits(right));
    let blank = values.iter().all(|entry| entry.is_empty());
    let all = values.len() == 1 && values.first().is_some_and(|entry| entry == "*");
    if blank || all || values.iter().all(|entry| replica(entry)) {
        return Ok(());
    }
    Err("Value must be *, or a list of partition:broker entries".to_owned())
}

fn offset_reset(text: &str) -> Result<(), String> {
    // Java's Duration takes fractions; the shape is enough here, the group that uses it will convert it.
    let duration = text.strip_prefix("by_duration:").map(str::to_ascii_lowercase).is_some_and(|rest| {
        rest.starts_with('p') && rest.len() > 2 && rest.ends_with(['d', 'h', 'm', 's']) && !rest.contains('-')
    });
    if text == "latest" || text == "earliest" || duration {
        return Ok(());
    }
    Err(format!("Value must be one of: {}", Check::OffsetReset.allowed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_printed_as_java_prints_them() {
        for (value, text) in [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (f64::MAX, "1.7976931348623157E308"),
            (2_147_483_647.0, "2.147483647E9"),
            (0.0005, "5.0E-4"),
            (10_000_000.0, "1.0E7"),
            (0.0, "0.0"),
        ] {
            assert_eq!(java_double_text(value), text);
        }
    }

    #[test]
    fn doubles_are_read_in_javas_forms_only() {
        assert_eq!(java_double("1e3"), Some(1000.0));
        assert_eq!(java_double("+.5d"), Some(0.5));
        assert_eq!(java_double("-Infinity"), Some(f64::NEG_INFINITY));
        for text in ["inf", "nan", "infinity", "", "e5", "1,5", "--1"] {
            assert_eq!(java_double(text), None, "{text}");
        }
    }

    #[test]
    fn lists_split_at_commas_and_keep_empty_entries() {
        assert_eq!(list("a , b,c"), ["a", "b", "c"]);
        assert_eq!(list("a,,b"), ["a", "", "b"]);
        assert!(list("").is_empty());
    }

    #[test]
    fn integers_keep_to_their_type() {
        assert_eq!(Value::parse(ConfigType::Int, " +7\t"), Ok(Value::Integer(7)));
        assert!(Value::parse(ConfigType::Int, "2147483648").is_err());
        assert!(Value::parse(ConfigType::Short, "32768").is_err());
        assert!(Value::parse(ConfigType::Long, "9223372036854775808").is_err());
        assert!(Value::parse(ConfigType::Long, "1_000").is_err());
    }
}
