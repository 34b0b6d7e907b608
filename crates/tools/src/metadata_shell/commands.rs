use super::glob::{Part, parts};
use super::tree::{Node, ROOT};
use crate::console::Console;
use ottla_metadata::MetadataImage;
use std::collections::VecDeque;

/// How many lines of the history are kept.
const HISTORY_MAX: usize = 500;
/// The least width of a column, in letters.
const COLUMN: usize = 4;
/// The blanks behind a column.
const GAP: usize = 2;

/// How many words a command wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    None,
    One,
    AtMostOne,
    AtLeastOne,
    Any,
}

/// A command of the shell.
struct Command {
    name: &'static str,
    help: &'static str,
    /// What its words are called.
    word: &'static str,
    words: Words,
    /// Whether it makes sense at a prompt only.
    is_for_prompt: bool,
}

const fn command(name: &'static str, help: &'static str, word: &'static str, words: Words) -> Command {
    Command { name, help, word, words, is_for_prompt: false }
}

const fn at_prompt(name: &'static str, help: &'static str, word: &'static str, words: Words) -> Command {
    Command { is_for_prompt: true, ..command(name, help, word, words) }
}

const COMMANDS: &[Command] = &[
    command("cat", "Show the contents of files.", "targets", Words::AtLeastOne),
    at_prompt("cd", "Go to a directory; without one to the top.", "target", Words::AtMostOne),
    at_prompt("exit", "Leave the shell.", "", Words::None),
    command("find", "List everything below a directory.", "paths", Words::Any),
    at_prompt("help", "Show the commands.", "", Words::None),
    at_prompt("history", "Show what was typed before.", "numEntriesToShow", Words::AtMostOne),
    command("ls", "List what is in directories.", "targets", Words::Any),
    at_prompt("man", "Show what a command does.", "cmd", Words::One),
    at_prompt("pwd", "Show the directory that this is.", "", Words::None),
    at_prompt("quit", "Leave the shell.", "", Words::None),
    command("tree", "Show a directory with everything in it.", "targets", Words::AtLeastOne),
];

impl Command {
    fn usage(&self) -> String {
        let word = self.word;
        let words = match self.words {
            Words::None => String::new(),
            Words::One => format!(" {word}"),
            Words::AtMostOne => format!(" [{word}]"),
            Words::AtLeastOne => format!(" {word} [{word} ...]"),
            Words::Any => format!(" [{word} ...]"),
        };
        format!("usage: {}{words}", self.name)
    }

    /// What is wrong with the words behind the command.
    fn mistake(&self, words: &[String]) -> Option<String> {
        let most = match self.words {
            Words::None => 0,
            Words::One | Words::AtMostOne => 1,
            Words::AtLeastOne | Words::Any => usize::MAX,
        };
        if words.is_empty() && matches!(self.words, Words::One | Words::AtLeastOne) {
            return Some("too few arguments".to_owned());
        }
        words.get(most).map(|word| format!("unrecognized arguments: '{word}'"))
    }
}

/// Whether the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Leave,
}

/// A shell: the metadata, and where in it one is.
pub(super) struct Shell<'a> {
    image: &'a MetadataImage,
    directory: String,
    /// The width of the terminal, at a prompt.
    width: Option<usize>,
    history: VecDeque<(usize, String)>,
    typed: usize,
}

/// A node that a path led to.
struct Found<'a> {
    path: Vec<String>,
    node: Node<'a>,
}

impl Found<'_> {
    fn name(&self) -> &str {
        self.path.last().map_or("/", String::as_str)
    }

    fn whole_path(&self) -> String {
        format!("/{}", self.path.join("/"))
    }
}

impl<'a> Shell<'a> {
    /// A shell that runs one command.
    pub(super) fn new(image: &'a MetadataImage) -> Self {
        Self { image, directory: "/".to_owned(), width: None, history: VecDeque::new(), typed: 0 }
    }

    /// A shell at a prompt, on a terminal of this width.
    pub(super) fn at_prompt(image: &'a MetadataImage, width: usize) -> Self {
        Self { width: Some(width), ..Self::new(image) }
    }

    /// Notes a line that was typed.
    pub(super) fn remember(&mut self, line: &str) {
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back((self.typed, line.to_owned()));
        self.typed += 1;
    }

