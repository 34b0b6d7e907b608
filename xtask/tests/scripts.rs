//! The scripts of `bin/`.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

/// Runs a script with a program that prints its arguments in the place of ottla.
fn run(script: &str, arguments: &[&str]) -> Output {
    let path = xtask::workspace().join("bin").join(script);
    Command::new(path).args(arguments).env("OTTLA", "/bin/echo").output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_script_calls_the_tool_it_is_named_after() {
    let mut tools = 0;
    for entry in std::fs::read_dir(xtask::workspace().join("bin")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(tool) =
            name.strip_suffix(".sh").filter(|tool| tool.starts_with("kafka-") && *tool != "kafka-server-start")
        {
            assert_eq!(printed(&run(&name, &["--topic", "a b"])), format!("{tool} --topic a b\n"));
            tools += 1;
        }
    }
    assert!(tools >= 9, "{tools}");
}

#[test]
fn the_start_script_hands_its_arguments_to_the_server() {
    let output = run("kafka-server-start.sh", &["config/server.properties", "--override", "broker.id=1"]);
    assert_eq!(printed(&output), "config/server.properties --override broker.id=1\n");
}

#[test]
fn the_start_script_without_arguments_tells_its_usage_and_fails() {
    let output = run("kafka-server-start.sh", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("USAGE: "));
}

#[test]
fn the_start_script_can_start_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let path = xtask::workspace().join("bin/kafka-server-start.sh");
    let mut command = Command::new(path);
    command.args(["-daemon", "x.properties"]).env("OTTLA", "/bin/echo").env("LOG_DIR", directory.path());
    assert!(command.status().unwrap().success());
    let written = || std::fs::read_to_string(directory.path().join("kafkaServer.out")).unwrap_or_default();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while written().is_empty() && std::time::Instant::now() < patience {
        std::thread::yield_now();
    }
    assert_eq!(written(), "x.properties\n");
}

#[test]
fn old_recipes_run_through_the_zookeeper_scripts() {
    for script in ["zookeeper-server-start.sh", "zookeeper-server-stop.sh"] {
        let output = run(script, &["config/zookeeper.properties"]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(printed(&output).lines().count(), 1);
    }
}
