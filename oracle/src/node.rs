use crate::java::JVM_OPTIONS;
use crate::{Leash, Oracle, OracleError, free_port, run};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A node starts in about four seconds; a machine under full load may need ten times that.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A node stops in about six seconds, the last voters of a cluster may take longer.
const STOP_LIMIT: Duration = Duration::from_secs(60);
const FORMAT_LIMIT: Duration = Duration::from_secs(60);
/// Any sixteen bytes: all nodes of all tests are of one cluster id, so that a cluster needs no id copied.
const CLUSTER_ID: &str = "b3R0bGEtb3JhY2xlLWlkLQ";

const BROKER_LOG4J: &str = r#"<Configuration status="ERROR">
  <Appenders><File name="file" fileName="${sys:kafka.logs.dir}/server.log">
    <PatternLayout pattern="[%d] %p %m (%c)%n"/></File></Appenders>
  <Loggers><Root level="INFO"><AppenderRef ref="file"/></Root></Loggers>
</Configuration>
"#;

/// How a node shall be.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Where its clients connect, on the loopback interface; `None` takes a free port.
    pub port: Option<u16>,
    /// Where controllers connect; `None` takes a free port.
    pub controller_port: Option<u16>,
    /// Its directory; `None` takes one of the oracle's own that is removed with the node.
    pub directory: Option<PathBuf>,
    /// The size of the Java heap, as `-Xmx` takes it; `1G` is that of Kafka's own scripts.
    pub heap: String,
    /// Server properties beyond or against the usual ones of a single combined node.
    pub properties: BTreeMap<String, String>,
    /// Options of the format command, for example `--release-version 4.0`.
    pub format: Vec<String>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            port: None,
            controller_port: None,
            directory: None,
            heap: "512M".to_owned(),
            properties: BTreeMap::new(),
            format: Vec::new(),
        }
    }
}

impl NodeOptions {
    /// Sets a server property.
    #[must_use]
    pub fn property(mut self, key: &str, value: impl ToString) -> Self {
        self.properties.insert(key.to_owned(), value.to_string());
        self
    }

