//! Starts on directories that somebody has tampered with: what can be done without is built anew or left alone, and what can't
//! is refused in words that name the file.

use ottla_protocol::ApiKey;
use ottla_records::Compression;
use ottla_tests::besieged::{batch, produce};
use ottla_tests::raw::{Connection, unbase64};
use ottla_tests::{Asker, Server, run};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Records that are to be there after each start.
const RECORDS: i64 = 20;

/// A server that was stopped, with a topic of one partition.
struct Stopped {
    server: Server,
}

impl Stopped {
    fn new() -> Self {
        let mut server = Server::start(&[]).unwrap();
        let mut asker = Asker::new(server.bootstrap());
        let topic = json!({"name": "kept", "numPartitions": 1, "replicationFactor": 1});
        asker.ask(ApiKey::CreateTopics, 7, &json!({"topics": [topic], "timeoutMs": 10_000})).unwrap();
        let batch = batch(Compression::None, b"kept").unwrap();
        for _ in 0..RECORDS {
            let produced = asker.ask(ApiKey::Produce, 9, &produce("kept", &batch)).unwrap();
            assert_eq!(produced["responses"][0]["partitionResponses"][0]["errorCode"], 0, "{produced}");
        }
        drop(asker);
        server.stop().unwrap();
        Self { server }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.server.directory().join("data").join(name)
    }

