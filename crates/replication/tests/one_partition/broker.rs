use crate::dice::Dice;
use crate::messages::{Event, Message, Process, Report};
use crate::model_log::{ModelLog, offset};
use crate::oracle::{Oracle, Violation};
use crate::settings::{Mistake, Settings};
use ottla_replication::{
    Acknowledgement, AlterPartitionAnswer, AlterPartitionQueue, BrokerStatus, FetchPartition, FetcherSettings,
    Fetchers, LeaderSettings, Logs, PartitionState, Progress, Replica, ReplicationQuota, Role, RoleEffect,
};
use ottla_types::{BrokerEpoch, BrokerId, Offset, PartitionIndex, TopicIdPartition, Uuid};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const PARTITION: TopicIdPartition =
    TopicIdPartition { topic_id: Uuid::from_u128(0x5eed), partition: PartitionIndex(0) };

const FETCHER: FetcherSettings = FetcherSettings {
    partition_bytes_max: 1_000,
    response_bytes_max: 1_000,
    bytes_min: 1,
    wait_max: Duration::from_millis(5),
    backoff: Duration::from_millis(7),
};

/// What a broker can reach while it handles an event.
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Duration,
    pub(crate) dice: &'a mut Dice,
    pub(crate) oracle: &'a mut Oracle,
    pub(crate) settings: &'a Settings,
    /// The lives of all brokers that are up.
    pub(crate) lives: &'a BTreeMap<i32, u64>,
    /// What happens later, and when; `None` for what the network decides on.
    pub(crate) later: Vec<(Option<Duration>, Event)>,
}

impl Surroundings<'_> {
    pub(crate) fn makes(&self, mistake: Mistake) -> bool {
        self.settings.mistake == Some(mistake)
    }

    pub(crate) fn send(&mut self, to: i32, message: Message) {
        if let Some(life) = self.lives.get(&to) {
            self.later.push((None, Event::Arrives { to: Process { broker: to, life: *life }, message }));
        }
    }

    /// Answers on the connection that a request came by: it ends with the process that asked.
    pub(crate) fn answer(&mut self, to: Process, message: Message) {
        self.later.push((None, Event::Arrives { to, message }));
    }

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.later.push((Some(self.now + Duration::from_millis(delay)), event));
    }
}

/// One broker: it does what the machines say, with a log, a network and time.
pub(crate) struct Broker {
    pub(crate) id: i32,
    pub(crate) life: u64,
    pub(crate) is_up: bool,
    pub(crate) log: ModelLog,
    /// The epoch of its registration in this life, and the first image with it.
    pub(crate) registration: Option<(i64, usize)>,
    /// Whether the process ended in an orderly way the last time.
    pub(crate) was_clean: bool,
    /// Whether it may have lost records since the controller last heard of its starting.
    pub(crate) has_lost: bool,
    /// The last image that it has on its disk.
    pub(crate) image: Option<usize>,
    pub(crate) applied: Option<usize>,
    pub(crate) replica: Option<Replica>,
    pub(crate) fetchers: Fetchers,
    pub(crate) quota: ReplicationQuota,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) sessions: BTreeMap<i32, ServerSession>,
    pub(crate) sessions_made: i32,
    pub(crate) queue: AlterPartitionQueue,
    pub(crate) alter_requests: u64,
    pub(crate) next_value: u64,
    min_in_sync: usize,
    lag_max: Duration,
}

/// Records that a client waits for.
pub(crate) struct Waiting {
    pub(crate) from: usize,
    pub(crate) values: Vec<u64>,
}

/// The leader's half of a fetch session.
pub(crate) struct ServerSession {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    pub(crate) partition: Option<FetchPartition>,
    pub(crate) told: Option<(Offset, Offset)>,
}

pub(crate) struct OneLog<'a>(pub(crate) &'a ModelLog);

impl<'a> Logs for OneLog<'a> {
    type Log = &'a ModelLog;

    fn log(&self, _: &TopicIdPartition) -> Option<&'a ModelLog> {
        Some(self.0)
    }
}

impl Broker {
    pub(crate) fn new(id: i32, settings: &Settings) -> Self {
        let min_in_sync = if settings.mistake == Some(Mistake::MinInSyncIgnored) { 1 } else { settings.min_in_sync };
        Self {
            id,
            life: 0,
            is_up: false,
            log: ModelLog::default(),
            registration: None,
            was_clean: true,
            has_lost: false,
            image: None,
            applied: None,
            replica: None,
            fetchers: Fetchers::new(FETCHER, 1),
            quota: ReplicationQuota::unlimited(),
            waiting: Vec::new(),
            sessions: BTreeMap::new(),
            sessions_made: 0,
            queue: AlterPartitionQueue::default(),
            alter_requests: 0,
            next_value: 0,
            min_in_sync,
            lag_max: settings.lag_max,
        }
    }

