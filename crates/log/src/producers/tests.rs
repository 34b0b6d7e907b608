use super::*;
use crate::batch::BatchHeader;
use ottla_types::{LeaderEpoch, Sequence};

const CLIENT: AppendOrigin = AppendOrigin::Client { transaction: TransactionCheck::NotRequired };
const PRODUCER: ProducerId = ProducerId(1000);

/// A batch of the producer, at an offset.
fn header(epoch: i16, sequence: i32, count: i32, offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(offset),
        length: 100,
        leader_epoch: LeaderEpoch(0),
        magic: 2,
        attributes: 0,
        last_offset_delta: count - 1,
        max_timestamp: Timestamp(5000),
        producer_id: PRODUCER,
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(sequence),
        records_count: count,
    }
}

fn transactional(header: BatchHeader) -> BatchHeader {
    BatchHeader { attributes: 0x10, ..header }
}

/// The bytes and the header of a marker.
fn marker(epoch: i16, coordinator_epoch: i32, is_commit: bool, offset: i64) -> (BatchHeader, Vec<u8>) {
    use ottla_records::{BatchBuilder, BatchOptions, Compressor, EndTransactionMarker};
    let marker = EndTransactionMarker { is_commit, coordinator_epoch };
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: Offset(offset),
        producer_id: PRODUCER,
        producer_epoch: ProducerEpoch(epoch),
        is_transactional: true,
        is_control: true,
        ..BatchOptions::default()
    });
    let (key, value) = (marker.key(), marker.value());
    let record =
        ottla_records::RecordToWrite { timestamp: Timestamp(7000), key: Some(&key), value: Some(&value), headers: &[] };
    builder.append(&record).unwrap();
    let bytes = builder.build_vec(&mut Compressor::default()).unwrap();
    (BatchHeader::parse(&bytes).unwrap(), bytes)
}

fn append(states: &mut ProducerStates, header: BatchHeader, origin: AppendOrigin) -> Result<(), ProducerError> {
    append_bytes(states, header, &[], origin).map(drop)
}

fn append_bytes(
    states: &mut ProducerStates,
    header: BatchHeader,
    bytes: &[u8],
    origin: AppendOrigin,
) -> Result<Vec<(CompletedTransaction, Offset)>, ProducerError> {
    let mut prepared = Prepared::default();
    states.prepare(&mut prepared, &header, bytes, origin)?;
    Ok(states.commit(prepared, header.last_offset().next()).to_vec())
}

fn out_of_order(sequence: i32, last: i32) -> Result<(), ProducerError> {
    let (sequence, last) = (Sequence(sequence), Sequence(last));
    Err(ProducerError::OutOfOrderSequence { producer_id: PRODUCER, sequence, last })
}

#[test]
fn a_producer_that_is_not_known_may_begin_with_any_sequence() {
    let mut states = ProducerStates::default();
    assert_eq!(append(&mut states, header(3, 77, 5, 0), CLIENT), Ok(()));
    assert_eq!(states.get(PRODUCER).map(ProducerState::last_sequence), Some(Sequence(81)));
}

#[test]
fn a_sequence_must_follow_on_the_last_one() {
    let mut states = ProducerStates::default();
    append(&mut states, header(0, 0, 5, 0), CLIENT).unwrap();
    assert_eq!(append(&mut states, header(0, 6, 1, 5), CLIENT), out_of_order(6, 4));
    assert_eq!(append(&mut states, header(0, 4, 2, 5), CLIENT), out_of_order(4, 4));
    assert_eq!(append(&mut states, header(0, 5, 1, 5), CLIENT), Ok(()));
}

#[test]
fn a_sequence_wraps_to_zero() {
    let mut states = ProducerStates::default();
    append(&mut states, header(0, i32::MAX - 1, 2, 0), CLIENT).unwrap();
    assert_eq!(append(&mut states, header(0, 1, 1, 2), CLIENT), out_of_order(1, i32::MAX));
    assert_eq!(append(&mut states, header(0, 0, 1, 2), CLIENT), Ok(()));
}

#[test]
fn a_batch_that_wraps_within_itself_is_known_as_a_duplicate() {
    let mut states = ProducerStates::default();
    append(&mut states, header(0, i32::MAX - 1, 4, 0), CLIENT).unwrap();
    assert_eq!(states.get(PRODUCER).map(ProducerState::last_sequence), Some(Sequence(1)));
    assert!(states.find_duplicate(&header(0, i32::MAX - 1, 4, 50)).is_some());
    assert_eq!(append(&mut states, header(0, 2, 1, 4), CLIENT), Ok(()));
}

