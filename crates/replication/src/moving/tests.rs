use super::*;
use crate::test_log::TestLog;

fn replica() -> TestLog {
    TestLog { high_watermark: 20, ..TestLog::new(&[(1, 0), (4, 10)], 20) }
}

fn empty() -> TestLog {
    TestLog::new(&[], 0)
}

#[test]
fn a_copy_takes_the_replicas_place_when_it_has_everything_and_the_controller_knows() {
    let (mut replica, mut copy, mut moving) = (replica(), empty(), FutureReplica::default());
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Copy { from: Offset(0) }));
    copy = TestLog { high_watermark: 15, ..TestLog::new(&[(1, 0), (4, 10)], 15) };
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Copy { from: Offset(15) }));
    copy.append(4, 5);
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::AssignDirectory));
    assert_eq!((moving.next(&replica, &copy), moving.state()), (None, MoveState::Assigning));
    // Records go on coming, also after the controller has answered.
    replica.append(4, 2);
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Copy { from: Offset(20) }));
    moving.assigned();
    copy.append(4, 2);
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Swap));
    moving.swapped();
    assert_eq!(moving.next(&replica, &copy), None);
}

#[test]
fn a_copy_that_an_earlier_process_began_is_compared_first() {
    let replica = replica();
    // Copied before the replica was cut and written anew in epoch 4.
    let mut copy = TestLog { high_watermark: 9, ..TestLog::new(&[(1, 0), (3, 12)], 14) };
    let mut moving = FutureReplica::default();
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Truncate { to: Offset(10) }));
    copy.truncate(10);
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Copy { from: Offset(10) }));
}

#[test]
fn epochs_that_only_the_copy_has_are_gone_through_one_by_one() {
    let replica = TestLog::new(&[(0, 0), (2, 8), (4, 12)], 20);
    let mut copy = TestLog::new(&[(0, 0), (1, 4), (3, 10)], 14);
    let mut moving = FutureReplica::default();
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Truncate { to: Offset(10) }));
    copy.truncate(10);
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Truncate { to: Offset(4) }));
    copy.truncate(4);
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Copy { from: Offset(4) }));
}

#[test]
fn a_truncation_of_the_replica_is_followed() {
    let mut replica = replica();
    let (mut copy, mut moving) = (replica.clone(), FutureReplica::default());
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::AssignDirectory));
    moving.assigned();
    replica.truncate(12);
    replica.append(6, 8);
    moving.replica_truncated(Offset(12));
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Truncate { to: Offset(12) }));
    copy.truncate(12);
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Copy { from: Offset(12) }));
    copy.append(6, 8);
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Swap));
}

#[test]
fn a_copy_without_epochs_is_cut_to_what_is_known_to_be_the_same() {
    let replica = replica();
    let copy = TestLog { high_watermark: 3, ..TestLog::new(&[], 8) };
    let mut moving = FutureReplica::default();
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Truncate { to: Offset(3) }));
    let mut moving = FutureReplica::default();
    moving.replica_truncated(Offset(2));
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::Truncate { to: Offset(2) }));
}

#[test]
fn a_copy_that_ends_before_the_replica_starts_begins_anew_there() {
    let replica = TestLog { start: 12, ..replica() };
    let copy = TestLog { high_watermark: 5, ..TestLog::new(&[(1, 0)], 5) };
    let mut moving = FutureReplica::default();
    assert_eq!(moving.next(&replica, &copy), Some(MoveEffect::TruncateFully { start_at: Offset(12) }));
}

#[test]
fn bounds_follow_the_replica() {
    let replica = TestLog { start: 6, high_watermark: 18, ..replica() };
    let copy = TestLog::new(&[(1, 0)], 10);
    assert_eq!(FutureReplica::default().bounds_after_copy(&replica, &copy), (Offset(10), Offset(6)));
}

#[test]
fn a_move_that_is_called_off_takes_back_what_the_controller_may_have_noted() {
    let (replica, mut moving) = (replica(), FutureReplica::default());
    assert_eq!(moving.clone().cancel(), None);
    assert_eq!(moving.next(&replica, &replica), Some(MoveEffect::AssignDirectory));
    assert_eq!(moving.clone().cancel(), Some(MoveEffect::RevertAssignment));
    moving.assigned();
    assert_eq!(moving.clone().cancel(), Some(MoveEffect::RevertAssignment));
    moving.swapped();
    assert_eq!(moving.cancel(), None);
}
