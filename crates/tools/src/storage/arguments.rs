//! Arguments as Kafka's tool reads them, which uses Java's argparse4j: subcommands, options of one and of two dashes, long
//! ones abbreviated as long as they stay unambiguous.

use std::collections::BTreeMap;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Info,
    Format,
    VersionMapping,
    FeatureDependencies,
    RandomUuid,
}

/// What came of reading the arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Run(Command, Values),
    Help(String),
    Mistake { usage: String, error: String },
}

/// The options that were given, by their long names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Values(BTreeMap<&'static str, Vec<String>>);

impl Values {
    /// Whether the option is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value, of several the last one.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.last().map(String::as_str)
    }

    /// All values in their order.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
struct Opt {
    name: &'static str,
    short: char,
    has_value: bool,
    is_required: bool,
    /// Only one of the options of a group may be there.
    is_exclusive: bool,
    help: &'static str,
}

const fn value(name: &'static str, short: char, help: &'static str) -> Opt {
    Opt { name, short, has_value: true, is_required: false, is_exclusive: false, help }
}

const fn required(name: &'static str, short: char, help: &'static str) -> Opt {
    Opt { is_required: true, ..value(name, short, help) }
}

const fn flag(name: &'static str, short: char, help: &'static str) -> Opt {
    Opt { has_value: false, ..value(name, short, help) }
}

struct Subcommand {
    command: Command,
    name: &'static str,
    help: &'static str,
    usage: &'static str,
    options: &'static [Opt],
}

const CONFIG: Opt = required("config", 'c', "The properties file of the node.");

const SUBCOMMANDS: [Subcommand; 5] = [
    Subcommand {
        command: Command::Info,
        name: "info",
        help: "Tell about the node's log directories.",
        usage: "usage: kafka-storage info [-h] --config CONFIG\n",
        options: &[CONFIG],
    },
    Subcommand {
        command: Command::Format,
        name: "format",
        help: "Format the node's log directories.",
        usage: "usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID
                     [--add-scram ADD_SCRAM] [--ignore-formatted]
                     [--release-version RELEASE_VERSION]
                     [--feature FEATURE] [--standalone |
                     --no-initial-controllers |
                     --initial-controllers INITIAL_CONTROLLERS]\n",
        options: &[
            CONFIG,
            required("cluster-id", 't', "The id of the cluster; random-uuid makes one."),
            value("add-scram", 'S', "SCRAM credentials to start with. This version keeps none yet."),
            flag("ignore-formatted", 'g', "Leave directories alone that are formatted, and format the others."),
            value("release-version", 'r', "The release whose features the cluster starts with: 3.3-IV3 to 4.4-IV2."),
            value("feature", 'f', "The level of one feature, as feature=level."),
            Opt { is_exclusive: true, ..flag("standalone", 's', "The node is the only voter of a dynamic quorum.") },
            Opt {
                is_exclusive: true,
                ..flag("no-initial-controllers", 'N', "The node asks others for the voters of a dynamic quorum.")
            },
            Opt {
                is_exclusive: true,
                ..value(
                    "initial-controllers",
                    'I',
                    "The voters of a dynamic quorum, the same on all nodes: id@host:port:directory, by commas.",
                )
            },
        ],
    },
    Subcommand {
        command: Command::VersionMapping,
        name: "version-mapping",
        help: "Tell which feature levels belong to a release.",
        usage: "usage: kafka-storage version-mapping [-h]
                     [--release-version RELEASE_VERSION]\n",
        options: &[value(
            "release-version",
            'r',
            "The release, 3.3-IV3 to 4.4-IV2; without it, the newest stable one.",
        )],
    },
    Subcommand {
        command: Command::FeatureDependencies,
        name: "feature-dependencies",
        help: "Tell which other features a feature's level needs.",
        usage: "usage: kafka-storage feature-dependencies [-h] --feature FEATURE\n",
        options: &[required(
            "feature",
            'f',
            "The feature and its level, as feature=level; may be given several times.",
        )],
    },
    Subcommand {
        command: Command::RandomUuid,
        name: "random-uuid",
        help: "Make an id for a cluster.",
        usage: "usage: kafka-storage random-uuid [-h]\n",
        options: &[],
    },
];

const USAGE: &str = "usage: kafka-storage [-h]
                     {info,format,version-mapping,feature-dependencies,random-uuid}
                     ...\n";

/// The column of the help's second half.
const HELP_COLUMN: usize = 25;

/// Reads the arguments behind the tool's name.
pub(super) fn parse(arguments: &[String]) -> Outcome {
    let mistake =
        |error: String| Outcome::Mistake { usage: USAGE.to_owned(), error: format!("kafka-storage: error: {error}") };
    let Some((first, rest)) = arguments.split_first() else {
        return mistake("too few arguments".to_owned());
    };
    if is_help(first) {
        return Outcome::Help(help());
    }
    match SUBCOMMANDS.iter().find(|subcommand| subcommand.name == first) {
        Some(subcommand) => subcommand.parse(rest),
        None if first.starts_with('-') => mistake(format!("unrecognized arguments: '{first}'")),
        None => {
            let names: Vec<_> = SUBCOMMANDS.iter().map(|subcommand| format!("'{}'", subcommand.name)).collect();
            mistake(format!("invalid choice: '{first}' (choose from {})", names.join(", ")))
        }
    }
}

fn is_help(argument: &str) -> bool {
    argument == "-h" || (argument.len() > 3 && "--help".starts_with(argument))
}

impl Subcommand {
    fn parse(&self, arguments: &[String]) -> Outcome {
        match self.values(arguments) {
            Ok(Some(values)) => Outcome::Run(self.command, values),
            Ok(None) => Outcome::Help(self.help()),
            Err(error) => {
                Outcome::Mistake { usage: self.usage.to_owned(), error: format!("kafka-storage: error: {error}") }
            }
        }
    }