#[test]
fn the_last_five_batches_are_known_as_duplicates_with_their_first_offsets() {
    let mut states = ProducerStates::default();
    for number in 0..6 {
        append(&mut states, header(0, number * 2, 2, i64::from(number) * 10), CLIENT).unwrap();
    }
    let duplicate =
        |number: i32| states.find_duplicate(&header(0, number * 2, 2, 999)).map(|batch| batch.first_offset());
    assert_eq!(duplicate(0), None);
    for number in 1..6 {
        assert_eq!(duplicate(number), Some(Offset(i64::from(number) * 10)));
    }
    assert_eq!(states.find_duplicate(&header(0, 2, 3, 999)), None);
    assert_eq!(states.find_duplicate(&header(1, 2, 2, 999)), None);
}

#[test]
fn a_new_epoch_must_begin_with_sequence_zero_and_fences_the_old_one() {
    let mut states = ProducerStates::default();
    append(&mut states, header(4, 0, 5, 0), CLIENT).unwrap();
    assert_eq!(append(&mut states, header(5, 5, 1, 5), CLIENT), out_of_order(5, -1));
    assert_eq!(append(&mut states, header(5, 0, 1, 5), CLIENT), Ok(()));
    let (epoch, last) = (ProducerEpoch(4), ProducerEpoch(5));
    let fenced = ProducerError::InvalidProducerEpoch { producer_id: PRODUCER, epoch, last };
    assert_eq!(append(&mut states, header(4, 5, 1, 6), CLIENT), Err(fenced));
    assert_eq!(states.find_duplicate(&header(4, 0, 5, 0)), None);
}

#[test]
fn what_a_leader_has_taken_a_follower_takes_too() {
    let mut states = ProducerStates::default();
    append(&mut states, header(4, 0, 5, 0), AppendOrigin::Replication).unwrap();
    assert_eq!(append(&mut states, header(4, 100, 5, 5), AppendOrigin::Replication), Ok(()));
    assert_eq!(append(&mut states, header(3, 0, 5, 10), AppendOrigin::Replication), Ok(()));
}

#[test]
fn several_batches_of_one_append_follow_on_each_other() {
    let mut states = ProducerStates::default();
    append(&mut states, header(0, 0, 2, 0), CLIENT).unwrap();
    let mut prepared = Prepared::default();
    states.prepare(&mut prepared, &header(0, 2, 2, 2), &[], CLIENT).unwrap();
    states.prepare(&mut prepared, &header(0, 4, 2, 4), &[], CLIENT).unwrap();
    let gap = states.prepare(&mut prepared.clone(), &header(0, 7, 1, 6), &[], CLIENT);
    assert_eq!(gap, out_of_order(7, 5));
    states.commit(prepared, Offset(6));
    assert_eq!(states.get(PRODUCER).map(ProducerState::last_sequence), Some(Sequence(5)));
    assert_eq!(states.end_offset(), Offset(6));
    assert!(states.find_duplicate(&header(0, 0, 2, 0)).is_some());
}

#[test]
fn an_append_that_is_refused_changes_nothing() {
    let mut states = ProducerStates::default();
    append(&mut states, header(0, 0, 2, 0), CLIENT).unwrap();
    let before = format!("{states:?}");
    append(&mut states, header(0, 9, 2, 2), CLIENT).unwrap_err();
    assert_eq!(format!("{states:?}"), before);
}

#[test]
fn a_transaction_holds_the_last_stable_offset_until_its_marker_is_replicated() {
    let mut states = ProducerStates::default();
    append(&mut states, transactional(header(0, 0, 2, 10)), CLIENT).unwrap();
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    let (end, bytes) = marker(0, 3, false, 12);
    let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::Classic };
    let aborted = append_bytes(&mut states, end, &bytes, origin).unwrap();
    let completed = CompletedTransaction {
        producer_id: PRODUCER,
        first_offset: Offset(10),
        last_offset: Offset(12),
        aborted: true,
    };
    assert_eq!(aborted, [(completed, Offset(13))]);
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    states.on_replicated(Offset(12));
    assert_eq!(states.first_unstable_offset(), Some(Offset(10)));
    states.on_replicated(Offset(13));
    assert_eq!(states.first_unstable_offset(), None);
}

