//! The one program: `ottla` starts a server, `ottla topics …` and `kafka-topics …` run a tool.

mod arguments;
mod logging;
mod server;
mod ticker;

use arguments::Arguments;
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

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
