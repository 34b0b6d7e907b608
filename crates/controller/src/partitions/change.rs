use ottla_metadata::{LeaderRecoveryState, MetadataVersionExt, Partition, directory_id};
use ottla_protocol::metadata_records::PartitionChangeRecord;
use ottla_types::{BrokerId, DirectoryId, MetadataVersion, NodeId, PartitionIndex, TopicId};

/// How a leader is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Election {
    /// The first replica, if it may lead.
    Preferred,
    /// The present leader, if it still may; else the first replica that may.
    Online,
    /// As `Online`; if nobody may, any live replica, although it can lack records.
    Unclean,
}

/// The leader field that means "as before".
pub(super) const NO_CHANGE: i32 = -2;

/// A change of one partition in the making.
///
/// The caller sets the targets; [`PartitionChange::build`] completes a reassignment that has become complete, keeps the
/// eligible leader replicas, elects a leader, and yields the record with exactly the fields that differ.
pub(crate) struct PartitionChange<'a> {
    pub(crate) partition: &'a Partition,
    pub(crate) topic_id: TopicId,
    pub(crate) index: PartitionIndex,
    /// Whether a broker is alive and has the replica's directory online.
    pub(crate) is_acceptable: &'a dyn Fn(BrokerId) -> bool,
    pub(crate) level: MetadataVersion,
    /// `min.insync.replicas`, at most the replication factor.
    pub(crate) min_in_sync: usize,
    /// Whether eligible leader replicas are kept (KIP-966).
    pub(crate) keeps_eligible: bool,
    /// Where replicas lie from now on. A replica that is not named stays where it is; a new one that is not named goes
    /// where its broker decides.
    pub(crate) directories: Vec<(BrokerId, DirectoryId)>,
    pub(crate) election: Election,
    pub(crate) target_in_sync: Vec<BrokerId>,
    pub(crate) target_replicas: Vec<BrokerId>,
    pub(crate) target_removing: Vec<BrokerId>,
    pub(crate) target_adding: Vec<BrokerId>,
    pub(crate) target_recovery_state: LeaderRecoveryState,
    /// A broker that may have lost what it had.
    pub(crate) crashed: Option<BrokerId>,
    target_eligible: Vec<BrokerId>,
}

/// What a [`PartitionChange`] needs besides the partition.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) is_acceptable: &'a dyn Fn(BrokerId) -> bool,
    pub(crate) level: MetadataVersion,
    pub(crate) min_in_sync: usize,
    pub(crate) keeps_eligible: bool,
}

impl<'a> PartitionChange<'a> {
    /// A change of nothing yet.
    pub(crate) fn new(
        partition: &'a Partition,
        topic_id: TopicId,
        index: PartitionIndex,
        surroundings: Surroundings<'a>,
    ) -> Self {
        Self {
            partition,
            topic_id,
            index,
            is_acceptable: surroundings.is_acceptable,
            level: surroundings.level,
            min_in_sync: surroundings.min_in_sync,
            keeps_eligible: surroundings.keeps_eligible,
            directories: Vec::new(),
            election: Election::Online,
            target_in_sync: partition.in_sync_replicas.clone(),
            target_replicas: partition.replicas.clone(),
            target_removing: partition.removing_replicas.clone(),
            target_adding: partition.adding_replicas.clone(),
            target_recovery_state: partition.leader_recovery_state,
            crashed: None,
            target_eligible: partition.eligible_leader_replicas.clone(),
        }
    }

    /// The record; `None` if nothing differs.
    pub(crate) fn build(mut self) -> Option<PartitionChangeRecord> {
        let mut record =
            PartitionChangeRecord { topic_id: self.topic_id, partition_id: self.index.0, ..Default::default() };
        let empty = record.clone();
        self.complete_reassignment();
        self.keep_eligible();
        self.elect(&mut record);
        self.bump_epoch_when_a_replica_leaves(&mut record);
        self.set_eligible(&mut record);
        let may_be_empty = !self.target_in_sync.is_empty() || self.keeps_eligible;
        if record.isr.is_none() && may_be_empty && self.target_in_sync != self.partition.in_sync_replicas {
            record.isr = Some(ids(&self.target_in_sync));
        }
        self.bump_epoch_when_in_sync_shrinks(&mut record);
        self.set_last_known_leader(&mut record);
        self.set_assignment(&mut record);
        if self.target_recovery_state != self.partition.leader_recovery_state {
            record.leader_recovery_state = self.target_recovery_state.code();
        }
        (record != empty).then_some(record)
    }

