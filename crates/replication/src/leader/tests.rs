use super::*;
use ottla_types::NodeId;

const LAG_MAX: Duration = Duration::from_millis(1_000);

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ids(list: &[i32]) -> Vec<BrokerId> {
    list.iter().copied().map(NodeId).collect()
}

fn state(replicas: &[i32], in_sync: &[i32], epochs: (i32, i32)) -> PartitionState {
    PartitionState {
        leader_epoch: LeaderEpoch(epochs.0),
        partition_epoch: epochs.1,
        replicas: ids(replicas),
        in_sync: ids(in_sync),
        eligible: ids(replicas).into_iter().collect(),
    }
}

fn begin(replicas: &[i32], in_sync: &[i32], min_in_sync: usize) -> Leader {
    let settings = LeaderSettings { local: NodeId(1), lag_max: LAG_MAX, min_in_sync };
    let log = LogOffsets { start: Offset(0), end: Offset(10), high_watermark: Offset(4) };
    Leader::begin(settings, &state(replicas, in_sync, (3, 7)), log, at(0)).0
}

fn fetch(replica: i32, offset: i64) -> FollowerFetch {
    FollowerFetch {
        replica: NodeId(replica),
        broker_epoch: Some(BrokerEpoch(1)),
        offset: Offset(offset),
        log_start: Offset(0),
    }
}

fn high(offset: i64) -> Progress {
    Progress { high_watermark: Some(Offset(offset)), ..Progress::default() }
}

#[test]
fn with_one_replica_everything_is_committed_when_it_is_appended() {
    let settings = LeaderSettings { local: NodeId(1), lag_max: LAG_MAX, min_in_sync: 1 };
    let log = LogOffsets { start: Offset(2), end: Offset(10), high_watermark: Offset(4) };
    let (mut leader, progress) = Leader::begin(settings, &state(&[1], &[1], (3, 7)), log, at(0));
    let expected = Progress { high_watermark: Some(Offset(10)), low_watermark: Some(Offset(2)), proposal: None };
    assert_eq!(progress, expected);
    assert_eq!(leader.appended(Offset(11), at(1)), high(11));
    assert_eq!(leader.acknowledgement(Offset(11)), Acknowledgement::Done);
    assert_eq!(leader.acknowledgement(Offset(12)), Acknowledgement::Waiting);
    assert_eq!(leader.check_lag(at(9_999)), Progress::default());
}

#[test]
fn a_topic_that_demands_more_replicas_than_it_has_is_content_with_all() {
    let mut leader = begin(&[1], &[1], 2);
    assert_eq!(leader.check_append_with_all_acks(), Ok(()));
    assert_eq!(leader.appended(Offset(11), at(1)), high(11));
    assert_eq!(leader.acknowledgement(Offset(11)), Acknowledgement::Done);
}

#[test]
fn a_high_watermark_from_a_checkpoint_is_held_within_the_log() {
    let settings = LeaderSettings { local: NodeId(1), lag_max: LAG_MAX, min_in_sync: 1 };
    let log = LogOffsets { start: Offset(5), end: Offset(10), high_watermark: Offset(99) };
    let (leader, _) = Leader::begin(settings, &state(&[1, 2], &[1, 2], (3, 7)), log, at(0));
    assert_eq!(leader.high_watermark(), Offset(10));
}

#[test]
fn the_high_watermark_waits_for_the_slowest_replica_in_sync() {
    let mut leader = begin(&[1, 2, 3], &[1, 2, 3], 2);
    assert_eq!(leader.follower_fetched(fetch(2, 10), at(1)), Ok(Progress::default()));
    let progress = leader.follower_fetched(fetch(3, 8), at(2)).unwrap();
    assert_eq!(progress.high_watermark, Some(Offset(8)));
    assert_eq!(leader.appended(Offset(12), at(3)).high_watermark, None);
    assert_eq!(leader.follower_fetched(fetch(3, 12), at(4)).unwrap().high_watermark, Some(Offset(10)));
    assert_eq!(leader.follower_fetched(fetch(2, 12), at(5)).unwrap().high_watermark, Some(Offset(12)));
}

