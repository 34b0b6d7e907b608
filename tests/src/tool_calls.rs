//! Calls of tools, by Ottla's and by Apache Kafka's: what they say and how they end is compared.

use crate::binary;
use ottla_oracle::{Captured, Oracle, ToolRun};
use serde_json::Value;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Whose tool it is that is called. Both work on the same server: what one of them changes must not be in the other's way,
/// so each has things of its own, whose names have the word `SIDE` in them.
const SIDES: [&str; 2] = ["sideA", "sideB"];

/// What a call begins with whose error Ottla tells in words of its own.
const OWN_WORDS: &str = "WORDS ";

/// Calls of tools. In the text of a call, words are separated by blanks; `~` stands for a blank within a word, `SERVER` for
/// the server's address, `FOLDER` for a folder of the test's own, `SIDE` for a name that each of the two tools has for itself,
/// `FILE:text` for the path of a file with this text, `INPUT:text` for what the tool reads (with `\n` and `\t`), and
/// `EMPTY` for an empty word. A call that begins with the word `WORDS` is of an error that Ottla tells in words of its own.
#[derive(Debug)]
pub struct Calls<'a> {
    calls: &'a [&'a str],
    bootstrap: &'a str,
    /// What stands for texts of this server in what is said.
    names: Vec<(String, String)>,
}

impl<'a> Calls<'a> {
    /// These calls to the server at this address.
    pub fn new(calls: &'a [&'a str], bootstrap: &'a str) -> Self {
        Self { calls, bootstrap, names: Vec::new() }
    }

    /// Has these names stand for texts of this server in what is said.
    #[must_use]
    pub fn naming(mut self, names: Vec<(String, String)>) -> Self {
        self.names = names;
        self
    }

    /// Makes all calls with Apache Kafka's tools, then all with Ottla's, on each of two servers, which are alike. Tells which calls
    /// had different outcomes.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub fn compare_with(&self, other: &Self) -> io::Result<Vec<String>> {
        let folders = [(); 4].map(|()| tempfile::tempdir());
        let [a, b, c, d] = folders;
        let (a, b, c, d) = (a?, b?, c?, d?);
        let here = self.said_in([a.path(), b.path()])?;
        let there = other.said_in([c.path(), d.path()])?;
        let mut wrong = Vec::new();
        for ((call, here), there) in self.calls.iter().zip(here).zip(there) {
            let all = [&here[0], &here[1], &there[0], &there[1]];
            if all.iter().any(|said| *said != all[0]) {
                let whose =
                    ["Apache Kafka's tool", "Ottla's tool", "Apache Kafka's on the other", "Ottla's on the other"];
                let lines = whose.iter().zip(all).map(|(whose, said)| format!("{whose} says {said:#?}"));
                wrong.push(format!("$ {call}\n{}", lines.collect::<Vec<_>>().join("\n")));
            }
        }
        Ok(wrong)
    }

    /// Makes all calls with Apache Kafka's tools, then all with Ottla's, and tells which calls had different outcomes.
    ///
    /// # Errors
    /// Tools could not be run.
    pub fn compare(&self) -> io::Result<Vec<String>> {
        let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
        self.compare_in([folders[0].path(), folders[1].path()])
    }

    /// As [`Self::compare`], with a folder for each of the two, where what the tools make is left.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub fn compare_in(&self, folders: [&Path; 2]) -> io::Result<Vec<String>> {
        let mut wrong = Vec::new();
        for (call, [theirs, ours]) in self.calls.iter().zip(self.said_in(folders)?) {
            if ours != theirs {
                wrong.push(format!("$ {call}\nOttla's says {ours:#?}\nApache Kafka's says {theirs:#?}"));
            }
        }
        Ok(wrong)
    }

    /// What Apache Kafka's tools say to all calls, and what Ottla's do.
    fn said_in(&self, folders: [&Path; 2]) -> io::Result<Vec<[Said; 2]>> {
        let [their_runs, our_runs] = [0, 1].map(|side| self.runs(SIDES[side], folders[side]));
        let theirs = Oracle::at_home().run_tools_with_input(&their_runs?).map_err(io::Error::other)?;
        let mut all = Vec::new();
        for ((call, run), theirs) in self.calls.iter().zip(our_runs?).zip(&theirs) {
            let mut theirs = Said::new(&self.generic(theirs, SIDES[0], folders[0]));
            let ours = Said::new(&self.generic(&ours(&run)?, SIDES[1], folders[1]));
            if call.starts_with(OWN_WORDS) {
                theirs.in_the_words_of(&ours);
            }
            all.push([theirs, ours]);
        }
        Ok(all)
    }

    /// Without what only one of the two has.
    fn generic(&self, said: &Captured, side: &str, folder: &Path) -> Captured {
        let text = |text: &str| {
            let text = text.replace(side, "SIDE").replace(&folder.display().to_string(), "FOLDER");
            self.names.iter().fold(text, |text, (value, name)| text.replace(value, name))
        };
        Captured { code: said.code, stdout: text(&said.stdout), stderr: text(&said.stderr) }
    }

    fn runs(&self, side: &str, folder: &Path) -> io::Result<Vec<ToolRun>> {
        self.calls
            .iter()
            .enumerate()
            .map(|(number, call)| self.run(call, side, &folder.join(number.to_string())))
            .collect()
    }

    fn run(&self, call: &str, side: &str, file: &Path) -> io::Result<ToolRun> {
        let folder = file.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let mut words = call.trim_start_matches(OWN_WORDS).split(' ').map(|word| {
            let word = word.replace('~', " ").replace("SERVER", self.bootstrap).replace("SIDE", side);
            if word == "EMPTY" { String::new() } else { word.replace("FOLDER", &folder) }
        });
        let mut run = ToolRun { script: words.next().unwrap_or_default(), arguments: Vec::new(), input: String::new() };
        for word in words {
            if let Some(content) = word.strip_prefix("FILE:") {
                fs::write(file, content)?;
                run.arguments.push(file.display().to_string());
            } else if let Some(input) = word.strip_prefix("INPUT:") {
                run.input = input.replace("\\n", "\n").replace("\\t", "\t");
            } else {
                run.arguments.push(word);
            }
        }
        Ok(run)
    }
}

