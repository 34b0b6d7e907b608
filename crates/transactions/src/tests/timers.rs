use super::world::{ID, World, init, producer};
use crate::{InitProducerId, Request, TransactionSettings, TransactionState, TransactionVersion};
use ottla_protocol::ErrorCode;

#[test]
fn a_transaction_that_lasts_too_long_is_aborted_and_its_producer_fenced() {
    for (version, fenced_epoch) in [(TransactionVersion::V0, 1), (TransactionVersion::V2, 1)] {
        let mut world = World::with(TransactionSettings { version, ..Default::default() });
        let slow = world.init().unwrap();
        world.add_as(slow, &[("t", 0)], version);
        world.advance(60_000);
        assert_eq!(world.state(), TransactionState::Ongoing);
        world.advance(20_000);
        assert_eq!(world.state(), TransactionState::CompleteAbort);
        assert_eq!(world.transaction().producer_epoch.value(), fenced_epoch);
        assert_eq!(world.written.len(), 1);
        assert_eq!(world.add_as(slow, &[("t", 0)], version), ErrorCode::ProducerFenced);
        let unfinished = world.end_as(slow, true, TransactionVersion::V0);
        assert_eq!(unfinished, Err(ErrorCode::ProducerFenced));
    }
}

#[test]
fn a_transaction_with_its_last_epoch_times_out_too() {
    let mut world = World::new();
    world.init().unwrap();
    let mut transaction = world.transaction().clone();
    transaction.producer_epoch = ottla_types::ProducerEpoch(i16::MAX - 1);
    let record = world.machine.record(&ID.into(), Some(transaction));
    world.machine.replay(record);
    world.add(producer(1_000, i16::MAX - 1), &[("t", 0)]);
    world.advance(90_000);
    assert_eq!(world.state(), TransactionState::CompleteAbort);
    assert_eq!(world.written[0].producer_epoch.value(), i16::MAX);
    assert_eq!(world.transaction().producer_id.value(), 1_001);
}

#[test]
fn a_transaction_that_is_decided_from_outside_never_times_out() {
    let settings = TransactionSettings { two_phase_commit_enable: true, ..Default::default() };
    let mut world = World::with(settings);
    world.send(Request::InitProducerId(InitProducerId { enable_two_phase_commit: true, ..init(None) }));
    world.add(producer(1_000, 0), &[("t", 0)]);
    world.advance(100 * 24 * 3_600_000);
    assert_eq!(world.state(), TransactionState::Ongoing);
}

#[test]
fn an_id_that_nobody_uses_is_forgotten_but_not_one_with_an_open_transaction() {
    let settings = TransactionSettings { expiration_ms: 7_200_000, timeout_ms_max: i32::MAX, ..Default::default() };
    let mut world = World::with(settings);
    world.send(Request::InitProducerId(InitProducerId { timeout_ms: i32::MAX - 1, ..init(None) }));
    world.add(producer(1_000, 0), &[("t", 0)]);
    world.send(Request::InitProducerId(InitProducerId { transactional_id: "idle".into(), ..init(None) }));
    assert_eq!(world.machine.len(), 2);
    world.advance(7_100_000);
    assert_eq!(world.machine.len(), 2);
    world.advance(3_700_000);
    assert!(world.machine.transaction(ID).is_some());
    assert!(world.machine.transaction("idle").is_none());
    assert_eq!(world.replayed().len(), 1);
    assert_eq!(world.end(producer(1_000, 0), true), Ok(producer(1_000, 1)));
}
