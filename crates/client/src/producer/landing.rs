use super::accumulator::Accumulator;
use super::answer::{BatchAnswer, Promise, Verdict, judge};
use super::batch::SealedBatch;
use super::sender::Shared;
use crate::backoff::Backoff;
use crate::cluster::CONCURRENT_PAUSE_MAX;
use ottla_protocol::ErrorCode;
use ottla_types::TopicPartition;
use std::time::{Duration, Instant};

/// Decides what becomes of a batch that landed.
pub(super) fn settle(
    shared: &Shared,
    accumulator: &mut Accumulator,
    partition: &TopicPartition,
    batch: SealedBatch,
    answer: BatchAnswer,
) {
    let settings = &shared.settings;
    let older_is_open = accumulator.landed(partition, batch.order);
    let now = Instant::now();
    let expired = batch.created + settings.delivery_timeout <= now;
    // What is left of a transaction that is being aborted is not sent again.
    let is_wanted = accumulator.may_retry();
    let may_retry = batch.tries <= settings.retries_max && !expired && is_wanted;
    let promise = match (&settings.transactional_id, batch.producer) {
        (Some(_), _) => Promise::Transactional,
        (None, Some(_)) => Promise::Idempotent,
        (None, None) => Promise::Plain,
    };
    match judge(&answer, batch.count, promise, older_is_open) {
        Verdict::Done => {
            shared.counters.records_sent.add(u64::try_from(batch.count).unwrap_or_default());
            accumulator.finish(batch, answer.result);
        }
        Verdict::Split if is_wanted => match batch.split(accumulator.compression()) {
            Ok((first, second)) => {
                accumulator.put_back(partition, first, now);
                accumulator.put_back(partition, second, now);
            }
            Err(batch) => give_up(shared, accumulator, partition, batch, answer),
        },
        Verdict::Retry { new_epoch } if may_retry => {
            if new_epoch {
                accumulator.need_new_epoch(partition);
            }
            let mut backoff = Backoff::new(settings.client.retry_backoff, settings.client.retry_backoff_max);
            let pause: Duration = (0..batch.tries.min(16)).map(|_| backoff.pause()).last().unwrap_or_default();
            let is_concurrent = answer.result.is_err_and(|error| error.is(ErrorCode::ConcurrentTransactions));
            let pause = if is_concurrent { pause.min(CONCURRENT_PAUSE_MAX) } else { pause };
            accumulator.put_back(partition, batch, now + pause);
        }
        Verdict::Split | Verdict::Retry { .. } | Verdict::GiveUp => {
            give_up(shared, accumulator, partition, batch, answer)
        }
    }
}

fn give_up(
    shared: &Shared,
    accumulator: &mut Accumulator,
    partition: &TopicPartition,
    batch: SealedBatch,
    answer: BatchAnswer,
) {
    shared.counters.record_errors.add(u64::try_from(batch.count).unwrap_or_default());
    accumulator.need_new_epoch(partition);
    if let Err(error) = &answer.result {
        accumulator.batch_failed(error);
    }
    accumulator.finish(batch, answer.result);
}
