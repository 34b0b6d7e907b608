//! What three nodes cost and how fast they are where each record is on all of them.

use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::admin::ms;
use crate::broker::{Kind, Shop};
use crate::cluster::{Cluster, Place};
use crate::load::{Shape, closed_loop, open_loop};
use crate::report::{Better, Report};
use crate::wire::{Batch, check_produced, produce};

const ROUNDS: usize = 3;
const ALL: [usize; 3] = [0, 1, 2];
const RATES: [u32; 2] = [1_000, 10_000];
const OPEN_LOOP: Duration = Duration::from_secs(5);
/// How long Apache Kafka is warmed up; a tenth of it does for Ottla.
const WARM_UP: Duration = Duration::from_secs(20);

/// How a batch is sent.
#[derive(Clone, Copy)]
struct Sending {
    name: &'static str,
    value_bytes: usize,
    batch_bytes: usize,
    shape: Shape,
    requests: usize,
}

const SENDINGS: [Sending; 4] = [
    Sending {
        name: "1 record of 100 B a request, 1 connection",
        value_bytes: 100,
        batch_bytes: 1,
        shape: shape(1, 1),
        requests: 5_000,
    },
    Sending {
        name: "1 record of 100 B a request, 16 connections",
        value_bytes: 100,
        batch_bytes: 1,
        shape: shape(16, 1),
        requests: 20_000,
    },
    Sending {
        name: "16 KiB batches of 1 KiB, 5 in flight",
        value_bytes: 1024,
        batch_bytes: 16 << 10,
        shape: shape(1, 5),
        requests: 8_000,
    },
    // What kafka-clients takes for the largest request still has room for its header.
    Sending {
        name: "1 MiB batches of 1 KiB, 5 in flight",
        value_bytes: 1024,
        batch_bytes: 1_000_000,
        shape: shape(1, 5),
        requests: 300,
    },
];

const fn shape(connections: usize, window: usize) -> Shape {
    Shape { connections, window }
}

/// Both clusters run and take turns in every row.
pub fn throughput(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    let start = |kind| shop.start_cluster(kind, Place::Loopback);
    let pair = crate::servers().into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    for cluster in &pair {
        eprintln!("warming up {:?}", cluster.kind);
        warm_up(cluster)?;
    }
    for round in 0..crate::option("--throughput-rounds", ROUNDS)? {
        for sending in SENDINGS {
            for cluster in in_order(round, &pair) {
                eprintln!("round {}: {:?}: {}", round + 1, cluster.kind, sending.name);
                produce_cell(cluster, &sending, 1, report)?;
            }
        }
        for rate in RATES {
            for cluster in in_order(round, &pair) {
                eprintln!("round {}: {:?}: {rate}/s", round + 1, cluster.kind);
                latency(cluster, rate, OPEN_LOOP, report)?;
            }
        }
    }
    for cluster in &pair {
        let memory = cluster.resident_mib()?;
        report.add(cluster.kind, "three nodes: resident memory under load, all nodes", "MiB", Better::Less, memory);
    }
    Ok(())
}

fn in_order(round: usize, pair: &[Cluster]) -> impl Iterator<Item = &Cluster> {
    let kinds = crate::order(round).into_iter();
    kinds.flat_map(move |kind| pair.iter().filter(move |cluster| cluster.kind == kind))
}

fn warm_up(cluster: &Cluster) -> Result<(), Failure> {
    let time = if cluster.kind == Kind::Kafka { WARM_UP } else { WARM_UP / 10 };
    let (since, mut unrecorded) = (Instant::now(), Report::default());
    while since.elapsed() < time {
        for sending in &SENDINGS[1..3] {
            produce_cell(cluster, sending, 4, &mut unrecorded)?;
        }
        latency(cluster, RATES[0], Duration::from_secs(1), &mut unrecorded)?;
    }
    Ok(())
}

