//! Message formats 0 and 1, for reading logs that older releases wrote. Nothing writes them.
//!
//! A log of these formats is a row of messages, each with its own offset and CRC-32. A compressed message wraps a whole
//! set of messages in its value: with absolute offsets in format 0, with offsets that count up to the wrapper's own in
//! format 1 (KIP-31).

use core::fmt;
use core::iter::FusedIterator;

use ottla_types::{Offset, Sequence, Timestamp};

use crate::batch::{self, TimestampType};
use crate::batches::BatchErrorKind;
use crate::compression::{Compression, Decompressor, HeaderChecksum, UnknownCompression};
use crate::layout::{self, field};
use crate::record::{Headers, Record};
use crate::records::RecordsError;
use crate::varint::Cursor;

const CHECKSUM: usize = 12;
/// Where the bytes start that the checksum covers.
const CHECKED: usize = layout::MAGIC;
const ATTRIBUTES: usize = 17;
const TIMESTAMP: usize = 18;
const KEY_FORMAT_0: usize = 18;
const KEY_FORMAT_1: usize = 26;
const TIMESTAMP_TYPE: i8 = 0x08;
const COMPRESSION_MASK: i8 = 0x07;

/// One message of format 0 or 1 where it lies, alone or wrapping a compressed set.
///
/// Invariant: the bytes are exactly as many as the length field says, with a format of 0 or 1, and key and value lie
/// inside. The checksum may be wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LegacyMessageView<'a> {
    bytes: &'a [u8],
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> LegacyMessageView<'a> {
    /// The message at the start of `bytes`; more may follow it.
    ///
    /// # Errors
    /// The bytes end before the message does, it has another format, or its key or value don't fit in it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchErrorKind> {
        let whole = batch::whole_batch(bytes)?;
        let key_position = match batch::magic(whole) {
            0 => KEY_FORMAT_0,
            1 => KEY_FORMAT_1,
            magic => return Err(BatchErrorKind::UnknownFormat { magic }),
        };
        let too_short = BatchErrorKind::TooShort { length: whole.len() };
        let mut cursor = Cursor::new(whole.get(key_position..).ok_or(too_short)?);
        let key = read_nullable(&mut cursor).ok_or(too_short)?;
        let value = read_nullable(&mut cursor).ok_or(too_short)?;
        Ok(Self { bytes: whole, key, value })
    }

    /// The whole message.
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The size of the whole message in bytes.
    pub const fn size(self) -> usize {
        self.bytes.len()
    }

    /// The offset: of the last record, when the message wraps a compressed set.
    pub fn offset(self) -> Offset {
        Offset(i64::from_be_bytes(field(self.bytes, layout::BASE_OFFSET)))
    }

    /// The format: 0 or 1.
    pub fn magic(self) -> i8 {
        batch::magic(self.bytes)
    }

    /// The stored CRC-32.
    pub fn checksum(self) -> u32 {
        u32::from_be_bytes(field(self.bytes, CHECKSUM))
    }

    /// Whether the stored CRC-32 is right: everything from the format's number on.
    pub fn is_checksum_valid(self) -> bool {
        self.checksum() == crc_fast::crc32_iso_hdlc(self.bytes.get(CHECKED..).unwrap_or_default())
    }

    /// How the wrapped set is compressed; [`Compression::None`] for a message that is a record itself.
    ///
    /// # Errors
    /// The attributes name a codec that does not exist.
    pub fn compression(self) -> Result<Compression, UnknownCompression> {
        Compression::from_id((self.attributes() & COMPRESSION_MASK) as u8)
    }

    /// The bare attribute bits.
    pub fn attributes(self) -> i8 {
        i8::from_be_bytes(field(self.bytes, ATTRIBUTES))
    }

    /// What the timestamp tells. Format 0 has none, which counts as create time.
    pub fn timestamp_type(self) -> TimestampType {
        if self.magic() > 0 && self.attributes() & TIMESTAMP_TYPE != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// The timestamp, the greatest one for a compressed set; [`Timestamp::NONE`] in format 0.
    pub fn timestamp(self) -> Timestamp {
        if self.magic() == 0 { Timestamp::NONE } else { Timestamp(i64::from_be_bytes(field(self.bytes, TIMESTAMP))) }
    }

    /// The key; of no meaning when the message wraps a set.
    pub const fn key(self) -> Option<&'a [u8]> {
        self.key
    }

    /// The value: the compressed set, when the message wraps one.
    pub const fn value(self) -> Option<&'a [u8]> {
        self.value
    }

    /// The records: the message itself, or those of the set that it wraps.
    ///
    /// # Errors
    /// The set can't be decompressed within the limit, or its offsets contradict the wrapper's.
    pub fn records<'x>(self, decompressor: &'x mut Decompressor) -> Result<LegacyRecords<'x>, RecordsError>
    where
        'a: 'x,
    {
        let codec = self.compression()?;
        let malformed = |reason| RecordsError::MalformedSet { reason };
        if codec == Compression::None {
            return Ok(LegacyRecords { single: Some(self), set: &[], offset_shift: 0, append_time: None, index: 0 });
        }
        if codec == Compression::Zstd {
            return Err(malformed("zstd came after these formats"));
        }
        let value = self.value.ok_or(malformed("it has no value"))?;
        // Clients of format 0 computed the checksum of an LZ4 header wrongly.
        let checksum = if self.magic() == 0 { HeaderChecksum::Ignored } else { HeaderChecksum::Verified };
        let set = decompressor.decompress_with(codec, value, checksum)?;
        let last = last_offset(set)?.ok_or(malformed("it is empty"))?;
        let offset_shift = self.offset_shift(last)?;
        let append_time = (self.timestamp_type() == TimestampType::LogAppendTime).then(|| self.timestamp());
        Ok(LegacyRecords { single: None, set, offset_shift, append_time, index: 0 })
    }

    /// What to add to the offsets inside of the set.
    fn offset_shift(self, last_inside: Offset) -> Result<i64, RecordsError> {
        // Offset 0 comes from producers that left the wrapper's offset to the broker.
        if self.magic() == 0 || self.offset() == Offset::ZERO {
            return Ok(0);
        }
        if self.offset() < last_inside {
            return Err(RecordsError::MalformedSet { reason: "its offset is less than those inside" });
        }
        Ok(self.offset().since(last_inside))
    }

    fn record(self, offset_shift: i64, append_time: Option<Timestamp>) -> Record<'a> {
        let append_time = append_time.filter(|_| self.magic() > 0);
        Record {
            offset: Offset(self.offset().value().wrapping_add(offset_shift)),
            timestamp: append_time.unwrap_or(self.timestamp()),
            sequence: Sequence::NONE,
            attributes: self.attributes(),
            key: self.key,
            value: self.value,
            headers: Headers::default(),
            size: self.size(),
        }
    }
}

