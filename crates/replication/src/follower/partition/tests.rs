use super::*;
use crate::test_log::TestLog;

const BACKOFF: Duration = Duration::from_millis(100);

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn begin(log: &TestLog) -> FollowerPartition {
    let (partition, effect) = FollowerPartition::begin(LeaderEpoch(7), log);
    assert_eq!(effect, None);
    partition
}

fn answer(
    partition: &mut FollowerPartition,
    answer: PartitionAnswer,
    log: &TestLog,
    now: Duration,
) -> Option<FollowerEffect> {
    partition.answered(partition.position(), answer, log, now, BACKOFF)
}

fn data(bytes: usize, high_watermark: i64) -> PartitionAnswer {
    PartitionAnswer::Data(FetchedData { bytes, high_watermark: Offset(high_watermark), log_start: Offset(0) })
}

fn diverging(epoch: i32, end: i64) -> PartitionAnswer {
    PartitionAnswer::Diverging(EpochEnd { epoch: LeaderEpoch(epoch), end_offset: Offset(end) })
}

fn advance(high_watermark: i64, log_start: Option<i64>) -> Option<FollowerEffect> {
    let (high_watermark, log_start) = (Offset(high_watermark), log_start.map(Offset));
    Some(FollowerEffect::Advance { high_watermark, log_start })
}

fn truncate(to: i64, is_complete: bool) -> Option<FollowerEffect> {
    Some(FollowerEffect::Truncate { to: Offset(to), is_complete })
}

#[test]
fn it_fetches_from_the_end_of_its_log_with_the_last_epoch_of_its_log() {
    let partition = begin(&TestLog::new(&[(2, 0), (5, 8)], 12));
    let expected = FetchPosition {
        leader_epoch: Some(LeaderEpoch(7)),
        offset: Offset(12),
        last_fetched_epoch: Some(LeaderEpoch(5)),
    };
    assert_eq!((partition.position(), partition.is_ready(at(0))), (expected, true));
}

#[test]
fn a_log_without_epochs_is_cut_to_what_is_known_to_be_committed() {
    let mut log = TestLog { high_watermark: 5, ..TestLog::new(&[], 9) };
    let (mut partition, effect) = FollowerPartition::begin(LeaderEpoch(7), &log);
    assert_eq!((effect, partition.is_ready(at(0))), (truncate(5, true), false));
    log.truncate(5);
    assert_eq!(partition.truncated(&log), None);
    assert_eq!(partition.position().offset, Offset(5));
    assert_eq!(FollowerPartition::begin(LeaderEpoch(7), &log).1, None);
}

#[test]
fn records_are_appended_before_the_high_watermark_moves() {
    let mut log = TestLog::new(&[(5, 0)], 10);
    let mut partition = begin(&log);
    let append = Some(FollowerEffect::Append { leader_epoch: LeaderEpoch(7) });
    assert_eq!(answer(&mut partition, data(100, 14), &log, at(0)), append);
    assert!(partition.is_busy() && !partition.is_ready(at(0)));
    log.append(7, 3);
    assert_eq!(partition.appended(&log, at(1), BACKOFF), advance(13, None));
    assert_eq!((partition.position().offset, partition.lag()), (Offset(13), Some(1)));
    assert_eq!(partition.position().last_fetched_epoch, Some(LeaderEpoch(7)));
}

#[test]
fn an_empty_answer_moves_the_bounds_and_keeps_the_last_epoch() {
    let log = TestLog { high_watermark: 2, ..TestLog::new(&[(5, 0)], 10) };
    let mut partition = begin(&log);
    let before = partition.position();
    let answered = PartitionAnswer::Data(FetchedData { bytes: 0, high_watermark: Offset(8), log_start: Offset(3) });
    assert_eq!(answer(&mut partition, answered, &log, at(0)), advance(8, Some(3)));
    assert_eq!((partition.position(), partition.is_in_sync()), (before, true));
    let log = TestLog { high_watermark: 8, start: 3, ..log };
    assert_eq!(answer(&mut partition, answered, &log, at(0)), None);
}

#[test]
fn a_new_leader_that_knows_of_less_does_not_take_the_high_watermark_back() {
    let log = TestLog { high_watermark: 9, ..TestLog::new(&[(5, 0)], 10) };
    let mut partition = begin(&log);
    assert_eq!(answer(&mut partition, data(0, 4), &log, at(0)), None);
}

#[test]
fn a_diverging_answer_cuts_the_log_and_moves_nothing_else() {
    let mut log = TestLog { high_watermark: 6, ..TestLog::new(&[(2, 0), (4, 8)], 12) };
    let mut partition = begin(&log);
    // The leader has epochs 2 and 5: where ours has 4 it has others.
    assert_eq!(answer(&mut partition, diverging(2, 10), &log, at(0)), truncate(8, true));
    log.truncate(8);
    assert_eq!(partition.truncated(&log), None);
    assert_eq!(partition.position().offset, Offset(8));
    assert_eq!(partition.position().last_fetched_epoch, Some(LeaderEpoch(2)));
}