    pub(crate) fn process(&self) -> Process {
        Process { broker: self.id, life: self.life }
    }

    /// The process begins; nothing but the disk is left of the last one.
    pub(crate) fn start(&mut self, lag_max: Duration) {
        self.life += 1;
        self.is_up = true;
        self.registration = None;
        self.applied = None;
        self.lag_max = lag_max;
        self.forget();
    }

    /// The replica begins anew.
    fn forget(&mut self) {
        let settings = LeaderSettings {
            local: BrokerId::new(self.id),
            local_epoch: BrokerEpoch(self.registration.map_or(-1, |(epoch, _)| epoch)),
            lag_max: self.lag_max,
            min_in_sync: self.min_in_sync,
        };
        self.replica = Some(Replica::new(settings));
        self.fetchers = Fetchers::new(FETCHER, 1);
        self.waiting.clear();
        self.sessions.clear();
        self.queue = AlterPartitionQueue::default();
    }

    /// A reassignment has taken the replica away.
    fn delete(&mut self) {
        self.forget();
        self.log = ModelLog::default();
    }

    pub(crate) fn registered(&mut self, epoch: i64, image: usize) {
        self.registration = Some((epoch, image));
        self.has_lost = false;
        if let Some(replica) = &mut self.replica {
            replica.set_local_epoch(BrokerEpoch(epoch));
        }
    }

    pub(crate) fn stop(&mut self) {
        self.is_up = false;
        self.replica = None;
    }

    pub(crate) fn leads(&self) -> bool {
        self.replica.as_ref().is_some_and(|replica| replica.leader().is_some())
    }

    /// Metadata has come. What is older than the registration is not acted upon: it may say that this broker leads, with
    /// a log that has lost records since.
    pub(crate) fn learn(
        &mut self,
        image: usize,
        images: &[PartitionState],
        around: &mut Surroundings,
    ) -> Result<(), Violation> {
        self.image = self.image.max(Some(image));
        let Some(known) = self.image.filter(|image| self.applied.is_none_or(|applied| *image > applied)) else {
            return Ok(());
        };
        let registered = self.registration.map_or(usize::MAX, |(_, image)| image);
        if known < registered && !around.makes(Mistake::ServesBeforeCaughtUp) {
            return Ok(());
        }
        self.applied = Some(known);
        if !images[known].replicas.contains(&BrokerId::new(self.id)) {
            self.delete();
            return Ok(());
        }
        let mut state = images[known].clone();
        if around.makes(Mistake::FencedReplicasJoin) {
            let free = |status: &mut BrokerStatus| (status.is_fenced, status.is_shutting_down) = (false, false);
            state.brokers.values_mut().for_each(free);
        }
        let acknowledgeable = self.acknowledgeable(around);
        let Some(replica) = &mut self.replica else { return Ok(()) };
        let effects = replica.apply(&state, &self.log, acknowledgeable, around.now);
        effects.into_iter().try_for_each(|effect| self.role_effect(effect, around))
    }

    pub(crate) fn acknowledgeable(&self, around: &Surroundings) -> Offset {
        let is_all = !around.settings.flushes || around.makes(Mistake::LeaderCountsUnsynced);
        offset(if is_all { self.log.end() } else { self.log.synced })
    }

