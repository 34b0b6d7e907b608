//! How long it takes to decode a Produce request, walking every partition to its record set.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::{Message, RecordSet};
use std::hint::black_box;

/// A request of one topic with that many partitions, 100 bytes of records each.
fn request(partitions: i32) -> ProduceRequest {
    let records = RecordSet::Bytes(Bytes::from(vec![7; 100]));
    let partition = |index| PartitionProduceData { index, records: records.clone(), ..Default::default() };
    let topic = TopicProduceData {
        name: "orders".into(),
        partition_data: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

/// Decodes the request and looks at every record set, as the broker does.
fn record_bytes(bytes: &[u8]) -> usize {
    let Ok(view) = ProduceRequest::view(bytes, 9) else { return 0 };
    let partitions = view.topic_data.iter().flat_map(|topic| topic.partition_data.iter());
    partitions.map(|partition| partition.records.map_or(0, <[u8]>::len)).sum()
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode_produce");
    for partitions in [1, 10, 100] {
        let Ok(bytes) = request(partitions).to_bytes(9) else { continue };
        group.bench_with_input(BenchmarkId::from_parameter(partitions), &bytes, |bencher, bytes| {
            bencher.iter(|| record_bytes(black_box(bytes)));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
