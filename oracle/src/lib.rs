//! The oracle: the pinned Apache Kafka, installed by Maven, run beside Ottla.
//!
//! Where the behaviour of Apache Kafka is in question, the running Apache Kafka is asked. This crate installs it (once, into
//! `target/oracle`), runs its nodes and tools, compiles and runs small Java programs against its jars, and gives tests a
//! node on free ports in a directory of its own.
//!
//! ```no_run
//! # fn main() -> Result<(), ottla_oracle::OracleError> {
//! let oracle = ottla_oracle::Oracle::install()?;
//! let node = oracle.start(&ottla_oracle::NodeOptions::default())?;
//! let listed = oracle.run_tool("kafka-topics", &["--bootstrap-server", &node.bootstrap_server(), "--list"])?;
//! assert_eq!(listed.code, Some(0));
//! # Ok(())
//! # }
//! ```

mod captured;
mod error;
mod home;
mod install;
mod java;
mod leash;
pub mod named;
mod node;
mod ports;
pub mod tools;

pub use captured::{Captured, run};
pub use error::OracleError;
pub use home::Oracle;
pub use java::{SHORT_RUN_OPTIONS, ToolRun};
pub use leash::Leash;
pub use node::{Node, NodeOptions};
pub use ports::free_port;

/// The release that Ottla is held against. The one place where it is written.
pub const KAFKA_VERSION: &str = include_str!("../KAFKA_VERSION").trim_ascii();
