//! Nodes that outlive the command that started them: started, stopped and found again by name.

use crate::node::{NodeOptions, configure, format, launch, signal, wait_until_it_answers};
use crate::{Oracle, OracleError};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Where the first node listens that is started without a port.
const FIRST_PORT: u16 = 19092;
/// The controller listener's distance from the client listener.
const CONTROLLER_DISTANCE: u16 = 1000;
/// The last voters of a cluster have no quorum left for their controlled shutdown and take long.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Starts the node `name` with `settings` of the form `key=value` and waits until it answers.
///
/// # Errors
/// It runs already, a setting makes no sense, or it does not start.
pub fn start(oracle: &Oracle, name: &str, settings: &[String]) -> Result<(), OracleError> {
    begin(oracle, name, settings)?;
    wait(oracle, name)
}

/// Starts the nodes `c1` to `cN`, of which the first three are voters.
///
/// # Errors
/// As [`start`], for the first that fails.
pub fn cluster(oracle: &Oracle, count: &str, settings: &[String]) -> Result<(), OracleError> {
    let count: u16 = count.parse().map_err(|_| OracleError::Argument("cluster needs a number of nodes".to_owned()))?;
    let copies = count.min(3);
    let port = |id: u16| FIRST_PORT + id - 1;
    let voters: Vec<String> =
        (1..=copies).map(|id| format!("{id}@127.0.0.1:{}", port(id) + CONTROLLER_DISTANCE)).collect();
    for id in 1..=count {
        let roles = if id <= copies { "broker,controller" } else { "broker" };
        let least = if copies > 1 { 2 } else { 1 };
        let mut all = vec![
            format!("port={}", port(id)),
            format!("node.id={id}"),
            format!("process.roles={roles}"),
            format!("controller.quorum.voters={}", voters.join(",")),
            format!("offsets.topic.replication.factor={copies}"),
            format!("transaction.state.log.replication.factor={copies}"),
            format!("transaction.state.log.min.isr={least}"),
            format!("share.coordinator.state.topic.replication.factor={copies}"),
            format!("share.coordinator.state.topic.min.isr={least}"),
        ];
        all.extend_from_slice(settings);
        begin(oracle, &format!("c{id}"), &all)?;
    }
    (1..=count).try_for_each(|id| wait(oracle, &format!("c{id}")))
}

/// Sends `signal_name` to all of `names` and then waits for all: the last voter of a cluster can't leave alone.
///
/// # Errors
/// One is still there after a minute.
pub fn stop(oracle: &Oracle, names: &[String], signal_name: &str) -> Result<(), OracleError> {
    let mut sent = Vec::new();
    for name in names {
        match process(oracle, name) {
            Some(id) => {
                signal(signal_name, id)?;
                sent.push(name);
            }
            None => println!("{name} is not running"),
        }
    }
    let deadline = Instant::now() + STOP_LIMIT;
    for name in sent {
        while process(oracle, name).is_some() {
            if Instant::now() >= deadline {
                return Err(OracleError::TooSlow { program: name.clone(), seconds: STOP_LIMIT.as_secs() });
            }
            thread::sleep(Duration::from_millis(20));
        }
        println!("{name} stopped");
    }
    Ok(())
}

/// Prints all nodes.
///
/// # Errors
/// The directory of nodes can't be read.
pub fn list(oracle: &Oracle) -> Result<(), OracleError> {
    let nodes = oracle.home().join("nodes");
    let Ok(entries) = fs::read_dir(&nodes) else { return Ok(()) };
    let mut names: Vec<_> = entries.filter_map(|it| it.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    for name in names {
        let state = process(oracle, &name).map_or_else(|| "stopped".to_owned(), |id| format!("running, process {id}"));
        let listeners = properties(&oracle.node_directory(&name)).remove("listeners").unwrap_or_default();
        println!("{name}  {state}  {listeners}");
    }
    Ok(())
}

/// Prints the log of the node `name`.
///
/// # Errors
/// It has none.
pub fn log(oracle: &Oracle, name: &str) -> Result<(), OracleError> {
    let path = oracle.node_directory(name).join("logs/server.log");
    print!("{}", fs::read_to_string(&path).map_err(OracleError::file("read", path))?);
    Ok(())
}

/// Removes the stopped node `name`.
///
/// # Errors
/// It runs.
pub fn wipe(oracle: &Oracle, name: &str) -> Result<(), OracleError> {
    if process(oracle, name).is_some() {
        return Err(OracleError::Argument(format!("{name} runs: stop it first")));
    }
    let directory = oracle.node_directory(name);
    fs::remove_dir_all(&directory).map_err(OracleError::file("remove", directory))
}

fn begin(oracle: &Oracle, name: &str, settings: &[String]) -> Result<(), OracleError> {
    if let Some(id) = process(oracle, name) {
        return Err(OracleError::Argument(format!("{name} runs already (process {id})")));
    }
    let directory = oracle.node_directory(name);
    let mut remembered = properties(&directory);
    let mut port = None;
    let mut options = NodeOptions::default();
    for setting in settings {
        match setting.split_once('=') {
            Some(("port", value)) => {
                let bad = |_| OracleError::Argument(format!("{value} is not a port"));
                port = Some(value.parse::<u16>().map_err(bad)?);
            }
            Some((key, value)) => options = options.property(key, value),
            None => return Err(OracleError::Argument(format!("{setting} is not of the form key=value"))),
        }
    }
    if remembered.is_empty() || port.is_some() {
        let port = port.unwrap_or(FIRST_PORT);
        remembered.extend(options.all_properties(port, port + CONTROLLER_DISTANCE, &directory.join("data")));
    }
    remembered.extend(options.properties);
    configure(&directory, &remembered)?;
    format(oracle, &directory, &[])?;
    let heap = std::env::var("ORACLE_HEAP").unwrap_or_else(|_| "1G".to_owned());
    let child = launch(oracle, &directory, &heap)?;
    let path = directory.join("pid");
    fs::write(&path, child.id().to_string()).map_err(OracleError::file("write", path))
}

fn wait(oracle: &Oracle, name: &str) -> Result<(), OracleError> {
    let directory = oracle.node_directory(name);
    let port = client_port(&directory)?;
    wait_until_it_answers(name, &directory, port, || process(oracle, name).is_some())?;
    println!("{name} answers on 127.0.0.1:{port}");
    Ok(())
}

/// The process id of the node if it runs. Ids are used again, so the command line must name the node's file.
fn process(oracle: &Oracle, name: &str) -> Option<u32> {
    let directory = oracle.node_directory(name);
    let id: u32 = fs::read_to_string(directory.join("pid")).ok()?.trim().parse().ok()?;
    let command_line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let file = directory.join("server.properties");
    String::from_utf8_lossy(&command_line).contains(&*file.to_string_lossy()).then_some(id)
}

/// The properties that [`configure`] wrote.
fn properties(directory: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(directory.join("server.properties")).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn client_port(directory: &Path) -> Result<u16, OracleError> {
    let listeners = properties(directory).remove("listeners").unwrap_or_default();
    let first = listeners.split(',').next().and_then(|it| it.rsplit_once(':')).and_then(|(_, port)| port.parse().ok());
    first.ok_or_else(|| OracleError::Argument(format!("no port in listeners={listeners}")))
}
