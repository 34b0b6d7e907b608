use super::{Argument, Kind, Opt, Options};
use std::fmt;

/// A mistake in the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptionError {
    /// What jopt-simple's exception of this mistake is called.
    pub(crate) java_class: &'static str,
    message: String,
}

impl OptionError {
    /// Options stand beside others that they can't be used with.
    pub(crate) fn unavailable(names: &[&str]) -> Self {
        let names = names.join(", ");
        let message = format!("Option(s) [{names}] are unavailable given other options on the command line");
        Self::new("joptsimple.UnavailableOptionException", message)
    }

    /// As Java tells of an exception that nobody catches.
    pub(crate) fn uncaught(&self) -> String {
        format!("Exception in thread \"main\" {}: {self}", self.java_class)
    }

    fn new(java_class: &'static str, message: String) -> Self {
        Self { java_class, message }
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The options that were given.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    options: Options,
    /// In the order of the arguments; the value is missing where the option has none.
    given: Vec<(&'static str, Option<String>)>,
    /// Whether there was no argument at all.
    pub(crate) is_empty: bool,
}

pub(super) fn parse(options: &Options, arguments: &[String]) -> Result<Parsed, OptionError> {
    let mut given = Vec::new();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let Some((name, value)) = option_of(options, argument)? else {
            if argument == "--" {
                break;
            }
            continue;
        };
        let option = options.find(name).ok_or_else(|| unrecognized(name))?;
        match (option.argument, value) {
            (Argument::None, None) => given.push((option.name, None)),
            (Argument::None, Some(_)) => {
                let message = format!("Option {name} does not take an argument");
                return Err(OptionError::new("joptsimple.OptionMissingRequiredArgumentException", message));
            }
            (_, Some(value)) => add(&mut given, option, value),
            (Argument::Required(_), None) => match rest.next() {
                Some(value) => add(&mut given, option, value),
                None => return Err(missing(name)),
            },
            (Argument::Optional(kind), None) => match rest.next_if(|next| may_be_value(kind, next)) {
                Some(value) => add(&mut given, option, value),
                None => given.push((option.name, None)),
            },
        }
    }
    Ok(Parsed { options: *options, given, is_empty: arguments.is_empty() })
}

/// Whether the next argument is the value of an option that may have one: a negative number is no option where a number is
/// wanted.
fn may_be_value(kind: Kind, argument: &str) -> bool {
    match kind {
        Kind::Text | Kind::OneOf(_) => !looks_like_option(argument),
        kind => kind.accepts(argument),
    }
}

fn looks_like_option(argument: &str) -> bool {
    argument.len() > 1 && argument.starts_with('-')
}

/// The option's name and what stands behind `=`; `None` when the argument is no option.
fn option_of<'a>(options: &Options, argument: &'a str) -> Result<Option<(&'a str, Option<&'a str>)>, OptionError> {
    if argument == "--" || !looks_like_option(argument) {
        return Ok(None);
    }
    let split = |text: &'a str| text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    if let Some(long) = argument.strip_prefix("--") {
        return Ok(Some(split(long)));
    }
    // One dash: the name of an option all the same, or else a cluster of options of one letter, of which there are none.
    let short = argument.get(1..).unwrap_or_default();
    let (name, value) = split(short);
    if options.find(name).is_some() {
        return Ok(Some((name, value)));
    }
    Err(unrecognized(short.chars().next().map_or_else(String::new, String::from).as_str()))
}

