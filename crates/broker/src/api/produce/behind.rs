//! Batches that come behind one that was refused for the moment.
//!
//! A client has several batches of a partition under way. When the first comes a moment too early for a new leader (or while too
//! few replicas are in sync) and the second in time, the second is out of order, and Apache Kafka says so. Clients of librdkafka
//! then begin a new producer epoch *for all their partitions*, and number anew what they have not heard of: a batch of another
//! partition that was appended, but whose answer was lost with its leader, is appended once more in the new epoch. So a batch behind
//! one that was refused on the same connection is refused for the same reason, upon which both come again in order.
//!
//! And of a producer that the new leader does not know any sequence is taken: the second batch would be appended without the first.

use super::{Outcome, Part};
use ottla_net::ConnectionContext;
use ottla_protocol::ErrorCode;
use ottla_records::RecordBatchView;
use ottla_types::{ProducerEpoch, ProducerId, Sequence, TopicId};
use std::collections::BTreeMap;

/// Brokers remember five batches, so no more are under way: the one that was refused, and four behind it. A client that has given the
/// first one up is told the truth after these.
const BEHIND_MAX: u8 = 4;
/// Producers and partitions of one connection of which refusals are remembered.
const REFUSALS_MAX: usize = 1_000;

/// A partition as a request names it.
type PartitionName = (String, TopicId, i32);

/// What of a batch tells its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    producer_id: ProducerId,
    epoch: ProducerEpoch,
    sequence: Sequence,
}

impl Place {
    /// That of a batch of an idempotent producer.
    fn of(bytes: &[u8]) -> Option<Self> {
        let batch = RecordBatchView::parse(bytes).ok()?;
        let place =
            Self { producer_id: batch.producer_id(), epoch: batch.producer_epoch(), sequence: batch.base_sequence() };
        place.producer_id.is_some().then_some(place)
    }
}

#[derive(Debug)]
struct Refusal {
    epoch: ProducerEpoch,
    /// The first sequence of the batch that was refused.
    sequence: Sequence,
    code: ErrorCode,
    /// How many batches behind it may still be refused for it.
    left: u8,
}

/// The refusals of one connection behind which other batches may be under way.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<(PartitionName, ProducerId), Refusal>);

impl Refusals {
    /// Takes a connection's refusals, for as long as one of its requests is obeyed. Nearly always there are none.
    pub(super) fn take(connection: &ConnectionContext) -> Self {
        let kept = connection.state.lock().extension.take();
        kept.and_then(|kept| kept.downcast().ok()).map(|kept| *kept).unwrap_or_default()
    }

    /// Gives them back.
    pub(super) fn keep(self, connection: &ConnectionContext) {
        if !self.0.is_empty() {
            connection.state.lock().extension = Some(Box::new(self));
        }
    }

    /// Has a part of a request appended, unless it comes behind one that was refused.
    pub(super) fn append(
        &mut self,
        topic: (&str, TopicId),
        part: Part,
        body: &mut [u8],
        append: impl FnOnce(Part, &mut [u8]) -> Outcome,
    ) -> Outcome {
        let (index, records) = (part.index, part.records.clone());
        let place = |body: &[u8]| Place::of(records.and_then(|range| body.get(range))?);
        let name = |index| (topic.0.to_owned(), topic.1, index);
        // Nearly always: then a batch is looked at only if it is refused.
        if self.0.is_empty() {
            let outcome = append(part, body);
            if let Err(error) = &outcome.result
                && let Some(place) = place(body)
            {
                self.refused(name(index), place, error.code);
            }
            return outcome;
        }
        let Some(place) = place(body) else { return append(part, body) };
        let before = self.before(&name(index), place);
        // Any sequence of a producer that is not known would be taken.
        if let Some(code) = before.filter(|_| !is_known(&part, place)) {
            self.refused_behind(&name(index), place);
            return Outcome { index, partition: part.found.ok(), result: Err(code.into()) };
        }
        let mut outcome = append(part, body);
        match (&mut outcome.result, before) {
            (Ok(_), _) => self.appended(&name(index), place),
            (Err(error), Some(code)) if error.code == ErrorCode::OutOfOrderSequenceNumber => {
                *error = code.into();
                self.refused_behind(&name(index), place);
            }
            (Err(error), _) => self.refused(name(index), place, error.code),
        }
        outcome
    }

    /// Why a batch before this one was refused, if it has not come again since.
    fn before(&self, partition: &PartitionName, place: Place) -> Option<ErrorCode> {
        let refusal = self.0.get(&(partition.clone(), place.producer_id))?;
        let is_behind = refusal.epoch == place.epoch && is_after(place.sequence, refusal.sequence);
        (is_behind && refusal.left > 0).then_some(refusal.code)
    }

    /// A batch was refused for the one before it.
    fn refused_behind(&mut self, partition: &PartitionName, place: Place) {
        if let Some(known) = self.0.get_mut(&(partition.clone(), place.producer_id)) {
            known.left = known.left.saturating_sub(1);
        }
    }

