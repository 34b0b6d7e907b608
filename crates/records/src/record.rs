use core::iter::FusedIterator;
use std::borrow::Cow;

use ottla_types::{Offset, Sequence, Timestamp};

use crate::varint::{Cursor, varint_size};

/// One record of a batch, borrowed from the batch's bytes or from the buffer they were decompressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its position in the log.
    pub offset: Offset,
    /// When it was made or appended, after the batch's timestamp type.
    pub timestamp: Timestamp,
    /// Its sequence, [`Sequence::NONE`] without idempotence.
    pub sequence: Sequence,
    /// The attribute bits of the record: none is in use.
    pub attributes: i8,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
    /// The size in the decompressed batch, in bytes, with its length prefix.
    pub size: usize,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// The key. Clients write UTF-8; nothing enforces it.
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

impl<'a> RecordHeader<'a> {
    /// The key as text, with replacement characters where it isn't UTF-8, as Java reads it.
    pub fn key_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

/// The headers of a record, walked over without allocating.
///
/// Invariant: the bytes were checked to hold exactly `count` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Headers<'a> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order.
    pub fn iter(&self) -> HeaderIter<'a> {
        HeaderIter { cursor: Cursor::new(self.bytes), left: self.count }
    }

    /// The value of the last header with this key, as Java's `lastHeader`.
    pub fn last(&self, key: &[u8]) -> Option<RecordHeader<'a>> {
        self.iter().filter(|header| header.key == key).last()
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = RecordHeader<'a>;
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// Walks over the headers of a record.
#[derive(Clone, Debug)]
pub struct HeaderIter<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<RecordHeader<'a>> {
        self.left = self.left.checked_sub(1)?;
        read_header(&mut self.cursor).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}
impl FusedIterator for HeaderIter<'_> {}

/// What the records of a batch count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordBase {
    pub(crate) offset: Offset,
    pub(crate) timestamp: Timestamp,
    pub(crate) sequence: Sequence,
    /// Set when the batch has the append time for all its records.
    pub(crate) log_append_time: Option<Timestamp>,
}

/// Reads one record with its length prefix.
///
/// # Errors
/// What is wrong, in words.
#[inline]
pub(crate) fn read_record<'a>(cursor: &mut Cursor<'a>, base: &RecordBase) -> Result<Record<'a>, &'static str> {
    let body_length = cursor.varint().ok_or("its length is cut off")?;
    let length = usize::try_from(body_length).map_err(|_| "its length is negative")?;
    let mut body = Cursor::new(cursor.take(length).ok_or("it is longer than the batch")?);
    let cut = "it ends inside of a field";
    let attributes = body.byte().ok_or(cut)? as i8;
    let timestamp_delta = body.varlong().ok_or(cut)?;
    let offset_delta = body.varint().ok_or(cut)?;
    let key = body.nullable_bytes().ok_or("its key is longer than the record")?;
    let value = body.nullable_bytes().ok_or("its value is longer than the record")?;
    let headers = read_headers(&mut body)?;
    Ok(Record {
        offset: base.offset.plus(i64::from(offset_delta)),
        // Java adds with wrap-around; a hostile delta must give the same number here.
        timestamp: base.log_append_time.unwrap_or(Timestamp(base.timestamp.value().wrapping_add(timestamp_delta))),
        sequence: if base.sequence.value() >= 0 { base.sequence.plus(offset_delta) } else { Sequence::NONE },
        attributes,
        key,
        value,
        headers,
        size: varint_size(body_length) + length,
    })
}

#[inline]
fn read_headers<'a>(body: &mut Cursor<'a>) -> Result<Headers<'a>, &'static str> {
    let count = body.varint().ok_or("it ends before its header count")?;
    let count = usize::try_from(count).map_err(|_| "its header count is negative")?;
    // The least header, an empty key and a null value, takes two bytes.
    if count > body.remaining() / 2 {
        return Err("it has more headers than bytes for them");
    }
    let bytes = body.rest();
    for _ in 0..count {
        read_header(body)?;
    }
    if body.remaining() > 0 {
        return Err("bytes are left over after its headers");
    }
    Ok(Headers { bytes, count })
}

#[inline]
fn read_header<'a>(cursor: &mut Cursor<'a>) -> Result<RecordHeader<'a>, &'static str> {
    let key = cursor.nullable_bytes().ok_or("a header's key is longer than the record")?;
    let key = key.ok_or("a header's key is null")?;
    let value = cursor.nullable_bytes().ok_or("a header's value is longer than the record")?;
    Ok(RecordHeader { key, value })
}
