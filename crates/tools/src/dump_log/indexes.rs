use super::findings::Findings;
use super::options::Settings;
use super::segment::Segment;
use super::{Failure, base_offset, sibling};
use crate::console::Console;
use ottla_log::format::{OffsetIndex, TimeIndex};
use ottla_records::{DECOMPRESSED_BATCH_BYTES_MAX, Decompressor};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Shows an offset index and compares it with its log.
pub(super) fn dump_offset_index(
    file: &Path,
    settings: &Settings,
    findings: &mut Findings,
    console: &mut Console,
) -> Result<(), Failure> {
    let base = base_offset(file)?;
    let segment = Segment::open(&sibling(file, "log"))?;
    let index = Entries::<{ OffsetIndex::ENTRY_LENGTH }>::open(file)?;
    if index.count == 0 {
        console.line(&format!("{} is empty.", file.display()));
        return Ok(());
    }
    let entry = |number| index.get(number).map(|bytes| relative(base, OffsetIndex::parse_entry(bytes)));
    if settings.checks_sanity_only {
        let (last, _) = entry(index.count - 1)?;
        if last < base {
            return Err(Failure::of(file, format!("the last offset {last} is less than the base offset {base}")));
        }
        return sane(&index, file, console);
    }
    for number in 0..index.count {
        let (offset, position) = entry(number)?;
        // Of a file that was not closed, the unused space is zeros.
        if offset == base && number > 0 {
            return Ok(());
        }
        let found = batch_of_entry(&segment, position, settings.message_size_max).and_then(|found| {
            found.ok_or_else(|| Failure::of(file, format!("no whole batch is at byte {position}")))
        })?;
        if found != offset {
            findings.index_mismatch(file, offset, found);
        }
        if !settings.verifies_only {
            console.line(&format!("offset: {offset} position: {position}"));
        }
    }
    Ok(())
}

/// An entry's offset and position, both of 32 bits with a sign in Kafka.
fn relative(base: i64, (relative, position): (u32, u32)) -> (i64, i64) {
    (base.wrapping_add(i64::from(relative.cast_signed())), position.cast_signed().into())
}

/// The last offset of the batch at `position`, when no more than `bytes_max` bytes hold it.
fn batch_of_entry(segment: &Segment, position: i64, bytes_max: i32) -> Result<Option<i64>, Failure> {
    if position < 0 || bytes_max < 0 {
        return Ok(None);
    }
    let place = segment.batch_at(position, position.saturating_add(bytes_max.into()))?;
    place.map(|place| segment.last_offset(&place)).transpose()
}

fn sane<const N: usize>(index: &Entries<N>, file: &Path, console: &mut Console) -> Result<(), Failure> {
    if !index.length.is_multiple_of(N as u64) {
        return Err(Failure::of(file, format!("{} bytes are not whole entries of {N}", index.length)));
    }
    console.line(&format!("{} passed sanity check.", file.display()));
    Ok(())
}

/// Shows a time index and compares it with its log.
pub(super) fn dump_time_index(
    file: &Path,
    settings: &Settings,
    findings: &mut Findings,
    console: &mut Console,
) -> Result<(), Failure> {
    let base = base_offset(file)?;
    let segment = Segment::open(&sibling(file, "log"))?;
    let offsets = Entries::open_or_empty(&sibling(file, "index"))?;
    let times = Entries::<{ TimeIndex::ENTRY_LENGTH }>::open(file)?;
    let entry = |number| times.get(number).map(|bytes| timed(base, TimeIndex::parse_entry(bytes)));
    if settings.checks_sanity_only {
        if let Some(last) = times.count.checked_sub(1) {
            let ((first, _), (timestamp, offset)) = (entry(0)?, entry(last)?);
            if timestamp < first {
                return Err(Failure::of(
                    file,
                    format!("the last timestamp {timestamp} is less than the first, {first}"),
                ));
            }
            if offset < base {
                return Err(Failure::of(file, format!("the last offset {offset} is less than the base offset {base}")));
            }
        }
        return sane(&times, file, console);
    }
    let mut check = TimeCheck { file, base, segment, offsets, findings, is_walked: false };
    let mut previous = -1;
    for number in 0..times.count {
        let (timestamp, offset) = entry(number)?;
        if offset == base && number > 0 {
            return Ok(());
        }
        check.entry(timestamp, offset, previous)?;
        if !settings.verifies_only {
            console.line(&format!("timestamp: {timestamp} offset: {offset}"));
        }
        previous = timestamp;
    }
    Ok(())
}

