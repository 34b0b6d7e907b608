//! Markers on their way to the brokers that lead partitions: those of many transactions in one request.

use super::markers::{MarkerOrder, MarkerResults};
use ottla_types::{BrokerId, ProducerId, TopicPartition};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Requests that one broker has at a time: as many as a client's connection has. With one, the markers of a partition whose
/// followers are slow would hold up all others; with as many as there are transactions, nothing would ever be together.
const IN_FLIGHT_MAX: usize = 5;
/// Transactions in one request. A thousand with some partitions each are a few hundred kilobytes.
const MARKERS_MAX: usize = 1_000;

/// The markers of one transaction for the partitions that one broker leads.
pub(super) struct Marking {
    pub(super) order: MarkerOrder,
    pub(super) partitions: BTreeSet<TopicPartition>,
    pub(super) then: Box<dyn FnOnce(MarkerResults) + Send>,
}

/// What waits for each broker. Bounded by the transactions that end, of which each waits once for a broker.
#[derive(Default)]
pub(super) struct MarkerQueues {
    by_leader: Mutex<BTreeMap<BrokerId, Queue>>,
}

#[derive(Default)]
struct Queue {
    in_flight: usize,
    waiting: VecDeque<Marking>,
}

impl MarkerQueues {
    /// Has markers wait until [`Self::next`] takes them.
    pub(super) fn add(&self, leader: BrokerId, marking: Marking) {
        self.by_leader.lock().entry(leader).or_default().waiting.push_back(marking);
    }

    /// What is to be asked of a broker in one request: everything that waits, if the broker may be asked, and nothing
    /// otherwise. It counts as being asked until [`Self::answered`]. An answer names producers, so a producer is there once.
    pub(super) fn next(&self, leader: BrokerId) -> Vec<Marking> {
        let mut by_leader = self.by_leader.lock();
        let Some(queue) = by_leader.get_mut(&leader) else { return Vec::new() };
        if queue.in_flight >= IN_FLIGHT_MAX {
            return Vec::new();
        }
        let mut producers: BTreeSet<ProducerId> = BTreeSet::new();
        let (mut next, mut left) = (Vec::new(), VecDeque::new());
        for marking in queue.waiting.drain(..) {
            if next.len() < MARKERS_MAX && producers.insert(marking.order.producer_id) {
                next.push(marking);
            } else {
                left.push_back(marking);
            }
        }
        queue.waiting = left;
        if next.is_empty() {
            if queue.in_flight == 0 {
                by_leader.remove(&leader);
            }
        } else {
            queue.in_flight += 1;
        }
        next
    }

    /// A broker has answered a request, or will not.
    pub(super) fn answered(&self, leader: BrokerId) {
        if let Some(queue) = self.by_leader.lock().get_mut(&leader) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_transactions::TransactionVersion;
    use ottla_types::{NodeId, ProducerEpoch};

    fn marking(producer_id: i64) -> Marking {
        let order = MarkerOrder {
            producer_id: ProducerId::new(producer_id),
            producer_epoch: ProducerEpoch(0),
            commit: true,
            coordinator_epoch: 0,
            version: TransactionVersion::V2,
        };
        Marking { order, partitions: BTreeSet::new(), then: Box::new(|_| ()) }
    }

    fn producers(markings: &[Marking]) -> Vec<i64> {
        markings.iter().map(|marking| marking.order.producer_id.value()).collect()
    }

    const LEADER: BrokerId = NodeId(2);

    #[test]
    fn the_first_go_at_once_and_what_comes_meanwhile_goes_together() {
        let queues = MarkerQueues::default();
        for producer_id in 0..5 {
            queues.add(LEADER, marking(producer_id));
            assert_eq!(producers(&queues.next(LEADER)), [producer_id]);
        }
        for producer_id in 5..9 {
            queues.add(LEADER, marking(producer_id));
            assert!(queues.next(LEADER).is_empty());
        }
        queues.add(NodeId(3), marking(9));
        assert_eq!(producers(&queues.next(NodeId(3))), [9], "another broker is not waited for");
        queues.answered(LEADER);
        assert_eq!(producers(&queues.next(LEADER)), [5, 6, 7, 8]);
        assert!(queues.next(LEADER).is_empty());
    }

    #[test]
    fn a_producer_is_in_a_request_once_and_a_request_has_a_bound() {
        let queues = MarkerQueues::default();
        for producer_id in [7, 8, 7, 9] {
            queues.add(LEADER, marking(producer_id));
        }
        assert_eq!(producers(&queues.next(LEADER)), [7, 8, 9]);
        assert_eq!(producers(&queues.next(LEADER)), [7]);
        (0..2_500).for_each(|producer_id| queues.add(LEADER, marking(producer_id)));
        let lengths = [queues.next(LEADER), queues.next(LEADER), queues.next(LEADER)].map(|next| next.len());
        assert_eq!(lengths, [1_000, 1_000, 500]);
    }

    #[test]
    fn nothing_is_kept_of_a_broker_that_has_nothing_to_do() {
        let queues = MarkerQueues::default();
        queues.add(LEADER, marking(1));
        assert_eq!(queues.next(LEADER).len(), 1);
        queues.answered(LEADER);
        assert!(queues.next(LEADER).is_empty());
        assert!(queues.by_leader.lock().is_empty());
    }
}
