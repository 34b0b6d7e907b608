use super::world::{World, set};
use crate::TransactionState;
use ottla_protocol::ErrorCode;

#[test]
fn a_failed_append_changes_nothing_and_is_said_as_in_kafka() {
    let mut world = World::new();
    let only = world.init().unwrap();
    for (error, code) in [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ] {
        world.append_error = Some(error);
        assert_eq!(world.init(), Err(code));
        assert_eq!(world.add(only, &[("t", 0)]), code);
        world.append_error = None;
    }
    world.add(only, &[("t", 0)]);
    world.append_error = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(world.end(only, true), Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(world.init(), Err(ErrorCode::CoordinatorNotAvailable));
    world.append_error = None;
    world.advance(1_000);
    assert_eq!(world.state(), TransactionState::Ongoing);
    assert!(world.end(only, true).is_ok());
}

#[test]
fn a_transaction_completes_when_its_last_record_can_be_written_again() {
    let mut world = World::new();
    let only = world.init().unwrap();
    world.add(only, &[("t", 0)]);
    world.holds_markers = true;
    world.end(only, true).unwrap();
    world.append_error = Some(ErrorCode::KafkaStorageError);
    world.write_markers(&set(&[]));
    world.advance(1_000);
    assert_eq!(world.state(), TransactionState::PrepareCommit);
    world.append_error = None;
    world.advance(1_000);
    assert_eq!(world.state(), TransactionState::CompleteCommit);
    assert_eq!(world.written.len(), 1);
}

#[test]
fn no_marker_is_written_before_the_decision_is_committed() {
    let mut world = World::new();
    let only = world.init().unwrap();
    world.add(only, &[("t", 0)]);
    world.holds_commits = true;
    assert_eq!(world.send(super::world::end(only, true, crate::TransactionVersion::V2)), None);
    assert_eq!(world.state(), TransactionState::PrepareCommit);
    assert!(world.markers.is_empty() && world.written.is_empty());
    // It takes too long: the client is told so, and the coordinator tries on.
    world.time_out();
    world.advance(1_000);
    assert!(world.written.is_empty());
    world.holds_commits = false;
    world.commit();
    assert_eq!(world.written.len(), 1);
    assert_eq!(world.state(), TransactionState::CompleteCommit);
}

#[test]
fn a_new_coordinator_carries_decided_ends_out_and_leaves_open_ones_open() {
    let mut world = World::new();
    let only = world.init().unwrap();
    world.add(only, &[("t", 0)]);
    world.restart();
    assert_eq!(world.state(), TransactionState::Ongoing);
    world.holds_markers = true;
    let next = world.end(only, true).unwrap();
    world.restart();
    assert_eq!(world.markers.len(), 1);
    world.write_markers(&set(&[]));
    assert_eq!(world.state(), TransactionState::CompleteCommit);
    assert_eq!(world.end(only, true), Ok(next), "the client's retry finds the end");
    // An end without partitions that was decided just before.
    world.holds_commits = true;
    world.send(super::world::end(next, false, crate::TransactionVersion::V2));
    world.restart();
    assert_eq!(world.state(), TransactionState::PrepareAbort);
    world.holds_commits = false;
    world.commit();
    world.advance(0);
    assert_eq!(world.state(), TransactionState::CompleteAbort);
}

#[test]
fn after_a_load_markers_wait_until_all_that_was_read_is_committed() {
    let mut world = World::new();
    let only = world.init().unwrap();
    world.add(only, &[("t", 0)]);
    world.holds_markers = true;
    world.end(only, false).unwrap();
    world.holds_commits = true;
    world.restart();
    assert!(world.markers.is_empty());
    world.time_out();
    world.advance(1_000);
    assert!(world.markers.is_empty());
    world.commit();
    assert_eq!(world.markers.len(), 1);
}