    /// A reassignment is complete when everything added is in sync, and something in sync remains without what is removed.
    fn complete_reassignment(&mut self) {
        if self.target_adding.is_empty() && self.target_removing.is_empty() {
            return;
        }
        let stays = |id: &BrokerId| !self.target_removing.contains(id);
        let in_sync: Vec<_> = self.target_in_sync.iter().copied().filter(stays).collect();
        let replicas: Vec<_> = self.target_replicas.iter().copied().filter(stays).collect();
        let has_all = |list: &[BrokerId]| list.iter().all(|id| in_sync.contains(id));
        let shrinks = self.target_adding.len() < self.target_removing.len();
        if in_sync.is_empty()
            || replicas.is_empty()
            || !has_all(&self.target_adding)
            || (shrinks && !has_all(&replicas))
        {
            return;
        }
        self.target_in_sync = in_sync;
        self.target_replicas = replicas;
        self.target_removing.clear();
        self.target_adding.clear();
    }

    /// Below the minimum, a replica that falls out of sync stays eligible: the high watermark does not move without it.
    fn keep_eligible(&mut self) {
        if !self.keeps_eligible {
            return;
        }
        if self.has_enough_in_sync() {
            self.target_eligible.clear();
            return;
        }
        let mut candidates: Vec<_> = self.target_eligible.clone();
        candidates.extend(&self.partition.in_sync_replicas);
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|id| {
            self.target_replicas.contains(id) && !self.target_in_sync.contains(id) && self.crashed != Some(*id)
        });
        self.target_eligible = candidates;
    }

    /// What counts are the replicas after the change: of one that leaves, nobody knows any more what it has.
    fn has_enough_in_sync(&self) -> bool {
        self.target_in_sync.len() >= self.min_in_sync.min(self.target_replicas.len())
    }

    fn elect(&mut self, record: &mut PartitionChangeRecord) {
        let (leader, is_unclean) = self.find_leader();
        if leader == self.partition.leader {
            return;
        }
        if self.target_eligible.contains(&leader) {
            self.target_in_sync = vec![leader];
            self.target_eligible.retain(|id| *id != leader);
            // The minimum may have been lowered since they became eligible: a leader that needs nobody writes without them.
            if self.has_enough_in_sync() {
                self.target_eligible.clear();
            }
        }
        record.leader = leader.0;
        if is_unclean {
            // The new leader is alone in sync: nobody else's log can be trusted to agree with it.
            record.isr = Some(vec![leader.0]);
            if self.partition.leader_recovery_state != LeaderRecoveryState::Recovering {
                record.leader_recovery_state = LeaderRecoveryState::Recovering.code();
            }
        }
    }

    fn find_leader(&self) -> (BrokerId, bool) {
        let present = self.partition.leader;
        let replicas = &self.target_replicas;
        let preferred = replicas.first().copied().filter(|_| self.election == Election::Preferred);
        let clean = preferred
            .filter(|id| self.may_lead(*id))
            .or_else(|| Some(present).filter(|id| self.may_lead(*id)))
            .or_else(|| replicas.iter().copied().find(|id| self.may_lead(*id)));
        if let Some(leader) = clean {
            return (leader, false);
        }
        if let Some(last) = self.last_known_leader() {
            return (last, true);
        }
        let unclean = replicas.iter().copied().find(|id| (self.is_acceptable)(*id));
        match unclean.filter(|_| self.election == Election::Unclean) {
            Some(leader) => (leader, true),
            None => (NodeId::NONE, false),
        }
    }

    fn may_lead(&self, id: BrokerId) -> bool {
        let has_all =
            self.target_in_sync.contains(&id) || (self.target_in_sync.is_empty() && self.target_eligible.contains(&id));
        has_all && (self.is_acceptable)(id)
    }

    /// When nobody in sync or eligible is left, the last leader is as good as it gets: it has the most.
    fn last_known_leader(&self) -> Option<BrokerId> {
        let nobody = self.target_eligible.is_empty() && self.target_in_sync.is_empty();
        match &*self.partition.last_known_eligible_leader_replicas {
            [last] if self.keeps_eligible && nobody && self.target_replicas.contains(last) => {
                Some(*last).filter(|last| (self.is_acceptable)(*last))
            }
            _ => None,
        }
    }

    /// A replica that leaves must notice that it is no longer one, hence the new epoch.
    fn bump_epoch_when_a_replica_leaves(&self, record: &mut PartitionChangeRecord) {
        let all_stay = self.partition.replicas.iter().all(|id| self.target_replicas.contains(id));
        if record.leader == NO_CHANGE && !all_stay {
            record.leader = self.partition.leader.0;
        }
    }

    fn bump_epoch_when_in_sync_shrinks(&self, record: &mut PartitionChangeRecord) {
        if !self.level.bumps_leader_epoch_on_isr_shrink() || record.leader != NO_CHANGE {
            return;
        }
        let Some(in_sync) = &record.isr else { return };
        if !self.partition.in_sync_replicas.iter().all(|id| in_sync.contains(&id.0)) {
            record.leader = self.partition.leader.0;
        }
    }

    fn set_eligible(&mut self, record: &mut PartitionChangeRecord) {
        if record.isr.is_some() || !self.keeps_eligible {
            self.target_eligible.clear();
        }
        if self.target_eligible != self.partition.eligible_leader_replicas {
            record.eligible_leader_replicas = Some(ids(&self.target_eligible));
        }
    }

    fn set_last_known_leader(&self, record: &mut PartitionChangeRecord) {
        if !self.keeps_eligible {
            return;
        }
        let known = !self.partition.last_known_eligible_leader_replicas.is_empty();
        if record.leader == NodeId::NONE.0 && !known {
            record.last_known_elr = Some(vec![self.partition.leader.0]);
        } else if record.leader >= 0 && known {
            record.last_known_elr = Some(Vec::new());
        }
    }

    fn directory(&self, id: BrokerId) -> DirectoryId {
        let named = self.directories.iter().find(|(broker, _)| *broker == id).map(|(_, directory)| *directory);
        named.or_else(|| self.partition.directory(id)).unwrap_or(directory_id::UNASSIGNED)
    }

    fn set_assignment(&self, record: &mut PartitionChangeRecord) {
        if !self.target_replicas.is_empty() {
            if self.level.has_directory_assignment() {
                let directories: Vec<_> = self.target_replicas.iter().map(|id| self.directory(*id)).collect();
                if directories != self.partition.directories {
                    record.directories = Some(directories);
                }
            }
            if self.target_replicas != self.partition.replicas {
                record.replicas = Some(ids(&self.target_replicas));
            }
        }
        if self.target_removing != self.partition.removing_replicas {
            record.removing_replicas = Some(ids(&self.target_removing));
        }
        if self.target_adding != self.partition.adding_replicas {
            record.adding_replicas = Some(ids(&self.target_adding));
        }
    }
}

