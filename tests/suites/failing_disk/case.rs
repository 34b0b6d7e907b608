//! One failure of a disk below a server that is in use.

use super::check::check_everything;
use super::clients::Promise;
use super::line::{Line, Refusal};
use super::working::{Clients, Worked, make_topics};
use ottla_protocol::ApiKey;
use ottla_tests::{Call, FailingDisk, Rule, Server};
use serde_json::json;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

/// Much happens in little time: segments roll, snapshots and checkpoints are written, what is deleted goes.
const SETTINGS: [(&str, &str); 11] = [
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("metadata.log.max.record.bytes.between.snapshots", "2500"),
    ("log.flush.offset.checkpoint.interval.ms", "150"),
    ("replica.high.watermark.checkpoint.interval.ms", "150"),
    ("log.initial.task.delay.ms", "100"),
    ("log.retention.check.interval.ms", "200"),
    ("log.segment.delete.delay.ms", "100"),
    ("log.cleaner.backoff.ms", "100"),
    ("log.roll.ms", "60"),
    ("broker.heartbeat.interval.ms", "100"),
];

/// How many steps each client takes: twenty-four batches, six transactions, commits, four topics.
const STEPS: [usize; 4] = [24, 36, 12, 12];
/// How long a server may take to end that can't go on.
const END: Duration = Duration::from_secs(10);
/// How long a disk that will be healed stays as it is.
const ILLNESS: Duration = Duration::from_millis(300);
/// An acknowledgement may be on its way when a sync fails; one that was asked for so much later (in microseconds) was not.
const ON_ITS_WAY: u64 = 100_000;

/// What is to go wrong.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// How many log directories there are. The first has the metadata.
    pub(crate) directories: usize,
    pub(crate) rule: Rule,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// There were not so many calls.
    Missed,
    /// It did not start, and said why.
    DidNotStart,
    /// It stopped and said why.
    Stopped,
    /// It was killed, as the rule wanted.
    Killed,
    /// One of its directories went offline, and it served what lies in the other.
    WentOnWithOne,
    /// It went on.
    WentOn,
}

/// A server on a disk that will fail.
pub(crate) struct Patient {
    disk: FailingDisk,
    directories: Vec<String>,
}

impl Patient {
    fn new(directories: usize) -> Self {
        let disk = FailingDisk::new().unwrap();
        let name = |number| disk.data().join(format!("directory-{number}")).display().to_string();
        Self { directories: (1..=directories).map(name).collect(), disk }
    }

    fn start(&self) -> std::io::Result<Server> {
        let wrapper = self.disk.wrapper();
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let directories = self.directories.join(",");
        let own = [("log.dirs", directories.as_str())];
        Server::start_by(&wrapper, &[&SETTINGS[..], &own].concat())
    }

    fn was_hit(&self) -> bool {
        self.disk.calls().unwrap().iter().any(|call| call.effect.is_some())
    }

    /// Whether a write found no room where it had reserved some, which no disk does.
    fn lied(&self) -> bool {
        let is_reserved = |call: &Call| call.kind == "write" && call.path.ends_with(".txnindex");
        self.disk.calls().unwrap().iter().any(|call| call.effect.is_some() && is_reserved(call))
    }

    /// Waits for the first effect, and then for a while.
    fn heal_later(&self) {
        let end = Instant::now() + END;
        while !self.was_hit() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(ILLNESS);
        self.disk.heal().unwrap();
    }

    /// Nothing that hangs on a directory was promised after a sync in it had failed.
    fn check_syncs(&self, promises: &[Promise]) {
        for call in self.disk.calls().unwrap().iter().filter(|call| is_failed_sync(call)) {
            let Some(directory) = self.directories.iter().find(|directory| call.path.starts_with(directory.as_str()))
            else {
                continue;
            };
            let is_here = |partition: &str| std::path::Path::new(directory).join(partition).exists();
            let is_metadata = directory == &self.directories[0];
            let late = promises.iter().find(|promise| {
                promise.asked > call.time + ON_ITS_WAY
                    && (is_here(&promise.partition) || (is_metadata && promise.partition == "metadata"))
            });
            assert!(late.is_none(), "{late:?} was promised after {call:?}");
        }
    }
}

fn is_failed_sync(call: &Call) -> bool {
    call.kind == "sync" && call.effect.as_deref().is_some_and(|effect| effect.starts_with('E'))
}

/// What a person reads of an error.
fn words(effect: &str) -> &'static str {
    match effect.trim_start_matches("half-") {
        "EIO" => "Input/output error",
        "ENOSPC" => "No space left on device",
        "EROFS" => "Read-only file system",
        "EACCES" => "Permission denied",
        other => panic!("{other} is no error"),
    }
}

