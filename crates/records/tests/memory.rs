//! Memory under decompression bombs, measured for the whole process: the only test of its file, so that no other one
//! runs beside it.

#![allow(clippy::unwrap_used)]

use ottla_records::*;

const LIMIT: usize = 1 << 20;

/// The most memory that this process ever had, in KiB, as the kernel counts it: C code's included.
fn peak_kibibytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// 64 MiB of zeros in every codec.
fn bombs() -> Vec<(Compression, Vec<u8>)> {
    let zeros = vec![0; 64 << 20];
    Compression::ALL[1..].iter().map(|codec| (*codec, compress(*codec, &zeros))).collect()
}

#[test]
fn bombs_stop_at_the_cap_and_memory_stays_near_it() {
    let bombs = bombs();
    // Making the bombs took memory; from here on it is counted anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak_kibibytes();
    for (codec, bomb) in &bombs {
        for _ in 0..3 {
            let refused = Decompressor::new(LIMIT).decompress(*codec, bomb).map(<[u8]>::len);
            assert_eq!(refused, Err(DecompressError::LimitExceeded { limit: LIMIT }));
        }
    }
    let grown = peak_kibibytes().saturating_sub(before);
    println!("peak grew by {grown} KiB with a limit of {} KiB", LIMIT >> 10);
    assert!(grown < 4 << 10, "the peak grew by {grown} KiB");
}

fn compress(codec: Compression, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new().compress(codec, input, &mut out).unwrap();
    out.shrink_to_fit();
    out
}
