//! Clients that know what they were promised.

use super::line::{Line, Refusal, Step, now};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_tests::raw::base64;
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use serde_json::{Value, json};

/// Each append to it is acknowledged when it is synced.
pub(crate) const DURABLE: &str = "durable";
/// Appends to it are acknowledged when they are written.
pub(crate) const PLAIN: &str = "plain";
/// Records of each batch.
pub(crate) const BATCH: i32 = 3;
/// The group of plain commits, and that of commits in transactions.
pub(crate) const GROUP: &str = "g";
pub(crate) const TRANSACTION_GROUP: &str = "of-transactions";

/// What a client was promised: when it asked, and of which partition (or of the metadata).
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) asked: u64,
    pub(crate) partition: String,
    /// The offset of a batch and the number of its first record.
    pub(crate) batch: Option<(i64, i32)>,
}

/// A producer id with an epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    epoch: i64,
}

fn init(line: &mut Line, transactional_id: Option<&str>) -> Result<Identity, Refusal> {
    let body = json!({ "transactionalId": transactional_id, "transactionTimeoutMs": 600_000, "producerId": -1, "producerEpoch": -1 });
    let answer = line.done(ApiKey::InitProducerId, 4, &body, "/errorCode")?;
    Ok(Identity { id: answer["producerId"].as_i64().unwrap(), epoch: answer["producerEpoch"].as_i64().unwrap() })
}

/// A batch of records that say their numbers.
fn batch(identity: Identity, is_transactional: bool, name: &str, first: i32) -> String {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: ProducerId(identity.id),
        producer_epoch: ProducerEpoch(identity.epoch as i16),
        base_sequence: Sequence(first),
        is_transactional,
        ..BatchOptions::default()
    });
    for number in first..first + BATCH {
        let value = format!("{name} {number}");
        let timestamp = Timestamp((now() / 1000) as i64);
        builder.append(&RecordToWrite { timestamp, key: None, value: Some(value.as_bytes()), headers: &[] }).unwrap();
    }
    base64(&builder.build_vec(&mut Compressor::default()).unwrap())
}

fn produce(
    line: &mut Line,
    transactional_id: Option<&str>,
    (topic, partition): (&str, i32),
    records: &str,
) -> Result<i64, Refusal> {
    let data = json!([{ "name": topic, "partitionData": [{ "index": partition, "records": records }] }]);
    let body = json!({ "transactionalId": transactional_id, "acks": -1, "timeoutMs": 10_000, "topicData": data });
    let answer = line.done(ApiKey::Produce, 9, &body, "/responses/0/partitionResponses/0/errorCode")?;
    Ok(answer["responses"][0]["partitionResponses"][0]["baseOffset"].as_i64().unwrap())
}

/// Somebody who works in steps. A step that was not granted is taken again.
pub(crate) trait Client: Send {
    fn step(&mut self, line: &mut Line) -> Step;
    /// How many steps were granted.
    fn steps(&self) -> usize;
    fn promises(&self) -> &[Promise];
}

/// An idempotent producer: a batch is sent again, as it was, until it is acknowledged.
#[derive(Default)]
pub(crate) struct Idempotent {
    identity: Option<Identity>,
    next: [i32; 4],
    promises: Vec<Promise>,
}

impl Idempotent {
    pub(crate) const PARTITIONS: [(&str, i32); 4] = [(DURABLE, 0), (PLAIN, 0), (DURABLE, 1), (PLAIN, 1)];

    /// How many records were acknowledged of the partition at this place.
    pub(crate) fn count(&self, place: usize) -> i32 {
        self.next[place]
    }
}

impl Client for Idempotent {
    fn step(&mut self, line: &mut Line) -> Step {
        let Some(identity) = self.identity else {
            self.identity = Some(init(line, None)?);
            return Ok(());
        };
        let place = self.promises.len() % 4;
        let (topic, partition) = Self::PARTITIONS[place];
        let (first, asked) = (self.next[place], now());
        let offset = produce(line, None, (topic, partition), &batch(identity, false, "i", first))?;
        self.next[place] += BATCH;
        let partition = format!("{topic}-{partition}");
        self.promises.push(Promise { asked, partition, batch: Some((offset, first)) });
        Ok(())
    }