    /// Starts, finds all records, and stops.
    fn starts_with_all_records(&mut self, what: &str) {
        self.server.launch().unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut asker = Asker::new(self.server.bootstrap());
        let partition = json!({"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1_000_000});
        let ask = json!({"replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1_000_000, "sessionEpoch": -1,
            "topics": [{"topic": "kept", "partitions": [partition]}]});
        let fetched = asker.ask(ApiKey::Fetch, 12, &ask).unwrap();
        let partition = &fetched["responses"][0]["partitions"][0];
        assert_eq!(partition["highWatermark"], RECORDS, "{what}: {fetched}");
        let all = batch(Compression::None, b"kept").unwrap().len() * usize::try_from(RECORDS).unwrap();
        let records = unbase64(partition["records"].as_str().unwrap());
        assert_eq!(records.len(), all, "{what}");
        drop(asker);
        self.server.stop().unwrap();
        assert!(!self.server.log().contains("panicked"), "{what}: {}", self.server.log());
    }

    /// Does not start, and says why in words that have `word` in them.
    fn refuses(&mut self, what: &str, word: &str) {
        let before = self.server.log().len();
        let error = self.server.launch().expect_err(what).to_string();
        let said = &self.server.log()[before..];
        assert!(error.contains("exit status: 1"), "{what}: {error}");
        assert!(
            said.contains("ottla can't start") && said.contains(word) && !said.contains("panicked"),
            "{what}: {said}"
        );
        assert!(said.len() < 4000, "{what}: a refusal is short: {said}");
    }

    /// Puts `contents` in the place of a file for one start.
    fn with(&mut self, path: &Path, contents: &[u8], start: impl FnOnce(&mut Self)) {
        let before = fs::read(path).unwrap();
        fs::write(path, contents).unwrap();
        start(self);
        fs::write(path, before).unwrap();
    }
}

#[test]
fn names_and_kinds_of_files_that_are_not_of_a_log_are_left_alone() {
    let mut stopped = Stopped::new();
    let secret = stopped.server.directory().join("secret");
    fs::write(&secret, "not a log").unwrap();
    let partition = stopped.data("kept-0");
    for name in
        ["123.log", "-0000000000000000001.log", "00000000000000000000.log.backup", "9999999999999999999999.index"]
    {
        fs::write(partition.join(name), b"whatever").unwrap();
    }
    symlink(&secret, partition.join("00000000000000000777.log")).unwrap();
    symlink(&secret, partition.join("00000000000000000000.txnindex")).unwrap();
    fs::create_dir(partition.join("00000000000000000500.log")).unwrap();
    for name in ["00000000000000000600.log", "00000000000000000600.snapshot"] {
        run(Command::new("mkfifo").arg(partition.join(name))).unwrap();
    }
    // The same among partitions.
    fs::write(stopped.data("file-0"), b"whatever").unwrap();
    fs::write(stopped.data("..-0"), b"whatever").unwrap();
    run(Command::new("mkfifo").arg(stopped.data("pipe-0"))).unwrap();
    symlink(&secret, stopped.data("linked-0")).unwrap();
    fs::create_dir(stopped.data("no topic-0")).unwrap();
    fs::create_dir(stopped.data("kept-99999999999")).unwrap();
    for what in ["the first start", "the second start"] {
        stopped.starts_with_all_records(what);
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "not a log");
    assert!(partition.join("123.log").exists() && partition.join("00000000000000000500.log").is_dir());
}

#[test]
fn a_segment_that_overlaps_another_is_never_written_to() {
    let mut stopped = Stopped::new();
    let partition = stopped.data("kept-0");
    let log = fs::read(partition.join("00000000000000000000.log")).unwrap();
    // A copy of the records under a base offset that lies in the middle of them, after an unclean stop.
    let copy = partition.join("00000000000000000010.log");
    fs::write(&copy, &log).unwrap();
    fs::remove_file(stopped.data(".kafka_cleanshutdown")).unwrap();
    stopped.server.launch().unwrap();
    let mut connection = Connection::open(&stopped.server.bootstrap()).unwrap();
    let batch = batch(Compression::None, b"more").unwrap();
    let produced = connection.ask(ApiKey::Produce, 9, &produce("kept", &batch)).unwrap();
    assert_eq!(produced["responses"][0]["partitionResponses"][0]["errorCode"], 56, "{produced}");
    stopped.server.stop().unwrap();
    let log_of_server = stopped.server.log();
    assert!(log_of_server.contains("00000000000000000010.log"), "{log_of_server}");
    // Nothing was changed; whoever takes the copy away has all of the log.
    assert_eq!(fs::read(partition.join("00000000000000000000.log")).unwrap(), log);
    assert_eq!(fs::read(&copy).unwrap(), log);
    for name in fs::read_dir(&partition).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        if name.starts_with("00000000000000000010") {
            fs::remove_file(partition.join(name)).unwrap();
        }
    }
    fs::remove_file(stopped.data(".kafka_cleanshutdown")).unwrap();
    stopped.starts_with_all_records("without the copy");
}

#[test]
fn checkpoints_of_partitions_that_are_not_there_are_passed_over_and_broken_ones_are_done_without() {
    let mut stopped = Stopped::new();
    let names = [
        "recovery-point-offset-checkpoint",
        "log-start-offset-checkpoint",
        "replication-offset-checkpoint",
        "cleaner-offset-checkpoint",
    ];
    for name in names {
        let path = stopped.data(name);
        if !path.exists() {
            fs::write(&path, "0\n0\n").unwrap();
        }
        stopped.with(&path, b"0\n2\nnothing 7 5\nnothing-too 0 9\n", |stopped| stopped.starts_with_all_records(name));
        // Without it more is read at the start, and nothing is lost.
        let broken: [&[u8]; 6] = [
            b"99\n0\n",
            b"0\n2\nkept 0\n",
            b"0\nmany\n",
            b"0\n1\nkept 0 5 5\n",
            b"\xff\xfe",
            b"0\n99999999999\nkept 0 5\n",
        ];
        for contents in broken {
            let what = format!("{name}: {}", String::from_utf8_lossy(contents));
            stopped.with(&path, contents, |stopped| stopped.starts_with_all_records(&what));
        }
        assert!(stopped.server.log().contains(name), "{name}");
    }
}

#[test]
fn offsets_of_checkpoints_beyond_or_before_the_log_are_not_believed() {
    let mut stopped = Stopped::new();
    for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        let path = stopped.data(name);
        for offset in [i64::MAX, 21] {
            let contents = format!("0\n1\nkept 0 {offset}\n");
            stopped.with(&path, contents.as_bytes(), |stopped| stopped.starts_with_all_records(&contents));
        }
    }
}

