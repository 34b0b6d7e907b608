//! An asynchronous Kafka client in pure Rust: [`Producer`], [`Consumer`] and [`Admin`].
//!
//! It speaks to Ottla and to Apache Kafka 2.1 and newer: with each node it uses the newest version of each request that
//! both sides know. It runs on tokio, on a current-thread runtime as well as on a multi-threaded one.
//!
//! ```no_run
//! # async fn example() -> ottla_client::Result<()> {
//! use ottla_client::{Producer, ProducerRecord, ProducerSettings};
//!
//! let producer = Producer::new(ProducerSettings::new("localhost:9092"))?;
//! let record = ProducerRecord::new("orders").key("customer-7").value("two apples");
//! let delivered = producer.send(record).await?.await?;
//! println!("{}-{} at {}", delivered.topic, delivered.partition, delivered.offset);
//! producer.close().await;
//! # Ok(())
//! # }
//! ```

mod admin;
mod backoff;
mod cluster;
mod consumer;
mod error;
mod network;
mod producer;
mod random;
mod record;
mod settings;

pub use admin::*;
pub use cluster::{Cluster, ClusterMetadata, NodeEndpoint, PartitionMetadata, TopicMetadata};
pub use consumer::*;
pub use error::{ClientError, Recovery, Result};
pub use network::NodeVersions;
pub use ottla_protocol::ErrorCode;
pub use ottla_records::Compression;
pub use producer::*;
pub use record::{ConsumerRecord, Header, ProducerRecord, TimestampKind};
pub use settings::ClientSettings;
