//! What a node counts and measures: counters and summaries that cost next to nothing to feed, the one list of names they are
//! shown under, and Prometheus' text form. `docs/internals/observability.md` says how they are named and why.

mod counter;
pub mod declarations;
pub mod document;
mod exposition;
mod metric;
pub mod otlp;
mod summary;

pub use counter::Counter;
pub use exposition::{Exposition, Family};
pub use metric::{Kind, Metric};
pub use summary::{QUANTILES, Summary, SummaryReading};
