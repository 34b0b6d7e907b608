//! Decodes the same Produce requests with ottla-protocol and with the kafka-protocol crate, walks every partition to its
//! record set, and prints how many times faster ottla-protocol is. Fails when it is less than four times.
//!
//! `cd benches/codec && cargo run --release`

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest as Theirs;
use kafka_protocol::protocol::Decodable;
use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::{Message, RecordSet};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The version that librdkafka and Java clients of the last years agree on, the first flexible one.
const VERSION: i16 = 9;
/// How many rounds each side gets; the median counts.
const ROUNDS: usize = 41;
const RATIO_DUE: f64 = 4.0;

/// A request of one topic with that many partitions, 100 bytes of records each.
fn request(partitions: i32) -> Bytes {
    let records = RecordSet::Bytes(Bytes::from(vec![7; 100]));
    let partition = |index| PartitionProduceData { index, records: records.clone(), ..Default::default() };
    let topic = TopicProduceData {
        name: "orders".into(),
        partition_data: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
    request.to_bytes(VERSION).expect("version 9 carries all of this")
}

fn ours(bytes: &Bytes) -> usize {
    let view = ProduceRequest::view(bytes, VERSION).expect("our own bytes");
    let mut record_bytes = 0;
    for topic in view.topic_data.iter() {
        for partition in topic.partition_data.iter() {
            record_bytes += partition.records.map_or(0, <[u8]>::len);
        }
    }
    record_bytes
}

fn theirs(bytes: &Bytes) -> usize {
    let request = Theirs::decode(&mut bytes.clone(), VERSION).expect("the same bytes");
    let mut record_bytes = 0;
    for topic in request.topic_data.iter() {
        for partition in topic.partition_data.iter() {
            record_bytes += partition.records.as_ref().map_or(0, Bytes::len);
        }
    }
    record_bytes
}

/// The time of one decode, over as many as fill a millisecond.
fn measure(decode: fn(&Bytes) -> usize, bytes: &Bytes, times: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        black_box(decode(black_box(bytes)));
    }
    start.elapsed() / times
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> ExitCode {
    let mut passed = true;
    println!("partitions   ottla-protocol   kafka-protocol   times faster");
    for partitions in [1, 10, 100] {
        let bytes = request(partitions);
        assert_eq!(ours(&bytes), theirs(&bytes), "both see the same records");
        let times = 200_000 / (partitions as u32 + 4);
        let (mut here, mut there) = (Vec::new(), Vec::new());
        // In turn, so that both get the same share of whatever else the machine does.
        for _ in 0..ROUNDS {
            here.push(measure(ours, &bytes, times).as_secs_f64() * 1e9);
            there.push(measure(theirs, &bytes, times).as_secs_f64() * 1e9);
        }
        let (here, there) = (median(here), median(there));
        let ratio = there / here;
        passed &= ratio >= RATIO_DUE;
        println!("{partitions:>10} {here:>13.0} ns {there:>13.0} ns {ratio:>13.1}");
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
