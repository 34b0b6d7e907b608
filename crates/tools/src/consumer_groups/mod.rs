//! `kafka-consumer-groups`: lists, describes and deletes groups, and manages their committed offsets.

mod delete;
mod describe;
mod list;
mod members;
mod options;
mod pattern;
mod plan;
mod reset;
mod time;

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::Stop;
use crate::java;
use crate::options::{OptionError, Parsed};
use options::OPTIONS;
use ottla_client::{Admin, ClientError};

/// Why the work ends early.
#[derive(Debug)]
enum Failure {
    /// The arguments can't be meant so: said with the options, and the exit code is 1.
    Usage(String),
    /// Something went wrong on the way: said on the output, its exception in the errors, and the exit code is 0, as Kafka's
    /// tool has it.
    Failed { message: String, exception: String },
}

impl Failure {
    /// A failure that Java would wrap in one exception and throw as another.
    fn wrapped(wrapper: &str, exception: String) -> Self {
        Self::Failed { exception: format!("{wrapper}: {exception}"), message: exception }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::wrapped("java.util.concurrent.ExecutionException", java::exception(&error))
    }
}

impl From<OptionError> for Failure {
    fn from(error: OptionError) -> Self {
        Self::Failed { message: error.to_string(), exception: format!("{}: {error}", error.java_class) }
    }
}

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = match options::parse(arguments, console) {
        Ok(parsed) => parsed,
        Err(Stop::Option(error)) => {
            console.error_line(&error.uncaught());
            return 1;
        }
        Err(stop) => return stop.tell(&OPTIONS, console),
    };
    match work(&parsed, console) {
        Ok(()) => 0,
        Err(Failure::Usage(message)) => Stop::Usage(message).tell(&OPTIONS, console),
        Err(Failure::Failed { message, exception }) => {
            let message = format!("Executing consumer group command failed due to {message}");
            print_error(&message, console);
            console.error_line(&exception);
            0
        }
    }
}

/// Says on the output that something is wrong, after an empty line.
fn print_error(message: &str, console: &mut Console) {
    console.line(&format!("\nError: {message}"));
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Failure> {
    if let Some(pattern) = parsed.value("validate-regex")? {
        pattern::validate(&pattern, console);
        return Ok(());
    }
    let timeout = parsed.number("timeout")?.unwrap_or_default();
    let properties = match parsed.value("command-config")? {
        Some(path) => Some(load_properties(&path).map_err(|_| unreadable(&path))?),
        None => None,
    };
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let done = block_on(async {
        let admin = admin(&servers, properties.as_ref(), Some(timeout))?;
        act(&admin, parsed, console).await
    });
    done.unwrap_or_else(|error| Err(Failure::wrapped("java.lang.RuntimeException", error.to_string())))
}

fn unreadable(path: &str) -> Failure {
    Failure::wrapped("java.lang.RuntimeException", format!("java.nio.file.NoSuchFileException: {path}"))
}

async fn act(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), Failure> {
    if parsed.has("list") {
        list::list(admin, parsed, console).await
    } else if parsed.has("describe") {
        describe::describe(admin, parsed, console).await
    } else if parsed.has("delete") {
        delete::groups(admin, parsed, console).await
    } else if parsed.has("reset-offsets") {
        reset::reset(admin, parsed, console).await
    } else {
        delete::offsets(admin, parsed, console).await
    }
}

/// The groups that the arguments name: those of `--group`, or all consumer groups there are.
async fn chosen(admin: &Admin, parsed: &Parsed) -> Result<Vec<String>, Failure> {
    if !parsed.has("all-groups") {
        return Ok(parsed.values("group"));
    }
    Ok(list::consumer_groups(admin, &[], &[]).await?.into_iter().map(|group| group.group_id).collect())
}
