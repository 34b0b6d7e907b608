//! Clients that we did not write do their jobs on Ottla and on Apache Kafka: the allowed difference is none. What they did is
//! a page of the documentation, which must be what the run saw.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on ends")]

use libtest_mimic::{Arguments, Failed, Trial};
use ottla_oracle::SHORT_RUN_OPTIONS;
use ottla_tests::foreign::{Crew, FEATURES, Page};
use ottla_tests::{Target, java_client, run, unique, workspace};
use std::io;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// So many tests run at the same time, unless told otherwise: on any machine they mostly wait, for timers of groups and for
/// each other's members. More would let a machine of two cores come too late for some of these timers.
const AT_ONCE: usize = 8;

/// A client library's name, and what starts its adapter.
type Client = (&'static str, fn() -> io::Result<Command>);

/// In the order of the page.
const CLIENTS: [Client; 13] = [
    ("librdkafka", || python("librdkafka.py")),
    ("kafka_python", || python("kafka_python.py")),
    ("aiokafka", || python("aio_kafka.py")),
    ("java", || java_client("Adapter")),
    ("java_oldest", oldest_java_client),
    ("franz_go", || go("franz-go")),
    ("sarama", || go("sarama")),
    ("kafka_go", || go("kafka-go")),
    ("kafkajs", || node("kafkajs.js")),
    ("platformatic", || node("platformatic.js")),
    ("node_rdkafka", || node("node-rdkafka.js")),
    ("rdkafka", || rust("rdkafka")),
    ("rskafka", || rust("rskafka")),
];

/// Those that take longest begin first, so that none of them is the last one that all wait for.
const LONGEST: [&str; 4] = ["java", "java_oldest", "node_rdkafka", "platformatic"];

static PAGE: Page = Page::new(2 * CLIENTS.len());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    libtest_mimic::run(&arguments, trials()).exit_code()
}

/// Two tests of each client, one for each server.
fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("the_java_client_does_its_jobs_on_ottla", the_java_client_does_its_jobs_on_ottla),
        Trial::test("the_java_client_does_its_jobs_on_apache_kafka", the_java_client_does_its_jobs_on_apache_kafka),
        Trial::test("kcat_does_its_jobs_on_ottla", kcat_does_its_jobs_on_ottla),
        Trial::test("kcat_does_its_jobs_on_apache_kafka", kcat_does_its_jobs_on_apache_kafka),
    ];
    let mut places: Vec<usize> = (0..CLIENTS.len()).collect();
    places.sort_by_key(|place| !LONGEST.contains(&CLIENTS[*place].0));
    for place in places {
        for (module, server) in [("on_ottla", &OTTLA), ("on_apache_kafka", &APACHE_KAFKA)] {
            trials.push(Trial::test(format!("{module}::{}", CLIENTS[place].0), move || do_all_jobs(place, server)));
        }
    }
    trials
}

/// A path in the workspace that the stage of foreign clients brings about.
fn installed(path: &str) -> io::Result<PathBuf> {
    let path = workspace().join(path);
    if path.exists() {
        return Ok(path);
    }
    Err(io::Error::other(format!("{} is missing: cargo xtask test clients installs it", path.display())))
}

/// The Java adapter with the oldest client that servers speak with.
fn oldest_java_client() -> io::Result<Command> {
    let folder = installed("target/clients/old-jvm")?;
    let class_path = format!("{0}/classes:{0}/lib/*", folder.display());
    let mut command = Command::new("java");
    command.args(SHORT_RUN_OPTIONS).args(["-Xmx256M", "-cp", &class_path, "Adapter"]);
    Ok(command)
}

fn go(adapter: &str) -> io::Result<Command> {
    installed(&format!("target/clients/go/{adapter}")).map(Command::new)
}

/// An example of this package, which cargo builds with its tests.
fn rust(adapter: &str) -> io::Result<Command> {
    // target/<profile>/deps/<test>
    let test = std::env::current_exe()?;
    let program = test.ancestors().nth(2).map(|profile| profile.join("examples").join(adapter)).unwrap_or_default();
    if program.exists() {
        return Ok(Command::new(program));
    }
    Err(io::Error::other(format!("{} is missing: cargo build -p ottla-tests --examples builds it", program.display())))
}

