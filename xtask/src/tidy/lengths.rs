use super::exceptions::{self, Exception};
use super::files::SourceFile;
use crate::source;
use std::collections::BTreeMap;
use std::path::Path;

/// Aim at 400 lines a file and 40 a function; these are where it stops.
const FILE_LINES_MAX: usize = 1_000;
const FUNCTION_LINES_MAX: usize = 70;

/// Files and functions that are too long and not on the list, and entries of the list that are out of date.
pub(super) fn problems(workspace: &Path, files: &[SourceFile]) -> Vec<String> {
    match exceptions::read(workspace) {
        Ok(listed) => {
            let mut problems = compare(&too_long(files), &listed);
            problems.extend(exceptions::grown(workspace, &listed));
            problems
        }
        Err(problem) => vec![problem],
    }
}

/// What is over its limit, with its figure.
fn too_long(files: &[SourceFile]) -> BTreeMap<String, usize> {
    let mut figures = BTreeMap::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            figures.insert(file.path.clone(), lines);
        }
        for function in source::functions(&source::code_only(&file.text)) {
            if function.lines > FUNCTION_LINES_MAX {
                // Two of one name in a file share an entry; the longer one counts.
                let figure = figures.entry(format!("{} {}", file.path, function.name)).or_default();
                *figure = function.lines.max(*figure);
            }
        }
    }
    figures
}

fn compare(actual: &BTreeMap<String, usize>, listed: &[Exception]) -> Vec<String> {
    let mut problems = Vec::new();
    let entry = |what: &str| listed.iter().find(|exception| exception.what == *what);
    for (what, lines) in actual {
        match entry(what) {
            None => problems.push(format!("{what}: {lines} lines are too many")),
            Some(exception) if exception.lines < *lines => {
                problems.push(format!("{what}: {lines} lines, the list allows {} at most", exception.lines));
            }
            Some(exception) if exception.lines > *lines => {
                problems.push(format!("{what}: only {lines} lines now, write that into {}", exceptions::FILE));
            }
            Some(_) => {}
        }
    }
    for exception in listed.iter().filter(|exception| !actual.contains_key(&exception.what)) {
        problems.push(format!("{}: not too long any more, take it off {}", exception.what, exceptions::FILE));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_functions_are_found() {
        let function = format!("fn long() {{\n{}}}\n", "x();\n".repeat(FUNCTION_LINES_MAX));
        let text = format!("{function}{}", "\n".repeat(FILE_LINES_MAX));
        let files = [SourceFile { path: "a.rs".to_owned(), text }];
        let figures: Vec<_> = too_long(&files).into_iter().collect();
        assert_eq!(figures, [("a.rs".to_owned(), 1_072), ("a.rs long".to_owned(), 72)]);
    }

    #[test]
    fn the_list_must_tell_the_truth() {
        let actual = BTreeMap::from([("new".to_owned(), 80), ("grown".to_owned(), 80), ("shrunk".to_owned(), 80)]);
        let listed = ["grown 75", "shrunk 85", "gone 90"].map(|line| exceptions::parse_line(line).unwrap());
        assert_eq!(compare(&actual, &listed).len(), 4);
        assert!(
            compare(&BTreeMap::from([("same".to_owned(), 80)]), &[exceptions::parse_line("same 80").unwrap()])
                .is_empty()
        );
    }
}
