//! A random batch as data: built here, and in the oracle from its words.

use std::fmt::Write;

use ottla_records::*;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::Numbers;
use super::oracle::{hex, nullable_hex};

#[derive(Clone, Debug)]
pub struct CaseRecord {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub magic: i8,
    pub compression: Compression,
    pub level: Option<i32>,
    pub options: BatchOptions,
    pub records: Vec<CaseRecord>,
}

impl Case {
    /// A batch with every field at random, edge values among them.
    pub fn random(numbers: &mut Numbers, magic: i8) -> Self {
        let codecs = if magic == 2 { &Compression::ALL[..] } else { &Compression::ALL[..4] };
        let compression = numbers.pick(codecs);
        let level = (magic == 2 && numbers.one_in(2))
            .then(|| match compression {
                Compression::Gzip => Some(1 + numbers.below(9) as i32),
                Compression::Lz4 => Some(1 + numbers.below(17) as i32),
                Compression::Zstd => Some(numbers.below(24) as i32 - 5),
                Compression::None | Compression::Snappy => None,
            })
            .flatten();
        let is_control = magic == 2 && numbers.one_in(10);
        let base_offset = numbers.pick(&[0, 1, 1000, i64::from(i32::MAX) + 5, 1 << 50]);
        let is_idempotent = magic == 2 && numbers.one_in(2);
        let options = BatchOptions {
            compression: CompressionLevel::default_of(compression),
            base_offset: Offset(base_offset),
            partition_leader_epoch: LeaderEpoch(if magic == 2 { numbers.pick(&[-1, 0, 5, i32::MAX]) } else { -1 }),
            log_append_time: (magic > 0 && numbers.one_in(4)).then_some(Timestamp(1_700_000_000_000)),
            producer_id: ProducerId(if is_idempotent { numbers.pick(&[0, 7, i64::MAX]) } else { -1 }),
            producer_epoch: ProducerEpoch(if is_idempotent { numbers.pick(&[0, 3, i16::MAX]) } else { -1 }),
            base_sequence: Sequence(if is_idempotent { numbers.pick(&[0, 9, i32::MAX - 2, i32::MAX]) } else { -1 }),
            is_transactional: is_idempotent && numbers.one_in(2),
            is_control,
            delete_horizon: (magic == 2 && numbers.one_in(6)).then_some(Timestamp(1_600_000_000_000)),
        };
        let count_max = if is_control { 1 } else { numbers.pick(&[1, 5, 60]) };
        let count = 1 + numbers.below(count_max);
        let mut offset = base_offset - 1;
        let records = (0..count)
            .map(|_| {
                // Messages of the older formats in one set are consecutive, since they count from the wrapper.
                offset += if magic < 2 || numbers.one_in(2) { 1 } else { 1 + numbers.below(1000) as i64 };
                Self::record(numbers, magic, offset, is_control)
            })
            .collect();
        Self { magic, compression, level, options, records }
    }

    fn record(numbers: &mut Numbers, magic: i8, offset: i64, is_control: bool) -> CaseRecord {
        let bytes_max = numbers.pick(&[0, 1, 63, 64, 200, 9000]);
        let nullable = |numbers: &mut Numbers| (!numbers.one_in(5)).then(|| numbers.bytes(bytes_max));
        let key = if is_control { Some(vec![0, 0, 0, numbers.below(7) as u8]) } else { nullable(numbers) };
        let header_count = if magic == 2 && numbers.one_in(3) { numbers.below(5) } else { 0 };
        let timestamps = [-1, 0, 1, 1_699_999_999_999, 1_700_000_000_000, 1_700_000_000_063, i64::MAX];
        CaseRecord {
            offset,
            timestamp: if magic == 0 { -1 } else { numbers.pick(&timestamps) },
            key,
            value: nullable(numbers),
            headers: (0..header_count)
                .map(|_| {
                    let key = numbers.pick(&["", "k", "trace", "schlüssel", "鍵"]).as_bytes().to_vec();
                    (key, nullable(numbers))
                })
                .collect(),
        }
    }

