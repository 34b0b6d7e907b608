use super::*;
use crate::log_view::EpochEnd;
use crate::partition_state::BrokerStatus;
use crate::test_log::TestLog;
use ottla_types::NodeId;

const LAG_MAX: Duration = Duration::from_millis(1_000);

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ids(list: &[i32]) -> Vec<BrokerId> {
    list.iter().copied().map(NodeId).collect()
}

/// The epoch of a broker's registration in these tests.
fn broker_epoch(id: BrokerId) -> BrokerEpoch {
    BrokerEpoch(100 + i64::from(id.0))
}

fn status(id: BrokerId) -> BrokerStatus {
    BrokerStatus { epoch: broker_epoch(id), is_fenced: false, is_shutting_down: false }
}

fn state(replicas: &[i32], in_sync: &[i32], epochs: (i32, i32)) -> PartitionState {
    PartitionState {
        leader: Some(NodeId(1)),
        leader_epoch: LeaderEpoch(epochs.0),
        partition_epoch: epochs.1,
        replicas: ids(replicas),
        adding: Vec::new(),
        removing: Vec::new(),
        in_sync: ids(in_sync),
        brokers: ids(replicas).into_iter().map(|id| (id, status(id))).collect(),
    }
}

fn settings(min_in_sync: usize) -> LeaderSettings {
    LeaderSettings { local: NodeId(1), local_epoch: broker_epoch(NodeId(1)), lag_max: LAG_MAX, min_in_sync }
}

fn offsets(start: i64, end: i64, high_watermark: i64) -> LogOffsets {
    LogOffsets {
        start: Offset(start),
        end: Offset(end),
        acknowledgeable: Offset(end),
        high_watermark: Offset(high_watermark),
    }
}

/// A leader in epoch 3 whose log ends at 10 with the high watermark at 4.
fn begin(replicas: &[i32], in_sync: &[i32], min_in_sync: usize) -> Leader {
    Leader::begin(settings(min_in_sync), &state(replicas, in_sync, (3, 7)), offsets(0, 10, 4), at(0)).0
}

/// The log of that leader: epoch 1 from 0, epoch 3 from 10.
fn log(end: i64) -> TestLog {
    TestLog::new(&[(1, 0), (3, 10)], end)
}

fn fetch(replica: i32, offset: i64) -> FollowerFetch {
    FollowerFetch {
        replica: NodeId(replica),
        broker_epoch: FetcherEpoch::Said(broker_epoch(NodeId(replica))),
        position: FetchPosition {
            leader_epoch: Some(LeaderEpoch(3)),
            offset: Offset(offset),
            last_fetched_epoch: Some(LeaderEpoch(if offset > 10 { 3 } else { 1 })),
        },
        log_start: Offset(0),
    }
}

fn fetched(leader: &mut Leader, fetch: FollowerFetch, now: Duration) -> Progress {
    let end = leader.log_end.0;
    leader.follower_fetched(fetch, &log(end), now).unwrap().1
}

fn appended(leader: &mut Leader, end: i64, now: Duration) -> Progress {
    leader.appended(Offset(end), Offset(end), now)
}

fn high(offset: i64) -> Progress {
    Progress { high_watermark: Some(Offset(offset)), ..Progress::default() }
}

fn members(proposal: &AlterPartition) -> Vec<(i32, i64)> {
    proposal.in_sync.iter().map(|member| (member.broker.0, member.epoch.0)).collect()
}

fn accepted(partition_epoch: i32, in_sync: &[i32]) -> AlterPartitionAnswer {
    AlterPartitionAnswer::Accepted { leader_epoch: LeaderEpoch(3), partition_epoch, in_sync: ids(in_sync) }
}

