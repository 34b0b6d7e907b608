//! Many partitions, and many connections that do nothing.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ottla_protocol::messages::api_versions_request::ApiVersionsRequest;
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};

use crate::Failure;
use crate::broker::{Broker, Kind, Shop};
use crate::report::{Better, Report};
use crate::wire::{Batch, Client, framed, produce};

/// Ten thousand partitions take Apache Kafka minutes.
const ROUNDS: usize = 3;
const ROUNDS_QUICK: usize = 1;
const TOPICS: usize = 10;
const PARTITIONS_A_TOPIC: i32 = 1000;
const CONNECTIONS: usize = 5_000;
const METADATA_VERSION: i16 = 12;
const API_VERSIONS_VERSION: i16 = 4;
const IDLE: Duration = Duration::from_secs(10);
/// How often all topics are asked for, and how often one.
const ASKED: [(&str, usize); 2] = [("all topics", 200), ("one partition's topic", 3_000)];

/// Each in turn, as often as there are rounds.
pub fn compare(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised)?;
    let rounds = if crate::is_asked("--quick") { ROUNDS_QUICK } else { ROUNDS };
    for round in 0..rounds {
        for kind in crate::order(round) {
            eprintln!("round {} of {rounds}: {kind:?}", round + 1);
            let broker = shop.start(kind)?;
            connections(&broker, report)?;
            topics(&broker, report)?;
            metadata(&broker, report)?;
        }
    }
    Ok(())
}

/// What connections cost that have asked once and then do nothing.
fn connections(broker: &Broker, report: &mut Report) -> Result<(), Failure> {
    let request = framed(&ApiVersionsRequest::default(), API_VERSIONS_VERSION)?;
    let before = broker.process.resident_mib()?;
    let mut open: Vec<Client> = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut client = broker.connect()?;
        client.ask(&request)?;
        open.push(client);
    }
    let name = format!("{CONNECTIONS} idle connections");
    let memory = (broker.process.resident_mib()? - before) * 1024.0 / CONNECTIONS as f64;
    report.add(broker.kind, &format!("{name}: memory of each"), "KiB", Better::Less, memory.max(0.001));
    thread::sleep(Duration::from_secs(2));
    let (processor, since) = (broker.process.processor_seconds()?, Instant::now());
    thread::sleep(IDLE);
    let share = (broker.process.processor_seconds()? - processor) / since.elapsed().as_secs_f64();
    report.add(
        broker.kind,
        &format!("{name}: processor time"),
        "% of a core",
        Better::Less,
        (share * 100.0).max(0.001),
    );
    drop(open);
    // Until they are all gone, accepting one more would be measured with their end.
    drop(TcpStream::connect(("127.0.0.1", broker.port))?);
    thread::sleep(Duration::from_secs(2));
    Ok(())
}

fn topics(broker: &Broker, report: &mut Report) -> Result<(), Failure> {
    let mut client = broker.connect()?;
    client.create_topic("single", 1)?;
    let request = |topic: &str, partition| produce(topic, partition, -1, &Batch::new(100, 1)?);
    for number in 0..TOPICS {
        let topic = format!("crowd-{number}");
        let request = request(&topic, PARTITIONS_A_TOPIC - 1)?;
        let since = Instant::now();
        client.create_topic(&topic, PARTITIONS_A_TOPIC)?;
        let answered = since.elapsed();
        client.produce_until_acknowledged(&request, Duration::from_secs(60))?;
        if number == 0 {
            let name = "create a topic of 1,000 partitions";
            let mut add = |what: &str, taken: Duration| {
                let taken = taken.as_secs_f64() * 1e3;
                report.add(broker.kind, &format!("{name}: {what}"), "ms", Better::Less, taken);
            };
            add("until it is answered", answered);
            add("until its last partition took a record", since.elapsed());
        }
    }
    Ok(())
}

fn metadata(broker: &Broker, report: &mut Report) -> Result<(), Failure> {
    let mut client = broker.connect()?;
    let mut answer = Vec::new();
    let one = MetadataRequestTopic { name: Some("single".to_owned()), ..Default::default() };
    for ((what, requests), topics) in ASKED.into_iter().zip([None, Some(vec![one])]) {
        let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
        let request = framed(&request, METADATA_VERSION)?;
        // The Java machine compiles what it does often.
        let warm = if broker.kind == Kind::Kafka { requests } else { requests / 10 };
        for _ in 0..warm {
            client.ask_into(&request, &mut answer)?;
        }
        let (before, since) = (broker.process.processor_seconds()?, Instant::now());
        for _ in 0..requests {
            client.ask_into(&request, &mut answer)?;
        }
        let elapsed = since.elapsed().as_secs_f64();
        let used = (broker.process.processor_seconds()? - before) / requests as f64;
        let name = format!("Metadata of {what} among 10,000 partitions");
        report.add(broker.kind, &format!("{name}: rate"), "1/s", Better::More, requests as f64 / elapsed);
        report.add(broker.kind, &format!("{name}: processor time"), "ms", Better::Less, used * 1e3);
    }
    Ok(())
}
