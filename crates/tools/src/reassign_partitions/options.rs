use super::Stop;
use crate::console::Console;
use crate::failure::{help_or_version, require};
use crate::options::{Opt, Options, Parsed};

pub(super) const OPTIONS: Options = Options {
    about: "This tool helps to move topic partitions between replicas.",
    table: &[
        Opt::flag("verify", "Tell whether a reassignment is done; if so, take away its throttles."),
        Opt::flag("generate", "Propose a reassignment, but do not begin it."),
        Opt::flag("execute", "Begin a reassignment."),
        Opt::flag("cancel", "Cancel a reassignment."),
        Opt::flag("list", "List the reassignments that are under way."),
        Opt::text("bootstrap-server", "Server(s) to use for bootstrapping", "Servers of the cluster, host:port."),
        Opt::text(
            "bootstrap-controller",
            "Controller(s) to use for bootstrapping",
            "Controllers of the cluster, host:port; for --list and --cancel.",
        ),
        Opt::text("command-config", "Admin client property file", "A properties file with settings of the client."),
        Opt::text(
            "reassignment-json-file",
            "manual assignment json file path",
            "A JSON file with the partitions and their replicas, in this form:\n\
             {\"partitions\":\n  [{\"topic\": \"foo\",\n    \"partition\": 1,\n    \"replicas\": [1,2,3],\n    \
             \"log_dirs\": [\"dir1\",\"any\",\"any\"]}],\n \"version\":1\n}\n\
             log_dirs may be left out; any means the directory that the broker chooses.",
        ),
        Opt::text(
            "topics-to-move-json-file",
            "topics to reassign json file path",
            "A JSON file with the topics to move to the brokers of --broker-list, in this form:\n\
             {\"topics\":\n  [{\"topic\": \"foo\"}],\n \"version\":1\n}",
        ),
        Opt::text("broker-list", "brokerlist", "The brokers to move to, separated by commas."),
        Opt::flag("disable-rack-aware", "Pay no regard to racks."),
        Opt::long("throttle", "throttle", "How many bytes a second may move between brokers.").with_default("-1"),
        Opt::long(
            "replica-alter-log-dirs-throttle",
            "replicaAlterLogDirsThrottle",
            "How many bytes a second may move between log directories.",
        )
        .with_default("-1"),
        Opt::long("timeout", "timeout", "How many milliseconds to wait for moves between log directories to begin.")
            .with_default("10000"),
        Opt::flag("additional", "Do it beside other reassignments, or change the throttles of this one."),
        Opt::flag("preserve-throttles", "Do not change throttles."),
        Opt::flag("disallow-replication-factor-change", "Refuse to give a partition more or fewer replicas."),
    ],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Generate,
    Execute,
    Verify,
    Cancel,
    List,
}

impl Action {
    const ALL: [Self; 5] = [Self::Generate, Self::Execute, Self::Verify, Self::Cancel, Self::List];

    fn option(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Execute => "execute",
            Self::Verify => "verify",
            Self::Cancel => "cancel",
            Self::List => "list",
        }
    }

    /// The options that it can't do without.
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Generate => &["topics-to-move-json-file", "broker-list"],
            Self::Execute | Self::Verify | Self::Cancel => &["reassignment-json-file"],
            Self::List => &[],
        }
    }

    /// The other options that it has a use for.
    fn permitted(self) -> &'static [&'static str] {
        match self {
            Self::Generate => &["bootstrap-server", "command-config", "disable-rack-aware"],
            Self::Execute => &[
                "additional",
                "bootstrap-server",
                "command-config",
                "throttle",
                "replica-alter-log-dirs-throttle",
                "timeout",
                "disallow-replication-factor-change",
            ],
            Self::Verify => &["bootstrap-server", "command-config", "preserve-throttles"],
            Self::Cancel => {
                &["bootstrap-server", "bootstrap-controller", "command-config", "preserve-throttles", "timeout"]
            }
            Self::List => &["bootstrap-server", "bootstrap-controller", "command-config"],
        }
    }
}

/// What is to be done, when all options fit it.
pub(super) fn check(parsed: &Parsed, console: &mut Console) -> Result<Action, Stop> {
    help_or_version(&OPTIONS, parsed, console)?;
    let usage = |sentence: String| Err(Stop::Usage(sentence));
    let mut actions = Action::ALL.into_iter().filter(|action| parsed.has(action.option()));
    let (Some(action), None) = (actions.next(), actions.next()) else {
        let all: Vec<_> = Action::ALL.iter().map(|action| format!("--{}", action.option())).collect();
        return usage(format!("Command must include exactly one action: {}", all.join(", ")));
    };
    match (parsed.has("bootstrap-server"), parsed.has("bootstrap-controller")) {
        (true, true) => {
            return usage("Please don't specify both --bootstrap-server and --bootstrap-controller".to_owned());
        }
        (false, false) => {
            return usage("Please specify either --bootstrap-server or --bootstrap-controller".to_owned());
        }
        _ => {}
    }
    for option in action.required() {
        require(parsed, option)?;
    }
    let fits = |option: &str| {
        option == action.option() || action.required().contains(&option) || action.permitted().contains(&option)
    };
    match parsed.order().find(|option| !fits(option)) {
        Some(other) => usage(format!("Option \"[{other}]\" can't be used with action \"[{}]\"", action.option())),
        None => Ok(action),
    }
}