#[test]
fn epochs_that_only_one_side_has_are_gone_through_one_by_one() {
    // Ours: 1 3 5. The leader's: 2 4 6, after a common beginning in epoch 0.
    let mut log = TestLog::new(&[(0, 0), (1, 4), (3, 6), (5, 8)], 10);
    let mut partition = begin(&log);
    for (asked, leader, to, is_complete) in [(5, (4, 9), 8, false), (3, (2, 7), 6, false), (1, (0, 3), 3, true)] {
        assert_eq!(partition.position().last_fetched_epoch, Some(LeaderEpoch(asked)));
        let effect = answer(&mut partition, diverging(leader.0, leader.1), &log, at(0));
        assert_eq!(effect, truncate(to, is_complete), "asked with epoch {asked}");
        log.truncate(to);
        assert_eq!(partition.truncated(&log), None);
    }
    assert_eq!(partition.position().last_fetched_epoch, Some(LeaderEpoch(0)));
}

#[test]
fn an_epoch_without_records_goes_by_a_truncation_at_the_end_of_the_log() {
    let mut log = TestLog::new(&[(2, 0), (6, 10)], 10);
    let mut partition = begin(&log);
    assert_eq!(answer(&mut partition, diverging(2, 15), &log, at(0)), truncate(10, true));
    log.truncate(10);
    assert_eq!(partition.truncated(&log), None);
    assert_eq!(partition.position().last_fetched_epoch, Some(LeaderEpoch(2)));
}

#[test]
fn a_truncation_that_changes_nothing_fails_the_partition() {
    let log = TestLog::new(&[(2, 0), (6, 10)], 10);
    let mut partition = begin(&log);
    assert_eq!(answer(&mut partition, diverging(2, 15), &log, at(0)), truncate(10, true));
    assert_eq!(partition.truncated(&log), Some(FollowerEffect::Fail(FailureReason::NothingTruncated)));
    assert!(partition.is_failed());
}

#[test]
fn an_answer_to_another_position_is_dropped() {
    let log = TestLog::new(&[(5, 0)], 10);
    let mut partition = begin(&log);
    let here = partition.position();
    for asked in [
        FetchPosition { offset: Offset(9), ..here },
        FetchPosition { leader_epoch: Some(LeaderEpoch(6)), ..here },
        FetchPosition { last_fetched_epoch: None, ..here },
    ] {
        assert_eq!(partition.answered(asked, diverging(2, 3), &log, at(0), BACKOFF), None);
    }
    assert_eq!(partition, begin(&log));
}

#[test]
fn an_answer_is_dropped_while_records_are_appended() {
    let log = TestLog::new(&[(5, 0)], 10);
    let mut partition = begin(&log);
    let _ = answer(&mut partition, data(10, 11), &log, at(0));
    assert_eq!(answer(&mut partition, diverging(2, 3), &log, at(0)), None);
    assert!(partition.is_busy());
}

#[test]
fn a_log_that_somebody_else_has_written_fails_the_partition() {
    let mut log = TestLog::new(&[(5, 0)], 10);
    let mut partition = begin(&log);
    log.append(5, 1);
    let failed = Some(FollowerEffect::Fail(FailureReason::OffsetMismatch));
    assert_eq!(answer(&mut partition, data(10, 11), &log, at(0)), failed);
}

#[test]
fn errors_wait_or_end_it() {
    let log = TestLog::new(&[(5, 0)], 10);
    let mut partition = begin(&log);
    let _ = answer(&mut partition, data(0, 4), &log, at(40));
    assert_eq!(answer(&mut partition, PartitionAnswer::Fault(FetchFault::Retriable), &log, at(50)), None);
    assert_eq!(partition.delayed_until(), Some(at(150)));
    assert!(!partition.is_ready(at(149)) && partition.is_ready(at(150)));
    let fenced = PartitionAnswer::Fault(FetchFault::FencedLeaderEpoch);
    let failed = Some(FollowerEffect::Fail(FailureReason::Fenced));
    assert_eq!(answer(&mut partition, fenced, &log, at(150)), failed);
    assert!(!partition.is_ready(at(9_999)));
}

#[test]
fn a_leader_that_does_not_know_yet_that_it_leads_is_asked_again_soon_and_then_less_and_less_often() {
    let log = TestLog::new(&[(5, 0)], 10);
    let mut partition = begin(&log);
    let (mut now, mut waits) = (at(50), Vec::new());
    for _ in 0..7 {
        let _ = answer(&mut partition, PartitionAnswer::Fault(FetchFault::Retriable), &log, now);
        let until = partition.delayed_until().unwrap();
        waits.push((until - now).as_millis());
        now = until;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 100, 100], "never longer than the configured back-off");
}

