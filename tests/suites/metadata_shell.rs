//! The metadata shell shows of a directory, written by Apache Kafka or by Ottla, the tree that Apache Kafka's own classes make
//! of it. The shell itself, Apache Kafka's, can't be run here: its jar is not on the registry.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{Admin, ClientSettings, NewTopic};
use ottla_oracle::{NodeOptions, Oracle};
use ottla_tests::{Server, binary};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the shell says, and its exit code.
fn shell(snapshot: &Path, command: &[&str]) -> (String, Option<i32>) {
    let mut shell = Command::new(binary().unwrap());
    shell.arg("kafka-metadata-shell").arg("--snapshot").arg(snapshot).args(command);
    let output = shell.stdin(Stdio::null()).output().unwrap();
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.code())
}

fn said(snapshot: &Path, command: &[&str]) -> Vec<String> {
    let (text, code) = shell(snapshot, command);
    assert_eq!(code, Some(0), "{text}");
    text.lines().map(str::to_owned).collect()
}

/// Topics and a configuration.
async fn prepare(bootstrap: &str) {
    let admin = Admin::new(ClientSettings::new(bootstrap)).unwrap();
    let topic = |name: &str, partitions, configs: &[(&str, &str)]| NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs: configs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        ..Default::default()
    };
    let topics = [topic("one", 3, &[("retention.ms", "1000"), ("cleanup.policy", "compact")]), topic("two.x", 1, &[])];
    assert!(admin.create_topics(&topics, false).await.unwrap().values().all(Result::is_ok));
}

/// The files that make the metadata, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = names.filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
    files.sort();
    files
}

/// Holds what the shell shows of `snapshot` against what Apache Kafka's classes make of these files.
fn compare(snapshot: &Path, files: &[PathBuf]) {
    let tree = Oracle::at_home().run_program("MetadataTree", files).unwrap();
    let mut paths = Vec::new();
    let mut shown = Vec::new();
    for line in tree.lines() {
        // A directory ends with a slash; behind a file stands a blank and what it says.
        let (path, text) = match line.strip_suffix('/').filter(|path| !path.contains(' ')) {
            Some(path) => (path, None),
            None => line.split_once(' ').map(|(path, text)| (path, Some(text))).unwrap(),
        };
        paths.push(path.to_owned());
        let depth = path.matches('/').count() - 1;
        if depth > 0 {
            shown.push(format!("{}{}:", "  ".repeat(depth - 1), path.rsplit('/').next().unwrap()));
        }
        shown.extend(text.map(|text| format!("{}{text}", "  ".repeat(depth))));
    }
    assert_eq!(said(snapshot, &["find", "/image"]), paths);
    assert_eq!(said(snapshot, &["tree", "/image"]), shown);
}

/// Walks through the metadata that both tests make.
fn walk(directory: &Path) {
    assert_eq!(said(directory, &["ls"]), ["image", "local"]);
    assert_eq!(said(directory, &["ls", "/"]), ["image", "local"]);
    assert_eq!(said(directory, &["ls", "/image/topics/byName/one"]), ["0", "1", "2", "id", "name"]);
    assert_eq!(said(directory, &["cat", "/image/topics/byName/{one,two*}/name"]), ["one", "two.x"]);
    assert_eq!(said(directory, &["cat", "/image/configs/TOPIC:one/retention.ms"]), ["1000"]);
    assert_eq!(said(directory, &["cat", "/local/version"]), [ottla_oracle::KAFKA_VERSION]);
    assert_eq!(said(directory, &["cat", "image"]), ["cat: image: Is a directory"]);
    assert_eq!(said(directory, &["cat", "x"]), ["cat: x: No such file or directory."]);
    assert_eq!(said(directory, &["ls", "x*"]), ["ls: x*: no such file or directory."]);
    assert_eq!(said(directory, &["find", "x"]), ["find: x: no such file or directory."]);
    let wrong = said(directory, &["cd", "image"]);
    assert_eq!(wrong, ["invalid choice: 'cd' (choose from 'cat', 'find', 'ls', 'tree')"]);
    assert_eq!(said(directory, &["cat"]), ["too few arguments"]);
    // One of both names is that of a topic's id.
    let id = said(directory, &["cat", "/image/topics/byName/one/id"]).remove(0);
    assert_eq!(said(directory, &["cat", &format!("/image/topics/byId/{id}/name")]), ["one"]);
}

