use super::fetcher::{Fetcher, FetcherEffect, FetcherSettings, Logs};
use crate::log_view::LogView;
use ottla_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicIdPartition, java_string_hash};
use std::collections::BTreeMap;

/// One of the `num.replica.fetchers` connections to a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetcherId {
    /// The leader.
    pub leader: BrokerId,
    /// Which of the connections to it.
    pub number: u32,
}

/// All fetchers of a broker: each partition that follows is in one of them, that of its leader.
#[derive(Clone, Debug)]
pub struct Fetchers {
    settings: FetcherSettings,
    per_leader: u32,
    fetchers: BTreeMap<FetcherId, Fetcher>,
    places: BTreeMap<TopicIdPartition, Place>,
    /// Whether every partition is where it belongs.
    is_settled: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    fetcher: FetcherId,
    /// The part of the fetcher's number that the topic's name gives: it does not change.
    hash: i32,
    leader_epoch: LeaderEpoch,
}

/// Which of a leader's fetchers a partition is in, the same as in Apache Kafka.
pub fn fetcher_id(topic: &str, partition: PartitionIndex, per_leader: u32) -> u32 {
    number(hash(topic, partition), per_leader)
}

fn hash(topic: &str, partition: PartitionIndex) -> i32 {
    java_string_hash(topic).wrapping_mul(31).wrapping_add(partition.0)
}

/// The least number has no positive counterpart and counts as 0.
fn number(hash: i32, per_leader: u32) -> u32 {
    hash.checked_abs().unwrap_or(0).unsigned_abs() % per_leader.max(1)
}

impl Fetchers {
    /// No fetchers; `per_leader` is `num.replica.fetchers`.
    pub fn new(settings: FetcherSettings, per_leader: u32) -> Self {
        let (fetchers, places) = (BTreeMap::new(), BTreeMap::new());
        Self { settings, per_leader: per_leader.max(1), fetchers, places, is_settled: true }
    }

    /// Lets a partition be fetched from a leader in an epoch; from no other any more.
    pub fn follow(
        &mut self,
        partition: TopicIdPartition,
        topic: &str,
        leader: BrokerId,
        leader_epoch: LeaderEpoch,
        log: &impl LogView,
    ) -> Option<FetcherEffect> {
        self.place(partition, hash(topic, partition.partition), leader, leader_epoch, log)
    }

    fn place(
        &mut self,
        partition: TopicIdPartition,
        hash: i32,
        leader: BrokerId,
        leader_epoch: LeaderEpoch,
        log: &impl LogView,
    ) -> Option<FetcherEffect> {
        let id = FetcherId { leader, number: number(hash, self.per_leader) };
        if self.places.get(&partition).is_some_and(|place| place.fetcher != id) {
            self.stop(&partition);
        }
        self.places.insert(partition, Place { fetcher: id, hash, leader_epoch });
        let settings = self.settings;
        let fetcher = self.fetchers.entry(id).or_insert_with(|| Fetcher::new(leader, settings));
        fetcher.add(partition, leader_epoch, log)
    }

    /// Lets a partition be fetched no more.
    pub fn stop(&mut self, partition: &TopicIdPartition) {
        if let Some(place) = self.places.remove(partition)
            && let Some(fetcher) = self.fetchers.get_mut(&place.fetcher)
        {
            fetcher.remove(partition);
        }
    }

    /// Which fetcher has the partition.
    pub fn place_of(&self, partition: &TopicIdPartition) -> Option<FetcherId> {
        self.places.get(partition).map(|place| place.fetcher)
    }

    /// One fetcher.
    pub fn get_mut(&mut self, id: FetcherId) -> Option<&mut Fetcher> {
        self.fetchers.get_mut(&id)
    }

    /// All fetchers.
    pub fn iter(&self) -> impl Iterator<Item = (FetcherId, &Fetcher)> {
        self.fetchers.iter().map(|(id, fetcher)| (*id, fetcher))
    }

