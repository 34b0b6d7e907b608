use crate::source;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A file of the project.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    /// Its path in the workspace, with slashes.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
}

/// Modules that may contain `unsafe`, each with the reason. Beside the operating system's room only what measures
/// allocations needs it.
const UNSAFE_MODULES: [&str; 0] = [];

/// A counting allocator in a bench or a test can't be written without it.
const UNSAFE_FOLDERS: [&str; 2] = ["/benches/", "/tests/"];

/// Names that say how a file is used instead of what is in it.
const BAD_NAMES: [&str; 12] =
    ["util", "utils", "helper", "helpers", "manager", "managers", "common", "misc", "impl", "impls", "shared", "stuff"];

/// Words that stand for work not done. Written in pieces, or this file would be its own finding.
const BAD_WORDS: [&str; 4] =
    [concat!("to", "do!"), concat!("unimpl", "emented!"), concat!("db", "g!"), concat!("#[ign", "ore")];

/// Directories that exist on one machine only.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tmp/", "plan")];

/// All text files that belong to the project, committed or about to be.
pub(super) fn list(workspace: &Path) -> Result<Vec<SourceFile>, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(workspace)
        .output()
        .map_err(|error| format!("git can't be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut paths: Vec<&str> = names.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    // A file that is listed but gone is about to be deleted; one that is not UTF-8 is no text.
    let read = |path: &str| {
        let text = fs::read_to_string(workspace.join(path)).ok()?;
        Some(SourceFile { path: path.to_owned(), text })
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

/// What is wrong with one file apart from its length.
pub(super) fn problems(file: &SourceFile) -> Vec<String> {
    let path = &file.path;
    let mut problems = Vec::new();
    if path.split('/').any(|part| BAD_NAMES.contains(&part.split('.').next().unwrap_or_default())) {
        problems.push(format!("{path}: name it after what is in it"));
    }
    for found in MACHINE_PATHS {
        if let Some(line) = line_of(&file.text, found) {
            problems.push(format!("{path}:{line}: {found} exists on one machine only"));
        }
    }
    if path.ends_with(".rs") {
        let code = source::code_only(&file.text);
        for word in BAD_WORDS {
            if let Some(line) = line_of(&code, word) {
                problems.push(format!("{path}:{line}: {word} is work not done"));
            }
        }
        let may = UNSAFE_MODULES.contains(&path.as_str()) || UNSAFE_FOLDERS.iter().any(|folder| path.contains(folder));
        if let (false, Some(line)) = (may, source::line_of_word(&code, "unsafe")) {
            problems.push(format!("{path}:{line}: unsafe outside the listed modules"));
        }
    }
    problems
}

fn line_of(text: &str, needle: &str) -> Option<usize> {
    text.lines().position(|line| line.contains(needle)).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        problems(&SourceFile { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn names_of_patterns_are_refused() {
        for path in ["crates/x/src/util.rs", "crates/helpers/src/lib.rs", "docs/common.md"] {
            assert_eq!(found(path, "").len(), 1, "{path}");
        }
        assert!(found("crates/x/src/utility_bill.rs", "").is_empty());
    }

    #[test]
    fn work_not_done_is_refused_in_code_but_not_in_words() {
        let macro_call = format!("fn f() {{ {}() }}", BAD_WORDS[0]);
        assert_eq!(found("a.rs", &macro_call).len(), 1);
        assert!(found("a.rs", &format!("// {}", BAD_WORDS[0])).is_empty());
        assert_eq!(found("a.rs", &format!("{}]\nfn t() {{}}", BAD_WORDS[3])).len(), 1);
    }

    #[test]
    fn unsafe_stands_in_listed_places_only() {
        assert_eq!(found("crates/log/src/a.rs", "unsafe { x }").len(), 1);
        assert!(found("crates/protocol/benches/a.rs", "unsafe { x }").is_empty());
        assert!(found("crates/log/src/a.rs", "#![deny(unsafe_code)] // unsafe").is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_refused_in_any_file() {
        assert_eq!(found("README.md", &format!("see {}x", MACHINE_PATHS[0])).len(), 1);
    }
}