    pub fn codec(&self) -> CompressionLevel {
        match self.level {
            Some(level) => CompressionLevel::new(self.compression, level).unwrap(),
            None => self.compression.into(),
        }
    }

    pub fn build(&self) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions { compression: self.codec(), ..self.options });
        for record in &self.records {
            let headers: Vec<_> =
                record.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
            builder
                .append_with_offset(
                    Offset(record.offset),
                    &RecordToWrite {
                        timestamp: Timestamp(record.timestamp),
                        key: record.key.as_deref(),
                        value: record.value.as_deref(),
                        headers: &headers,
                    },
                )
                .unwrap();
        }
        builder.build_vec(&mut Compressor::new()).unwrap()
    }

    /// The oracle's question that builds the same batch there.
    pub fn question(&self) -> String {
        let options = &self.options;
        let level = self.level.map_or_else(|| "default".to_owned(), |level| level.to_string());
        let timestamp_type = match (self.magic, options.log_append_time) {
            (0, _) => "NoTimestampType",
            (_, Some(_)) => "LogAppendTime",
            (_, None) => "CreateTime",
        };
        let mut text = format!(
            "build {} {} {level} {timestamp_type} {} {} {} {} {} {} {} {} {}",
            self.magic,
            self.compression,
            options.base_offset,
            options.log_append_time.unwrap_or(Timestamp::NONE),
            options.producer_id,
            options.producer_epoch,
            options.base_sequence,
            u8::from(options.is_transactional),
            u8::from(options.is_control),
            options.partition_leader_epoch,
            options.delete_horizon.unwrap_or(Timestamp::NONE),
        );
        for record in &self.records {
            let (key, value) = (nullable_hex(record.key.as_deref()), nullable_hex(record.value.as_deref()));
            write!(text, " {}:{}:{key}:{value}:", record.offset, record.timestamp).unwrap();
            for (at, (key, value)) in record.headers.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                write!(text, "{comma}{}={}", hex(key), nullable_hex(value.as_deref())).unwrap();
            }
        }
        text
    }
}

/// Everything that can be read from batches, in the words in which the oracle tells it.
pub fn describe(bytes: &[u8]) -> String {
    let mut decompressor = Decompressor::new(1 << 24);
    let mut text = String::new();
    for batch in AnyBatches::new(bytes) {
        let batch = batch.unwrap();
        assert!(batch.is_checksum_valid());
        describe_batch(batch, &mut text);
        for record in batch.records(&mut decompressor).unwrap() {
            describe_record(&record.unwrap(), &mut text);
        }
    }
    text
}

fn describe_batch(batch: AnyBatch<'_>, text: &mut String) {
    write!(
        text,
        "batch magic={} last={} size={} codec={} type={} max={} epoch={}",
        batch.magic(),
        batch.last_offset(),
        batch.size(),
        batch.compression().unwrap(),
        batch.timestamp_type().name(),
        batch.max_timestamp(),
        batch.partition_leader_epoch(),
    )
    .unwrap();
    if let AnyBatch::Batch(batch) = batch {
        write!(
            text,
            " base={} producer={}/{}/{}/{} count={} transactional={} control={} crc={} horizon={} next={}",
            batch.base_offset(),
            batch.producer_id(),
            batch.producer_epoch(),
            batch.base_sequence(),
            batch.last_sequence(),
            batch.count(),
            batch.is_transactional(),
            batch.is_control(),
            batch.checksum(),
            batch.delete_horizon().map_or_else(|| "-".to_owned(), |horizon| horizon.to_string()),
            batch.next_offset(),
        )
        .unwrap();
    }
    text.push(';');
}

fn describe_record(record: &Record<'_>, text: &mut String) {
    let (key, value) = (nullable_hex(record.key), nullable_hex(record.value));
    write!(text, "{}:{}:{}:{key}:{value}:", record.offset, record.timestamp, record.sequence).unwrap();
    for header in record.headers {
        write!(text, "{}={},", hex(header.key), nullable_hex(header.value)).unwrap();
    }
    text.push(';');
}
