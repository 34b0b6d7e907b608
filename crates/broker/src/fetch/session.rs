//! Fetch sessions (KIP-227): what a consumer or follower reads is remembered between its requests, so that a request
//! names only what changed and an answer only what is new.

use indexmap::IndexMap;
use ottla_types::{LeaderEpoch, Offset, TopicId};
use std::sync::Arc;

/// The session id of a request outside of any session.
pub(crate) const NO_SESSION: i32 = 0;
/// The epoch that asks for a new session.
pub(crate) const INITIAL_EPOCH: i32 = 0;
/// The epoch that ends a session, or asks for none.
pub(crate) const FINAL_EPOCH: i32 = -1;

/// The epoch that a session expects after `epoch`: wraps from the greatest number to 1, since 0 starts a new session.
pub(crate) fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        FINAL_EPOCH => FINAL_EPOCH,
        i32::MAX => 1,
        _ => epoch + 1,
    }
}

/// How a request names a partition: by topic id from version 13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartitionKey {
    pub(crate) topic: TopicKey,
    pub(crate) partition: i32,
}

/// A topic as a fetch request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(Arc<str>),
    Id(TopicId),
}

/// What a client asked of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionRequest {
    pub(crate) fetch_offset: Offset,
    pub(crate) log_start_offset: Offset,
    pub(crate) current_leader_epoch: LeaderEpoch,
    pub(crate) last_fetched_epoch: LeaderEpoch,
    pub(crate) partition_max_bytes: i32,
}

/// What was last told about a partition; decides whether an incremental answer must name it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LastAnswer {
    high_watermark: Offset,
    log_start_offset: Offset,
}

impl LastAnswer {
    const NEVER: Self = Self { high_watermark: Offset(-1), log_start_offset: Offset(-1) };
}

#[derive(Clone, Debug)]
struct CachedPartition {
    request: PartitionRequest,
    last_answer: LastAnswer,
}

/// The facts of a partition's answer that decide whether an incremental response carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerSummary {
    pub(crate) has_records: bool,
    pub(crate) has_error: bool,
    pub(crate) has_diverging_epoch: bool,
    /// Whether it sends the reader to another replica.
    pub(crate) names_replica: bool,
    pub(crate) high_watermark: Offset,
    pub(crate) log_start_offset: Offset,
}

/// One fetch session. Partitions are in the order in which they are served; one that was answered with records moves
/// to the end, so that no partition starves behind a busy one.
#[derive(Debug)]
pub(crate) struct FetchSession {
    id: i32,
    /// The epoch that the next request must bear.
    epoch: i32,
    uses_topic_ids: bool,
    partitions: IndexMap<PartitionKey, CachedPartition>,
}

impl FetchSession {
    /// A new session over the partitions of a full request.
    pub(crate) fn new(id: i32, uses_topic_ids: bool, partitions: &[(PartitionKey, PartitionRequest)]) -> Self {
        let partitions = partitions
            .iter()
            .map(|(key, request)| (key.clone(), CachedPartition { request: *request, last_answer: LastAnswer::NEVER }))
            .collect();
        Self { id, epoch: next_epoch(INITIAL_EPOCH), uses_topic_ids, partitions }
    }

    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn uses_topic_ids(&self) -> bool {
        self.uses_topic_ids
    }

