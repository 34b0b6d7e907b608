//! What a hostile client may send, or a rotten disk may hold: every case is refused with a typed error that says where,
//! within little memory.
#![allow(clippy::unwrap_used, reason = "a test may end by panic")]

mod support;

use bytes::Bytes;
use ottla_protocol::messages::{
    ApiVersionsRequest, DescribeTopicPartitionsRequest, FetchRequest, JoinGroupRequest, MetadataRequest,
    ProduceRequest, ProduceResponse, RequestHeader,
};
use ottla_protocol::schema::{FieldType, StructSchema};
use ottla_protocol::{
    ARRAY_ELEMENTS_MAX, DecodeError, DecodeErrorKind as Kind, Message, RawTaggedField, Reader, json, registry,
};
use support::random::{self, Manner, Random};

/// More than any refusal may take: an error with a path.
const REFUSAL_BYTES_MAX: u64 = 4096;

/// Reads the bytes, which must be refused within little memory, in the typed forms and by the schema alike.
fn refused<M: Message>(bytes: &[u8], version: i16) -> DecodeError {
    let mut error = None;
    let memory = allocation_counter::measure(|| error = M::decode(bytes, version).err());
    let error = error.unwrap_or_else(|| panic!("{} version {version} was read", M::NAME));
    assert!(memory.bytes_max < REFUSAL_BYTES_MAX, "{error}: {} bytes allocated at once", memory.bytes_max);
    assert_eq!(json::to_json(M::schema(), bytes, version).unwrap_err(), error);
    error
}

fn assert_refused<M: Message>(bytes: &[u8], version: i16, kind: Kind, field: &str, offset: usize) {
    let error = refused::<M>(bytes, version);
    assert_eq!((error.kind, error.field.as_str(), error.offset), (kind, field, offset), "{error}");
    assert_eq!((error.message, error.version), (M::NAME, version));
}

#[test]
fn an_array_length_bomb_is_refused_before_anything_is_reserved() {
    for length in [i32::MAX, 100_000_000, 1_000_001, 5] {
        let length = length.to_be_bytes();
        assert_refused::<MetadataRequest>(&length, 1, Kind::ArrayBeyondInput, "topics", 0);
        let produce = [&[0xff, 0xff, 0, 1, 0, 0, 0, 0][..], &length].concat();
        assert_refused::<ProduceRequest>(&produce, 3, Kind::ArrayBeyondInput, "topicData", 8);
        let fetch = [&[0; 17][..], &length].concat();
        assert_refused::<FetchRequest>(&fetch, 4, Kind::ArrayBeyondInput, "topics", 17);
        let join = [&[0, 1, b'g', 0, 0, 0, 9, 0, 1, b'm', 0, 1, b'c'][..], &length].concat();
        assert_refused::<JoinGroupRequest>(&join, 0, Kind::ArrayBeyondInput, "protocols", 13);
    }
}

#[test]
fn a_compact_array_length_bomb_is_refused_before_anything_is_reserved() {
    let most = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_refused::<MetadataRequest>(&most, 9, Kind::NegativeLength, "topics", 0);
    let greatest_signed = [0x80, 0x80, 0x80, 0x80, 0x08];
    assert_refused::<MetadataRequest>(&greatest_signed, 9, Kind::ArrayBeyondInput, "topics", 0);
}

#[test]
fn an_array_in_an_array_can_not_multiply_its_length() {
    // 200 topics, each of which claims 200 partitions with no byte of them there.
    let mut bytes = vec![0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 200];
    for _ in 0..200 {
        bytes.extend_from_slice(&[0, 1, b't', 0, 0, 0, 200]);
    }
    assert_refused::<ProduceRequest>(&bytes, 3, Kind::ArrayBeyondInput, "topicData[0].partitionData", 15);
}

