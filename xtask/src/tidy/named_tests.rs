//! Pages that say which test shows what: every test and every case that they name is there.

use super::files::SourceFile;
use std::collections::BTreeSet;

/// The pages.
const PAGES: [&str; 4] = [
    "docs/hard-behaviours.md",
    "docs/hostile-inputs.md",
    "docs/internals/hostile-input.md",
    "docs/known-incompatibilities.md",
];

/// The pages whose rows are numbered, and how many each has.
const NUMBERED: [(&str, usize); 2] = [("docs/hostile-inputs.md", 176), ("docs/known-incompatibilities.md", 136)];

/// The suite whose jobs are named behind it like the cases of a file of requests, and where they are listed.
const JOBS: (&str, &str) = ("foreign_clients", "tests/src/foreign/features.rs");

/// A name of so many words is that of a test; shorter ones in a page are names of other things.
const WORDS_MIN: usize = 4;

/// What the pages name and nobody has.
pub(super) fn problems(files: &[SourceFile]) -> Vec<String> {
    let functions = functions(files);
    let mut problems = Vec::new();
    for page in files.iter().filter(|file| PAGES.contains(&file.path.as_str())) {
        for (number, line) in page.text.lines().enumerate() {
            let place = format!("{}:{}", page.path, number + 1);
            let missing = names(line).filter(|name| !functions.contains(name));
            problems.extend(missing.map(|name| format!("{place}: there is no test {name}")));
            problems.extend(missing_cases(line, files).map(|case| format!("{place}: there is no case {case}")));
        }
        let numbered = NUMBERED.iter().filter(|(path, _)| page.path == *path);
        problems.extend(numbered.flat_map(|(path, count)| wrong_numbers(path, *count, &page.text)));
    }
    problems
}

/// The names of all functions, and of all files and folders: examples are named by these.
fn functions(files: &[SourceFile]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        names.extend(file.path.split('/').map(|name| name.strip_suffix(".rs").unwrap_or(name)));
        let rests = file.text.split("fn ").skip(1);
        names.extend(rests.map(|rest| rest.split(|c: char| !is_word(c)).next().unwrap_or_default()));
    }
    names
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What stands between backticks and looks like the name of a test, perhaps behind that of its crate.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let names = quoted.map(|text| text.rsplit(": ").next().unwrap_or(text));
    names.filter(|name| {
        name.chars().all(is_word) && name.split('_').filter(|word| !word.is_empty()).count() >= WORDS_MIN
    })
}

/// Behind the name of a file of requests, between backticks, its cases stand in quotation marks up to the next file; behind
/// that of the clients' suite its jobs.
fn missing_cases<'a>(line: &'a str, files: &'a [SourceFile]) -> impl Iterator<Item = &'a str> {
    let mut missing = Vec::new();
    let mut lists: Option<(&SourceFile, &str)> = None;
    for (number, piece) in line.split('`').enumerate() {
        if number % 2 == 1 {
            let name = piece.rsplit('/').next().unwrap_or(piece);
            let requests = format!("tests/requests/{}.json", name.strip_suffix(".json").unwrap_or(name));
            let (path, key) = if name == JOBS.0 { (JOBS.1, "name") } else { (requests.as_str(), "\"case\"") };
            lists = files.iter().find(|file| file.path == path).map(|file| (file, key));
        } else if let Some((file, key)) = lists {
            let cases = piece.split('"').skip(1).step_by(2);
            missing.extend(cases.filter(|case| !file.text.contains(&format!("{key}: \"{case}\""))));
        }
    }
    missing.into_iter()
}

fn wrong_numbers(page: &str, count: usize, text: &str) -> Vec<String> {
    let numbers: Vec<usize> =
        text.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
    if numbers.iter().copied().eq(1..=count) {
        return Vec::new();
    }
    let first =
        numbers.iter().zip(1..).find(|(number, expected)| *number != expected).map_or(numbers.len(), |(n, _)| *n);
    vec![format!("{page}: its rows are not 1 to {count}; look at {first}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_test_that_is_not_there_is_named() {
        let code = file("crates/log/src/a.rs", "#[test]\nfn a_log_that_is_there() {}");
        let page = |text| file("docs/hard-behaviours.md", text);
        let sound =
            page("| 1 | x | `log: a_log_that_is_there`, `a_log_that_is_there`, `max.bytes`, `__consumer_offsets` |");
        assert!(problems(&[code.clone(), sound]).is_empty());
        let wrong = page("| 1 | x | `log: a_log_that_is_gone` |");
        assert_eq!(problems(&[code, wrong]), ["docs/hard-behaviours.md:1: there is no test a_log_that_is_gone"]);
    }

    #[test]
    fn a_case_that_is_not_there_is_named() {
        let requests = file("tests/requests/10-topics.json", r#"[{"case": "one"}]"#);
        let page = file("docs/hard-behaviours.md", "\"free\" `10-topics.json`, \"one\", \"two\"; `log: x`, \"three\"");
        assert_eq!(problems(&[requests, page]), ["docs/hard-behaviours.md:1: there is no case two"]);
    }

    #[test]
    fn a_job_that_is_not_there_is_named() {
        let jobs = file(JOBS.1, r#"Feature { name: "topics", work: topics::life },"#);
        let page = file("docs/hard-behaviours.md", "`foreign_clients`: \"topics\", \"tropics\"; `log: x`, \"free\"");
        assert_eq!(problems(&[jobs, page]), ["docs/hard-behaviours.md:1: there is no case tropics"]);
    }

    #[test]
    fn a_number_that_is_left_out_is_named() {
        for (path, count) in NUMBERED {
            let rows = |numbers: &mut dyn Iterator<Item = usize>| {
                file(path, &numbers.map(|number| format!("| {number} | x |\n")).collect::<String>())
            };
            assert!(problems(&[rows(&mut (1..=count))]).is_empty());
            let gap = rows(&mut (1..=count).filter(|number| *number != 2));
            assert_eq!(problems(&[gap]), [format!("{path}: its rows are not 1 to {count}; look at 3")]);
        }
    }
}
