//! An asynchronous Kafka client in pure Rust: [`Producer`], [`Consumer`] and [`Admin`].
//!
//! It speaks to Ottla and to Apache Kafka 2.1 and newer: with each node it uses the newest version of each request that
//! both sides know. It runs on tokio, on a current-thread runtime as well as on a multi-threaded one, and has no threads of
//! its own.
//!
//! # Producing
//!
//! [`Producer::send`] puts a record into the buffer, waiting while that is full, and answers with a future of its fate.
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
//!
//! # Consuming
//!
//! A member of a group reads what the group assigns to it; `group.protocol=consumer` lets the coordinator decide (KIP-848).
//!
//! ```no_run
//! # async fn example() -> ottla_client::Result<()> {
//! use ottla_client::{Consumer, ConsumerSettings, GroupProtocol, OffsetReset};
//! use std::time::Duration;
//!
//! let mut settings = ConsumerSettings::new("localhost:9092").group("billing");
//! settings.group_protocol = GroupProtocol::Consumer;
//! settings.offset_reset = OffsetReset::Earliest;
//! let mut consumer = Consumer::new(settings)?;
//! consumer.subscribe(["orders"])?;
//! for _ in 0..100 {
//!     for record in consumer.poll(Duration::from_secs(1)).await? {
//!         println!("{}-{} at {}: {:?}", record.topic, record.partition, record.offset, record.value);
//!     }
//!     consumer.commit().await?;
//! }
//! consumer.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Transactions
//!
//! What a transaction sends, and the offsets of what it read, become visible all at once or not at all to readers with
//! `isolation.level=read_committed`. [`ClientError::recovery`] says what to do after an error.
//!
//! ```no_run
//! # use ottla_client::{ClientError, Consumer, Producer, ProducerRecord, ProducerSettings, Recovery};
//! # use std::time::Duration;
//! # async fn example(mut consumer: Consumer) -> ottla_client::Result<()> {
//! let producer = Producer::new(ProducerSettings::new("localhost:9092").transactional("billing-1"))?;
//! producer.init_transactions().await?;
//! loop {
//!     match one_round(&producer, &mut consumer).await {
//!         Ok(()) => {}
//!         Err(error) if error.recovery() == Recovery::AbortTransaction => {
//!             producer.abort_transaction().await?;
//!             consumer.seek_to_committed();
//!         }
//!         Err(error) => return Err(error),
//!     }
//! }
//!
//! async fn one_round(producer: &Producer, consumer: &mut Consumer) -> Result<(), ClientError> {
//!     let records = consumer.poll(Duration::from_secs(1)).await?;
//!     producer.begin_transaction()?;
//!     for record in records {
//!         let mut bill = ProducerRecord::new("bills");
//!         (bill.key, bill.value) = (record.key, record.value);
//!         producer.send(bill).await?;
//!     }
//!     producer.send_offsets_to_transaction(&consumer.positions(), &consumer.group_metadata()?).await?;
//!     producer.commit_transaction().await
//! }
//! # }
//! ```
//!
//! # Administration
//!
//! Where a call is about many things, each has a result of its own.
//!
//! ```no_run
//! # async fn example() -> ottla_client::Result<()> {
//! use ottla_client::{Admin, ClientSettings, NewTopic};
//!
//! let admin = Admin::new(ClientSettings::new("localhost:9092"))?;
//! let topic = NewTopic { name: "orders".to_owned(), partitions: Some(6), ..Default::default() };
//! for (name, created) in admin.create_topics(&[topic], false).await? {
//!     println!("{name}: {created:?}");
//! }
//! admin.close();
//! # Ok(())
//! # }
//! ```
//!
//! # What every call promises
//!
//! - **Retries** go by Kafka's rules until a call's timeout; an error that a caller sees is final for that call.
//! - **Cancellation:** dropping a call's future stops waiting and leaves nothing half done on this side; what that means for
//!   the server is said at each call.
//! - **Back-pressure:** every buffer has a bound, and a call that needs room waits for it.
//! - **Numbers:** each client's `metrics` are a snapshot under Kafka's names.

mod admin;
mod backoff;
mod cluster;
mod consumer;
mod error;
mod metrics;
mod network;
mod producer;
mod random;
mod record;
mod settings;

pub use admin::*;
pub use bytes::Bytes;
pub use cluster::{Cluster, ClusterMetadata, NodeEndpoint, PartitionMetadata, TopicMetadata};
pub use consumer::*;
pub use error::{ClientError, Recovery, Result};
pub use metrics::{Metric, Metrics};
pub use network::NodeVersions;
pub use ottla_protocol::ErrorCode;
pub use ottla_records::Compression;
pub use ottla_types::TopicPartition;
pub use producer::*;
pub use record::{ConsumerRecord, Header, ProducerRecord, TimestampKind};
pub use settings::ClientSettings;
