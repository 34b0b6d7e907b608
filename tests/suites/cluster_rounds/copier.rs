//! Two workers of our client library that copy a topic in transactions, with the offsets of what they have read.

use ottla_client::{
    ClientError, ClientSettings, Consumer, ConsumerSettings, GroupProtocol, Isolation, OffsetReset, OffsetSpec,
    Producer, ProducerRecord, ProducerSettings, Recovery, TopicPartition,
};
use ottla_tests::Dice;
use ottla_types::PartitionIndex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const WORKERS: u64 = 2;
/// One transaction in so many is given up by its worker.
const ABORTS_EACH: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// The workers, and what they work on.
pub(crate) struct Copiers {
    plan: Arc<Plan>,
    workers: Vec<JoinHandle<()>>,
}

struct Plan {
    bootstrap: String,
    from: &'static str,
    to: &'static str,
    is_over: AtomicBool,
    transactions: AtomicU64,
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

impl Plan {
    fn client(&self) -> ClientSettings {
        ClientSettings {
            request_timeout: Duration::from_secs(3),
            retry_backoff: Duration::from_millis(20),
            retry_backoff_max: Duration::from_millis(200),
            reconnect_backoff: Duration::from_millis(10),
            reconnect_backoff_max: Duration::from_millis(100),
            ..ClientSettings::new(&self.bootstrap)
        }
    }

    fn consumer(&self) -> ConsumerSettings {
        ConsumerSettings {
            client: self.client(),
            group_protocol: GroupProtocol::Consumer,
            offset_reset: OffsetReset::Earliest,
            auto_commit: false,
            isolation: Isolation::ReadCommitted,
            fetch_wait_max: POLL,
            ..ConsumerSettings::default()
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Makes a call until it no longer says that it may be made again, or all is over.
    async fn until_clear<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, ClientError> {
        loop {
            match call().await {
                Err(error) if error.recovery() == Recovery::Retry && !self.is_over() => {}
                result => return result,
            }
        }
    }

    async fn work(&self, number: u64) {
        let mut dice = Dice(number + 1);
        let mut consumer = Consumer::new(self.consumer().group("copiers of written")).unwrap();
        consumer.subscribe([self.from]).unwrap();
        while !self.is_over() {
            let settings = ProducerSettings {
                client: self.client(),
                linger: Duration::from_millis(1),
                transaction_timeout: Duration::from_secs(10),
                ..ProducerSettings::default()
            };
            let producer = Producer::new(settings.transactional(format!("copier {number}"))).unwrap();
            if self.until_clear(|| producer.init_transactions()).await.is_ok() {
                consumer.seek_to_committed();
                self.copy_with(&producer, &mut consumer, &mut dice).await;
            }
            let _ = tokio::time::timeout(Duration::from_secs(10), producer.close()).await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(10), consumer.close()).await;
    }

    /// Until another producer is needed.
    async fn copy_with(&self, producer: &Producer, consumer: &mut Consumer, dice: &mut Dice) {
        while !self.is_over() {
            let Err(error) = self.transact(producer, consumer, dice).await else { continue };
            let aborted = self.until_clear(|| producer.abort_transaction()).await;
            consumer.seek_to_committed();
            let must_close = |error: &ClientError| error.recovery() == Recovery::CloseProducer;
            if must_close(&error) || aborted.as_ref().is_err_and(must_close) {
                return;
            }
        }
    }

    async fn transact(&self, producer: &Producer, consumer: &mut Consumer, dice: &mut Dice) -> Result<(), ClientError> {
        let records = consumer.poll(POLL).await?;
        if records.is_empty() {
            return Ok(());
        }
        producer.begin_transaction()?;
        for record in records {
            let copy = ProducerRecord::new(self.to).partition(record.partition).value(record.value.unwrap_or_default());
            producer.send(copy).await?;
        }
        let (offsets, group) = (consumer.positions(), consumer.group_metadata()?);
        self.until_clear(|| producer.send_offsets_to_transaction(&offsets, &group)).await?;
        if dice.roll(ABORTS_EACH) == 0 {
            self.until_clear(|| producer.abort_transaction()).await?;
            consumer.seek_to_committed();
            return Ok(());
        }
        self.until_clear(|| producer.commit_transaction()).await?;
        self.transactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// All values of a topic, partition by partition, as readers of committed records see them.
    async fn read(&self, topic: &str) -> Result<Vec<Vec<String>>, ClientError> {
        let mut consumer = Consumer::new(self.consumer())?;
        let partitions: Vec<_> =
            (0..super::PARTITIONS).map(|index| TopicPartition::new(topic, PartitionIndex::new(index as i32))).collect();
        let mut ends = BTreeMap::new();
        let latest = partitions.iter().map(|partition| (partition.clone(), OffsetSpec::Latest)).collect();
        for (partition, end) in consumer.list_offsets(&latest).await? {
            ends.insert(partition, end?.offset);
        }
        consumer.assign(partitions.clone());
        partitions.iter().try_for_each(|partition| consumer.seek(partition, 0))?;
        let mut found = vec![Vec::new(); super::PARTITIONS];
        while ends.iter().any(|(partition, end)| consumer.position(partition).is_none_or(|position| position < *end)) {
            for record in consumer.poll(POLL).await? {
                let value = String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned();
                found[record.partition as usize].push(value);
            }
        }
        consumer.close().await?;
        Ok(found)
    }
}

impl Copiers {
    pub(crate) fn start(bootstrap: &str, from: &'static str, to: &'static str) -> Self {
        let (is_over, transactions) = (AtomicBool::new(false), AtomicU64::new(0));
        let plan = Arc::new(Plan { bootstrap: bootstrap.to_owned(), from, to, is_over, transactions });
        let worker = |number| {
            let plan = plan.clone();
            std::thread::spawn(move || block_on(plan.work(number)))
        };
        let workers = (0..WORKERS).map(worker).collect();
        Self { plan, workers }
    }

    /// Waits until all is copied, and says how many transactions that took; or what was lost, repeated or out of order.
    pub(crate) fn finish(self) -> Result<String, String> {
        let copies = self.copies();
        self.plan.is_over.store(true, Ordering::Release);
        for worker in self.workers {
            worker.join().map_err(|_| "a worker has ended in a panic".to_owned())?;
        }
        copies.map(|count| format!("{count} copied in {} transactions", self.plan.transactions.load(Ordering::Relaxed)))
    }

    fn copies(&self) -> Result<usize, String> {
        let read = |topic| block_on(self.plan.read(topic)).map_err(|error| format!("{topic} can't be read: {error}"));
        let written = read(self.plan.from)?;
        let count = |all: &[Vec<String>]| all.iter().map(Vec::len).sum::<usize>();
        let mut end = Instant::now() + PATIENCE;
        let mut before = 0;
        loop {
            let copied = read(self.plan.to)?;
            if copied == written {
                return Ok(count(&copied));
            }
            let now = count(&copied);
            if now > before {
                (end, before) = (Instant::now() + PATIENCE, now);
            }
            if now > count(&written) || Instant::now() > end {
                let differs = (0..).zip(written.iter().zip(&copied)).find_map(|(partition, (written, copied))| {
                    let place = (0..written.len().max(copied.len())).find(|i| written.get(*i) != copied.get(*i))?;
                    Some(format!(
                        "{partition} at {place}: {:?} was written, {:?} copied",
                        written.get(place),
                        copied.get(place)
                    ))
                });
                return Err(format!("{now} copies of {}; partition {}", count(&written), differs.unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
