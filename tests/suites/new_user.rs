//! What a new user does first, by Ottla's tools and by Apache Kafka's, on Ottla and on Apache Kafka: all four say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::Oracle;
use ottla_tests::{Server, Target, binary};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long something that happens in the background may take.
const PATIENCE: Duration = Duration::from_secs(60);
const SHOW_ALL: [&str; 6] =
    ["print.timestamp", "print.key", "print.offset", "print.partition", "print.headers", "print.value"];
/// Three records with headers and keys; the last has neither value nor header.
const RECORDS: &str = "colour:red,size:1\tapple\tfirst\nsize:2\tpear\tsecond\nNULL\tplum\tNULL\n";

/// Whose tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tools {
    Ottla,
    ApacheKafka,
}

impl Tools {
    fn command(self, script: &str) -> Command {
        match self {
            Self::Ottla => {
                let mut command = Command::new(binary().unwrap());
                command.arg(script);
                command
            }
            Self::ApacheKafka => Oracle::at_home().tool(&format!("{script}.sh")).unwrap(),
        }
    }
}

/// A user at a server, and what the tools have said to her so far.
struct Session {
    tools: Tools,
    target: Target,
    said: String,
}

impl Session {
    fn new(tools: Tools, target: Target) -> Self {
        Self { tools, target, said: String::new() }
    }