#[test]
fn with_one_replica_everything_is_committed_when_it_is_appended() {
    let (mut leader, progress) = Leader::begin(settings(1), &state(&[1], &[1], (3, 7)), offsets(2, 10, 4), at(0));
    let expected = Progress { high_watermark: Some(Offset(10)), low_watermark: Some(Offset(2)), ..Progress::default() };
    assert_eq!(progress, expected);
    assert_eq!(appended(&mut leader, 11, at(1)), high(11));
    assert_eq!(leader.acknowledgement(Offset(11)), Acknowledgement::Done);
    assert_eq!(leader.acknowledgement(Offset(12)), Acknowledgement::Waiting);
    assert_eq!(leader.check_lag(at(9_999)), Progress::default());
}

#[test]
fn what_waits_for_a_sync_is_not_committed_though_all_replicas_have_it() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    let _ = fetched(&mut leader, fetch(2, 10), at(1));
    let _ = leader.appended(Offset(14), Offset(10), at(2));
    assert_eq!(fetched(&mut leader, fetch(2, 14), at(3)).high_watermark, None);
    assert_eq!(leader.synced(Offset(12), at(4)).high_watermark, Some(Offset(12)));
    assert_eq!(leader.synced(Offset(99), at(5)).high_watermark, Some(Offset(14)));
}

#[test]
fn a_topic_that_demands_more_replicas_than_it_has_is_content_with_all() {
    let mut leader = begin(&[1], &[1], 2);
    assert_eq!(leader.check_append_with_all_acks(), Ok(()));
    assert_eq!(appended(&mut leader, 11, at(1)), high(11));
    assert_eq!(leader.acknowledgement(Offset(11)), Acknowledgement::Done);
}

#[test]
fn a_high_watermark_from_a_checkpoint_is_held_within_the_log() {
    let (leader, _) = Leader::begin(settings(1), &state(&[1, 2], &[1, 2], (3, 7)), offsets(5, 10, 99), at(0));
    assert_eq!(leader.high_watermark(), Offset(10));
}

#[test]
fn the_high_watermark_waits_for_the_slowest_replica_in_sync() {
    let mut leader = begin(&[1, 2, 3], &[1, 2, 3], 2);
    assert_eq!(fetched(&mut leader, fetch(2, 10), at(1)).high_watermark, None);
    assert_eq!(fetched(&mut leader, fetch(3, 8), at(2)).high_watermark, Some(Offset(8)));
    assert_eq!(appended(&mut leader, 12, at(3)).high_watermark, None);
    assert_eq!(fetched(&mut leader, fetch(3, 12), at(4)).high_watermark, Some(Offset(10)));
    assert_eq!(fetched(&mut leader, fetch(2, 12), at(5)).high_watermark, Some(Offset(12)));
    assert_eq!(fetched(&mut leader, fetch(2, 8), at(6)).high_watermark, None);
    assert_eq!(leader.high_watermark(), Offset(12));
}

#[test]
fn a_follower_that_lags_too_long_is_proposed_out_and_still_waited_for_until_the_controller_agrees() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    assert_eq!(appended(&mut leader, 12, at(10)).high_watermark, None);
    assert_eq!(leader.check_lag(at(1_000)).proposal, None);
    let proposal = leader.check_lag(at(1_001)).proposal.unwrap();
    assert_eq!((members(&proposal), proposal.partition_epoch), (vec![(1, 101)], 7));
    assert_eq!(leader.high_watermark(), Offset(4));
    assert_eq!(leader.check_lag(at(1_002)).proposal, None);
    let progress = leader.answered(proposal.number, &accepted(8, &[1]), at(1_003));
    let expected = Progress { isr_change: Some(IsrChange::Shrunk), ..high(12) };
    assert_eq!((progress, leader.partition_epoch()), (expected, 8));
}

#[test]
fn a_follower_that_fetches_what_was_there_at_its_last_fetch_keeps_up() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    for round in 1..10u64 {
        let end = 10 + i64::try_from(round).unwrap();
        let _ = appended(&mut leader, end, at(round * 600));
        let _ = fetched(&mut leader, fetch(2, end - 1), at(round * 600 + 1));
        assert_eq!(leader.check_lag(at(round * 600 + 2)).proposal, None, "round {round}");
    }
    assert!(leader.check_lag(at(7_000)).proposal.is_some());
}

