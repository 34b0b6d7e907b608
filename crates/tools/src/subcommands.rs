//! How tools run whose arguments are those of argparse4j: what they say of arguments that can't be read, and of work that can't be done.

use crate::argparse::{Outcome, Parser, Values};
use crate::console::Console;
use crate::failure::{KAFKA_COMMIT, KAFKA_VERSION};
use crate::java::exception;
use ottla_client::ClientError;

/// Why a tool stops: a sentence.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl<T: std::error::Error> From<T> for Failure {
    fn from(error: T) -> Self {
        Self(error.to_string())
    }
}

impl Failure {
    /// A client's error as Java's clients tell it, with the exception's class.
    pub(crate) fn of_client(error: &ClientError) -> Self {
        Self(exception(error))
    }

    /// Says it and answers with the exit code.
    pub(crate) fn tell(&self, console: &mut Console) -> i32 {
        console.error_line(&self.0);
        1
    }
}

/// A tool, with subcommands as a rule.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) parser: Parser,
    /// The exit code of one who asks for help.
    pub(crate) help_code: i32,
}

impl Tool {
    /// Reads the arguments and does the work of the subcommand, which answers with the exit code.
    pub(crate) fn run(
        &self,
        arguments: &[String],
        console: &mut Console,
        work: impl FnOnce(&str, &Values, &mut Console) -> Result<i32, Failure>,
    ) -> i32 {
        match self.parser.parse(arguments) {
            Outcome::Run(command, values) => {
                work(command, &values, console).unwrap_or_else(|failure| failure.tell(console))
            }
            Outcome::Help(text) => {
                console.print(&text);
                self.help_code
            }
            Outcome::Version => {
                console.line(&format!("{KAFKA_VERSION} (Commit:{KAFKA_COMMIT})"));
                0
            }
            Outcome::Mistake(mistake) => self.tell(mistake.usage, &mistake.error, console),
        }
    }

    /// As [`Self::run`], for a tool that shows its help to one who gives no argument, and takes that for no mistake.
    pub(crate) fn run_or_help(
        &self,
        arguments: &[String],
        console: &mut Console,
        work: impl FnOnce(&str, &Values, &mut Console) -> Result<i32, Failure>,
    ) -> i32 {
        if arguments.is_empty() {
            console.print(&self.parser.help());
            return 0;
        }
        self.run(arguments, console, work)
    }

    /// Tells of a mistake that was found after the arguments were read, and answers with the exit code.
    pub(crate) fn refuse(&self, error: &str, console: &mut Console) -> i32 {
        self.tell(self.parser.usage, error, console)
    }

    fn tell(&self, usage: &str, error: &str, console: &mut Console) -> i32 {
        console.error(usage);
        console.error_line(&format!("{}: error: {error}", self.name));
        1
    }
}