    /// A batch was refused without being appended, for a reason of its own. What an earlier one is remembered for, which may have
    /// been appended elsewhere since, counts no more once as much as can be was refused for it.
    fn refused(&mut self, partition: PartitionName, place: Place, code: ErrorCode) {
        if !comes_again(code) {
            return;
        }
        let key = (partition, place.producer_id);
        let is_full = self.0.len() >= REFUSALS_MAX;
        match self.0.get_mut(&key) {
            Some(known) if known.epoch == place.epoch && is_after(place.sequence, known.sequence) && known.left > 0 => {
            }
            None if is_full => {}
            _ => {
                let Place { epoch, sequence, .. } = place;
                self.0.insert(key, Refusal { epoch, sequence, code, left: BEHIND_MAX });
            }
        }
    }

    /// A batch was appended, or is there already: whatever came before it is there, too.
    fn appended(&mut self, partition: &PartitionName, place: Place) {
        self.0.remove(&(partition.clone(), place.producer_id));
    }
}

/// Whether the partition knows the producer in this epoch, so that it sees what is missing before the batch.
fn is_known(part: &Part, place: Place) -> bool {
    part.found.as_ref().is_ok_and(|partition| {
        partition.log.with_producers(|producers| {
            producers.get(place.producer_id).is_some_and(|state| state.epoch == place.epoch)
        })
    })
}

/// Whether a sequence comes after another one; they begin anew behind the greatest.
fn is_after(sequence: Sequence, other: Sequence) -> bool {
    let distance = sequence.0.wrapping_sub(other.0) & i32::MAX;
    distance != 0 && distance < i32::MAX / 2
}

/// Whether a client sends a batch again that was refused so.
fn comes_again(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::KafkaStorageError
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: ErrorCode = ErrorCode::NotLeaderOrFollower;

    fn partition(index: i32) -> PartitionName {
        ("t".to_owned(), TopicId::ZERO, index)
    }

    fn place(sequence: i32) -> Place {
        Place { producer_id: ProducerId::new(1), epoch: ProducerEpoch(0), sequence: Sequence(sequence) }
    }

    #[test]
    fn those_behind_a_refused_batch_are_refused_for_the_same_reason_until_it_is_there() {
        let mut refusals = Refusals::default();
        refusals.refused(partition(0), place(10), CODE);
        assert_eq!(refusals.before(&partition(0), place(11)), Some(CODE));
        assert_eq!(refusals.before(&partition(0), place(10)), None, "it may come again");
        assert_eq!(refusals.before(&partition(0), place(9)), None);
        assert_eq!(refusals.before(&partition(1), place(11)), None);
        let other = Place { producer_id: ProducerId::new(2), ..place(11) };
        assert_eq!(refusals.before(&partition(0), other), None);
        let later = Place { epoch: ProducerEpoch(1), ..place(11) };
        assert_eq!(refusals.before(&partition(0), later), None);
        refusals.appended(&partition(0), place(10));
        assert_eq!(refusals.before(&partition(0), place(11)), None);
        assert!(refusals.0.is_empty());
    }

    #[test]
    fn a_client_that_has_given_it_up_is_told_the_truth_after_as_many_as_can_be_under_way() {
        let mut refusals = Refusals::default();
        refusals.refused(partition(0), place(10), CODE);
        for sequence in 11..15 {
            assert_eq!(refusals.before(&partition(0), place(sequence)), Some(CODE));
            refusals.refused_behind(&partition(0), place(sequence));
        }
        assert_eq!(refusals.before(&partition(0), place(15)), None);
        refusals.refused(partition(0), place(10), CODE);
        assert_eq!(refusals.before(&partition(0), place(15)), Some(CODE), "it is not given up");
    }

    #[test]
    fn a_refusal_of_a_batch_that_was_appended_elsewhere_since_makes_room_for_the_next() {
        let mut refusals = Refusals::default();
        refusals.refused(partition(0), place(3), CODE);
        (4..8).for_each(|sequence| refusals.refused_behind(&partition(0), place(sequence)));
        refusals.refused(partition(0), place(13), ErrorCode::NotEnoughReplicas);
        refusals.refused(partition(0), place(14), ErrorCode::NotEnoughReplicas);
        assert_eq!(refusals.before(&partition(0), place(15)), Some(ErrorCode::NotEnoughReplicas));
        assert_eq!(refusals.before(&partition(0), place(14)), Some(ErrorCode::NotEnoughReplicas));
    }

    #[test]
    fn what_a_client_does_not_send_again_holds_up_nothing_and_sequences_begin_anew() {
        let mut refusals = Refusals::default();
        refusals.refused(partition(0), place(10), ErrorCode::MessageTooLarge);
        assert!(refusals.0.is_empty());
        refusals.refused(partition(0), place(i32::MAX), CODE);
        assert_eq!(refusals.before(&partition(0), place(0)), Some(CODE));
        assert_eq!(refusals.before(&partition(0), place(i32::MAX - 1)), None);
        (0..2_000).for_each(|index| refusals.refused(partition(index), place(0), CODE));
        assert_eq!(refusals.0.len(), REFUSALS_MAX);
    }
}