    fn steps(&self) -> usize {
        self.promises.len()
    }

    fn promises(&self) -> &[Promise] {
        &self.promises
    }
}

/// Transactions over two partitions and a group's offsets.
#[derive(Default)]
pub(crate) struct Transactional {
    identity: Option<Identity>,
    /// How many transactions are over.
    pub(crate) over: i32,
    stage: usize,
    /// The first numbers of the current transaction's batches are `over * BATCH`.
    steps: usize,
    promises: Vec<Promise>,
}

impl Transactional {
    pub(crate) const ID: &str = "tx";
    pub(crate) const PARTITIONS: [(&str, i32); 2] = [(DURABLE, 0), (PLAIN, 1)];

    /// Whether the transaction with this number is committed.
    pub(crate) fn commits(number: i32) -> bool {
        number % 3 != 2
    }

    fn named(&self, identity: Identity) -> Value {
        json!({ "transactionalId": Self::ID, "producerId": identity.id, "producerEpoch": identity.epoch,
            "groupId": TRANSACTION_GROUP, "committed": Self::commits(self.over),
            "v3AndBelowTransactionalId": Self::ID, "v3AndBelowProducerId": identity.id,
            "v3AndBelowProducerEpoch": identity.epoch })
    }

    fn request(&self, identity: Identity, fields: &[&str], more: Value) -> Value {
        let named = self.named(identity);
        let mut body = more;
        for field in fields {
            body[*field] = named[*field].clone();
        }
        body
    }

    fn produce(&mut self, line: &mut Line, identity: Identity, place: usize) -> Step {
        let (first, asked) = (self.over * BATCH, now());
        let (topic, partition) = Self::PARTITIONS[place];
        let offset = produce(line, Some(Self::ID), (topic, partition), &batch(identity, true, "t", first))?;
        let partition = format!("{topic}-{partition}");
        self.promises.push(Promise { asked, partition, batch: Some((offset, first)) });
        Ok(())
    }

    fn do_stage(&mut self, line: &mut Line, identity: Identity) -> Step {
        let producer = ["transactionalId", "producerId", "producerEpoch"];
        match self.stage {
            0 => {
                let fields = ["v3AndBelowTransactionalId", "v3AndBelowProducerId", "v3AndBelowProducerEpoch"];
                let topics =
                    Self::PARTITIONS.map(|(topic, partition)| json!({ "name": topic, "partitions": [partition] }));
                let body = self.request(identity, &fields, json!({ "v3AndBelowTopics": topics }));
                let answer = line.ask(ApiKey::AddPartitionsToTxn, 3, &body)?;
                for topic in answer["resultsByTopicV3AndBelow"].as_array().unwrap() {
                    let code = topic["resultsByPartition"][0]["partitionErrorCode"].as_i64().unwrap();
                    // One that is refused holds up the other.
                    if code != 0 && code != i64::from(ErrorCode::OperationNotAttempted.code()) {
                        return Err(Refusal::Code(code));
                    }
                }
            }
            1 | 2 => self.produce(line, identity, self.stage - 1)?,
            3 => {
                let body = self.request(identity, &[&producer[..], &["groupId"]].concat(), json!({}));
                line.done(ApiKey::AddOffsetsToTxn, 3, &body, "/errorCode")?;
            }
            4 => {
                let partitions =
                    json!([{ "partitionIndex": 0, "committedOffset": self.over, "committedMetadata": "" }]);
                let topics = json!({ "topics": [{ "name": DURABLE, "partitions": partitions }] });
                let body = self.request(identity, &[&producer[..], &["groupId"]].concat(), topics);
                line.done(ApiKey::TxnOffsetCommit, 3, &body, "/topics/0/partitions/0/errorCode")?;
            }
            _ => {
                let body = self.request(identity, &[&producer[..], &["committed"]].concat(), json!({}));
                line.done(ApiKey::EndTxn, 3, &body, "/errorCode")?;
            }
        }
        Ok(())
    }
}