#[test]
fn refused_appends_wait_or_end_it() {
    let log = TestLog::new(&[(5, 0)], 10);
    let refuse = |refusal| {
        let mut partition = begin(&log);
        let _ = answer(&mut partition, data(10, 11), &log, at(0));
        (partition.append_refused(refusal, at(0), BACKOFF), partition.is_ready(at(0)), partition.is_ready(at(100)))
    };
    assert_eq!(refuse(AppendRefusal::Corrupt), (None, false, true));
    assert_eq!(refuse(AppendRefusal::Later), (None, false, true));
    let failed = Some(FollowerEffect::Fail(FailureReason::Storage));
    assert_eq!(refuse(AppendRefusal::Unwritable), (failed, false, false));
}

#[test]
fn an_append_of_nothing_waits() {
    let log = TestLog::new(&[(5, 0)], 10);
    let mut partition = begin(&log);
    let _ = answer(&mut partition, data(10, 11), &log, at(0));
    assert_eq!(partition.appended(&log, at(0), BACKOFF), None);
    assert_eq!(partition.delayed_until(), Some(at(100)));
}

/// What follows on OFFSET_OUT_OF_RANGE when the leader's log is from `start` to `end`.
fn out_of_range(log: &mut TestLog, start: i64, end: i64) -> (FollowerPartition, Option<FollowerEffect>) {
    let mut partition = begin(log);
    let list = |which| Some(FollowerEffect::ListOffset(which));
    let refused = PartitionAnswer::Fault(FetchFault::OffsetOutOfRange);
    assert_eq!(answer(&mut partition, refused, log, at(0)), list(ListedOffset::Latest));
    assert!(!partition.is_ready(at(0)));
    let effect = partition.listed(ListedOffset::Latest, Ok(Offset(end)), log, at(1), BACKOFF);
    if effect != list(ListedOffset::Earliest) {
        return (partition, effect);
    }
    let effect = partition.listed(ListedOffset::Earliest, Ok(Offset(start)), log, at(2), BACKOFF);
    (partition, effect)
}

#[test]
fn beyond_the_end_of_an_uncleanly_elected_leader_the_log_is_cut() {
    let mut log = TestLog::new(&[(5, 0)], 10);
    let (mut partition, effect) = out_of_range(&mut log, 0, 6);
    assert_eq!(effect, truncate(6, true));
    log.truncate(6);
    assert_eq!(partition.truncated(&log), None);
    assert_eq!(partition.position().offset, Offset(6));
}

#[test]
fn before_the_start_of_the_leader_the_log_begins_anew_there() {
    let mut log = TestLog::new(&[(5, 0)], 10);
    let (mut partition, effect) = out_of_range(&mut log, 40, 60);
    assert_eq!(effect, Some(FollowerEffect::TruncateFully { start_at: Offset(40) }));
    assert_eq!(partition.lag(), Some(20));
    let log = TestLog { start: 40, end: 40, high_watermark: 40, epochs: Vec::new() };
    assert_eq!(partition.truncated(&log), None);
    assert_eq!(partition.position().last_fetched_epoch, None);
    assert_eq!(partition.position().offset, Offset(40));
    // The next answer moves the high watermark on (KAFKA-9491).
    assert!(matches!(answer(&mut partition, data(5, 60), &log, at(3)), Some(FollowerEffect::Append { .. })));
    let log = TestLog { end: 50, epochs: vec![(7, 40)], ..log };
    assert_eq!(partition.appended(&log, at(4), BACKOFF), advance(50, None));
}

#[test]
fn within_the_range_of_the_leader_it_asks_again_and_waits_if_that_is_refused_too() {
    let mut log = TestLog::new(&[(5, 0)], 10);
    let (mut partition, effect) = out_of_range(&mut log, 0, 30);
    assert_eq!((effect, partition.is_ready(at(2))), (None, true));
    let _ = answer(&mut partition, PartitionAnswer::Fault(FetchFault::OffsetOutOfRange), &log, at(3));
    let _ = partition.listed(ListedOffset::Latest, Ok(Offset(30)), &log, at(4), BACKOFF);
    assert_eq!(partition.listed(ListedOffset::Earliest, Ok(Offset(0)), &log, at(5), BACKOFF), None);
    assert_eq!(partition.delayed_until(), Some(at(105)));
}

#[test]
fn a_leader_that_does_not_say_where_its_log_ends_is_asked_again_later() {
    let log = TestLog::new(&[(5, 0)], 10);
    let ask = |fault| {
        let mut partition = begin(&log);
        let _ = answer(&mut partition, PartitionAnswer::Fault(FetchFault::OffsetOutOfRange), &log, at(0));
        let effect = partition.listed(ListedOffset::Latest, Err(fault), &log, at(1), BACKOFF);
        (effect, partition.delayed_until())
    };
    assert_eq!(ask(FetchFault::Retriable), (None, Some(at(101))));
    assert_eq!(ask(FetchFault::FencedLeaderEpoch), (Some(FollowerEffect::Fail(FailureReason::Fenced)), None));
}
