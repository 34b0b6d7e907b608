//! Apache Kafka's own message classes, asked through a small Java program.
#![allow(clippy::expect_used, reason = "a test without its other half can only end, and says why")]

use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Oracle {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// One question: what is asked, of which message in which version, about which bytes.
pub struct Question<'a> {
    pub kind: u8,
    pub message: &'a str,
    pub version: i16,
    pub payload: &'a [u8],
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pinned release's jars: where `OTTLA_ORACLE_LIB` says, or where the oracle tool installs them.
pub fn jars() -> PathBuf {
    let version = std::fs::read_to_string(workspace().join("oracle/KAFKA_VERSION")).unwrap();
    let version = version.trim();
    let directory = match std::env::var_os("OTTLA_ORACLE_LIB") {
        Some(directory) => PathBuf::from(directory),
        None => workspace().join(format!("target/oracle/lib-{version}")),
    };
    assert!(
        directory.join(format!("kafka-clients-{version}.jar")).is_file(),
        "Apache Kafka's jars are not in {}: run `cargo run -p ottla-oracle -- install` first",
        directory.display()
    );
    directory
}

impl Oracle {
    pub fn start() -> Self {
        let mut child = Command::new("java")
            .args(["-XX:+UseSerialGC", "-cp"])
            .arg(jars().join("*"))
            .arg(workspace().join("oracle/java/MessagesOracle.java"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle needs `java` (17 or later) on the path");
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, questions, answers }
    }

    /// `Ok` is the answer, `Err` the exception.
    pub fn ask(&mut self, question: &Question<'_>) -> Result<Vec<u8>, String> {
        let mut frame = vec![question.kind];
        frame.extend_from_slice(&(question.message.len() as u16).to_be_bytes());
        frame.extend_from_slice(question.message.as_bytes());
        frame.extend_from_slice(&question.version.to_be_bytes());
        frame.extend_from_slice(&(question.payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(question.payload);
        self.questions.as_mut().unwrap().write_all(&frame).unwrap();
        let mut head = [0; 5];
        self.answers.read_exact(&mut head).expect("the Java program ended");
        let mut answer = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize];
        self.answers.read_exact(&mut answer).unwrap();
        if head[0] == 0 { Ok(answer) } else { Err(String::from_utf8_lossy(&answer).into_owned()) }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}
