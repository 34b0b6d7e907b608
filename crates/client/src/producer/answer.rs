use super::delivery::BatchAck;
use crate::cluster::{ClusterMetadata, is_stale};
use crate::error::{ClientError, Result};
use crate::network::Answer;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::ProduceResponse;
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a broker answered for one batch.
#[derive(Clone, Debug)]
pub(super) struct BatchAnswer {
    pub(super) result: Result<BatchAck>,
}

impl BatchAnswer {
    /// For acks=0: the batch was sent, and that is all that is known.
    pub(super) fn unacknowledged() -> Self {
        Self { result: Ok(BatchAck { base_offset: -1, log_append_time: None }) }
    }

    pub(super) fn failed(error: ClientError) -> Self {
        Self { result: Err(error) }
    }
}

/// What to do with a batch after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    GiveUp,
    /// It is too large for the broker, but has several records.
    Split,
    /// Send it again, under a new epoch where its sequences can't be continued.
    Retry {
        new_epoch: bool,
    },
}

/// Under what promise a batch was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// None: it may appear twice.
    Plain,
    /// Once, under sequences that the producer may start anew.
    Idempotent,
    /// Once, under sequences that only the next transaction starts anew.
    Transactional,
}

/// Judges a batch's answer by Kafka's rules (KIP-98, KIP-360). `older_is_open`: an older batch of its partition was not
/// acknowledged yet.
pub(super) fn judge(answer: &BatchAnswer, records: i32, promise: Promise, older_is_open: bool) -> Verdict {
    let error = match &answer.result {
        Ok(_) => return Verdict::Done,
        Err(error) => error,
    };
    match error.code() {
        Some(ErrorCode::MessageTooLarge) if records > 1 => Verdict::Split,
        // The broker misses what came before. While that is still on its way, or waits to be sent again, this batch was
        // only early; else records were lost to the broker, and the sequences must start anew.
        Some(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId)
            if promise == Promise::Idempotent || promise == Promise::Transactional && older_is_open =>
        {
            Verdict::Retry { new_epoch: !older_is_open }
        }
        Some(_) | None if error.is_retriable() || is_stale(error) => Verdict::Retry { new_epoch: false },
        _ => Verdict::GiveUp,
    }
}

/// Reads the answer to a Produce request; `None` for the empty answer of acks=0.
pub(super) fn read_answer(
    answer: &Answer,
    metadata: &ClusterMetadata,
) -> Result<Option<BTreeMap<TopicPartition, BatchAnswer>>> {
    if answer.body.is_empty() {
        return Ok(None);
    }
    let response: ProduceResponse = answer.decode("the leader")?;
    let names: BTreeMap<_, _> = metadata.topics.iter().map(|(name, topic)| (topic.id, name.as_str())).collect();
    let mut answers = BTreeMap::new();
    for topic in response.responses {
        let name =
            if topic.topic_id.is_zero() { Some(topic.name.as_str()) } else { names.get(&topic.topic_id).copied() };
        let Some(name) = name else { continue };
        let name: Arc<str> = name.into();
        for partition in topic.partition_responses {
            let time = partition.log_append_time_ms;
            let duplicate = partition.error_code == ErrorCode::DuplicateSequenceNumber.code();
            let ack = BatchAck { base_offset: partition.base_offset, log_append_time: (time >= 0).then_some(time) };
            // An older batch of the same sequences was appended: this one is delivered too, at an offset not told.
            let error = ClientError::of(partition.error_code, partition.error_message).filter(|_| !duplicate);
            let result = error.map_or(Ok(ack), Err);
            answers.insert(TopicPartition::new(name.clone(), partition.index), BatchAnswer { result });
        }
    }
    Ok(Some(answers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: ErrorCode) -> BatchAnswer {
        BatchAnswer::failed(ClientError::Api { code, message: None })
    }

    #[test]
    fn a_batch_that_came_before_its_predecessor_is_sent_again_as_it_is() {
        let verdict = judge(&answer(ErrorCode::OutOfOrderSequenceNumber), 1, Promise::Idempotent, true);
        assert_eq!(verdict, Verdict::Retry { new_epoch: false });
    }

    #[test]
    fn a_gap_that_nothing_will_fill_starts_a_new_epoch() {
        for code in [ErrorCode::OutOfOrderSequenceNumber, ErrorCode::UnknownProducerId] {
            assert_eq!(judge(&answer(code), 1, Promise::Idempotent, false), Verdict::Retry { new_epoch: true });
            assert_eq!(judge(&answer(code), 1, Promise::Plain, false), Verdict::GiveUp);
        }
    }

    #[test]
    fn a_gap_within_a_transaction_can_only_be_aborted() {
        for code in [ErrorCode::OutOfOrderSequenceNumber, ErrorCode::UnknownProducerId] {
            assert_eq!(judge(&answer(code), 1, Promise::Transactional, false), Verdict::GiveUp);
            let early = judge(&answer(code), 1, Promise::Transactional, true);
            assert_eq!(early, Verdict::Retry { new_epoch: false });
        }
    }

    #[test]
    fn a_batch_too_large_is_split_until_it_has_one_record() {
        assert_eq!(judge(&answer(ErrorCode::MessageTooLarge), 2, Promise::Idempotent, false), Verdict::Split);
        assert_eq!(judge(&answer(ErrorCode::MessageTooLarge), 1, Promise::Idempotent, false), Verdict::GiveUp);
    }

    #[test]
    fn a_moved_leader_is_retried_and_a_refused_record_is_not() {
        let retry = Verdict::Retry { new_epoch: false };
        assert_eq!(judge(&answer(ErrorCode::NotLeaderOrFollower), 1, Promise::Idempotent, false), retry);
        assert_eq!(judge(&answer(ErrorCode::NotEnoughReplicas), 1, Promise::Idempotent, false), retry);
        assert_eq!(judge(&answer(ErrorCode::InvalidRecord), 1, Promise::Idempotent, false), Verdict::GiveUp);
        assert_eq!(judge(&answer(ErrorCode::TopicAuthorizationFailed), 1, Promise::Idempotent, false), Verdict::GiveUp);
        let lost = BatchAnswer::failed(ClientError::Disconnected { address: "a:1".to_owned() });
        assert_eq!(judge(&lost, 1, Promise::Idempotent, false), retry);
    }
}