#[test]
fn a_transaction_that_ends_in_the_same_append_is_not_taken_for_stable_before_it_has_ended() {
    // What a follower fetches at once: two transactions within each other, and a third after them that stays open.
    const OTHER: ProducerId = ProducerId(2000);
    let of_other = |header: BatchHeader| BatchHeader { producer_id: OTHER, ..header };
    let mut states = ProducerStates::default();
    let mut prepared = Prepared::default();
    let mut take = |header: BatchHeader, bytes: &[u8]| {
        states.prepare(&mut prepared, &header, bytes, AppendOrigin::Replication).unwrap();
    };
    take(transactional(header(0, 0, 1, 10)), &[]);
    take(of_other(transactional(header(0, 0, 1, 11))), &[]);
    let (end, bytes) = marker(0, 3, false, 12);
    take(end, &bytes);
    let (end, bytes) = marker(0, 3, false, 13);
    take(of_other(end), &bytes);
    take(transactional(header(1, 0, 1, 14)), &[]);
    let aborted = states.commit(prepared, Offset(15));
    let stable: Vec<_> = aborted.iter().map(|(ended, stable)| (ended.last_offset, *stable)).collect();
    assert_eq!(stable, [(Offset(12), Offset(11)), (Offset(13), Offset(14))]);
}

#[test]
fn a_commit_is_not_an_abort() {
    let mut states = ProducerStates::default();
    append(&mut states, transactional(header(0, 0, 2, 10)), CLIENT).unwrap();
    let (end, bytes) = marker(0, 3, true, 12);
    let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::Classic };
    assert_eq!(append_bytes(&mut states, end, &bytes, origin), Ok(Vec::new()));
    assert!(!states.has_ongoing_transaction(PRODUCER, ProducerEpoch(0)));
    let known = states.get(PRODUCER).unwrap();
    assert_eq!((known.coordinator_epoch, known.last_timestamp), (3, Timestamp(7000)));
}

#[test]
fn a_batch_outside_of_a_transaction_is_refused_while_one_is_open() {
    let mut states = ProducerStates::default();
    append(&mut states, transactional(header(0, 0, 2, 10)), CLIENT).unwrap();
    let plain = append(&mut states, header(0, 2, 1, 12), CLIENT);
    assert_eq!(plain, Err(ProducerError::InvalidTransactionState(PRODUCER)));
}

#[test]
fn a_transaction_that_its_coordinator_does_not_know_of_is_refused() {
    let mut states = ProducerStates::default();
    let unverified = AppendOrigin::Client { transaction: TransactionCheck::Unverified };
    let refused = append(&mut states, transactional(header(0, 0, 2, 10)), unverified);
    assert_eq!(refused, Err(ProducerError::InvalidTransactionState(PRODUCER)));
    append(&mut states, transactional(header(0, 0, 2, 10)), CLIENT).unwrap();
    assert_eq!(append(&mut states, transactional(header(0, 2, 2, 12)), unverified), Ok(()));
}

#[test]
fn the_marker_of_an_older_coordinator_is_fenced() {
    let mut states = ProducerStates::default();
    let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::Classic };
    let (end, bytes) = marker(0, 3, true, 0);
    append_bytes(&mut states, end, &bytes, origin).unwrap();
    let (end, bytes) = marker(0, 2, true, 1);
    let fenced = ProducerError::CoordinatorFenced { producer_id: PRODUCER, epoch: 2, last: 3 };
    assert_eq!(append_bytes(&mut states, end, &bytes, origin), Err(fenced));
}

#[test]
fn a_marker_of_the_second_version_must_bump_the_epoch_unless_it_is_a_repetition() {
    let mut states = ProducerStates::default();
    let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::EpochBump };
    append(&mut states, transactional(header(5, 0, 2, 0)), CLIENT).unwrap();
    let (same, bytes) = marker(5, 0, true, 2);
    assert!(append_bytes(&mut states, same, &bytes, origin).is_err());
    let (next, bytes) = marker(6, 0, true, 2);
    append_bytes(&mut states, next, &bytes, origin).unwrap();
    let (again, bytes) = marker(6, 0, true, 3);
    assert!(append_bytes(&mut states, again, &bytes, origin).is_ok());
}

#[test]
fn a_producer_expires_unless_it_has_an_open_transaction() {
    let mut states = ProducerStates::default();
    append(&mut states, transactional(header(0, 0, 2, 0)), CLIENT).unwrap();
    let silent = BatchHeader { producer_id: ProducerId(2), ..header(0, 0, 1, 2) };
    append(&mut states, silent, CLIENT).unwrap();
    assert_eq!(states.remove_expired(Timestamp(5999), 1000), 0);
    assert_eq!(states.remove_expired(Timestamp(6000), 1000), 1);
    assert!(states.get(PRODUCER).is_some());
}