    /// `None` when help is asked for.
    fn values(&self, arguments: &[String]) -> Result<Option<Values>, String> {
        let mut values = Values::default();
        let mut rest = arguments.iter();
        let mut exclusive: Option<&Opt> = None;
        while let Some(argument) = rest.next() {
            if is_help(argument) {
                return Ok(None);
            }
            let (option, attached) = self.option(argument)?;
            let other = exclusive.filter(|other| option.is_exclusive && other.name != option.name);
            if let Some(other) = other {
                return Err(format!("argument {}: not allowed with argument {}", option.both(), other.both()));
            }
            exclusive = if option.is_exclusive { Some(option) } else { exclusive };
            let given = values.0.entry(option.name).or_default();
            match (option.has_value, attached) {
                (true, Some(value)) => given.push(value.to_owned()),
                (true, None) => match rest.next().filter(|value| !looks_like_option(value)) {
                    Some(value) => given.push(value.clone()),
                    None => return Err(format!("argument {}: expected one argument", option.both())),
                },
                (false, None) => {}
                (false, Some(value)) => {
                    return Err(format!("argument {}: ignored explicit argument '{value}'", option.both()));
                }
            }
        }
        // Kafka's tool names the last that is missing of those that it asked for first.
        match self.options.iter().rev().find(|option| option.is_required && !values.has(option.name)) {
            Some(option) => Err(format!("argument {} is required", option.both())),
            None => Ok(Some(values)),
        }
    }

    /// The option that an argument is, with a value that is attached to it.
    fn option<'a>(&self, argument: &'a str) -> Result<(&'static Opt, Option<&'a str>), String> {
        let unknown = || format!("unrecognized arguments: '{argument}'");
        if let Some(long) = argument.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let mut meant = self.options.iter().filter(|option| option.name.starts_with(name) && !name.is_empty());
            let exact = self.options.iter().find(|option| option.name == name);
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
        let option = self.options.iter().find(|option| option.short == letter).ok_or_else(unknown)?;
        let attached = letters.as_str();
        Ok((option, Some(attached.strip_prefix('=').unwrap_or(attached)).filter(|_| !attached.is_empty())))
    }

    fn help(&self) -> String {
        let mut text =
            format!("{}\noptional arguments:\n{}", self.usage, row("-h, --help", "Show this help and exit."));
        for option in self.options {
            let upper = option.name.replace('-', "_").to_uppercase();
            let left = match option.has_value {
                true => format!("--{} {upper}, -{} {upper}", option.name, option.short),
                false => format!("--{}, -{}", option.name, option.short),
            };
            text.push_str(&row(&left, option.help));
        }
        text
    }
}

impl Opt {
    fn both(&self) -> String {
        format!("--{}/-{}", self.name, self.short)
    }
}

fn looks_like_option(argument: &str) -> bool {
    argument.starts_with('-') && argument.len() > 1
}

fn help() -> String {
    let mut text = format!(
        "{USAGE}\nFormats the log directories of a node, and tells about them.\n\npositional arguments:\n  \
         {{info,format,version-mapping,feature-dependencies,random-uuid}}\n"
    );
    for subcommand in &SUBCOMMANDS {
        text.push_str(&row(&format!("  {}", subcommand.name), subcommand.help));
    }
    text + "\noptional arguments:\n" + &row("-h, --help", "Show this help and exit.")
}

fn row(left: &str, right: &str) -> String {
    let left = format!("  {left}");
    if left.len() + 1 < HELP_COLUMN {
        format!("{left:HELP_COLUMN$}{right}\n")
    } else {
        format!("{left}\n{:HELP_COLUMN$}{right}\n", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Outcome {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn error(line: &str) -> String {
        match parsed(line) {
            Outcome::Mistake { error, .. } => error.strip_prefix("kafka-storage: error: ").unwrap().to_owned(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_are_long_short_abbreviated_and_may_be_joined_with_their_value() {
        for line in
            ["format -c f -t x", "format --config=f --cluster-id x", "format --conf f --cluster x", "format -cf -tx"]
        {
            let Outcome::Run(Command::Format, values) = parsed(line) else { panic!("{line}") };
            assert_eq!((values.one("config"), values.one("cluster-id")), (Some("f"), Some("x")), "{line}");
        }
        let Outcome::Run(_, values) = parsed("format -c f -t x -f a=1 -f b=2 -g") else { panic!() };
        assert_eq!(values.all("feature"), ["a=1", "b=2"]);
        assert!(values.has("ignore-formatted") && !values.has("standalone"));
    }

    #[test]
    fn mistakes_have_the_texts_of_argparse() {
        assert_eq!(error(""), "too few arguments");
        assert!(error("bogus").starts_with("invalid choice: 'bogus' (choose from 'info', "));
        assert_eq!(error("info"), "argument --config/-c is required");
        assert_eq!(error("format"), "argument --cluster-id/-t is required");
        assert_eq!(error("info -c"), "argument --config/-c: expected one argument");
        assert_eq!(error("info -c -x"), "argument --config/-c: expected one argument");
        assert_eq!(error("info --bogus"), "unrecognized arguments: '--bogus'");
        assert_eq!(error("random-uuid x"), "unrecognized arguments: 'x'");
        let both = "argument --no-initial-controllers/-N: not allowed with argument --standalone/-s";
        assert_eq!(error("format -c x -t y -s -N"), both);
    }

    #[test]
    fn help_is_no_mistake() {
        for line in ["-h", "--help", "format --help", "info -h", "random-uuid --help"] {
            assert!(matches!(parsed(line), Outcome::Help(_)), "{line}");
        }
    }
}
