//! `kafka-metadata-shell`: walks through the cluster's metadata as through directories and files.

mod commands;
mod glob;
mod source;
mod text;
mod tree;

use crate::argparse::{Opt, Options, Outcome, Parser};
use crate::console::Console;
use crate::subcommands::Failure;
use commands::{Next, Shell};
use ottla_metadata::MetadataImage;
use std::io::BufRead;
use std::path::Path;

const PARSER: Parser = Parser {
    about: "Walks through the metadata of a cluster: one command, or many at a prompt.",
    usage: "usage: kafka-metadata-shell [-h] [--snapshot SNAPSHOT] [command [command ...]]\n",
    options: Options::of(&[Opt::text(
        "snapshot",
        "A snapshot or a segment of the metadata's log, or the directory that they are in.",
    )
    .short('s')]),
    subcommands: &[],
};
/// The width of a terminal that does not tell it.
const WIDTH: usize = 80;
/// No line that is typed is longer.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let mut words = Vec::new();
    let values = match PARSER.parse_with_words(arguments, &mut words) {
        Outcome::Run(_, values) => values,
        Outcome::Help(text) => {
            console.print(&text);
            return 0;
        }
        Outcome::Version => return 0,
        Outcome::Mistake(mistake) => {
            console.error(mistake.usage);
            console.error_line(&format!("kafka-metadata-shell: error: {}", mistake.error));
            return 1;
        }
    };
    let done = match values.one("snapshot") {
        Some(path) => show(Path::new(path), &words, console),
        None => Err(Failure("--snapshot has to tell which metadata to look at".to_owned())),
    };
    match done {
        Ok(()) => 0,
        Err(Failure(sentence)) => {
            console.error_line(&format!("Unexpected error: {sentence}"));
            1
        }
    }
}

fn show(path: &Path, words: &[String], console: &mut Console) -> Result<(), Failure> {
    let _lock = source::lock(path)?;
    if words.is_empty() {
        console.line("Loading...");
    }
    let image = source::load(path)?;
    if !words.is_empty() {
        Shell::new(&image).run(words, console);
        return Ok(());
    }
    console.line("Starting...");
    console.line("[ Kafka Metadata Shell ]");
    prompt(&image, &mut std::io::stdin().lock(), console)
}

/// Runs the commands that are typed, until there are no more.
fn prompt(image: &MetadataImage, input: &mut impl BufRead, console: &mut Console) -> Result<(), Failure> {
    let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(WIDTH);
    let mut shell = Shell::at_prompt(image, width);
    let mut line = String::new();
    loop {
        console.print(">> ");
        console.flush();
        line.clear();
        let mut limited = std::io::Read::take(&mut *input, LINE_BYTES_MAX);
        if limited.read_line(&mut line)? == 0 {
            console.line("");
            return Ok(());
        }
        let typed = line.trim();
        if typed.is_empty() {
            continue;
        }
        shell.remember(typed);
        let words: Vec<_> = typed.split_whitespace().map(str::to_owned).collect();
        if shell.run(&words, console) == Next::Leave || console.is_closed() {
            return Ok(());
        }
    }
}
