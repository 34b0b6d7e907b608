//! What must be true of a server whose disk has failed and works again.

use super::clients::{BATCH, Client, Creator, DURABLE, GROUP, Idempotent, PLAIN, TRANSACTION_GROUP, Transactional};
use super::line::Line;
use super::working::Clients;
use ottla_protocol::ApiKey;
use ottla_records::RecordBatchView;
use ottla_tests::raw::unbase64;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a server that has just started may take until it serves a partition.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until there is no refusal.
fn insist(line: &mut Line, api: ApiKey, version: i16, body: &Value, code: &str) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        match line.done(api, version, body, code) {
            Ok(answer) => return answer,
            Err(refusal) => assert!(Instant::now() < end, "{} {body}: {refusal:?}", api.name()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A record, and where it lies.
#[derive(Debug)]
struct Seen {
    offset: i64,
    value: String,
}

/// All records that a reader of committed ones sees, once it sees the last that was promised: after a crash what must be
/// durable is shown when it is synced anew. The offsets of the batches, markers among them, must have no gap.
fn read(line: &mut Line, topic: &str, partition: i32, clients: &[&dyn Client]) -> Vec<Seen> {
    let name = format!("{topic}-{partition}");
    let promises = clients.iter().flat_map(|client| client.promises()).filter(|promise| promise.partition == name);
    let promised = promises.filter_map(|promise| promise.batch).map(|(offset, _)| offset + 1).max().unwrap_or(0);
    let mut seen = Vec::new();
    let mut next = 0;
    let end = Instant::now() + PATIENCE;
    loop {
        let partitions = json!([{ "partition": partition, "currentLeaderEpoch": -1, "fetchOffset": next, "logStartOffset": -1, "partitionMaxBytes": 10_000_000 }]);
        let body = json!({ "replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 10_000_000, "isolationLevel": 1,
            "sessionId": 0, "sessionEpoch": -1, "topics": [{ "topic": topic, "partitions": partitions }], "forgottenTopicsData": [], "rackId": "" });
        let answer = insist(line, ApiKey::Fetch, 12, &body, "/responses/0/partitions/0/errorCode");
        let answer = &answer["responses"][0]["partitions"][0];
        let shown = answer["highWatermark"].as_i64().unwrap();
        if answer["lastStableOffset"] != shown || shown < promised {
            // The end of a transaction is answered before its markers are written.
            assert!(Instant::now() < end, "{name}: {promised} are promised, and it stays at {answer}");
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        if next == shown {
            return seen;
        }
        let bytes = unbase64(answer["records"].as_str().unwrap_or_default());
        let before = next;
        take(&bytes, &aborted(answer), &name, &mut next, &mut seen);
        assert!(next > before, "{name} has nothing at {next}: {answer}");
    }
}

/// Producers and the first offsets of their transactions that were aborted.
fn aborted(answer: &Value) -> Vec<(i64, i64)> {
    let entries = answer["abortedTransactions"].as_array().into_iter().flatten();
    entries.map(|entry| (entry["producerId"].as_i64().unwrap(), entry["firstOffset"].as_i64().unwrap())).collect()
}

fn take(bytes: &[u8], aborted: &[(i64, i64)], place: &str, next: &mut i64, seen: &mut Vec<Seen>) {
    let mut rest = bytes;
    // The begin of the aborted transaction that each producer is in.
    let mut within = None;
    while let Ok(batch) = RecordBatchView::parse(rest) {
        assert_eq!(batch.base_offset().value(), *next, "{place} has a gap or an overlap");
        assert!(batch.is_checksum_valid(), "{place} at {next}");
        rest = &rest[batch.size()..];
        *next = batch.next_offset().value();
        if batch.is_control() {
            within = None;
            continue;
        }
        let begins = (batch.producer_id().0, batch.base_offset().value());
        if aborted.contains(&begins) {
            within = Some(begins.0);
        }
        if within == Some(begins.0) {
            continue;
        }
        for record in batch.uncompressed_records().unwrap().unwrap() {
            let record = record.unwrap();
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            seen.push(Seen { offset: record.offset.value(), value });
        }
    }
}

/// The values of the records that begin with this word.
fn values<'a>(seen: &'a [Seen], name: &'a str) -> Vec<&'a str> {
    seen.iter().map(|seen| seen.value.as_str()).filter(|value| value.starts_with(name)).collect()
}

fn expected(name: &str, numbers: impl Iterator<Item = i32>) -> Vec<String> {
    numbers.map(|number| format!("{name} {number}")).collect()
}

/// Every acknowledged batch is at the offset that it was acknowledged with.
fn check_promises(client: &dyn Client, place: &str, name: &str, seen: &[Seen]) {
    for promise in client.promises().iter().filter(|promise| promise.partition == place) {
        let Some((offset, first)) = promise.batch else { continue };
        // That of an aborted transaction is not seen by a reader of committed records.
        if name == "t " && !Transactional::commits(first / BATCH) {
            continue;
        }
        let found = seen.iter().find(|seen| seen.offset == offset).map(|seen| seen.value.clone());
        assert_eq!(found, Some(format!("{name}{first}")), "{place} at {offset}");
    }
}

fn committed_offset(line: &mut Line, group: &str, topic: &str, partition: i32) -> i64 {
    let topics = json!([{ "name": topic, "partitionIndexes": [partition] }]);
    let body = json!({ "groups": [{ "groupId": group, "topics": topics }], "requireStable": true });
    let answer = insist(line, ApiKey::OffsetFetch, 8, &body, "/groups/0/errorCode");
    assert_eq!(answer["groups"][0]["topics"][0]["partitions"][0]["errorCode"], 0, "{answer}");
    answer["groups"][0]["topics"][0]["partitions"][0]["committedOffset"].as_i64().unwrap()
}

/// All clients have done all their steps: what is there is what they were promised, in order, once.
pub(crate) fn check_everything(line: &mut Line, clients: &Clients) {
    let Clients { idempotent, transactional, committer, creator } = clients;
    for (place, (topic, partition)) in Idempotent::PARTITIONS.into_iter().enumerate() {
        let seen = read(line, topic, partition, &[idempotent, transactional]);
        let name = format!("{topic}-{partition}");
        assert_eq!(values(&seen, "i "), expected("i", 0..idempotent.count(place)), "{name}");
        check_promises(idempotent, &name, "i ", &seen);
        if Transactional::PARTITIONS.contains(&(topic, partition)) {
            let over = 0..transactional.over;
            let numbers = over.filter(|number| Transactional::commits(*number));
            let numbers = numbers.flat_map(|number| number * BATCH..(number + 1) * BATCH);
            assert_eq!(values(&seen, "t "), expected("t", numbers), "{name}");
            check_promises(transactional, &name, "t ", &seen);
        }
    }
    let last = committer.steps() as i64 - 1;
    assert_eq!(committed_offset(line, GROUP, PLAIN, 1), last, "the offset of {GROUP}");
    let last = (0..transactional.over).rev().find(|number| Transactional::commits(*number)).unwrap_or(-1);
    assert_eq!(committed_offset(line, TRANSACTION_GROUP, DURABLE, 0), i64::from(last), "the offset of transactions");
    check_topics(line, creator);
}

fn check_topics(line: &mut Line, creator: &Creator) {
    let body = json!({ "topics": null, "allowAutoTopicCreation": false });
    let answer = line.ask(ApiKey::Metadata, 12, &body).unwrap();
    let names: Vec<&str> =
        answer["topics"].as_array().unwrap().iter().map(|topic| topic["name"].as_str().unwrap()).collect();
    let made = creator.steps / 3;
    for number in 0..made {
        let name = Creator::name(number);
        assert_eq!(names.contains(&name.as_str()), number + 2 >= made, "{name} among {names:?}");
    }
    for number in made.saturating_sub(2)..made {
        let name = Creator::name(number);
        let seen = read(line, &name, 0, &[creator]);
        assert_eq!(values(&seen, "c "), expected("c", 0..BATCH), "{name}");
    }
}
