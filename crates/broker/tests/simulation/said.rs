//! What the nodes say of themselves, for who looks into a run: with `OTTLA_SIMULATION_LOG` set it is printed.

use core::fmt::Write as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

struct Printer;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn core::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Printer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        eprintln!("{} {}{}", event.metadata().level(), event.metadata().target(), line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Prints events from now on, if that is wanted.
pub(crate) fn print() {
    if std::env::var_os("OTTLA_SIMULATION_LOG").is_some() {
        // A second test of the same process finds it set.
        drop(tracing::subscriber::set_global_default(Printer));
    }
}

/// A line between those of the nodes.
pub(crate) fn say(line: impl FnOnce() -> String) {
    if std::env::var_os("OTTLA_SIMULATION_LOG").is_some() {
        eprintln!("{}", line());
    }
}