    /// Runs a command with the words behind it.
    pub(super) fn run(&mut self, words: &[String], console: &mut Console) -> Next {
        let Some((name, words)) = words.split_first() else { return Next::Go };
        let known = |command: &&Command| self.width.is_some() || !command.is_for_prompt;
        let Some(command) = COMMANDS.iter().filter(known).find(|command| command.name == name) else {
            let names: Vec<_> = COMMANDS.iter().filter(known).map(|command| format!("'{}'", command.name)).collect();
            console.line(&format!("invalid choice: '{name}' (choose from {})", names.join(", ")));
            return Next::Go;
        };
        if let Some(mistake) = command.mistake(words) {
            console.line(&mistake);
            return Next::Go;
        }
        let first = words.first().map(String::as_str);
        match command.name {
            "cat" => words.iter().for_each(|path| self.cat(path, console)),
            "tree" => words.iter().for_each(|path| self.tree(path, console)),
            "find" => targets(words).iter().for_each(|path| self.find(path, console)),
            "ls" => self.ls(&targets(words), console),
            "cd" => self.cd(first.unwrap_or("/"), console),
            "pwd" => console.line(&self.directory),
            "history" => self.show_history(first, console),
            "help" => help(console),
            "man" => man(first.unwrap_or_default(), console),
            _ => return Next::Leave,
        }
        Next::Go
    }

    /// Everything that a path with patterns leads to.
    fn look_up(&self, path: &str) -> Vec<Found<'a>> {
        let mut found = vec![Found { path: Vec::new(), node: ROOT }];
        for part in parts(&self.directory, path) {
            let part = Part::new(&part);
            let within = |found: Found<'a>| {
                let names = match &part {
                    Part::Name(name) => vec![name.clone()],
                    Part::Pattern(pattern) => {
                        let names = found.node.names(self.image);
                        names.into_iter().filter(|name| pattern.is_match(name)).collect()
                    }
                };
                names.into_iter().filter_map(move |name| {
                    let node = found.node.child(&name, self.image)?;
                    Some(Found { path: found.path.iter().cloned().chain([name]).collect(), node })
                })
            };
            found = found.into_iter().flat_map(within).collect();
        }
        found
    }

    fn cat(&self, path: &str, console: &mut Console) {
        let found = self.look_up(path);
        if found.is_empty() {
            console.line(&format!("cat: {path}: No such file or directory."));
        }
        for found in found {
            match found.node.text(self.image) {
                Some(text) => console.line(&text),
                None => console.line(&format!("cat: {path}: Is a directory")),
            }
        }
    }

    fn tree(&self, path: &str, console: &mut Console) {
        let found = self.look_up(path);
        if found.is_empty() {
            console.line(&format!("tree: {path}: No such file or directory."));
        }
        found.iter().for_each(|found| self.show(&found.node, 0, console));
    }

    /// Shows a node and what is in it. The tree has five levels.
    fn show(&self, node: &Node<'a>, depth: usize, console: &mut Console) {
        let indent = "  ".repeat(depth);
        if let Some(text) = node.text(self.image) {
            return console.line(&format!("{indent}{text}"));
        }
        for name in node.names(self.image) {
            console.line(&format!("{indent}{name}:"));
            if let Some(child) = node.child(&name, self.image) {
                self.show(&child, depth + 1, console);
            }
        }
    }

    fn find(&self, path: &str, console: &mut Console) {
        let found = self.look_up(path);
        if found.is_empty() {
            console.line(&format!("find: {path}: no such file or directory."));
        }
        found.iter().for_each(|found| self.list_below(path, &found.node, console));
    }

    fn list_below(&self, path: &str, node: &Node<'a>, console: &mut Console) {
        console.line(path);
        let directory = path.strip_suffix('/').filter(|rest| rest.is_empty()).unwrap_or(path);
        for name in node.names(self.image) {
            if let Some(child) = node.child(&name, self.image) {
                self.list_below(&format!("{directory}/{name}"), &child, console);
            }
        }
    }

    fn ls(&self, paths: &[String], console: &mut Console) {
        let mut files = Vec::new();
        let mut directories = Vec::new();
        for path in paths {
            let found = self.look_up(path);
            if found.is_empty() {
                console.line(&format!("ls: {path}: no such file or directory."));
            }
            for found in found {
                match found.node.text(self.image) {
                    Some(_) => files.push(found.name().to_owned()),
                    None => directories.push((found.name().to_owned(), found.node.names(self.image))),
                }
            }
        }
        self.show_names(&files, console);
        let has_titles = !files.is_empty() || directories.len() > 1;
        let mut is_first = files.is_empty();
        for (name, names) in directories {
            if has_titles && !names.is_empty() {
                console.line(&format!("{}{name}:", if is_first { "" } else { "\n" }));
            }
            is_first = false;
            self.show_names(&names, console);
        }
    }

    fn show_names(&self, names: &[String], console: &mut Console) {
        let lines = columns(names, self.width);
        lines.iter().for_each(|line| console.line(line));
    }

    fn cd(&mut self, path: &str, console: &mut Console) {
        let found = self.look_up(path);
        if found.is_empty() {
            console.line(&format!("cd: {path}: no such directory."));
        }
        for found in found {
            match found.node.text(self.image) {
                Some(_) => console.line(&format!("cd: {path}: not a directory.")),
                None => self.directory = found.whole_path(),
            }
        }
    }

    fn show_history(&self, count: Option<&str>, console: &mut Console) {
        let count = match count.map(str::parse::<i32>) {
            None => usize::MAX,
            Some(Ok(count)) => usize::try_from(count).unwrap_or_default(),
            Some(Err(_)) => {
                let word = count.unwrap_or_default();
                let why = format!("could not convert '{word}' to Integer (For input string: \"{word}\")");
                return console.line(&format!("argument numEntriesToShow: {why}"));
            }
        };
        for (number, line) in self.history.iter().skip(self.history.len().saturating_sub(count)) {
            console.line(&format!("{number:5}  {line}"));
        }
    }
}

