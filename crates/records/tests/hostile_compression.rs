//! Bombs and broken frames of every codec: refused at the cap, with memory that stays near it.

#![allow(clippy::unwrap_used, clippy::panic)]

use ottla_records::*;

const LIMIT: usize = 1 << 20;

fn decompress(codec: Compression, input: &[u8]) -> Result<Vec<u8>, DecompressError> {
    Decompressor::new(LIMIT).decompress(codec, input).map(<[u8]>::to_vec)
}

fn compress(codec: Compression, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new().compress(codec, input, &mut out).unwrap();
    out
}

fn assert_limited(codec: Compression, input: &[u8]) {
    assert_eq!(decompress(codec, input), Err(DecompressError::LimitExceeded { limit: LIMIT }));
}

fn assert_malformed(codec: Compression, input: &[u8]) {
    match decompress(codec, input) {
        Err(DecompressError::Malformed { compression, .. }) => assert_eq!(compression, codec),
        other => panic!("{codec}: {:?}", other.map(|output| output.len())),
    }
}

#[test]
fn nothing_comes_back_as_nothing_from_a_fresh_context() {
    for codec in &Compression::ALL[1..] {
        assert_eq!(decompress(*codec, &compress(*codec, b"")).unwrap(), b"", "{codec}");
    }
}

