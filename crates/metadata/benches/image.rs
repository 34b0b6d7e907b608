//! What an image of 10,000 partitions costs: replay, one change with its publication, lookup, snapshot.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use ottla_metadata::{LoadedBatch, MetadataImage, MetadataLoader};
use ottla_protocol::metadata_records::{MetadataRecord, PartitionChangeRecord, PartitionRecord, TopicRecord};
use ottla_types::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, Uuid};
use std::hint::black_box;

const TOPICS: u128 = 1_000;
const PARTITIONS: i32 = 10;

fn topic_id(topic: u128) -> TopicId {
    Uuid::from_u128(topic.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn records() -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in 0..TOPICS {
        let topic_id = topic_id(topic);
        records.push(TopicRecord { name: format!("topic-{topic}"), topic_id, ..Default::default() }.into());
        records.extend((0..PARTITIONS).map(|partition_id| {
            MetadataRecord::from(PartitionRecord {
                topic_id,
                partition_id,
                replicas: vec![1, 2, 3],
                isr: vec![1, 2, 3],
                leader: 1,
                leader_epoch: 0,
                partition_epoch: 0,
                directories: vec![Uuid::from_u128(500); 3],
                ..Default::default()
            })
        }));
    }
    records
}

fn image(records: &[MetadataRecord]) -> MetadataImage {
    let mut image = MetadataImage::new();
    for record in records {
        image.replay(record).unwrap();
    }
    image
}

fn load(loader: &mut MetadataLoader, offset: i64, record: MetadataRecord) {
    let batch = LoadedBatch {
        base_offset: Offset(offset),
        last_offset: Offset(offset),
        epoch: LeaderEpoch(1),
        timestamp: Timestamp(0),
        records: &[record],
    };
    loader.load(batch).unwrap();
}

fn bench(criterion: &mut Criterion) {
    let records = records();
    let full = image(&records);
    criterion.bench_function("replay 11,000 records", |bencher| bencher.iter(|| image(black_box(&records))));
    criterion.bench_function("change a partition and publish, readers hold the last image", |bencher| {
        let mut loader = MetadataLoader::new(full.clone());
        let mut held = full.clone();
        let mut offset = 0;
        bencher.iter(|| {
            offset += 1;
            let change = PartitionChangeRecord {
                topic_id: topic_id(u128::try_from(offset).unwrap() % TOPICS),
                partition_id: 3,
                leader: 2,
                ..Default::default()
            };
            load(&mut loader, offset, change.into());
            held = loader.publish().unwrap().after().clone();
        });
        black_box(held);
    });
    criterion.bench_function("look up a partition by topic id", |bencher| {
        let mut topic = 0;
        bencher.iter(|| {
            topic = (topic + 1) % TOPICS;
            full.topics.partition(black_box(topic_id(topic)), PartitionIndex(5)).map(|partition| partition.leader)
        });
    });
    criterion.bench_function("write a snapshot's records", |bencher| bencher.iter(|| full.to_records()));
}

criterion_group!(benches, bench);
criterion_main!(benches);
