//! The recipe by which a cluster has always been tried on one machine: copies of one file that differ in three keys.

use super::{tool, wait_for};
use ottla_oracle::{Leash, Oracle};
use ottla_tests::{binary, workspace};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that was started by the script, in a folder of its own for its output and data. Stopped when dropped.
struct Started {
    child: Child,
    _leash: Leash,
}

impl Started {
    fn by_script(folder: &Path, properties: &Path) -> Self {
        let said = File::create(properties.with_extension("log")).unwrap();
        let mut command = Command::new(workspace().join("bin/kafka-server-start.sh"));
        command.arg(properties).current_dir(folder).env("OTTLA", binary().unwrap());
        let child = command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap();
        let leash = Leash::tie(&child).unwrap();
        Self { child, _leash: leash }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies of the shipped file, changed as the recipe says and in nothing else.
fn copies(folder: &Path) -> Vec<std::path::PathBuf> {
    let shipped = fs::read_to_string(workspace().join("config/server.properties")).unwrap();
    let copy = |id: i32, port: u16| {
        let changed = |line: &str| match line.split_once('=').map(|(key, _)| key) {
            Some("broker.id") => format!("broker.id={id}"),
            Some("log.dirs") => format!("log.dirs=data-{id}"),
            Some("listeners") => format!("listeners=PLAINTEXT://localhost:{port}"),
            _ => line.to_owned(),
        };
        let text: Vec<String> = shipped.lines().map(changed).collect();
        let path = folder.join(format!("server-{id}.properties"));
        fs::write(&path, text.join("\n")).unwrap();
        path
    };
    let mut all = vec![folder.join("server.properties")];
    fs::write(&all[0], &shipped).unwrap();
    all.extend([copy(1, 9093), copy(2, 9094)]);
    all
}

#[test]
fn three_copies_of_the_shipped_file_are_one_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let files = copies(folder.path());
    // The last one first: it waits for the controller, and says so.
    let _servers: Vec<_> = files.iter().rev().map(|file| Started::by_script(folder.path(), file)).collect();
    let said = || files.iter().map(|file| fs::read_to_string(file.with_extension("log")).unwrap_or_default());
    wait_for("all three serve", || said().all(|said| said.contains("serves Kafka clients")));
    let create = ["--create", "--topic", "my-replicated-topic", "--partitions", "3", "--replication-factor", "3"];
    tool("kafka-topics", "localhost:9092", &create);
    wait_for("all replicas are in sync", || {
        let described = tool("kafka-topics", "localhost:9093", &["--describe", "--topic", "my-replicated-topic"]);
        described.lines().filter(|line| in_sync(line).is_some_and(|replicas| replicas == 3)).count() == 3
    });
    let oracle = Oracle::install().unwrap();
    let sent: Vec<String> = (0..30).map(|number| format!("message {number}")).collect();
    let mut producer = oracle.tool("kafka-console-producer.sh").unwrap();
    producer.args(["--bootstrap-server", "localhost:9094", "--topic", "my-replicated-topic"]);
    let mut producer = producer.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(producer.stdin.as_mut().unwrap(), sent.join("\n").as_bytes()).unwrap();
    assert!(producer.wait().unwrap().success());
    let read = ["--topic", "my-replicated-topic", "--from-beginning", "--max-messages", "30", "--timeout-ms", "60000"];
    let said = tool("kafka-console-consumer", "localhost:9092", &read);
    let mut received: Vec<&str> = said.lines().collect();
    received.sort_by_key(|line| line.rsplit(' ').next().and_then(|number| number.parse::<u32>().ok()));
    assert_eq!(received, sent);
}

/// How many replicas a line of `kafka-topics --describe` names as in sync.
fn in_sync(line: &str) -> Option<usize> {
    let (_, rest) = line.split_once("Isr: ")?;
    Some(rest.split('\t').next()?.trim().split(',').count())
}
