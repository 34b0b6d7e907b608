//! Batches of an idempotent producer that are under way while another broker comes to lead.

use crate::asking::{TOPIC, await_answer, create, move_leader, node};
use crate::harness::cluster::Cluster;
use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::{ErrorCode, RecordSet};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Sends a batch of one record with this sequence over the one connection to a node, and says what came of it.
fn send(cluster: &Cluster, to: i32, sequence: i32) -> (ErrorCode, i64) {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: ProducerId::new(7),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence::new(sequence),
        ..BatchOptions::default()
    });
    let timestamp = Timestamp(1_700_000_000_000);
    builder.append(&RecordToWrite { timestamp, key: None, value: Some(b"value"), headers: &[] }).unwrap();
    let records = RecordSet::from(bytes::Bytes::from(builder.build_vec(&mut Compressor::default()).unwrap()));
    let data = PartitionProduceData { index: 0, records, ..Default::default() };
    let topic = TopicProduceData { name: TOPIC.to_owned(), partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest { acks: -1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() };
    let answer = await_answer(cluster, "it is answered", &node(cluster, to).send_version(&request, 12));
    let partition = &answer.responses[0].partition_responses[0];
    (ErrorCode::from_code(partition.error_code).unwrap(), partition.base_offset)
}

#[test]
fn a_batch_behind_one_that_came_too_early_is_refused_for_the_same_reason_and_not_as_out_of_order() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 3, 1], &[]);
    assert_eq!(send(&cluster, 2, 0), (ErrorCode::None, 0));
    assert_eq!(send(&cluster, 3, 1).0, ErrorCode::NotLeaderOrFollower);
    move_leader(&cluster, &[3, 2, 1]);
    assert_eq!(send(&cluster, 3, 2).0, ErrorCode::NotLeaderOrFollower);
    assert_eq!(send(&cluster, 3, 3).0, ErrorCode::NotLeaderOrFollower);
    for sequence in 1..4 {
        assert_eq!(send(&cluster, 3, sequence), (ErrorCode::None, sequence.into()));
    }
    assert_eq!(send(&cluster, 3, 5).0, ErrorCode::OutOfOrderSequenceNumber, "nothing was refused before it");
}

#[test]
fn of_a_producer_that_a_new_leader_does_not_know_the_second_batch_does_not_pass_the_first() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 3, 1], &[]);
    assert_eq!(send(&cluster, 3, 0).0, ErrorCode::NotLeaderOrFollower);
    move_leader(&cluster, &[3, 2, 1]);
    assert_eq!(send(&cluster, 3, 1).0, ErrorCode::NotLeaderOrFollower);
    for sequence in 0..2 {
        assert_eq!(send(&cluster, 3, sequence), (ErrorCode::None, sequence.into()));
    }
}

#[test]
fn what_the_former_leader_has_given_to_the_new_one_before_it_went_is_no_reason_to_refuse_what_follows() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 3, 1], &[]);
    assert_eq!(send(&cluster, 3, 0).0, ErrorCode::NotLeaderOrFollower);
    assert_eq!(send(&cluster, 2, 0), (ErrorCode::None, 0));
    move_leader(&cluster, &[3, 2, 1]);
    assert_eq!(send(&cluster, 3, 1), (ErrorCode::None, 1));
    assert_eq!(send(&cluster, 3, 0), (ErrorCode::None, 0), "it is there already");
}
