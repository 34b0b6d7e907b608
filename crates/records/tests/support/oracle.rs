//! Apache Kafka's own code, asked through a small Java program.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Oracle {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The pinned release's jars: where `OTTLA_ORACLE_LIB` says, or where the oracle tool installs them.
fn jars() -> PathBuf {
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
        let class_path = jars().join("*");
        let mut child = Command::new("java")
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(class_path)
            .arg(workspace().join("oracle/java/RecordsOracle.java"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle needs `java` (17 or later) on the path");
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, questions, answers }
    }

    /// `Ok` is what it answered, `Err` the name of Kafka's error code and a few words.
    pub fn ask(&mut self, question: &str) -> Result<String, String> {
        let questions = self.questions.as_mut().unwrap();
        writeln!(questions, "{question}").unwrap();
        questions.flush().unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let line = line.trim_end_matches(['\n', '\r']);
        match line.split_once(' ') {
            Some(("ok", answer)) => Ok(answer.to_owned()),
            Some(("error", answer)) => Err(answer.to_owned()),
            _ => panic!("the oracle said {line:?} to {question:?}"),
        }
    }

    pub fn ask_bytes(&mut self, question: &str) -> Vec<u8> {
        let answer = self.ask(question).unwrap_or_else(|error| panic!("{question}: {error}"));
        parse_hex(&answer).unwrap()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(1 + 2 * bytes.len());
    text.push('x');
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap());
        }
    }
    text
}

pub fn nullable_hex(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "-".to_owned(), hex)
}

pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix('x')?;
    assert!(digits.len() % 2 == 0);
    Some((0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect())
}
