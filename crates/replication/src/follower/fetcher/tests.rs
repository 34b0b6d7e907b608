use super::super::partition::FetchedData;
use super::*;
use crate::log_view::EpochEnd;
use crate::test_log::TestLog;
use crate::throttle::{QuotaSettings, ThrottledReplicas};
use ottla_types::{NodeId, PartitionIndex, Uuid};

const SETTINGS: FetcherSettings = FetcherSettings {
    partition_bytes_max: 1_000,
    response_bytes_max: 5_000,
    bytes_min: 1,
    wait_max: Duration::from_millis(500),
    backoff: Duration::from_millis(100),
};

struct TestLogs(BTreeMap<TopicIdPartition, TestLog>);

impl Logs for TestLogs {
    type Log = TestLog;

    fn log(&self, partition: &TopicIdPartition) -> Option<TestLog> {
        self.0.get(partition).cloned()
    }
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn partition(index: i32) -> TopicIdPartition {
    TopicIdPartition { topic_id: Uuid::from_u128(1), partition: PartitionIndex(index) }
}

/// A fetcher with partitions of 10 records in leader epoch 3.
struct Bench {
    fetcher: Fetcher,
    logs: TestLogs,
    quota: ReplicationQuota,
}

impl Bench {
    fn new(partitions: i32) -> Self {
        let mut fetcher = Fetcher::new(NodeId(2), SETTINGS);
        let mut logs = BTreeMap::new();
        for index in 0..partitions {
            let log = TestLog::new(&[(3, 0)], 10);
            assert_eq!(fetcher.add(partition(index), LeaderEpoch(3), &log), None);
            logs.insert(partition(index), log);
        }
        Self { fetcher, logs: TestLogs(logs), quota: ReplicationQuota::unlimited() }
    }

    fn poll(&mut self, now: u64) -> Option<FetchRequest> {
        self.fetcher.poll(at(now), &self.logs, &mut self.quota)
    }

    /// Polls, and says which partitions are named.
    fn named(&mut self, now: u64) -> Option<(u64, Vec<i32>)> {
        let request = self.poll(now)?;
        let named = request.session.partitions.iter().map(|known| known.partition.partition.0).collect();
        Some((request.number, named))
    }

    fn answer(&mut self, number: u64, answers: &[(i32, PartitionAnswer)], now: u64) -> Vec<FetcherEffect> {
        let partitions = answers.iter().map(|(index, answer)| (partition(*index), *answer)).collect();
        let answer = FetchAnswer { session: SessionAnswer::Accepted { id: 5 }, partitions };
        self.fetcher.answered(number, &answer, &self.logs, &mut self.quota, at(now))
    }

