//! `kafka-cluster`: a cluster's id and its brokers.

use crate::argparse::{Opt, Options, Parser, Subcommand, Values};
use crate::broker_api_versions::shown;
use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::subcommands::{Failure, Tool};
use ottla_client::{Admin, ClientError};
use ottla_types::NodeId;

const SERVER: Opt = Opt::text("bootstrap-server", "Servers of the cluster, host:port.").short('b').exclusive();
const CONTROLLER: Opt =
    Opt::text("bootstrap-controller", "Controllers of the cluster, host:port.").short('C').exclusive();
const CONFIG: Opt = Opt::text("config", "Deprecated: the same as --command-config.");
const COMMAND_CONFIG: Opt = Opt::text("command-config", "A properties file with settings of the client.").short('c');

const fn needing_server(table: &'static [Opt]) -> Options {
    Options { table, needs_exclusive: true }
}

const PARSER: Parser = Parser {
    about: "Tells about a cluster and its brokers.",
    usage: "usage: kafka-cluster [-h]
                     {cluster-id,unregister,list-endpoints,api-versions}
                     ...\n",
    options: Options::NONE,
    subcommands: &[
        Subcommand {
            name: "cluster-id",
            help: "Tell the cluster's id.",
            usage: "usage: kafka-cluster cluster-id [-h] [--config CONFIG]
                     [--command-config COMMAND_CONFIG]
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)\n",
            options: needing_server(&[SERVER, CONTROLLER, CONFIG, COMMAND_CONFIG]),
        },
        Subcommand {
            name: "unregister",
            help: "Forget a broker that is gone for good.",
            usage: "usage: kafka-cluster unregister [-h] [--config CONFIG]
                     [--command-config COMMAND_CONFIG] --id ID
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)\n",
            options: needing_server(&[
                SERVER,
                CONTROLLER,
                CONFIG,
                COMMAND_CONFIG,
                Opt::integer("id", "The broker.").short('i').required(),
            ]),
        },
        Subcommand {
            name: "list-endpoints",
            help: "List where the brokers are.",
            usage: "usage: kafka-cluster list-endpoints [-h] [--config CONFIG]
                     [--command-config COMMAND_CONFIG]
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)\n",
            options: needing_server(&[SERVER, CONTROLLER, CONFIG, COMMAND_CONFIG]),
        },
        Subcommand {
            name: "api-versions",
            help: "Tell which requests the brokers know.",
            usage: "usage: kafka-cluster api-versions [-h] [--config CONFIG]
                     [--command-config COMMAND_CONFIG]
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)\n",
            options: needing_server(&[SERVER, CONTROLLER, CONFIG, COMMAND_CONFIG]),
        },
    ],
};

/// Runs the tool. Asked for help it ends as if that were a mistake, like Kafka's.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let tool = Tool { name: "kafka-cluster", parser: PARSER, help_code: 1 };
    tool.run(arguments, console, |command, values, console| work(command, values, console).map(|()| 0))
}

fn work(command: &str, values: &Values, console: &mut Console) -> Result<(), Failure> {
    if values.has("config") {
        console.line(
            "Option --config has been deprecated and will be removed in a future version. Use --command-config instead.",
        );
    }
    let path = values.one("command-config").or(values.one("config"));
    if let Some(path) = path.filter(|path| !std::path::Path::new(path).exists()) {
        return Err(Failure(path.to_owned()));
    }
    let properties = path.map(load_properties).transpose().map_err(Failure)?;
    let servers = values.one("bootstrap-server").or(values.one("bootstrap-controller")).unwrap_or_default();
    let admin = admin(servers, properties.as_ref(), None)?;
    match command {
        "cluster-id" => {
            let cluster = block_on(admin.describe_cluster())?.map_err(|error| Failure::of_client(&error))?;
            console.line(&format!("Cluster ID: {}", cluster.cluster_id));
            Ok(())
        }
        "unregister" => unregister(&admin, values.integer("id").unwrap_or_default(), console),
        "list-endpoints" => block_on(list_endpoints(&admin, console))?,
        _ => {
            let brokers = block_on(admin.broker_versions())?.map_err(|error| Failure::of_client(&error))?;
            for (broker, versions) in &brokers {
                console.line(&shown(broker, versions));
            }
            Ok(())
        }
    }
}

fn unregister(admin: &Admin, id: i32, console: &mut Console) -> Result<(), Failure> {
    match block_on(admin.unregister_broker(NodeId(id)))? {
        Ok(()) => console.line(&format!("Broker {id} is no longer registered.")),
        Err(ClientError::UnsupportedApi { .. }) => {
            console.line("The target cluster does not support the broker unregistration API.");
        }
        Err(error) => return Err(Failure::of_client(&error)),
    }
    Ok(())
}

async fn list_endpoints(admin: &Admin, console: &mut Console) -> Result<(), Failure> {
    let cluster = admin.describe_cluster().await.map_err(|error| Failure::of_client(&error))?;
    let racks = cluster.brokers.iter().filter_map(|broker| broker.rack.as_deref());
    let rack_width = racks.map(str::len).max().unwrap_or(10);
    let host_width = cluster.brokers.iter().map(|broker| broker.host.len()).max().unwrap_or_default();
    let mut row = |id: &str, host: &str, port: &str, rack: &str, [state, kind]: [&str; 2]| {
        console.line(&format!("{id:<10} {host:<host_width$} {port:<10} {rack:<rack_width$} {state:<10} {kind:<15}"));
    };
    row("ID", "HOST", "PORT", "RACK", ["STATE", "ENDPOINT_TYPE"]);
    for broker in &cluster.brokers {
        let state = if broker.is_fenced { "fenced" } else { "unfenced" };
        let rack = broker.rack.as_deref().unwrap_or("null");
        row(&broker.id.to_string(), &broker.host, &broker.port.to_string(), rack, [state, "broker"]);
    }
    Ok(())
}