    fn role_effect(&mut self, effect: RoleEffect, around: &mut Surroundings) -> Result<(), Violation> {
        match effect {
            RoleEffect::StopFetching => {
                if !around.makes(Mistake::MissedEpochKept) {
                    self.fetchers.stop(&PARTITION);
                }
            }
            RoleEffect::BeginEpoch { epoch, start } => {
                if start != offset(self.log.end()) {
                    return Err(format!("log-matching: {} begins an epoch at {start} and ends elsewhere", self.id));
                }
                around.oracle.leads(self.id, self.life, epoch.0)?;
                self.log.note_epoch(epoch.0);
            }
            RoleEffect::Progressed(progress) => self.progressed(progress, around)?,
            RoleEffect::GiveUpWaiting => {
                if !around.makes(Mistake::WaitingSurvivesLeadership) {
                    self.waiting.clear();
                }
                self.queue.forget(&PARTITION);
                self.sessions.clear();
            }
            RoleEffect::Follow { leader, leader_epoch } => {
                // What this replica appended as a leader may not be durable yet, and the first fetch says that it is.
                if around.settings.flushes && !around.makes(Mistake::FetchTellsUnsynced) {
                    self.log.sync();
                }
                if around.makes(Mistake::TruncateToHighWatermark) {
                    let to = self.log.high_watermark;
                    self.log.truncate(to, false);
                }
                let is_kept = around.makes(Mistake::MissedEpochKept)
                    && self.fetchers.place_of(&PARTITION).is_some_and(|place| place.leader == leader);
                if !is_kept {
                    let effect = self.fetchers.follow(PARTITION, "t", leader, leader_epoch, &self.log);
                    self.perform_later(effect, Vec::new(), Offset(0), around)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn progressed(&mut self, progress: Progress, around: &mut Surroundings) -> Result<(), Violation> {
        if let Some(high_watermark) = progress.high_watermark {
            let index = crate::model_log::index(high_watermark);
            if index < self.log.high_watermark {
                return Err(format!("high-watermark-monotone: leader {} goes back to {index}", self.id));
            }
            self.log.high_watermark = index;
            around.oracle.commits(self.id, &self.log, true)?;
        }
        if let Some(proposal) = progress.proposal {
            self.queue.submit(PARTITION, proposal);
        }
        self.complete_waiting(around)
    }

    fn complete_waiting(&mut self, around: &mut Surroundings) -> Result<(), Violation> {
        let is_all = around.makes(Mistake::AcknowledgedByLeaderAlone);
        let Some(replica) = &self.replica else { return Ok(()) };
        let high_watermark = offset(self.log.high_watermark);
        let state = |end: Offset| match replica.role() {
            Role::Leader(_) if is_all => Acknowledgement::Done,
            Role::Leader(leader) => leader.acknowledgement(end),
            _ if high_watermark >= end => Acknowledgement::Done,
            _ => Acknowledgement::Waiting,
        };
        let all = std::mem::take(&mut self.waiting);
        let (done, waiting): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|waiting| state(offset(waiting.from + waiting.values.len())) != Acknowledgement::Waiting);
        let acknowledged = done
            .into_iter()
            .filter(|waiting| state(offset(waiting.from + waiting.values.len())) == Acknowledgement::Done);
        for waiting in acknowledged.collect::<Vec<_>>() {
            around.oracle.acknowledges(self.id, waiting.from, &waiting.values)?;
        }
        self.waiting = waiting;
        Ok(())
    }

    /// What time demands: heartbeats, lagging replicas, the next fetch, proposals, the disk.
    pub(crate) fn tick(&mut self, around: &mut Surroundings) -> Result<(), Violation> {
        let now = around.now;
        if let Some(progress) = self.replica.as_mut().and_then(Replica::leader_mut).map(|leader| leader.check_lag(now))
        {
            self.progressed(progress, around)?;
        }
        if around.dice.per_mille(100) {
            self.log.checkpoint();
        }
        let pace = if around.settings.flushes { 300 } else { 30 };
        if around.dice.per_mille(if around.makes(Mistake::LeaderCountsUnsynced) { 100 } else { pace }) {
            self.sync(around)?;
        }
        let (of, image) = (self.process(), self.applied.unwrap_or(0));
        if let Some((broker_epoch, _)) = self.registration {
            let report = Report::Heartbeat { image };
            around.later.push((None, Event::Reports { from: of, broker_epoch, report }));
        }
        self.poll(around);
        around.after(around.settings.delay_max / 2 + 2, Event::Tick { of });
        Ok(())
    }

    pub(crate) fn sync(&mut self, around: &mut Surroundings) -> Result<(), Violation> {
        self.log.sync();
        let acknowledgeable = self.acknowledgeable(around);
        let leader = self.replica.as_mut().and_then(Replica::leader_mut);
        let progress = leader.map(|leader| leader.synced(acknowledgeable, around.now)).unwrap_or_default();
        self.progressed(progress, around)
    }

    /// Sends what is to be sent.
    pub(crate) fn poll(&mut self, around: &mut Surroundings) {
        self.poll_fetcher(around);
        let Some((broker_epoch, _)) = self.registration else { return };
        let of = self.process();
        if let Some(proposal) = self.queue.poll(around.now).and_then(|sent| sent.get(&PARTITION)).cloned() {
            self.alter_requests += 1;
            let request = self.alter_requests;
            let report = Report::Alter { request, proposal };
            around.later.push((None, Event::Reports { from: of, broker_epoch, report }));
            around.after(13 * around.settings.delay_max, Event::GivesUpAlter { of, request });
        }
    }

    /// The controller has answered, or (`None`) has refused the whole or not answered.
    pub(crate) fn altered(
        &mut self,
        request: u64,
        answer: Option<AlterPartitionAnswer>,
        around: &mut Surroundings,
    ) -> Result<(), Violation> {
        if request != self.alter_requests {
            return Ok(());
        }
        let Some(answer) = answer else {
            self.queue.failed(around.now);
            return Ok(());
        };
        for answered in self.queue.answered([(PARTITION, answer)], around.now) {
            let leader = self.replica.as_mut().and_then(Replica::leader_mut);
            let progress =
                leader.map(|leader| leader.answered(answered.number, &answered.answer, around.now)).unwrap_or_default();
            self.progressed(progress, around)?;
        }
        Ok(())
    }
}
