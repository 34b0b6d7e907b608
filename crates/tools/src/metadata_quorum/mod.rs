//! `kafka-metadata-quorum`: the quorum that keeps the cluster's metadata.

mod new_controller;

use crate::argparse::{Opt, Options, Parser, Subcommand, Values};
use crate::connection::{Servers, admin, block_on, load_properties};
use crate::console::Console;
use crate::java::now_ms;
use crate::subcommands::{Failure, Tool};
use crate::table;
use new_controller::new_controller;
use ottla_client::{Admin, ClientError, QuorumDescription, QuorumReplica};
use ottla_config::Properties;
use ottla_types::{NodeId, Timestamp, Uuid};

const PARSER: Parser = Parser {
    about: "Shows and changes the quorum that keeps the cluster's metadata.",
    usage: "usage: kafka-metadata-quorum [-h] [--command-config COMMAND_CONFIG]
                             (--bootstrap-server BOOTSTRAP_SERVER |
                             --bootstrap-controller BOOTSTRAP_CONTROLLER)
                             {describe,add-controller,remove-controller}
                             ...\n",
    options: Options {
        table: &[
            Opt::text("bootstrap-server", "Servers of the cluster, host:port.").exclusive(),
            Opt::text("bootstrap-controller", "Controllers of the cluster, host:port.").exclusive(),
            Opt::text("command-config", "A properties file with settings of the client."),
        ],
        needs_exclusive: true,
    },
    subcommands: &[
        Subcommand {
            name: "describe",
            help: "Describe the quorum.",
            usage: "usage: kafka-metadata-quorum (--bootstrap-server BOOTSTRAP_SERVER |
                             --bootstrap-controller BOOTSTRAP_CONTROLLER)
                             describe [-h] [--status] [--replication]
                             [--human-readable]\n",
            options: Options::of(&[
                Opt::flag("status", "A short summary."),
                Opt::flag("replication", "How far each replica is."),
                Opt::flag("human-readable", "Times as how long ago they were."),
            ]),
        },
        Subcommand {
            name: "add-controller",
            help: "Make a controller a voter; its configuration is that of --command-config.",
            usage: "usage: kafka-metadata-quorum (--bootstrap-server BOOTSTRAP_SERVER |
                             --bootstrap-controller BOOTSTRAP_CONTROLLER)
                             add-controller [-h] [--dry-run]\n",
            options: Options::of(&[Opt::flag("dry-run", "Only tell what would be done.")]),
        },
        Subcommand {
            name: "remove-controller",
            help: "Take a voter out of the quorum.",
            usage: "usage: kafka-metadata-quorum (--bootstrap-server BOOTSTRAP_SERVER |
                             --bootstrap-controller BOOTSTRAP_CONTROLLER)
                             remove-controller [-h]
                             --controller-id CONTROLLER_ID
                             --controller-directory-id CONTROLLER_DIRECTORY_ID
                             [--dry-run] [--unregister]\n",
            options: Options::of(&[
                Opt::integer("controller-id", "The voter's node.").short('i').required(),
                Opt::text("controller-directory-id", "The voter's directory.").short('d').required(),
                Opt::flag("dry-run", "Only tell what would be done."),
                Opt::flag("unregister", "Forget the controller, too."),
            ]),
        },
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let tool = Tool { name: "kafka-metadata-quorum", parser: PARSER, help_code: 0 };
    tool.run(arguments, console, |command, values, console| work(command, values, console).map(|()| 0))
}

fn refused<T>(sentence: &str) -> Result<T, Failure> {
    Err(Failure(sentence.to_owned()))
}

fn work(command: &str, values: &Values, console: &mut Console) -> Result<(), Failure> {
    let path = values.one("command-config");
    if let Some(path) = path.filter(|path| !std::path::Path::new(path).exists()) {
        return Err(Failure(format!("Properties file {path} does not exist.")));
    }
    let properties = path.map(load_properties).transpose().map_err(Failure)?;
    let servers = values.one("bootstrap-server").or(values.one("bootstrap-controller")).unwrap_or_default();
    let admin = admin(servers, properties.as_ref(), None)?;
    block_on(ask(&admin, command, values, properties.as_ref(), console))?
}

async fn ask(
    admin: &Admin,
    command: &str,
    values: &Values,
    properties: Option<&Properties>,
    console: &mut Console,
) -> Result<(), Failure> {
    let servers = Servers::of(values.has("bootstrap-controller"));
    match (command, values.has("status"), values.has("replication"), values.has("human-readable")) {
        ("add-controller", ..) => {
            let controller = new_controller(properties)?;
            servers.check(admin).await.map_err(|error| Failure::of_client(&error))?;
            controller.add(admin, values.has("dry-run"), console).await
        }
        ("remove-controller", ..) => remove(admin, values, servers, console).await,
        (_, true, true, _) => {
            refused("Only one of --status or --replication should be specified with describe sub-command")
        }
        (_, true, false, true) => refused("The option --human-readable is only supported along with --replication"),
        (_, false, false, _) => refused("One of --status or --replication must be specified with describe sub-command"),
        (_, is_status, _, is_human) => {
            servers.check(admin).await.map_err(|error| Failure::of_client(&error))?;
            if is_status { status(admin, console).await } else { replication(admin, is_human, console).await }
        }
    }
}

