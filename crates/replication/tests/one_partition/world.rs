use crate::broker::{Broker, Surroundings};
use crate::controller::Controller;
use crate::dice::Dice;
use crate::messages::{Event, Message, Process, Report};
use crate::model_log::Record;
use crate::oracle::{Oracle, Violation};
use crate::settings::{Mistake, Settings};
use ottla_replication::{
    AlterPartition, AlterPartitionAnswer, AlterPartitionError, FetchFault, FetcherEffect, FollowerEffect,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A cluster with one partition.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) dice: Dice,
    pub(crate) now: Duration,
    pub(crate) brokers: BTreeMap<i32, Broker>,
    pub(crate) controller: Controller,
    pub(crate) oracle: Oracle,
    pub(crate) lives: BTreeMap<i32, u64>,
    /// Brokers that reach nobody, or the controller only not.
    pub(crate) cut_off: BTreeSet<i32>,
    pub(crate) without_controller: BTreeSet<i32>,
    /// Brokers that hear nothing of the metadata.
    pub(crate) deaf: BTreeSet<i32>,
    pub(crate) is_healed: bool,
    pub(crate) stopping: Option<i32>,
    events: BTreeMap<(Duration, u64), Event>,
    count: u64,
}

impl World {
    pub(crate) fn new(seed: u64, mistake: Option<Mistake>) -> Self {
        let mut dice = Dice::new(seed);
        let mut settings = Settings::draw(&mut dice);
        if let Some(mistake) = mistake {
            settings.provoke(mistake);
        }
        let ids = 1..=settings.replicas;
        let mut world = Self {
            brokers: ids.clone().map(|id| (id, Broker::new(id, &settings))).collect(),
            controller: Controller::new(&settings),
            oracle: Oracle::default(),
            lives: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            without_controller: BTreeSet::new(),
            deaf: BTreeSet::new(),
            is_healed: false,
            stopping: None,
            events: BTreeMap::new(),
            count: 0,
            now: Duration::ZERO,
            settings,
            dice,
        };
        for id in ids {
            world.start(id);
        }
        world.schedule(world.now, Event::ControllerTick);
        world.schedule(world.now, Event::World);
        world
    }

    pub(crate) fn schedule(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    /// What the network makes of a message: it comes late, twice, or not at all.
    fn transmit(&mut self, event: Event) {
        let (reach, loss) = (self.settings.delay_max, if self.is_healed { 0 } else { self.settings.loss_per_mille });
        if self.dice.per_mille(loss) {
            return;
        }
        // A proposal comes twice only if it is sent twice. A copy that is refused while another is still on its way is taken
        // for a proposal that can't be applied any more, here as in Apache Kafka.
        let is_proposal = matches!(event, Event::Reports { report: Report::Alter { .. }, .. });
        let is_twice = !self.is_healed && !is_proposal && self.dice.per_mille(self.settings.duplicates_per_mille);
        for _ in 0..=u64::from(is_twice) {
            let is_very_late = !self.is_healed && self.dice.per_mille(30);
            let delay = self.dice.between(1, if is_very_late { 12 * reach } else { reach });
            self.schedule(self.now + Duration::from_millis(delay), event.clone());
        }
    }

    /// Takes the next event. The checks follow on each.
    pub(crate) fn step(&mut self) -> Result<(), Violation> {
        let Some(((at, _), event)) = self.events.pop_first() else { return Ok(()) };
        self.now = at;
        self.happens(event)?;
        self.check()
    }

    fn happens(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Arrives { to, message } => self.arrives(to, message),
            Event::Reports { from, broker_epoch, report } => {
                self.reports(from, broker_epoch, report);
                Ok(())
            }
            Event::ControllerTick => {
                self.controller.tick(self.now);
                self.spread();
                self.schedule(self.now + Duration::from_millis(5), Event::ControllerTick);
                Ok(())
            }
            Event::World => self.world(),
            Event::Starts { broker } => {
                if !self.brokers[&broker].is_up {
                    self.start(broker);
                }
                Ok(())
            }
            Event::Reconnects { broker } => {
                self.cut_off.remove(&broker);
                self.without_controller.remove(&broker);
                self.deaf.remove(&broker);
                Ok(())
            }
            Event::Performs { of, effect, records, high_watermark } => {
                let before = self.records_before(effect);
                self.with(of, |broker, around| broker.perform(effect, &records, high_watermark, &before, around))
            }
            Event::Tick { of } => {
                self.register(of.broker);
                self.with(of, Broker::tick)
            }
            Event::Synced { of, at, end } => self.with(of, |broker, around| broker.synced(at, end, around)),
            Event::GivesUp { of, leader, number } => self.with(of, |broker, around| {
                broker.gives_up(leader, number, around);
                Ok(())
            }),
            Event::GivesUpAlter { of, request } => {
                self.with(of, |broker, around| broker.altered(request, None, around))
            }
            Event::GivesUpList { of, leader, at, which } => {
                self.with(of, |broker, around| broker.listed(leader, at, which, Err(FetchFault::Retriable), around))
            }
        }
    }

    /// What the leader has before the offset at which a log is to begin anew.
    fn records_before(&self, effect: FetcherEffect) -> Vec<Record> {
        let FollowerEffect::TruncateFully { start_at } = effect.effect else { return Vec::new() };
        let start = crate::model_log::index(start_at);
        if !self.oracle.is_loss_legal {
            return self.oracle.committed[..start.min(self.oracle.committed.len())].to_vec();
        }
        let has_it = |broker: &&Broker| broker.leads() && broker.log.end() >= start;
        let log = self.brokers.values().find(has_it).map_or(&self.oracle.committed, |broker| &broker.log.records);
        log[..start.min(log.len())].to_vec()
    }

