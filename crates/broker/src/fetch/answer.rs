//! The answer of one partition, and the response of all.

use super::aborted::aborted_transactions;
use super::parameters::FetchParameters;
use super::session::{AnswerSummary, PartitionKey};
use crate::leader_hints::LeaderHint;
use crate::metrics::TopicMetrics;
use crate::partition::{Partition, PartitionRead};
use ottla_log::format::AbortedTransaction;
use ottla_log::{FileRange, LogOffsets};
use ottla_net::Segment;
use ottla_protocol::messages::fetch_response::{
    self, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use ottla_protocol::{ErrorCode, RecordSet};
use ottla_types::{BrokerId, LeaderEpoch, Offset, TopicId};
use smallvec::SmallVec;
use std::sync::Arc;

/// What one partition answers to a fetch.
pub(crate) struct PartitionAnswer {
    pub(crate) key: PartitionKey,
    topic: Option<Arc<str>>,
    topic_id: TopicId,
    code: ErrorCode,
    /// Whether the partition was found and asked.
    was_read: bool,
    /// `None` when the partition could not be read.
    offsets: Option<LogOffsets>,
    diverging: Option<(LeaderEpoch, Offset)>,
    /// Who leads, told to a reader that came to the wrong place (KIP-951).
    leader: Option<LeaderHint>,
    /// The replica that the reader is sent to.
    preferred: Option<BrokerId>,
    /// A partition whose follower reads: what it is given may count against a throttle.
    followed: Option<Arc<Partition>>,
    ranges: SmallVec<[FileRange; 1]>,
    /// What a reader of committed records must leave out.
    aborted: Vec<AbortedTransaction>,
    /// What counts the bytes that leave.
    metrics: Option<TopicMetrics>,
}

impl PartitionAnswer {
    /// A refusal without a look at the log.
    pub(crate) fn error(key: PartitionKey, topic: Option<Arc<str>>, topic_id: TopicId, code: ErrorCode) -> Self {
        let ranges = SmallVec::new();
        Self {
            key,
            topic,
            topic_id,
            code,
            // To Apache Kafka the look at a log that is another broker's is one too.
            was_read: code == ErrorCode::NotLeaderOrFollower,
            offsets: None,
            diverging: None,
            leader: None,
            preferred: None,
            followed: None,
            ranges,
            aborted: Vec::new(),
            metrics: None,
        }
    }

    /// The answer of a partition that was read.
    pub(crate) fn of(
        key: PartitionKey,
        partition: &Arc<Partition>,
        read: Result<PartitionRead, ErrorCode>,
        parameters: &FetchParameters,
    ) -> Self {
        let mut answer = Self::error(key, Some(partition.topic.clone()), partition.topic_id, ErrorCode::None);
        answer.was_read = true;
        answer.metrics = Some(partition.metrics.clone());
        answer.followed = parameters.is_follower.then(|| partition.clone());
        match read {
            Ok(PartitionRead::Records(slice)) => {
                if parameters.read_committed {
                    match aborted_transactions(&partition.log, &slice) {
                        Ok(aborted) => answer.aborted = aborted,
                        Err(code) => {
                            answer.refuse(code, partition, parameters);
                            return answer;
                        }
                    }
                }
                answer.offsets = Some(slice.offsets);
                answer.ranges = slice.ranges;
            }
            Ok(PartitionRead::Diverging { epoch, end_offset, offsets }) => {
                answer.offsets = Some(offsets);
                answer.diverging = Some((epoch, end_offset));
            }
            Ok(PartitionRead::Elsewhere { replica, offsets }) => {
                answer.offsets = Some(offsets);
                answer.preferred = Some(replica);
            }
            Err(code) => answer.refuse(code, partition, parameters),
        }
        answer
    }

    fn refuse(&mut self, code: ErrorCode, partition: &Partition, parameters: &FetchParameters) {
        // Clients of these versions do not know the code and would give up (KIP-112).
        self.code = match code {
            ErrorCode::KafkaStorageError if parameters.version <= 5 => ErrorCode::NotLeaderOrFollower,
            _ => code,
        };
        if parameters.wants_hints() && matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
            self.leader = Some(LeaderHint::of(partition));
        }
    }

    /// Says who leads a partition that has no replica here.
    pub(crate) fn with_leader(self, hint: LeaderHint) -> Self {
        Self { leader: Some(hint), ..self }
    }

    /// Who leads instead, if the answer says so.
    pub(crate) fn leader(&self) -> Option<LeaderHint> {
        self.leader
    }

    /// Counts what a follower is given against the throttle of leaders.
    pub(crate) fn count_followed(&self) {
        if let Some(partition) = &self.followed {
            partition.count_given(self.records_length());
        }
    }

    pub(crate) fn has_error(&self) -> bool {
        self.code != ErrorCode::None
    }

    /// Whether the reader should not wait for more.
    pub(crate) fn is_urgent(&self) -> bool {
        self.has_error() || self.diverging.is_some() || self.preferred.is_some()
    }

    pub(crate) fn records_length(&self) -> usize {
        self.ranges.iter().map(|range| range.length).sum()
    }

    /// What decides whether an incremental response carries this answer.
    pub(crate) fn summary(&self) -> AnswerSummary {
        let (high_watermark, log_start_offset) = match self.offsets {
            Some(offsets) => (offsets.high_watermark, offsets.log_start),
            None => (Offset(-1), Offset(-1)),
        };
        AnswerSummary {
            has_records: self.records_length() > 0,
            has_error: self.has_error(),
            has_diverging_epoch: self.diverging.is_some(),
            names_replica: self.preferred.is_some(),
            high_watermark,
            log_start_offset,
        }
    }

    fn to_data(&self, read_committed: bool) -> PartitionData {
        let mut data = PartitionData {
            partition_index: self.key.partition,
            error_code: self.code.code(),
            high_watermark: -1,
            // Apache Kafka's own inconsistency: null after a look at the log, empty without one.
            aborted_transactions: (!self.was_read).then(Vec::new),
            records: RecordSet::Deferred { length: self.records_length() },
            ..Default::default()
        };
        if let Some(offsets) = self.offsets {
            data.high_watermark = offsets.high_watermark.value();
            data.last_stable_offset = offsets.last_stable.value();
            data.log_start_offset = offsets.log_start.value();
            if read_committed && self.diverging.is_none() {
                let aborted = self.aborted.iter().map(|aborted| fetch_response::AbortedTransaction {
                    producer_id: aborted.producer_id.value(),
                    first_offset: aborted.first_offset.value(),
                    ..Default::default()
                });
                data.aborted_transactions = Some(aborted.collect());
            }
        }
        if let Some((epoch, end_offset)) = self.diverging {
            data.diverging_epoch =
                EpochEndOffset { epoch: epoch.value(), end_offset: end_offset.value(), ..Default::default() };
        }
        if let Some(hint) = self.leader {
            let (leader_id, leader_epoch) = (hint.leader.value(), hint.epoch.value());
            data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() };
        }
        if let Some(replica) = self.preferred {
            data.preferred_read_replica = replica.value();
        }
        data
    }
}

/// The topics of a response with holes for the records, and what belongs into the holes. Neighbours of one topic share
/// an entry.
pub(crate) fn to_response(
    answers: Vec<PartitionAnswer>,
    read_committed: bool,
) -> (Vec<FetchableTopicResponse>, Vec<Segment>) {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    let mut segments = Vec::new();
    for answer in answers {
        if let Some(metrics) = answer.metrics.as_ref().filter(|_| answer.followed.is_none()) {
            metrics.add(|counters| &counters.bytes_out, answer.records_length() as u64);
        }
        answer.count_followed();
        let name = answer.topic.as_deref().unwrap_or_default();
        let data = answer.to_data(read_committed);
        match topics.last_mut() {
            Some(last) if last.topic_id == answer.topic_id && last.topic == name => last.partitions.push(data),
            _ => topics.push(FetchableTopicResponse {
                topic: name.to_owned(),
                topic_id: answer.topic_id,
                partitions: vec![data],
                ..Default::default()
            }),
        }
        segments.extend(answer.ranges.into_iter().map(|range| Segment::File {
            file: range.file,
            position: range.position,
            length: range.length as u64,
        }));
    }
    (topics, segments)
}
