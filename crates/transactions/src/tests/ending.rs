use super::world::{World, producer, set};
use crate::{TransactionState, TransactionVersion};
use ottla_protocol::ErrorCode;
use ottla_types::{ProducerEpoch, Timestamp};

const V0: TransactionVersion = TransactionVersion::V0;

#[test]
fn a_transaction_of_version_2_bumps_the_epoch_and_knows_its_retry() {
    let mut world = World::new();
    let first = world.init().unwrap();
    assert_eq!(world.add(first, &[("t", 0)]), ErrorCode::None);
    assert_eq!(world.add(first, &[("t", 1), ("u", 0)]), ErrorCode::None);
    let appended = world.log.len();
    assert_eq!(world.add(first, &[("t", 1)]), ErrorCode::None);
    assert_eq!(world.log.len(), appended, "what is in the transaction needs no record");
    let next = world.end(first, true).unwrap();
    assert_eq!(next, producer(1_000, 1));
    assert_eq!(world.state(), TransactionState::CompleteCommit);
    assert_eq!(world.written.len(), 1);
    assert_eq!(world.written[0].partitions, set(&[("t", 0), ("t", 1), ("u", 0)]));
    assert!(world.written[0].commit && world.written[0].version.bumps_epoch());
    assert_eq!(world.written[0].producer_epoch, ProducerEpoch(1));
    assert_eq!(world.end(first, true), Ok(next));
    assert_eq!(world.end(first, false), Err(ErrorCode::InvalidTxnState));
    // The current epoch means the next transaction, which has nothing to commit.
    assert_eq!(world.end(next, true), Err(ErrorCode::InvalidTxnState));
    assert_eq!(world.end(producer(1_000, 7), true), Err(ErrorCode::ProducerFenced));
    assert_eq!(world.end(producer(7, 1), true), Err(ErrorCode::InvalidProducerIdMapping));
}

#[test]
fn a_transaction_without_partitions_can_be_aborted_in_version_2_only() {
    let mut world = World::new();
    let first = world.init().unwrap();
    assert_eq!(world.end_as(first, false, V0), Err(ErrorCode::InvalidTxnState));
    assert_eq!(world.end(first, true), Err(ErrorCode::InvalidTxnState));
    let second = world.end(first, false).unwrap();
    assert_eq!(second, producer(1_000, 1));
    assert_eq!(world.state(), TransactionState::CompleteAbort);
    assert_eq!(world.transaction().start_timestamp, Timestamp(world.now_ms));
    assert_eq!(world.end(first, false), Ok(second), "a retry");
    assert_eq!(world.end(second, false), Ok(producer(1_000, 2)), "the next one");
    assert!(world.written.is_empty());
}

#[test]
fn a_transaction_of_version_0_keeps_the_epoch_and_knows_its_retry_by_the_state() {
    let mut world = World::new();
    let only = world.init().unwrap();
    for commit in [true, false] {
        assert_eq!(world.add_as(only, &[("t", 0)], V0), ErrorCode::None);
        assert_eq!(world.end_as(only, commit, V0), Ok(only));
        assert_eq!(world.end_as(only, commit, V0), Ok(only), "a retry");
        assert_eq!(world.end_as(only, !commit, V0), Err(ErrorCode::InvalidTxnState));
    }
    assert!(world.written.iter().all(|markers| !markers.version.bumps_epoch()));
    assert_eq!(world.end_as(producer(1_000, 1), true, V0), Err(ErrorCode::ProducerFenced));
}

#[test]
fn nothing_else_happens_while_markers_are_being_written() {
    let mut world = World::new();
    let first = world.init().unwrap();
    world.add(first, &[("t", 0), ("t", 1)]);
    world.holds_markers = true;
    let next = world.end(first, true).unwrap();
    assert_eq!(world.state(), TransactionState::PrepareCommit);
    assert_eq!(world.end(first, true), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(world.end_as(next, true, V0), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(world.add(next, &[("t", 0)]), ErrorCode::ConcurrentTransactions);
    assert_eq!(world.verify(next, &[("t", 0)]), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(world.init_expecting(Some(next)), Err(ErrorCode::ConcurrentTransactions));
    // One partition can't take its marker yet: it alone is tried again.
    world.write_markers(&set(&[("t", 1)]));
    assert_eq!(world.state(), TransactionState::PrepareCommit);
    world.advance(1_000);
    assert_eq!(world.markers[0].partitions, set(&[("t", 1)]));
    world.write_markers(&set(&[]));
    assert_eq!(world.state(), TransactionState::CompleteCommit);
    assert_eq!(world.add(next, &[("t", 0)]), ErrorCode::None);
}

#[test]
fn a_broker_learns_what_is_part_of_the_transaction() {
    let mut world = World::new();
    assert_eq!(world.verify(producer(1_000, 0), &[("t", 0)]), Err(ErrorCode::InvalidProducerIdMapping));
    let only = world.init().unwrap();
    world.add(only, &[("t", 0)]);
    let verified = world.verify(only, &[("t", 0), ("t", 1)]);
    assert_eq!(verified, Ok(vec![ErrorCode::None, ErrorCode::TransactionAbortable]));
}
