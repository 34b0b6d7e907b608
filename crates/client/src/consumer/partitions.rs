use super::decode::FetchedBatches;
use super::settings::OffsetReset;
use crate::admin::{OffsetAndMetadata, OffsetSpec};
use crate::record::ConsumerRecord;
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// How many answers of one partition may wait to be read while another is fetched: one is read, one is on its way.
const ANSWERS_MAX: usize = 2;

/// What a consumer knows of a partition that it reads.
#[derive(Debug, Default)]
pub(super) struct PartitionState {
    /// The next record to give to the application; `None` until it is found out.
    pub(super) position: Option<OffsetAndMetadata>,
    /// Where to look the position up.
    pub(super) seek: Option<OffsetSpec>,
    pub(super) is_paused: bool,
    pub(super) is_fetching: bool,
    /// The group wants it back: nothing more of it is handed out.
    pub(super) is_let_go: bool,
    /// Changes when the position is moved from outside: an answer to an older fetch is thrown away.
    pub(super) seeks: u64,
    /// Decoded records that were not given to the application yet.
    pub(super) records: VecDeque<ConsumerRecord>,
    /// Answers that were not decoded yet.
    pub(super) fetched: VecDeque<FetchedBatches>,
    pub(super) high_watermark: Option<i64>,
    /// A replica that is nearer than the leader (KIP-392), and until when to read from it.
    pub(super) preferred: Option<(NodeId, Instant)>,
}

impl PartitionState {
    /// Moves the position; what was fetched before is of no use any more.
    pub(super) fn move_to(&mut self, position: Option<OffsetAndMetadata>, seek: Option<OffsetSpec>) {
        self.position = position;
        self.seek = seek;
        self.seeks += 1;
        self.records.clear();
        self.fetched.clear();
    }

    /// Where the next fetch begins, when one is due.
    pub(super) fn fetch_offset(&self) -> Option<i64> {
        if self.is_paused
            || self.is_let_go
            || self.is_fetching
            || self.seek.is_some()
            || self.fetched.len() >= ANSWERS_MAX
        {
            return None;
        }
        let position = self.position.as_ref()?.offset;
        Some(self.fetched.back().map_or(position, FetchedBatches::end_offset))
    }

    /// Whether the application can be given something.
    pub(super) fn has_buffered(&self) -> bool {
        !self.is_paused && (!self.records.is_empty() || !self.fetched.is_empty())
    }
}

/// The partitions that a consumer reads.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    pub(super) states: BTreeMap<TopicPartition, PartitionState>,
    /// The one to give records of first, so that one busy partition does not starve the others.
    pub(super) turn: usize,
}

impl Partitions {
    /// Reads exactly these from now on; what is known of those that stay is kept.
    pub(super) fn assign(&mut self, assignment: &BTreeSet<TopicPartition>) {
        self.states.retain(|partition, _| assignment.contains(partition));
        for partition in assignment {
            self.states.entry(partition.clone()).or_default();
        }
    }

    pub(super) fn assigned(&self) -> BTreeSet<TopicPartition> {
        self.states.keys().cloned().collect()
    }

    /// The positions that are known: what a commit without offsets commits.
    pub(super) fn positions(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        let position =
            |(partition, state): (&TopicPartition, &PartitionState)| Some((partition.clone(), state.position.clone()?));
        self.states.iter().filter_map(position).collect()
    }

    /// The partitions whose position is not known and not being looked for by a seek.
    pub(super) fn without_position(&self) -> BTreeSet<TopicPartition> {
        let missing = self.states.iter().filter(|(_, state)| state.position.is_none() && state.seek.is_none());
        missing.map(|(partition, _)| partition.clone()).collect()
    }

    /// The offsets that are to be looked up.
    pub(super) fn seeks(&self) -> BTreeMap<TopicPartition, OffsetSpec> {
        let seek = |(partition, state): (&TopicPartition, &PartitionState)| Some((partition.clone(), state.seek?));
        self.states.iter().filter_map(seek).collect()
    }
}

/// What a reset asks for; `None` when there is none.
pub(super) fn reset_spec(reset: OffsetReset, now_ms: i64) -> Option<OffsetSpec> {
    match reset {
        OffsetReset::Earliest => Some(OffsetSpec::Earliest),
        OffsetReset::Latest => Some(OffsetSpec::Latest),
        OffsetReset::ByDuration(duration) => {
            let ago = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            Some(OffsetSpec::Timestamp(now_ms.saturating_sub(ago).max(0)))
        }
        OffsetReset::None => None,
    }
}
