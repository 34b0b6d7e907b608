//! The jobs by librdkafka, on the calling thread and librdkafka's own ones.

use crate::{Job, Outcome};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

pub fn produce(job: Job<'_>) -> Outcome<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", job.servers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("batch.size", "16384")
        .create()?;
    let value = vec![b'x'; job.bytes];
    for _ in 0..job.records {
        let mut record = BaseRecord::<(), [u8]>::to(job.topic).payload(&value);
        // A full queue is its back-pressure: it has to be polled until there is room.
        while let Err((error, unsent)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(1));
            record = unsent;
        }
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(())
}

pub fn consume(job: Job<'_>) -> Outcome<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", job.servers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(job.topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    let (mut count, mut bytes) = (0, 0);
    while count < job.records {
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            bytes += message?.payload().map_or(0, <[u8]>::len);
            count += 1;
        }
    }
    assert_eq!(bytes, count * job.bytes, "every value came whole");
    Ok(())
}
