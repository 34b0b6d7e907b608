//! The files of an image, laid out without a container engine: a server starts from the environment as in Apache Kafka's image,
//! and says what test tools wait for.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::Leash;
use ottla_protocol::ApiKey;
use ottla_tests::{Asker, binary, free_port, run, workspace};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A starter script as the Testcontainers modules put it into a running container, and the line that they wait for.
const READY: &str = "Transitioning from RECOVERY to RUNNING";

fn lay_out() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    run(Command::new(workspace().join("container/lay-out")).arg(root.path()).arg(binary().unwrap())).unwrap();
    root
}

/// A server that is killed at the end.
struct Running {
    child: Child,
    _leash: Leash,
}

impl Drop for Running {
    fn drop(&mut self) {
        // With all that it has started. When it has ended already, there is nothing to kill.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

/// Starts with these variables only, and waits for the line.
fn start(command: &mut Command, variables: &[(&str, String)]) -> Running {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.process_group(0);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let leash = Leash::tie(&child).unwrap();
    let running = Running { child, _leash: leash };
    let (ready, waits) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // Whoever waited may be gone.
            let _ = ready.send(line);
        }
    });
    loop {
        let line = waits.recv_timeout(Duration::from_secs(60)).expect("the line that test tools wait for");
        if line.contains(READY) {
            return running;
        }
    }
}

fn cluster_id(address: String) -> String {
    let answer = Asker::new(address).ask(ApiKey::DescribeCluster, 1, &json!({})).unwrap();
    answer["clusterId"].as_str().unwrap().to_owned()
}

fn variables(port: u16, controller_port: u16, data: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw".to_owned()),
        ("KAFKA_NODE_ID", "1".to_owned()),
        ("KAFKA_PROCESS_ROLES", "broker,controller".to_owned()),
        ("KAFKA_LISTENERS", format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}")),
        ("KAFKA_ADVERTISED_LISTENERS", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER".to_owned()),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", format!("1@127.0.0.1:{controller_port}")),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1".to_owned()),
        ("KAFKA_LOG_DIRS", data.display().to_string()),
        ("KAFKA_NUM_PARTITIONS", "3".to_owned()),
        ("KAFKA_HEAP_OPTS", "-Xmx1G".to_owned()),
    ]
}

#[test]
fn a_server_starts_from_the_environment_and_again_on_its_data() {
    let root = lay_out();
    let data = root.path().join("var/lib/kafka/data");
    for _ in 0..2 {
        let (port, controller_port) = (free_port().unwrap(), free_port().unwrap());
        let mut command = Command::new(root.path().join("etc/kafka/docker/run"));
        let _server = start(&mut command, &variables(port, controller_port, &data));
        assert_eq!(cluster_id(format!("127.0.0.1:{port}")), "4L6g3nShT-eMCtK--X86sw");
    }
}

#[test]
fn a_starter_script_of_a_test_tool_starts_it_later() {
    let root = lay_out();
    let (port, controller_port) = (free_port().unwrap(), free_port().unwrap());
    let starter = root.path().join("testcontainers_start.sh");
    let script = root.path().join("etc/kafka/docker/run");
    let advertised = format!("export KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:{port}");
    fs::write(&starter, format!("#!/bin/bash\n{advertised}\n{}\n", script.display())).unwrap();
    let wait = format!("while [ ! -f {0} ]; do sleep 0.1; done; bash {0}", starter.display());
    let data = root.path().join("data");
    let _server = start(Command::new("sh").args(["-c", &wait]), &variables(port, controller_port, &data));
    assert_eq!(cluster_id(format!("127.0.0.1:{port}")), "4L6g3nShT-eMCtK--X86sw");
}

/// The final file of Apache Kafka's own wrapper for an environment.
fn theirs(folder: &Path, mounted: Option<&str>, variables: &BTreeMap<String, String>) -> String {
    for (name, content) in [("server.properties", "default=1\n"), ("log4j2.yaml", ""), ("tools-log4j2.yaml", "")] {
        fs::create_dir_all(folder.join("default")).unwrap();
        fs::write(folder.join("default").join(name), content).unwrap();
    }
    fs::create_dir_all(folder.join("mounted")).unwrap();
    fs::create_dir_all(folder.join("final")).unwrap();
    File::create(folder.join("final/server.properties")).unwrap();
    mounted.iter().for_each(|text| fs::write(folder.join("mounted/server.properties"), text).unwrap());
    let path = |name: &str| folder.join(name).display().to_string();
    let mut command = ottla_oracle::Oracle::at_home().java().unwrap();
    command.arg("kafka.docker.KafkaDockerWrapper").arg("setup");
    command.args(["-D", &path("default"), "-M", &path("mounted"), "-F", &path("final")]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(variables);
    // The format behind it fails: only the file counts.
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    fs::read_to_string(folder.join("final/server.properties")).unwrap()
}

fn ours(folder: &Path, variables: &BTreeMap<String, String>) -> String {
    let path = |name: &str| -> PathBuf { folder.join(name) };
    let mut command = Command::new(binary().unwrap());
    command.arg("container-config").arg("--default").arg(path("default/server.properties"));
    command.arg("--mounted").arg(path("mounted/server.properties")).arg("--final").arg(path("ours"));
    command.env_clear().envs(variables);
    run(&mut command).unwrap();
    fs::read_to_string(path("ours")).unwrap()
}

/// Lines in an order that does not depend on a hash table.
fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What is mounted, and the variables.
type Case = (Option<&'static str>, &'static [(&'static str, &'static str)]);

#[test]
fn the_environment_becomes_the_same_file_as_in_apache_kafkas_image() {
    let cases: [Case; 4] = [
        (None, &[]),
        (None, &[("KAFKA_LOG_DIRS", "/d"), ("KAFKA_A__B___C____D", "x=y"), ("KAFKA_OPTS", "no"), ("OTHER", "no")]),
        (Some("one=1\ntwo=2\n"), &[("KAFKA_TWO", "3"), ("KAFKA_", "odd")]),
        (Some("one=1"), &[("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw")]),
    ];
    for (mounted, variables) in cases {
        let folder = tempfile::tempdir().unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let theirs = theirs(folder.path(), mounted, &variables);
        assert_eq!(sorted(&ours(folder.path(), &variables)), sorted(&theirs), "{mounted:?} {variables:?}");
    }
}
