use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Events go to standard error: warnings and worse of everything, and what Ottla itself says from `info` on.
/// `OTTLA_LOG` changes that, for example `OTTLA_LOG=ottla_log=debug`.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("OTTLA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    if let Err(error) = started {
        eprintln!("ottla: events can't be printed: {error}");
    }
}
