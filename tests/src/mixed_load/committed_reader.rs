use super::client_loads::{client, run};
use super::world::World;
use crate::history::{LogName, Value};
use ottla_client::{Consumer, ConsumerSettings, Isolation, OffsetReset};
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long reading everything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a reader of committed records was given: where, key, value, amount.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// The record's key, where it is a number.
    pub key: Option<u32>,
    /// Which record it is.
    pub value: Value,
    /// What it carries.
    pub amount: i64,
}

/// Everything that the client library gives to a reader of committed records up to these offsets.
pub fn read_committed(world: &World, ends: &BTreeMap<LogName, i64>) -> Vec<Committed> {
    let mut all = Vec::new();
    run(world, async {
        let settings = ConsumerSettings {
            client: client(world),
            isolation: Isolation::ReadCommitted,
            offset_reset: OffsetReset::Earliest,
            fetch_wait_max: Duration::from_millis(100),
            ..ConsumerSettings::default()
        };
        let mut consumer = match Consumer::new(settings) {
            Ok(consumer) => consumer,
            Err(error) => return world.fail(format!("no consumer: {error}")),
        };
        let place = |log: &LogName| TopicPartition::new(&*log.topic, log.partition);
        consumer.assign(ends.keys().map(place));
        let until = Instant::now() + PATIENCE;
        while ends.iter().any(|(log, end)| *end > 0 && consumer.position(&place(log)).unwrap_or(0) < *end) {
            if Instant::now() > until {
                return world.fail("a reader of committed records does not come to the end".to_owned());
            }
            let Ok(records) = consumer.poll(Duration::from_millis(200)).await else { continue };
            for record in records {
                let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
                match record.value.as_deref().and_then(Value::parse) {
                    Some((value, amount)) => {
                        all.push(Committed { key: key.and_then(|key| key.parse().ok()), value, amount });
                    }
                    None => world.fail(format!("{} offset {}: nonsense", record.topic, record.offset)),
                }
            }
        }
    });
    all
}
