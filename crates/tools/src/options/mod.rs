//! Options as Kafka's tools read them, which use Java's jopt-simple: long options with one or two dashes, the value
//! behind `=` or in the next argument, no abbreviations; the same texts for the same mistakes. Tables declare them.

mod help;
mod parse;

pub(crate) use parse::{OptionError, Parsed};

/// What an option's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Long,
    /// One of these words, in upper or lower case.
    OneOf(&'static [&'static str]),
}

impl Kind {
    fn java_name(self) -> String {
        match self {
            Self::Text => "String".to_owned(),
            Self::Integer => "Integer".to_owned(),
            Self::Long => "Long".to_owned(),
            Self::OneOf(words) => format!("[{}]", words.join(",")),
        }
    }
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    None,
    Required(Kind),
    Optional(Kind),
}

/// One option of a tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt {
    pub(crate) name: &'static str,
    pub(crate) argument: Argument,
    /// What the value is called in the help; empty: only its type is named.
    pub(crate) value_name: &'static str,
    pub(crate) default: Option<&'static str>,
    /// Several values may stand in one argument, separated by this.
    pub(crate) separator: Option<char>,
    pub(crate) description: &'static str,
}

impl Opt {
    /// An option without a value.
    pub(crate) const fn flag(name: &'static str, description: &'static str) -> Self {
        Self { name, argument: Argument::None, value_name: "", default: None, separator: None, description }
    }

    /// An option with a text.
    pub(crate) const fn text(name: &'static str, value_name: &'static str, description: &'static str) -> Self {
        let argument = Argument::Required(Kind::Text);
        Self { name, argument, value_name, default: None, separator: None, description }
    }

    /// An option with a number of 32 bits.
    pub(crate) const fn integer(name: &'static str, value_name: &'static str, description: &'static str) -> Self {
        Self { argument: Argument::Required(Kind::Integer), ..Self::text(name, value_name, description) }
    }

    /// An option with a number of 64 bits.
    pub(crate) const fn long(name: &'static str, value_name: &'static str, description: &'static str) -> Self {
        Self { argument: Argument::Required(Kind::Long), ..Self::text(name, value_name, description) }
    }

    /// An option with one of these words.
    pub(crate) const fn one_of(
        name: &'static str,
        words: &'static [&'static str],
        value_name: &'static str,
        description: &'static str,
    ) -> Self {
        Self { argument: Argument::Required(Kind::OneOf(words)), ..Self::text(name, value_name, description) }
    }

    /// An option that may have a text.
    pub(crate) const fn optional(name: &'static str, value_name: &'static str, description: &'static str) -> Self {
        Self { argument: Argument::Optional(Kind::Text), ..Self::text(name, value_name, description) }
    }

    /// An option that may have a number of 32 bits.
    pub(crate) const fn optional_integer(
        name: &'static str,
        value_name: &'static str,
        description: &'static str,
    ) -> Self {
        Self { argument: Argument::Optional(Kind::Integer), ..Self::text(name, value_name, description) }
    }

    /// An option that may have a number of 64 bits.
    pub(crate) const fn optional_long(name: &'static str, value_name: &'static str, description: &'static str) -> Self {
        Self { argument: Argument::Optional(Kind::Long), ..Self::text(name, value_name, description) }
    }

    /// The value that it has when it is not given.
    pub(crate) const fn with_default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// Several values may stand in one argument.
    pub(crate) const fn separated_by(mut self, separator: char) -> Self {
        self.separator = Some(separator);
        self
    }
}

/// The options that every tool has.
pub(crate) const HELP: Opt = Opt::flag("help", "Show these options and exit.");
/// See [`HELP`].
pub(crate) const VERSION: Opt = Opt::flag("version", "Show the version of Kafka that this is equal to and exit.");

/// The options of a tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// One sentence about the tool, the first line of its help.
    pub(crate) about: &'static str,
    /// The options besides [`HELP`] and [`VERSION`].
    pub(crate) table: &'static [Opt],
}

impl Options {
    /// All options.
    fn all(&self) -> impl Iterator<Item = &'static Opt> {
        [&HELP, &VERSION].into_iter().chain(self.table)
    }

    fn find(&self, name: &str) -> Option<&'static Opt> {
        self.all().find(|option| option.name == name)
    }

    /// Reads the arguments.
    ///
    /// # Errors
    /// An option that there is not, or one whose value is missing.
    pub(crate) fn parse(&self, arguments: &[String]) -> Result<Parsed, OptionError> {
        parse::parse(self, arguments)
    }

    /// The table of options, as the help shows it.
    pub(crate) fn help(&self) -> String {
        help::table(self.all())
    }
}