#[test]
fn a_follower_that_has_everything_committed_and_of_earlier_epochs_is_proposed_in() {
    let mut leader = begin(&[1, 2], &[1], 1);
    assert_eq!(leader.high_watermark(), Offset(10));
    assert_eq!(fetched(&mut leader, fetch(2, 9), at(1)).proposal, None);
    let proposal = fetched(&mut leader, fetch(2, 10), at(2)).proposal.unwrap();
    assert_eq!(members(&proposal), [(1, 101), (2, 102)]);
    // From now on it may be in sync, so nothing is committed without it.
    assert_eq!(appended(&mut leader, 11, at(3)).high_watermark, None);
    assert_eq!(fetched(&mut leader, fetch(2, 11), at(4)).high_watermark, Some(Offset(11)));
    let answer = leader.answered(proposal.number, &accepted(8, &[1, 2]), at(5));
    assert_eq!(answer.isr_change, Some(IsrChange::Expanded));
    assert_eq!(leader.in_sync().collect::<Vec<_>>(), ids(&[1, 2]));
}

#[test]
fn a_follower_before_the_start_of_the_epoch_does_not_join_though_it_has_what_is_known_to_be_committed() {
    let mut leader = begin(&[1, 2, 3], &[1, 2], 2);
    assert_eq!(leader.high_watermark(), Offset(4));
    assert_eq!(fetched(&mut leader, fetch(3, 9), at(1)).proposal, None);
    assert!(fetched(&mut leader, fetch(3, 10), at(2)).proposal.is_some());
}

#[test]
fn a_follower_whose_broker_may_not_be_in_sync_does_not_join() {
    let join = |change: fn(&mut BrokerStatus)| {
        let mut leader = begin(&[1, 2], &[1], 1);
        let mut news = state(&[1, 2], &[1], (3, 7));
        change(news.brokers.get_mut(&NodeId(2)).unwrap());
        let _ = leader.apply(&news, at(1));
        fetched(&mut leader, fetch(2, 10), at(2)).proposal.is_some()
    };
    assert!(join(|_| {}));
    assert!(!join(|broker| broker.is_fenced = true));
    assert!(!join(|broker| broker.is_shutting_down = true));
    assert!(!join(|broker| broker.epoch = BrokerEpoch(1)));
}

#[test]
fn a_fetch_of_an_earlier_life_of_a_broker_is_refused_and_changes_nothing() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    let before = leader.clone();
    let stale = FollowerFetch { broker_epoch: FetcherEpoch::Said(BrokerEpoch(101)), ..fetch(2, 10) };
    assert_eq!(leader.follower_fetched(stale, &log(10), at(1)), Err(FetchRefusal::StaleBroker(NodeId(2))));
    assert_eq!(leader, before);
    let unsaid = FollowerFetch { broker_epoch: FetcherEpoch::Unsaid, ..fetch(2, 10) };
    assert_eq!(fetched(&mut leader, unsaid, at(1)).high_watermark, Some(Offset(10)));
}

#[test]
fn a_caught_up_follower_that_is_not_in_sync_holds_the_high_watermark_back_so_that_it_can_join() {
    let mut leader = begin(&[1, 2], &[1], 1);
    let proposal = fetched(&mut leader, fetch(2, 10), at(1)).proposal.unwrap();
    let refused = AlterPartitionAnswer::Refused(AlterPartitionError::NotApplied);
    let _ = leader.answered(proposal.number, &refused, at(2));
    assert_eq!(appended(&mut leader, 12, at(3)).high_watermark, None);
    // It has not been caught up for too long: it is waited for no more.
    assert_eq!(leader.check_lag(at(1_002)).high_watermark, Some(Offset(12)));
}

