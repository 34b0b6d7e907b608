use super::decoder::{Decoder, json};
use super::findings::Findings;
use super::options::Settings;
use super::segment::Segment;
use super::{Failure, base_offset, file_name};
use crate::console::Console;
use crate::java_text::text;
use ottla_records::{
    AnyBatch, AnyRecords, ControlRecord, ControlRecordType, DECOMPRESSED_BATCH_BYTES_MAX, Decompressor, Record,
};
use std::path::Path;

const BOOTSTRAP: &str = "bootstrap.checkpoint";

/// Shows a log or a snapshot of the metadata.
pub(super) fn dump(
    file: &Path,
    settings: &Settings,
    findings: &mut Findings,
    console: &mut Console,
) -> Result<(), Failure> {
    let decoder = Decoder::new(&settings.decoder).map_err(Failure)?;
    console.line(&title(file)?);
    let segment = Segment::open(file)?;
    if settings.bytes_max < 0 {
        return Err(Failure(format!("--max-bytes is {}: it can't be negative", settings.bytes_max)));
    }
    let end = segment.length().min(settings.bytes_max.into());
    let mut decompressor = Decompressor::new(DECOMPRESSED_BATCH_BYTES_MAX);
    let mut buffer = Vec::new();
    let mut position = 0;
    let mut last_offset = -1;
    while let Some(place) = segment.batch_at(position, end)? {
        let batch = segment.batch(&place, &mut buffer)?;
        console.line(&batch_line(batch, place.magic, position).map_err(|error| Failure::of(file, error))?);
        if settings.shows_records {
            let mut show = Show { file, settings, decoder: &decoder, findings, console, last_offset };
            show.records(batch, &mut decompressor)?;
            last_offset = show.last_offset;
        }
        position += place.size;
        if console.is_closed() {
            return Ok(());
        }
    }
    let left = end - position;
    if left > 0 && settings.bytes_max == i32::MAX {
        console.line(&format!("Found {left} invalid bytes at the end of {}", file_name(file)));
    }
    Ok(())
}

fn title(file: &Path) -> Result<String, Failure> {
    let name = file_name(file);
    if name == BOOTSTRAP {
        return Ok("KRaft bootstrap snapshot".to_owned());
    }
    if name.ends_with(".log") {
        return Ok(format!("Log starting offset: {}", base_offset(file)?));
    }
    // 20 digits of the offset, a dash, 10 digits of the epoch.
    let offset = name.get(..20).and_then(|digits| digits.parse::<i64>().ok());
    let epoch = name.get(21..31).and_then(|digits| digits.parse::<i32>().ok());
    match (offset, epoch) {
        (Some(offset), Some(epoch)) => Ok(format!("Snapshot end offset: {offset}, epoch: {epoch}")),
        _ => Err(Failure::of(file, "the name is not that of a snapshot: an offset of 20 digits, an epoch of 10")),
    }
}

fn batch_line(batch: AnyBatch<'_>, magic: i8, position: i64) -> Result<String, ottla_records::UnknownCompression> {
    let (head, checksum) = match batch {
        AnyBatch::Batch(batch) => {
            let horizon = batch.delete_horizon().map(|time| time.value());
            let head = format!(
                "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
                 producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {}",
                batch.base_offset(),
                batch.last_offset(),
                batch.count(),
                batch.base_sequence(),
                batch.last_sequence(),
                batch.producer_id(),
                batch.producer_epoch(),
                batch.partition_leader_epoch(),
                batch.is_transactional(),
                batch.is_control(),
                optional_long(horizon),
            );
            (head, batch.checksum())
        }
        AnyBatch::Legacy(message) => (format!("offset: {}", message.offset()), message.checksum()),
    };
    let (kind, time) = (timestamp_type(batch), batch.max_timestamp());
    Ok(format!(
        "{head} position: {position} {kind}: {time} size: {} magic: {magic} compresscodec: {} crc: {checksum} isvalid: {}",
        batch.size(),
        batch.compression()?,
        batch.is_checksum_valid(),
    ))
}

/// Java's `OptionalLong` as text.
pub(super) fn optional_long(value: Option<i64>) -> String {
    value.map_or_else(|| "OptionalLong.empty".to_owned(), |value| format!("OptionalLong[{value}]"))
}