    /// The fetchers that have nothing to do go; their connections can be closed.
    pub fn remove_idle(&mut self) -> Vec<FetcherId> {
        let idle: Vec<_> = self.fetchers.iter().filter(|(_, f)| f.is_empty()).map(|(id, _)| *id).collect();
        self.fetchers.retain(|_, fetcher| !fetcher.is_empty());
        idle
    }

    /// `num.replica.fetchers` has changed: partitions find their places anew, as far as [`Self::settle`] can do it now.
    pub fn resize(&mut self, per_leader: u32, logs: &impl Logs) -> Vec<FetcherEffect> {
        if per_leader.max(1) == self.per_leader {
            return Vec::new();
        }
        self.per_leader = per_leader.max(1);
        self.is_settled = false;
        self.settle(logs)
    }

    /// Moves partitions to their places after a [`Self::resize`]; call it before the fetchers are polled. A partition whose log
    /// is being changed stays until that is done: the other fetcher would begin where the log was. One that has failed stays
    /// for as long as it is failed.
    pub fn settle(&mut self, logs: &impl Logs) -> Vec<FetcherEffect> {
        if self.is_settled {
            return Vec::new();
        }
        self.is_settled = true;
        let misplaced = |(_, place): &(_, &Place)| place.fetcher.number != number(place.hash, self.per_leader);
        let misplaced: Vec<_> = self.places.iter().filter(misplaced).map(|(key, place)| (*key, *place)).collect();
        let mut effects = Vec::new();
        for (partition, Place { fetcher, hash, leader_epoch }) in misplaced {
            match self.fetchers.get(&fetcher).and_then(|fetcher| fetcher.partition(&partition)) {
                Some(machine) if machine.is_failed() => continue,
                Some(machine) if machine.is_busy() => {
                    self.is_settled = false;
                    continue;
                }
                _ => {}
            }
            match logs.log(&partition) {
                Some(log) => effects.extend(self.place(partition, hash, fetcher.leader, leader_epoch, &log)),
                // Without a log there is nothing to fetch for: the directory is offline, and the replica with it.
                None => self.stop(&partition),
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follower::fetcher::{FetchAnswer, SessionAnswer};
    use crate::follower::partition::{FetchFault, FetchedData, FollowerEffect, PartitionAnswer};
    use crate::test_log::TestLog;
    use crate::throttle::ReplicationQuota;
    use ottla_types::{Offset, Uuid};
    use std::time::Duration;

    #[test]
    fn a_partition_is_in_the_fetcher_that_apache_kafka_would_use() {
        assert_eq!(fetcher_id("orders", PartitionIndex(0), 1), 0);
        let hash = "orders".bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)));
        let expected = hash.wrapping_mul(31).wrapping_add(5).unsigned_abs() % 4;
        assert_eq!(fetcher_id("orders", PartitionIndex(5), 4), expected);
        assert_eq!(number(i32::MIN, 4), 0);
    }

    struct TestLogs(BTreeMap<TopicIdPartition, TestLog>);

    impl Logs for TestLogs {
        type Log = TestLog;

        fn log(&self, partition: &TopicIdPartition) -> Option<TestLog> {
            self.0.get(partition).cloned()
        }
    }

    const LEADER: BrokerId = BrokerId::new(2);

