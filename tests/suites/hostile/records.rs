//! Produce requests that ask for too much or for what is not there.

use ottla_protocol::ApiKey;
use ottla_records::Compression;
use ottla_tests::Besieged;
use ottla_tests::besieged::{GOOD_TOPIC, batch, produce, request};
use ottla_tests::raw::{Connection, base64};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};

/// Makes a topic of one partition.
fn create(connection: &mut Connection, name: &str, configs: &Value) {
    let topic = json!({"name": name, "numPartitions": 1, "replicationFactor": 1, "configs": configs});
    let created = connection.ask(ApiKey::CreateTopics, 7, &json!({"topics": [topic], "timeoutMs": 10_000})).unwrap();
    assert_eq!(created["topics"][0]["errorCode"], 0, "{created}");
}

fn end_offset(connection: &mut Connection, topic: &str) -> i64 {
    let partition = json!({"partitionIndex": 0, "timestamp": -1});
    let ask = json!({"replicaId": -1, "topics": [{"name": topic, "partitions": [partition]}]});
    let listed = connection.ask(ApiKey::ListOffsets, 8, &ask).unwrap();
    listed["topics"][0]["partitions"][0]["offset"].as_i64().unwrap()
}

#[test]
fn a_batch_of_the_largest_size_is_taken_and_one_byte_more_is_not() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    // What a batch of one record has beside its value, for values of this size.
    let value = vec![b'v'; 1 << 20];
    let beside = batch(Compression::None, &value).unwrap().len() - value.len();
    for (max, code) in [(value.len() + beside, 0), (value.len() + beside - 1, 10)] {
        let topic = format!("of-{max}");
        let configs = json!([{"name": "max.message.bytes", "value": max.to_string()}]);
        create(&mut connection, &topic, &configs);
        let batch = batch(Compression::None, &value).unwrap();
        let produced = connection.ask(ApiKey::Produce, 9, &produce(&topic, &batch)).unwrap();
        assert_eq!(produced["responses"][0]["partitionResponses"][0]["errorCode"], code, "{produced}");
        assert_eq!(end_offset(&mut connection, &topic), i64::from(code == 0));
    }
    besieged.stand("sizes").unwrap();
}

#[test]
fn a_hundred_thousand_partitions_in_a_produce_are_answered_each() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    let before = besieged.peak_kib().unwrap();
    // Produce 3: no transaction, all acknowledge, a second, a topic, and as many partitions without a byte of records.
    let mut body = vec![0xff, 0xff, 0xff, 0xff, 0, 0, 3, 0xe8, 0, 0, 0, 1];
    body.extend(4i16.to_be_bytes());
    body.extend(GOOD_TOPIC.as_bytes());
    body.extend(100_000i32.to_be_bytes());
    body.extend((0..100_000i32).flat_map(|index| [index.to_be_bytes(), [0; 4]].concat()));
    connection.send_frame(&request(0, 3, b"x", false, &body)[4..]).unwrap();
    let answer = connection.receive().unwrap();
    // A correlation id, a topic and its name; then an index, an error, an offset and a time for each partition.
    let partitions = &answer[4 + 4 + 2 + GOOD_TOPIC.len()..];
    assert_eq!(partitions[..4], 100_000i32.to_be_bytes());
    let codes: Vec<i16> =
        partitions[4..].chunks_exact(22).map(|entry| i16::from_be_bytes([entry[4], entry[5]])).collect();
    // The one that there is lacks records, the others are not there.
    assert_eq!((codes.len(), codes[0], codes[1], codes[99_999]), (100_000, 87, 3, 3));
    let grown = besieged.peak_kib().unwrap() - before;
    assert!(grown < 100 << 10, "{grown} KiB");
    besieged.stand("partitions").unwrap();
}

