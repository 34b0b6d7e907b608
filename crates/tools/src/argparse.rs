//! Arguments as those of Kafka's tools read them that use Java's argparse4j: with subcommands or without, options of one and
//! of two dashes, long ones abbreviated as long as they stay unambiguous.

use std::collections::BTreeMap;

/// What came of reading the arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The subcommand's name (empty where the tool has none), and all options, those of the tool as well as those of the
    /// subcommand.
    Run(&'static str, Values),
    Help(String),
    /// The version is asked for.
    Version,
    Mistake(Mistake),
}

/// Why the arguments can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) usage: &'static str,
    /// The sentence without the tool's name before it.
    pub(crate) error: String,
}

/// The options that were given, by their long names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(BTreeMap<&'static str, Vec<String>>);

impl Values {
    /// Whether the option is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value, of several the last one.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.last().map(String::as_str)
    }

    /// All values in their order.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The number that an option of [`Kind::Integer`], [`Kind::Long`], [`Kind::Short`] or [`Kind::Double`] has.
    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.one(name)?.parse().ok()
    }
}

/// What stands behind an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Flag,
    /// The tool's version is told, whatever else is asked for.
    Version,
    Text,
    /// One word or more, up to the next option.
    Texts,
    Integer,
    Long,
    Short,
    Double,
}

impl Kind {
    /// Java's name of the numbers.
    fn java_name(self) -> &'static str {
        match self {
            Self::Flag | Self::Version | Self::Text | Self::Texts => "",
            Self::Integer => "Integer",
            Self::Long => "Long",
            Self::Short => "Short",
            Self::Double => "Double",
        }
    }

    /// What Java's exception says of a text that is no such number.
    fn complaint(self, value: &str) -> Option<String> {
        let is_valid = match self {
            Self::Flag | Self::Version | Self::Text | Self::Texts => true,
            Self::Integer => value.parse::<i32>().is_ok(),
            Self::Long => value.parse::<i64>().is_ok(),
            Self::Short => value.parse::<i16>().is_ok(),
            Self::Double => value.parse::<f64>().is_ok(),
        };
        match self {
            _ if is_valid => None,
            Self::Short if value.parse::<i32>().is_ok() => {
                Some(format!("Value out of range. Value:\"{value}\" Radix:10"))
            }
            _ => Some(format!("For input string: \"{value}\"")),
        }
    }
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt {
    name: &'static str,
    short: Option<char>,
    kind: Kind,
    is_required: bool,
    /// Only one of the options of a group may be there.
    is_exclusive: bool,
    /// The values that are allowed; empty: all.
    choices: &'static [&'static str],
    help: &'static str,
}

impl Opt {
    /// An option with a value.
    pub(crate) const fn text(name: &'static str, help: &'static str) -> Self {
        let (kind, choices): (_, &[_]) = (Kind::Text, &[]);
        Self { name, short: None, kind, is_required: false, is_exclusive: false, choices, help }
    }

    /// An option with one value or more behind it.
    pub(crate) const fn texts(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Texts, ..Self::text(name, help) }
    }

    /// An option without a value.
    pub(crate) const fn flag(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Flag, ..Self::text(name, help) }
    }

    /// An option whose value is a number of 32 bits.
    pub(crate) const fn integer(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Integer, ..Self::text(name, help) }
    }

    /// An option whose value is a number of 64 bits.
    pub(crate) const fn long(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Long, ..Self::text(name, help) }
    }

    /// An option whose value is a number of 16 bits.
    pub(crate) const fn short_number(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Short, ..Self::text(name, help) }
    }

    /// The option that asks for the version.
    pub(crate) const VERSION: Self = Self {
        kind: Kind::Version,
        ..Self::flag("version", "Show the version of Kafka that this is equal to and exit.")
    }
    .short('v');

    /// An option whose value is a number with a fraction.
    pub(crate) const fn double(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Double, ..Self::text(name, help) }
    }

    /// The same, but only these values are allowed.
    pub(crate) const fn one_of(self, choices: &'static [&'static str]) -> Self {
        Self { choices, ..self }
    }

    /// The same with a letter for one dash.
    pub(crate) const fn short(self, letter: char) -> Self {
        Self { short: Some(letter), ..self }
    }

    /// The same, but it has to be there.
    pub(crate) const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// The same, but not together with another option of this sort.
    pub(crate) const fn exclusive(self) -> Self {
        Self { is_exclusive: true, ..self }
    }

    /// As sentences name it.
    fn named(&self) -> String {
        match self.short {
            Some(letter) => format!("--{}/-{letter}", self.name),
            None => format!("--{}", self.name),
        }
    }

    /// Notes a value that is allowed.
    fn take(&self, value: &str, given: &mut Vec<String>) -> Result<(), String> {
        self.check(value)?;
        given.push(value.to_owned());
        Ok(())
    }

    fn check(&self, value: &str) -> Result<(), String> {
        if let Some(complaint) = self.kind.complaint(value) {
            let (named, class) = (self.named(), self.kind.java_name());
            return Err(format!("argument {named}: could not convert '{value}' to {class} ({complaint})"));
        }
        if self.choices.is_empty() || self.choices.contains(&value) {
            return Ok(());
        }
        let choices = self.choices.join(",");
        Err(format!("argument {}: invalid choice: '{value}' (choose from {{{choices}}})", self.named()))
    }
}

