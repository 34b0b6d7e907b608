//! `cargo xtask COMMAND`; without a command it prints what there is.

use std::process::ExitCode;
use xtask::{fuzz, mistakes, pages, stages, tidy, workspace};

const MANUAL: &str = "\
test [STAGE ...]  install what the tests need and run them all, or only the named stages
stages            name the stages of test
tidy              check the house rules that no compiler checks
pages             write the generated pages of docs/
pages --check     fail if they are not up to date
fuzz [TARGET ...] [--executions N] [--seconds N] [--ledger]
                  run the fuzz targets, 10^8 executions in all (needs the nightly toolchain), and add to the table of
                  docs/fuzzing.md what was executed
mistakes [NAME ...]  make mistakes in a copy of the sources, one at a time, which the simulator of clusters must find
fuzz --merge      add to their seeds what they have found beyond";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test", names @ ..] => stages::test(workspace(), names),
        ["stages"] => {
            stages::names().for_each(|name| println!("{name}"));
            ExitCode::SUCCESS
        }
        ["mistakes", names @ ..] => mistakes::run(workspace(), names),
        ["tidy"] => report(tidy::problems(workspace())),
        ["fuzz", arguments @ ..] => fuzz::run(workspace(), arguments),
        ["pages"] => report(pages::write(workspace())),
        ["pages", "--check"] => report(pages::stale(workspace())),
        _ => {
            eprintln!("{MANUAL}");
            ExitCode::from(2)
        }
    }
}

/// Prints problems; success if there are none.
fn report(problems: Vec<String>) -> ExitCode {
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
