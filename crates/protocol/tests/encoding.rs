//! Writing: sizes, holes, what a version can't carry, frames.
#![allow(clippy::unwrap_used, reason = "a test may end by panic")]

use bytes::{Bytes, BytesMut};
use ottla_protocol::group_records::{GroupKey, GroupValue, OffsetCommitKey, OffsetCommitValue};
use ottla_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use ottla_protocol::messages::{FetchResponse, MetadataRequest, RequestHeader, ResponseHeader};
use ottla_protocol::metadata_records::{MetadataRecord, NoOpRecord, TopicRecord};
use ottla_protocol::{
    DecodeErrorKind, EncodeErrorKind as Kind, Hole, Message, RawTaggedField, RecordSet, Writer, json,
};
use ottla_types::Uuid;

fn partition(index: i32, records: RecordSet) -> PartitionData {
    PartitionData { partition_index: index, high_watermark: 9, records, ..PartitionData::default() }
}

fn fetch(partitions: Vec<PartitionData>) -> FetchResponse {
    let topic = FetchableTopicResponse { topic: "orders".into(), partitions, ..FetchableTopicResponse::default() };
    FetchResponse { session_id: 5, responses: vec![topic], ..FetchResponse::default() }
}

/// Fills the holes, as the network would.
fn filled(bytes: &[u8], holes: &[Hole], fillings: &[&[u8]]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut at = 0;
    for (hole, filling) in holes.iter().zip(fillings) {
        assert_eq!(hole.length, filling.len());
        whole.extend_from_slice(&bytes[at..hole.position]);
        whole.extend_from_slice(filling);
        at = hole.position;
    }
    whole.extend_from_slice(&bytes[at..]);
    whole
}

#[test]
fn a_deferred_record_set_leaves_a_hole_of_its_length() {
    let sets: [&[u8]; 3] = [b"first batches", b"", b"third"];
    for version in 7..=12 {
        let whole = sets.iter().zip(0..).map(|(set, i)| partition(i, Bytes::copy_from_slice(set).into())).collect();
        let deferred =
            sets.iter().zip(0..).map(|(set, i)| partition(i, RecordSet::Deferred { length: set.len() })).collect();
        let (whole, deferred) = (fetch(whole), fetch(deferred));
        let encoded = deferred.to_encoded(version).unwrap();
        assert_eq!(encoded.holes.len(), 3);
        assert_eq!(encoded.size(), whole.encoded_size(version).unwrap());
        assert_eq!(deferred.encoded_size(version).unwrap(), encoded.size());
        assert_eq!(filled(&encoded.bytes, &encoded.holes, &sets), whole.to_bytes(version).unwrap());
        assert_eq!(deferred.to_bytes(version).unwrap_err().kind, Kind::Deferred);
    }
}

#[test]
fn a_frame_a_header_and_a_body_go_into_one_buffer() {
    let response = fetch(vec![partition(0, RecordSet::Deferred { length: 1 << 20 })]);
    let header = ResponseHeader { correlation_id: 77, ..ResponseHeader::default() };
    let size = header.encoded_size(1).unwrap() + response.encoded_size(12).unwrap();
    let mut frame = BytesMut::with_capacity(64);
    frame.extend_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
    let mut writer = Writer::new(frame);
    header.encode(&mut writer, 1).unwrap();
    response.encode(&mut writer, 12).unwrap();
    let (buffer, holes) = writer.into_parts();
    assert_eq!(buffer.len() + holes[0].length, 4 + size);
    let whole = filled(&buffer, &holes, &[&vec![7; 1 << 20]]);
    let mut reader = ottla_protocol::Reader::new(&whole[4..]);
    assert_eq!(ResponseHeader::decode_from(&mut reader, 1).unwrap(), header);
    let read = FetchResponse::view_from(&mut reader, 12).unwrap();
    assert_eq!(reader.remaining(), 0);
    assert_eq!(read.responses.first().unwrap().partitions.first().unwrap().records.unwrap().len(), 1 << 20);
}

#[test]
fn a_field_that_the_version_can_not_carry_is_refused_by_name_and_the_writer_is_as_before() {
    let request = MetadataRequest { allow_auto_topic_creation: false, topics: None, ..MetadataRequest::default() };
    let error = request.to_bytes(3).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Kind::NotInVersion, "allowAutoTopicCreation"));
    assert_eq!(
        error.to_string(),
        "MetadataRequest version 3, field allowAutoTopicCreation: the version has no such field"
    );
    assert_eq!(request.to_bytes(0).unwrap_err().kind, Kind::UnexpectedNull);
    assert_eq!(request.to_bytes(MetadataRequest::VERSIONS.max + 1).unwrap_err().kind, Kind::UnsupportedVersion);
    let mut writer = Writer::default();
    RequestHeader::default().encode(&mut writer, 1).unwrap();
    request.encode(&mut writer, 3).unwrap_err();
    assert_eq!(writer.buffer().len(), RequestHeader::default().encoded_size(1).unwrap());
}