    fn start(&self, tool: &str, arguments: &[&str]) -> Child {
        let mut command = self.tools.command(tool);
        command.args(["--bootstrap-server", &self.target.bootstrap()]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a tool to its end and gives its output and its exit code.
    fn output(&self, tool: &str, arguments: &[&str], input: &str) -> (String, Option<i32>) {
        let mut child = self.start(tool, arguments);
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    }

    /// Runs a tool and notes what it says.
    fn run(&mut self, tool: &str, arguments: &[&str]) {
        self.run_with(tool, arguments, "");
    }

    fn run_with(&mut self, tool: &str, arguments: &[&str], input: &str) {
        let (output, code) = self.output(tool, arguments, input);
        self.note(tool, arguments, &output, code);
    }

    /// Runs a consumer and notes what it says in an order that does not depend on which partition came first.
    fn consume(&mut self, arguments: &[&str]) {
        let properties: Vec<String> = SHOW_ALL.iter().map(|property| format!("{property}=true")).collect();
        let shown = properties.iter().flat_map(|property| ["--formatter-property", property]);
        let all: Vec<&str> = arguments.iter().copied().chain(shown).collect();
        let (output, code) = self.output("kafka-console-consumer", &all, "");
        let output = comparable(&output, &self.target.bootstrap());
        self.note("kafka-console-consumer", arguments, &sorted(&output), code);
    }

    fn list_groups(&mut self) {
        let (output, code) = self.output("kafka-consumer-groups", &["--list"], "");
        self.note("kafka-consumer-groups", &["--list"], &sorted(&output), code);
    }

    fn note(&mut self, tool: &str, arguments: &[&str], output: &str, code: Option<i32>) {
        let output = comparable(output, &self.target.bootstrap());
        writeln!(self.said, "$ {tool} {}\n{output}(exit code {code:?})", arguments.join(" ")).unwrap();
    }

    fn restart(&mut self) {
        match &mut self.target {
            Target::Ottla(server) => {
                server.stop().unwrap();
                server.launch().unwrap();
            }
            Target::ApacheKafka(node) => {
                node.stop().unwrap();
                node.restart().unwrap();
            }
        }
    }

    /// Waits until as many members of a group read a partition as there are, by Ottla's own tool, which starts quickly.
    fn wait_for_members(&self, group: &str, count: usize) {
        let end = Instant::now() + PATIENCE;
        loop {
            let arguments = ["--describe", "--group", group, "--members"];
            let mut command = Tools::Ottla.command("kafka-consumer-groups");
            let output =
                command.args(["--bootstrap-server", &self.target.bootstrap()]).args(arguments).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let reading = text.lines().filter(|line| line.starts_with(group) && !line.trim_end().ends_with(" 0"));
            if reading.count() == count {
                return;
            }
            assert!(Instant::now() < end, "{count} members of {group} did not come:\n{text}");
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Leaves out what is each server's own affair: addresses, ids, times.
fn comparable(text: &str, bootstrap: &str) -> String {
    let text = text.replace(bootstrap, "HOST:PORT");
    let mut lines = String::new();
    for line in text.lines() {
        let words = line.split_inclusive([' ', '\t']).map(comparable_word);
        lines.push_str(words.collect::<String>().trim_end());
        lines.push('\n');
    }
    lines
}

fn comparable_word(word: &str) -> String {
    let (text, end) = word.split_at(word.trim_end().len());
    let is_uuid = |text: &str| text.len() == 36 && text.chars().filter(|character| *character == '-').count() == 4;
    if text.strip_prefix("CreateTime:").is_some_and(|time| time.parse::<i64>().is_ok_and(|time| time > 0)) {
        return format!("CreateTime:TIME{end}");
    }
    if let Some(number) = text.strip_prefix("console-consumer-")
        && number.parse::<u32>().is_ok()
    {
        return format!("console-consumer-N{end}");
    }
    // A topic's id stands behind its title, a member's behind its client's.
    if text.len() == 22 && text.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character)) {
        return format!("ID{end}");
    }
    match text.len().checked_sub(36).and_then(|start| text.split_at_checked(start)) {
        Some((client, id)) if is_uuid(id) => format!("{client}ID "),
        _ => word.to_owned(),
    }
}

/// The session; returns all that was said.
fn session(tools: Tools, target: Target) -> String {
    let mut user = Session::new(tools, target);
    topics(&mut user);
    records(&mut user);
    two_members(&mut user);
    user.restart();
    committed_offsets(&mut user);
    user.run("kafka-topics", &["--delete", "--topic", "test-topic"]);
    user.run("kafka-topics", &["--list"]);
    user.run("kafka-topics", &["--describe", "--topic", "test-topic"]);
    user.run("kafka-consumer-groups", &["--delete", "--group", "readers"]);
    user.list_groups();
    user.said
}

fn topics(user: &mut Session) {
    let create = [
        "--create",
        "--topic",
        "test-topic",
        "--partitions",
        "3",
        "--replication-factor",
        "1",
        "--config",
        "flush.ms=1000",
    ];
    user.run("kafka-topics", &create);
    user.run("kafka-topics", &create);
    user.run("kafka-topics", &["--list"]);
    user.run("kafka-topics", &["--describe", "--topic", "test-topic"]);
    user.run("kafka-topics", &["--alter", "--topic", "test-topic", "--partitions", "5"]);
    user.run("kafka-topics", &["--describe", "--topic", "test-topic"]);
    let topic = ["--entity-type", "topics", "--entity-name", "test-topic"];
    user.run("kafka-configs", &[&topic[..], &["--alter", "--add-config", "retention.ms=3600000"]].concat());
    user.run("kafka-configs", &[&topic[..], &["--describe"]].concat());
}

fn produce(user: &mut Session, records: &str) {
    let properties = ["parse.key=true", "parse.headers=true", "null.marker=NULL"];
    let properties = properties.iter().flat_map(|property| ["--reader-property", property]);
    let arguments: Vec<&str> = ["--topic", "test-topic"].into_iter().chain(properties).collect();
    user.run_with("kafka-console-producer", &arguments, records);
}

fn records(user: &mut Session) {
    produce(user, RECORDS);
    user.consume(&["--topic", "test-topic", "--from-beginning", "--max-messages", "3"]);
}

/// Two members share the partitions, and commit when they leave.
fn two_members(user: &mut Session) {
    let arguments = ["--topic", "test-topic", "--group", "readers", "--from-beginning"];
    let mut members: Vec<Child> = (0..2).map(|_| user.start("kafka-console-consumer", &arguments)).collect();
    user.wait_for_members("readers", 2);
    let (output, code) = user.output("kafka-consumer-groups", &["--describe", "--group", "readers", "--members"], "");
    user.note("kafka-consumer-groups", &["--members"], &sorted(&output), code);
    user.run("kafka-consumer-groups", &["--describe", "--group", "readers", "--state"]);
    let mut read = String::new();
    for member in &mut members {
        Command::new("kill").arg("-TERM").arg(member.id().to_string()).status().unwrap();
        member.stdout.take().unwrap().read_to_string(&mut read).unwrap();
        member.wait().unwrap();
    }
    user.note("two members", &[], &sorted(&read), None);
    user.list_groups();
    user.run("kafka-consumer-groups", &["--describe", "--group", "readers"]);
}

/// After the restart a member goes on where the group was; then the offsets are set back.
fn committed_offsets(user: &mut Session) {
    produce(user, "NULL\tcherry\tfourth\n");
    let group = ["--topic", "test-topic", "--group", "readers"];
    user.consume(&[&group[..], &["--from-beginning", "--max-messages", "1"]].concat());
    user.run("kafka-consumer-groups", &["--describe", "--group", "readers"]);
    let reset = ["--reset-offsets", "--group", "readers", "--topic", "test-topic", "--to-earliest", "--execute"];
    user.run("kafka-consumer-groups", &reset);
    user.consume(&[&group[..], &["--max-messages", "4"]].concat());
}

/// The steps in which two sessions differ.
fn differences(name: &str, expected: &str, said: &str) -> Vec<String> {
    let (expected, said): (Vec<&str>, Vec<&str>) = (expected.split("$ ").collect(), said.split("$ ").collect());
    assert_eq!(expected.len(), said.len(), "{name}: as many steps");
    let differing = expected.iter().zip(&said).filter(|(expected, said)| expected != said);
    differing.map(|(expected, said)| format!("{name}:\n{said}instead of:\n{expected}")).collect()
}

/// Ottla with the node id that the oracle's nodes have.
fn ottla() -> std::io::Result<Target> {
    Server::start(&[("node.id", "1")]).map(Target::Ottla)
}

#[test]
fn the_first_session_of_a_user_is_the_same_with_all_tools_on_all_servers() {
    let run = |tools, target: fn() -> std::io::Result<Target>| thread::spawn(move || session(tools, target().unwrap()));
    let sessions = [
        ("Apache Kafka's tools on Apache Kafka", run(Tools::ApacheKafka, Target::apache_kafka)),
        ("Apache Kafka's tools on Ottla", run(Tools::ApacheKafka, ottla)),
        ("Ottla's tools on Apache Kafka", run(Tools::Ottla, Target::apache_kafka)),
        ("Ottla's tools on Ottla", run(Tools::Ottla, ottla)),
    ];
    let said = sessions.map(|(name, session)| (name, session.join().unwrap()));
    println!("{}", said[0].1);
    let (first, expected) = &said[0];
    let differences: Vec<String> =
        said[1..].iter().flat_map(|(name, other)| differences(name, expected, other)).collect();
    assert!(differences.is_empty(), "compared with {first}:\n{}", differences.join("\n"));
}