fn wait_for_end(server: &mut Server) -> Option<ExitStatus> {
    let end = Instant::now() + END;
    while Instant::now() < end {
        if let Some(status) = server.ended().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}

impl Case {
    fn kills(&self) -> bool {
        matches!(self.rule.effect.as_str(), "kill" | "torn")
    }

    /// A full disk gets space again while the server runs.
    fn heals(&self) -> bool {
        self.is_full_disk() && self.rule.count == 0
    }

    fn is_full_disk(&self) -> bool {
        self.rule.effect.ends_with("ENOSPC") && self.rule.kind != "sync"
    }

    /// A server that ends must say which directory has failed, and how.
    fn check_last_words(&self, said: &str) {
        assert!(said.contains(words(&self.rule.effect)), "it does not say what happened:\n{said}");
        assert!(said.contains("/data/directory-"), "it does not say where:\n{said}");
    }

    /// Plays it. All promises are looked at in the end.
    pub(crate) fn play(&self) -> Outcome {
        let patient = Patient::new(self.directories);
        let mut clients = Clients::default();
        let mut rule = self.rule.clone();
        rule.pattern = rule.pattern.replace("DATA", &patient.disk.data().display().to_string());
        patient.disk.fail(&[rule]).unwrap();
        let outcome = match patient.start() {
            Ok(mut server) => self.live_through(&patient, &mut server, &mut clients),
            Err(error) => self.not_started(&error.to_string()),
        };
        patient.check_syncs(&clients.promises());
        patient.disk.heal().unwrap();
        Self::recover(&patient, &mut clients);
        if patient.was_hit() { outcome } else { Outcome::Missed }
    }

    fn not_started(&self, said: &str) -> Outcome {
        assert!(!said.contains("panicked"), "{said}");
        if self.kills() {
            return Outcome::Killed;
        }
        self.check_last_words(said);
        Outcome::DidNotStart
    }

    fn live_through(&self, patient: &Patient, server: &mut Server, clients: &mut Clients) -> Outcome {
        let address = server.bootstrap();
        let mut line = Line::new(address.clone());
        // A client that comes too late finds no topics, and is told so.
        let _ = make_topics(&mut line);
        let heal = || {
            if self.heals() {
                patient.heal_later();
            }
        };
        let worked = clients.work(&address, STEPS, heal);
        let outcome = self.judge(patient, server, &mut line, &worked);
        let said = server.log();
        assert!(!said.contains("panicked"), "{said}");
        if matches!(outcome, Outcome::WentOn | Outcome::WentOnWithOne) {
            match server.stop() {
                Err(_) if self.kills() && patient.was_hit() => return Outcome::Killed,
                // It was about to end by itself.
                Err(_) if patient.was_hit() && server.log().contains("ottla stops:") => {
                    self.check_last_words(&server.log());
                    return Outcome::Stopped;
                }
                stopped => stopped.unwrap_or_else(|error| panic!("it does not stop in good order: {error}")),
            }
        }
        outcome
    }

    fn judge(&self, patient: &Patient, server: &mut Server, line: &mut Line, worked: &[Worked]) -> Outcome {
        let all_done = worked.iter().all(|worked| *worked == Worked::Done);
        let is_gone = worked.contains(&Worked::Gone) || server.ended().unwrap().is_some();
        if all_done && !is_gone && works(line, 1).is_ok() {
            return Outcome::WentOn;
        }
        // Of two directories the second can be done without.
        if self.directories > 1
            && !is_gone
            && (2..=3).all(|number| works(line, number).is_ok())
            && server.ended().unwrap().is_none()
        {
            return Outcome::WentOnWithOne;
        }
        let reads = matches!(self.rule.kind.as_str(), "read" | "open") && self.rule.count == 0;
        if reads && !is_gone && server.ended().unwrap().is_none() {
            return Outcome::WentOn;
        }
        let status = wait_for_end(server);
        let status = status.unwrap_or_else(|| panic!("it is of no use and does not end: {worked:?}\n{}", server.log()));
        if self.kills() {
            return Outcome::Killed;
        }
        assert!(!self.is_full_disk() || patient.lied(), "a full disk ended it: {}", server.log());
        assert_eq!(status.code(), Some(1), "{}", server.log());
        self.check_last_words(&server.log());
        Outcome::Stopped
    }

    /// The next start, with a good disk: all clients come to their ends, and everything is as they were promised.
    fn recover(patient: &Patient, clients: &mut Clients) {
        let mut server = patient.start().unwrap_or_else(|error| panic!("it does not start again: {error}"));
        let address = server.bootstrap();
        let mut line = Line::new(address.clone());
        make_topics(&mut line).unwrap();
        let worked = clients.work(&address, STEPS, || ());
        assert!(worked.iter().all(|worked| *worked == Worked::Done), "{worked:?}\n{}", server.log());
        check_everything(&mut line, clients);
        server.stop().unwrap();
        let said = server.log();
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// The calls of a run on which nothing fails.
pub(crate) fn usual_calls(directories: usize) -> Vec<Call> {
    let patient = Patient::new(directories);
    let mut clients = Clients::default();
    let mut server = patient.start().unwrap();
    make_topics(&mut Line::new(server.bootstrap())).unwrap();
    let worked = clients.work(&server.bootstrap(), STEPS, || ());
    assert_eq!(worked, [Worked::Done; 4]);
    server.stop().unwrap();
    patient.disk.calls().unwrap()
}

/// Whether a server does all that clients want of it, with what it has left.
fn works(line: &mut Line, number: usize) -> Result<(), Refusal> {
    let name = format!("afterwards-{number}");
    let topics = json!([{ "name": name, "numPartitions": 1, "replicationFactor": 1 }]);
    let body = json!({ "topics": topics, "timeoutMs": 10_000 });
    line.done(ApiKey::CreateTopics, 7, &body, "/topics/0/errorCode").map(|_| ())
}
