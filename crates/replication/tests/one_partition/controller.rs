use crate::dice::Dice;
use crate::settings::{Mistake, Settings};
use ottla_replication::{AlterPartition, AlterPartitionAnswer, AlterPartitionError, BrokerStatus, PartitionState};
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SESSION: Duration = Duration::from_millis(60);

/// The controller's rules for one partition, as far as replicas can tell.
pub(crate) struct Controller {
    settings: Settings,
    pub(crate) replicas: Vec<i32>,
    /// The replica that is being added, and the one that goes when it is in sync.
    pub(crate) reassignment: Option<(i32, i32)>,
    pub(crate) in_sync: BTreeSet<i32>,
    pub(crate) eligible: BTreeSet<i32>,
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) partition_epoch: i32,
    pub(crate) brokers: BTreeMap<i32, Registration>,
    /// Every state that was ever published; brokers see some of them, in order.
    pub(crate) images: Vec<PartitionState>,
    pub(crate) unclean_elections: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration {
    pub(crate) epoch: i64,
    /// The number of the first image in which it is registered.
    pub(crate) image: usize,
    pub(crate) is_fenced: bool,
    pub(crate) is_shutting_down: bool,
    pub(crate) last_heartbeat: Duration,
}

impl Controller {
    pub(crate) fn new(settings: &Settings) -> Self {
        let replicas: Vec<i32> = (1..=settings.replicas - i32::from(settings.has_spare)).collect();
        Self {
            settings: settings.clone(),
            in_sync: replicas.iter().copied().collect(),
            eligible: BTreeSet::new(),
            leader: Some(1),
            leader_epoch: 0,
            partition_epoch: 0,
            brokers: BTreeMap::new(),
            images: Vec::new(),
            unclean_elections: 0,
            reassignment: None,
            replicas,
        }
    }

    /// A broker registers; it is fenced until it has seen the image in which it is.
    pub(crate) fn register(&mut self, broker: i32, is_clean: bool, now: Duration) -> Registration {
        let epoch = i64::try_from(self.images.len()).unwrap() + 1_000;
        let is_first = !self.brokers.contains_key(&broker) && self.images.len() < self.replicas.len();
        let image = self.images.len();
        let registration =
            Registration { epoch, image, is_fenced: !is_first, is_shutting_down: false, last_heartbeat: now };
        self.brokers.insert(broker, registration);
        if !is_first {
            self.change(Some(broker), (!is_clean).then_some(broker), None);
        }
        self.publish();
        registration
    }

    pub(crate) fn heartbeat(&mut self, broker: i32, epoch: i64, image: usize, now: Duration) {
        let Some(known) = self.brokers.get_mut(&broker).filter(|known| known.epoch == epoch) else { return };
        known.last_heartbeat = now;
        if known.is_fenced && image >= known.image && !known.is_shutting_down {
            known.is_fenced = false;
            self.change(None, None, None);
            self.publish();
        }
    }

    pub(crate) fn tick(&mut self, now: Duration) {
        let is_late = |known: &Registration| !known.is_fenced && now.saturating_sub(known.last_heartbeat) > SESSION;
        let late: Vec<i32> = self.brokers.iter().filter(|(_, known)| is_late(known)).map(|(id, _)| *id).collect();
        for broker in late {
            if let Some(known) = self.brokers.get_mut(&broker) {
                known.is_fenced = true;
            }
            self.change(Some(broker), None, None);
            self.publish();
        }
    }

    /// A broker wants to shut down.
    pub(crate) fn shut_down(&mut self, broker: i32, epoch: i64) {
        let Some(known) = self.brokers.get_mut(&broker).filter(|known| known.epoch == epoch) else { return };
        known.is_shutting_down = true;
        self.change(Some(broker), None, None);
        self.publish();
    }

    /// Another replica in sync leads: an operator wants it so, or the order of replicas.
    pub(crate) fn elect_other(&mut self, dice: &mut Dice) {
        let may_lead = |id: &i32| self.leader != Some(*id) && self.is_active(*id);
        let others: Vec<i32> = self.in_sync.iter().copied().filter(may_lead).collect();
        if let Some(other) = dice.pick(&others).filter(|_| self.leader.is_some()) {
            self.leader = Some(other);
            self.leader_epoch += 1;
            self.partition_epoch += 1;
            self.publish();
        }
    }

    /// One replica is to be on another broker.
    pub(crate) fn reassign(&mut self, to: i32, from: i32) {
        if self.reassignment.is_some() || self.replicas.contains(&to) || !self.replicas.contains(&from) {
            return;
        }
        self.replicas.push(to);
        self.reassignment = Some((to, from));
        self.partition_epoch += 1;
        self.publish();
    }

    /// When the new replica is in sync, and enough are without the old one, the old one goes.
    fn complete_reassignment(&mut self) {
        let Some((to, from)) = self.reassignment.filter(|(to, _)| self.in_sync.contains(to)) else { return };
        let remaining: BTreeSet<i32> = self.in_sync.iter().copied().filter(|id| *id != from).collect();
        let is_enough = remaining.len() >= self.settings.min_in_sync.min(self.replicas.len() - 1);
        if !is_enough || !remaining.iter().any(|id| self.is_active(*id)) {
            return;
        }
        self.replicas.retain(|id| *id != from);
        self.reassignment = None;
        let leader = self.leader;
        self.change(None, None, Some(remaining));
        self.partition_epoch += 1;
        // A replica that leaves ends the epoch, also when the leader stays.
        self.leader_epoch += i32::from(self.leader == leader);
        debug_assert!(self.replicas.contains(&to));
    }

