use crate::console::Console;
use crate::options::{OptionError, Options};

/// Why a tool stops before it did its work.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// Everything is said: exit with this code.
    Exit(i32),
    /// The arguments are wrong: this is said, then the options are shown.
    Usage(String),
    /// This is said, and nothing more.
    Message(String),
    /// The arguments are wrong in a way of which Java's exception is told.
    Option(OptionError),
}

impl From<OptionError> for Stop {
    fn from(error: OptionError) -> Self {
        Self::Option(error)
    }
}

impl Stop {
    /// Says it and answers with the exit code.
    pub(crate) fn tell(self, options: &Options, console: &mut Console) -> i32 {
        match self {
            Self::Exit(code) => return code,
            Self::Usage(message) => {
                console.error_line(&message);
                console.error(&options.help());
            }
            Self::Message(message) => console.error_line(&message),
            Self::Option(error) => {
                console.error_line(&error.to_string());
                console.error_line(&format!("{}: {error}\n", error.java_class));
            }
        }
        1
    }
}

/// Shows help or version when they are asked for; a tool called without any argument shows its help too.
pub(crate) fn help_or_version(
    options: &Options,
    parsed: &crate::options::Parsed,
    console: &mut Console,
) -> Result<(), Stop> {
    if parsed.is_empty || parsed.has("help") {
        return Err(Stop::Usage(options.about.to_owned()));
    }
    if parsed.has("version") {
        console.line(KAFKA_VERSION);
        return Err(Stop::Exit(0));
    }
    Ok(())
}

/// The version of Apache Kafka whose tools these equal.
pub(crate) const KAFKA_VERSION: &str = include_str!("../../../oracle/KAFKA_VERSION").trim_ascii();

/// The commit that this version of Apache Kafka was built from, as it tells it itself.
pub(crate) const KAFKA_COMMIT: &str = "1156b2752aaa28ea";

/// Whether the option is there.
pub(crate) fn require(parsed: &crate::options::Parsed, name: &str) -> Result<(), Stop> {
    if parsed.has(name) { Ok(()) } else { Err(Stop::Usage(format!("Missing required argument \"[{name}]\""))) }
}

/// Whether none of these options is there together with this one.
pub(crate) fn exclude(parsed: &crate::options::Parsed, used: &str, invalid: &[&str]) -> Result<(), Stop> {
    let clash = invalid.iter().find(|other| parsed.has(used) && parsed.has(other));
    match clash {
        Some(other) => Err(Stop::Usage(format!("Option \"[{used}]\" can't be used with option \"[{other}]\""))),
        None => Ok(()),
    }
}
