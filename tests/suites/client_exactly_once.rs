//! Two workers of one group read, work and write in transactions with our own client library while the server is killed
//! again and again: each input comes out once. The same on Apache Kafka, with fewer kills.
//!
//! `OTTLA_KILLS=100 cargo test -p ottla-tests --test client_exactly_once ottla -- --nocapture` is the long form.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{
    Admin, ClientError, ClientSettings, Consumer, ConsumerSettings, Isolation, NewTopic, OffsetReset, OffsetSpec,
    Producer, ProducerRecord, ProducerSettings, Recovery,
};
use ottla_tests::Target;
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const INPUT: &str = "input";
const OUTPUT: &str = "output";
const GROUP: &str = "workers";
const WORKERS: usize = 2;
const PARTITIONS: i32 = 4;
/// How long the workers may take to catch up when the kills are over.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the threads tell each other.
#[derive(Default)]
struct Shared {
    /// The kills are over: nothing more is put in.
    is_calm: AtomicBool,
    /// Everything came out.
    is_done: AtomicBool,
    commits: AtomicU64,
    aborts: AtomicU64,
    successors: AtomicU64,
}

fn in_thread<T: Send + 'static, F: Future<Output = T>>(work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T> {
    thread::spawn(move || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work()))
}

async fn create_topics(admin: &Admin) {
    for name in [INPUT, OUTPUT] {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(1),
            ..Default::default()
        };
        admin.create_topics(&[topic], false).await.unwrap().remove(name).unwrap().unwrap();
    }
}

