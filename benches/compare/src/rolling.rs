//! The nodes are stopped and started one after the other, and clients go on.

use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::admin::ms;
use crate::broker::{Kind, Shop};
use crate::cluster::{Cluster, NODES, Place};
use crate::librdkafka::Writer;
use crate::report::{Better, Report};

const ROUNDS: usize = 3;
/// It takes a minute each time.
const ROUNDS_OF_KAFKA: usize = 1;
const PARTITIONS: i32 = 12;
const RATE: u32 = 1000;
const TOPIC: &str = "rolled";

pub fn compare(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    for kind in crate::servers() {
        let usual = if kind == Kind::Kafka { ROUNDS_OF_KAFKA } else { ROUNDS };
        let mut cluster = shop.start_cluster(kind, Place::Loopback)?;
        cluster.create_topic(TOPIC, PARTITIONS, &[0, 1, 2])?;
        for round in 0..crate::option("--rolling-rounds", usual)? {
            eprintln!("{kind:?}: rolling restart {}", round + 1);
            roll(&mut cluster, report)?;
        }
    }
    Ok(())
}

fn roll(cluster: &mut Cluster, report: &mut Report) -> Result<(), Failure> {
    let client = Writer::begin(&cluster.bootstrap(), TOPIC, PARTITIONS, RATE)?;
    thread::sleep(Duration::from_secs(1));
    let started = Instant::now();
    for node in 0..NODES {
        cluster.stop(node)?;
        cluster.launch(node)?;
        cluster.wait_until("all nodes serve", |cluster| Ok(cluster.alive()? == NODES))?;
        cluster.wait_for_replicas((node + 1) % NODES, TOPIC, NODES)?;
    }
    let taken = started.elapsed();
    thread::sleep(Duration::from_secs(1));
    let written = client.finish()?;
    let what = "rolling restart at 1,000 records/s";
    let mut add = |row: &str, unit, figure| {
        report.add(cluster.kind, &format!("{what}: {row}"), unit, Better::Less, figure);
    };
    add("errors at the producer", "records", written.failed.len() as f64);
    for (quantile, label) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "longest")] {
        add(&format!("{label} of an acknowledgement, seen by librdkafka"), "ms", written.quantile_ms(quantile));
    }
    add("longest gap between acknowledgements, seen by librdkafka", "ms", written.gap_ms);
    add("until all three are back and in sync", "ms", ms(taken));
    if written.acknowledged == 0 {
        return Err(Failure::from("nothing was acknowledged"));
    }
    Ok(())
}