/// Types commands at the prompt.
fn talk(directory: &Path) {
    let mut shell = Command::new(binary().unwrap());
    shell.arg("kafka-metadata-shell").arg("-s").arg(directory).env("COLUMNS", "20");
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let commands =
        "pwd\ncd image/topics\npwd\nls\ncd byName/one\nls\ncd ../nothing\ncd name\ncd\nman cd\nhistory 2\nexit\nls\n";
    shell.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success());
    let expected = [
        "Loading...",
        "Starting...",
        "[ Kafka Metadata Shell ]",
        ">> /",
        ">> >> /image/topics",
        ">> byId  byName",
        ">> >> 0  1  2  id  name",
        ">> cd: ../nothing: no such directory.",
        ">> cd: name: not a directory.",
        ">> >> cd: Go to a directory; without one to the top.",
        "",
        "usage: cd [target]",
        ">>     9  man cd",
        "   10  history 2",
        ">> ",
    ];
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected.join("\n"));
}

#[test]
fn a_directory_of_apache_kafka_is_shown_as_its_own_classes_show_it() {
    let options = NodeOptions::default()
        .property("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .property("super.users", "User:ANONYMOUS");
    let oracle = Oracle::at_home();
    let mut node = oracle.start(&options).unwrap();
    let server = node.bootstrap_server();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(prepare(&server));
    let calls = [
        "kafka-configs.sh --alter --entity-type users --entity-name a(b)c --add-config SCRAM-SHA-256=[iterations=4096,password=secret]",
        "kafka-configs.sh --alter --entity-type users --entity-name a(b)c --add-config consumer_byte_rate=1024",
        "kafka-configs.sh --alter --entity-type clients --entity-name c --entity-type users --entity-name u --add-config request_percentage=50.5",
        "kafka-configs.sh --alter --entity-type brokers --entity-default --add-config log.cleaner.threads=2",
        "kafka-acls.sh --add --allow-principal User:x --operation Read --operation Describe --topic one --resource-pattern-type prefixed",
        "kafka-acls.sh --add --deny-principal User:y --operation All --cluster",
    ];
    let run = |call: &&'static str| {
        let mut words = call.split(' ');
        let tool = words.next().unwrap();
        let arguments = words.map(str::to_owned).chain(["--bootstrap-server".to_owned(), server.clone()]).collect();
        (tool, arguments)
    };
    let runs: Vec<(&str, Vec<String>)> = calls.iter().map(run).collect();
    for (call, ran) in calls.iter().zip(oracle.run_tools(&runs).unwrap()) {
        assert_eq!(ran.code, Some(0), "{call}: {}{}", ran.stdout, ran.stderr);
    }
    let directory = node.directory().join("data/__cluster_metadata-0");
    let (text, code) = shell(&directory, &["ls"]);
    assert!(code == Some(1) && text.contains("Unable to lock"), "{text}");
    node.stop().unwrap();
    let log = files(&directory);
    compare(&directory, &log);
    compare(&log[0], &log[..1]);
    let bootstrap = directory.join("00000000000000000000-0000000000.checkpoint");
    compare(&bootstrap, std::slice::from_ref(&bootstrap));
    walk(&directory);
    talk(&directory);
}

#[test]
fn a_directory_of_ottla_is_shown_as_apache_kafkas_classes_show_it() {
    let mut server = Server::start(&[]).unwrap();
    let bootstrap = server.bootstrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(prepare(&bootstrap));
    let directory = server.directory().join("data/__cluster_metadata-0");
    let (text, code) = shell(&directory, &["ls"]);
    assert!(code == Some(1) && text.contains("Unable to lock"), "{text}");
    server.stop().unwrap();
    let log = files(&directory);
    compare(&directory, &log);
    walk(&directory);
    talk(&directory);
}

#[test]
fn what_is_no_metadata_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (text, code) = shell(folder.path(), &["ls"]);
    assert!(code == Some(1) && text.contains("neither a snapshot nor a log is here"), "{text}");
    let (text, code) = shell(&folder.path().join("nothing"), &["ls"]);
    assert!(code == Some(1) && text.contains("No such file"), "{text}");
    let file = folder.path().join("00000000000000000000.log");
    std::fs::write(&file, "this is not the log that you are looking for, and long enough to be taken for one").unwrap();
    let (text, code) = shell(&file, &["ls"]);
    assert!(code == Some(1) && text.starts_with("Unexpected error: "), "{text}");
}
