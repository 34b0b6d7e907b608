use super::client_loads::{client, consumer, run};
use super::world::{Stage, World};
use crate::Dice;
use crate::history::{Ended, LogName, Value, WriterId};
use ottla_client::{
    ClientError, Consumer, ConsumerRecord, GroupProtocol, Isolation, Producer, ProducerRecord, ProducerSettings,
    Recovery,
};
use std::future::Future;
use std::time::Duration;

/// One transaction in so many is given up by its worker.
const ABORTS_EACH: u64 = 8;

/// A worker that reads orders and writes two postings for each, which cancel each other out, in one transaction with the
/// orders' offsets.
pub(super) fn post(world: &World, number: u64, group: &str, orders: &LogName, postings: &[LogName]) {
    run(world, async {
        let writer = world.history().records.writer(postings[0].id);
        let settings = consumer(world, group, GroupProtocol::Consumer, Isolation::ReadCommitted);
        let opened = Consumer::new(settings).and_then(|mut consumer| {
            consumer.subscribe([orders.topic.to_string()])?;
            Ok(consumer)
        });
        match opened {
            Ok(consumer) => {
                let dice = Dice(world.seed ^ (0x6d6f + number));
                let id = format!("money-{number}");
                Worker { world, id, group: group.to_owned(), writer, consumer, dice, postings }.work().await;
            }
            Err(error) => world.fail(format!("no consumer: {error}")),
        }
    });
}

/// Makes a call until it no longer says that it may be made again, or the run is over.
async fn until_clear<T, F: Future<Output = Result<T, ClientError>>>(
    world: &World,
    call: impl Fn() -> F,
) -> Result<T, ClientError> {
    loop {
        match call().await {
            Err(error) if error.recovery() == Recovery::Retry && world.stage() < Stage::Over => {}
            result => return result,
        }
    }
}

struct Worker<'a> {
    world: &'a World,
    id: String,
    group: String,
    writer: WriterId,
    consumer: Consumer,
    dice: Dice,
    postings: &'a [LogName],
}

impl Worker<'_> {
    async fn work(mut self) {
        while self.world.stage() < Stage::Over {
            let Some(producer) = self.producer().await else { continue };
            while self.world.stage() < Stage::Over {
                let Err(error) = self.transact(&producer).await else { continue };
                let aborted = until_clear(self.world, || producer.abort_transaction()).await;
                let must_close = |error: &ClientError| error.recovery() == Recovery::CloseProducer;
                self.consumer.seek_to_committed();
                if must_close(&error) || aborted.as_ref().is_err_and(must_close) {
                    break;
                }
            }
            let _ = tokio::time::timeout(Duration::from_secs(10), producer.close()).await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(10), self.consumer.close()).await;
    }

    async fn producer(&self) -> Option<Producer> {
        let settings = ProducerSettings {
            client: client(self.world),
            linger: Duration::from_millis(1),
            transaction_timeout: Duration::from_secs(5),
            ..ProducerSettings::default()
        };
        let producer = Producer::new(settings.transactional(&*self.id)).ok()?;
        match until_clear(self.world, || producer.init_transactions()).await {
            Ok(()) => Some(producer),
            // The next one may.
            Err(_) => None,
        }
    }

    /// What one poll brings, in one transaction.
    async fn transact(&mut self, producer: &Producer) -> Result<(), ClientError> {
        let world = self.world;
        let orders = self.consumer.poll(Duration::from_millis(100)).await?;
        if orders.is_empty() {
            return Ok(());
        }
        producer.begin_transaction()?;
        let values: Vec<[Value; 2]> = {
            let records = &mut world.history().records;
            orders.iter().map(|_| [records.send(self.writer), records.send(self.writer)]).collect()
        };
        let numbers = values[0][0].number..values[values.len() - 1][1].number + 1;
        let transaction = world.history().transactions.begin(self.writer, numbers);
        for (order, legs) in orders.iter().zip(&values) {
            self.book(producer, order, legs).await?;
        }
        let (offsets, group) = (self.consumer.positions(), self.consumer.group_metadata()?);
        for (at, position) in &offsets {
            world.history().offsets.ask(&self.group, &at.topic, at.partition.value(), position.offset);
        }
        until_clear(world, || producer.send_offsets_to_transaction(&offsets, &group)).await?;
        if self.dice.roll(ABORTS_EACH) == 0 {
            until_clear(world, || producer.abort_transaction()).await?;
            self.consumer.seek_to_committed();
            return Ok(());
        }
        world.history().transactions.end(transaction, Ended::Unknown);
        until_clear(world, || producer.commit_transaction()).await?;
        let history = &mut *world.history();
        history.transactions.end(transaction, Ended::Committed);
        for (at, position) in &offsets {
            history.offsets.acknowledge(&self.group, &at.topic, at.partition.value(), position.offset);
        }
        Ok(())
    }

    async fn book(
        &mut self,
        producer: &Producer,
        order: &ConsumerRecord,
        legs: &[Value; 2],
    ) -> Result<(), ClientError> {
        let amount = order.value.as_deref().and_then(Value::parse).map_or(0, |(_, amount)| amount);
        for (leg, amount) in legs.iter().zip([amount, -amount]) {
            let place = self.dice.roll(self.postings.len() as u64) as usize;
            let mut record = ProducerRecord::new(&*self.postings[place].topic)
                .partition(self.postings[place].partition)
                .value(leg.text(amount, 10));
            record.key.clone_from(&order.key);
            producer.send(record).await?;
        }
        Ok(())
    }
}