fn node(adapter: &str) -> io::Result<Command> {
    installed("tests/clients/js/node_modules/installed")?;
    let mut command = Command::new("node");
    command.arg(workspace().join("tests/clients/js").join(adapter));
    Ok(command)
}

fn python(adapter: &str) -> io::Result<Command> {
    let python = installed("target/venv/bin/python")?;
    let mut command = Command::new(python);
    command.arg(workspace().join("tests/clients/python").join(adapter));
    Ok(command)
}

/// A server for all tests that run at the same time.
struct Shared {
    name: &'static str,
    start: fn() -> io::Result<Target>,
    running: Mutex<Weak<Target>>,
}

static OTTLA: Shared = Shared { name: "Ottla", start: Target::ottla, running: Mutex::new(Weak::new()) };
static APACHE_KAFKA: Shared =
    Shared { name: "Apache Kafka", start: Target::apache_kafka, running: Mutex::new(Weak::new()) };

impl Shared {
    fn lend(&self) -> Arc<Target> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let started = Arc::new((self.start)().unwrap());
            *running = Arc::downgrade(&started);
            started
        })
    }
}

fn do_all_jobs(place: usize, server: &'static Shared) -> Result<(), Failed> {
    let target = server.lend();
    let crew = Crew::new(&target.bootstrap(), CLIENTS[place].1);
    // Shown with a failure alone: all tests' lines at once would be told by nobody.
    let mut told = String::new();
    let report =
        crew.work(&FEATURES, |line| told += &format!("{line}\n")).map_err(|failure| failed(&told, &failure))?;
    if !report.failed().is_empty() {
        return Err(failed(&told, &format!("{} failed at {:?}", report.client, report.failed())));
    }
    PAGE.add(place, server.name, report).map_err(|failure| failed(&told, &failure))
}

fn failed(told: &str, why: &dyn std::fmt::Display) -> Failed {
    format!("{told}{why}").into()
}

/// The jobs that Apache Kafka's own client does in its own program.
fn java_jobs(server: &Shared) -> Result<(), Failed> {
    let target = server.lend();
    run(java_client("ClientJobs")?.arg(target.bootstrap()))?;
    Ok(())
}

fn the_java_client_does_its_jobs_on_ottla() -> Result<(), Failed> {
    java_jobs(&OTTLA)
}

fn the_java_client_does_its_jobs_on_apache_kafka() -> Result<(), Failed> {
    java_jobs(&APACHE_KAFKA)
}

fn kcat(target: &Target, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("kcat");
    command.args(["-b", &target.bootstrap()]).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("kcat is installed: apt-get install kcat");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?} ended with {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// kcat lists, produces in all codecs with keys and headers, consumes, and goes on as a group at its commit.
fn kcat_jobs(target: &Target) {
    let topic = unique("kcat");
    let format = "%o %k %s %h\n";
    for (index, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().enumerate() {
        let line = format!("key-{codec}:value-{codec}\n");
        kcat(target, &["-P", "-t", &topic, "-p", "0", "-K:", "-z", codec, "-H", "h=1"], &line);
        let offset = index.to_string();
        let read = kcat(target, &["-C", "-t", &topic, "-p", "0", "-o", &offset, "-c", "1", "-f", format], "");
        assert_eq!(read, format!("{index} key-{codec} value-{codec} h=1\n"));
    }
    let listed = kcat(target, &["-L", "-t", &topic], "");
    assert!(listed.contains(&format!("topic \"{topic}\" with 1 partitions")), "{listed}");
    let group = unique("kcat-group");
    let consume =
        ["-G", &group, "-c", "3", "-f", "%s\n", "-o", "beginning", "-X", "auto.offset.reset=earliest", &topic];
    assert_eq!(kcat(target, &consume, ""), "value-none\nvalue-gzip\nvalue-snappy\n");
    let again = ["-G", &group, "-c", "2", "-f", "%s\n", "-X", "auto.offset.reset=earliest", &topic];
    assert_eq!(kcat(target, &again, ""), "value-lz4\nvalue-zstd\n");
}

fn kcat_does_its_jobs_on_ottla() -> Result<(), Failed> {
    kcat_jobs(&OTTLA.lend());
    Ok(())
}

fn kcat_does_its_jobs_on_apache_kafka() -> Result<(), Failed> {
    kcat_jobs(&APACHE_KAFKA.lend());
    Ok(())
}