fn add(given: &mut Vec<(&'static str, Option<String>)>, option: &'static Opt, value: &str) {
    match option.separator {
        Some(separator) => given.extend(value.split(separator).map(|part| (option.name, Some(part.to_owned())))),
        None => given.push((option.name, Some(value.to_owned()))),
    }
}

fn unrecognized(name: &str) -> OptionError {
    OptionError::new("joptsimple.UnrecognizedOptionException", format!("{name} is not a recognized option"))
}

fn missing(name: &str) -> OptionError {
    let message = format!("Option {name} requires an argument");
    OptionError::new("joptsimple.OptionMissingRequiredArgumentException", message)
}

impl Parsed {
    /// Whether the option was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The names of the options in the order in which they were given, each as often as it was.
    pub(crate) fn order(&self) -> impl Iterator<Item = &'static str> {
        self.given.iter().map(|(name, _)| *name)
    }

    /// All values that were given, or the default.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let given = self.given.iter().filter(|(given, _)| *given == name);
        let values: Vec<_> = given.filter_map(|(_, value)| value.clone()).collect();
        let default = self.options.find(name).and_then(|option| option.default);
        match default {
            Some(default) if values.is_empty() => vec![default.to_owned()],
            _ => values,
        }
    }

    /// The value, or the default; `None` when there is neither.
    ///
    /// # Errors
    /// Several were given, or it is not of the option's type.
    pub(crate) fn value(&self, name: &str) -> Result<Option<String>, OptionError> {
        let values = self.values(name);
        if values.len() > 1 {
            let message = format!("Found multiple arguments for option {name}, but you asked for only one");
            return Err(OptionError::new("joptsimple.MultipleArgumentsForOptionException", message));
        }
        let value = values.into_iter().next();
        if let Some(value) = &value {
            self.check(name, value)?;
        }
        Ok(value)
    }

    /// The value as a number.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, OptionError> {
        Ok(self.value(name)?.and_then(|value| java_number(&value)))
    }

    fn check(&self, name: &str, value: &str) -> Result<(), OptionError> {
        let kind = match self.options.find(name).map(|option| option.argument) {
            Some(Argument::Required(kind) | Argument::Optional(kind)) => kind,
            _ => Kind::Text,
        };
        if kind.accepts(value) {
            return Ok(());
        }
        let message = format!("Cannot parse argument '{value}' of option {name}");
        Err(OptionError::new("joptsimple.OptionArgumentConversionException", message))
    }
}

impl Kind {
    /// Whether this is a value of the kind.
    fn accepts(self, value: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Integer => java_number(value).is_some_and(|number| i32::try_from(number).is_ok()),
            Self::Long => java_number(value).is_some(),
            Self::OneOf(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
        }
    }
}

/// A number as Java reads it: no blanks, no underscores.
fn java_number(value: &str) -> Option<i64> {
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options {
        about: "",
        table: &[
            Opt::flag("list", ""),
            Opt::text("topic", "topic", ""),
            Opt::integer("partitions", "", "").with_default("7"),
            Opt::optional("state", "", ""),
            Opt::optional_integer("count", "", ""),
            Opt::text("delete-config", "", "").separated_by(','),
        ],
    };

    fn parsed(line: &str) -> Result<Parsed, String> {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        OPTIONS.parse(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_stands_behind_an_equals_sign_or_in_the_next_argument() {
        for line in ["--topic a", "--topic=a", "-topic a", "-topic=a", "x --topic a y"] {
            assert_eq!(parsed(line).unwrap().value("topic").unwrap().as_deref(), Some("a"), "{line}");
        }
        assert_eq!(parsed("--topic --list").unwrap().values("topic"), ["--list"]);
        assert_eq!(parsed("--topic=").unwrap().values("topic"), [""]);
    }

    #[test]
    fn mistakes_have_the_texts_of_jopt_simple() {
        assert_eq!(parsed("--nope").unwrap_err(), "nope is not a recognized option");
        assert_eq!(parsed("--to a").unwrap_err(), "to is not a recognized option");
        assert_eq!(parsed("-xyz").unwrap_err(), "x is not a recognized option");
        assert_eq!(parsed("--list --topic").unwrap_err(), "Option topic requires an argument");
        let twice = parsed("--topic a --topic b").unwrap().value("topic").unwrap_err();
        assert_eq!(twice.to_string(), "Found multiple arguments for option topic, but you asked for only one");
        let text = parsed("--partitions abc").unwrap().number("partitions").unwrap_err();
        assert_eq!(text.to_string(), "Cannot parse argument 'abc' of option partitions");
        assert!(parsed("--partitions 3000000000").unwrap().number("partitions").is_err());
    }

    #[test]
    fn an_optional_value_is_taken_unless_it_looks_like_an_option() {
        assert_eq!(parsed("--state a --list").unwrap().value("state").unwrap().as_deref(), Some("a"));
        let without = parsed("--state --list").unwrap();
        assert!(without.has("state") && without.has("list"));
        assert_eq!(without.value("state").unwrap(), None);
        assert_eq!(parsed("--count -1 --list").unwrap().number("count").unwrap(), Some(-1));
        let without = parsed("--count --list").unwrap();
        assert!(without.has("list") && without.number("count").unwrap().is_none());
    }

    #[test]
    fn values_may_be_separated_and_defaults_stand_in() {
        assert_eq!(parsed("--delete-config a,b --delete-config c").unwrap().values("delete-config"), ["a", "b", "c"]);
        assert_eq!(parsed("").unwrap().number("partitions").unwrap(), Some(7));
        assert!(!parsed("").unwrap().has("partitions"));
    }

    #[test]
    fn nothing_behind_two_dashes_is_an_option() {
        assert!(!parsed("-- --list").unwrap().has("list"));
    }
}