fn ids(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::{LeaderEpoch, Uuid};

    const TOPIC: TopicId = TopicId::from_u128(0x7001);

    fn nodes(list: &[i32]) -> Vec<NodeId> {
        list.iter().copied().map(NodeId).collect()
    }

    fn partition(replicas: &[i32], in_sync: &[i32], leader: i32) -> Partition {
        Partition {
            replicas: nodes(replicas),
            directories: vec![Uuid::from_u128(0xd1); replicas.len()],
            in_sync_replicas: nodes(in_sync),
            leader: NodeId(leader),
            leader_epoch: LeaderEpoch(3),
            ..Default::default()
        }
    }

    /// The change of a partition when only `alive` brokers live, after `set` has set the targets.
    fn change(
        partition: &Partition,
        alive: &[i32],
        keeps_eligible: bool,
        set: impl FnOnce(&mut PartitionChange<'_>),
    ) -> Option<PartitionChangeRecord> {
        let is_acceptable = |id: BrokerId| alive.contains(&id.0);
        let level = MetadataVersion(33);
        let surroundings = Surroundings {
            is_acceptable: &is_acceptable,
            level,
            min_in_sync: 2.min(partition.replicas.len()),
            keeps_eligible,
        };
        let mut change = PartitionChange::new(partition, TOPIC, PartitionIndex(0), surroundings);
        set(&mut change);
        change.build()
    }

    fn record() -> PartitionChangeRecord {
        PartitionChangeRecord { topic_id: TOPIC, partition_id: 0, ..Default::default() }
    }

    #[test]
    fn nothing_to_change_makes_no_record() {
        assert_eq!(change(&partition(&[1, 2, 3], &[1, 2, 3], 1), &[1, 2, 3], true, |_| {}), None);
    }

    #[test]
    fn when_the_leader_leaves_the_next_replica_in_sync_leads() {
        let partition = partition(&[1, 2, 3], &[1, 2, 3], 1);
        let expected = PartitionChangeRecord { isr: Some(vec![2, 3]), leader: 2, ..record() };
        let made = change(&partition, &[2, 3], true, |change| change.target_in_sync = nodes(&[2, 3]));
        assert_eq!(made, Some(expected));
    }

    #[test]
    fn the_last_replica_in_sync_becomes_eligible_and_the_partition_has_no_leader() {
        // What a node alone does with its partitions when it shuts down in good order.
        let partition = partition(&[1], &[1], 1);
        let expected = PartitionChangeRecord {
            isr: Some(Vec::new()),
            leader: -1,
            eligible_leader_replicas: Some(vec![1]),
            last_known_elr: Some(vec![1]),
            ..record()
        };
        assert_eq!(change(&partition, &[], true, |change| change.target_in_sync.clear()), Some(expected));
    }

    #[test]
    fn an_eligible_replica_that_returns_leads_again() {
        let partition = Partition {
            eligible_leader_replicas: nodes(&[1]),
            last_known_eligible_leader_replicas: nodes(&[1]),
            ..partition(&[1], &[], -1)
        };
        let expected = PartitionChangeRecord {
            isr: Some(vec![1]),
            leader: 1,
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..record()
        };
        assert_eq!(change(&partition, &[1], true, |_| {}), Some(expected));
    }

    #[test]
    fn a_crashed_last_leader_leads_again_but_uncleanly() {
        let alone = partition(&[1], &[1], 1);
        let crash = change(&alone, &[], true, |change| {
            change.target_in_sync.clear();
            change.crashed = Some(NodeId(1));
        });
        let expected =
            PartitionChangeRecord { isr: Some(Vec::new()), leader: -1, last_known_elr: Some(vec![1]), ..record() };
        assert_eq!(crash, Some(expected));
        let after = Partition { last_known_eligible_leader_replicas: nodes(&[1]), ..partition(&[1], &[], -1) };
        let expected = PartitionChangeRecord {
            isr: Some(vec![1]),
            leader: 1,
            leader_recovery_state: 1,
            last_known_elr: Some(Vec::new()),
            ..record()
        };
        assert_eq!(change(&after, &[1], true, |_| {}), Some(expected));
    }

    #[test]
    fn without_eligible_replicas_the_last_in_sync_replica_stays_in_sync() {
        let partition = partition(&[1], &[1], 1);
        let expected = PartitionChangeRecord { leader: -1, ..record() };
        assert_eq!(change(&partition, &[], false, |change| change.target_in_sync.clear()), Some(expected));
    }

    #[test]
    fn only_an_unclean_election_takes_a_replica_out_of_sync() {
        let partition = partition(&[1, 2], &[1], 1);
        let clean = change(&partition, &[2], false, |_| {});
        assert_eq!(clean, Some(PartitionChangeRecord { leader: -1, ..record() }));
        let unclean = change(&partition, &[2], false, |change| change.election = Election::Unclean);
        let expected = PartitionChangeRecord { leader: 2, isr: Some(vec![2]), leader_recovery_state: 1, ..record() };
        assert_eq!(unclean, Some(expected));
    }

    #[test]
    fn a_preferred_election_moves_leadership_to_the_first_replica_only_if_it_is_in_sync() {
        let preferred = |change: &mut PartitionChange<'_>| change.election = Election::Preferred;
        let made = change(&partition(&[1, 2], &[1, 2], 2), &[1, 2], true, preferred);
        assert_eq!(made, Some(PartitionChangeRecord { leader: 1, ..record() }));
        assert_eq!(change(&partition(&[1, 2], &[2], 2), &[1, 2], false, preferred), None);
    }

    #[test]
    fn a_reassignment_completes_when_what_is_added_is_in_sync() {
        let moving = Partition {
            adding_replicas: nodes(&[3]),
            removing_replicas: nodes(&[1]),
            ..partition(&[3, 2, 1], &[1, 2], 1)
        };
        let made = change(&moving, &[1, 2, 3], true, |change| change.target_in_sync = nodes(&[1, 2, 3]));
        let expected = PartitionChangeRecord {
            isr: Some(vec![2, 3]),
            leader: 3,
            replicas: Some(vec![3, 2]),
            directories: Some(vec![Uuid::from_u128(0xd1); 2]),
            adding_replicas: Some(Vec::new()),
            removing_replicas: Some(Vec::new()),
            ..record()
        };
        assert_eq!(made, Some(expected));
    }

    #[test]
    fn a_replica_that_leaves_with_a_completed_move_is_not_eligible_to_lead() {
        let moving = Partition {
            adding_replicas: nodes(&[4]),
            removing_replicas: nodes(&[1, 2, 3]),
            ..partition(&[4, 1, 2, 3], &[1, 2, 3], 1)
        };
        let made = change(&moving, &[1, 2, 3, 4], true, |change| change.target_in_sync = nodes(&[1, 2, 3, 4]));
        let made = made.unwrap();
        assert_eq!((made.isr, made.replicas, made.leader), (Some(vec![4]), Some(vec![4]), 4));
        assert_eq!(made.eligible_leader_replicas, None);
    }

    #[test]
    fn a_new_replica_lies_where_its_broker_puts_new_ones() {
        let made = change(&partition(&[1], &[1], 1), &[1, 2], true, |change| {
            change.target_replicas = nodes(&[1, 2]);
            change.target_adding = nodes(&[2]);
            change.directories = vec![(NodeId(2), Uuid::from_u128(0xd9))];
        });
        let expected = PartitionChangeRecord {
            replicas: Some(vec![1, 2]),
            adding_replicas: Some(vec![2]),
            directories: Some(vec![Uuid::from_u128(0xd1), Uuid::from_u128(0xd9)]),
            ..record()
        };
        assert_eq!(made, Some(expected));
    }
}
