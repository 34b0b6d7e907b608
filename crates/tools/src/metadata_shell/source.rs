use crate::dump_log::segment::Segment;
use crate::subcommands::Failure;
use ottla_env::{Disk, DiskResult};
use ottla_env_os::OsDisk;
use ottla_metadata::{LoadedBatch, MetadataImage, MetadataLoader, Provenance};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_raft::SnapshotId;
use ottla_records::{AnyBatch, DECOMPRESSED_BATCH_BYTES_MAX, Decompressor};
use ottla_types::Offset;
use std::fmt;
use std::path::{Path, PathBuf};

/// Keeps servers out of the directory while it is looked at.
pub(super) type Lock = Option<Box<dyn Send + Sync>>;

/// Locks the log directory that a file of the metadata lies in, if it is one: a directory that was copied has no lock.
///
/// # Errors
/// A server has it.
pub(super) fn lock(file: &Path) -> Result<Lock, Failure> {
    let own = if file.is_dir() { Some(file) } else { file.parent() };
    let Some(directory) = own.and_then(Path::parent) else { return Ok(None) };
    let path = directory.join(".lock");
    if !path.exists() {
        return Ok(None);
    }
    let locked: DiskResult<Lock> = OsDisk.lock(&path);
    let locked = locked.map_err(|error| Failure(error.to_string()))?;
    locked.map(Some).ok_or_else(|| {
        let directory = directory.display();
        Failure(format!(
            "Unable to lock {directory}. Please ensure that no broker or controller process is using this directory before proceeding."
        ))
    })
}

/// A file of records, and the offset before which its records don't count: a snapshot has them.
struct Part {
    file: PathBuf,
    start: Offset,
}

/// Reads the metadata of a snapshot or of a segment of the log; of a directory that of its newest snapshot and of what the
/// log has behind it.
///
/// # Errors
/// A file can't be read, or its records contradict each other.
pub(super) fn load(path: &Path) -> Result<MetadataImage, Failure> {
    let whole = || vec![Part { file: path.to_owned(), start: Offset(0) }];
    let parts = if path.is_dir() { parts(path)? } else { whole() };
    let mut loader = MetadataLoader::new(MetadataImage::new());
    for part in &parts {
        load_part(part, &mut loader)?;
    }
    let image = loader.published();
    if image.provenance == Provenance::EMPTY {
        return Err(Failure(format!("{}: no metadata is in it", path.display())));
    }
    Ok(image.clone())
}

/// The newest snapshot of a directory, and the segments from its end on, in order.
fn parts(directory: &Path) -> Result<Vec<Part>, Failure> {
    let mut snapshots = Vec::new();
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(snapshot) = SnapshotId::from_file_name(&name) {
            snapshots.push((snapshot.0, name));
        } else if let Some(offset) = name.strip_suffix(".log").and_then(|offset| offset.parse::<i64>().ok()) {
            segments.push((offset, name));
        }
    }
    snapshots.sort();
    segments.sort();
    let newest = snapshots.pop();
    let end = newest.as_ref().map_or(Offset(0), |(snapshot, _)| snapshot.offset);
    // The last segment that begins at or before the snapshot's end is the first that has something behind it.
    let first = segments.iter().rposition(|(offset, _)| *offset <= end.value()).unwrap_or_default();
    let snapshot = newest.map(|(_, name)| Part { file: directory.join(name), start: Offset(0) });
    let log = segments.into_iter().skip(first).map(|(_, name)| Part { file: directory.join(name), start: end });
    let parts: Vec<_> = snapshot.into_iter().chain(log).collect();
    if parts.is_empty() {
        return Err(Failure(format!("{}: neither a snapshot nor a log is here", directory.display())));
    }
    Ok(parts)
}

fn load_part(part: &Part, loader: &mut MetadataLoader) -> Result<(), Failure> {
    let failed = |error: &dyn fmt::Display| Failure(format!("{}: {error}", part.file.display()));
    let segment = Segment::open(&part.file)?;
    let mut decompressor = Decompressor::new(DECOMPRESSED_BATCH_BYTES_MAX);
    let mut buffer = Vec::new();
    let mut position = 0;
    while let Some(place) = segment.batch_at(position, segment.length())? {
        position += place.size;
        let AnyBatch::Batch(batch) = segment.batch(&place, &mut buffer)? else {
            return Err(failed(&"the records are in a format that metadata never had"));
        };
        if batch.is_control() || batch.last_offset() < part.start {
            continue;
        }
        let mut records = Vec::new();
        for record in batch.records(&mut decompressor).map_err(|error| failed(&error))? {
            let value = record.map_err(|error| failed(&error))?.value.unwrap_or_default();
            records.push(MetadataRecord::decode_frame(value).map_err(|error| failed(&error))?.0);
        }
        let loaded = LoadedBatch {
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            epoch: batch.partition_leader_epoch(),
            timestamp: batch.max_timestamp(),
            records: &records,
        };
        loader.load(loaded).map_err(|error| failed(&error))?;
        // What belongs to a transaction that has no end is not shown.
        loader.publish();
    }
    Ok(())
}