    /// Lets a process do something, if it still lives.
    pub(crate) fn with(
        &mut self,
        of: Process,
        act: impl FnOnce(&mut Broker, &mut Surroundings) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let Some(broker) = self.brokers.get_mut(&of.broker).filter(|b| b.is_up && b.life == of.life) else {
            return Ok(());
        };
        let mut around = Surroundings {
            now: self.now,
            dice: &mut self.dice,
            oracle: &mut self.oracle,
            settings: &self.settings,
            lives: &self.lives,
            later: Vec::new(),
        };
        let outcome = act(broker, &mut around);
        let (later, is_cut_off) = (around.later, self.cut_off.contains(&of.broker));
        for (at, event) in later {
            match at {
                Some(at) => self.schedule(at, event),
                None if is_cut_off => {}
                None => self.transmit(event),
            }
        }
        outcome
    }

    fn arrives(&mut self, to: Process, message: Message) -> Result<(), Violation> {
        if self.cut_off.contains(&to.broker) {
            return Ok(());
        }
        if let Message::Metadata { image } = message {
            let images = std::mem::take(&mut self.controller.images);
            let outcome = self.with(to, |broker, around| {
                broker.learn(image, &images, around)?;
                broker.poll(around);
                Ok(())
            });
            self.controller.images = images;
            return outcome;
        }
        self.with(to, |broker, around| {
            match message {
                Message::Fetch { from, broker_epoch, request } => {
                    broker.fetch_arrived(from, broker_epoch, &request, around)?;
                }
                Message::Fetched { from, number, answer, records, high_watermark } => {
                    broker.fetched(from, number, &answer, records, high_watermark, around)?;
                }
                Message::List { from, at, epoch, which } => broker.list_arrived(from, at, epoch, which, around),
                Message::Listed { from, at, which, listed } => broker.listed(from, at, which, listed, around)?,
                Message::Altered { request, answer } => broker.altered(request, answer, around)?,
                Message::Metadata { .. } => {}
            }
            broker.poll(around);
            Ok(())
        })
    }

    fn reports(&mut self, from: Process, broker_epoch: i64, report: Report) {
        if self.without_controller.contains(&from.broker) {
            return;
        }
        match report {
            Report::Heartbeat { image } => {
                self.controller.heartbeat(from.broker, broker_epoch, image, self.now);
                self.tell(from.broker);
            }
            Report::Alter { request, proposal } => {
                let answer = self.decide(from.broker, broker_epoch, &proposal);
                self.transmit(Event::Arrives { to: from, message: Message::Altered { request, answer } });
            }
        }
        self.spread();
    }

    /// A controller that is about to lose its role may not know what becomes of what it has written.
    fn decide(&mut self, broker: i32, epoch: i64, proposal: &AlterPartition) -> Option<AlterPartitionAnswer> {
        let unknown = Some(AlterPartitionAnswer::Refused(AlterPartitionError::Retriable));
        let odds = if self.settings.mistake.is_some() { 5 } else { 20 };
        match if self.is_healed { 99 } else { self.dice.below(odds) } {
            0 => unknown,
            1 => self.controller.alter_partition(broker, epoch, proposal).and(unknown),
            _ => self.controller.alter_partition(broker, epoch, proposal),
        }
    }

    /// Sends the last image to a broker.
    pub(crate) fn tell(&mut self, broker: i32) {
        let (Some(life), Some(image)) = (self.lives.get(&broker), self.controller.images.len().checked_sub(1)) else {
            return;
        };
        if !self.without_controller.contains(&broker) && !self.deaf.contains(&broker) {
            let to = Process { broker, life: *life };
            self.transmit(Event::Arrives { to, message: Message::Metadata { image } });
        }
    }

    /// Sends the last image to those that have not been sent it.
    fn spread(&mut self) {
        let Some(last) = self.controller.images.len().checked_sub(1) else { return };
        let late = |broker: &&Broker| broker.is_up && broker.image.is_none_or(|image| image < last);
        let late: Vec<i32> = self.brokers.values().filter(late).map(|broker| broker.id).collect();
        for broker in late {
            if self.is_healed || self.dice.per_mille(300) {
                self.tell(broker);
            }
        }
    }

    pub(crate) fn start(&mut self, id: i32) {
        let lag_max = self.settings.lag_max;
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        broker.start(lag_max);
        let of = broker.process();
        self.lives.insert(id, of.life);
        if self.settings.mistake == Some(Mistake::ServesBeforeCaughtUp)
            && let Some(image) = self.brokers[&id].image
        {
            self.schedule(self.now, Event::Arrives { to: of, message: Message::Metadata { image } });
        }
        let is_first = of.life == 1;
        if is_first {
            self.register(id);
        }
        let delay = if is_first { 0 } else { self.dice.below(8) };
        self.schedule(self.now + Duration::from_millis(delay), Event::Tick { of });
    }

    /// A broker that runs and is not registered registers when it reaches the controller.
    fn register(&mut self, id: i32) {
        if self.cut_off.contains(&id) || self.without_controller.contains(&id) {
            return;
        }
        let Some(broker) = self.brokers.get_mut(&id).filter(|broker| broker.is_up && broker.registration.is_none())
        else {
            return;
        };
        let is_clean = broker.was_clean || self.settings.mistake == Some(Mistake::UncleanTakenForClean);
        let known = self.controller.register(id, is_clean, self.now);
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.registered(known.epoch, known.image);
            broker.was_clean = false;
        }
        self.spread();
    }
}