fn produce_cell(cluster: &Cluster, sending: &Sending, divisor: usize, report: &mut Report) -> Result<(), Failure> {
    let (topic, leader) = ("load", ALL[0]);
    cluster.create_topic(topic, 1, &ALL)?;
    let batch = Batch::new(sending.value_bytes, sending.batch_bytes)?;
    let request = produce(topic, 0, -1, &batch)?;
    cluster.connect(leader)?.produce_until_acknowledged(&request, Duration::from_secs(10))?;
    let mut before = 0.0;
    let port = cluster.members[leader].address.port();
    let (requests, elapsed) = closed_loop(port, &request, sending.shape, sending.requests / divisor, || {
        before = cluster.processor_seconds()?;
        Ok(())
    })?;
    let used = cluster.processor_seconds()? - before;
    cluster.delete_topic(topic)?;
    let name = format!("three nodes, acks=all, {}", sending.name);
    let mut add = |row: &str, unit, better, figure| {
        report.add(cluster.kind, &format!("{name}: {row}"), unit, better, figure);
    };
    let gigabytes = (requests * batch.value_bytes) as f64 / 1e9;
    let millions = (requests * batch.records) as f64 / 1e6;
    if sending.batch_bytes > 1 {
        add("processor time of all nodes", "s/GB", Better::Less, used / gigabytes);
    } else {
        add("processor time of all nodes", "s/million", Better::Less, used / millions);
    }
    add("rate", "requests/s", Better::More, requests as f64 / elapsed.as_secs_f64());
    Ok(())
}

fn latency(cluster: &Cluster, rate: u32, time: Duration, report: &mut Report) -> Result<(), Failure> {
    let (topic, leader) = ("latency", ALL[0]);
    cluster.create_topic(topic, 1, &ALL)?;
    let request = produce(topic, 0, -1, &Batch::new(1024, 1)?)?;
    cluster.connect(leader)?.produce_until_acknowledged(&request, Duration::from_secs(10))?;
    let mut before = 0.0;
    let run = open_loop(cluster.members[leader].address.port(), &request, 4, rate, time, || {
        before = cluster.processor_seconds()?;
        Ok(())
    })?;
    let share = (cluster.processor_seconds()? - before) / run.elapsed.as_secs_f64();
    cluster.delete_topic(topic)?;
    let name = format!("three nodes, 1 KiB at {rate}/s, acks=all");
    // Where the rate is not kept, latencies say how long the run was and nothing else.
    let kept = run.rate >= 0.98 * f64::from(rate);
    for (quantile, label) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
        let latency = if kept { run.quantile_ms(quantile) } else { f64::NAN };
        report.add(cluster.kind, &format!("{name}: {label}"), "ms", Better::Less, latency);
    }
    report.add(cluster.kind, &format!("{name}: rate kept"), "requests/s", Better::More, run.rate);
    let processor = format!("{name}: processor time of all nodes");
    report.add(cluster.kind, &processor, "% of a core", Better::Less, share * 100.0);
    Ok(())
}

