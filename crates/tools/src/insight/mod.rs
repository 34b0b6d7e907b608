//! `ottla status` and `ottla explain`: what is wrong, why, and what to do about it, in sentences.
//!
//! Facts are gathered over Kafka's protocol, so that they can be had of any server that speaks it; what follows from them is decided by
//! functions of facts alone.

mod explain;
mod facts;
mod findings;
mod scrape;
mod screen;

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::{Stop, help_or_version};
use crate::options::{Opt, Options, Parsed};
use ottla_client::{Admin, ClientError};
use ottla_types::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a server is when nobody says where.
const SERVERS: &str = "localhost:9092";

/// All is well.
const WELL: i32 = 0;
/// Something is wrong with what was looked at.
const WRONG: i32 = 2;

const BOOTSTRAP: Opt =
    Opt::text("bootstrap-server", "server to connect to", "Servers, host:port; localhost:9092 if unset.");
const COMMAND_CONFIG: Opt =
    Opt::text("command-config", "config property file", "A properties file with settings of the client.");
const METRICS: Opt = Opt::text(
    "metrics",
    "host:port",
    "Where the server shows its metrics, if it does; it is asked for that if this is unset.",
);

const STATUS: Options = Options {
    about: "Shows how a server does on one screen, what is wrong and what to do. Exits with 2 when something is wrong.",
    table: &[BOOTSTRAP, COMMAND_CONFIG, METRICS],
};

const EXPLAIN: Options = Options {
    about: "Explains why a group rebalances or does not read, what keeps readers of a topic back, or what limits a client: \
            explain group|topic|client NAME. Exits with 2 when something is wrong.",
    table: &[BOOTSTRAP, COMMAND_CONFIG],
};

/// Runs `status`.
pub(crate) fn status(arguments: &[String], console: &mut Console) -> i32 {
    let done = STATUS
        .parse(arguments)
        .map_err(|error| Stop::Usage(error.to_string()))
        .and_then(|parsed| show_status(&parsed, console));
    done.unwrap_or_else(|stop| stop.tell(&STATUS, console))
}

fn show_status(parsed: &Parsed, console: &mut Console) -> Result<i32, Stop> {
    if !parsed.is_empty {
        help_or_version(&STATUS, parsed, console)?;
    }
    let metrics = parsed.value("metrics")?;
    let (facts, findings) = work(parsed, async |admin| {
        let facts = facts::gather(&admin, metrics).await?;
        let findings = findings::of(&facts, now());
        Ok((facts, findings))
    })?;
    console.print(&screen::of(&facts, &findings));
    Ok(if findings.is_empty() { WELL } else { WRONG })
}

/// Runs `explain`.
pub(crate) fn explain(arguments: &[String], console: &mut Console) -> i32 {
    // What is to be explained stands before the options.
    let (subject, options) = match arguments {
        [kind, name, options @ ..] if !kind.starts_with('-') && !name.starts_with('-') => (Some((kind, name)), options),
        options => (None, options),
    };
    let done = EXPLAIN
        .parse(options)
        .map_err(|error| Stop::Usage(error.to_string()))
        .and_then(|parsed| show_explanation(&parsed, subject, console));
    done.unwrap_or_else(|stop| stop.tell(&EXPLAIN, console))
}

fn show_explanation(parsed: &Parsed, subject: Option<(&String, &String)>, console: &mut Console) -> Result<i32, Stop> {
    if !parsed.is_empty {
        help_or_version(&EXPLAIN, parsed, console)?;
    }
    let usage = || Stop::Usage("Say what to explain: group NAME, topic NAME or client ID.".to_owned());
    let (kind, name) = subject.ok_or_else(usage)?;
    let explanation = match kind.as_str() {
        "group" => work(parsed, async |admin| explain::group(&admin, name).await)?,
        "topic" => work(parsed, async |admin| explain::topic(&admin, name, now()).await)?,
        "client" => work(parsed, async |admin| explain::client(&admin, name).await)?,
        _ => return Err(usage()),
    };
    for sentence in &explanation.sentences {
        console.line(sentence);
    }
    Ok(if explanation.is_well { WELL } else { WRONG })
}

/// Does a tool's work with an admin client of the servers that the options name.
fn work<T>(parsed: &Parsed, work: impl AsyncFnOnce(Admin) -> Result<T, ClientError>) -> Result<T, Stop> {
    let servers = parsed.value("bootstrap-server")?.unwrap_or_else(|| SERVERS.to_owned());
    let properties = parsed.value("command-config")?.map(|path| load_properties(&path)).transpose();
    let properties = properties.map_err(Stop::Message)?;
    let done = block_on(async { work(admin(&servers, properties.as_ref(), None)?).await });
    let failed = |error: &dyn std::fmt::Display| Stop::Message(format!("{servers} can't be asked: {error}"));
    done.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