#[test]
fn more_than_a_million_elements_are_refused_even_when_they_are_there() {
    let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 0];
    let topics = vec![0u8; 2 * (ARRAY_ELEMENTS_MAX + 1)];
    bytes[..4].copy_from_slice(&(ARRAY_ELEMENTS_MAX as i32 + 1).to_be_bytes());
    bytes.truncate(4);
    bytes.extend_from_slice(&topics);
    assert_refused::<MetadataRequest>(&bytes, 1, Kind::ArrayTooLong, "topics", 0);
}

#[test]
fn the_elements_of_a_list_take_no_more_owned_memory_than_a_small_multiple_of_the_input() {
    // Empty names are the smallest elements there are: two bytes of input become an owned struct each.
    let count = 10_000u32;
    let mut bytes = count.to_be_bytes().to_vec();
    bytes.extend_from_slice(&vec![0u8; 2 * count as usize]);
    let memory = allocation_counter::measure(|| drop(MetadataRequest::decode(&bytes, 1).unwrap()));
    let view = allocation_counter::measure(|| assert!(MetadataRequest::view(&bytes, 1).is_ok()));
    assert_eq!(view.count_total, 0, "a view allocates");
    assert!(memory.bytes_max < 64 * bytes.len() as u64, "{} bytes", memory.bytes_max);
}

#[test]
fn a_negative_length_other_than_minus_one_is_refused() {
    assert_refused::<MetadataRequest>(&(-2i32).to_be_bytes(), 1, Kind::NegativeLength, "topics", 0);
    assert_refused::<MetadataRequest>(&i32::MIN.to_be_bytes(), 1, Kind::NegativeLength, "topics", 0);
    let name = [0, 0, 0, 1, 0xff, 0xfe, 0, 0];
    assert_refused::<MetadataRequest>(&name, 1, Kind::NegativeLength, "topics[0].name", 4);
    let records = [&[0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1][..], &[0, 0, 0, 0], &[0x80; 4]];
    assert_refused::<ProduceRequest>(
        &records.concat(),
        3,
        Kind::NegativeLength,
        "topicData[0].partitionData[0].records",
        23,
    );
}

#[test]
fn null_is_refused_where_it_may_not_be() {
    assert_refused::<MetadataRequest>(&(-1i32).to_be_bytes(), 0, Kind::UnexpectedNull, "topics", 0);
    assert_refused::<MetadataRequest>(&[0, 0, 0, 1, 0xff, 0xff], 1, Kind::UnexpectedNull, "topics[0].name", 4);
    assert_refused::<ProduceRequest>(&[0, 0xff, 0xff, 0, 0, 0, 0, 0], 9, Kind::UnexpectedNull, "topicData", 7);
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let bytes = [0, 0, 0, 1, 0, 3, b'a', 0xff, b'b'];
    assert_refused::<MetadataRequest>(&bytes, 1, Kind::InvalidUtf8, "topics[0].name", 6);
    // A surrogate half, as Java's modified form would have it.
    let bytes = [0, 0, 0, 1, 0, 3, 0xed, 0xa0, 0x80];
    assert_refused::<MetadataRequest>(&bytes, 1, Kind::InvalidUtf8, "topics[0].name", 6);
}

#[test]
fn a_compact_string_longer_than_the_old_form_allows_is_refused() {
    let mut bytes = vec![2, 0x81, 0x80, 0x02];
    bytes.extend_from_slice(&[b'a'; 0x8000]);
    bytes.extend_from_slice(&[0; 8]);
    assert_refused::<MetadataRequest>(&bytes, 9, Kind::StringTooLong, "topics[0].name", 4);
}

#[test]
fn an_overlong_varint_is_refused() {
    for bytes in [&[0xff, 0xff, 0xff, 0xff, 0x1f][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], &[0x80; 64]] {
        assert_refused::<MetadataRequest>(bytes, 9, Kind::InvalidVarint, "topics", 0);
    }
    assert_refused::<MetadataRequest>(&[0x80, 0x80], 9, Kind::Truncated, "topics", 0);
}

