//! Transactions of one producer: how many a second, and how long a commit takes.

use std::thread;
use std::time::{Duration, Instant};

use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::{ErrorCode, RecordSet};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::Failure;
use crate::broker::Broker;
use crate::report::{Better, Report};
use crate::wire::{Client, check, now_ms};

/// The versions of KIP-890, in which the broker adds partitions by itself and an end raises the epoch.
const PRODUCE_VERSION: i16 = 12;
const END_TXN_VERSION: i16 = 5;
const INIT_PRODUCER_ID_VERSION: i16 = 5;
const VALUE: [u8; 100] = [7; 100];
const RECORDS: [usize; 2] = [1, 100];
const TRANSACTIONS: usize = 300;
const PATIENCE: Duration = Duration::from_secs(30);

/// The rows of one round.
pub fn measure(broker: &Broker, round: usize, report: &mut Report) -> Result<(), Failure> {
    for records in RECORDS {
        let topic = format!("transactions-{round}-{records}");
        broker.connect()?.create_topic(&topic, 1)?;
        let mut producer = Producer::begin(broker, &format!("producer-{round}-{records}"), &topic)?;
        producer.transact(records)?;
        let mut commits = Vec::with_capacity(TRANSACTIONS);
        let (before, since) = (broker.process.processor_seconds()?, Instant::now());
        for _ in 0..TRANSACTIONS {
            commits.push(producer.transact(records)?.as_secs_f64() * 1e3);
        }
        let elapsed = since.elapsed().as_secs_f64();
        let used = (broker.process.processor_seconds()? - before) / TRANSACTIONS as f64;
        commits.sort_by(f64::total_cmp);
        let name = format!("transactions of {records} records of 100 B, 1 producer");
        let mut add = |what: &str, unit, better, figure| {
            report.add(broker.kind, &format!("{name}: {what}"), unit, better, figure);
        };
        add("rate", "1/s", Better::More, TRANSACTIONS as f64 / elapsed);
        add("commit, p50", "ms", Better::Less, commits[TRANSACTIONS / 2]);
        add("commit, p99", "ms", Better::Less, commits[TRANSACTIONS * 99 / 100]);
        add("processor time of one", "ms", Better::Less, used * 1e3);
        broker.connect()?.delete_topic(&topic)?;
    }
    Ok(())
}

/// The markers of the transaction before are not all written yet, or the topic is not known everywhere yet.
fn will_pass(code: i16) -> bool {
    const PASSING: [ErrorCode; 3] =
        [ErrorCode::ConcurrentTransactions, ErrorCode::UnknownTopicOrPartition, ErrorCode::NotLeaderOrFollower];
    PASSING.map(ErrorCode::code).contains(&code)
}

/// A transactional producer of one request at a time.
struct Producer {
    client: Client,
    name: String,
    topic: String,
    id: i64,
    epoch: i16,
}

impl Producer {
    fn begin(broker: &Broker, name: &str, topic: &str) -> Result<Self, Failure> {
        let mut client = broker.connect()?;
        let request = InitProducerIdRequest {
            transactional_id: Some(name.to_owned()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let since = Instant::now();
        let response = loop {
            client.find_coordinator(name, 1)?;
            let response = client.exchange(&request, INIT_PRODUCER_ID_VERSION)?;
            if response.error_code == 0 || since.elapsed() > PATIENCE {
                break response;
            }
            thread::sleep(Duration::from_millis(10));
        };
        check("InitProducerId", response.error_code)?;
        let (id, epoch) = (response.producer_id, response.producer_epoch);
        Ok(Self { client, name: name.to_owned(), topic: topic.to_owned(), id, epoch })
    }

    /// One transaction, and how long its end took.
    fn transact(&mut self, records: usize) -> Result<Duration, Failure> {
        let request = self.produce(records)?;
        let since = Instant::now();
        loop {
            let response = self.client.exchange(&request, PRODUCE_VERSION)?;
            let code = response.responses.first().and_then(|topic| topic.partition_responses.first());
            match code.map(|partition| partition.error_code) {
                Some(0) => break,
                Some(code) if will_pass(code) && since.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_micros(200));
                }
                Some(code) => check("Produce", code)?,
                None => return Err(Failure::from("a Produce without a partition")),
            }
        }
        let request = EndTxnRequest {
            transactional_id: self.name.clone(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed: true,
            ..Default::default()
        };
        let since = Instant::now();
        let response = self.client.exchange(&request, END_TXN_VERSION)?;
        let taken = since.elapsed();
        check("EndTxn", response.error_code)?;
        (self.id, self.epoch) = (response.producer_id, response.producer_epoch);
        Ok(taken)
    }

    /// Each end of a transaction raises the epoch, and sequences begin anew.
    fn produce(&self, records: usize) -> Result<ProduceRequest, Failure> {
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: ProducerId(self.id),
            producer_epoch: ProducerEpoch(self.epoch),
            base_sequence: Sequence(0),
            is_transactional: true,
            ..BatchOptions::default()
        });
        let record = RecordToWrite { timestamp: Timestamp(now_ms()), key: None, value: Some(&VALUE), headers: &[] };
        for _ in 0..records {
            builder.append(&record)?;
        }
        let records = RecordSet::Bytes(builder.build(&mut Compressor::new())?);
        let partition = PartitionProduceData { index: 0, records, ..Default::default() };
        let topic =
            TopicProduceData { name: self.topic.clone(), partition_data: vec![partition], ..Default::default() };
        Ok(ProduceRequest {
            transactional_id: Some(self.name.clone()),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..Default::default()
        })
    }
}
