//! Starting again: after a kill with much in the logs, and after a clean stop with many partitions.

use std::time::Duration;

use crate::Failure;
use crate::broker::{Broker, Kind, Shop};
use crate::report::{Better, Report};
use crate::wire::{Batch, Client, produce};

const PARTITIONS: i32 = 100;
const TOPICS: i32 = 2;
const PARTITIONS_A_TOPIC: i32 = 500;
const BATCH_BYTES: usize = 16 << 10;
/// What is written before the kill, in MiB.
const WRITTEN_MIB: usize = 4096;
const STOPS: usize = 3;

/// Each in turn, on directories of its own: so that neither has the other's files in the page cache beside its own.
pub fn compare(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    for kind in [Kind::Ottla, Kind::Kafka] {
        eprintln!("{kind:?}: kill and recovery");
        let mut broker = shop.start(kind)?;
        write(&broker)?;
        for _ in 0..STOPS {
            let taken = broker.kill_and_restart()?;
            report.add(kind, "start after kill -9, 4 GiB in 100 partitions", "ms", Better::Less, taken);
        }
    }
    for kind in [Kind::Ottla, Kind::Kafka] {
        eprintln!("{kind:?}: 1,000 partitions");
        let mut broker = shop.start(kind)?;
        create(&broker)?;
        for _ in 0..STOPS {
            let taken = broker.stop_and_restart()?;
            report.add(kind, "start after a clean stop, 1,000 partitions", "ms", Better::Less, taken);
        }
    }
    Ok(())
}

fn write(broker: &Broker) -> Result<(), Failure> {
    let mut client = broker.connect()?;
    client.create_topic("data", PARTITIONS)?;
    let batch = Batch::new(1000, BATCH_BYTES)?;
    let requests: Vec<_> =
        (0..PARTITIONS).map(|partition| produce("data", partition, 1, &batch)).collect::<Result<_, _>>()?;
    for request in &requests {
        client.produce_until_acknowledged(request, Duration::from_secs(30))?;
    }
    let mut answer = Vec::new();
    for request in requests.iter().cycle().take((WRITTEN_MIB << 20) / BATCH_BYTES) {
        client.ask_into(request, &mut answer)?;
        crate::wire::check_produced(&answer)?;
    }
    Ok(())
}

fn create(broker: &Broker) -> Result<(), Failure> {
    let batch = Batch::new(100, 1)?;
    for number in 0..TOPICS {
        let name = format!("many-{number}");
        let mut client: Client = broker.connect()?;
        // The answer may come later than the request allows; that the last partition serves is what counts.
        let _ = client.create_topic(&name, PARTITIONS_A_TOPIC);
        let request = produce(&name, PARTITIONS_A_TOPIC - 1, 1, &batch)?;
        client.produce_until_acknowledged(&request, Duration::from_secs(120))?;
    }
    Ok(())
}
