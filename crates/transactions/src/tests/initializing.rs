use super::world::{ID, World, init, producer};
use crate::{InitProducerId, Request, Response, TransactionRecord, TransactionSettings, TransactionState};
use ottla_protocol::ErrorCode;
use ottla_types::ProducerEpoch;

#[test]
fn each_producer_gets_the_next_epoch_of_the_same_id() {
    let mut world = World::new();
    assert_eq!(world.init(), Ok(producer(1_000, 0)));
    assert_eq!(world.init(), Ok(producer(1_000, 1)));
    assert_eq!(world.state(), TransactionState::Empty);
}

#[test]
fn a_request_that_can_never_be_served_is_refused() {
    let mut world = World::with(TransactionSettings { timeout_ms_max: 60_000, ..Default::default() });
    for (request, code) in [
        (InitProducerId { transactional_id: "".into(), ..init(None) }, ErrorCode::InvalidRequest),
        (InitProducerId { timeout_ms: 0, ..init(None) }, ErrorCode::InvalidTransactionTimeout),
        (InitProducerId { timeout_ms: 60_001, ..init(None) }, ErrorCode::InvalidTransactionTimeout),
        (InitProducerId { keep_prepared: true, ..init(None) }, ErrorCode::UnsupportedVersion),
        (InitProducerId { enable_two_phase_commit: true, ..init(None) }, ErrorCode::TransactionalIdAuthorizationFailed),
    ] {
        let answer = world.send(Request::InitProducerId(request));
        assert_eq!(answer, Some(Response::InitProducerId(Err(code))));
    }
    assert!(world.log.is_empty() && world.machine.is_empty());
}

#[test]
fn who_goes_on_after_an_error_gets_the_next_epoch_and_its_retry_the_same() {
    let mut world = World::new();
    let first = world.init().unwrap();
    let second = world.init_expecting(Some(first)).unwrap();
    assert_eq!(second, producer(1_000, 1));
    assert_eq!(world.init_expecting(Some(first)), Ok(second));
    assert_eq!(world.init_expecting(Some(producer(999, 0))), Err(ErrorCode::ProducerFenced));
    // A new producer comes: the old one is out.
    assert_eq!(world.init(), Ok(producer(1_000, 2)));
    assert_eq!(world.init_expecting(Some(first)), Err(ErrorCode::ProducerFenced));
    assert_eq!(world.init_expecting(Some(second)), Err(ErrorCode::ProducerFenced));
}

/// A transactional id whose producer has this epoch.
fn at_epoch(world: &mut World, epoch: i16) {
    world.init().unwrap();
    let mut transaction = world.transaction().clone();
    transaction.producer_epoch = ProducerEpoch(epoch);
    world.machine.replay(TransactionRecord { transactional_id: ID.into(), value: Some(transaction), value_version: 1 });
}

#[test]
fn when_the_epochs_are_used_up_another_id_follows() {
    let mut world = World::new();
    at_epoch(&mut world, i16::MAX - 1);
    let last = producer(1_000, i16::MAX - 1);
    assert_eq!(world.init_expecting(Some(producer(1_000, 3))), Err(ErrorCode::UnknownServerError));
    let next = world.init_expecting(Some(last)).unwrap();
    assert_eq!(next, producer(1_001, 0));
    // The answer was lost: by its old id, with the last epoch, the producer is still known.
    assert_eq!(world.init_expecting(Some(last)), Ok(next));
    assert_eq!(world.init_expecting(Some(producer(1_000, 5))), Err(ErrorCode::ProducerFenced));
}

#[test]
fn a_transaction_with_the_last_epoch_ends_with_another_id() {
    let mut world = World::new();
    at_epoch(&mut world, i16::MAX - 1);
    let last = producer(1_000, i16::MAX - 1);
    assert_eq!(world.add(last, &[("t", 0)]), ErrorCode::None);
    let next = world.end(last, true).unwrap();
    assert_eq!(next, producer(1_001, 0));
    assert_eq!(world.written[0].producer_epoch, ProducerEpoch(i16::MAX));
    assert_eq!(world.end(last, true), Ok(next), "a retry");
    assert_eq!(world.end(last, false), Err(ErrorCode::InvalidTxnState));
    assert_eq!(world.add(next, &[("t", 0)]), ErrorCode::None);
}

#[test]
fn a_new_producer_aborts_what_the_old_one_left_open() {
    let mut world = World::new();
    let zombie = world.init().unwrap();
    world.add(zombie, &[("t", 0), ("u", 1)]);
    world.holds_markers = true;
    assert_eq!(world.init(), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(world.state(), TransactionState::PrepareAbort);
    assert_eq!(world.init(), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(world.end(zombie, true), Err(ErrorCode::ConcurrentTransactions));
    world.holds_markers = false;
    world.write_markers(&Default::default());
    assert_eq!(world.state(), TransactionState::CompleteAbort);
    assert!(!world.written[0].commit);
    assert_eq!(world.written[0].producer_epoch, ProducerEpoch(1));
    assert_eq!(world.init(), Ok(producer(1_000, 2)));
    assert_eq!(world.end(zombie, true), Err(ErrorCode::ProducerFenced));
    assert_eq!(world.add(zombie, &[("t", 0)]), ErrorCode::ProducerFenced);
    assert_eq!(world.verify(zombie, &[("t", 0)]), Err(ErrorCode::ProducerFenced));
}