#[test]
fn each_answer_to_a_proposal_has_its_consequence() {
    let answer = |error| {
        let mut leader = begin(&[1, 2], &[1], 1);
        let proposal = fetched(&mut leader, fetch(2, 10), at(1)).proposal.unwrap();
        let progress = leader.answered(proposal.number, &AlterPartitionAnswer::Refused(error), at(2));
        assert_eq!(progress.isr_change, Some(IsrChange::Failed));
        assert!(progress.proposal.as_ref().is_none_or(|again| *again == proposal));
        (leader.may_be_in_sync(NodeId(2)), leader.pending_proposal().is_some(), progress.proposal.is_some())
    };
    assert_eq!(answer(AlterPartitionError::NotApplied), (false, false, false));
    assert_eq!(answer(AlterPartitionError::Outdated), (true, true, false));
    assert_eq!(answer(AlterPartitionError::Retriable), (true, true, true));
}

#[test]
fn a_proposal_is_repeated_with_the_broker_epochs_that_it_was_made_with() {
    let mut leader = begin(&[1, 2], &[1], 1);
    let proposal = fetched(&mut leader, fetch(2, 10), at(1)).proposal.unwrap();
    // The broker comes back with an empty disk.
    let reborn = FollowerFetch { broker_epoch: FetcherEpoch::Said(BrokerEpoch(900)), ..fetch(2, 0) };
    let _ = fetched(&mut leader, reborn, at(2));
    let retry = AlterPartitionAnswer::Refused(AlterPartitionError::Retriable);
    assert_eq!(leader.answered(proposal.number, &retry, at(3)).proposal, Some(proposal));
}

#[test]
fn an_answer_that_newer_metadata_has_overtaken_is_ignored() {
    let mut leader = begin(&[1, 2, 3], &[1], 1);
    let proposal = fetched(&mut leader, fetch(2, 10), at(1)).proposal.unwrap();
    let _ = leader.apply(&state(&[1, 2, 3], &[1, 3], (3, 8)), at(2));
    assert_eq!(leader.answered(proposal.number, &accepted(9, &[1, 2]), at(3)), Progress::default());
    assert_eq!(leader.in_sync().collect::<Vec<_>>(), ids(&[1, 3]));
}

#[test]
fn an_answer_of_another_leader_epoch_changes_nothing() {
    let mut leader = begin(&[1, 2], &[1], 1);
    let proposal = fetched(&mut leader, fetch(2, 10), at(1)).proposal.unwrap();
    let mut answer = accepted(8, &[1, 2]);
    if let AlterPartitionAnswer::Accepted { leader_epoch, .. } = &mut answer {
        *leader_epoch = LeaderEpoch(4);
    }
    assert_eq!(leader.answered(proposal.number, &answer, at(2)).isr_change, Some(IsrChange::Failed));
    assert!(leader.pending_proposal().is_some());
}

#[test]
fn metadata_of_the_same_partition_epoch_does_not_end_a_proposal_that_rests_on_it() {
    let mut leader = begin(&[1, 2], &[1], 1);
    assert!(fetched(&mut leader, fetch(2, 10), at(1)).proposal.is_some());
    let _ = leader.apply(&state(&[1, 2], &[1], (3, 7)), at(2));
    assert!(leader.may_be_in_sync(NodeId(2)));
    assert_eq!(appended(&mut leader, 12, at(9_999)).high_watermark, None);
}

