use std::fs;
use std::path::Path;
use std::process::Command;

/// The list, in the workspace.
pub(super) const FILE: &str = "xtask/tidy-exceptions.txt";

/// Something that may be longer than the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    /// The file, or the file and the function.
    pub(super) what: String,
    /// How long it is.
    pub(super) lines: usize,
}

/// The list as it stands.
pub(super) fn read(workspace: &Path) -> Result<Vec<Exception>, String> {
    parse(&fs::read_to_string(workspace.join(FILE)).map_err(|error| format!("{FILE}: {error}"))?)
}

fn parse(text: &str) -> Result<Vec<Exception>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| parse_line(line).ok_or_else(|| format!("{FILE}: {line:?} is not: file, perhaps function, lines")))
        .collect()
}

pub(super) fn parse_line(line: &str) -> Option<Exception> {
    let (what, lines) = line.rsplit_once(' ')?;
    Some(Exception { what: what.trim().to_owned(), lines: lines.parse().ok()? })
}

/// Entries that the list did not have, or had with a smaller figure, in the commit before: the list may only shrink.
/// The working tree is held against the last commit, and the last commit against the one before it.
pub(super) fn grown(workspace: &Path, now: &[Exception]) -> Vec<String> {
    let last = at_commit(workspace, "HEAD");
    let before = at_commit(workspace, "HEAD^");
    let mut problems = Vec::new();
    for (older, newer) in [(&last, &Some(now.to_vec())), (&before, &last)] {
        if let (Some(older), Some(newer)) = (older, newer) {
            problems.extend(additions(older, newer));
        }
    }
    problems.dedup();
    problems
}

fn additions(older: &[Exception], newer: &[Exception]) -> Vec<String> {
    let had = |new: &&Exception| older.iter().any(|old| old.what == new.what && old.lines >= new.lines);
    newer.iter().filter(|new| !had(new)).map(|new| format!("{}: {FILE} may only shrink", new.what)).collect()
}

/// The list at a commit; `None` when there is no such commit, or no list in it.
fn at_commit(workspace: &Path, commit: &str) -> Option<Vec<Exception>> {
    let output =
        Command::new("git").args(["show", &format!("{commit}:{FILE}")]).current_dir(workspace).output().ok()?;
    if !output.status.success() {
        return None;
    }
    parse(&String::from_utf8_lossy(&output.stdout)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_may_only_shrink() {
        let older = parse("a 100\nb f 80\nc 90").unwrap();
        assert!(additions(&older, &parse("# fine\na 90\nb f 80\n").unwrap()).is_empty());
        assert_eq!(additions(&older, &parse("a 101\nd 75").unwrap()).len(), 2);
    }

    #[test]
    fn a_line_is_what_and_how_long() {
        assert_eq!(parse_line("a/b.rs f 80"), Some(Exception { what: "a/b.rs f".to_owned(), lines: 80 }));
        assert!(parse("a/b.rs").is_err());
    }
}