    /// All properties of a node on these ports.
    pub(crate) fn all_properties(&self, port: u16, controller_port: u16, data: &Path) -> BTreeMap<String, String> {
        let id = self.properties.get("node.id").cloned().unwrap_or_else(|| "1".to_owned());
        let broker_only = self.properties.get("process.roles").is_some_and(|roles| roles == "broker");
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
        if !broker_only {
            listeners.push_str(&format!(",CONTROLLER://127.0.0.1:{controller_port}"));
        }
        let mut all: BTreeMap<String, String> = [
            ("process.roles", "broker,controller"),
            ("node.id", &id),
            ("listeners", &listeners),
            ("advertised.listeners", &listeners),
            ("controller.listener.names", "CONTROLLER"),
            ("controller.quorum.voters", &format!("{id}@127.0.0.1:{controller_port}")),
            ("log.dirs", &data.to_string_lossy()),
            ("offsets.topic.replication.factor", "1"),
            ("transaction.state.log.replication.factor", "1"),
            ("transaction.state.log.min.isr", "1"),
            ("share.coordinator.state.topic.replication.factor", "1"),
            ("share.coordinator.state.topic.min.isr", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        all.extend(self.properties.clone());
        all
    }
}

/// A node that runs, or did. Dropped, it is killed, and its directory removed unless it was given. It does not outlive
/// this process.
#[derive(Debug)]
pub struct Node {
    oracle: Oracle,
    name: String,
    directory: PathBuf,
    directory_is_ours: bool,
    heap: String,
    port: u16,
    controller_port: u16,
    child: Option<(Child, Leash)>,
}

impl Oracle {
    /// Formats and starts a node and waits until it answers.
    ///
    /// # Errors
    /// It can't be formatted or started, or does not answer in time.
    pub fn start(&self, options: &NodeOptions) -> Result<Node, OracleError> {
        let port = options.port.map_or_else(free_port, Ok)?;
        let controller_port = options.controller_port.map_or_else(free_port, Ok)?;
        let name = format!("test-{}-{port}", std::process::id());
        let directory = options.directory.clone().unwrap_or_else(|| self.node_directory(&name));
        let mut node = Node {
            oracle: self.clone(),
            name,
            directory_is_ours: options.directory.is_none(),
            directory,
            heap: options.heap.clone(),
            port,
            controller_port,
            child: None,
        };
        let properties = options.all_properties(port, controller_port, &node.directory.join("data"));
        configure(&node.directory, &properties)?;
        format(self, &node.directory, &options.format)?;
        node.restart()?;
        Ok(node)
    }

    /// A server on `directory/server.properties`, with the options of Kafka's own start script, ready to be started by
    /// whoever needs it otherwise than [`Oracle::start`] does. Its log goes to `directory/logs`.
    ///
    /// # Errors
    /// The logging configuration can't be written.
    pub fn server(&self, directory: &Path, heap: &str) -> Result<Command, OracleError> {
        let log4j = self.write("log4j2-broker.xml", BROKER_LOG4J)?;
        let mut java = Command::new("java");
        java.args([format!("-Xmx{heap}"), format!("-Xms{heap}")]).args(JVM_OPTIONS);
        java.arg(format!("-Dkafka.logs.dir={}", directory.join("logs").display()));
        java.arg(format!("-Dlog4j2.configurationFile={}", log4j.display()));
        java.args(["-cp", &self.class_path(), "kafka.Kafka"]).arg(directory.join("server.properties"));
        Ok(java)
    }
}

impl Node {
    /// `127.0.0.1:port` for clients.
    pub fn bootstrap_server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:port` of the controller listener.
    pub fn bootstrap_controller(&self) -> String {
        format!("127.0.0.1:{}", self.controller_port)
    }

    /// Its directory: `server.properties`, `data`, `logs`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(|(child, _)| child.id())
    }

    /// Starts it again after [`Node::stop`] or [`Node::kill`] and waits until it answers.
    ///
    /// # Errors
    /// It dies or does not answer in time.
    pub fn restart(&mut self) -> Result<(), OracleError> {
        let child = launch(&self.oracle, &self.directory, &self.heap)?;
        let leash = Leash::tie(&child).map_err(|source| OracleError::Run { program: "sh".to_owned(), source })?;
        self.child = Some((child, leash));
        let alive = || self.child.as_mut().is_some_and(|(child, _)| matches!(child.try_wait(), Ok(None)));
        wait_until_it_answers(&self.name, &self.directory, self.port, alive)
    }

    /// Stops it cleanly with SIGTERM.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop(&mut self) -> Result<(), OracleError> {
        let Some((mut child, _leash)) = self.child.take() else { return Ok(()) };
        signal("TERM", child.id())?;
        let deadline = Instant::now() + STOP_LIMIT;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(OracleError::TooSlow { program: self.name.clone(), seconds: STOP_LIMIT.as_secs() });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some((mut child, _leash)) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if self.directory_is_ours {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Writes the properties of a node.
pub(crate) fn configure(directory: &Path, properties: &BTreeMap<String, String>) -> Result<(), OracleError> {
    let logs = directory.join("logs");
    fs::create_dir_all(&logs).map_err(OracleError::file("create", &logs))?;
    let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    let path = directory.join("server.properties");
    fs::write(&path, text).map_err(OracleError::file("write", &path))
}

/// Formats the directory of a node unless that was done.
pub(crate) fn format(oracle: &Oracle, directory: &Path, options: &[String]) -> Result<(), OracleError> {
    let mut tool = oracle.tool("kafka-storage")?;
    tool.args(["format", "--ignore-formatted", "-t", CLUSTER_ID, "-c"]).arg(directory.join("server.properties"));
    let ran = run(tool.args(options), FORMAT_LIMIT)?;
    match ran.code {
        Some(0) => Ok(()),
        _ => Err(OracleError::Argument(format!("kafka-storage format:\n{}{}", ran.stdout, ran.stderr))),
    }
}

/// Starts the process of a node, in a process group of its own: a Ctrl-C is not for it.
pub(crate) fn launch(oracle: &Oracle, directory: &Path, heap: &str) -> Result<Child, OracleError> {
    let path = directory.join("logs/stdout.log");
    let output = File::create(&path).map_err(OracleError::file("create", &path))?;
    let errors = output.try_clone().map_err(OracleError::file("open", &path))?;
    let mut java = oracle.server(directory, heap)?;
    java.process_group(0).stdin(Stdio::null()).stdout(output).stderr(errors);
    java.spawn().map_err(|source| OracleError::Run { program: "java".to_owned(), source })
}

/// Waits for an answer on `port` while the node is `alive`. Both are checked: with the port taken by a stranger, the
/// stranger would answer while the node dies.
pub(crate) fn wait_until_it_answers(
    name: &str,
    directory: &Path,
    port: u16,
    mut alive: impl FnMut() -> bool,
) -> Result<(), OracleError> {
    let deadline = Instant::now() + START_LIMIT;
    let problem = loop {
        if !alive() {
            break "died";
        }
        if answers(port) && alive() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            break "does not answer";
        }
        thread::sleep(Duration::from_millis(50));
    };
    let log: String = ["stdout.log", "server.log"].map(|file| tail(&directory.join("logs").join(file))).concat();
    Err(OracleError::Node { name: name.to_owned(), problem, log })
}

/// Whether an ApiVersions request, version 0, gets an answer on `port`.
fn answers(port: u16) -> bool {
    // Length 10, API key 18, version 0, correlation id 1, no client id.
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let ask = || -> std::io::Result<()> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(&REQUEST)?;
        stream.read_exact(&mut [0; 8])
    };
    ask().is_ok()
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut end = lines[lines.len().saturating_sub(20)..].join("\n");
    end.push('\n');
    end
}

/// Sends a signal by the system's `kill`: the standard library knows SIGKILL only.
pub(crate) fn signal(name: &str, process: u32) -> Result<(), OracleError> {
    let ran = run(Command::new("kill").arg(format!("-{name}")).arg(process.to_string()), Duration::from_secs(5))?;
    match ran.code {
        Some(0) => Ok(()),
        _ => Err(OracleError::Argument(format!("kill -{name} {process}: {}", ran.stderr.trim_end()))),
    }
}