/// Options that are read together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) table: &'static [Opt],
    /// Whether one of the exclusive options has to be there.
    pub(crate) needs_exclusive: bool,
}

/// What the tool can do.
pub(crate) struct Subcommand {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) options: Options,
}

/// The arguments of a tool.
pub(crate) struct Parser {
    pub(crate) about: &'static str,
    pub(crate) usage: &'static str,
    /// The options that stand before the subcommand.
    pub(crate) options: Options,
    /// None: the options are all.
    pub(crate) subcommands: &'static [Subcommand],
}

/// The column of the help's second half.
const HELP_COLUMN: usize = 25;

/// What was read up to a point.
enum Read<'a> {
    Help,
    Version,
    /// All of it, or all up to the first word that belongs to no option, and that word with what follows.
    Options(&'a [String]),
}

impl Parser {
    /// Reads the arguments behind the tool's name.
    pub(crate) fn parse(&self, arguments: &[String]) -> Outcome {
        let mut values = Values::default();
        let mistake = |usage, error| Outcome::Mistake(Mistake { usage, error });
        let rest = match self.options.read(arguments, &mut values) {
            Ok(Read::Help) => return Outcome::Help(self.help()),
            Ok(Read::Version) => return Outcome::Version,
            Ok(Read::Options(rest)) => rest,
            Err(error) => return mistake(self.usage, error),
        };
        if self.subcommands.is_empty() {
            if let Some(word) = rest.first() {
                return mistake(self.usage, unrecognized(word));
            }
            return self.completed(values);
        }
        let Some((first, rest)) = rest.split_first() else {
            return mistake(self.usage, "too few arguments".to_owned());
        };
        let Some(subcommand) = self.subcommands.iter().find(|subcommand| subcommand.name == first) else {
            let names: Vec<_> = self.subcommands.iter().map(|subcommand| format!("'{}'", subcommand.name)).collect();
            let error = format!("invalid choice: '{first}' (choose from {})", names.join(", "));
            return mistake(self.usage, error);
        };
        match subcommand.options.read(rest, &mut values) {
            Ok(Read::Help) => return Outcome::Help(subcommand.help()),
            Ok(Read::Version) => return Outcome::Version,
            Ok(Read::Options([])) => {}
            Ok(Read::Options([word, ..])) => return mistake(subcommand.usage, unrecognized(word)),
            Err(error) => return mistake(subcommand.usage, error),
        }
        // What is missing is told when everything is read, and of the subcommand first.
        if let Err(error) = subcommand.options.complete(&values) {
            return mistake(subcommand.usage, error);
        }
        match self.options.complete(&values) {
            Ok(()) => Outcome::Run(subcommand.name, values),
            Err(error) => mistake(self.usage, error),
        }
    }

    /// As [`Self::parse`], for a tool without subcommands that takes words beside its options: they come to `words`.
    pub(crate) fn parse_with_words(&self, arguments: &[String], words: &mut Vec<String>) -> Outcome {
        let mut values = Values::default();
        let mut rest = arguments;
        loop {
            match self.options.read(rest, &mut values) {
                Ok(Read::Help) => return Outcome::Help(self.help()),
                Ok(Read::Version) => return Outcome::Version,
                Ok(Read::Options([])) => return self.completed(values),
                Ok(Read::Options([word, behind @ ..])) => {
                    words.push(word.clone());
                    rest = behind;
                }
                Err(error) => return Outcome::Mistake(Mistake { usage: self.usage, error }),
            }
        }
    }

    /// The options, if all are there that have to be.
    fn completed(&self, values: Values) -> Outcome {
        match self.options.complete(&values) {
            Ok(()) => Outcome::Run("", values),
            Err(error) => Outcome::Mistake(Mistake { usage: self.usage, error }),
        }
    }

    /// What the tool says of itself.
    pub(crate) fn help(&self) -> String {
        if self.subcommands.is_empty() {
            return format!("{}\n{}\n\noptional arguments:\n{}", self.usage, self.about, self.options.help());
        }
        let names: Vec<_> = self.subcommands.iter().map(|subcommand| subcommand.name).collect();
        let mut text = format!("{}\n{}\n\npositional arguments:\n  {{{}}}\n", self.usage, self.about, names.join(","));
        for subcommand in self.subcommands {
            text.push_str(&row(&format!("  {}", subcommand.name), subcommand.help));
        }
        text + "\noptional arguments:\n" + &self.options.help()
    }
}

impl Subcommand {
    fn help(&self) -> String {
        format!("{}\noptional arguments:\n{}", self.usage, self.options.help())
    }
}

impl Options {
    /// No options.
    pub(crate) const NONE: Self = Self::of(&[]);

