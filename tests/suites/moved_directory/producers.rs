//! Producers that outlive the server that they began with.

use super::calls::{Producer, ask, batch, end, init, produce};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_records::Compression;
use ottla_tests::Asker;
use serde_json::{Value, json};

/// The partition that they all write to.
pub(crate) const TOPIC: &str = "gone-on-with";
/// The ids of transactions that one server begins and the other ends.
pub(crate) const TAKEN: &str = "taken";
/// The id that each server takes up anew.
pub(crate) const FENCED: &str = "fenced";

/// Producers with what they know.
#[derive(Default)]
pub(crate) struct Lasting {
    /// An idempotent one that never asks for a new id, with its last batch and the offset of that.
    steady: Option<(Producer, String, Value)>,
    /// One in a transaction.
    taken: Option<Producer>,
    /// The one before of an id.
    fenced: Option<Producer>,
}

/// The code and the offset of the answer to a batch.
fn sent(asker: &mut Asker, transactional_id: Option<&str>, records: &str) -> (Value, Value) {
    let data = json!([{ "name": TOPIC, "partitionData": [{ "index": 0, "records": records }] }]);
    let body = json!({ "transactionalId": transactional_id, "acks": -1, "timeoutMs": 30_000, "topicData": data });
    let answer = ask(asker, ApiKey::Produce, 9, &body)["responses"][0]["partitionResponses"][0].clone();
    (answer["errorCode"].clone(), answer["baseOffset"].clone())
}

fn begin(asker: &mut Asker, id: &str, producer: &Producer) {
    let topics = json!([{ "name": TOPIC, "partitions": [0] }]);
    let begun = json!({ "v3AndBelowTransactionalId": id, "v3AndBelowProducerId": producer.id,
        "v3AndBelowProducerEpoch": producer.epoch, "v3AndBelowTopics": topics });
    let answer = ask(asker, ApiKey::AddPartitionsToTxn, 3, &begun);
    assert_eq!(answer["resultsByTopicV3AndBelow"][0]["resultsByPartition"][0]["partitionErrorCode"], 0, "{answer}");
}

impl Lasting {
    pub(crate) fn write(&mut self, asker: &mut Asker, round: i32) {
        self.go_on_steadily(asker, round);
        self.end_and_begin(asker, round);
        self.fence(asker, round);
    }

    /// The last batch, sent again to a server that has not seen it come, is known; then the next ones are in sequence, and one
    /// with a gap is not.
    fn go_on_steadily(&mut self, asker: &mut Asker, round: i32) {
        let mut producer = match self.steady.take() {
            Some((producer, last, offset)) => {
                assert_eq!(sent(asker, None, &last), (json!(0), offset), "a repeated batch is answered again");
                producer
            }
            None => init(asker, None),
        };
        let gap = Producer { sequence: producer.sequence + 10, ..producer };
        let refused = json!(ErrorCode::OutOfOrderSequenceNumber.code());
        if round > 0 {
            assert_eq!(sent(asker, None, &batch(Compression::None, Some((&gap, false)), round, 1)).0, refused);
        }
        for count in 1..=3 {
            let records = batch(Compression::Lz4, Some((&producer, false)), round, count);
            let (code, offset) = sent(asker, None, &records);
            assert_eq!(code, 0);
            producer.sequence += count as i32;
            self.steady = Some((producer, records, offset));
        }
    }

    /// What the other server has begun is ended here by its producer, which has asked for nothing in between; then the next
    /// is begun.
    fn end_and_begin(&mut self, asker: &mut Asker, round: i32) {
        if let Some(mut producer) = self.taken.take() {
            producer.sequence = 2;
            let records = batch(Compression::None, Some((&producer, true)), round, 1);
            assert_eq!(sent(asker, Some(TAKEN), &records).0, 0, "a transaction goes on");
            end(asker, TAKEN, &producer, round % 2 == 1);
        }
        let producer = init(asker, Some(TAKEN));
        begin(asker, TAKEN, &producer);
        assert_eq!(sent(asker, Some(TAKEN), &batch(Compression::None, Some((&producer, true)), round, 2)).0, 0);
        self.taken = Some(producer);
    }

    /// Whoever takes up the id fences the one before.
    fn fence(&mut self, asker: &mut Asker, round: i32) {
        let producer = init(asker, Some(FENCED));
        if let Some(before) = self.fenced.replace(producer) {
            assert!(producer.id != before.id || producer.epoch > before.epoch, "{producer:?} after {before:?}");
            let late = Producer { sequence: 1, ..before };
            let code = sent(asker, Some(FENCED), &batch(Compression::None, Some((&late, true)), round, 1)).0;
            let fenced = [ErrorCode::InvalidProducerEpoch, ErrorCode::InvalidTxnState].map(|error| json!(error.code()));
            assert!(fenced.contains(&code), "the producer before is answered {code}");
            let body = json!({ "transactionalId": FENCED, "producerId": before.id, "producerEpoch": before.epoch, "committed": true });
            let code = ask(asker, ApiKey::EndTxn, 3, &body)["errorCode"].clone();
            let fenced = [ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch].map(|error| json!(error.code()));
            assert!(fenced.contains(&code), "its end is answered {code}");
        }
        begin(asker, FENCED, &producer);
        produce(asker, TOPIC, 0, Some(FENCED), &batch(Compression::None, Some((&producer, true)), round, 1));
    }
}
