//! `kafka-server-stop`: tells the servers of this machine to stop.

use crate::console::Console;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let wanted = match wanted(arguments) {
        Ok(wanted) => wanted,
        Err(message) => {
            console.error_line(&message);
            return 1;
        }
    };
    let servers: Vec<_> = servers().into_iter().filter(|server| wanted.matches(server)).collect();
    if servers.is_empty() {
        console.line("No kafka server to stop");
        return 1;
    }
    let mut code = 0;
    for server in servers {
        if let Some(pid) = Pid::from_raw(server.pid)
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            console.error_line(&format!("Can't signal process {}: {error}", server.pid));
            code = 1;
        }
    }
    code
}

/// Which servers are meant (KIP-965).
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    node_id: Option<String>,
    process_role: Option<String>,
}

fn wanted(arguments: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (name, inline) = argument.split_once('=').map_or((argument.as_str(), None), |(n, v)| (n, Some(v)));
        let target = match name {
            "--node-id" => &mut wanted.node_id,
            "--process-role" => &mut wanted.process_role,
            _ => return Err(format!("{argument} is not an option; there are --node-id and --process-role")),
        };
        let value = inline.map(str::to_owned).or_else(|| rest.next().cloned());
        *target = Some(value.ok_or_else(|| format!("{name} needs a value"))?);
    }
    Ok(wanted)
}

impl Wanted {
    /// A node id counts more than a role, as in Kafka's script.
    fn matches(&self, server: &Server) -> bool {
        let property = |names: &[&str]| {
            let text = std::fs::read(server.properties.as_deref()?).ok()?;
            let properties = ottla_config::properties::parse(&text, "").ok()?;
            names.iter().find_map(|name| properties.get(name).map(str::to_owned))
        };
        match (&self.node_id, &self.process_role) {
            (None, None) => true,
            (Some(node_id), _) => property(&["node.id", "broker.id"]).as_ref() == Some(node_id),
            (None, Some(role)) => property(&["process.roles"]).as_ref() == Some(role),
        }
    }
}

/// A server that runs.
#[derive(Debug)]
struct Server {
    pid: i32,
    /// Its properties file, where it was started with one.
    properties: Option<PathBuf>,
}

/// The servers that run, Ottla's and Apache's.
fn servers() -> Vec<Server> {
    let own = std::process::id();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| u32::try_from(*pid).ok() != Some(own)).filter_map(server).collect()
}

fn server(pid: i32) -> Option<Server> {
    let process = Path::new("/proc").join(pid.to_string());
    let line = std::fs::read(process.join("cmdline")).ok()?;
    let arguments: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let properties = properties_of(&arguments)?;
    let directory = std::fs::read_link(process.join("cwd")).unwrap_or_default();
    Some(Server { pid, properties: properties.map(|path| directory.join(path)) })
}

/// `Some` when the arguments are those of a server, with its properties file where it has one.
fn properties_of<T: AsRef<str>>(arguments: &[T]) -> Option<Option<String>> {
    let mut arguments = arguments.iter().map(AsRef::as_ref).filter(|argument| !argument.is_empty());
    let program = Path::new(arguments.next()?).file_name()?.to_str()?;
    let is_properties = |argument: &&str| argument.ends_with(".properties");
    match program {
        "java" => {
            arguments.find(|argument| *argument == "kafka.Kafka")?;
            Some(arguments.find(is_properties).map(str::to_owned))
        }
        "ottla" => match arguments.next() {
            None => Some(None),
            // The other subcommands of the program are no servers.
            Some("server" | "start") => Some(arguments.find(is_properties).map(str::to_owned)),
            Some(argument) if is_properties(&argument) => Some(Some(argument.to_owned())),
            Some(argument) if argument.starts_with("--override") => Some(None),
            Some(_) => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<Option<String>> {
        properties_of(&line.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn servers_are_told_from_other_commands() {
        assert_eq!(
            found("/usr/bin/java -Xmx1G -cp x kafka.Kafka /etc/a.properties"),
            Some(Some("/etc/a.properties".into()))
        );
        assert_eq!(found("/usr/bin/java -cp x org.apache.kafka.tools.TopicCommand"), None);
        assert_eq!(found("target/release/ottla"), Some(None));
        assert_eq!(found("ottla config/server.properties"), Some(Some("config/server.properties".into())));
        assert_eq!(found("ottla kafka-topics --list"), None);
        assert_eq!(found("bash ottla"), None);
    }

    #[test]
    fn which_servers_are_meant_may_be_told() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let both = Wanted { node_id: Some("1".into()), process_role: Some("broker".into()) };
        assert_eq!(wanted(&words("--node-id 1 --process-role=broker")).unwrap(), both);
        assert!(wanted(&words("--node-id")).is_err());
        assert!(wanted(&words("--nope")).is_err());
    }
}
