//! `cargo run -p ottla-oracle -- COMMAND`: the oracle by hand. Without arguments it prints its manual.

use ottla_oracle::{Oracle, OracleError, named};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

const MANUAL: &str = "\
install                       fetch the jars (once)
start NAME [key=value ...]    format if needed, start a combined node, wait until it answers
stop NAME...                  stop with SIGTERM (all nodes of a cluster in one command)
kill9 NAME...                 stop with SIGKILL
cluster N [key=value ...]     start nodes c1 to cN, the first three of them voters
list | log NAME | wipe NAME   all nodes | print a log | remove a stopped node
tool SCRIPT [ARGUMENT ...]    run one of Kafka's tools, for example kafka-topics
tools                         the names of all tools
program CLASS [ARGUMENT ...]  run a program of oracle/java
java CLASS [ARGUMENT ...]     run any class
javac ARGUMENT ...            compile against the jars
cp                            print the class path

start takes any server property, and port=19092 (controllers: 1000 more). They are remembered: start NAME is enough later.
$ORACLE_HOME holds everything (target/oracle), $ORACLE_HEAP is the heap of a node (1G).";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ottla-oracle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Result<ExitCode, OracleError> {
    let (Some(command), rest) = (arguments.first(), arguments.get(1..).unwrap_or_default()) else {
        eprintln!("{MANUAL}");
        return Ok(ExitCode::from(2));
    };
    let name = || rest.first().ok_or_else(|| OracleError::Argument(format!("{command} needs a name")));
    match command.as_str() {
        "install" => println!("{}", Oracle::install()?.jars().display()),
        "start" => named::start(&Oracle::install()?, name()?, rest.get(1..).unwrap_or_default())?,
        "stop" => named::stop(&Oracle::at_home(), rest, "TERM")?,
        "kill9" => named::stop(&Oracle::at_home(), rest, "KILL")?,
        "cluster" => named::cluster(&Oracle::install()?, name()?, rest.get(1..).unwrap_or_default())?,
        "list" => named::list(&Oracle::at_home())?,
        "log" => named::log(&Oracle::at_home(), name()?)?,
        "wipe" => named::wipe(&Oracle::at_home(), name()?)?,
        "tool" => return become_it(Oracle::install()?.tool(name()?)?.args(rest.get(1..).unwrap_or_default())),
        "tools" => ottla_oracle::tools::names().for_each(|name| println!("{name}")),
        "program" => return become_it(Oracle::install()?.program(name()?)?.args(rest.get(1..).unwrap_or_default())),
        "java" => return become_it(Oracle::install()?.java()?.args(rest)),
        "javac" => {
            return become_it(Command::new("javac").args(["-cp", &Oracle::install()?.class_path()]).args(rest));
        }
        "cp" => println!("{}", Oracle::at_home().class_path()),
        _ => {
            eprintln!("unknown command {command}\n\n{MANUAL}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces this process by `command`, so that signals, terminal and exit code are the command's own.
fn become_it(command: &mut Command) -> Result<ExitCode, OracleError> {
    let source = command.exec();
    Err(OracleError::Run { program: command.get_program().to_string_lossy().into_owned(), source })
}
