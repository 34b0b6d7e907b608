use super::clients::{GROUP, join_request};
use super::world::World;
use crate::record::{Decoded, decode};
use crate::{GroupRecord, Request};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_types::{Offset, Timestamp};

/// A key of this type: the group's id and, for what concerns a member, the member's.
fn key(record_type: i16, texts: &[&str]) -> Vec<u8> {
    let mut key = record_type.to_be_bytes().to_vec();
    for text in texts {
        key.extend_from_slice(&(text.len() as i16).to_be_bytes());
        key.extend_from_slice(text.as_bytes());
    }
    key
}

fn replay(world: &mut World, key: &[u8], value: Option<&[u8]>) {
    let Decoded::Record(record) = decode(Some(key), value).unwrap() else { panic!() };
    let offset = Offset(world.log.len() as i64);
    world.log.push(super::world::LogRecord {
        producer_id: None,
        key: Bytes::copy_from_slice(key),
        value: value.map(Bytes::copy_from_slice),
    });
    world.machine.replay(Timestamp(0), offset, None, record);
}

/// A streams group as Kafka writes it, with one member if wanted.
fn streams_group(member: bool) -> World {
    let mut world = World::new();
    replay(&mut world, &key(17, &[GROUP]), Some(&[0, 0, 0, 0, 0, 5, 0]));
    replay(&mut world, &key(20, &[GROUP]), Some(&[0, 0, 0, 0, 0, 5, 0]));
    if member {
        for record_type in [19, 21, 22] {
            replay(&mut world, &key(record_type, &[GROUP, "m"]), Some(&[0, 0]));
        }
    }
    world
}

#[test]
fn groups_of_other_kinds_are_listed() {
    let mut world = streams_group(true);
    replay(&mut world, &key(11, &["s"]), Some(&[0, 0]));
    replay(&mut world, &key(17, &["w"]), Some(&[0, 0]));
    replay(&mut world, &key(19, &["w", "m"]), Some(&[0, 0]));
    assert_eq!(world.list(&[], &[]), ["group streams Stable", "s share Empty", "w streams Stable"]);
    assert_eq!(world.list(&[" empty"], &["STREAMS", "share", "no such type"]), ["s share Empty"]);
}

#[test]
fn a_living_group_of_another_kind_takes_no_classic_members_and_no_foreign_commits() {
    let mut world = streams_group(true);
    let token = world.join(join_request(""));
    assert_eq!(world.error(token), Some(ErrorCode::InconsistentGroupProtocol));
    assert_eq!(world.commit_offset("", -1, 0, 1), ErrorCode::UnknownMemberId);
    assert_eq!(world.commit_offset("m", 5, 0, 1), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat("m", 5), ErrorCode::UnknownMemberId);
    assert_eq!(world.delete_group(GROUP), ErrorCode::NonEmptyGroup);
    let described = world.describe(GROUP);
    assert_eq!((described.error_code, described.group_state.as_str()), (69, "Dead"));
    assert_eq!(described.error_message.as_deref(), Some("Group group is not a classic group."));
}

#[test]
fn an_empty_streams_group_gives_way_to_classic_members() {
    let mut world = streams_group(false);
    assert_eq!(world.commit_offset("", -1, 0, 8), ErrorCode::None);
    let token = world.send(3, Request::JoinGroup(join_request("")));
    assert_eq!(world.error(token), Some(ErrorCode::None));
    assert_eq!(world.list(&[], &[]), ["group classic CompletingRebalance"]);
    let replayed = world.replayed();
    assert!(replayed.preserved.get(GROUP).is_none());
    assert_eq!(replayed.committed_offset(GROUP, "t", 0).unwrap().offset, Offset(8));
}

#[test]
fn an_empty_share_group_does_not_give_way() {
    let mut world = World::new();
    replay(&mut world, &key(11, &[GROUP]), Some(&[0, 0]));
    let token = world.join(join_request(""));
    assert_eq!(world.error(token), Some(ErrorCode::InconsistentGroupProtocol));
}

#[test]
fn an_empty_group_of_another_kind_is_deleted_with_all_its_records() {
    let mut world = streams_group(false);
    world.commit_offset("", -1, 0, 8);
    assert_eq!(world.delete_group(GROUP), ErrorCode::None);
    assert_eq!(world.list(&[], &[]), Vec::<String>::new());
    assert_eq!(world.replayed().sizes(), (0, 0));
}

#[test]
fn an_upgraded_group_is_not_classic_any_more() {
    let mut world = World::new();
    world.commit_offset("", -1, 0, 8);
    assert_eq!(world.list(&[], &[]), ["group classic Empty"]);
    replay(&mut world, &key(17, &[GROUP]), Some(&[0, 0, 0, 0, 0, 1, 0]));
    assert_eq!(world.list(&[], &[]), ["group streams Empty"]);
    assert_eq!(world.fetch_offset(0), 8);
}

#[test]
fn records_of_types_that_nobody_knows_are_passed_over() {
    assert_eq!(decode(Some(&[0, 99, 1, 2]), None).unwrap(), Decoded::UnknownType(99));
    assert!(decode(Some(&key(3, &[])), None).is_err());
    assert!(decode(Some(&[0, 3, 0, 9, b'g']), None).is_err());
    assert!(decode(Some(&[0, 3, 0xff, 0xff]), None).is_err());
}

#[test]
fn a_preserved_record_keeps_its_bytes() {
    let bytes = key(19, &[GROUP, "m"]);
    let Decoded::Record(record) = decode(Some(&bytes), Some(b"\0\0anything")).unwrap() else { panic!() };
    assert!(matches!(record, GroupRecord::Preserved { .. }));
    let (again, value) = crate::record::encode(&record).unwrap();
    assert_eq!((&again[..], value.as_deref()), (&bytes[..], Some(&b"\0\0anything"[..])));
}