impl Client for Transactional {
    fn step(&mut self, line: &mut Line) -> Step {
        let Some(identity) = self.identity else {
            self.identity = Some(init(line, Some(Self::ID))?);
            return Ok(());
        };
        self.do_stage(line, identity)?;
        self.steps += 1;
        self.stage += 1;
        if self.stage == 6 {
            (self.stage, self.over) = (0, self.over + 1);
        }
        Ok(())
    }

    fn steps(&self) -> usize {
        // Only whole transactions count: at the end none is open.
        if self.stage == 0 { self.steps } else { self.steps - self.stage }
    }

    fn promises(&self) -> &[Promise] {
        &self.promises
    }
}

/// Commits rising offsets.
#[derive(Default)]
pub(crate) struct Committer {
    promises: Vec<Promise>,
}

impl Client for Committer {
    fn step(&mut self, line: &mut Line) -> Step {
        let asked = now();
        let partitions =
            json!([{ "partitionIndex": 1, "committedOffset": self.promises.len(), "committedMetadata": "m" }]);
        let body = json!({ "groupId": GROUP, "generationIdOrMemberEpoch": -1, "memberId": "",
            "topics": [{ "name": PLAIN, "partitions": partitions }] });
        line.done(ApiKey::OffsetCommit, 8, &body, "/topics/0/partitions/0/errorCode")?;
        // The place of the group among the partitions of the internal topic, of which there is one.
        self.promises.push(Promise { asked, partition: "__consumer_offsets-0".to_owned(), batch: None });
        Ok(())
    }

    fn steps(&self) -> usize {
        self.promises.len()
    }

    fn promises(&self) -> &[Promise] {
        &self.promises
    }
}

/// Makes topics, writes to each, and deletes all but the last two.
#[derive(Default)]
pub(crate) struct Creator {
    identity: Option<Identity>,
    pub(crate) steps: usize,
    promises: Vec<Promise>,
}

impl Creator {
    pub(crate) fn name(number: usize) -> String {
        format!("made-{number}")
    }

    fn create(line: &mut Line, name: &str) -> Step {
        let topics = json!([{ "name": name, "numPartitions": 1, "replicationFactor": 1 }]);
        let body = json!({ "topics": topics, "timeoutMs": 10_000 });
        let exists = Refusal::Code(ErrorCode::TopicAlreadyExists.code().into());
        match line.done(ApiKey::CreateTopics, 7, &body, "/topics/0/errorCode") {
            // A refused request may have done it.
            Err(refusal) if refusal == exists => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn delete(line: &mut Line, name: &str) -> Step {
        let body = json!({ "topics": [{ "name": name }], "timeoutMs": 10_000 });
        let is_gone = Refusal::Code(ErrorCode::UnknownTopicOrPartition.code().into());
        match line.done(ApiKey::DeleteTopics, 6, &body, "/responses/0/errorCode") {
            Err(refusal) if refusal == is_gone => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

impl Client for Creator {
    fn step(&mut self, line: &mut Line) -> Step {
        let Some(identity) = self.identity else {
            self.identity = Some(init(line, None)?);
            return Ok(());
        };
        let (number, asked) = (self.steps / 3, now());
        let name = Self::name(number);
        let mut partition = "metadata".to_owned();
        let mut written = None;
        match self.steps % 3 {
            0 => Self::create(line, &name)?,
            1 => {
                written = Some((produce(line, None, (&name, 0), &batch(identity, false, "c", 0))?, 0));
                partition = format!("{name}-0");
            }
            _ if number >= 2 => Self::delete(line, &Self::name(number - 2))?,
            _ => {}
        }
        self.steps += 1;
        self.promises.push(Promise { asked, partition, batch: written });
        Ok(())
    }

    fn steps(&self) -> usize {
        self.steps
    }

    fn promises(&self) -> &[Promise] {
        &self.promises
    }
}
