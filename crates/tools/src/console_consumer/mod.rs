//! `kafka-console-consumer`: shows the records of topics.

mod formatter;
mod options;

use crate::connection::{block_on, stopped};
use crate::console::Console;
use crate::failure::Stop;
use crate::java;
use crate::topics::TopicPattern;
use options::{ConsumerOptions, OPTIONS, Source, Start};
use ottla_client::{Consumer, ConsumerRecord, ConsumerSettings, OffsetAndMetadata, OffsetSpec};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

const CLASS: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    match options::parse(arguments, console).and_then(|options| work(&options, console)) {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn work(options: &ConsumerOptions, console: &mut Console) -> Result<(), Stop> {
    let pairs = options.properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let settings = ConsumerSettings::from_pairs(pairs).map(|(settings, _)| settings);
    let shown = match settings {
        Ok(settings) => block_on(show(settings, options, console)).map_err(|error| Stop::Message(error.to_string()))?,
        Err(error) => Err(java::exception(&error)),
    };
    if let Err(error) = shown {
        console.error_line(&java::log_line("ERROR", "Unknown error when running consumer: ", CLASS));
        return Err(Stop::Message(error));
    }
    Ok(())
}

/// Shows records until enough are shown, none comes for too long, or somebody stops it.
async fn show(settings: ConsumerSettings, options: &ConsumerOptions, console: &mut Console) -> Result<(), String> {
    let group_id = settings.group_id.clone();
    let mut consumer = Consumer::new(settings).map_err(|error| java::exception(&error))?;
    begin(&mut consumer, &options.source).map_err(|error| java::exception(&error))?;
    let mut shown = 0u64;
    let mut left = VecDeque::new();
    let mut failure = None;
    let mut stop = std::pin::pin!(stopped());
    while options.messages_max.is_none_or(|max| shown < max) && !console.is_closed() {
        if left.is_empty() {
            let next = tokio::select! {
                next = receive(&mut consumer, options.timeout) => next,
                _ = &mut stop => break,
            };
            match next {
                Ok(records) => left.extend(records),
                Err(text) => {
                    let line =
                        java::log_line("ERROR", "Error processing message, terminating consumer process: ", CLASS);
                    console.error_line(&line);
                    console.error_line(&text);
                    break;
                }
            }
            continue;
        }
        let Some(record) = left.pop_front() else { continue };
        shown += 1;
        if let Err(error) = options.formatter.write(&record, console) {
            if options.skips_errors {
                console.error_line(&java::log_line(
                    "ERROR",
                    "Error processing message, skipping this message: ",
                    CLASS,
                ));
                console.error_line(&error);
            } else {
                failure = Some(error);
                break;
            }
        }
        if left.is_empty() {
            console.flush();
        }
    }
    console.flush();
    if console.is_closed() {
        console.error_line("Unable to write to standard out, closing consumer.");
    }
    finish(consumer, group_id.is_some(), &left).await;
    console.error_line(&format!("Processed a total of {shown} messages"));
    if options.tells_lifecycle {
        console.line("shutdown_complete");
    }
    failure.map_or(Ok(()), Err)
}

fn begin(consumer: &mut Consumer, source: &Source) -> ottla_client::Result<()> {
    match source {
        Source::Topic(topic) => consumer.subscribe([topic.as_str()]),
        Source::Matching(pattern) => {
            let pattern: TopicPattern = pattern.clone();
            consumer.subscribe_matching(move |topic| pattern.matches(topic))
        }
        Source::Partition { topic, partition, start } => {
            let partition = TopicPartition::new(topic.as_str(), *partition);
            consumer.assign([partition.clone()]);
            match start {
                Start::Earliest => consumer.seek_to(&partition, OffsetSpec::Earliest),
                Start::Latest => consumer.seek_to(&partition, OffsetSpec::Latest),
                Start::At(offset) => consumer.seek(&partition, *offset),
            }
        }
    }
}

/// The next records; an error when none comes for too long.
async fn receive(consumer: &mut Consumer, timeout: Option<Duration>) -> Result<Vec<ConsumerRecord>, String> {
    let start = Instant::now();
    loop {
        let wait = timeout.unwrap_or(Duration::from_secs(3_600));
        let records = consumer.poll(wait).await.map_err(|error| java::exception(&error))?;
        if !records.is_empty() {
            return Ok(records);
        }
        if timeout.is_some_and(|timeout| start.elapsed() >= timeout) {
            return Err("org.apache.kafka.common.errors.TimeoutException".to_owned());
        }
    }
}

/// Closes the consumer. What was fetched and not shown is not committed.
async fn finish(mut consumer: Consumer, is_member: bool, left: &VecDeque<ConsumerRecord>) {
    let mut unshown = BTreeMap::new();
    for record in left {
        let partition = TopicPartition::new(record.topic.clone(), record.partition);
        unshown.entry(partition).or_insert_with(|| OffsetAndMetadata::new(record.offset));
    }
    if is_member {
        for (partition, position) in &unshown {
            let _ = consumer.seek(partition, position.offset);
        }
    }
    let _ = consumer.close().await;
}