#[test]
fn the_identity_of_a_directory_must_be_right() {
    let mut stopped = Stopped::new();
    const FILE: &str = "meta.properties";
    let path = stopped.data(FILE);
    let own = fs::read_to_string(&path).unwrap();
    let replaced = |from: &str, to: &str| {
        own.lines().map(|line| if line.starts_with(from) { to } else { line }).collect::<Vec<_>>().join("\n")
    };
    let cases = [
        ("another node", "belongs to node 77", replaced("node.id", "node.id=77")),
        ("a key that comes twice", FILE, format!("node.id=77\n{own}")),
        ("a node that is none", FILE, replaced("node.id", "node.id=one")),
        ("a version that is not known", FILE, replaced("version", "version=9")),
        ("no cluster", FILE, replaced("cluster.id", "")),
        ("nothing", FILE, String::new()),
        ("noise", FILE, "\0\0\0\0".to_owned()),
        ("an escape without an end", FILE, "cluster.id=\\u12".to_owned()),
        ("as long as nobody writes it", FILE, format!("{own}\n#{}", "x".repeat(2 << 20))),
    ];
    for (what, word, contents) in cases {
        stopped.with(&path, contents.as_bytes(), |stopped| stopped.refuses(what, word));
    }
    fs::remove_file(&path).unwrap();
    stopped.refuses("no such file", FILE);
}

#[test]
fn what_the_quorum_remembers_must_be_readable() {
    let mut stopped = Stopped::new();
    let path = stopped.data("__cluster_metadata-0/quorum-state");
    let own = fs::read_to_string(&path).unwrap();
    let long = format!("{own}{}", " ".repeat(2 << 20));
    let cases = [
        ("cut", own[..own.len() / 2].to_owned()),
        ("empty", String::new()),
        ("an epoch in quotes", own.replacen("\"leaderEpoch\":", "\"leaderEpoch\":\"x", 1)),
        ("a version of the future", own.replacen("\"data_version\":", "\"data_version\":9", 1)),
        ("nested without end", "[".repeat(100_000)),
        ("as long as nobody writes it", long),
    ];
    for (what, contents) in cases {
        assert_ne!(contents, own, "{what}");
        stopped.with(&path, contents.as_bytes(), |stopped| stopped.refuses(what, "quorum-state"));
    }
    // An epoch before that of the log is passed over, as in Apache Kafka.
    let older = own.replacen("\"leaderEpoch\":", "\"leaderEpoch\":-", 1);
    stopped.with(&path, older.as_bytes(), |stopped| stopped.starts_with_all_records("an epoch below zero"));
    stopped.starts_with_all_records("the file as it was");
}

#[test]
fn the_directory_of_another_topic_is_not_taken_for_this_one() {
    let mut stopped = Stopped::new();
    let path = stopped.data("kept-0/partition.metadata");
    fs::write(&path, "version: 0\ntopic_id: 3Db5QLSqSZieL3rJBUUegA").unwrap();
    let before = stopped.server.log().len();
    match stopped.server.launch() {
        Ok(()) => {
            // The records of another topic must not be shown under this name; they are set aside, not removed.
            let entries = fs::read_dir(stopped.server.directory().join("data")).unwrap();
            let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            assert!(names.iter().any(|name| name.starts_with("kept-0.") && name.ends_with("-stray")), "{names:?}");
            stopped.server.stop().unwrap();
        }
        Err(error) => assert!(stopped.server.log()[before..].contains("kept-0"), "{error}"),
    }
    assert!(!stopped.server.log().contains("panicked"), "{}", stopped.server.log());
}

#[test]
fn a_snapshot_of_the_metadata_that_is_cut_or_changed_is_never_half_believed() {
    let mut stopped = Stopped::new();
    let directory = stopped.data("__cluster_metadata-0");
    let entries = fs::read_dir(&directory).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let newest = names.iter().filter(|name| name.ends_with(".checkpoint")).max();
    let path = directory.join(newest.unwrap());
    let own = fs::read(&path).unwrap();
    let mut flipped = own.clone();
    flipped[own.len() / 2] ^= 0x10;
    for (what, contents) in [
        ("cut", &own[..own.len() - 5]),
        ("cut in the middle", &own[..own.len() / 2]),
        ("a changed bit", &flipped[..]),
        ("empty", &[]),
    ] {
        stopped.with(&path, contents, |stopped| {
            let before = stopped.server.log().len();
            // The log goes back to the beginning, so that the snapshot can be done without; if not it must be named.
            match stopped.server.launch() {
                Ok(()) => {
                    stopped.server.stop().unwrap();
                    stopped.starts_with_all_records(what);
                }
                Err(error) => assert!(stopped.server.log()[before..].contains(".checkpoint"), "{what}: {error}"),
            }
            assert!(!stopped.server.log().contains("panicked"), "{what}: {}", stopped.server.log());
        });
    }
}