/// Paths that are not empty; without any the directory that one is in.
fn targets(words: &[String]) -> Vec<String> {
    let targets: Vec<_> = words.iter().filter(|word| !word.is_empty()).cloned().collect();
    if targets.is_empty() { vec![".".to_owned()] } else { targets }
}

fn help(console: &mut Console) {
    console.line("The commands of the metadata shell:\n");
    COMMANDS.iter().for_each(|command| console.line(&format!("  {:10}{}", command.name, command.help)));
}

fn man(name: &str, console: &mut Console) {
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => console.line(&format!("{name}: {}\n\n{}", command.help, command.usage())),
        None => console.line(&format!("man: unknown command {name}. Type help to get a list of commands.")),
    }
}

/// The names in as many columns as fit, each read downwards; one a line without a terminal.
fn columns(names: &[String], width: Option<usize>) -> Vec<String> {
    let widths = |count: usize| -> Vec<usize> {
        let column = |names: &[String]| names.iter().map(|name| name.chars().count() + GAP).max().unwrap_or_default();
        names.chunks(names.len().div_ceil(count).max(1)).map(column).collect()
    };
    let fits = |count: &usize| {
        let widths = widths(*count);
        widths.len() == *count && widths.iter().sum::<usize>() <= width.unwrap_or_default()
    };
    let most = (width.unwrap_or_default() / COLUMN).min(names.len());
    let count = (2..=most).rev().find(fits).unwrap_or(1);
    let (lines, widths) = (names.len().div_ceil(count), widths(count));
    let line = |line: usize| {
        let cell = |(column, width): (usize, &usize)| {
            let name = names.get(line + column * lines)?;
            Some(if column + 1 < count { format!("{name:width$}") } else { name.clone() })
        };
        widths.iter().enumerate().filter_map(cell).collect()
    };
    (0..lines).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_as_many_columns_as_fit() {
        let names = ["abc", "d", "efgh", "ij", "k"].map(str::to_owned);
        assert_eq!(columns(&names, None), ["abc", "d", "efgh", "ij", "k"]);
        assert_eq!(columns(&names, Some(14)), ["abc  efgh  k", "d    ij    "]);
        assert_eq!(columns(&[], Some(80)), [""; 0]);
        assert_eq!(columns(&names, Some(2)), ["abc", "d", "efgh", "ij", "k"]);
    }
}