    pub(crate) fn len(&self) -> usize {
        self.partitions.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Takes over what an incremental request changes, and expects the next epoch from now on.
    pub(crate) fn update(&mut self, changed: &[(PartitionKey, PartitionRequest)], forgotten: &[PartitionKey]) {
        for (key, request) in changed {
            match self.partitions.get_mut(key) {
                Some(cached) => cached.request = *request,
                None => {
                    let cached = CachedPartition { request: *request, last_answer: LastAnswer::NEVER };
                    self.partitions.insert(key.clone(), cached);
                }
            }
        }
        for key in forgotten {
            self.partitions.shift_remove(key);
        }
        self.epoch = next_epoch(self.epoch);
    }

    /// The partitions to serve, in order.
    pub(crate) fn requests(&self) -> Vec<(PartitionKey, PartitionRequest)> {
        self.partitions.iter().map(|(key, cached)| (key.clone(), cached.request)).collect()
    }

    /// Notes an answer and says whether an incremental response must carry it.
    pub(crate) fn note_answer(&mut self, key: &PartitionKey, answer: &AnswerSummary) -> bool {
        let Some((index, _, cached)) = self.partitions.get_full_mut(key) else { return false };
        let told = LastAnswer { high_watermark: answer.high_watermark, log_start_offset: answer.log_start_offset };
        let is_news = answer.has_records || answer.has_error || answer.has_diverging_epoch || answer.names_replica;
        let changed = is_news || told != cached.last_answer;
        // After an error the client knows nothing about the partition: whatever comes next is news to it.
        cached.last_answer = if answer.has_error { LastAnswer::NEVER } else { told };
        if answer.has_records {
            let last = self.partitions.len() - 1;
            self.partitions.move_index(index, last);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> PartitionKey {
        PartitionKey { topic: TopicKey::Name("t".into()), partition }
    }

    fn request(offset: i64) -> PartitionRequest {
        PartitionRequest {
            fetch_offset: Offset(offset),
            log_start_offset: Offset(-1),
            current_leader_epoch: LeaderEpoch::NONE,
            last_fetched_epoch: LeaderEpoch::NONE,
            partition_max_bytes: 1024,
        }
    }

    fn answer(high_watermark: i64, has_records: bool) -> AnswerSummary {
        AnswerSummary {
            has_records,
            has_error: false,
            has_diverging_epoch: false,
            names_replica: false,
            high_watermark: Offset(high_watermark),
            log_start_offset: Offset(0),
        }
    }

    #[test]
    fn the_epoch_after_the_greatest_is_one() {
        assert_eq!(next_epoch(i32::MAX), 1);
        assert_eq!(next_epoch(0), 1);
        assert_eq!(next_epoch(FINAL_EPOCH), FINAL_EPOCH);
    }

    #[test]
    fn an_answer_is_carried_only_when_it_is_news() {
        let mut session = FetchSession::new(7, false, &[(key(0), request(0))]);
        assert!(session.note_answer(&key(0), &answer(5, false)), "the first answer is news");
        assert!(!session.note_answer(&key(0), &answer(5, false)));
        assert!(session.note_answer(&key(0), &answer(6, false)), "the high watermark moved");
        assert!(session.note_answer(&key(0), &answer(6, true)), "there are records");
        assert!(!session.note_answer(&key(1), &answer(6, true)), "the session does not hold it");
    }

    #[test]
    fn a_reader_is_sent_elsewhere_again_and_again() {
        let mut session = FetchSession::new(7, false, &[(key(0), request(0))]);
        let elsewhere = AnswerSummary { names_replica: true, ..answer(5, false) };
        assert!(session.note_answer(&key(0), &elsewhere));
        assert!(session.note_answer(&key(0), &elsewhere));
    }

    #[test]
    fn after_an_error_the_next_good_answer_is_news() {
        let mut session = FetchSession::new(7, false, &[(key(0), request(0))]);
        session.note_answer(&key(0), &answer(5, false));
        let error = AnswerSummary { has_error: true, ..answer(5, false) };
        assert!(session.note_answer(&key(0), &error));
        assert!(session.note_answer(&key(0), &answer(5, false)));
    }

    #[test]
    fn a_partition_answered_with_records_goes_to_the_end() {
        let mut session =
            FetchSession::new(7, false, &[(key(0), request(0)), (key(1), request(0)), (key(2), request(0))]);
        session.note_answer(&key(0), &answer(5, true));
        let order: Vec<i32> = session.requests().iter().map(|(k, _)| k.partition).collect();
        assert_eq!(order, [1, 2, 0]);
    }

    #[test]
    fn an_incremental_request_changes_adds_and_forgets() {
        let mut session = FetchSession::new(7, false, &[(key(0), request(0)), (key(1), request(0))]);
        session.update(&[(key(1), request(9)), (key(2), request(3))], &[key(0)]);
        assert_eq!(session.requests(), [(key(1), request(9)), (key(2), request(3))]);
        assert_eq!(session.epoch(), 2);
    }
}
