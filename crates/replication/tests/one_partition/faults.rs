//! What clients, operators and nature do.

use crate::messages::Event;
use crate::oracle::Violation;
use crate::world::World;
use ottla_replication::Replica;
use std::time::Duration;

impl World {
    pub(crate) fn world(&mut self) -> Result<(), Violation> {
        let pause = self.dice.between(1, 4);
        self.schedule(self.now + Duration::from_millis(pause), Event::World);
        self.clients()?;
        if !self.is_healed && self.dice.per_mille(self.settings.faults_per_mille) {
            self.fault();
        }
        if let Some(broker) = self.stopping {
            self.go_on_stopping(broker);
        }
        Ok(())
    }

    fn clients(&mut self) -> Result<(), Violation> {
        let ids: Vec<i32> = self.brokers.keys().copied().collect();
        for id in ids {
            let of = self.brokers[&id].process();
            if self.dice.per_mille(if self.is_healed { 20 } else { 250 }) {
                self.with(of, |broker, around| broker.produce(around))?;
            }
            if !self.is_healed && self.dice.per_mille(4) {
                self.with(of, |broker, around| broker.delete_records(around))?;
            }
        }
        Ok(())
    }

    fn fault(&mut self) {
        let ids: Vec<i32> = self.brokers.keys().copied().collect();
        let Some(id) = self.dice.pick(&ids) else { return };
        let longest = self.dice.pick(&[10, 250]).unwrap();
        let back = self.now + Duration::from_millis(self.dice.between(2, longest));
        match self.dice.below(8) {
            0 | 1 if self.may_crash(id) => {
                self.crash(id);
                self.schedule(back, Event::Starts { broker: id });
            }
            2 => {
                self.cut_off.insert(id);
                self.schedule(back, Event::Reconnects { broker: id });
            }
            3 => {
                self.without_controller.insert(id);
                self.schedule(back, Event::Reconnects { broker: id });
            }
            4 if self.stopping.is_none() => self.begin_stopping(id),
            5 => self.controller.elect_other(&mut self.dice),
            7 => {
                self.deaf.insert(id);
                self.schedule(back, Event::Reconnects { broker: id });
            }
            6 => {
                let from = self.dice.pick(&ids).unwrap_or(id);
                self.controller.reassign(id, from);
            }
            _ => {}
        }
    }

    /// A crash is allowed while fewer brokers have crashed and not come back than must have what is acknowledged, and while
    /// another replica is left that the controller may elect without loss: more is not promised.
    fn is_promised(&self, id: i32) -> bool {
        let controller = &self.controller;
        let is_whole = |other: &i32| *other != id && !self.brokers[other].has_lost;
        let is_safe = controller.in_sync.union(&controller.eligible).any(is_whole);
        // What it has proposed may still arrive, and leave it alone in sync where one replica is enough.
        let leader = self.brokers[&id].replica.as_ref().and_then(Replica::leader);
        let proposed = leader.and_then(|leader| leader.pending_proposal());
        let stays_safe =
            proposed.is_none_or(|proposed| proposed.in_sync.iter().any(|member| is_whole(&member.broker.0)));
        let crashed = self.brokers.values().filter(|broker| broker.has_lost).count();
        crashed + 1 < self.settings.min_in_sync && is_safe && stays_safe
    }

    /// Where unclean elections are allowed, loss is, and so is any crash.
    fn may_crash(&mut self, id: i32) -> bool {
        let is_promised = self.is_promised(id);
        let may = self.brokers[&id].is_up && (is_promised || self.settings.allows_unclean_elections);
        if may && !is_promised {
            self.oracle.is_loss_legal = true;
        }
        may
    }

    fn crash(&mut self, id: i32) {
        let loses_power = self.settings.loses_power && self.dice.per_mille(700);
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        broker.log.crash(loses_power, &mut self.dice);
        broker.has_lost = true;
        broker.was_clean = false;
        broker.stop();
        self.lives.remove(&id);
        if self.stopping == Some(id) {
            self.stopping = None;
        }
    }

    fn begin_stopping(&mut self, id: i32) {
        let Some((epoch, _)) = self.brokers[&id].registration.filter(|_| self.brokers[&id].is_up) else { return };
        if !self.cut_off.contains(&id) && !self.without_controller.contains(&id) {
            self.controller.shut_down(id, epoch);
        }
        self.stopping = Some(id);
    }

    /// The process ends when it leads no more, or does not want to wait.
    fn go_on_stopping(&mut self, id: i32) {
        if self.brokers[&id].leads() && !self.dice.per_mille(30) {
            return;
        }
        let Some(broker) = self.brokers.get_mut(&id).filter(|broker| broker.is_up) else { return };
        broker.log.sync();
        broker.log.checkpoint();
        broker.was_clean = true;
        broker.stop();
        self.lives.remove(&id);
        self.stopping = None;
        let back = self.now + Duration::from_millis(self.dice.between(5, 150));
        self.schedule(back, Event::Starts { broker: id });
    }

    /// Everybody reaches everybody, and whoever is down starts.
    pub(crate) fn heal(&mut self) {
        self.is_healed = true;
        self.cut_off.clear();
        self.without_controller.clear();
        self.deaf.clear();
        self.stopping = None;
        let down: Vec<i32> = self.brokers.values().filter(|broker| !broker.is_up).map(|broker| broker.id).collect();
        for id in down {
            self.start(id);
        }
        // One that had begun to shut down and changed its mind must begin anew, as a process would.
        let stuck = |id: &i32| self.controller.brokers.get(id).is_some_and(|known| known.is_shutting_down);
        let stuck: Vec<i32> = self.brokers.keys().copied().filter(stuck).collect();
        for id in stuck {
            if let Some(broker) = self.brokers.get_mut(&id).filter(|broker| broker.is_up) {
                broker.log.sync();
                broker.log.checkpoint();
                // Who has not registered after a crash has nothing to show that would make it clean.
                broker.was_clean |= broker.registration.is_some();
                broker.stop();
                self.start(id);
            }
        }
    }
}