#[test]
fn an_ignorable_field_that_the_version_can_not_carry_is_dropped() {
    let mut data = partition(3, RecordSet::Null);
    data.log_start_offset = 44;
    let bytes = fetch(vec![data]).to_bytes(4);
    // `sessionId` is no ignorable field, `logStartOffset` is.
    assert_eq!(bytes.unwrap_err().field, "sessionId");
    let mut data = partition(3, RecordSet::Null);
    data.log_start_offset = 44;
    let bytes = FetchResponse { session_id: 0, ..fetch(vec![data]) }.to_bytes(4).unwrap();
    assert_eq!(FetchResponse::decode(&bytes, 4).unwrap().responses[0].partitions[0].log_start_offset, -1);
}

#[test]
fn a_string_too_long_for_the_wire_is_refused() {
    let mut key = OffsetCommitKey { group: "g".repeat(32_767), ..OffsetCommitKey::default() };
    key.to_bytes(0).unwrap();
    key.group.push('g');
    let error = key.to_bytes(0).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Kind::TooLong, "group"));
}

#[test]
fn unknown_tags_out_of_order_are_not_written() {
    let field = |tag| RawTaggedField { tag, data: Bytes::new() };
    let with = |tags: &[u32]| RequestHeader {
        unknown_tagged_fields: tags.iter().map(|tag| field(*tag)).collect(),
        ..RequestHeader::default()
    };
    assert!(with(&[1, 2, 9]).to_bytes(2).is_ok());
    assert_eq!(with(&[2, 1]).to_bytes(2).unwrap_err().kind, Kind::TagOrder);
    assert_eq!(with(&[2, 2]).to_bytes(2).unwrap_err().kind, Kind::TagOrder);
    assert_eq!(with(&[2]).to_bytes(1).unwrap_err().kind, Kind::TagsNotInVersion);
    // Tag 0 of a fetch response is known: nothing unknown may pose as it.
    let response = FetchResponse { unknown_tagged_fields: vec![field(0)], ..FetchResponse::default() };
    assert_eq!(response.to_bytes(16).unwrap_err().kind, Kind::TagOrder);
}

#[test]
fn a_metadata_record_stands_in_a_frame() {
    let record = MetadataRecord::from(TopicRecord {
        name: "t".into(),
        topic_id: Uuid::from_u128(1 << 64),
        ..Default::default()
    });
    let bytes = record.encode_frame(0).unwrap();
    assert_eq!(bytes[..4], [1, 2, 0, 2]);
    assert_eq!(MetadataRecord::decode_frame(&bytes).unwrap(), (record.clone(), 0));
    assert_eq!((record.type_code(), record.name()), (2, "TopicRecord"));
    assert_eq!(MetadataRecord::from(NoOpRecord::default()).encode_frame(0).unwrap()[..], [1, 20, 0, 0]);

    let kind = |bytes: &[u8]| MetadataRecord::decode_frame(bytes).unwrap_err().kind;
    assert_eq!(kind(&[0, 2, 0]), DecodeErrorKind::UnknownFrameVersion);
    assert_eq!(kind(&[1, 6, 0]), DecodeErrorKind::UnknownType);
    assert_eq!(kind(&[1, 20, 1, 0]), DecodeErrorKind::UnsupportedVersion);
    assert_eq!(kind(&[1, 20, 0, 0, 0]), DecodeErrorKind::TrailingBytes);
    assert_eq!(kind(&[1, 20]), DecodeErrorKind::Truncated);
    assert_eq!(kind(&[1, 20, 0xff, 0xff, 0x07]), DecodeErrorKind::UnsupportedVersion);
}

#[test]
fn a_coordinator_s_key_begins_with_its_type_and_its_value_with_its_version() {
    let key = GroupKey::from(OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 });
    let bytes = key.encode().unwrap();
    assert_eq!(bytes[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3]);
    assert_eq!(GroupKey::decode(&bytes).unwrap(), key);

    let value = GroupValue::from(OffsetCommitValue { offset: 8, ..Default::default() });
    let bytes = value.encode(3).unwrap();
    assert_eq!(bytes[..2], [0, 3]);
    assert_eq!(GroupValue::decode(key.type_code(), &bytes).unwrap(), value);
    assert_eq!(
        GroupKey::decode(&[0, 99]).unwrap_err().to_string(),
        "GroupKey version 0, field type 99, byte 0: no record has this type"
    );
    assert_eq!(GroupKey::decode(&[0]).unwrap_err().kind, DecodeErrorKind::Truncated);
    assert_eq!(GroupValue::decode(1, &[0, 9, 0]).unwrap_err().kind, DecodeErrorKind::UnsupportedVersion);
}

#[test]
fn json_names_what_is_wrong_with_it() {
    let schema = ottla_protocol::schema::by_name("MetadataRequest").unwrap();
    let error = |text: &str| json::from_json(schema, &serde_json::from_str(text).unwrap(), 1).unwrap_err().to_string();
    assert_eq!(
        error(r#"{"topics": [{"name": 4}]}"#),
        "MetadataRequest version 1, field topics[0].name: expected a string"
    );
    assert_eq!(error(r#"{"topics": [{}]}"#), "MetadataRequest version 1, field topics[0].name: the field is missing");
    assert_eq!(error(r#"{"topics": [], "x": 1}"#), "MetadataRequest version 1, field x: there is no such field");
    assert_eq!(error("[]"), "MetadataRequest version 1: expected an object");
    let bytes = json::from_json(schema, &serde_json::from_str(r#"{"topics": null}"#).unwrap(), 1).unwrap();
    assert_eq!(bytes[..], [0xff; 4]);
}
