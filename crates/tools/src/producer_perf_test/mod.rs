//! `kafka-producer-perf-test`: measures how fast a producer sends.

mod options;
mod payload;
mod statistics;

use crate::connection::{block_on_threads, producer};
use crate::console::Console;
use crate::in_flight::{InFlight, ticking};
use crate::java::{self, now_ms};
use crate::metrics::{Metric, print_metrics};
use crate::subcommands::{Failure, Tool};
use crate::throttle::Throttle;
use options::{NAME, PARSER, PerfOptions, Refusal};
use ottla_client::{ClientError, Producer, ProducerRecord};
use payload::Source;
use statistics::Statistics;
use std::time::{Duration, Instant};

/// Runs the tool. Called without an argument it shows its help, and that is no mistake.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let tool = Tool { name: NAME, parser: PARSER, help_code: 1 };
    tool.run_or_help(arguments, console, |_, values, console| match PerfOptions::new(values, console) {
        Ok(options) => block_on_threads(measure(&options, console))?.map(|()| 0),
        Err(Refusal::Failure(failure)) => Err(failure),
        Err(Refusal::Mistake(sentence)) => Ok(tool.refuse(sentence, console)),
    })
}

/// Sends the records and tells how that went.
async fn measure(options: &PerfOptions, console: &mut Console) -> Result<(), Failure> {
    let producer = producer(&options.settings).map_err(|exception| Failure(java::uncaught(&exception)))?;
    if options.transaction_duration.is_some() {
        producer.init_transactions().await.map_err(uncaught)?;
    }
    if options.warmup_records > 0 {
        let first = options.warmup_records;
        console.line(&format!(
            "Warmup first {first} records. Steady state results will print after the complete test summary."
        ));
    }
    let mut run = Run::new(options, console);
    let throttle = Throttle::new(options.throughput);
    let mut source = Source::new(options.payload.clone(), options.keys, options.seed);
    for number in 0..options.records {
        let value = source.value(number);
        let mut record = ProducerRecord::new(options.topic.as_str());
        record.key = source.key(number);
        run.begin(number);
        run.begin_transaction(&producer)?;
        run.send(&producer, record.value(value)).await;
        run.commit_when_due(&producer).await?;
        match throttle.pause(number + 1) {
            Some(Duration::ZERO) => {}
            pause => run.pause(pause).await,
        }
    }
    run.commit(&producer).await?;
    run.finish(&producer).await;
    run.tell();
    if options.prints_metrics {
        let client = options.settings.get("client.id").map_or("", String::as_str);
        print_metrics(&run.metrics(), client, run.console);
    }
    producer.close().await;
    Ok(())
}

fn uncaught(error: ClientError) -> Failure {
    Failure(java::uncaught(&java::exception(&error)))
}

/// What is to be known of a record when it is acknowledged.
struct Sent {
    started: i64,
    bytes: usize,
    /// Whether it counts to the steady state.
    is_steady: bool,
}

/// The records that are on their way, and what became of the others.
struct Run<'a> {
    options: &'a PerfOptions,
    console: &'a mut Console,
    statistics: Statistics,
    /// Of the records behind those that warm up.
    steady: Option<Statistics>,
    in_flight: InFlight<Sent>,
    settled_at: i64,
    failures: u64,
    /// When the open transaction began.
    transaction: Option<Instant>,
}

impl<'a> Run<'a> {
    fn new(options: &'a PerfOptions, console: &'a mut Console) -> Self {
        let statistics = Statistics::new(options.records, options.interval, false);
        let in_flight = InFlight::new();
        Self { options, console, statistics, steady: None, in_flight, settled_at: 0, failures: 0, transaction: None }
    }

    /// Begins a transaction, where records are sent in some and none is open.
    fn begin_transaction(&mut self, producer: &Producer) -> Result<(), Failure> {
        if self.options.transaction_duration.is_some() && self.transaction.is_none() {
            producer.begin_transaction().map_err(uncaught)?;
            self.transaction = Some(Instant::now());
        }
        Ok(())
    }

    async fn commit_when_due(&mut self, producer: &Producer) -> Result<(), Failure> {
        let open = self.transaction.map(|began| began.elapsed());
        if open.zip(self.options.transaction_duration).is_some_and(|(open, duration)| open >= duration) {
            self.commit(producer).await?;
        }
        Ok(())
    }

    /// Commits the open transaction.
    async fn commit(&mut self, producer: &Producer) -> Result<(), Failure> {
        if self.transaction.take().is_some() {
            ticking(producer.commit_transaction(), || self.settle()).await.map_err(uncaught)?;
        }
        Ok(())
    }

    /// The statistics of the steady state begin with the first record behind those that warm up.
    fn begin(&mut self, number: u64) {
        let warmup = self.options.warmup_records;
        if warmup > 0 && number == warmup {
            self.steady = Some(Statistics::new(self.options.records - warmup, self.options.interval, true));
            self.statistics.is_silent = true;
        }
    }

    /// Sends a record. While it waits for memory, and once in a millisecond anyway, the others are settled.
    async fn send(&mut self, producer: &Producer, record: ProducerRecord) {
        let started = now_ms();
        if started != self.settled_at {
            self.settle();
        }
        let bytes = record.value.as_ref().map_or(0, bytes::Bytes::len);
        match ticking(producer.send(record), || self.settle()).await {
            Ok(delivery) => {
                self.in_flight.push(delivery, Sent { started, bytes, is_steady: self.steady.is_some() });
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Waits, for ever where there is no time.
    async fn pause(&mut self, pause: Option<Duration>) {
        let waiting = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        ticking(waiting, || self.settle()).await;
    }

    /// Counts all records whose fate is known now.
    fn settle(&mut self) {
        let now = now_ms();
        self.settled_at = now;
        let mut lost = Vec::new();
        self.in_flight.settle(|sent, result| match result {
            Ok(_) => {
                self.statistics.record(now - sent.started, sent.bytes, now, self.console);
                if let Some(steady) = self.steady.as_mut().filter(|_| sent.is_steady) {
                    steady.record(now - sent.started, sent.bytes, now, self.console);
                }
            }
            Err(error) => lost.push(error),
        });
        lost.iter().for_each(|error| self.fail(error));
        let (count, all) = (self.statistics.count(), self.options.records);
        self.console.progress(&format!("{count} of {all} records"));
    }

    fn fail(&mut self, error: &ClientError) {
        self.failures += 1;
        self.console.error_line(&java::exception(error));
    }

    /// Waits until nothing is on its way any more.
    async fn finish(&mut self, producer: &Producer) {
        ticking(producer.flush(), || self.settle()).await;
        self.settle();
    }

    fn tell(&mut self) {
        self.statistics.total(self.console);
        if let Some(steady) = &mut self.steady {
            steady.total(self.console);
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let number = |name, value: u64| Metric::number("producer-metrics", name, value as f64);
        vec![number("record-error-total", self.failures), number("record-send-total", self.statistics.count())]
    }
}