#[test]
fn a_follower_that_lags_too_long_is_proposed_out_and_still_waited_for_until_the_controller_agrees() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    assert_eq!(leader.appended(Offset(12), at(10)).high_watermark, None);
    assert_eq!(leader.check_lag(at(1_000)).proposal, None);
    let proposal = leader.check_lag(at(1_001)).proposal;
    assert_eq!(proposal, Some(IsrProposal { replicas: ids(&[1]), partition_epoch: 7 }));
    assert_eq!(leader.high_watermark(), Offset(4));
    assert_eq!(leader.check_lag(at(1_002)).proposal, None);
    let progress = leader.answered(IsrAnswer::Accepted { partition_epoch: 8 }, at(1_003));
    assert_eq!(progress.high_watermark, Some(Offset(12)));
}

#[test]
fn a_refused_proposal_is_made_again() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    assert!(leader.check_lag(at(1_001)).proposal.is_some());
    assert_eq!(leader.answered(IsrAnswer::Refused, at(1_002)), Progress::default());
    assert!(leader.check_lag(at(1_003)).proposal.is_some());
}

#[test]
fn a_follower_that_has_everything_committed_and_of_earlier_epochs_is_proposed_in() {
    let mut leader = begin(&[1, 2], &[1], 1);
    assert_eq!(leader.high_watermark(), Offset(10));
    assert_eq!(leader.follower_fetched(fetch(2, 9), at(1)).unwrap().proposal, None);
    let proposal = leader.follower_fetched(fetch(2, 10), at(2)).unwrap().proposal;
    assert_eq!(proposal, Some(IsrProposal { replicas: ids(&[1, 2]), partition_epoch: 7 }));
    // From now on it may be in sync, so nothing is committed without it.
    assert_eq!(leader.appended(Offset(11), at(3)).high_watermark, None);
    assert_eq!(leader.follower_fetched(fetch(2, 11), at(4)).unwrap().high_watermark, Some(Offset(11)));
}

#[test]
fn a_follower_whose_broker_is_fenced_does_not_join() {
    let mut leader = begin(&[1, 2], &[1], 1);
    let fenced = PartitionState { eligible: ids(&[1]).into_iter().collect(), ..state(&[1, 2], &[1], (3, 7)) };
    let _ = leader.apply(&fenced, at(1));
    assert_eq!(leader.follower_fetched(fetch(2, 10), at(2)).unwrap().proposal, None);
}

#[test]
fn below_the_minimum_nothing_is_accepted_nothing_commits_and_what_waits_learns_it() {
    let mut leader = begin(&[1, 2, 3], &[1, 2], 2);
    let _ = leader.appended(Offset(12), at(1));
    let _ = leader.follower_fetched(fetch(2, 12), at(2));
    assert_eq!(leader.acknowledgement(Offset(12)), Acknowledgement::Done);
    let _ = leader.apply(&state(&[1, 2, 3], &[1], (3, 8)), at(3));
    assert_eq!(leader.check_append_with_all_acks(), Err(NotEnoughReplicas { in_sync: 1, needed: 2 }));
    assert_eq!(leader.acknowledgement(Offset(12)), Acknowledgement::TooFewReplicas);
    assert_eq!(leader.appended(Offset(13), at(4)).high_watermark, None);
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
    let _ = leader.follower_fetched(fetch(2, 10), at(1));
    let _ = leader.apply(&state(&[1, 2], &[1, 2], (4, 8)), at(2));
    assert_eq!((leader.leader_epoch(), leader.epoch_start()), (LeaderEpoch(4), Offset(10)));
    assert_eq!(leader.followers()[&NodeId(2)].log_end, None);
    assert_eq!(leader.high_watermark(), Offset(10));
}

#[test]
fn deleted_records_are_gone_when_every_live_replica_starts_later() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    assert_eq!(leader.log_start_moved(Offset(6), at(1)).low_watermark, None);
    assert_eq!(leader.high_watermark(), Offset(6));
    let fetch = FollowerFetch { log_start: Offset(6), ..fetch(2, 10) };
    assert_eq!(leader.follower_fetched(fetch, at(2)).unwrap().low_watermark, Some(Offset(6)));
    let mut alone = begin(&[1], &[1], 1);
    assert_eq!(alone.log_start_moved(Offset(6), at(1)).low_watermark, Some(Offset(6)));
}

#[test]
fn a_fetch_of_a_broker_without_a_replica_is_refused() {
    let mut leader = begin(&[1, 2], &[1, 2], 1);
    assert_eq!(leader.follower_fetched(fetch(9, 0), at(1)), Err(FetchRefusal(NodeId(9))));
}