#[test]
fn exactly_the_limit_comes_out_and_one_byte_more_does_not() {
    for codec in &Compression::ALL[1..] {
        for spread in [1, 251] {
            let input: Vec<u8> = (0..LIMIT + 1).map(|at| (at * at % spread) as u8).collect();
            assert_eq!(decompress(*codec, &compress(*codec, &input[..LIMIT])).unwrap(), input[..LIMIT], "{codec}");
            assert_limited(*codec, &compress(*codec, &input));
        }
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_survived() {
    let input: Vec<u8> = (0..2000u32).map(|at| (at * at % 7) as u8).collect();
    for codec in &Compression::ALL[1..] {
        let sound = compress(*codec, &input);
        let mut decompressor = Decompressor::new(LIMIT);
        for length in 0..sound.len() {
            // Snappy's framing has no end mark, so a cut between two blocks or in none gives what came before.
            let result = decompressor.decompress(*codec, &sound[..length]);
            assert!(result.is_err() || *codec == Compression::Snappy, "{codec} {length}");
        }
        for bit in 0..8 * sound.len() {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = decompressor.decompress(*codec, &bytes);
        }
        assert_eq!(decompressor.decompress(*codec, &sound).unwrap(), input);
    }
}

#[test]
fn a_zstd_frame_that_promises_2_to_the_62_bytes_is_refused_without_allocating_them() {
    // Magic, single segment with an eight-byte content size, the size, then one raw last block of one byte.
    let mut frame = 0xFD2F_B528u32.to_le_bytes().to_vec();
    frame.push(0xe0);
    frame.extend((1u64 << 62).to_le_bytes());
    frame.extend([0x09, 0, 0, b'x']);
    assert!(decompress(Compression::Zstd, &frame).is_err());
}

#[test]
fn a_zstd_window_beyond_what_java_reads_is_refused() {
    // Window descriptor 31 << 3 has no place in the format; 18 << 3 is 256 MiB, 17 << 3 is 128 MiB.
    let frame = |window_log_minus_10: u8| {
        let mut frame = 0xFD2F_B528u32.to_le_bytes().to_vec();
        frame.extend([0x00, window_log_minus_10 << 3, 0x09, 0, 0, b'x']);
        frame
    };
    assert_eq!(decompress(Compression::Zstd, &frame(17)).unwrap(), b"x");
    for window in [18, 21, 31] {
        assert_malformed(Compression::Zstd, &frame(window));
    }
}

#[test]
fn zstd_blocks_that_repeat_one_byte_stop_at_the_cap() {
    // Each block of four bytes stands for 128 KiB.
    let mut frame = 0xFD2F_B528u32.to_le_bytes().to_vec();
    frame.extend([0x00, 0x70]);
    let block = |is_last: u32| ((128 << 10) << 3) | (1 << 1) | is_last;
    for _ in 0..1000 {
        frame.extend(&block(0).to_le_bytes()[..3]);
        frame.push(b'x');
    }
    frame.extend(&block(1).to_le_bytes()[..3]);
    frame.push(b'x');
    assert_limited(Compression::Zstd, &frame);
}

#[test]
fn zstd_frames_of_old_versions_and_with_dictionaries_are_refused() {
    for magic in [0xFD2F_B522u32, 0xFD2F_B523, 0xFD2F_B524, 0xFD2F_B525, 0xFD2F_B526, 0xFD2F_B527] {
        let mut frame = magic.to_le_bytes().to_vec();
        frame.extend([0; 30]);
        assert_malformed(Compression::Zstd, &frame);
    }
    let mut frame = 0xFD2F_B528u32.to_le_bytes().to_vec();
    frame.extend([0x21, 7, 1, 0x09, 0, 0, b'x']);
    assert_malformed(Compression::Zstd, &frame);
}

#[test]
fn zstd_frames_one_after_the_other_and_skippable_ones_are_read() {
    let mut skippable = 0x184D_2A50u32.to_le_bytes().to_vec();
    skippable.extend(5u32.to_le_bytes());
    skippable.extend([0xee; 5]);
    let frames = [compress(Compression::Zstd, b"one"), skippable, compress(Compression::Zstd, b"two")].concat();
    assert_eq!(decompress(Compression::Zstd, &frames).unwrap(), b"onetwo");
    // A hundred thousand empty ones take time that is bounded by their bytes.
    let empty = compress(Compression::Zstd, b"").repeat(100_000);
    assert_eq!(decompress(Compression::Zstd, &empty).unwrap(), b"");
    assert_malformed(Compression::Zstd, &[frames, vec![1, 2, 3, 4, 5]].concat());
    assert_malformed(Compression::Zstd, b"");
}

#[test]
fn snappy_chunk_lengths_that_lie_are_refused() {
    let header = [&[0x82][..], b"SNAPPY\0", &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
    for length in [-1i32, i32::MIN, i32::MAX, 100] {
        let bytes = [&header[..], &length.to_be_bytes(), &[1, 0, b'x']].concat();
        assert_malformed(Compression::Snappy, &bytes);
    }
    assert_eq!(decompress(Compression::Snappy, &header).unwrap(), b"");
}

#[test]
fn snappy_blocks_that_declare_gigabytes_are_refused() {
    let header = [&[0x82][..], b"SNAPPY\0", &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
    let declared = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'x'];
    let framed = [&header[..], &(declared.len() as i32).to_be_bytes(), &declared].concat();
    assert_malformed(Compression::Snappy, &framed);
    assert_malformed(Compression::Snappy, &declared);
}

#[test]
fn snappy_is_read_bare_framed_and_concatenated_with_the_versions_that_java_asks_for() {
    let mut framed = compress(Compression::Snappy, b"hello");
    let sound = framed.clone();
    framed[11] = 0;
    assert_eq!(decompress(Compression::Snappy, &framed).unwrap(), b"hello");
    assert_malformed(Compression::Snappy, &[sound.clone(), framed].concat());
    assert_eq!(decompress(Compression::Snappy, &[&sound[..], &[0, 0, 0]].concat()).unwrap(), b"hello");
    // A length, a literal of five bytes.
    assert_eq!(decompress(Compression::Snappy, &[5, 4 << 2, b'h', b'e', b'l', b'l', b'o']).unwrap(), b"hello");
    let twice = compress(Compression::Snappy, b"hello").repeat(2);
    assert_eq!(decompress(Compression::Snappy, &twice).unwrap(), b"hellohello");
}

#[test]
fn lz4_headers_that_break_the_rules_are_refused() {
    let sound = compress(Compression::Lz4, b"hello, hello, hello");
    let with = |at: usize, byte: u8| {
        let mut bytes = sound.clone();
        bytes[at] = byte;
        bytes
    };
    assert_malformed(Compression::Lz4, &with(6, 0)); // the header's checksum
    assert_malformed(Compression::Lz4, &with(5, 0x30)); // the block size
    assert_malformed(Compression::Lz4, &with(5, 0x80));
    assert_malformed(Compression::Lz4, &with(4, 0x40)); // linked blocks
    assert_malformed(Compression::Lz4, &with(4, 0xa0)); // version
    assert_malformed(Compression::Lz4, &with(0, 0)); // magic
}

#[test]
fn lz4_matches_that_reach_before_the_start_are_refused_and_disclose_nothing() {
    // A buffer that held something before is used again.
    let mut decompressor = Decompressor::new(LIMIT);
    let secret = compress(Compression::Lz4, &b"secret".repeat(1000));
    decompressor.decompress(Compression::Lz4, &secret).unwrap();
    let sound = compress(Compression::Lz4, b"");
    let mut frame = sound[..7].to_vec();
    // One literal, then a match 1000 bytes back.
    let block = [0x1f, b'x', 0xe8, 0x03, 50, 0x50, b'a', b'b', b'c', b'd', b'e'];
    frame.extend((block.len() as u32).to_le_bytes());
    frame.extend(block);
    frame.extend([0; 4]);
    assert!(matches!(
        decompressor.decompress(Compression::Lz4, &frame),
        Err(DecompressError::Malformed { compression: Compression::Lz4, .. })
    ));
}

#[test]
fn lz4_blocks_larger_than_the_frame_allows_are_refused() {
    let sound = compress(Compression::Lz4, b"hello");
    let mut frame = sound[..7].to_vec();
    frame.extend(((64 << 10) + 1u32).to_le_bytes());
    frame.extend(vec![0; (64 << 10) + 5]);
    assert_malformed(Compression::Lz4, &frame);
}

#[test]
fn gzip_of_several_members_is_read_and_broken_trailers_are_refused() {
    let member = compress(Compression::Gzip, b"hello");
    assert_eq!(decompress(Compression::Gzip, &member.repeat(3)).unwrap(), b"hellohellohello");
    for at in member.len() - 8..member.len() {
        let mut bytes = member.clone();
        bytes[at] ^= 1;
        assert_malformed(Compression::Gzip, &bytes);
    }
    // Bytes that are no member end the data, as in Java.
    assert_eq!(decompress(Compression::Gzip, &[&member[..], b"noise"].concat()).unwrap(), b"hello");
}

#[test]
fn gzip_headers_with_names_comments_and_extra_fields_are_skipped() {
    let member = compress(Compression::Gzip, b"hello");
    let mut bytes = member[..10].to_vec();
    bytes[3] = 4 | 8 | 16;
    bytes.extend([2, 0, 0xaa, 0xbb]);
    bytes.extend(b"name\0comment\0");
    bytes.extend(&member[10..]);
    assert_eq!(decompress(Compression::Gzip, &bytes).unwrap(), b"hello");
    for length in 0..30 {
        assert_malformed(Compression::Gzip, &bytes[..length.min(bytes.len() - 9)]);
    }
}
