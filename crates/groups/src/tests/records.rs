//! Bytes of the log's records, as Apache Kafka 4.4.0 writes them.

use crate::GroupRecord;
use crate::record::{CommittedOffset, Decoded, decode, encode};
use ottla_types::{LeaderEpoch, Offset, Timestamp, TopicId};

fn offset() -> CommittedOffset {
    CommittedOffset {
        offset: Offset(5),
        leader_epoch: LeaderEpoch(3),
        metadata: "m".into(),
        commit_timestamp: Timestamp(7),
        expire_timestamp: None,
        topic_id: TopicId::ZERO,
        record_offset: Offset(-1),
    }
}

fn commit(value: Option<CommittedOffset>) -> GroupRecord {
    GroupRecord::OffsetCommit { group_id: "g".into(), topic: "t".into(), partition: 2, value }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_offset_is_written_in_version_4_and_with_an_expiry_in_version_1() {
    let with_id = CommittedOffset { topic_id: TopicId::from_u128(0x11), ..offset() };
    let with_expiry =
        CommittedOffset { expire_timestamp: Some(Timestamp(9)), leader_epoch: LeaderEpoch(-1), ..offset() };
    let cases = [
        (offset(), "0004000000000000000500000003026d000000000000000700"),
        (with_id, "0004000000000000000500000003026d000000000000000701001000000000000000000000000000000011"),
        (with_expiry, "0001000000000000000500016d00000000000000070000000000000009"),
    ];
    for (value, expected) in cases {
        let (key, bytes) = encode(&commit(Some(value.clone()))).unwrap();
        assert_eq!(hex(&key), "000100016700017400000002");
        assert_eq!(hex(bytes.as_deref().unwrap()), expected);
        assert_eq!(decode(Some(&key), bytes.as_deref()).unwrap(), Decoded::Record(commit(Some(value))));
    }
    assert_eq!(encode(&commit(None)).unwrap().1, None);
}

#[test]
fn offsets_of_every_version_that_was_ever_written_are_read() {
    let key_1 = [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 2];
    let key_0 = [0, 0, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 2];
    let cases: [(&[u8], &str, i32, Option<i64>); 5] = [
        (&key_0, "0000000000000000000500016d0000000000000007", -1, None),
        (&key_1, "0000000000000000000500016d0000000000000007", -1, None),
        (&key_1, "0001000000000000000500016d0000000000000007000000000000000b", -1, Some(11)),
        (&key_1, "0002000000000000000500016d0000000000000007", -1, None),
        (&key_1, "000300000000000000050000000300016d0000000000000007", 3, None),
    ];
    for (key, value, leader_epoch, expiry) in cases {
        let value: Vec<u8> =
            (0..value.len() / 2).map(|i| u8::from_str_radix(&value[2 * i..2 * i + 2], 16).unwrap()).collect();
        let expected = CommittedOffset {
            leader_epoch: LeaderEpoch(leader_epoch),
            expire_timestamp: expiry.map(Timestamp),
            ..offset()
        };
        assert_eq!(decode(Some(key), Some(&value)).unwrap(), Decoded::Record(commit(Some(expected))), "{value:?}");
    }
}

#[test]
fn bytes_that_are_no_record_are_an_error_and_never_a_panic() {
    let (key, value) = encode(&commit(Some(offset()))).unwrap();
    let value = value.unwrap();
    assert!(decode(None, Some(&value)).is_err());
    for length in 0..key.len() {
        assert!(decode(Some(&key[..length]), Some(&value)).is_err(), "{length}");
    }
    for length in 0..value.len() {
        assert!(decode(Some(&key), Some(&value[..length])).is_err(), "{length}");
    }
    let error = decode(Some(&key), Some(&[0, 5])).unwrap_err();
    assert_eq!(error.to_string(), "the value of a record of type 1 has the unknown version 5");
}

#[test]
fn random_bytes_are_read_or_refused_and_never_a_panic() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..50_000 {
        let mut key = vec![0, (next() % 26) as u8];
        let mut value = vec![0, (next() % 6) as u8];
        for bytes in [&mut key, &mut value] {
            let length = next() % 40;
            // Small numbers make lengths that fit.
            bytes.extend((0..length).map(|_| if next() % 3 == 0 { next() as u8 } else { (next() % 4) as u8 }));
        }
        if let Ok(Decoded::Record(record)) = decode(Some(&key), Some(&value)) {
            let (again_key, again_value) = encode(&record).unwrap();
            assert!(decode(Some(&again_key), again_value.as_deref()).is_ok());
        }
    }
}
