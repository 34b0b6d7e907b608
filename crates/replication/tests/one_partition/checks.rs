//! What must hold after each event, and at the end.

use crate::oracle::Violation;
use crate::world::World;
use std::time::Duration;

/// How long a healed cluster may take until all is well.
const HEALING: Duration = Duration::from_millis(3_000);

impl World {
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        if self.controller.unclean_elections > 0 {
            self.oracle.is_loss_legal = true;
        }
        for broker in self.brokers.values() {
            let log = &broker.log;
            if log.start > log.high_watermark || log.high_watermark > log.end() || log.synced > log.end() {
                let bounds = (log.start, log.high_watermark, log.synced, log.end());
                return Err(format!("bounds: broker {} has {bounds:?}", broker.id));
            }
        }
        if self.oracle.is_loss_legal {
            return Ok(());
        }
        self.check_shape()?;
        self.check_electable()?;
        self.check_maximal()
    }

    /// **in-sync-shape**
    fn check_shape(&self) -> Result<(), Violation> {
        let controller = &self.controller;
        if let Some(id) = controller.in_sync.iter().find(|id| !controller.is_active(**id)) {
            return Err(format!("in-sync-shape: {id} is in sync, and is fenced or shuts down"));
        }
        let mut electable = controller.in_sync.union(&controller.eligible);
        if let Some(id) = electable.find(|id| !controller.replicas.contains(id)) {
            return Err(format!("in-sync-shape: {id} may lead and is no replica"));
        }
        let is_enough = controller.in_sync.len() >= self.settings.min_in_sync.min(controller.replicas.len());
        if !controller.eligible.is_disjoint(&controller.in_sync) || (is_enough && !controller.eligible.is_empty()) {
            return Err(format!(
                "in-sync-shape: {:?} are in sync, {:?} eligible",
                controller.in_sync, controller.eligible
            ));
        }
        Ok(())
    }

    /// **in-sync-holds-committed**
    fn check_electable(&self) -> Result<(), Violation> {
        let committed = self.oracle.committed.len();
        for id in self.controller.in_sync.union(&self.controller.eligible) {
            let broker = &self.brokers[id];
            // What a crash took away, the controller will know when the broker starts again; with a sync before each
            // acknowledgement it takes nothing of what counts.
            let is_excused = broker.has_lost && !self.settings.flushes;
            if !is_excused && !self.oracle.agrees(&broker.log, committed) {
                let end = broker.log.end();
                return Err(format!("in-sync-holds-committed: {id} ends at {end} or differs before {committed}"));
            }
        }
        if self.controller.in_sync.is_empty() && self.controller.eligible.is_empty() {
            return Err("in-sync-holds-committed: nobody can be elected without loss".to_owned());
        }
        Ok(())
    }

    /// The in-sync replicas of the controller are among those that its leader believes in (KIP-497).
    fn check_maximal(&self) -> Result<(), Violation> {
        let Some(leader) = self.controller.leader.and_then(|id| self.brokers[&id].replica.as_ref()) else {
            return Ok(());
        };
        let Some(leader) = leader.leader().filter(|leader| leader.leader_epoch().0 == self.controller.leader_epoch)
        else {
            return Ok(());
        };
        let unknown = self.controller.in_sync.iter().find(|id| !leader.may_be_in_sync((**id).into()));
        unknown.map_or(Ok(()), |id| Err(format!("high-watermark-justified: the leader does not know {id} in sync")))
    }

    /// Lets the cluster heal; then everything acknowledged is there, everybody has the same, and records are acknowledged.
    pub(crate) fn check_liveness(&mut self) -> Result<(), Violation> {
        self.heal();
        let before = self.oracle.acknowledgements;
        let deadline = self.now + HEALING;
        while self.now < deadline {
            self.step()?;
            if self.is_well() && self.oracle.acknowledgements > before {
                return self.check_end();
            }
        }
        let (leader, in_sync) = (self.controller.leader, &self.controller.in_sync);
        let (ends, acked) = (self.ends(), self.oracle.acknowledgements - before);
        Err(format!("liveness: leader {leader:?}, in sync {in_sync:?}, ends {ends:?}, {acked} acknowledged"))
    }

    fn is_well(&self) -> bool {
        let leader = self.controller.leader.map(|id| &self.brokers[&id]);
        let is_complete = self.controller.in_sync.len() == self.controller.replicas.len();
        is_complete && leader.is_some_and(crate::broker::Broker::leads)
    }

    fn ends(&self) -> Vec<(i32, usize, usize)> {
        self.brokers.values().map(|broker| (broker.id, broker.log.high_watermark, broker.log.end())).collect()
    }

    /// **no-acked-loss** and **log-matching**
    fn check_end(&self) -> Result<(), Violation> {
        let Some(leader) = self.controller.leader.map(|id| &self.brokers[&id]) else {
            return Err("liveness: nobody leads".to_owned());
        };
        if !self.oracle.is_loss_legal {
            let log = &leader.log.records;
            // What was deleted is in no log, whatever a replica may have there.
            let mut kept = self.oracle.acknowledged.range(leader.log.start..);
            let lost = kept.find(|(offset, value)| log.get(**offset).is_none_or(|record| record.value != **value));
            if let Some((offset, _)) = lost {
                return Err(format!("no-acked-loss: {offset} was acknowledged and is not in the log"));
            }
        }
        for broker in self.brokers.values() {
            let common = broker.log.high_watermark.min(leader.log.end());
            if common > broker.log.start && broker.log.records[common - 1] != leader.log.records[common - 1] {
                return Err(format!("log-matching: {} and the leader differ before {common}", broker.id));
            }
        }
        Ok(())
    }
}
