use crate::leader::{AlterPartition, AlterPartitionAnswer, AlterPartitionError};
use ottla_types::TopicIdPartition;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long to wait after a request that was refused as a whole.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// The proposals of all partitions that a broker leads, on their way to the controller: one request at a time, with all
/// that has come together, and one proposal of a partition.
///
/// Bounded by the partitions of the broker.
#[derive(Clone, Debug, Default)]
pub struct AlterPartitionQueue {
    waiting: BTreeMap<TopicIdPartition, AlterPartition>,
    in_flight: Option<BTreeMap<TopicIdPartition, AlterPartition>>,
    retry_at: Option<Duration>,
}

/// A proposal's number and what the controller says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredProposal {
    /// The partition.
    pub partition: TopicIdPartition,
    /// The proposal, by its number.
    pub number: u64,
    /// What to tell the leader.
    pub answer: AlterPartitionAnswer,
}

impl AlterPartitionQueue {
    /// Takes a proposal. One of the same partition that has not been sent yet is outdated by it; one that is under way is
    /// not called back: its answer will be ignored by the leader, and the new one waits for it.
    pub fn submit(&mut self, partition: TopicIdPartition, proposal: AlterPartition) {
        self.waiting.insert(partition, proposal);
    }

    /// Forgets what a partition has waiting: it is not led here any more.
    pub fn forget(&mut self, partition: &TopicIdPartition) {
        self.waiting.remove(partition);
    }

    /// The request to send now, if there is one and none is under way.
    pub fn poll(&mut self, now: Duration) -> Option<&BTreeMap<TopicIdPartition, AlterPartition>> {
        let is_due = self.retry_at.is_none_or(|at| now >= at);
        if self.in_flight.is_some() || self.waiting.is_empty() || !is_due {
            return None;
        }
        self.retry_at = None;
        Some(self.in_flight.insert(std::mem::take(&mut self.waiting)))
    }

    /// When [`AlterPartitionQueue::poll`] has something to send though nothing happens.
    pub fn wake_at(&self) -> Option<Duration> {
        self.retry_at.filter(|_| self.in_flight.is_none() && !self.waiting.is_empty())
    }

    /// The controller has answered. A partition that it does not mention is asked for again, unless there is a newer proposal.
    pub fn answered(
        &mut self,
        answers: impl IntoIterator<Item = (TopicIdPartition, AlterPartitionAnswer)>,
        now: Duration,
    ) -> Vec<AnsweredProposal> {
        let Some(mut sent) = self.in_flight.take() else { return Vec::new() };
        let mut answered = Vec::new();
        for (partition, answer) in answers {
            if let Some(proposal) = sent.remove(&partition) {
                // The leader proposes the same again at once.
                if answer == AlterPartitionAnswer::Refused(AlterPartitionError::Retriable) {
                    self.retry_at = Some(now + RETRY_AFTER);
                }
                answered.push(AnsweredProposal { partition, number: proposal.number, answer });
            }
        }
        self.put_back(sent);
        answered
    }

    /// The request failed as a whole: STALE_BROKER_EPOCH, CLUSTER_AUTHORIZATION_FAILED, no connection, no controller. It is
    /// sent again after a while, for as long as nothing else is known.
    pub fn failed(&mut self, now: Duration) {
        let Some(sent) = self.in_flight.take() else { return };
        self.put_back(sent);
        self.retry_at = Some(now + RETRY_AFTER);
    }

    fn put_back(&mut self, sent: BTreeMap<TopicIdPartition, AlterPartition>) {
        for (partition, proposal) in sent {
            self.waiting.entry(partition).or_insert(proposal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::{LeaderEpoch, PartitionIndex, Uuid};

    fn partition(index: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: Uuid::from_u128(1), partition: PartitionIndex(index) }
    }

    fn proposal(number: u64) -> AlterPartition {
        AlterPartition { number, leader_epoch: LeaderEpoch(0), partition_epoch: 0, in_sync: Vec::new() }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sent(queue: &mut AlterPartitionQueue, now: u64) -> Option<Vec<(i32, u64)>> {
        let sent = queue.poll(at(now))?;
        Some(sent.iter().map(|(partition, proposal)| (partition.partition.0, proposal.number)).collect())
    }

    #[test]
    fn one_request_is_under_way_with_all_that_came_before_it() {
        let mut queue = AlterPartitionQueue::default();
        queue.submit(partition(0), proposal(1));
        queue.submit(partition(1), proposal(4));
        queue.submit(partition(1), proposal(5));
        assert_eq!(sent(&mut queue, 0), Some(vec![(0, 1), (1, 5)]));
        queue.submit(partition(0), proposal(2));
        assert_eq!(sent(&mut queue, 0), None);
        let refused = AlterPartitionAnswer::Refused(AlterPartitionError::Outdated);
        let answered = queue.answered([(partition(0), refused.clone())], at(1));
        assert_eq!(answered, [AnsweredProposal { partition: partition(0), number: 1, answer: refused }]);
        // What was not mentioned goes again, beside what has come meanwhile.
        assert_eq!(sent(&mut queue, 1), Some(vec![(0, 2), (1, 5)]));
    }

    #[test]
    fn a_failed_request_goes_again_after_a_while_with_what_is_newer() {
        let mut queue = AlterPartitionQueue::default();
        queue.submit(partition(0), proposal(1));
        assert!(sent(&mut queue, 0).is_some());
        queue.submit(partition(0), proposal(2));
        queue.failed(at(10));
        assert_eq!((sent(&mut queue, 59), queue.wake_at()), (None, Some(at(60))));
        assert_eq!(sent(&mut queue, 60), Some(vec![(0, 2)]));
    }

    #[test]
    fn a_proposal_that_is_made_again_waits_a_while() {
        let mut queue = AlterPartitionQueue::default();
        queue.submit(partition(0), proposal(1));
        assert!(sent(&mut queue, 0).is_some());
        let retry = AlterPartitionAnswer::Refused(AlterPartitionError::Retriable);
        assert_eq!(queue.answered([(partition(0), retry)], at(10)).len(), 1);
        queue.submit(partition(0), proposal(1));
        assert_eq!(sent(&mut queue, 59), None);
        assert!(sent(&mut queue, 60).is_some());
    }

    #[test]
    fn what_is_not_led_any_more_is_not_proposed() {
        let mut queue = AlterPartitionQueue::default();
        queue.submit(partition(0), proposal(1));
        queue.forget(&partition(0));
        assert_eq!(sent(&mut queue, 0), None);
    }
}