fn ours(run: &ToolRun) -> io::Result<Captured> {
    let mut command = Command::new(binary()?);
    command.arg(&run.script).args(&run.arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that reads nothing may have ended.
        let _ = stdin.write_all(run.input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(io::Error::other);
    Ok(Captured { code: output.status.code(), stdout: text(output.stdout)?, stderr: text(output.stderr)? })
}

/// What a tool has said, as far as it is compared.
#[derive(Debug, PartialEq)]
struct Said {
    output: Vec<String>,
    /// Only the first line: what follows are options in other words, or a stack trace.
    error: String,
    code: Option<i32>,
}

impl Said {
    fn new(said: &Captured) -> Self {
        let lines = said.stdout.lines().scan(false, |is_error, line| {
            // What stands behind an error is a stack trace, which Ottla's tools have none of.
            let is_trace = *is_error && (line.is_empty() || is_exception(line) || line.starts_with(['\t', ' ']));
            *is_error |= line.starts_with("Error: ");
            Some((!is_trace).then(|| comparable(line)))
        });
        let mut output: Vec<String> = lines.flatten().collect();
        // Apache Kafka's order of groups, partitions, transactional ids and directories is that of a hash table.
        let is_unordered = |line: &String| {
            ["GROUP", "partition:", "TransactionalId", "Topic\tPartition", "Formatting "]
                .iter()
                .any(|title| line.starts_with(title))
        };
        if output.iter().any(is_unordered) {
            output.sort();
        }
        let is_log = |line: &&str| {
            // A line of the log ends with the class, behind what may be several lines.
            ["SLF4J", " WARN ", " ERROR "].iter().any(|mark| line.contains(mark))
                || line.starts_with(" (org.apache.kafka")
                || (line.starts_with("org.apache.kafka") && is_exception(line) && !line.contains(' '))
        };
        let error = said.stderr.lines().find(|line| !is_log(line)).unwrap_or_default().trim_end();
        Self { output, error: sentence(error).to_owned(), code: said.code }
    }
}

impl Said {
    /// Takes over sentences, but not whether there are any.
    fn in_the_words_of(&mut self, other: &Self) {
        if !self.error.is_empty() && !other.error.is_empty() {
            self.error.clone_from(&other.error);
        }
        if self.output.len() == other.output.len() {
            self.output.clone_from(&other.output);
        }
    }
}

/// An error without what Java says before that of an exception which nobody catches.
fn sentence(error: &str) -> &str {
    let exception = error.strip_prefix("Exception in thread \"main\" ");
    exception.map_or(error, |exception| exception.split_once(": ").map_or(exception, |(_, sentence)| sentence))
}

/// Whether a line begins with the name of an exception's class.
fn is_exception(line: &str) -> bool {
    let name = line.strip_prefix("Caused by: ").unwrap_or(line).split(':').next().unwrap_or_default();
    name.contains('.') && (name.ends_with("Exception") || name.ends_with("Error"))
}

/// JSON with its lists in order, errors without their sentences, other lines as they are.
fn comparable(line: &str) -> String {
    if let Some((partition, _)) = line.split_once("\terror: ") {
        return format!("{partition} has an error");
    }
    // How far the metadata is changes all the time.
    for title in ["HighWatermark:", "\tEpoch: ", "  Epoch: "] {
        if let Some((before, _)) = line.split_once(title) {
            return format!("{before}{title}");
        }
    }
    // The ids of topics and directories are made by chance.
    if let Some((before, id)) = line.split_once("\tTopicId: ") {
        return format!("{before}{}", id.split_once('\t').map_or("", |(_, behind)| behind));
    }
    if let Some((before, id)) = line.split_once("directory.id=") {
        return format!("{before}{}", id.split_once(',').map_or("", |(_, behind)| behind));
    }
    let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
    let is_number = |cell: &&str| cell.len() > 1 && cell.parse::<i64>().is_ok();
    if line.contains("\tLeader") {
        return cells.iter().map(|cell| if is_number(cell) { "N" } else { cell }).collect::<Vec<_>>().join("\t");
    }
    // How far a follower is, and how far behind.
    if line.contains("\tFollower") {
        let rest = cells.iter().skip(1).map(|cell| if cell.parse::<i64>().is_ok() { "N" } else { cell });
        return [cells[0]].into_iter().chain(rest).collect::<Vec<_>>().join("\t");
    }
    // A transactional id's producer has an id that the other side's has not.
    if cells.iter().any(|cell| ["Empty", "Ongoing", "PrepareAbort", "CompleteAbort"].contains(cell)) {
        let masked = cells.iter().map(|cell| if cell.parse::<i64>().is_ok() { "N" } else { cell });
        return masked.collect::<Vec<_>>().join("\t");
    }
    // Times, and how long ago they were.
    let is_time = |cell: &&str| cell.len() > 5 && cell.parse::<i64>().is_ok();
    if cells.len() > 2 && !line.contains(": ") {
        return cells.iter().map(|cell| if is_time(cell) { "T" } else { cell }).collect::<Vec<_>>().join("\t");
    }
    serde_json::from_str::<Value>(line).map_or(line.to_owned(), |value| ordered(&value).to_string())
}

fn ordered(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(ordered).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), ordered(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        other => other.clone(),
    }
}
