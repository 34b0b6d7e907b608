//! Clients that we did not write do their jobs on Ottla and on Apache Kafka: the allowed difference is none. What they did is
//! a page of the documentation, which must be what the run saw.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on ends")]

use ottla_tests::foreign::{Crew, FEATURES, Page};
use ottla_tests::{Target, java_client, run, unique, workspace};
use std::io;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Makes two tests of each client, one for each server, of its name and what starts its adapter. The tests of one server
/// stand together, so that the server that they share is started once.
macro_rules! foreign_clients {
    ($($name:ident: $command:expr,)*) => {
        const CLIENTS: &[&str] = &[$(stringify!($name)),*];

        mod on_apache_kafka {
            use super::*;
            $(#[test] fn $name() { do_all_jobs(stringify!($name), || $command, &APACHE_KAFKA); })*
        }

        mod on_ottla {
            use super::*;
            $(#[test] fn $name() { do_all_jobs(stringify!($name), || $command, &OTTLA); })*
        }
    };
}

foreign_clients! {
    librdkafka: python("librdkafka.py"),
    kafka_python: python("kafka_python.py"),
    aiokafka: python("aio_kafka.py"),
}

static PAGE: Page = Page::new(2 * CLIENTS.len());

fn python(adapter: &str) -> io::Result<Command> {
    let python = workspace().join("target/venv/bin/python");
    if !python.exists() {
        return Err(io::Error::other(format!("{} is missing: cargo xtask test clients installs it", python.display())));
    }
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

fn do_all_jobs(client: &str, command: fn() -> io::Result<Command>, server: &'static Shared) {
    let target = server.lend();
    let crew = Crew::new(&target.bootstrap(), command);
    let report = crew.work(&FEATURES, |line| println!("{line}")).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.failed().is_empty(), "{} failed at {:?}", report.client, report.failed());
    let place = CLIENTS.iter().position(|name| *name == client).unwrap();
    PAGE.add(place, server.name, report).unwrap_or_else(|failure| panic!("{failure}"));
}

/// The jobs that Apache Kafka's own client does in its own program.
fn java_jobs(server: &Shared) {
    let target = server.lend();
    println!("{}", run(java_client("ClientJobs").unwrap().arg(target.bootstrap())).unwrap());
}

#[test]
fn the_java_client_does_its_jobs_on_ottla() {
    java_jobs(&OTTLA);
}

#[test]
fn the_java_client_does_its_jobs_on_apache_kafka() {
    java_jobs(&APACHE_KAFKA);
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

#[test]
fn kcat_does_its_jobs_on_ottla() {
    kcat_jobs(&OTTLA.lend());
}

#[test]
fn kcat_does_its_jobs_on_apache_kafka() {
    kcat_jobs(&APACHE_KAFKA.lend());
}