    pub(crate) fn is_active(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|known| !known.is_fenced && !known.is_shutting_down)
    }

    /// The in-sync replicas become `in_sync` without `removed`; then whoever may lead leads.
    fn change(&mut self, removed: Option<i32>, unclean: Option<i32>, in_sync: Option<BTreeSet<i32>>) {
        let before = (self.in_sync.clone(), self.eligible.clone(), self.leader);
        let mut target = in_sync.unwrap_or_else(|| self.in_sync.clone());
        if let Some(removed) = removed
            && (self.settings.has_eligible || target.len() > 1)
        {
            target.remove(&removed);
        }
        let is_unclean = self.elect(&mut target);
        if is_unclean || target.len() >= self.settings.min_in_sync.min(self.replicas.len()) {
            self.eligible.clear();
        } else if self.settings.has_eligible {
            self.eligible.extend(&self.in_sync);
            self.eligible.retain(|id| !target.contains(id) && Some(*id) != unclean);
        }
        self.in_sync = target;
        if self.leader != before.2 {
            self.leader_epoch += 1;
        }
        if (self.in_sync.clone(), self.eligible.clone(), self.leader) != before {
            self.partition_epoch += 1;
        }
    }

    /// Keeps the leader if it may lead, else takes the first that may. Says whether records may be lost by it.
    fn elect(&mut self, target: &mut BTreeSet<i32>) -> bool {
        let may_lead = |id: &i32| {
            self.is_active(*id) && (target.contains(id) || (target.is_empty() && self.eligible.contains(id)))
        };
        if self.leader.is_some_and(|leader| may_lead(&leader)) {
            return false;
        }
        self.leader = self.replicas.iter().copied().find(may_lead);
        if let Some(leader) = self.leader {
            if target.is_empty() {
                target.insert(leader);
            }
            return false;
        }
        if !self.settings.allows_unclean_elections {
            return false;
        }
        self.leader = self.replicas.iter().copied().find(|id| self.is_active(*id));
        if let Some(leader) = self.leader {
            *target = [leader].into();
            self.unclean_elections += 1;
        }
        self.leader.is_some()
    }

    /// Answers a proposal. `None`: the broker's own epoch is stale.
    pub(crate) fn alter_partition(
        &mut self,
        broker: i32,
        epoch: i64,
        proposal: &AlterPartition,
    ) -> Option<AlterPartitionAnswer> {
        let mistake = self.settings.mistake;
        if self.brokers.get(&broker).is_none_or(|known| known.epoch != epoch) {
            return None;
        }
        let refused = |error| Some(AlterPartitionAnswer::Refused(error));
        if proposal.leader_epoch.0 != self.leader_epoch
            || self.leader != Some(broker)
            || proposal.partition_epoch != self.partition_epoch
        {
            let is_lenient = mistake == Some(Mistake::OutdatedTakenForRefused);
            let error = if is_lenient { AlterPartitionError::NotApplied } else { AlterPartitionError::Outdated };
            return refused(error);
        }
        let is_ineligible = proposal.in_sync.iter().any(|member| {
            let known = self.brokers.get(&member.broker.0);
            let is_other = known.is_none_or(|known| member.epoch.0 != -1 && member.epoch.0 != known.epoch);
            let is_inactive = !self.is_active(member.broker.0) && mistake != Some(Mistake::FencedReplicasJoin);
            is_inactive || (is_other && mistake != Some(Mistake::NoBrokerEpochs))
        });
        if is_ineligible {
            return refused(AlterPartitionError::NotApplied);
        }
        let in_sync = proposal.in_sync.iter().map(|member| member.broker.0).collect();
        self.change(None, None, Some(in_sync));
        self.complete_reassignment();
        self.publish();
        if self.leader_epoch != proposal.leader_epoch.0 {
            // NEW_LEADER_ELECTED, or an epoch that the leader does not know yet.
            return refused(AlterPartitionError::Outdated);
        }
        Some(AlterPartitionAnswer::Accepted {
            leader_epoch: LeaderEpoch(self.leader_epoch),
            partition_epoch: self.partition_epoch,
            in_sync: self.in_sync.iter().copied().map(BrokerId::new).collect(),
        })
    }

    fn publish(&mut self) {
        let status = |known: &Registration| BrokerStatus {
            epoch: BrokerEpoch(known.epoch),
            is_fenced: known.is_fenced,
            is_shutting_down: known.is_shutting_down,
        };
        self.images.push(PartitionState {
            leader: self.leader.map(BrokerId::new),
            leader_epoch: LeaderEpoch(self.leader_epoch),
            partition_epoch: self.partition_epoch,
            replicas: self.replicas.iter().copied().map(BrokerId::new).collect(),
            adding: self.reassignment.iter().map(|(to, _)| BrokerId::new(*to)).collect(),
            removing: self.reassignment.iter().map(|(_, from)| BrokerId::new(*from)).collect(),
            in_sync: self.in_sync.iter().copied().map(BrokerId::new).collect(),
            brokers: self.brokers.iter().map(|(id, known)| (BrokerId::new(*id), status(known))).collect(),
        });
    }
}
