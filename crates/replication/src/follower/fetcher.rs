use super::partition::{AppendRefusal, FetchFault, FollowerEffect, FollowerPartition, ListedOffset, PartitionAnswer};
use super::session::{FetchSession, SessionRequest};
use crate::leader::FetchPosition;
use crate::log_view::LogView;
use crate::throttle::ReplicationQuota;
use ottla_types::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The logs of a broker's replicas.
pub trait Logs {
    /// One log.
    type Log: LogView;

    /// The log of a replica; nothing when its directory is offline.
    fn log(&self, partition: &TopicIdPartition) -> Option<Self::Log>;
}

/// `replica.fetch.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetcherSettings {
    /// `replica.fetch.max.bytes`: of one partition.
    pub partition_bytes_max: i32,
    /// `replica.fetch.response.max.bytes`.
    pub response_bytes_max: i32,
    /// `replica.fetch.min.bytes`.
    pub bytes_min: i32,
    /// `replica.fetch.wait.max.ms`.
    pub wait_max: Duration,
    /// `replica.fetch.backoff.ms`.
    pub backoff: Duration,
}

/// One partition of a Fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// Which.
    pub partition: TopicIdPartition,
    /// From where on.
    pub position: FetchPosition,
    /// The start of the follower's log.
    pub log_start: Offset,
    /// How many bytes at most.
    pub bytes_max: i32,
}

/// A Fetch for the leader. At most one of a fetcher is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Counts the fetcher's requests; the answer is given back with it.
    pub number: u64,
    /// Session and partitions.
    pub session: SessionRequest,
    /// The limits.
    pub settings: FetcherSettings,
}

/// What an answer says as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionAnswer {
    /// No error; the session it belongs to, 0 for none.
    Accepted {
        /// The session.
        id: i32,
    },
    /// FETCH_SESSION_ID_NOT_FOUND.
    Unknown,
    /// INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR, or any other error of the whole.
    Refused,
}

/// A Fetch's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchAnswer {
    /// What it says as a whole.
    pub session: SessionAnswer,
    /// What it says of partitions, in its order.
    pub partitions: Vec<(TopicIdPartition, PartitionAnswer)>,
}

/// A partition in one of its stays in a fetcher. What is done for an earlier stay is not reported to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionRef {
    /// Which partition.
    pub partition: TopicIdPartition,
    /// Which stay.
    pub incarnation: u64,
}

/// What is to be done with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetcherEffect {
    /// For which partition. The outcome is given back with it.
    pub at: PartitionRef,
    /// The leader epoch: nothing is done when the replica is in another one by now.
    pub leader_epoch: LeaderEpoch,
    /// What.
    pub effect: FollowerEffect,
}

/// Why a log could not be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageFailure {
    /// There is no room at the moment: the same may succeed later.
    Passing,
    /// The directory of the log has failed.
    Lasting,
}

/// All that one connection fetches from one leader.
///
/// Invariants: one Fetch at a time, and none while a log is being changed for the last one; partitions from which records
/// came are asked for last the next time, so that under a limit of the whole answer each has its turn.
#[derive(Clone, Debug)]
pub struct Fetcher {
    leader: BrokerId,
    settings: FetcherSettings,
    partitions: BTreeMap<TopicIdPartition, Stay>,
    /// The order in which partitions are asked for.
    turns: BTreeMap<u64, TopicIdPartition>,
    session: FetchSession,
    in_flight: Option<u64>,
    wait_until: Option<Duration>,
    /// Answers in a row that the session could not use.
    unusable: u32,
    /// Counts stays, turns and requests.
    count: u64,
}

#[derive(Clone, Debug)]
struct Stay {
    incarnation: u64,
    turn: u64,
    machine: FollowerPartition,
}

impl Fetcher {
    /// A fetcher without partitions.
    pub fn new(leader: BrokerId, settings: FetcherSettings) -> Self {
        Self {
            leader,
            settings,
            partitions: BTreeMap::new(),
            turns: BTreeMap::new(),
            session: FetchSession::default(),
            in_flight: None,
            wait_until: None,
            unusable: 0,
            count: 0,
        }
    }

