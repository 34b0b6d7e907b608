//! Offsets committed in a transaction: pending until its marker, and invisible to readers of stable offsets.

use super::OffsetStore;
use crate::record::CommittedOffset;
use ottla_types::ProducerId;
use std::sync::Arc;

impl OffsetStore {
    /// Applies a commit in the transaction of the producer.
    pub(crate) fn replay_transactional_commit(
        &mut self,
        producer_id: ProducerId,
        group_id: &Arc<str>,
        topic: &Arc<str>,
        partition: i32,
        offset: CommittedOffset,
    ) {
        self.pending.entry(producer_id).or_default().entry(group_id, topic).insert(partition, offset);
        self.open.entry(group_id, topic).entry(partition).or_default().insert(producer_id);
    }

    /// Applies a transaction's marker. A plain commit that lies behind the transaction's own is newer and stays.
    pub(crate) fn replay_transaction_end(&mut self, producer_id: ProducerId, committed: bool) {
        let Some(pending) = self.pending.remove(&producer_id) else { return };
        for (group_id, topic, partition, offset) in pending.each() {
            let nobody_left = match self.open.entry(group_id, topic).get_mut(&partition) {
                Some(producers) => {
                    producers.remove(&producer_id);
                    producers.is_empty()
                }
                None => true,
            };
            if nobody_left {
                self.open.remove(group_id, topic, partition);
            }
            let known = self.committed.get(group_id, topic, partition);
            if committed && known.is_none_or(|known| offset.record_offset > known.record_offset) {
                self.replay_commit(group_id, topic, partition, offset.clone());
            }
        }
    }
}
