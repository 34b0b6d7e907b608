//! The jobs by `ottla-client`.

use crate::{Job, Outcome};
use ottla_client::{
    Admin, ClientSettings, Consumer, ConsumerSettings, NewTopic, OffsetReset, Producer, ProducerRecord,
    ProducerSettings,
};
use ottla_types::TopicPartition;
use std::time::Duration;

pub async fn create_topic(job: Job<'_>) -> Outcome<()> {
    let admin = Admin::new(ClientSettings::new(job.servers))?;
    let topic =
        NewTopic { name: job.topic.to_owned(), partitions: Some(1), replication_factor: Some(1), ..Default::default() };
    for (_, created) in admin.create_topics(&[topic], false).await? {
        created?;
    }
    admin.close();
    Ok(())
}

pub async fn delete_topic(job: Job<'_>) -> Outcome<()> {
    let admin = Admin::new(ClientSettings::new(job.servers))?;
    admin.delete_topics(&[job.topic.to_owned()]).await?;
    admin.close();
    Ok(())
}

pub async fn produce(job: Job<'_>) -> Outcome<()> {
    let producer = Producer::new(ProducerSettings::new(job.servers))?;
    let value = vec![b'x'; job.bytes];
    let mut last = None;
    for _ in 0..job.records {
        let record = ProducerRecord::new(job.topic).value(value.clone());
        last = Some(producer.send(record).await?);
    }
    producer.flush().await;
    if let Some(last) = last {
        last.await?;
    }
    producer.close().await;
    Ok(())
}

pub async fn consume(job: Job<'_>) -> Outcome<()> {
    let settings = ConsumerSettings { offset_reset: OffsetReset::Earliest, ..ConsumerSettings::new(job.servers) };
    let mut consumer = Consumer::new(settings)?;
    consumer.assign([TopicPartition::new(job.topic, 0)]);
    let (mut count, mut bytes) = (0, 0);
    while count < job.records {
        for record in consumer.poll(Duration::from_secs(1)).await? {
            count += 1;
            bytes += record.value.map_or(0, |value| value.len());
        }
    }
    assert_eq!(bytes, count * job.bytes, "every value came whole");
    consumer.close().await?;
    Ok(())
}
