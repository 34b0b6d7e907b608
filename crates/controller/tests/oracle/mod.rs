//! Apache Kafka's own controller classes in one Java process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ottla_metadata::VersionedRecord;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::{Message, metadata_records};
use ottla_types::Offset;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Oracle {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What Kafka decides.
pub(crate) enum Answer {
    Ok {
        response: Vec<u8>,
        records: Vec<VersionedRecord>,
    },
    Error {
        code: i16,
        message: String,
    },
    /// It breaks down: its index of directories keeps partitions of deleted topics that had nobody in sync.
    Fault,
}

const KNOWN_FAULT: &str = "existed in isrMembers, but not in the topics map.";

impl Oracle {
    pub(crate) fn start() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let version = std::fs::read_to_string(workspace.join("oracle/KAFKA_VERSION")).unwrap();
        let jars = match std::env::var_os("OTTLA_ORACLE_LIB") {
            Some(directory) => PathBuf::from(directory),
            None => workspace.join(format!("target/oracle/lib-{}", version.trim())),
        };
        assert!(jars.is_dir(), "no jars in {}: run `cargo run -p ottla-oracle -- install` first", jars.display());
        // The class is in Kafka's package: it must come from the same loader, so it is compiled first.
        let classes = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("controller-oracle");
        let compiled = Command::new("javac")
            .args(["-proc:none", "-cp"])
            .arg(jars.join("*"))
            .arg("-d")
            .arg(&classes)
            .arg(workspace.join("oracle/java/ControllerOracle.java"))
            .status()
            .expect("the oracle needs `javac` (17 or later) on the path");
        assert!(compiled.success());
        let mut path = classes.into_os_string();
        path.push(":");
        path.push(jars.join("*"));
        let mut child = Command::new("java")
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(path)
            .arg("org.apache.kafka.controller.ControllerOracle")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the oracle needs `java` (17 or later) on the path");
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, questions, answers }
    }

    pub(crate) fn ask(&mut self, question: &str) -> Answer {
        let questions = self.questions.as_mut().unwrap();
        writeln!(questions, "{question}").unwrap();
        questions.flush().unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let words: Vec<&str> = line.trim_end().splitn(3, ' ').collect();
        match *words {
            ["ok", response, ref rest @ ..] => {
                let records = rest.iter().flat_map(|rest| rest.split(' ')).map(record).collect();
                Answer::Ok { response: unhex(response), records }
            }
            ["error", code, message] => Answer::Error { code: code.parse().unwrap(), message: message.to_owned() },
            ["failure", ..] if line.contains(KNOWN_FAULT) => Answer::Fault,
            _ => panic!("the oracle says {line:?} to {question}"),
        }
    }

    pub(crate) fn request<M: Message>(&mut self, kind: &str, version: i16, request: &M, next: Offset) -> Answer {
        let bytes = request.to_bytes(version).unwrap();
        self.ask(&format!("{kind} {version} {} {next}", hex(&bytes)))
    }

    pub(crate) fn replay(&mut self, offset: Offset, record: &VersionedRecord) {
        let frame = record.record.encode_frame(record.version).unwrap();
        self.ask(&format!("replay {offset} {}", hex(&frame)));
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = if text == "-" { "" } else { text };
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn record(text: &str) -> VersionedRecord {
    let (record, version) = metadata_records::MetadataRecord::decode_frame(&unhex(text)).unwrap();
    VersionedRecord::new(MetadataRecord::clone(&record), version)
}