fn timestamp_type(batch: AnyBatch<'_>) -> &'static str {
    if batch.magic() == 0 { "NoTimestampType" } else { batch.timestamp_type().name() }
}

/// What showing the records of a log needs.
struct Show<'a> {
    file: &'a Path,
    settings: &'a Settings,
    decoder: &'a Decoder,
    findings: &'a mut Findings,
    console: &'a mut Console,
    /// The offset of the last record that was shown, -1 before the first.
    last_offset: i64,
}

impl Show<'_> {
    fn records(&mut self, batch: AnyBatch<'_>, decompressor: &mut Decompressor) -> Result<(), Failure> {
        let file = self.file;
        let failed = |error| Failure::of(file, format!("the batch that ends with {}: {error}", batch.last_offset()));
        match batch.records(decompressor).map_err(failed)? {
            AnyRecords::Batch(records) => {
                for record in records {
                    let record = record.map_err(failed)?;
                    let keys: Vec<_> = record.headers.iter().map(|header| text(header.key)).collect();
                    let more = format!(" sequence: {} headerKeys: [{}]", record.sequence, keys.join(","));
                    self.record(batch, &record, &more)?;
                }
            }
            AnyRecords::Legacy(mut records) => {
                while let Some(next) = records.next_message() {
                    let (message, record) = next.map_err(failed)?;
                    let more = format!(" isValid: {} crc: {}", message.is_checksum_valid(), message.checksum());
                    self.record(batch, &record, &more)?;
                }
            }
        }
        Ok(())
    }

    /// Shows a record; `more` is what its format alone has.
    fn record(&mut self, batch: AnyBatch<'_>, record: &Record<'_>, more: &str) -> Result<(), Failure> {
        let offset = record.offset.value();
        if offset != self.last_offset.wrapping_add(1) {
            self.findings.gap(self.file, self.last_offset, offset);
        }
        self.last_offset = offset;
        let is_control = matches!(batch, AnyBatch::Batch(batch) if batch.is_control());
        let mut prefix = "| ";
        if !self.settings.skips_record_metadata {
            self.console.print(&format!("{}{more}", record_line(batch, record)));
            if is_control {
                let control = ControlRecord::parse(record).map_err(|error| Failure::of(self.file, error))?;
                self.console.print(&control_text(&control).map_err(|error| Failure::of(self.file, error))?);
            }
            prefix = " ";
        }
        if self.settings.shows_contents && !is_control {
            let (key, payload) = self.decoder.decode(record).map_err(Failure)?;
            if let Some(key) = key {
                self.console.print(&format!("{prefix}key: {key}"));
                prefix = " ";
            }
            if let Some(payload) = payload {
                self.console.print(&format!("{prefix}payload: {payload}"));
            }
        }
        self.console.line("");
        Ok(())
    }
}

fn record_line(batch: AnyBatch<'_>, record: &Record<'_>) -> String {
    let size = |bytes: Option<&[u8]>| bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.len().to_string());
    let (key, value) = (size(record.key), size(record.value));
    let kind = timestamp_type(batch);
    format!("| offset: {} {kind}: {} keySize: {key} valueSize: {value}", record.offset, record.timestamp)
}

fn control_text(control: &ControlRecord<'_>) -> Result<String, String> {
    let json = |name| json::versioned(name, control.value);
    Ok(match control.kind {
        ControlRecordType::Abort | ControlRecordType::Commit => {
            let marker = control.end_transaction().map_err(|error| error.to_string())?;
            let name = if control.kind == ControlRecordType::Commit { "COMMIT" } else { "ABORT" };
            let epoch = marker.map(|marker| marker.coordinator_epoch).unwrap_or_default();
            format!(" endTxnMarker: {name} coordinatorEpoch: {epoch}")
        }
        ControlRecordType::LeaderChange => format!(" LeaderChange: {}", json("LeaderChangeMessage")?),
        ControlRecordType::SnapshotHeader => format!(" SnapshotHeader {}", json("SnapshotHeaderRecord")?),
        ControlRecordType::SnapshotFooter => format!(" SnapshotFooter {}", json("SnapshotFooterRecord")?),
        ControlRecordType::KRaftVersion => format!(" KRaftVersion {}", json("KRaftVersionRecord")?),
        ControlRecordType::KRaftVoters => format!(" KRaftVoters {}", json("VotersRecord")?),
        ControlRecordType::Unknown(id) => format!(" controlType: UNKNOWN({id})"),
    })
}
