use std::fs;

use crate::playground::{Running, framed, request, start_with_file};
use ottla_net::NetOptions;
use std::io::Write;

const LENGTH: usize = 3 << 20;

fn start(options: NetOptions) -> (Running, tempfile::NamedTempFile, Vec<u8>) {
    let contents: Vec<u8> = (0..LENGTH).map(|index| (index / 3) as u8 ^ (index >> 11) as u8).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &contents).unwrap();
    (start_with_file(options, file.path()), file, contents)
}

fn expected(contents: &[u8], position: usize, length: usize) -> Vec<u8> {
    [b"head", &contents[position..position + length], b"tail"].concat()
}

#[test]
fn ranges_of_a_file_are_sent_between_bytes_whatever_their_length() {
    let (running, _file, contents) = start(NetOptions::default());
    let mut client = running.connect();
    let ranges = [(0, 0), (0, 1), (5, 1000), (7, 65_535), (7, 65_536), (9, 65_537), (1, 200_000), (0, LENGTH)];
    for (position, length) in ranges {
        client.send(&request(b'f', &[position as u64, length as u64]));
        assert!(client.receive() == expected(&contents, position, length), "{length} bytes at {position}");
    }
}

#[test]
fn pipelined_ranges_arrive_in_order_at_a_slow_reader() {
    let options = NetOptions { send_buffer_bytes: Some(16 << 10), output_bytes_max: 100_000, ..NetOptions::default() };
    let (running, _file, contents) = start(options);
    let mut client = running.connect();
    let ranges: Vec<(usize, usize)> = (0..40).map(|n| (n * 1000, [100, 70_000, 30_000, 300_000][n % 4])).collect();
    let sent: Vec<u8> =
        ranges.iter().flat_map(|(at, length)| framed(&request(b'f', &[*at as u64, *length as u64]))).collect();
    client.stream.write_all(&sent).unwrap();
    for (position, length) in ranges {
        assert!(client.receive() == expected(&contents, position, length), "{length} bytes at {position}");
    }
}

#[test]
fn a_file_that_has_become_too_short_closes_the_connection() {
    for length in [100_u64, 1 << 20] {
        let (running, file, _) = start(NetOptions::default());
        let mut client = running.connect();
        file.as_file().set_len(50).unwrap();
        client.send(&request(b'f', &[0, length]));
        assert!(client.try_receive().is_err(), "the answer can't be whole");
        let mut other = running.connect();
        other.send(b"echo");
        assert_eq!(other.receive(), b"echo");
    }
}

#[test]
fn a_range_that_is_not_in_memory_is_read_from_the_disk() {
    let (running, file, contents) = start(NetOptions::default());
    file.as_file().sync_all().unwrap();
    for length in [1000, 100_000, LENGTH] {
        rustix::fs::fadvise(file.as_file(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut client = running.connect();
        client.send(&request(b'f', &[0, length as u64]));
        assert!(client.receive() == expected(&contents, 0, length), "{length} bytes");
    }
}
