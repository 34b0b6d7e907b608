//! Starting and ending the two.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ottla_oracle::{Node, NodeOptions, Oracle};

use crate::Failure;
use crate::process::Process;
use crate::wire::{Batch, Client, produce};

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ottla,
    Kafka,
    /// The bare probe, which is a process of this program.
    Bare,
}

/// The argument with which this program is the bare probe.
pub const BARE: &str = "--bare";

const START_LIMIT: Duration = Duration::from_secs(60);

enum Running {
    Ottla { child: Child, directory: PathBuf, program: PathBuf },
    Kafka(Box<Node>),
    Bare { child: Child, directory: PathBuf },
}

/// A broker that runs on this machine.
pub struct Broker {
    pub kind: Kind,
    pub port: u16,
    pub process: Process,
    /// From starting the process to the first acknowledged record, in milliseconds.
    pub start_ms: f64,
    running: Running,
}

/// What brokers are made of.
pub struct Shop {
    pub ottla: PathBuf,
    pub oracle: Oracle,
    /// Where data directories are made.
    pub directory: PathBuf,
}

impl Shop {
    /// Starts a broker on an empty directory and waits for its first acknowledgement.
    pub fn start(&self, kind: Kind) -> Result<Broker, Failure> {
        self.start_with(kind, &[])
    }

    /// The same with properties beyond the usual ones.
    pub fn start_with(&self, kind: Kind, properties: &[(&str, &str)]) -> Result<Broker, Failure> {
        match kind {
            Kind::Ottla => self.start_ottla(properties),
            Kind::Kafka => self.start_kafka(properties),
            Kind::Bare => self.start_bare(),
        }
    }

    fn start_bare(&self) -> Result<Broker, Failure> {
        let port = free_port()?;
        let directory = self.directory.join(format!("bare-{port}"));
        fs::create_dir_all(&directory)?;
        let started = Instant::now();
        let mut command = Command::new(std::env::current_exe()?);
        let child = command.arg(BARE).arg(port.to_string()).arg(&directory).stdin(Stdio::null()).spawn()?;
        let process = Process(child.id());
        let running = Running::Bare { child, directory };
        let mut broker = Broker { kind: Kind::Bare, port, process, start_ms: 0.0, running };
        broker.start_ms = first_acknowledgement(port, started)?;
        Ok(broker)
    }

    fn start_ottla(&self, more: &[(&str, &str)]) -> Result<Broker, Failure> {
        let port = free_port()?;
        let directory = self.directory.join(format!("ottla-{port}"));
        fs::create_dir_all(&directory)?;
        let properties = directory.join("server.properties");
        let mut text = properties_of_ottla(port, &directory.join("data"));
        more.iter().for_each(|(name, value)| text.push_str(&format!("{name}={value}\n")));
        fs::write(&properties, text)?;
        let started = Instant::now();
        let child = launch(&self.ottla, &directory)?;
        let process = Process(child.id());
        let mut broker = Broker {
            kind: Kind::Ottla,
            port,
            process,
            start_ms: 0.0,
            running: Running::Ottla { child, directory, program: self.ottla.clone() },
        };
        broker.start_ms = first_acknowledgement(port, started)?;
        Ok(broker)
    }

    /// The oracle formats and starts in one; so the node is stopped again, and the second start is measured. All that
    /// lies in its directory then are the few records of its first registration.
    fn start_kafka(&self, more: &[(&str, &str)]) -> Result<Broker, Failure> {
        let options = more.iter().fold(NodeOptions::default(), |options, (name, value)| options.property(name, value));
        let mut node = self.oracle.start(&options)?;
        node.stop()?;
        let address = node.bootstrap_server();
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
        let port: u16 = port.ok_or_else(|| Failure::from("the oracle gives no port"))?;
        let started = Instant::now();
        let waiting = thread::spawn(move || first_acknowledgement(port, started));
        node.restart()?;
        let start_ms = waiting.join().map_err(|_| Failure::from("waiting for Apache Kafka has failed"))??;
        let process = Process(node.process_id().ok_or_else(|| Failure::from("Apache Kafka has died"))?);
        Ok(Broker { kind: Kind::Kafka, port, process, start_ms, running: Running::Kafka(Box::new(node)) })
    }
}

impl Broker {
    /// Where its partitions are.
    pub fn data(&self) -> PathBuf {
        match &self.running {
            Running::Ottla { directory, .. } | Running::Bare { directory, .. } => directory.join("data"),
            Running::Kafka(node) => node.directory().join("data"),
        }
    }

    pub fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::connect(self.port)?)
    }
}

impl Broker {
    /// Kills the process, starts it again, and says after how many milliseconds it acknowledges a record.
    pub fn kill_and_restart(&mut self) -> Result<f64, Failure> {
        match &mut self.running {
            Running::Ottla { child, .. } | Running::Bare { child, .. } => {
                child.kill()?;
                child.wait()?;
            }
            Running::Kafka(node) => node.kill(),
        }
        self.restart()
    }

    /// Stops the process in good order and starts it again, likewise.
    pub fn stop_and_restart(&mut self) -> Result<f64, Failure> {
        match &mut self.running {
            Running::Ottla { child, .. } | Running::Bare { child, .. } => {
                let pid = rustix::process::Pid::from_child(child);
                rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
                child.wait()?;
            }
            Running::Kafka(node) => node.stop()?,
        }
        self.restart()
    }

    fn restart(&mut self) -> Result<f64, Failure> {
        let (port, started) = (self.port, Instant::now());
        let waiting = thread::spawn(move || first_acknowledgement(port, started));
        match &mut self.running {
            Running::Ottla { child, directory, program } => *child = launch(program, directory)?,
            Running::Kafka(node) => node.restart()?,
            Running::Bare { .. } => return Err(Failure::from("the bare probe is not started again")),
        }
        waiting.join().map_err(|_| Failure::from("waiting for the broker has failed"))?
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        match &mut self.running {
            Running::Ottla { child, directory, .. } | Running::Bare { child, directory } => {
                let _ = child.kill();
                let _ = child.wait();
                let _ = fs::remove_dir_all(directory);
            }
            Running::Kafka(node) => node.kill(),
        }
    }
}

fn launch(program: &Path, directory: &Path) -> Result<Child, Failure> {
    let output = fs::File::options().create(true).append(true).open(directory.join("output.log"))?;
    let mut command = Command::new(program);
    command.arg(directory.join("server.properties")).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(command.spawn()?)
}

fn properties_of_ottla(port: u16, data: &Path) -> String {
    let address = format!("PLAINTEXT://127.0.0.1:{port}");
    format!("node.id=1\nlisteners={address}\nadvertised.listeners={address}\nlog.dirs={}\n", data.display())
}

/// Waits until a record is acknowledged, and says how many milliseconds after `started` that was.
fn first_acknowledgement(port: u16, started: Instant) -> Result<f64, Failure> {
    let request = produce("first", 0, -1, &Batch::new(100, 1)?)?;
    let attempt = || -> Result<(), Failure> {
        let mut client = Client::connect(port)?;
        // It may be there from an attempt whose answer did not come.
        let _ = client.create_topic("first", 1);
        client.produce_until_acknowledged(&request, Duration::from_secs(5))
    };
    loop {
        match attempt() {
            Ok(()) => return Ok(started.elapsed().as_secs_f64() * 1e3),
            Err(failure) if started.elapsed() > START_LIMIT => return Err(failure),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