#[test]
fn a_partition_named_two_thousand_times_in_a_produce_is_appended_to_once() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    create(&mut connection, "repeated", &json!([]));
    let records = base64(&batch(Compression::None, b"once").unwrap());
    let partition = json!({"index": 0, "records": records});
    let topic = json!({"name": "repeated", "partitionData": vec![partition; 50]});
    let ask = json!({"transactionalId": null, "acks": -1, "timeoutMs": 1000, "topicData": vec![topic; 40]});
    let produced = connection.ask(ApiKey::Produce, 9, &ask).unwrap();
    assert_eq!(produced["responses"].as_array().unwrap().len(), 1, "{produced}");
    let partitions = &produced["responses"][0]["partitionResponses"];
    assert_eq!((partitions.as_array().unwrap().len(), &partitions[0]["errorCode"]), (1, &json!(0)), "{produced}");
    assert_eq!(end_offset(&mut connection, "repeated"), 1);
    besieged.stand("repeated").unwrap();
}

#[test]
fn records_that_are_not_there_are_refused() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    create(&mut connection, "empty", &json!([]));
    for records in [json!(null), json!("")] {
        let ask = json!({"transactionalId": null, "acks": -1, "timeoutMs": 1000,
            "topicData": [{"name": "empty", "partitionData": [{"index": 0, "records": records}]}]});
        let produced = connection.ask(ApiKey::Produce, 9, &ask).unwrap();
        assert_eq!(produced["responses"][0]["partitionResponses"][0]["errorCode"], 87, "{produced}");
    }
    assert_eq!(end_offset(&mut connection, "empty"), 0);
    besieged.stand("no records").unwrap();
}

#[test]
fn an_error_without_acknowledgement_ends_the_connection_and_success_says_nothing() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    create(&mut connection, "unacknowledged", &json!([]));
    let sound = batch(Compression::None, b"v").unwrap();
    let mut broken = sound.clone();
    broken[20] ^= 1;
    for (topic, batch) in [("unacknowledged", &broken), ("nothing", &sound)] {
        let mut ask = produce(topic, batch);
        ask["acks"] = json!(0);
        let mut connection = besieged.raw().unwrap();
        connection.send(ApiKey::Produce, 9, &ask).unwrap();
        let end = connection.receive().unwrap_err();
        assert!([ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&end.kind()), "{topic}: {end}");
    }
    let mut ask = produce("unacknowledged", &sound);
    ask["acks"] = json!(0);
    connection.send(ApiKey::Produce, 9, &ask).unwrap();
    // The next answer is that of the next request.
    assert_eq!(end_offset(&mut connection, "unacknowledged"), 1);
    besieged.stand("unacknowledged").unwrap();
}

#[test]
fn a_million_headers_in_a_record_take_no_more_memory_than_a_multiple_of_the_batch() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    create(&mut connection, "headers", &json!([{"name": "max.message.bytes", "value": "100000000"}]));
    let before = besieged.peak_kib().unwrap();
    let headers = vec![(b"h".as_slice(), Some(b"".as_slice())); 1_000_000];
    let mut builder = ottla_records::BatchBuilder::new(ottla_records::BatchOptions::default());
    let timestamp = ottla_types::Timestamp(1_700_000_000_000);
    builder.append(&ottla_records::RecordToWrite { timestamp, key: None, value: None, headers: &headers }).unwrap();
    let batch = builder.build_vec(&mut ottla_records::Compressor::default()).unwrap();
    let produced = connection.ask(ApiKey::Produce, 9, &produce("headers", &batch)).unwrap();
    assert_eq!(produced["responses"][0]["partitionResponses"][0]["errorCode"], 0, "{produced}");
    let grown = besieged.peak_kib().unwrap() - before;
    assert!(grown < 40 << 10, "a batch of {} KiB took {grown} KiB", batch.len() >> 10);
    besieged.stand("headers").unwrap();
}

#[test]
fn a_batch_in_a_wrong_place_of_the_request_ends_the_connection() {
    let besieged = Besieged::start(&[]).unwrap();
    // Produce 3: no transaction, acks, timeout, a topic, a partition, and records of a length that is not there.
    let before: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0];
    for length in [-2, i32::MIN, 100, i32::MAX] {
        let body = [before, &length.to_be_bytes(), b"few"].concat();
        assert!(besieged.closes(&request(0, 3, b"x", false, &body)).unwrap(), "{length} bytes of records");
    }
    let mut stream = besieged.connect().unwrap();
    stream.write_all(&request(0, 3, b"x", false, &[before, &3i32.to_be_bytes(), b"few"].concat())).unwrap();
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).unwrap();
    besieged.stand("lengths of records").unwrap();
}