fn timed(base: i64, (timestamp, relative): (i64, u32)) -> (i64, i64) {
    (timestamp, base.wrapping_add(i64::from(relative.cast_signed())))
}

/// Compares the entries of a time index with its log.
struct TimeCheck<'a> {
    file: &'a Path,
    base: i64,
    segment: Segment,
    offsets: Entries<{ OffsetIndex::ENTRY_LENGTH }>,
    findings: &'a mut Findings,
    /// Whether the headers of all batches were walked over once: Kafka's tool stumbles over a broken one anywhere.
    is_walked: bool,
}

impl TimeCheck<'_> {
    fn entry(&mut self, timestamp: i64, offset: i64, previous: i64) -> Result<(), Failure> {
        let mut position = self.position_before(offset)?;
        if position < 0 {
            return Err(Failure::of(self.file, format!("the offset index leads to the negative position {position}")));
        }
        let mut found = None;
        while let Some(place) = self.segment.batch_at(position, i64::MAX)? {
            let last = self.segment.last_offset(&place)?;
            position += place.size;
            if found.is_none() && last >= offset {
                found = Some((place, last));
            }
            if found.is_some() && self.is_walked {
                break;
            }
        }
        self.is_walked = true;
        match found {
            None => self.findings.offset_not_found(self.file, offset, -1),
            Some((_, last)) if last != offset => self.findings.offset_not_found(self.file, offset, last),
            Some((place, _)) => {
                let greatest = self.greatest_timestamp(&place)?;
                if greatest != timestamp {
                    self.findings.timestamp_mismatch(self.file, timestamp, greatest);
                }
                if previous >= timestamp {
                    self.findings.timestamp_out_of_order(self.file, timestamp, previous);
                }
            }
        }
        Ok(())
    }

    /// Where the offset index says to look for `offset`.
    fn position_before(&self, offset: i64) -> Result<i64, Failure> {
        let (mut low, mut high, mut position) = (0, self.offsets.count, 0);
        while low < high {
            let middle = low.midpoint(high);
            let entry = relative(self.base, OffsetIndex::parse_entry(self.offsets.get(middle)?));
            if entry.0 <= offset {
                (low, position) = (middle + 1, entry.1);
            } else {
                high = middle;
            }
        }
        Ok(position)
    }

    fn greatest_timestamp(&self, place: &super::segment::BatchPlace) -> Result<i64, Failure> {
        let mut buffer = Vec::new();
        let mut decompressor = Decompressor::new(DECOMPRESSED_BATCH_BYTES_MAX);
        let batch = self.segment.batch(place, &mut buffer)?;
        let failed =
            |error| Failure::of(self.file, format!("the batch at byte {} of the log: {error}", place.position));
        let mut greatest = -1;
        for record in batch.records(&mut decompressor).map_err(failed)? {
            greatest = greatest.max(record.map_err(failed)?.timestamp.value());
        }
        Ok(greatest)
    }
}

/// A file of entries of `N` bytes, read entry by entry.
struct Entries<const N: usize> {
    path: PathBuf,
    /// `None`: the file is not there, and has no entries.
    file: Option<File>,
    length: u64,
    count: u64,
}

impl<const N: usize> Entries<N> {
    fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::of(path, error);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self { path: path.to_owned(), file: Some(file), length, count: length / N as u64 })
    }

    fn open_or_empty(path: &Path) -> Result<Self, Failure> {
        match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { path: path.to_owned(), file: None, length: 0, count: 0 })
            }
            _ => Self::open(path),
        }
    }

    fn get(&self, number: u64) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        if let Some(file) = &self.file {
            let read = file.read_exact_at(&mut bytes, number.saturating_mul(N as u64));
            read.map_err(|error| Failure::of(&self.path, error))?;
        }
        Ok(bytes)
    }
}