/// The records of one message of format 0 or 1.
#[derive(Clone, Debug)]
pub struct LegacyRecords<'a> {
    single: Option<LegacyMessageView<'a>>,
    set: &'a [u8],
    offset_shift: i64,
    append_time: Option<Timestamp>,
    index: i32,
}

impl<'a> LegacyRecords<'a> {
    /// The next record together with the message that it stands in, whose checksum is its own.
    pub fn next_message(&mut self) -> Option<Result<(LegacyMessageView<'a>, Record<'a>), RecordsError>> {
        if let Some(message) = self.single.take() {
            return Some(Ok((message, message.record(0, None))));
        }
        let index = self.index;
        match next_inside(&mut self.set, index) {
            Ok(Some(message)) => {
                self.index = index.saturating_add(1);
                Some(Ok((message, message.record(self.offset_shift, self.append_time))))
            }
            Ok(None) => None,
            Err(error) => {
                self.set = &[];
                Some(Err(error))
            }
        }
    }
}

impl<'a> Iterator for LegacyRecords<'a> {
    type Item = Result<Record<'a>, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_message().map(|next| next.map(|(_, record)| record))
    }
}

impl FusedIterator for LegacyRecords<'_> {}

/// The next message of a decompressed set. One that is cut off ends the set without an error, as in Kafka: old brokers
/// cut sets at a size.
fn next_inside<'a>(set: &mut &'a [u8], index: i32) -> Result<Option<LegacyMessageView<'a>>, RecordsError> {
    let malformed = |reason| RecordsError::Malformed { index, reason };
    let message = match LegacyMessageView::parse(set) {
        Ok(message) => message,
        Err(BatchErrorKind::Partial { .. }) => {
            *set = &[];
            return Ok(None);
        }
        Err(BatchErrorKind::UnknownFormat { .. }) => return Err(malformed("it has an unknown format")),
        Err(_) => return Err(malformed("its lengths do not fit")),
    };
    if message.compression()? != Compression::None {
        return Err(malformed("it is compressed inside of a compressed set"));
    }
    *set = set.get(message.size()..).unwrap_or_default();
    Ok(Some(message))
}

fn last_offset(mut set: &[u8]) -> Result<Option<Offset>, RecordsError> {
    let mut last = None;
    let mut index = 0i32;
    while let Some(message) = next_inside(&mut set, index)? {
        last = Some(message.offset());
        index = index.saturating_add(1);
    }
    Ok(last)
}

/// Bytes with an i32 length before them; a negative one is null.
fn read_nullable<'a>(cursor: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    match usize::try_from(i32::from_be_bytes(cursor.fixed()?)) {
        Ok(length) => cursor.take(length).map(Some),
        Err(_) => Some(None),
    }
}

impl fmt::Debug for LegacyMessageView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyMessageView")
            .field("offset", &self.offset())
            .field("magic", &self.magic())
            .field("size", &self.size())
            .field("attributes", &self.attributes())
            .field("timestamp", &self.timestamp())
            .finish_non_exhaustive()
    }
}