    /// Options none of which has to be there but those that are required by themselves.
    pub(crate) const fn of(table: &'static [Opt]) -> Self {
        Self { table, needs_exclusive: false }
    }

    fn read<'a>(&self, arguments: &'a [String], values: &mut Values) -> Result<Read<'a>, String> {
        let mut rest = arguments;
        let mut exclusive: Option<&Opt> = None;
        while let Some((argument, behind)) = rest.split_first() {
            if is_help(argument) {
                return Ok(Read::Help);
            }
            if !looks_like_option(argument) {
                return Ok(Read::Options(rest));
            }
            rest = behind;
            let (option, attached) = self.option(argument)?;
            let other = exclusive.filter(|other| option.is_exclusive && other.name != option.name);
            if let Some(other) = other {
                return Err(format!("argument {}: not allowed with argument {}", option.named(), other.named()));
            }
            exclusive = if option.is_exclusive { Some(option) } else { exclusive };
            let given = values.0.entry(option.name).or_default();
            match (option.kind, attached) {
                (Kind::Flag, None) => {}
                (Kind::Version, None) => return Ok(Read::Version),
                (Kind::Flag | Kind::Version, Some(value)) => {
                    return Err(format!("argument {}: ignored explicit argument '{value}'", option.named()));
                }
                (_, Some(value)) => option.take(value, given)?,
                (kind, None) => {
                    let words = rest.iter().take_while(|word| !looks_like_option(word)).count();
                    let (least, most) =
                        if kind == Kind::Texts { ("1 argument(s)", words) } else { ("one argument", words.min(1)) };
                    if most == 0 {
                        return Err(format!("argument {}: expected {least}", option.named()));
                    }
                    if kind == Kind::Texts {
                        // What stood behind the same option before counts no more.
                        given.clear();
                    }
                    let (taken, behind) = rest.split_at_checked(most).unwrap_or((rest, &[]));
                    taken.iter().try_for_each(|value| option.take(value, given))?;
                    rest = behind;
                }
            }
        }
        Ok(Read::Options(rest))
    }

    /// Whether everything is there that has to be.
    fn complete(&self, values: &Values) -> Result<(), String> {
        // Kafka's tools name the last that is missing of those that they asked for first.
        if let Some(option) = self.table.iter().rev().find(|option| option.is_required && !values.has(option.name)) {
            return Err(format!("argument {} is required", option.named()));
        }
        let mut exclusive = self.table.iter().filter(|option| option.is_exclusive);
        if self.needs_exclusive && !exclusive.clone().any(|option| values.has(option.name)) {
            let names: Vec<_> = exclusive.by_ref().map(Opt::named).collect();
            return Err(format!("one of the arguments {} is required", names.join(" ")));
        }
        Ok(())
    }

    /// The option that an argument is, with a value that is attached to it.
    fn option<'a>(&self, argument: &'a str) -> Result<(&'static Opt, Option<&'a str>), String> {
        let unknown = || unrecognized(argument);
        if let Some(long) = argument.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let mut meant = self.table.iter().filter(|option| option.name.starts_with(name) && !name.is_empty());
            let exact = self.table.iter().find(|option| option.name == name);
            return match (exact, meant.next(), meant.next()) {
                (Some(option), ..) | (None, Some(option), None) => Ok((option, value)),
                (None, Some(first), Some(second)) => {
                    Err(format!("ambiguous option: --{name} could match --{}, --{}", first.name, second.name))
                }
                (None, None, _) => Err(unknown()),
            };
        }
        let mut letters = argument.strip_prefix('-').ok_or_else(unknown)?.chars();
        let letter = letters.next().ok_or_else(unknown)?;
        let option = self.table.iter().find(|option| option.short == Some(letter)).ok_or_else(unknown)?;
        let attached = letters.as_str();
        Ok((option, Some(attached.strip_prefix('=').unwrap_or(attached)).filter(|_| !attached.is_empty())))
    }

    fn help(&self) -> String {
        let mut text = row("-h, --help", "Show this help and exit.");
        for option in self.table {
            let upper = option.name.replace('-', "_").to_uppercase();
            let value =
                if matches!(option.kind, Kind::Flag | Kind::Version) { String::new() } else { format!(" {upper}") };
            let short = option.short.map_or(String::new(), |letter| format!(", -{letter}{value}"));
            text.push_str(&row(&format!("--{}{value}{short}", option.name), option.help));
        }
        text
    }
}

fn is_help(argument: &str) -> bool {
    argument == "-h" || (argument.len() > 3 && "--help".starts_with(argument))
}

fn unrecognized(argument: &str) -> String {
    format!("unrecognized arguments: '{argument}'")
}

/// A negative number is a value.
fn looks_like_option(argument: &str) -> bool {
    argument.starts_with('-') && argument.len() > 1 && argument.parse::<i64>().is_err()
}

fn row(left: &str, right: &str) -> String {
    let left = format!("  {left}");
    if left.len() + 1 < HELP_COLUMN {
        format!("{left:HELP_COLUMN$}{right}\n")
    } else {
        format!("{left}\n{:HELP_COLUMN$}{right}\n", "")
    }
}
