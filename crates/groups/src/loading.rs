//! Taking the partition over, and giving it up.

use crate::classic::{ClassicGroup, Step};
use crate::consumer::record::{ConsumerRecord, ConsumerRecordKind};
use crate::consumer::timers_after_load;
use crate::effects::Replaying;
use crate::{Effects, GroupCoordinator, GroupRecord, TimerKey};
use ottla_types::{Offset, ProducerId, Timestamp};

impl GroupCoordinator {
    /// Applies a record that lies in the log at this offset. With a producer it belongs to that one's transaction.
    /// `now` dates a group that only its offsets make known.
    pub fn replay(&mut self, now: Timestamp, offset: Offset, producer_id: Option<ProducerId>, record: GroupRecord) {
        match record {
            GroupRecord::OffsetCommit { group_id, topic, partition, value: Some(mut value) } => {
                value.record_offset = offset;
                let is_known = self.classic.contains_key(&group_id)
                    || self.consumer.contains_key(&group_id)
                    || self.preserved.get(&group_id).is_some();
                if !is_known {
                    self.classic.insert(group_id.clone(), ClassicGroup::new(group_id.clone(), now));
                }
                match producer_id {
                    None => self.offsets.replay_commit(&group_id, &topic, partition, value),
                    Some(producer_id) => {
                        self.offsets.replay_transactional_commit(producer_id, &group_id, &topic, partition, value);
                    }
                }
            }
            GroupRecord::OffsetCommit { group_id, topic, partition, value: None } => {
                self.offsets.replay_tombstone(&group_id, &topic, partition);
            }
            GroupRecord::GroupMetadata { group_id, value: Some(value) } => {
                let group = ClassicGroup::from_record(group_id.clone(), *value);
                self.classic.insert(group_id, group);
            }
            GroupRecord::GroupMetadata { group_id, value: None } => {
                self.classic.remove(&group_id);
            }
            GroupRecord::Consumer(record) => self.replay_consumer(record),
            GroupRecord::Preserved { key, value } => {
                let group_id = key.group_id.clone();
                if self.preserved.replay(key, value) {
                    // The group is of another kind now: an upgrade writes the classic group's tombstone first, and
                    // offsets that were read before made an empty classic group.
                    self.classic.remove(&group_id);
                }
            }
        }
    }

    /// A record with a value makes the group one of this kind: an upgrade writes the classic group's tombstone first, and
    /// offsets that were read before made an empty classic group.
    fn replay_consumer(&mut self, record: ConsumerRecord) {
        let ConsumerRecord { group_id, kind } = record;
        if kind.is_tombstone() {
            let Some(group) = self.consumer.get_mut(&group_id) else { return };
            group.replay(&kind);
            if matches!(kind, ConsumerRecordKind::Group(None)) && group.is_empty() || group.is_gone() {
                self.consumer.remove(&group_id);
            }
            return;
        }
        self.classic.remove(&group_id);
        self.consumer.entry(group_id).or_default().replay(&kind);
    }

    /// Applies the marker that ends the producer's transaction.
    pub fn replay_transaction_end(&mut self, producer_id: ProducerId, committed: bool) {
        self.offsets.replay_transaction_end(producer_id, committed);
    }

    /// The log has been replayed to its end: the members' sessions begin anew, since their heartbeats went elsewhere.
    pub fn on_loaded(&mut self, now: Timestamp) -> Effects {
        let mut effects = Effects { replaying: Replaying::Applied, ..Effects::default() };
        for group in self.classic.values_mut() {
            let mut step = Step { now, settings: &self.settings, effects: &mut effects };
            group.on_loaded(&mut step);
        }
        for (group_id, group) in &self.consumer {
            timers_after_load(group_id, group, &*self.view, &mut effects);
        }
        effects.set_timer(TimerKey::Expiry, self.settings.offsets_retention_check_interval_ms);
        effects
    }

    /// The partition is coordinated elsewhere from now on: parked requests are answered so.
    pub fn on_unloaded(&mut self) -> Effects {
        let mut effects = Effects { replaying: Replaying::Applied, ..Effects::default() };
        for group in self.classic.values_mut() {
            group.unload(&mut effects);
        }
        effects
    }
}