/// Puts numbers in until it is calm. Answers how many there are.
async fn feed(servers: String, shared: Arc<Shared>) -> usize {
    let producer = Producer::new(ProducerSettings::new(&servers)).unwrap();
    let mut deliveries = Vec::new();
    while !shared.is_calm.load(Ordering::Relaxed) {
        for _ in 0..10 {
            let number = deliveries.len().to_string();
            deliveries.push(producer.send(ProducerRecord::new(INPUT).key(number.clone()).value(number)).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let count = deliveries.len();
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    producer.close().await;
    count
}

/// Makes a call until it no longer says that it may be made again.
async fn until_clear<T, F: Future<Output = Result<T, ClientError>>>(call: impl Fn() -> F) -> Result<T, ClientError> {
    loop {
        match call().await {
            Err(error) if error.recovery() == Recovery::Retry => {}
            result => return result,
        }
    }
}

async fn new_producer(servers: &str, id: &str) -> Producer {
    loop {
        let producer = Producer::new(ProducerSettings::new(servers).transactional(id)).unwrap();
        match until_clear(|| producer.init_transactions()).await {
            Ok(()) => return producer,
            Err(error) => println!("{id} could not be initialized: {error}"),
        }
    }
}

/// Each so many transactions a worker changes its mind.
const ABORTS_EACH: u64 = 7;

/// What became of a poll.
enum Worked {
    Nothing,
    Committed,
    /// The worker changed its mind: nothing of it must come out.
    Aborted,
}

/// One transaction: what a poll brought, and the offsets behind it.
async fn work(consumer: &mut Consumer, producer: &Producer, turn: u64) -> Result<Worked, ClientError> {
    let records = consumer.poll(Duration::from_millis(100)).await?;
    if records.is_empty() {
        return Ok(Worked::Nothing);
    }
    producer.begin_transaction()?;
    for record in records {
        producer.send(ProducerRecord::new(OUTPUT).key(record.key.unwrap()).value(record.value.unwrap())).await?;
    }
    let (offsets, group) = (consumer.positions(), consumer.group_metadata()?);
    until_clear(|| producer.send_offsets_to_transaction(&offsets, &group)).await?;
    if turn.is_multiple_of(ABORTS_EACH) {
        until_clear(|| producer.abort_transaction()).await?;
        return Ok(Worked::Aborted);
    }
    until_clear(|| producer.commit_transaction()).await?;
    Ok(Worked::Committed)
}

async fn worker(servers: String, number: usize, shared: Arc<Shared>) {
    let id = format!("worker-{number}");
    let mut producer = new_producer(&servers, &id).await;
    let settings = ConsumerSettings {
        auto_commit: false,
        isolation: Isolation::ReadCommitted,
        offset_reset: OffsetReset::Earliest,
        ..ConsumerSettings::new(&servers).group(GROUP)
    };
    let mut consumer = Consumer::new(settings).unwrap();
    consumer.subscribe([INPUT]).unwrap();
    for turn in 1.. {
        if shared.is_done.load(Ordering::Relaxed) {
            break;
        }
        let error = match work(&mut consumer, &producer, turn).await {
            Ok(Worked::Nothing) => continue,
            Ok(Worked::Committed) => {
                shared.commits.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Ok(Worked::Aborted) => {
                shared.aborts.fetch_add(1, Ordering::Relaxed);
                consumer.seek_to_committed();
                continue;
            }
            Err(error) => error,
        };
        shared.aborts.fetch_add(1, Ordering::Relaxed);
        // A poll that failed left no transaction open, and there is nothing to abort.
        let aborted = until_clear(|| producer.abort_transaction()).await;
        let must_close = |error: &ClientError| error.recovery() == Recovery::CloseProducer;
        if must_close(&error) || aborted.as_ref().is_err_and(must_close) {
            println!("{id} gets a successor: {error}");
            shared.successors.fetch_add(1, Ordering::Relaxed);
            producer.close().await;
            producer = new_producer(&servers, &id).await;
        }
        consumer.seek_to_committed();
    }
    producer.close().await;
    consumer.close().await.unwrap();
}

/// Waits until the workers have committed the end of every partition.
async fn all_is_read(servers: &str) {
    let admin = Admin::new(ClientSettings::new(servers)).unwrap();
    let ends: BTreeMap<_, _> =
        (0..PARTITIONS).map(|index| (TopicPartition::new(INPUT, index), OffsetSpec::Latest)).collect();
    let ends = admin.list_offsets(&ends).await.unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        let committed = admin.list_group_offsets(GROUP, None).await.unwrap();
        let is_read = |(partition, end): (&TopicPartition, &Result<ottla_client::ListedOffset, ClientError>)| {
            let end = end.as_ref().unwrap().offset;
            end == 0 || committed.get(partition).is_some_and(|offset| offset.offset == end)
        };
        if ends.iter().all(is_read) {
            break;
        }
        assert!(Instant::now() < until, "{committed:?} of {ends:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    admin.close();
}

/// How often each number came out.
async fn come_out(servers: &str, count: usize) -> BTreeMap<usize, usize> {
    let settings = ConsumerSettings {
        isolation: Isolation::ReadCommitted,
        offset_reset: OffsetReset::Earliest,
        ..ConsumerSettings::new(servers)
    };
    let mut consumer = Consumer::new(settings).unwrap();
    consumer.assign((0..PARTITIONS).map(|index| TopicPartition::new(OUTPUT, index)));
    let until = Instant::now() + PATIENCE;
    let mut times = BTreeMap::<usize, usize>::new();
    loop {
        let records = consumer.poll(Duration::from_millis(500)).await.unwrap();
        if records.is_empty() && times.len() >= count {
            break;
        }
        assert!(Instant::now() < until, "{} of {count} came out", times.len());
        for record in records {
            let number = std::str::from_utf8(&record.value.unwrap()).unwrap().parse().unwrap();
            *times.entry(number).or_default() += 1;
        }
    }
    consumer.close().await.unwrap();
    times
}

fn each_input_comes_out_once(mut target: Target, kills: u64) {
    let servers = target.bootstrap();
    let shared = Arc::new(Shared::default());
    let admin_servers = servers.clone();
    in_thread(move || async move {
        let admin = Admin::new(ClientSettings::new(&admin_servers)).unwrap();
        create_topics(&admin).await;
        admin.close();
    })
    .join()
    .unwrap();
    let feeder = {
        let (servers, shared) = (servers.clone(), shared.clone());
        in_thread(move || feed(servers, shared))
    };
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let (servers, shared) = (servers.clone(), shared.clone());
            in_thread(move || worker(servers, number, shared))
        })
        .collect();
    for kill in 0..kills {
        // Different moments of the workers' reconnecting and working are hit.
        thread::sleep(Duration::from_millis(400 + kill * 37 % 300));
        target.kill_and_restart().unwrap();
    }
    thread::sleep(Duration::from_millis(500));
    shared.is_calm.store(true, Ordering::Relaxed);
    let count = feeder.join().unwrap();
    let times = in_thread(move || async move {
        all_is_read(&servers).await;
        come_out(&servers, count).await
    })
    .join()
    .unwrap();
    shared.is_done.store(true, Ordering::Relaxed);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let [commits, aborts, successors] =
        [&shared.commits, &shared.aborts, &shared.successors].map(|counter| counter.load(Ordering::Relaxed));
    println!("{kills} kills, {count} records: {commits} transactions, {aborts} aborted, {successors} successors");
    let wrong: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    assert!(wrong.is_empty(), "not once: {wrong:?}");
    assert!(times.into_keys().eq(0..count), "each input came out");
    assert!(commits > 0);
}

#[test]
fn each_input_comes_out_once_on_ottla_however_often_it_is_killed() {
    let kills = std::env::var("OTTLA_KILLS").map_or(5, |kills| kills.parse().unwrap());
    each_input_comes_out_once(Target::ottla().unwrap(), kills);
}

#[test]
fn each_input_comes_out_once_on_apache_kafka_however_often_it_is_killed() {
    each_input_comes_out_once(Target::apache_kafka().unwrap(), 2);
}
