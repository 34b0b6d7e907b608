use super::*;
use crate::leader::FetchPosition;
use ottla_types::{LeaderEpoch, Offset, PartitionIndex, Uuid};

fn partition(index: i32) -> TopicIdPartition {
    TopicIdPartition { topic_id: Uuid::from_u128(1), partition: PartitionIndex(index) }
}

fn wanted(index: i32, offset: i64) -> FetchPartition {
    let position = FetchPosition {
        leader_epoch: Some(LeaderEpoch(0)),
        offset: Offset(offset),
        last_fetched_epoch: Some(LeaderEpoch(0)),
    };
    FetchPartition { partition: partition(index), position, log_start: Offset(0), bytes_max: 1 }
}

fn request(session: &mut FetchSession, wanted: &[FetchPartition]) -> (i32, i32, Vec<i32>, Vec<i32>) {
    let request = session.request(wanted.to_vec());
    let named = request.partitions.iter().map(|known| known.partition.partition.0).collect();
    (request.id, request.epoch, named, request.forgotten.iter().map(|known| known.partition.0).collect())
}

fn accept(session: &mut FetchSession, id: i32, mentioned: &[i32]) -> bool {
    session.answered(&SessionAnswer::Accepted { id }, &mentioned.iter().copied().map(partition).collect())
}

#[test]
fn after_a_full_request_only_changes_are_named() {
    let mut session = FetchSession::default();
    assert_eq!(request(&mut session, &[wanted(1, 0), wanted(0, 0)]), (0, 0, vec![1, 0], vec![]));
    assert!(accept(&mut session, 9, &[0, 1]));
    assert_eq!(request(&mut session, &[wanted(0, 0), wanted(1, 5)]), (9, 1, vec![1], vec![]));
    assert!(accept(&mut session, 9, &[]));
    assert_eq!(request(&mut session, &[wanted(2, 0), wanted(1, 5)]), (9, 2, vec![2], vec![0]));
    assert!(accept(&mut session, 9, &[2]));
    assert_eq!(request(&mut session, &[]), (9, 3, vec![], vec![1, 2]));
    assert!(session.is_empty());
}

#[test]
fn without_a_session_every_request_names_everything() {
    let mut session = FetchSession::default();
    for _ in 0..3 {
        assert_eq!(request(&mut session, &[wanted(0, 0)]), (0, 0, vec![0], vec![]));
        assert!(accept(&mut session, 0, &[0]));
    }
}

#[test]
fn a_session_that_the_leader_does_not_know_is_begun_anew_and_another_is_ended_first() {
    for (answer, id) in [(SessionAnswer::Unknown, 0), (SessionAnswer::Refused, 9)] {
        let mut session = FetchSession::default();
        let _ = request(&mut session, &[wanted(0, 0)]);
        assert!(accept(&mut session, 9, &[0]));
        let _ = request(&mut session, &[wanted(0, 1)]);
        assert!(!session.answered(&answer, &BTreeSet::new()));
        assert_eq!(request(&mut session, &[wanted(0, 1)]), (id, 0, vec![0], vec![]));
    }
}

#[test]
fn after_no_answer_the_next_request_is_full() {
    let mut session = FetchSession::default();
    let _ = request(&mut session, &[wanted(0, 0)]);
    assert!(accept(&mut session, 9, &[0]));
    let _ = request(&mut session, &[wanted(0, 1)]);
    session.failed();
    assert_eq!(request(&mut session, &[wanted(0, 1)]), (9, 0, vec![0], vec![]));
}

#[test]
fn an_answer_that_does_not_fit_is_not_used() {
    let mut session = FetchSession::default();
    let _ = request(&mut session, &[wanted(0, 0), wanted(1, 0)]);
    assert!(!accept(&mut session, 9, &[0]));
    let _ = request(&mut session, &[wanted(0, 0)]);
    assert!(!accept(&mut session, 9, &[0, 1]));
    let _ = request(&mut session, &[wanted(0, 0)]);
    assert!(accept(&mut session, 9, &[0]));
    let _ = request(&mut session, &[wanted(0, 1)]);
    assert!(!accept(&mut session, 9, &[5]));
    assert_eq!(request(&mut session, &[wanted(0, 1)]), (9, 0, vec![0], vec![]));
}

#[test]
fn an_answer_without_a_session_ends_it() {
    let mut session = FetchSession::default();
    let _ = request(&mut session, &[wanted(0, 0)]);
    assert!(accept(&mut session, 9, &[0]));
    let _ = request(&mut session, &[wanted(0, 1)]);
    assert!(accept(&mut session, 0, &[0]));
    assert_eq!(request(&mut session, &[wanted(0, 2)]), (0, 0, vec![0], vec![]));
}

#[test]
fn epochs_go_on_with_1_after_the_greatest() {
    assert_eq!([0, 1, i32::MAX].map(next_epoch), [1, 2, 1]);
}