    /// From whom it fetches.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// How many partitions it has.
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Its partitions.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicIdPartition, &FollowerPartition)> {
        self.partitions.iter().map(|(partition, stay)| (partition, &stay.machine))
    }

    /// One partition.
    pub fn partition(&self, partition: &TopicIdPartition) -> Option<&FollowerPartition> {
        self.partitions.get(partition).map(|stay| &stay.machine)
    }

    /// `MaxLag`: the records that the partition lacks that lacks the most.
    pub fn lag_max(&self) -> i64 {
        self.partitions.values().filter_map(|stay| stay.machine.lag()).max().unwrap_or(0)
    }

    /// `FailedPartitionsCount`.
    pub fn failed(&self) -> usize {
        self.partitions.values().filter(|stay| stay.machine.is_failed()).count()
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Takes a partition in. One that it has already in that leader epoch goes on undisturbed.
    pub fn add(
        &mut self,
        partition: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        log: &impl LogView,
    ) -> Option<FetcherEffect> {
        if self.partition(&partition).is_some_and(|known| known.leader_epoch() >= leader_epoch) {
            return None;
        }
        self.remove(&partition);
        let (machine, effect) = FollowerPartition::begin(leader_epoch, log);
        let incarnation = self.next();
        self.turns.insert(incarnation, partition);
        self.partitions.insert(partition, Stay { incarnation, turn: incarnation, machine });
        effect.map(|effect| FetcherEffect { at: PartitionRef { partition, incarnation }, leader_epoch, effect })
    }

    /// Lets a partition go. What an answer under way says of it is dropped. Says whether it was here.
    pub fn remove(&mut self, partition: &TopicIdPartition) -> bool {
        let Some(stay) = self.partitions.remove(partition) else { return false };
        self.turns.remove(&stay.turn);
        true
    }

    /// The next Fetch, if it is time for one. A partition that is throttled, waits or asks for something is left out.
    pub fn poll(&mut self, now: Duration, logs: &impl Logs, quota: &mut ReplicationQuota) -> Option<FetchRequest> {
        let is_waiting = self.wait_until.is_some_and(|until| now < until);
        if self.in_flight.is_some() || is_waiting || self.partitions.values().any(|stay| stay.machine.is_busy()) {
            return None;
        }
        self.wait_until = None;
        let is_exceeded = quota.is_exceeded(now);
        let (mut wanted, mut is_throttling) = (Vec::new(), false);
        for partition in self.turns.values() {
            let Some(stay) = self.partitions.get_mut(partition).filter(|stay| stay.machine.is_ready(now)) else {
                continue;
            };
            if is_exceeded && quota.is_throttled(partition) && !stay.machine.is_in_sync() {
                is_throttling = true;
                continue;
            }
            match logs.log(partition) {
                Some(log) => wanted.push(FetchPartition {
                    partition: *partition,
                    position: stay.machine.position(),
                    log_start: log.log_start(),
                    bytes_max: self.settings.partition_bytes_max,
                }),
                None => stay.machine.delay(now, self.settings.backoff),
            }
        }
        // With nothing to fetch there is no request, unless the leader has to forget what it would read for us.
        if wanted.is_empty() && (self.session.is_full() || self.session.is_empty()) {
            self.wait_until = is_throttling.then(|| now + self.settings.backoff);
            return None;
        }
        let number = self.next();
        self.in_flight = Some(number);
        Some(FetchRequest { number, session: self.session.request(wanted), settings: self.settings })
    }

    /// When [`Fetcher::poll`] may have something to send though nothing happens.
    pub fn wake_at(&self) -> Option<Duration> {
        if self.in_flight.is_some() {
            return None;
        }
        let delayed = self.partitions.values().filter_map(|stay| stay.machine.delayed_until());
        delayed.chain(self.wait_until).min()
    }

    /// The leader has answered. An answer to another than the request under way is dropped.
    pub fn answered(
        &mut self,
        number: u64,
        answer: &FetchAnswer,
        logs: &impl Logs,
        quota: &mut ReplicationQuota,
        now: Duration,
    ) -> Vec<FetcherEffect> {
        if self.in_flight != Some(number) {
            return Vec::new();
        }
        self.in_flight = None;
        let mentioned: BTreeSet<_> = answer.partitions.iter().map(|(partition, _)| *partition).collect();
        if !self.session.answered(&answer.session, &mentioned) {
            self.unusable += 1;
            // The first may be a session that the leader has let go; when the new one is no better, it is not that.
            if self.unusable > 1 {
                self.wait_until = Some(now + self.settings.backoff);
            }
            return Vec::new();
        }
        self.unusable = 0;
        answer
            .partitions
            .iter()
            .filter_map(|(partition, answer)| self.partition_answered(partition, *answer, logs, quota, now))
            .collect()
    }

    fn partition_answered(
        &mut self,
        partition: &TopicIdPartition,
        answer: PartitionAnswer,
        logs: &impl Logs,
        quota: &mut ReplicationQuota,
        now: Duration,
    ) -> Option<FetcherEffect> {
        let asked = self.session.asked(partition)?.position;
        let log = logs.log(partition)?;
        if let PartitionAnswer::Data(data) = answer {
            // What came from the leader counts, in sync or not, so that all of it keeps to the rate.
            quota.record_for(partition, data.bytes, now);
        }
        let backoff = self.settings.backoff;
        let effect = self.step(partition, None, |machine| machine.answered(asked, answer, &log, now, backoff))?;
        if let FollowerEffect::Append { .. } = effect.effect {
            self.move_to_end(partition);
        }
        Some(effect)
    }

    fn move_to_end(&mut self, partition: &TopicIdPartition) {
        let turn = self.next();
        if let Some(stay) = self.partitions.get_mut(partition) {
            self.turns.remove(&stay.turn);
            stay.turn = turn;
            self.turns.insert(turn, *partition);
        }
    }

    /// The request has failed: no connection, no answer in time. All partitions wait.
    pub fn request_failed(&mut self, number: u64, now: Duration) {
        if self.in_flight == Some(number) {
            self.in_flight = None;
            self.session.failed();
            self.wait_until = Some(now + self.settings.backoff);
        }
    }

    /// The records of an answer are in the log, and as durable as the topic demands.
    pub fn appended(&mut self, at: PartitionRef, log: &impl LogView, now: Duration) -> Option<FetcherEffect> {
        let backoff = self.settings.backoff;
        self.step(&at.partition, Some(at), |machine| machine.appended(log, now, backoff))
    }

    /// The records of an answer could not be appended.
    pub fn append_refused(&mut self, at: PartitionRef, refusal: AppendRefusal, now: Duration) -> Option<FetcherEffect> {
        let backoff = self.settings.backoff;
        self.step(&at.partition, Some(at), |machine| machine.append_refused(refusal, now, backoff))
    }

    /// The log has been cut or emptied, or could not be.
    pub fn truncated(
        &mut self,
        at: PartitionRef,
        outcome: Result<(), StorageFailure>,
        log: &impl LogView,
        now: Duration,
    ) -> Option<FetcherEffect> {
        let backoff = self.settings.backoff;
        self.step(&at.partition, Some(at), |machine| match outcome {
            Ok(()) => machine.truncated(log),
            Err(StorageFailure::Passing) => machine.truncation_put_off(log, now, backoff),
            Err(StorageFailure::Lasting) => Some(machine.storage_failed()),
        })
    }

    /// The leader has answered a ListOffsets, or could not be asked (any retriable fault).
    pub fn listed(
        &mut self,
        at: PartitionRef,
        which: ListedOffset,
        listed: Result<Offset, FetchFault>,
        log: &impl LogView,
        now: Duration,
    ) -> Option<FetcherEffect> {
        let backoff = self.settings.backoff;
        self.step(&at.partition, Some(at), |machine| machine.listed(which, listed, log, now, backoff))
    }

    fn step(
        &mut self,
        partition: &TopicIdPartition,
        at: Option<PartitionRef>,
        step: impl FnOnce(&mut FollowerPartition) -> Option<FollowerEffect>,
    ) -> Option<FetcherEffect> {
        let stay = self.partitions.get_mut(partition)?;
        if at.is_some_and(|at| at.incarnation != stay.incarnation) {
            return None;
        }
        let effect = step(&mut stay.machine)?;
        let at = PartitionRef { partition: *partition, incarnation: stay.incarnation };
        Some(FetcherEffect { at, leader_epoch: stay.machine.leader_epoch(), effect })
    }
}

#[cfg(test)]
mod tests;
