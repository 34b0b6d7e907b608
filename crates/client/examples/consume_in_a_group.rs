//! Reads a topic as a member of a group, and commits what it has shown. Start it several times to see the partitions
//! shared out. Ends when nothing came for the given number of seconds.
//!
//! `cargo run -p ottla-client --example consume_in_a_group -- localhost:9092 my-topic my-group 10`

use ottla_client::{Consumer, ConsumerSettings, OffsetReset, Result};
use std::time::{Duration, Instant};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "my-topic".to_owned());
    let group = arguments.next().unwrap_or_else(|| "my-group".to_owned());
    let quiet = arguments.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(10);

    let settings = ConsumerSettings {
        offset_reset: OffsetReset::Earliest,
        auto_commit: false,
        ..ConsumerSettings::new(&servers).group(group)
    };
    let mut consumer = Consumer::new(settings)?;
    consumer.subscribe([topic])?;
    consumer.set_rebalance_listener(Box::new(|rebalance| println!("{rebalance:?}")));
    let mut last = Instant::now();
    let mut count = 0;
    while last.elapsed() < Duration::from_secs(quiet) {
        let records = consumer.poll(Duration::from_secs(1)).await?;
        for record in &records {
            let text = |bytes: &Option<_>| {
                bytes.as_ref().map(|bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            if count % 1_000 == 0 {
                let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
                println!("{topic}-{partition} {offset}: {:?} = {:?}", text(&record.key), text(&record.value));
            }
            count += 1;
        }
        if !records.is_empty() {
            consumer.commit().await?;
            last = Instant::now();
        }
    }
    println!("{count} records");
    consumer.close().await
}
