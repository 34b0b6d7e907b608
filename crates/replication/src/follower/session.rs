use super::fetcher::{FetchPartition, SessionAnswer};
use ottla_types::TopicIdPartition;
use std::collections::{BTreeMap, BTreeSet};

/// No session.
const NO_SESSION: i32 = 0;
/// Asks for a new session.
const INITIAL_EPOCH: i32 = 0;

/// The client's half of a fetch session (KIP-227): the leader remembers the partitions, so that a request names only those
/// that have changed, and an answer only those of which there is something to say.
#[derive(Clone, Debug, Default)]
pub struct FetchSession {
    id: i32,
    epoch: i32,
    /// What the leader has been told, as far as it has accepted it.
    partitions: BTreeMap<TopicIdPartition, FetchPartition>,
}

/// What a request says of the session, and which partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// The session.
    pub id: i32,
    /// Its epoch.
    pub epoch: i32,
    /// The partitions to name, in the order in which they are to be read.
    pub partitions: Vec<FetchPartition>,
    /// The partitions that the leader is to forget.
    pub forgotten: Vec<TopicIdPartition>,
}

impl FetchSession {
    /// Whether the next request names everything.
    pub fn is_full(&self) -> bool {
        self.epoch == INITIAL_EPOCH
    }

    /// Whether the leader has nothing to forget.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The request for these partitions. It must be answered, or said to have failed, before the next one is made.
    pub fn request(&mut self, wanted: Vec<FetchPartition>) -> SessionRequest {
        let (id, epoch) = (self.id, self.epoch);
        if self.is_full() {
            self.partitions = wanted.iter().map(|partition| (partition.partition, *partition)).collect();
            return SessionRequest { id, epoch, partitions: wanted, forgotten: Vec::new() };
        }
        let names: BTreeSet<_> = wanted.iter().map(|partition| partition.partition).collect();
        let forgotten: Vec<_> = self.partitions.keys().filter(|known| !names.contains(known)).copied().collect();
        for partition in &forgotten {
            self.partitions.remove(partition);
        }
        let is_news = |wanted: &FetchPartition| self.partitions.get(&wanted.partition) != Some(wanted);
        let partitions: Vec<_> = wanted.into_iter().filter(is_news).collect();
        self.partitions.extend(partitions.iter().map(|partition| (partition.partition, *partition)));
        SessionRequest { id, epoch, partitions, forgotten }
    }

    /// What was last asked of a partition.
    pub fn asked(&self, partition: &TopicIdPartition) -> Option<&FetchPartition> {
        self.partitions.get(partition)
    }

    /// The leader has answered. Says whether the answer is one to this session's request; if not, nothing in it counts.
    pub fn answered(&mut self, answer: &SessionAnswer, mentioned: &BTreeSet<TopicIdPartition>) -> bool {
        match answer {
            SessionAnswer::Unknown => {
                self.restart(NO_SESSION);
                false
            }
            SessionAnswer::Refused => {
                self.restart(self.id);
                false
            }
            SessionAnswer::Accepted { id } => self.accepted(*id, mentioned),
        }
    }

    fn accepted(&mut self, id: i32, mentioned: &BTreeSet<TopicIdPartition>) -> bool {
        let is_extra = mentioned.iter().any(|partition| !self.partitions.contains_key(partition));
        // A full answer says something of everything; a throttled one, nothing of anything.
        let is_short = self.is_full() && mentioned.len() < self.partitions.len();
        if is_extra || is_short {
            self.restart(if self.is_full() { NO_SESSION } else { self.id });
            return false;
        }
        if id == NO_SESSION {
            self.restart(NO_SESSION);
        } else {
            self.id = if self.is_full() { id } else { self.id };
            self.epoch = next_epoch(self.epoch);
        }
        true
    }

    /// The answer will not come: what the leader knows is not known.
    pub fn failed(&mut self) {
        self.restart(self.id);
    }

    /// The next request names everything. If there may be a session, it ends it and begins another.
    fn restart(&mut self, id: i32) {
        self.id = id;
        self.epoch = INITIAL_EPOCH;
    }
}

/// After the request for a session, and after the greatest epoch, comes 1.
fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

#[cfg(test)]
mod tests;