    fn appended(&mut self, effect: FetcherEffect, records: i64, now: u64) -> Option<FetcherEffect> {
        let log = self.logs.0.get_mut(&effect.at.partition).unwrap();
        log.append(3, records);
        self.fetcher.appended(effect.at, log, at(now))
    }
}

fn data(bytes: usize) -> PartitionAnswer {
    PartitionAnswer::Data(FetchedData { bytes, high_watermark: Offset(10), log_start: Offset(0) })
}

#[test]
fn one_fetch_is_under_way_and_the_next_waits_for_what_is_appended() {
    let mut bench = Bench::new(2);
    let (number, named) = bench.named(0).unwrap();
    assert_eq!((named, bench.poll(0)), (vec![0, 1], None));
    let effects = bench.answer(number, &[(0, data(50)), (1, data(0))], 1);
    assert_eq!(effects.len(), 2);
    assert_eq!(effects[0].effect, FollowerEffect::Append { leader_epoch: LeaderEpoch(3) });
    assert_eq!(bench.poll(1), None);
    let _ = bench.appended(effects[0], 4, 2);
    // Only what has moved is named, and what brought records comes last the next time.
    assert_eq!(bench.named(2).unwrap().1, [0]);
}

#[test]
fn partitions_that_brought_records_are_asked_for_last() {
    let mut bench = Bench::new(3);
    let (number, _) = bench.named(0).unwrap();
    let effects = bench.answer(number, &[(0, data(50)), (1, data(0)), (2, data(0))], 1);
    let _ = bench.appended(effects[0], 4, 2);
    let (number, _) = bench.named(2).unwrap();
    bench.fetcher.request_failed(number, at(2));
    assert_eq!((bench.poll(101), bench.fetcher.wake_at()), (None, Some(at(102))));
    assert_eq!(bench.named(102).unwrap().1, [1, 2, 0]);
}

#[test]
fn an_answer_to_a_request_that_was_given_up_is_dropped() {
    let mut bench = Bench::new(1);
    let (number, _) = bench.named(0).unwrap();
    bench.fetcher.request_failed(number, at(1));
    assert_eq!(bench.answer(number, &[(0, data(50))], 2), []);
    let (second, _) = bench.named(200).unwrap();
    assert_eq!(bench.answer(number, &[(0, data(50))], 201), []);
    assert_eq!(bench.answer(second, &[(0, data(50))], 202).len(), 1);
}

#[test]
fn what_a_partition_that_has_left_is_told_is_dropped() {
    let mut bench = Bench::new(2);
    let (number, _) = bench.named(0).unwrap();
    assert!(bench.fetcher.remove(&partition(0)));
    let diverging = PartitionAnswer::Diverging(EpochEnd { epoch: LeaderEpoch(1), end_offset: Offset(2) });
    let effects = bench.answer(number, &[(0, diverging), (1, data(50))], 1);
    assert_eq!(effects.iter().map(|effect| effect.at.partition).collect::<Vec<_>>(), [partition(1)]);
}

#[test]
fn what_was_done_for_an_earlier_stay_is_not_told_to_a_later_one() {
    let mut bench = Bench::new(1);
    let (number, _) = bench.named(0).unwrap();
    let effects = bench.answer(number, &[(0, data(50))], 1);
    let log = bench.logs.0[&partition(0)].clone();
    assert_eq!(bench.fetcher.add(partition(0), LeaderEpoch(4), &log), None);
    assert_eq!(bench.appended(effects[0], 4, 2), None);
    let position = bench.fetcher.partition(&partition(0)).unwrap().position();
    assert_eq!((position.offset, position.leader_epoch), (Offset(10), Some(LeaderEpoch(4))));
    // Not either while the later one waits for the same thing.
    let log = bench.logs.0[&partition(0)].clone();
    assert_eq!(bench.fetcher.add(partition(0), LeaderEpoch(5), &log), None);
    let (number, _) = bench.named(3).unwrap();
    assert_eq!(bench.answer(number, &[(0, data(50))], 4).len(), 1);
    assert_eq!(bench.appended(effects[0], 4, 5), None);
    assert!(bench.fetcher.partition(&partition(0)).unwrap().is_busy());
}

#[test]
fn a_partition_that_is_added_again_in_its_epoch_goes_on_undisturbed() {
    let mut bench = Bench::new(1);
    let (number, _) = bench.named(0).unwrap();
    let effects = bench.answer(number, &[(0, data(50))], 1);
    let log = bench.logs.0[&partition(0)].clone();
    assert_eq!(bench.fetcher.add(partition(0), LeaderEpoch(3), &log), None);
    let _ = bench.appended(effects[0], 4, 2);
    assert_eq!(bench.fetcher.partition(&partition(0)).unwrap().position().offset, Offset(14));
}

#[test]
fn a_partition_that_waits_is_forgotten_by_the_session_and_named_again_later() {
    let mut bench = Bench::new(2);
    let (number, _) = bench.named(0).unwrap();
    let _ = bench.answer(number, &[(0, data(0)), (1, data(0))], 0);
    let request = bench.poll(0).unwrap();
    let fault = PartitionAnswer::Fault(FetchFault::Retriable);
    let _ = bench.answer(request.number, &[(0, fault)], 1);
    assert_eq!(bench.fetcher.wake_at(), Some(at(101)));
    let request = bench.poll(1).unwrap();
    assert_eq!((request.session.partitions.len(), request.session.forgotten), (0, vec![partition(0)]));
    let _ = bench.answer(request.number, &[], 100);
    assert_eq!(bench.named(101).unwrap().1, [0]);
}

#[test]
fn the_first_lost_session_is_replaced_at_once_and_the_second_later() {
    let mut bench = Bench::new(1);
    let refused = FetchAnswer { session: SessionAnswer::Refused, partitions: Vec::new() };
    let (number, _) = bench.named(0).unwrap();
    let _ = bench.fetcher.answered(number, &refused, &bench.logs, &mut bench.quota, at(1));
    let (number, _) = bench.named(1).unwrap();
    let _ = bench.fetcher.answered(number, &refused, &bench.logs, &mut bench.quota, at(2));
    assert_eq!((bench.poll(2), bench.fetcher.wake_at()), (None, Some(at(102))));
    assert!(bench.poll(102).is_some());
}

#[test]
fn a_throttled_partition_that_is_not_in_sync_waits_and_one_in_sync_does_not() {
    let mut bench = Bench::new(2);
    bench.quota =
        ReplicationQuota::new(QuotaSettings { bytes_per_second: Some(10), windows: 2, window: Duration::from_secs(1) });
    bench.quota.set_throttled(partition(0).topic_id, ThrottledReplicas::All);
    let (number, named) = bench.named(0).unwrap();
    assert_eq!(named, [0, 1]);
    let behind = PartitionAnswer::Data(FetchedData { bytes: 50, high_watermark: Offset(99), log_start: Offset(0) });
    let effects = bench.answer(number, &[(0, behind), (1, data(0))], 1);
    let _ = bench.appended(effects[0], 4, 2);
    let request = bench.poll(3).unwrap();
    assert_eq!(request.session.forgotten, [partition(0)]);
    let _ = bench.answer(request.number, &[], 4);
    assert_eq!(bench.fetcher.lag_max(), 85);
    assert_eq!(bench.named(3_000).unwrap().1, [0]);
}

#[test]
fn a_partition_whose_log_is_offline_is_left_out() {
    let mut bench = Bench::new(2);
    bench.logs.0.remove(&partition(0));
    assert_eq!(bench.named(0).unwrap().1, [1]);
    assert_eq!(bench.fetcher.partition(&partition(0)).unwrap().delayed_until(), Some(at(100)));
}

#[test]
fn with_nothing_to_fetch_nothing_is_sent() {
    let mut bench = Bench::new(1);
    assert!(bench.fetcher.remove(&partition(0)));
    assert_eq!((bench.poll(0), bench.fetcher.wake_at(), bench.fetcher.is_empty()), (None, None, true));
}

#[test]
fn what_can_not_be_cut_for_want_of_room_is_fetched_again_later() {
    let mut bench = Bench::new(1);
    let (number, _) = bench.named(0).unwrap();
    let diverging = PartitionAnswer::Diverging(EpochEnd { epoch: LeaderEpoch(1), end_offset: Offset(2) });
    let effects = bench.answer(number, &[(0, diverging)], 1);
    let log = bench.logs.0[&partition(0)].clone();
    assert_eq!(bench.fetcher.truncated(effects[0].at, Err(StorageFailure::Passing), &log, at(1)), None);
    assert_eq!(bench.fetcher.failed(), 0);
    let machine = bench.fetcher.partition(&partition(0)).unwrap();
    assert_eq!((machine.delayed_until(), machine.is_ready(at(101))), (Some(at(101)), true));
}

#[test]
fn a_failed_directory_fails_the_partition() {
    let mut bench = Bench::new(1);
    let (number, _) = bench.named(0).unwrap();
    let diverging = PartitionAnswer::Diverging(EpochEnd { epoch: LeaderEpoch(1), end_offset: Offset(2) });
    let effects = bench.answer(number, &[(0, diverging)], 1);
    let log = bench.logs.0[&partition(0)].clone();
    assert!(bench.fetcher.truncated(effects[0].at, Err(StorageFailure::Lasting), &log, at(1)).is_some());
    assert_eq!(bench.fetcher.failed(), 1);
    let request = bench.poll(2).unwrap();
    assert_eq!((request.session.partitions.len(), request.session.forgotten), (0, vec![partition(0)]));
    let _ = bench.answer(request.number, &[], 3);
    assert_eq!(bench.poll(9_999), None);
}