#[test]
fn below_the_minimum_nothing_is_accepted_nothing_commits_and_what_waits_learns_it() {
    let mut leader = begin(&[1, 2, 3], &[1, 2], 2);
    let _ = appended(&mut leader, 12, at(1));
    let _ = fetched(&mut leader, fetch(2, 12), at(2));
    assert_eq!(leader.acknowledgement(Offset(12)), Acknowledgement::Done);
    let _ = leader.apply(&state(&[1, 2, 3], &[1], (3, 8)), at(3));
    assert_eq!(leader.check_append_with_all_acks(), Err(NotEnoughReplicas { in_sync: 1, needed: 2 }));
    assert_eq!(leader.acknowledgement(Offset(12)), Acknowledgement::TooFewReplicas);
    assert_eq!(appended(&mut leader, 13, at(4)).high_watermark, None);
    assert_eq!(leader.set_min_in_sync(1, at(5_000)).high_watermark, Some(Offset(13)));
}

#[test]
fn an_older_state_of_the_partition_changes_nothing() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    let before = leader.clone();
    assert_eq!(leader.apply(&state(&[1], &[1], (3, 6)), at(1)), Progress::default());
    assert_eq!(leader.apply(&state(&[1], &[1], (2, 9)), at(1)), Progress::default());
    assert_eq!(leader, before);
}

#[test]
fn a_new_leader_epoch_forgets_how_far_followers_were() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    let _ = fetched(&mut leader, fetch(2, 10), at(1));
    let _ = leader.apply(&state(&[1, 2], &[1, 2], (4, 8)), at(2));
    assert_eq!((leader.leader_epoch(), leader.epoch_start()), (LeaderEpoch(4), Offset(10)));
    assert_eq!(leader.followers()[&NodeId(2)].log_end, None);
    assert_eq!(leader.high_watermark(), Offset(10));
}

#[test]
fn deleted_records_are_gone_when_every_live_replica_starts_later() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    assert_eq!(leader.delete_records_before(Offset(-1)), Ok(Offset(4)));
    assert_eq!(leader.delete_records_before(Offset(3)), Ok(Offset(3)));
    for wrong in [-2, 5] {
        let refusal = DeleteRecordsRefusal { requested: Offset(wrong), high_watermark: Offset(4) };
        assert_eq!(leader.delete_records_before(Offset(wrong)), Err(refusal));
    }
    assert_eq!(leader.log_start_moved(Offset(4), at(1)).low_watermark, None);
    let fetch = FollowerFetch { log_start: Offset(4), ..fetch(2, 10) };
    assert_eq!(fetched(&mut leader, fetch, at(2)).low_watermark, Some(Offset(4)));
    let _ = leader.log_start_moved(Offset(8), at(3));
    assert_eq!(leader.low_watermark(), Offset(4));
    // A broker that is gone keeps nobody waiting.
    let mut gone = state(&[1, 2], &[1], (3, 8));
    gone.brokers.get_mut(&NodeId(2)).unwrap().is_fenced = true;
    assert_eq!(leader.apply(&gone, at(5)).low_watermark, Some(Offset(8)));
}

#[test]
fn a_fetch_is_compared_with_epoch_replicas_and_log() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    let mut ask = |epoch: Option<i32>, replica, offset, last: Option<i32>| {
        let position = FetchPosition {
            leader_epoch: epoch.map(LeaderEpoch),
            offset: Offset(offset),
            last_fetched_epoch: last.map(LeaderEpoch),
        };
        let log = TestLog { start: 2, ..log(12) };
        leader.follower_fetched(FollowerFetch { position, ..fetch(replica, 0) }, &log, at(1)).map(|(read, _)| read)
    };
    let current = LeaderEpoch(3);
    assert_eq!(ask(Some(2), 2, 10, None), Err(EpochRefusal::Fenced { current }.into()));
    assert_eq!(ask(Some(4), 2, 10, None), Err(EpochRefusal::Unknown { current }.into()));
    assert_eq!(ask(Some(3), 9, 10, None), Err(FetchRefusal::UnknownReplica(NodeId(9))));
    let out_of_range =
        |offset| Err(FetchRefusal::OutOfRange { requested: Offset(offset), start: Offset(2), end: Offset(12) });
    assert_eq!(ask(Some(3), 2, 13, None), out_of_range(13));
    assert_eq!(ask(Some(3), 2, 1, Some(1)), out_of_range(1));
    assert_eq!(ask(None, 2, 12, None), Ok(FetchRead::From(Offset(12))));
    let diverging =
        |epoch, end| Ok(FetchRead::Diverging(EpochEnd { epoch: LeaderEpoch(epoch), end_offset: Offset(end) }));
    assert_eq!(ask(Some(3), 2, 11, Some(1)), diverging(1, 10));
    assert_eq!(ask(Some(3), 2, 9, Some(2)), diverging(1, 10));
    // The leader has never heard of that epoch.
    assert_eq!(ask(Some(3), 2, 9, Some(4)), out_of_range(9));
    assert_eq!(ask(Some(3), 2, 10, Some(1)), Ok(FetchRead::From(Offset(10))));
}

