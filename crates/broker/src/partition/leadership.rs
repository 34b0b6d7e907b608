use ottla_metadata as metadata;
use ottla_protocol::ErrorCode;
use ottla_types::{BrokerId, LeaderEpoch};

/// Who leads a partition, as the metadata image says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) is_leader: bool,
    pub(crate) leader: BrokerId,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) in_sync_replicas: Vec<BrokerId>,
    /// How many replicas there are.
    pub(crate) replicas: usize,
}

impl Leadership {
    /// Before the metadata has said anything: nobody leads.
    pub(crate) fn unknown() -> Self {
        Self {
            is_leader: false,
            leader: BrokerId::NONE,
            leader_epoch: LeaderEpoch::NONE,
            in_sync_replicas: Vec::new(),
            replicas: 0,
        }
    }

    /// What the image says, seen from one broker.
    pub(crate) fn new(broker: BrokerId, partition: &metadata::Partition) -> Self {
        Self {
            is_leader: partition.leader == broker,
            leader: partition.leader,
            leader_epoch: partition.leader_epoch,
            in_sync_replicas: partition.in_sync_replicas.clone(),
            replicas: partition.replicas.len(),
        }
    }

    /// How many replicas must be in sync for an append that all of them acknowledge: no more than there are.
    pub(crate) fn needed_in_sync(&self, min_in_sync_replicas: i32) -> usize {
        usize::try_from(min_in_sync_replicas).unwrap_or(0).min(self.replicas)
    }

    /// KIP-320: a client that knows of an older leader must learn of the new one, and one that knows of a newer leader
    /// must wait until this broker does too. `LeaderEpoch::NONE` asks for no check.
    pub(crate) fn check_epoch(&self, expected: LeaderEpoch) -> Result<(), ErrorCode> {
        if expected == LeaderEpoch::NONE || expected == self.leader_epoch {
            Ok(())
        } else if expected < self.leader_epoch {
            Err(ErrorCode::FencedLeaderEpoch)
        } else {
            Err(ErrorCode::UnknownLeaderEpoch)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_epoch_is_fenced_and_a_newer_one_unknown() {
        let leadership = Leadership {
            is_leader: true,
            leader: BrokerId::new(1),
            leader_epoch: LeaderEpoch(5),
            in_sync_replicas: vec![BrokerId::new(1)],
            replicas: 1,
        };
        assert_eq!((leadership.needed_in_sync(1), leadership.needed_in_sync(2)), (1, 1));
        assert_eq!(leadership.check_epoch(LeaderEpoch(4)), Err(ErrorCode::FencedLeaderEpoch));
        assert_eq!(leadership.check_epoch(LeaderEpoch(6)), Err(ErrorCode::UnknownLeaderEpoch));
        assert_eq!(leadership.check_epoch(LeaderEpoch(5)), Ok(()));
        assert_eq!(leadership.check_epoch(LeaderEpoch::NONE), Ok(()));
    }
}
