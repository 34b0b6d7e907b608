//! The one program: `ottla` starts a server, `ottla topics …` and `kafka-topics …` run a tool.

mod arguments;
mod cluster;
mod container;
mod descriptors;
mod directories;
mod logging;
mod server;
mod stopping;
mod ticker;
mod waiting;
mod watching;

use arguments::Arguments;
use container::ContainerOptions;
use std::ffi::OsString;
use std::process::ExitCode;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let program = if arguments.is_empty() { OsString::new() } else { arguments.remove(0) };
    // Called by a tool's name, as through a symbolic link, it is that tool; else the first argument may be one.
    if let Some(tool) = program.to_str().and_then(ottla_tools::find) {
        return exit(ottla_tools::run(tool, arguments));
    }
    if let Some(tool) = arguments.first().and_then(|first| first.to_str()).and_then(ottla_tools::find) {
        arguments.remove(0);
        return exit(ottla_tools::run(tool, arguments));
    }
    if arguments.first().is_some_and(|first| first == "container-config") {
        return container_config(&arguments);
    }
    match Arguments::parse(arguments) {
        Ok(Arguments::Start(options)) => exit(server::run(options)),
        Ok(Arguments::Version) => {
            println!("ottla {} (Apache Kafka {})", env!("CARGO_PKG_VERSION"), arguments::KAFKA_VERSION);
            ExitCode::SUCCESS
        }
        Ok(Arguments::Help) => {
            println!("{}", arguments::usage());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ottla: {error}\n\n{}", arguments::usage());
            ExitCode::FAILURE
        }
    }
}

/// Writes the configuration of a server in a container.
fn container_config(arguments: &[OsString]) -> ExitCode {
    let words: Vec<String> = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let written = ContainerOptions::parse(&words).and_then(|options| {
        // A variable that is not UTF-8 can't be a key's value.
        options.write(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ottla: {error}");
            ExitCode::FAILURE
        }
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
