//! The first write to a topic that makes itself.

use ottla_tests::{Target, run, unique, workspace};
use std::process::Command;

/// So many topics are written to, each for the first time.
const TOPICS: usize = 10;

/// What kafka-go meets at Apache Kafka before its write succeeds: it asks for the topic, which then begins to be made, and
/// takes the first answer to be the last.
const MET: [&str; 2] = ["Unknown Topic Or Partition", "Leader Not Available"];

/// kafka-go writes to topics that nobody has made, and tries again after errors that it calls temporary.
pub(super) fn kafka_go_writes_to_topics_that_make_themselves(target: &Target) {
    let program = workspace().join("target/clients/go/first-write");
    let topics: Vec<String> = (0..TOPICS).map(|_| unique("first-write")).collect();
    let said = run(Command::new(program).arg(target.bootstrap()).args(topics)).unwrap();
    println!("{said}");
    assert_eq!(said.lines().count(), TOPICS, "{said}");
    for line in said.lines() {
        let mut tries: Vec<&str> = line.split(", ").collect();
        assert_eq!(tries.pop(), Some("written"), "{said}");
        assert!(tries.iter().all(|error| MET.contains(error)), "{said}");
    }
}