    fn partition(index: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: Uuid::from_u128(1), partition: PartitionIndex(index) }
    }

    /// Four partitions that follow in one fetcher.
    fn four() -> (Fetchers, TestLogs) {
        let settings = FetcherSettings {
            partition_bytes_max: 1_000,
            response_bytes_max: 5_000,
            bytes_min: 1,
            wait_max: Duration::from_millis(500),
            backoff: Duration::from_millis(100),
        };
        let mut fetchers = Fetchers::new(settings, 1);
        let logs = TestLogs((0..4).map(|index| (partition(index), TestLog::new(&[(3, 0)], 10))).collect());
        for index in 0..4 {
            let log = &logs.0[&partition(index)];
            assert_eq!(fetchers.follow(partition(index), "orders", LEADER, LeaderEpoch(3), log), None);
        }
        (fetchers, logs)
    }

    fn numbers(fetchers: &Fetchers) -> Vec<u32> {
        (0..4).filter_map(|index| fetchers.place_of(&partition(index))).map(|place| place.number).collect()
    }

    fn expected(per_leader: u32) -> Vec<u32> {
        (0..4).map(|index| fetcher_id("orders", PartitionIndex(index), per_leader)).collect()
    }

    #[test]
    fn partitions_find_their_places_anew_when_there_are_more_or_fewer_fetchers() {
        let (mut fetchers, logs) = four();
        assert_eq!(numbers(&fetchers), [0; 4]);
        for per_leader in [3, 4, 2, 0] {
            assert_eq!(fetchers.resize(per_leader, &logs), []);
            assert_eq!(numbers(&fetchers), expected(per_leader), "{per_leader}");
            let lengths = fetchers.iter().map(|(_, fetcher)| fetcher.len());
            assert_eq!(lengths.sum::<usize>(), 4, "each is in one fetcher only");
        }
    }

    #[test]
    fn a_partition_whose_log_is_being_changed_moves_when_that_is_done() {
        let (mut fetchers, mut logs) = four();
        let now = Duration::ZERO;
        let old = FetcherId { leader: LEADER, number: 0 };
        let moves = (0..4).find(|index| expected(4)[usize::try_from(*index).unwrap()] != 0).map(partition).unwrap();
        let fetcher = fetchers.get_mut(old).unwrap();
        let number = fetcher.poll(now, &logs, &mut ReplicationQuota::unlimited()).unwrap().number;
        let data = |bytes| FetchedData { bytes, high_watermark: Offset(10), log_start: Offset(0) };
        let answers = (0..4).map(partition).map(|key| (key, PartitionAnswer::Data(data(usize::from(key == moves)))));
        let answer = FetchAnswer { session: SessionAnswer::Accepted { id: 5 }, partitions: answers.collect() };
        let effects = fetcher.answered(number, &answer, &logs, &mut ReplicationQuota::unlimited(), now);
        let append = effects.iter().find(|effect| effect.at.partition == moves).unwrap();
        assert!(matches!(append.effect, FollowerEffect::Append { .. }), "{append:?}");
        assert_eq!(fetchers.resize(4, &logs), []);
        assert_eq!((fetchers.place_of(&moves), fetchers.settle(&logs)), (Some(old), Vec::new()));
        // It is in the log, which is told to the fetcher that has asked for it.
        logs.0.get_mut(&moves).unwrap().append(3, 5);
        let advance = fetchers.get_mut(old).unwrap().appended(append.at, &logs.0[&moves], now);
        assert!(matches!(advance, Some(FetcherEffect { effect: FollowerEffect::Advance { .. }, .. })), "{advance:?}");
        assert_eq!(fetchers.settle(&logs), []);
        assert_eq!(numbers(&fetchers), expected(4));
        let place = fetchers.place_of(&moves).unwrap();
        let request = fetchers.get_mut(place).unwrap().poll(now, &logs, &mut ReplicationQuota::unlimited()).unwrap();
        let asked = request.session.partitions.iter().find(|asked| asked.partition == moves).unwrap();
        assert_eq!(asked.position.offset, Offset(15));
    }

    #[test]
    fn a_partition_that_has_failed_is_not_begun_anew() {
        let (mut fetchers, logs) = four();
        let now = Duration::ZERO;
        let old = FetcherId { leader: LEADER, number: 0 };
        let fetcher = fetchers.get_mut(old).unwrap();
        let number = fetcher.poll(now, &logs, &mut ReplicationQuota::unlimited()).unwrap().number;
        let fenced = (0..4).map(|index| (partition(index), PartitionAnswer::Fault(FetchFault::FencedLeaderEpoch)));
        let answer = FetchAnswer { session: SessionAnswer::Accepted { id: 5 }, partitions: fenced.collect() };
        let effects = fetcher.answered(number, &answer, &logs, &mut ReplicationQuota::unlimited(), now);
        assert_eq!(effects.len(), 4);
        assert_eq!(fetchers.resize(4, &logs), []);
        assert_eq!(numbers(&fetchers), [0; 4]);
        assert_eq!(fetchers.get_mut(old).unwrap().failed(), 4);
    }
}
