use super::beats::Beats;
use super::member::{AssignedPartition, Member, MemberSettings, Standing, Wanted};
use super::poll::Event;
use super::{Consumer, Rebalance, Subscription};
use crate::admin::OffsetAndMetadata;
use crate::error::Result;
use crate::random;
use ottla_types::{TopicId, TopicPartition, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// The partitions that a member of the consumer protocol lets go of, while their positions are being committed.
#[derive(Debug, Default)]
pub(super) struct LettingGo {
    /// Being committed.
    pub(super) committing: BTreeSet<TopicPartition>,
    /// Committed, or not to be.
    pub(super) committed: BTreeSet<TopicPartition>,
}

impl Consumer {
    /// Looks after the membership of a group of the consumer protocol: begins it, lets go of what was lost, and reads what
    /// the coordinator wants to be read.
    pub(super) fn keep_consumer_membership(&mut self) -> Result<()> {
        let Some(wanted) = self.wanted() else { return Ok(()) };
        let Some(beats) = &self.membership.beats else {
            self.start_beats(wanted);
            return Ok(());
        };
        beats.polled(wanted);
        match beats.standing() {
            Standing::Joining | Standing::Member => {
                self.reconcile();
                Ok(())
            }
            Standing::Lost => {
                self.lose_assignment();
                if let Some(beats) = &self.membership.beats {
                    beats.tell(Member::join_again);
                }
                Ok(())
            }
            Standing::Refused(error) => {
                self.lose_assignment();
                // The next poll tries anew.
                self.membership.beats = None;
                Err(error)
            }
        }
    }

    /// What the group is asked for; `None` without a group, or while the topics that match are not known.
    fn wanted(&self) -> Option<Wanted> {
        match &self.subscription {
            Subscription::Nothing | Subscription::Partitions => None,
            Subscription::Topics(topics) => Some(Wanted { topics: topics.clone(), pattern: None }),
            Subscription::Pattern(pattern) => Some(Wanted { topics: BTreeSet::new(), pattern: Some(pattern.clone()) }),
            Subscription::Matching { topics, .. } => {
                let is_known = self.cluster.metadata_age().is_some();
                is_known.then(|| Wanted { topics: topics.clone(), pattern: None })
            }
        }
    }

    fn start_beats(&mut self, wanted: Wanted) {
        let Some(group) = self.settings.group_id.clone() else { return };
        let settings = MemberSettings {
            group: group.clone(),
            instance_id: self.settings.instance_id.clone(),
            rack: Some(self.settings.client.rack.clone()).filter(|rack| !rack.is_empty()),
            assignor: self.settings.remote_assignor.clone(),
            rebalance_timeout_ms: i32::try_from(self.settings.poll_interval_max.as_millis()).unwrap_or(i32::MAX),
        };
        let member = Member::new(settings, random_uuid().to_string(), wanted);
        let (cluster, changed) = (self.cluster.clone(), self.changed.clone());
        self.membership.beats = Some(Beats::start(cluster, group, self.settings.poll_interval_max, member, changed));
    }

    /// Goes on towards what the coordinator wants: lets go, after a commit where that is automatic, of what others are to
    /// read, then takes what it is to read itself.
    fn reconcile(&mut self) {
        let target = self.membership.beats.as_ref().and_then(Beats::to_reconcile);
        let Some(target) = target.filter(|_| self.membership.letting_go.committing.is_empty()) else { return };
        let assignment = self.named(&target);
        let before = self.partitions.assigned();
        let revoked: BTreeSet<_> =
            before.iter().filter(|partition| !assignment.contains_key(partition)).cloned().collect();
        let positions = self.positions_to_commit(&revoked);
        if !positions.is_empty() {
            self.commit_before_letting_go(revoked, positions);
            return;
        }
        self.membership.letting_go = LettingGo::default();
        self.revoke(&revoked);
        let added: BTreeSet<_> = assignment.keys().filter(|partition| !before.contains(partition)).cloned().collect();
        self.partitions.assign(&assignment.keys().cloned().collect());
        self.needs_metadata |= !added.is_empty();
        let owned: BTreeSet<_> = assignment.into_values().collect();
        if let Some(beats) = &self.membership.beats {
            beats.tell(|member| member.reconciled(owned));
        }
        if !added.is_empty() || !revoked.is_empty() {
            self.tell(Rebalance::Assigned(added));
        }
    }

    /// The partitions by their names. Topics that are not known yet are asked for, and their partitions taken later.
    fn named(&mut self, target: &BTreeSet<AssignedPartition>) -> BTreeMap<TopicPartition, AssignedPartition> {
        let metadata = self.cluster.metadata();
        let names: BTreeMap<TopicId, &String> = metadata.topics.iter().map(|(name, topic)| (topic.id, name)).collect();
        let mut named = BTreeMap::new();
        self.unknown_topics.clear();
        for (id, index) in target {
            match names.get(id) {
                Some(name) => {
                    named.insert(TopicPartition::new(name.as_str(), *index), (*id, *index));
                }
                None => {
                    self.unknown_topics.insert(*id);
                }
            }
        }
        self.needs_metadata |= !self.unknown_topics.is_empty();
        named
    }

    fn positions_to_commit(&self, revoked: &BTreeSet<TopicPartition>) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        if !self.settings.auto_commit {
            return BTreeMap::new();
        }
        let mut positions = self.partitions.positions();
        let committed = &self.membership.letting_go.committed;
        positions.retain(|partition, _| revoked.contains(partition) && !committed.contains(partition));
        positions
    }

    fn commit_before_letting_go(
        &mut self,
        revoked: BTreeSet<TopicPartition>,
        positions: BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) {
        // Nothing more of them is handed out, so the positions stay what is committed.
        for partition in &revoked {
            if let Some(state) = self.partitions.states.get_mut(partition) {
                state.is_let_go = true;
            }
        }
        self.membership.letting_go.committing = revoked;
        self.commit_positions_in_background(positions, Event::LetGo);
    }

    /// The commit of what is let go of has ended.
    pub(super) fn take_let_go(&mut self) {
        let letting_go = &mut self.membership.letting_go;
        letting_go.committed.append(&mut letting_go.committing);
    }

    /// Stops reading everything: it is not this member's any more.
    fn lose_assignment(&mut self) {
        let lost = self.partitions.assigned();
        self.partitions.assign(&BTreeSet::new());
        self.membership.letting_go = LettingGo::default();
        if !lost.is_empty() {
            self.tell(Rebalance::Lost(lost));
        }
    }
}

/// An id that no other member has.
fn random_uuid() -> Uuid {
    loop {
        let [high, low] = [random::number(), random::number()].map(u64::to_be_bytes);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high);
        bytes[8..].copy_from_slice(&low);
        if let Some(id) = Uuid::from_random(bytes) {
            return id;
        }
    }
}