#[test]
fn a_diverging_fetch_moves_nothing() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    let _ = appended(&mut leader, 20, at(1));
    let before = leader.clone();
    let position = FetchPosition { last_fetched_epoch: Some(LeaderEpoch(2)), ..fetch(2, 15).position };
    let (read, progress) =
        leader.follower_fetched(FollowerFetch { position, ..fetch(2, 15) }, &log(20), at(2)).unwrap();
    assert!(matches!(read, FetchRead::Diverging(_)));
    assert_eq!((progress, leader), (Progress::default(), before));
}

#[test]
fn a_consumer_is_sent_to_the_most_caught_up_replica_of_its_rack() {
    let mut leader = begin(&[1, 2, 3, 4], &[1, 2, 3], 1);
    for (replica, offset) in [(2, 8), (3, 9), (4, 10)] {
        let _ = fetched(&mut leader, fetch(replica, offset), at(1));
    }
    let rack_of = |broker: BrokerId| Some(if broker == NodeId(1) { "a" } else { "b" });
    let read = |rack, offset| leader.read_replica(ReplicaSelector::RackAware, rack, Offset(offset), rack_of, at(2));
    assert_eq!(read("a", 5), ReadFrom::Leader);
    assert_eq!(read("c", 5), ReadFrom::Leader);
    assert_eq!(read("", 5), ReadFrom::Leader);
    assert_eq!(read("b", 5), ReadFrom::Follower(NodeId(3)));
    assert_eq!(read("b", 9), ReadFrom::Follower(NodeId(3)));
    assert_eq!(read("b", 10), ReadFrom::Leader);
    let none = leader.read_replica(ReplicaSelector::Leader, "b", Offset(5), rack_of, at(2));
    assert_eq!(none, ReadFrom::Leader);
}

#[test]
fn figures_do_not_miss_what_a_reassignment_adds() {
    let mut reassigning = state(&[1, 2, 3], &[1, 2], (3, 7));
    reassigning.adding = ids(&[3]);
    let (leader, _) = Leader::begin(settings(2), &reassigning, offsets(0, 10, 10), at(0));
    let expected = LeaderFigures {
        replicas: 3,
        in_sync: 2,
        is_under_replicated: false,
        is_under_min_in_sync: false,
        is_at_min_in_sync: true,
        is_reassigning: true,
    };
    assert_eq!(leader.figures(), expected);
    let leader = begin(&[1, 2, 3], &[1], 2);
    let figures = leader.figures();
    assert!(figures.is_under_replicated && figures.is_under_min_in_sync && !figures.is_at_min_in_sync);
}

#[test]
fn the_latest_offset_is_unknown_until_what_earlier_leaders_may_have_committed_is() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    assert!(leader.is_latest_offset_unknown());
    let _ = fetched(&mut leader, fetch(2, 10), at(1));
    assert!(!leader.is_latest_offset_unknown());
    assert_eq!(leader.last_stable_offset(Some(Offset(7))), Offset(7));
    assert_eq!(leader.last_stable_offset(Some(Offset(70))), Offset(10));
    assert_eq!(leader.last_stable_offset(None), Offset(10));
}
