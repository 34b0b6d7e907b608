//! Sends records with keys and headers, and waits for their fates.
//!
//! `cargo run -p ottla-client --example produce -- localhost:9092 my-topic 1000`

use ottla_client::{Compression, Producer, ProducerRecord, ProducerSettings, Result};
use std::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "my-topic".to_owned());
    let count: u64 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000);

    let settings = ProducerSettings { compression: Compression::Lz4, ..ProducerSettings::new(&servers) };
    let producer = Producer::new(settings)?;
    let start = Instant::now();
    let mut deliveries = Vec::new();
    for number in 0..count {
        let record = ProducerRecord::new(topic.as_str())
            .key(format!("key-{}", number % 10))
            .value(format!("value number {number}"))
            .header("made-by", "example");
        deliveries.push(producer.send(record).await?);
    }
    producer.flush().await;
    let mut last = None;
    for delivery in deliveries {
        last = Some(delivery.await?);
    }
    if let Some(last) = last {
        println!(
            "{count} records in {:?}; the last is {}-{} at {}",
            start.elapsed(),
            last.topic,
            last.partition,
            last.offset
        );
    }
    producer.close().await;
    Ok(())
}
