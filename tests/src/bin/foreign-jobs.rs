//! The jobs of foreign clients by hand, for those who write an adapter: `foreign-jobs BOOTSTRAP [--job NAME]... COMMAND...`

use ottla_tests::foreign::{Crew, FEATURES, Failure, Feature, feature};
use std::process::{Command, ExitCode};

const MANUAL: &str = "foreign-jobs BOOTSTRAP [--job NAME]... COMMAND [ARGUMENT]...
  does the jobs of these names, or all, with the adapter that COMMAND ARGUMENT... BOOTSTRAP starts; names are:";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((bootstrap, features, command)) = parse(&arguments) else {
        eprintln!("{MANUAL} {}", FEATURES.map(|feature| feature.name).join(", "));
        return ExitCode::from(2);
    };
    match work(bootstrap, &features, command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Option<(&str, Vec<Feature>, &[String])> {
    let (bootstrap, mut rest) = arguments.split_first()?;
    let mut features = Vec::new();
    while let [option, name, others @ ..] = rest
        && option == "--job"
    {
        features.push(feature(name)?);
        rest = others;
    }
    if features.is_empty() {
        features = FEATURES.to_vec();
    }
    (!rest.is_empty()).then_some((bootstrap, features, rest))
}

/// Whether all went well.
fn work(bootstrap: &str, features: &[Feature], words: &[String]) -> Result<bool, Failure> {
    let words = words.to_vec();
    let crew = Crew::new(bootstrap, move || {
        let mut command = Command::new(words.first().map(String::as_str).unwrap_or_default());
        command.args(words.iter().skip(1));
        Ok(command)
    });
    let report = crew.work(features, |line| println!("{line}"))?;
    let failed = report.failed();
    println!("{} {}: {} jobs failed {failed:?}", report.client, report.version, failed.len());
    Ok(failed.is_empty())
}
