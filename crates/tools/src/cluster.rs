//! `kafka-cluster`: a cluster's id and its brokers.

use crate::argparse::{Opt, Options, Parser, Subcommand, Values};
use crate::broker_api_versions::shown;
use crate::connection::{Servers, admin, block_on, load_properties};
use crate::console::Console;
use crate::subcommands::{Failure, Tool};
use ottla_client::{Admin, ClientError, Endpoints};
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
                     {cluster-id,unregister,unregister-controller,list-endpoints,api-versions}
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
            name: "unregister-controller",
            help: "Forget a controller that is gone for good.",
            usage: "usage: kafka-cluster unregister-controller [-h] [--config CONFIG]
                     [--command-config COMMAND_CONFIG] --id ID
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)\n",
            options: needing_server(&[
                SERVER,
                CONTROLLER,
                CONFIG,
                COMMAND_CONFIG,
                Opt::integer("id", "The controller.").short('i').required(),
            ]),
        },
        Subcommand {
            name: "list-endpoints",
            help: "List where the brokers, or the controllers, are.",
            usage: "usage: kafka-cluster list-endpoints [-h] [--config CONFIG]
                     [--command-config COMMAND_CONFIG]
                     [--include-fenced-brokers]
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)\n",
            options: needing_server(&[
                SERVER,
                CONTROLLER,
                CONFIG,
                COMMAND_CONFIG,
                Opt::flag("include-fenced-brokers", "Also the brokers that are fenced."),
            ]),
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
    let properties = path.map(load_properties).transpose().map_err(Failure)?;
    let servers = values.one("bootstrap-server").or(values.one("bootstrap-controller")).unwrap_or_default();
    let admin = admin(servers, properties.as_ref(), None)?;
    block_on(ask(&admin, command, values, console))?
}

async fn ask(admin: &Admin, command: &str, values: &Values, console: &mut Console) -> Result<(), Failure> {
    let servers = Servers::of(values.has("bootstrap-controller"));
    if command == "list-endpoints" && servers == Servers::Controllers && values.has("include-fenced-brokers") {
        let error = "The option --include-fenced-brokers is only supported with --bootstrap-server option";
        return Err(Failure(error.to_owned()));
    }
    servers.check(admin).await.map_err(|error| Failure::of_client(&error))?;
    let node = NodeId(values.number("id").unwrap_or_default());
    match command {
        "cluster-id" => {
            let cluster = admin.describe_endpoints(endpoints(servers, values)).await;
            let cluster = cluster.map_err(|error| Failure::of_client(&error))?;
            console.line(&format!("Cluster ID: {}", cluster.cluster_id));
            Ok(())
        }
        "unregister" => unregistered("Broker", "broker", node, admin.unregister_broker(node).await, console),
        "unregister-controller" => {
            unregistered("Controller", "controller", node, admin.unregister_controller(node).await, console)
        }
        "list-endpoints" => list_endpoints(admin, endpoints(servers, values), console).await,
        _ => {
            let nodes = match servers {
                Servers::Brokers => admin.broker_versions().await,
                Servers::Controllers => match admin.describe_endpoints(Endpoints::Controllers).await {
                    Ok(cluster) => Ok(admin.versions_of(cluster.brokers).await),
                    Err(error) => Err(error),
                },
            };
            for (broker, versions) in &nodes.map_err(|error| Failure::of_client(&error))? {
                console.line(&shown(broker, versions));
            }
            Ok(())
        }
    }
}

fn endpoints(servers: Servers, values: &Values) -> Endpoints {
    match servers {
        Servers::Controllers => Endpoints::Controllers,
        Servers::Brokers if values.has("include-fenced-brokers") => Endpoints::AllBrokers,
        Servers::Brokers => Endpoints::Brokers,
    }
}

fn unregistered(
    title: &str,
    kind: &str,
    id: NodeId,
    result: Result<(), ClientError>,
    console: &mut Console,
) -> Result<(), Failure> {
    match result {
        Ok(()) => console.line(&format!("{title} {id} is no longer registered.")),
        Err(ClientError::UnsupportedApi { .. }) => {
            console.line(&format!("The target cluster does not support the {kind} unregistration API."));
        }
        Err(error) => return Err(Failure::of_client(&error)),
    }
    Ok(())
}

async fn list_endpoints(admin: &Admin, endpoints: Endpoints, console: &mut Console) -> Result<(), Failure> {
    let cluster = admin.describe_endpoints(endpoints).await.map_err(|error| Failure::of_client(&error))?;
    let racks = cluster.brokers.iter().filter_map(|broker| broker.rack.as_deref());
    let rack_width = racks.map(str::len).max().unwrap_or(10);
    let host_width = cluster.brokers.iter().map(|broker| broker.host.len()).max().unwrap_or_default();
    let mut row = |id: &str, host: &str, port: &str, rack: &str, [state, kind]: [&str; 2]| {
        // A controller is never fenced.
        let state = if endpoints == Endpoints::Controllers { String::new() } else { format!("{state:<10} ") };
        console.line(&format!("{id:<10} {host:<host_width$} {port:<10} {rack:<rack_width$} {state}{kind:<15}"));
    };
    row("ID", "HOST", "PORT", "RACK", ["STATE", "ENDPOINT_TYPE"]);
    for node in &cluster.brokers {
        let state = if node.is_fenced { "fenced" } else { "unfenced" };
        let kind = if endpoints == Endpoints::Controllers { "controller" } else { "broker" };
        let rack = node.rack.as_deref().unwrap_or("null");
        row(&node.id.to_string(), &node.host, &node.port.to_string(), rack, [state, kind]);
    }
    Ok(())
}
