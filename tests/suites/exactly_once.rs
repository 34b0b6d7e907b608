//! Exactly once while the server is killed: Kafka Streams counts words, and two workers of the Java client copy numbers.
//!
//! The long forms, with `cargo test -p ottla-tests --test exactly_once -- --nocapture` and in front of it:
//! `OTTLA_WORD_COUNT_RECORDS=1000000 OTTLA_WORD_COUNT_KILLS=100` and `OTTLA_COPY_KILLS=100`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::{Load, Target, java_client, number};
use std::thread::sleep;
use std::time::Duration;

/// What is kept of a transaction whose producer does not come back is looked for often.
const SETTINGS: [(&str, &str); 1] = [("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000")];

/// Kafka Streams counts the words of so many lines with `exactly_once_v2`, the server is killed `kills` times at equal
/// parts of the work. The program itself holds the counts against those of a plain loop; what is returned is their digest.
fn word_count(target: &mut Target, kills: u64, store: &str) -> String {
    let records = number("OTTLA_WORD_COUNT_RECORDS", 20_000);
    let state = tempfile::tempdir().unwrap();
    let mut streams = java_client("WordCount").unwrap();
    streams.args([target.bootstrap(), records.to_string(), kills.to_string()]).arg(state.path()).arg(store);
    let mut load = Load::start(streams).unwrap();
    for kill in 0..kills {
        load.expect("mark").unwrap();
        // Different moments of a transaction are hit.
        sleep(Duration::from_millis(kill * 37 % 100));
        target.kill_and_restart().unwrap();
    }
    let said = load.finish().unwrap_or_else(|error| panic!("{error}\n{}", target.log()));
    println!("{kills} kills, {store}: {said}");
    said.split(' ').next().unwrap().to_owned()
}

#[test]
fn kafka_streams_counts_the_same_words_with_kills_as_on_an_apache_kafka_without() {
    let without = word_count(&mut Target::apache_kafka().unwrap(), 0, "memory");
    let kills = number("OTTLA_WORD_COUNT_KILLS", 3);
    let with = word_count(&mut Target::ottla().unwrap(), kills, "rocksdb");
    assert_eq!(with, without);
}

/// Two copiers read numbers and write them in transactions with their offsets, and give up one transaction in ten, while
/// the server is killed, or in one case of five stopped, again and again. Every acknowledged number is in the copy once.
fn copy(target: &mut Target, protocol: &str, kills: u64) {
    let mut copiers = java_client("ExactlyOnce").unwrap();
    copiers.args([&target.bootstrap(), protocol]);
    let mut load = Load::start(copiers).unwrap();
    load.expect("loaded").unwrap();
    for kill in 0..kills {
        // Different moments of a transaction are hit.
        sleep(Duration::from_millis(150 + kill * 37 % 400));
        if kill % 5 == 4 { target.stop_and_restart().unwrap() } else { target.kill_and_restart().unwrap() }
    }
    sleep(Duration::from_secs(1));
    let said = load.finish().unwrap_or_else(|error| panic!("{error}\n{}", target.log()));
    println!("{kills} kills and stops, {protocol} protocol: {said}");
}

#[test]
fn every_number_is_copied_exactly_once_by_a_classic_group() {
    copy(&mut Target::ottla_with(&SETTINGS).unwrap(), "classic", number("OTTLA_COPY_KILLS", 5));
}

#[test]
fn every_number_is_copied_exactly_once_by_a_consumer_group() {
    copy(&mut Target::ottla_with(&SETTINGS).unwrap(), "consumer", number("OTTLA_COPY_KILLS", 5));
}

#[test]
fn every_number_is_copied_exactly_once_on_apache_kafka() {
    copy(&mut Target::apache_kafka_with(&SETTINGS).unwrap(), "consumer", 1);
}
