use ottla_metrics::Counter;
use ottla_protocol::ErrorCode;
use std::sync::Arc;

/// What is counted of a topic, or of all.
#[derive(Debug, Default)]
pub(crate) struct TopicCounters {
    pub(crate) messages_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) bytes_rejected: Counter,
    pub(crate) produce_requests: Counter,
    pub(crate) fetch_requests: Counter,
    pub(crate) failed_produce_requests: Counter,
    pub(crate) failed_fetch_requests: Counter,
    pub(crate) produce_conversions: Counter,
}

/// The counters that a partition feeds: its topic's and those of all topics, which outlive each topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicMetrics {
    pub(crate) topic: Arc<TopicCounters>,
    pub(crate) all: Arc<TopicCounters>,
}

impl TopicMetrics {
    /// The counters of a new topic beside those of all.
    pub(crate) fn new(all: Arc<TopicCounters>) -> Self {
        Self { topic: Arc::default(), all }
    }

    /// Counts for the topic and for all.
    pub(crate) fn add(&self, counter: impl Fn(&TopicCounters) -> &Counter, amount: u64) {
        counter(&self.topic).add(amount);
        counter(&self.all).add(amount);
    }

    /// An append was refused. As in Kafka, what clients are expected to meet does not count as a failure.
    pub(crate) fn append_refused(&self, code: ErrorCode, bytes: usize) {
        match code {
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
                self.add(|counters| &counters.bytes_rejected, bytes as u64);
            }
            ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::CorruptMessage
            | ErrorCode::KafkaStorageError => {}
            _ => self.add(|counters| &counters.failed_produce_requests, 1),
        }
    }

    /// A read was refused. As in Kafka, what clients are expected to meet does not count as a failure.
    pub(crate) fn read_refused(&self, code: ErrorCode) {
        match code {
            ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::KafkaStorageError
            | ErrorCode::OffsetOutOfRange
            | ErrorCode::InconsistentTopicId => {}
            _ => self.add(|counters| &counters.failed_fetch_requests, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_topics_count_what_each_of_them_counts() {
        let all = Arc::new(TopicCounters::default());
        let [one, other] = [(); 2].map(|()| TopicMetrics::new(all.clone()));
        one.append_refused(ErrorCode::NotEnoughReplicas, 10);
        other.append_refused(ErrorCode::MessageTooLarge, 10);
        other.append_refused(ErrorCode::NotLeaderOrFollower, 10);
        other.read_refused(ErrorCode::OffsetOutOfRange);
        other.read_refused(ErrorCode::UnknownServerError);
        let read = |counters: &TopicCounters| {
            let TopicCounters { failed_produce_requests, bytes_rejected, failed_fetch_requests, .. } = counters;
            [failed_produce_requests.value(), bytes_rejected.value(), failed_fetch_requests.value()]
        };
        assert_eq!([read(&one.topic), read(&other.topic), read(&all)], [[1, 0, 0], [0, 10, 1], [1, 10, 1]]);
    }
}