/// A follower comes back that was away for gigabytes, and then they are moved to another node.
pub fn catch_up(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    let gibibytes: f64 = crate::option("--gib", 4.0)?;
    for kind in crate::servers() {
        let mut cluster = shop.start_cluster(kind, Place::Loopback)?;
        let (topic, partitions, away) = ("filled", 8, 2);
        cluster.create_topic(topic, partitions, &ALL)?;
        cluster.stop(away)?;
        cluster.wait_for_replicas(0, topic, 2)?;
        eprintln!("{kind:?}: writing {gibibytes} GiB while one node is away");
        fill(&cluster, topic, partitions, gibibytes)?;
        let mut add = |what: &str, unit, figure| report.add(kind, what, unit, Better::Less, figure);
        let (since, before) = (Instant::now(), cluster.processor_seconds()?);
        cluster.launch(away)?;
        cluster.wait_for_replicas(0, topic, 3)?;
        let what = format!("a follower that was away for {gibibytes} GiB");
        add(&format!("{what}: from its start until it is in sync"), "ms", ms(since.elapsed()));
        let used = cluster.processor_seconds()? - before;
        add(&format!("{what}: processor time of all nodes"), "s", used);
        // On two nodes first: the third has to fetch everything again.
        cluster.reassign(topic, partitions, &[0, 1])?;
        wait_until_moved(&cluster, topic, &[1, 2])?;
        thread::sleep(Duration::from_secs(5));
        let (since, before) = (Instant::now(), cluster.processor_seconds()?);
        cluster.reassign(topic, partitions, &[0, 2])?;
        wait_until_moved(&cluster, topic, &[1, 3])?;
        let what = format!("reassignment of {gibibytes} GiB");
        add(&format!("{what}: until it is done"), "ms", ms(since.elapsed()));
        add(&format!("{what}: processor time of all nodes"), "s", cluster.processor_seconds()? - before);
    }
    Ok(())
}

fn wait_until_moved(cluster: &Cluster, topic: &str, ids: &[i32]) -> Result<(), Failure> {
    cluster.wait_until("the partitions have moved", |cluster| {
        let known = cluster.partitions(0, topic)?;
        let there = |partition: &ottla_protocol::messages::metadata_response::MetadataResponsePartition| {
            partition.replica_nodes == ids && partition.isr_nodes.len() == ids.len()
        };
        Ok(!known.is_empty() && known.iter().all(there))
    })
}

fn fill(cluster: &Cluster, topic: &str, partitions: i32, gibibytes: f64) -> Result<(), Failure> {
    let batch = Batch::new(1000, 1_000_000)?;
    let requests: Vec<_> =
        (0..partitions).map(|partition| produce(topic, partition, -1, &batch)).collect::<Result<_, _>>()?;
    let mut client = cluster.connect(0)?;
    let count = (gibibytes * f64::from(1 << 30) / batch.bytes.len() as f64).ceil() as usize;
    let mut answer = Vec::new();
    for request in requests.iter().cycle().take(count) {
        client.ask_into(request, &mut answer)?;
        check_produced(&answer)?;
    }
    Ok(())
}

/// What many partitions take of memory.
pub fn partitions(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    let partitions: usize = crate::option("--partitions", 10_000)?;
    for kind in crate::servers() {
        let cluster = shop.start_cluster(kind, Place::Loopback)?;
        cluster.create_topic("first", 1, &ALL)?;
        thread::sleep(Duration::from_secs(3));
        let before = cluster.resident_mib()?;
        let since = Instant::now();
        for number in 0..partitions.div_ceil(1000) {
            let topic = format!("crowd-{number}");
            eprintln!("{kind:?}: {topic}");
            // The leaders are spread as a cluster would have them.
            let leader = number % 3;
            let nodes = [leader, (leader + 1) % 3, (leader + 2) % 3];
            cluster.create_topic(&topic, 1000.min(partitions - number * 1000) as i32, &nodes)?;
        }
        let what = format!("{partitions} partitions on three nodes");
        let mut add = |row: &str, unit, figure| {
            report.add(kind, &format!("{what}: {row}"), unit, Better::Less, figure);
        };
        add("until all are in sync", "ms", ms(since.elapsed()));
        thread::sleep(Duration::from_secs(10));
        let memory = cluster.resident_mib()?;
        add("resident memory of all nodes before", "MiB", before);
        add("resident memory of all nodes after", "MiB", memory);
        add("memory of a replica", "KiB", (memory - before) * 1024.0 / partitions as f64 / 3.0);
        let (used, since) = (cluster.processor_seconds()?, Instant::now());
        thread::sleep(Duration::from_secs(5));
        let share = (cluster.processor_seconds()? - used) / since.elapsed().as_secs_f64();
        add("idle processor time of all nodes", "% of a core", (share * 100.0).max(0.001));
    }
    Ok(())
}