async fn remove(admin: &Admin, values: &Values, servers: Servers, console: &mut Console) -> Result<(), Failure> {
    let id = values.number("controller-id").unwrap_or_default();
    if id < 0 {
        return Err(Failure(format!("Invalid negative --controller-id: {id}")));
    }
    let directory = values.one("controller-directory-id").unwrap_or_default();
    let directory: Uuid =
        directory.parse().map_err(|error| Failure(format!("Failed to parse --controller-directory-id: {error}")))?;
    let (is_dry_run, forgets) = (values.has("dry-run"), values.has("unregister"));
    // Who wanted more than was done is told how to do the rest.
    let by_hand = |what: &str, error: ClientError| {
        Failure(format!(
            "Failed to {what} {id}: {error}. To unregister the controller from the cluster, run `kafka-cluster.sh \
             unregister-controller --id {id}`."
        ))
    };
    if !is_dry_run {
        servers.check(admin).await.map_err(|error| Failure::of_client(&error))?;
        let removed = admin.remove_raft_voter(NodeId(id), directory).await;
        removed.map_err(
            |error| {
                if forgets { by_hand("remove KRaft voter", error) } else { Failure::of_client(&error) }
            },
        )?;
    }
    let done = if is_dry_run { "DRY RUN of removing" } else { "Removed" };
    console.line(&format!("{done} KRaft controller {id} with directory id {directory}"));
    if !forgets {
        return Ok(());
    }
    if !is_dry_run {
        let forgotten = admin.unregister_controller(NodeId(id)).await;
        forgotten.map_err(|error| by_hand("unregister controller", error))?;
    }
    let done = if is_dry_run { "DRY RUN of unregistering" } else { "Unregistered" };
    console.line(&format!("{done} KRaft controller {id}"));
    Ok(())
}

fn leader(quorum: &QuorumDescription) -> Result<&QuorumReplica, Failure> {
    let leader = quorum.voters.iter().find(|voter| voter.id == quorum.leader_id);
    leader.ok_or_else(|| Failure("No value present".to_owned()))
}

async fn status(admin: &Admin, console: &mut Console) -> Result<(), Failure> {
    let cluster = admin.describe_cluster().await.map_err(|error| Failure::of_client(&error))?;
    let quorum = admin.describe_quorum().await.map_err(|error| Failure::of_client(&error))?;
    let leader = leader(&quorum)?;
    let last = quorum.voters.iter().min_by_key(|voter| voter.log_end_offset).unwrap_or(leader);
    let lag_ms = match (leader.last_caught_up, last.last_caught_up) {
        _ if leader == last => 0,
        (Some(leader), Some(last)) => leader.0.saturating_sub(last.0),
        _ => -1,
    };
    console.line(&format!("ClusterId:              {}", cluster.cluster_id));
    console.line(&format!("LeaderId:               {}", quorum.leader_id));
    console.line(&format!("LeaderEpoch:            {}", quorum.leader_epoch));
    console.line(&format!("HighWatermark:          {}", quorum.high_watermark));
    console.line(&format!("MaxFollowerLag:         {}", leader.log_end_offset.saturating_sub(last.log_end_offset)));
    console.line(&format!("MaxFollowerLagTimeMs:   {lag_ms}"));
    console.line(&format!("CurrentVoters:          [{}]", listed(&quorum, &quorum.voters)));
    console.line(&format!("CurrentObservers:       [{}]", listed(&quorum, &quorum.observers)));
    Ok(())
}

fn listed(quorum: &QuorumDescription, replicas: &[QuorumReplica]) -> String {
    let replica = |replica: &QuorumReplica| {
        let mut text = format!("{{\"id\": {}", replica.id);
        // The directory of a static voter is not known.
        if !replica.directory_id.is_zero() {
            text.push_str(&format!(", \"directoryId\": \"{}\"", replica.directory_id));
        }
        if let Some(endpoints) = quorum.endpoints.get(&replica.id).filter(|endpoints| !endpoints.is_empty()) {
            text.push_str(&format!(", \"endpoints\": [\"{}\"]", endpoints.join("\", \"")));
        }
        text + "}"
    };
    replicas.iter().map(replica).collect::<Vec<_>>().join(", ")
}

const TITLES: [&str; 7] =
    ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"];

async fn replication(admin: &Admin, is_human: bool, console: &mut Console) -> Result<(), Failure> {
    let quorum = admin.describe_quorum().await.map_err(|error| Failure::of_client(&error))?;
    let leader = leader(&quorum)?;
    let followers = quorum.voters.iter().filter(|voter| voter.id != quorum.leader_id).map(|voter| (voter, "Follower"));
    let observers = quorum.observers.iter().map(|observer| (observer, "Observer"));
    let time = |time: Option<Timestamp>| match time {
        None => "-1".to_owned(),
        Some(time) if is_human => format!("{} ms ago", now_ms().saturating_sub(time.0)),
        Some(time) => time.0.to_string(),
    };
    let mut rows = Vec::new();
    for (replica, status) in [(leader, "Leader")].into_iter().chain(followers).chain(observers) {
        rows.push([
            replica.id.to_string(),
            replica.directory_id.to_string(),
            replica.log_end_offset.to_string(),
            leader.log_end_offset.saturating_sub(replica.log_end_offset).to_string(),
            time(replica.last_fetch),
            time(replica.last_caught_up),
            status.to_owned(),
        ]);
    }
    table::print(TITLES, &rows, console);
    Ok(())
}
