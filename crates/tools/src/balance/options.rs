use super::facts::Choice;
use crate::console::Console;
use crate::failure::{Stop, exclude, help_or_version, require};
use crate::options::{Opt, Options, Parsed};
use std::collections::BTreeSet;

pub(super) const OPTIONS: Options = Options {
    about: "Spreads replicas and leaders evenly over the brokers, with as few copies as it takes, and shows how far it is: after a broker was \
            added, or before one goes. Asks before it begins. Works with every server that speaks Kafka's protocol.",
    table: &[
        Opt::text("bootstrap-server", "server to connect to", "Servers of the cluster, host:port."),
        Opt::text("command-config", "config property file", "A properties file with settings of the client."),
        Opt::flag("dry-run", "Say what would move, and do nothing."),
        Opt::flag("yes", "Don't ask."),
        Opt::long(
            "throttle",
            "bytes",
            "How many bytes a second each broker may send, and take, for what moves; no limit if unset.",
        ),
        Opt::text(
            "brokers",
            "ids",
            "The brokers that are to have all replicas, by commas; all that are there if unset.",
        ),
        Opt::text("drain", "ids", "Brokers that are to have no replicas, by commas."),
        Opt::flag(
            "resume",
            "Show how far a reassignment is that was begun before, and take its limits away at its end.",
        ),
        Opt::flag("cancel", "End a reassignment that is under way, put its partitions back, and take its limits away."),
    ],
};

/// What is to be done.
pub(super) enum Action {
    /// Plan, show, and carry out.
    Balance {
        choice: Choice,
        is_dry: bool,
        is_asked: bool,
    },
    Resume,
    Cancel,
}

/// What the arguments ask for, if they fit together.
pub(super) fn action(parsed: &Parsed, console: &mut Console) -> Result<Action, Stop> {
    help_or_version(&OPTIONS, parsed, console)?;
    require(parsed, "bootstrap-server")?;
    exclude(parsed, "resume", &["cancel", "dry-run", "yes", "brokers", "drain"])?;
    exclude(parsed, "cancel", &["dry-run", "brokers", "drain", "throttle", "yes"])?;
    exclude(parsed, "brokers", &["drain"])?;
    if parsed.number("throttle")?.is_some_and(|rate| rate <= 0) {
        return Err(Stop::Usage("--throttle is a number of bytes a second, and greater than 0.".to_owned()));
    }
    if parsed.has("resume") {
        return Ok(Action::Resume);
    }
    if parsed.has("cancel") {
        return Ok(Action::Cancel);
    }
    let choice = match (ids(parsed, "brokers")?, ids(parsed, "drain")?) {
        (Some(brokers), _) => Choice::Only(brokers),
        (None, Some(drained)) => Choice::AllBut(drained),
        (None, None) => Choice::All,
    };
    Ok(Action::Balance { choice, is_dry: parsed.has("dry-run"), is_asked: !parsed.has("yes") })
}

fn ids(parsed: &Parsed, name: &str) -> Result<Option<BTreeSet<i32>>, Stop> {
    let Some(text) = parsed.value(name)? else { return Ok(None) };
    let number = |id: &str| {
        id.trim()
            .parse()
            .map_err(|_| Stop::Usage(format!("--{name} takes ids of brokers by commas, and {id:?} is none.")))
    };
    text.split(',').map(number).collect::<Result<_, _>>().map(Some)
}