#[test]
fn a_tag_count_bomb_is_refused_without_a_loop() {
    for count in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x91, 0x4e]] {
        let bytes = [&[1, b'c', 1, b'v'][..], count].concat();
        let bytes = [&[2, b'c', 2, b'v'], &bytes[4..]].concat();
        assert_refused::<ApiVersionsRequest>(&bytes, 3, Kind::TooManyTags, "taggedFields", 4);
    }
}

#[test]
fn two_byte_tags_by_the_thousand_are_passed_over_without_being_stored() {
    let mut header = vec![0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0x90, 0x4e];
    for tag in 0..10_000u32 {
        let start = header.len();
        let mut rest = tag;
        while rest >= 0x80 {
            header.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        header.push(rest as u8);
        header.push(0);
        assert!(header.len() - start <= 4);
    }
    let memory = allocation_counter::measure(|| assert!(RequestHeader::view(&header, 2).is_ok()));
    assert_eq!(memory.count_total, 0);
    assert_eq!(RequestHeader::decode(&header, 2).unwrap().unknown_tagged_fields.len(), 10_000);
}

#[test]
fn tags_out_of_order_or_twice_are_refused() {
    for tags in [[2, 5, 0, 4, 0], [2, 5, 0, 5, 0]] {
        let bytes = [&[0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff][..], &tags].concat();
        assert_refused::<RequestHeader>(&bytes, 2, Kind::TagOrder, "taggedFields", 13);
    }
}

#[test]
fn a_tag_longer_than_the_input_or_than_its_value_is_refused() {
    let bytes = [0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 1, 9, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_refused::<RequestHeader>(&bytes, 2, Kind::Truncated, "taggedFields", 17);
    // The tag 0 of a partition's response is a struct of eight bytes and no tags; here it has one byte more.
    let mut response = vec![2, 2, b't', 2];
    response.extend_from_slice(&[0; 30]);
    response.extend_from_slice(&[1, 0, 1, 0, 10]);
    response.extend_from_slice(&[0; 10]);
    let error = refused::<ProduceResponse>(&response, 10);
    assert_eq!((error.kind, error.field.as_str()), (Kind::TagSize, "responses[0].partitionResponses[0].taggedFields"));
}

#[test]
fn a_tagged_value_can_not_read_beyond_its_own_bytes() {
    let mut response = vec![2, 2, b't', 2];
    response.extend_from_slice(&[0; 30]);
    response.extend_from_slice(&[1, 0, 1, 0, 4]);
    response.extend_from_slice(&[0; 40]);
    let error = refused::<ProduceResponse>(&response, 10);
    let field = "responses[0].partitionResponses[0].currentLeader.leaderEpoch";
    assert_eq!((error.kind, error.field.as_str()), (Kind::Truncated, field));
}

#[test]
fn bytes_behind_the_message_are_refused() {
    assert_refused::<MetadataRequest>(&[0, 0, 0, 0, 7], 1, Kind::TrailingBytes, "", 4);
    // A reader that goes on behind the message is told to by its caller.
    let mut reader = Reader::new(&[0, 0, 0, 0, 7]);
    MetadataRequest::decode_from(&mut reader, 1).unwrap();
    assert_eq!(reader.rest(), [7]);
}

#[test]
fn a_version_that_does_not_exist_is_refused() {
    for version in [-1, MetadataRequest::VERSIONS.max + 1, i16::MIN, i16::MAX] {
        assert_refused::<MetadataRequest>(&[0; 40], version, Kind::UnsupportedVersion, "", 0);
    }
}

#[test]
fn any_value_of_a_struct_s_null_mark_is_read_as_kafka_reads_it() {
    let body = |mark: u8| [&[1, 0, 0, 0, 9, mark][..], &[2, b't', 0, 0, 0, 4, 0, 0]].concat();
    for (mark, null) in [(0xff, true), (0x80, true), (0, false), (1, false), (0x7f, false)] {
        let bytes = body(mark);
        let bytes = if null { [&bytes[..6], &[0][..]].concat() } else { bytes };
        let request = DescribeTopicPartitionsRequest::decode(&bytes, 0).unwrap();
        assert_eq!(request.cursor.is_none(), null, "{mark}");
    }
}

#[test]
fn a_message_cut_off_at_any_byte_is_refused_where_the_schema_refuses_it() {
    let mut cuts = 0u64;
    for codec in registry::ALL {
        let schema = codec.schema();
        for version in schema.versions.iter() {
            let value = random::message(schema, version, Manner::Any, &mut Random::new(version as u64 + 7));
            let whole = json::from_json(schema, &value, version).unwrap();
            // Long messages are cut at some hundred places, short ones at every byte.
            for length in (0..whole.len()).step_by(whole.len() / 200 + 1) {
                let part = &whole[..length];
                let error = codec.check(part, version).unwrap_err();
                assert!(error.offset <= length, "{error}");
                assert_eq!(json::to_json(schema, part, version).unwrap_err(), error);
                assert!(!error.field.is_empty(), "{error}");
                cuts += 1;
            }
        }
    }
    assert!(cuts > 20_000, "{cuts}");
}

#[test]
fn bytes_at_random_never_panic_and_never_take_much_memory() {
    let mut random = Random::new(4);
    let memory = allocation_counter::measure(|| {
        for round in 0..30_000u64 {
            let length = random.below(80) as usize;
            let small = round % 2 == 0;
            let byte = |random: &mut Random| if small { random.below(4) as u8 } else { random.next() as u8 };
            let data: Vec<u8> = (0..length).map(|_| byte(&mut random)).collect();
            ottla_protocol::fuzz_decode(&data);
        }
    });
    assert!(memory.bytes_max < 256 * 1024, "{} bytes", memory.bytes_max);
}

#[test]
fn one_changed_bit_of_a_message_is_read_the_same_way_by_every_reader() {
    let mut random = Random::new(11);
    for codec in registry::ALL {
        let schema = codec.schema();
        for version in schema.versions.iter() {
            let value = random::message(schema, version, Manner::Any, &mut random);
            let mut bytes = json::from_json(schema, &value, version).unwrap().to_vec();
            if bytes.is_empty() {
                continue;
            }
            for _ in 0..20 {
                let place = random.below(bytes.len() as u64) as usize;
                let bit = 1 << random.below(8);
                bytes[place] ^= bit;
                let typed = codec.check(&bytes, version);
                assert_eq!(typed.err(), json::to_json(schema, &bytes, version).err());
                bytes[place] ^= bit;
            }
        }
    }
}

#[test]
fn no_message_is_nested_deeper_than_its_schema_says() {
    // The schema is made of constants that can't contain themselves: it ends, and with it the depth of every reader.
    fn depth(kind: &FieldType) -> usize {
        match kind {
            FieldType::Struct(structure) => 1 + deepest(structure),
            FieldType::Array(element) => 1 + depth(element),
            _ => 0,
        }
    }
    fn deepest(structure: &StructSchema) -> usize {
        structure.fields.iter().map(|field| depth(&field.kind)).max().unwrap_or(0)
    }
    let depths: Vec<usize> = registry::ALL.iter().map(|codec| deepest(codec.schema().structure)).collect();
    let greatest = depths.iter().copied().max().unwrap();
    assert!((4..=10).contains(&greatest), "{greatest}");
}

#[test]
fn unknown_tagged_fields_are_kept_and_written_again_in_order() {
    let field = |tag, data: &'static [u8]| RawTaggedField { tag, data: Bytes::from_static(data) };
    let header = RequestHeader {
        request_api_key: 18,
        unknown_tagged_fields: vec![field(0, b""), field(7, b"seven"), field(4_000_000_000, b"\0")],
        ..RequestHeader::default()
    };
    let bytes = header.to_bytes(2).unwrap();
    assert_eq!(RequestHeader::decode(&bytes, 2).unwrap(), header);
    let view = RequestHeader::view(&bytes, 2).unwrap();
    let tags: Vec<(u32, &[u8])> = view.tagged_fields.iter_unknown().collect();
    assert_eq!(tags, [(0, &b""[..]), (7, b"seven"), (4_000_000_000, b"\0")]);
}
