//! What the way of a record costs the allocator: nothing.
#![allow(clippy::unwrap_used, reason = "a test may end by panic")]

use bytes::Bytes;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{FetchRequest, ProduceRequest, RequestHeader};
use ottla_protocol::{Message, RecordSet};

/// A request of so many topics with so many partitions each, 100 bytes of records in each of those.
fn request(topics: usize, partitions: i32) -> ProduceRequest {
    let records = RecordSet::Bytes(Bytes::from(vec![7; 100]));
    let partition = |index| PartitionProduceData { index, records: records.clone(), ..Default::default() };
    let topic = |number| TopicProduceData {
        name: format!("orders-{number}"),
        partition_data: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    ProduceRequest { acks: -1, topic_data: (0..topics).map(topic).collect(), ..Default::default() }
}

#[test]
fn a_produce_request_is_read_and_walked_without_the_heap() {
    for (topics, partitions) in [(1, 1), (1, 10), (1, 100), (10, 10), (3, 0), (0, 0)] {
        let request = request(topics, partitions);
        for version in 3..=12 {
            let bytes = request.to_bytes(version).unwrap();
            let mut seen = Vec::with_capacity(topics * partitions as usize);
            let heap = allocation_counter::measure(|| {
                let view = ProduceRequest::view(&bytes, version).unwrap();
                for topic in view.topic_data {
                    for partition in topic.partition_data {
                        seen.push((topic.name, partition.index, partition.records));
                    }
                }
            });
            assert_eq!(heap.count_total, 0, "{topics} topics of {partitions} partitions, version {version}");
            let expected = request.topic_data.iter().flat_map(|topic| {
                let partitions = topic.partition_data.iter();
                partitions.map(|p| (topic.name.as_str(), p.index, p.records.as_bytes().map(|bytes| &bytes[..])))
            });
            assert_eq!(seen, expected.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_header_and_a_fetch_request_are_read_without_the_heap() {
    let header = RequestHeader { client_id: Some("c".into()), ..Default::default() }.to_bytes(2).unwrap();
    let fetch = FetchRequest::default().to_bytes(12).unwrap();
    let heap = allocation_counter::measure(|| {
        assert!(RequestHeader::view(&header, 2).is_ok());
        assert!(FetchRequest::view(&fetch, 12).is_ok());
    });
    assert_eq!(heap.count_total, 0);
}
