use super::world::{Stage, World};
use crate::Dice;
use crate::history::{LogName, Value};
use ottla_client::{
    ClientSettings, Consumer, ConsumerSettings, Delivery, GroupProtocol, Isolation, OffsetReset, Producer,
    ProducerRecord, ProducerSettings,
};
use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

/// So many records may be on their way before the oldest is waited for.
const WINDOW: usize = 60;

/// Runs a load of the client library on this thread, to its end.
pub(super) fn run<F: Future<Output = ()>>(world: &World, load: F) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(load),
        Err(error) => world.fail(format!("no runtime: {error}")),
    }
}

/// A client that looks for the server often, since it comes and goes.
pub(super) fn client(world: &World) -> ClientSettings {
    ClientSettings {
        request_timeout: Duration::from_secs(10),
        retry_backoff: Duration::from_millis(20),
        retry_backoff_max: Duration::from_millis(200),
        reconnect_backoff: Duration::from_millis(10),
        reconnect_backoff_max: Duration::from_millis(100),
        ..ClientSettings::new(&world.address)
    }
}

/// Records of an idempotent producer to these logs in turn, each with a key that no other has.
pub(super) fn produce(world: &World, logs: &[LogName]) {
    run(world, async {
        let settings = ProducerSettings {
            client: client(world),
            linger: Duration::from_millis(2),
            delivery_timeout: Duration::from_secs(600),
            block_max: Duration::from_secs(300),
            ..ProducerSettings::default()
        };
        match Producer::new(settings) {
            Ok(producer) => send(world, &producer, logs).await,
            Err(error) => world.fail(format!("no producer: {error}")),
        }
    });
}

async fn send(world: &World, producer: &Producer, logs: &[LogName]) {
    let writers: Vec<_> = logs.iter().map(|log| world.history().records.writer(log.id)).collect();
    let mut dice = Dice(world.seed ^ u64::from(writers.first().copied().unwrap_or_default()));
    let mut on_their_way: VecDeque<(&LogName, Value, Delivery)> = VecDeque::new();
    while world.stage() == Stage::Busy {
        tokio::time::sleep(world.rest).await;
        for _ in 0..1 + dice.roll(10) {
            let place = dice.roll(logs.len() as u64) as usize;
            let value = world.history().records.send(writers[place]);
            let record = ProducerRecord::new(&*logs[place].topic)
                .partition(logs[place].partition)
                .key((value.number as usize * logs.len() + place).to_string())
                .value(value.text(1 + dice.roll(1000) as i64, 20));
            match producer.send(record).await {
                Ok(delivery) => on_their_way.push_back((&logs[place], value, delivery)),
                Err(error) => world.fail(format!("{} {value} was not taken: {error}", logs[place])),
            }
        }
        while on_their_way.len() > WINDOW {
            settle(world, on_their_way.pop_front()).await;
        }
    }
    while !on_their_way.is_empty() {
        settle(world, on_their_way.pop_front()).await;
    }
    producer.close().await;
}

async fn settle(world: &World, oldest: Option<(&LogName, Value, Delivery)>) {
    let Some((log, value, delivery)) = oldest else { return };
    match delivery.await {
        Ok(at) if at.offset >= 0 => world.acknowledged(log, at.offset, value),
        Ok(_) => world.history().records.acknowledged_somewhere(log, value),
        Err(error) => world.fail(format!("{log} {value} failed: {error}")),
    }
}

/// A consumer's settings: commits by hand, from the beginning on.
pub(super) fn consumer(world: &World, group: &str, protocol: GroupProtocol, isolation: Isolation) -> ConsumerSettings {
    ConsumerSettings {
        client: client(world),
        group_protocol: protocol,
        session_timeout: Duration::from_secs(6),
        heartbeat_interval: Duration::from_millis(300),
        offset_reset: OffsetReset::Earliest,
        auto_commit: false,
        isolation,
        fetch_wait_max: Duration::from_millis(100),
        ..ConsumerSettings::default()
    }
    .group(group)
}

/// A member of a group that reads these logs, all of one topic, and commits what it has read.
pub(super) fn read_in_group(world: &World, group: &str, protocol: GroupProtocol, logs: &[LogName]) {
    run(world, async {
        let settings = consumer(world, group, protocol, Isolation::ReadUncommitted);
        let opened = Consumer::new(settings).and_then(|mut consumer| {
            consumer.subscribe(logs.first().map(|log| log.topic.to_string()))?;
            Ok(consumer)
        });
        let mut consumer = match opened {
            Ok(consumer) => consumer,
            Err(error) => return world.fail(format!("no consumer: {error}")),
        };
        while world.stage() < Stage::Over {
            let records = match consumer.poll(Duration::from_millis(100)).await {
                Ok(records) => records,
                // It goes on by itself; what it was is told when the run ends without progress.
                Err(_) => continue,
            };
            if records.is_empty() {
                continue;
            }
            for record in records {
                let value = record.value.as_deref().and_then(Value::parse);
                let log = logs.iter().find(|log| log.partition == record.partition);
                match (log, value) {
                    (Some(log), Some((value, _))) => world.read(log, record.offset, value),
                    _ => {
                        world.fail(format!("{}-{} offset {}: nonsense", record.topic, record.partition, record.offset))
                    }
                }
            }
            commit(world, group, &mut consumer).await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(10), consumer.close()).await;
    });
}

async fn commit(world: &World, group: &str, consumer: &mut Consumer) {
    let positions = consumer.positions();
    let each = |note: &mut dyn FnMut(&str, i32, i64)| {
        positions.iter().for_each(|(at, position)| note(&at.topic, at.partition.value(), position.offset));
    };
    each(&mut |topic, partition, offset| world.history().offsets.ask(group, topic, partition, offset));
    if consumer.commit_offsets(&positions).await.is_ok() {
        each(&mut |topic, partition, offset| world.history().offsets.acknowledge(group, topic, partition, offset));
    }
}