#[test]
fn a_snapshot_keeps_epoch_last_batch_and_open_transaction() {
    let mut states = ProducerStates::default();
    append(&mut states, transactional(header(2, 0, 2, 10)), CLIENT).unwrap();
    append(&mut states, transactional(header(2, 2, 3, 12)), CLIENT).unwrap();
    let entries: Vec<_> = states.snapshot().collect();
    let mut restored = ProducerStates::from_snapshot(&entries, Offset(15), Timestamp(5000), 1000);
    assert_eq!(restored.first_unstable_offset(), Some(Offset(10)));
    assert!(restored.find_duplicate(&header(2, 2, 3, 0)).is_some());
    assert!(restored.find_duplicate(&header(2, 0, 2, 0)).is_none());
    assert_eq!(append(&mut restored, transactional(header(2, 5, 1, 15)), CLIENT), Ok(()));
    assert_eq!(restored.end_offset(), Offset(16));
}

fn question(epoch: i16, sequence: i32, version: TransactionVersion) -> VerificationRequest {
    VerificationRequest {
        producer_id: PRODUCER,
        epoch: ProducerEpoch(epoch),
        sequence: Sequence(sequence),
        version,
        now: Timestamp(5000),
    }
}

fn verified(guard: Option<VerificationGuard>) -> AppendOrigin {
    AppendOrigin::Client { transaction: TransactionCheck::Verified(guard.unwrap()) }
}

#[test]
fn an_answer_of_the_coordinator_is_void_once_a_marker_has_come() {
    let mut states = ProducerStates::default();
    let guard = states.begin_verification(&question(0, 0, TransactionVersion::Classic)).unwrap();
    let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::Classic };
    let (abort, bytes) = marker(0, 0, false, 0);
    append_bytes(&mut states, abort, &bytes, origin).unwrap();
    let late = append(&mut states, transactional(header(0, 0, 2, 1)), verified(guard));
    assert_eq!(late, Err(ProducerError::InvalidTransactionState(PRODUCER)));
    // The next question is another one.
    let next = states.begin_verification(&question(0, 0, TransactionVersion::Classic)).unwrap();
    assert_ne!(next, guard);
    append(&mut states, transactional(header(0, 0, 2, 1)), verified(next)).unwrap();
    // The transaction is open: nobody need be asked any more.
    assert_eq!(states.begin_verification(&question(0, 2, TransactionVersion::Classic)), Ok(None));
}

#[test]
fn the_bumping_marker_of_one_transaction_leaves_the_question_about_the_next_one() {
    let mut states = ProducerStates::default();
    append(&mut states, transactional(header(0, 0, 2, 0)), CLIENT).unwrap();
    let guard = states.begin_verification(&question(1, 0, TransactionVersion::EpochBump)).unwrap();
    let origin = AppendOrigin::Coordinator { transaction_version: TransactionVersion::EpochBump };
    let (commit, bytes) = marker(1, 0, true, 2);
    append_bytes(&mut states, commit, &bytes, origin).unwrap();
    append(&mut states, transactional(header(1, 0, 2, 3)), verified(guard)).unwrap();
    let stale = states.begin_verification(&question(0, 0, TransactionVersion::EpochBump));
    let (epoch, last) = (ProducerEpoch(0), ProducerEpoch(1));
    assert_eq!(stale, Err(ProducerError::InvalidProducerEpoch { producer_id: PRODUCER, epoch, last }));
}

#[test]
fn a_batch_does_not_overtake_one_that_waits_for_the_coordinator() {
    let mut states = ProducerStates::default();
    states.begin_verification(&question(0, 0, TransactionVersion::Classic)).unwrap();
    let guard = states.begin_verification(&question(0, 2, TransactionVersion::Classic)).unwrap();
    let overtaking = append(&mut states, transactional(header(0, 2, 2, 0)), verified(guard));
    assert!(matches!(overtaking, Err(ProducerError::OutOfOrderSequence { .. })));
    append(&mut states, transactional(header(0, 0, 2, 0)), verified(guard)).unwrap();
}

#[test]
fn the_first_batch_that_is_seen_of_a_transaction_of_version_2_is_its_first() {
    let mut states = ProducerStates::default();
    let guard = states.begin_verification(&question(3, 2, TransactionVersion::EpochBump)).unwrap();
    let later = append(&mut states, transactional(header(3, 2, 2, 0)), verified(guard));
    assert!(matches!(later, Err(ProducerError::OutOfOrderSequence { .. })));
}

#[test]
fn a_question_whose_producer_never_comes_back_is_forgotten() {
    let mut states = ProducerStates::default();
    let guard = states.begin_verification(&question(0, 0, TransactionVersion::Classic)).unwrap();
    states.remove_expired(Timestamp(5_999), 1_000);
    assert_eq!(states.begin_verification(&question(0, 0, TransactionVersion::Classic)), Ok(guard));
    states.remove_expired(Timestamp(6_000), 1_000);
    assert_ne!(states.begin_verification(&question(0, 0, TransactionVersion::Classic)), Ok(guard));
}
