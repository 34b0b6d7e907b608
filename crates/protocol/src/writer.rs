use crate::put::Sink;
use bytes::{BufMut, BytesMut};

/// Where a deferred record set belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// How many of the buffer's bytes stand before it; other holes are not counted.
    pub position: usize,
    /// How many bytes belong into it.
    pub length: usize,
}

/// Writes values to a buffer, one message after the other. Deferred record sets become holes.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
    holes: Vec<Hole>,
    version: i16,
    flexible: bool,
}

impl Writer {
    /// A writer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::new(BytesMut::with_capacity(bytes))
    }

    /// A writer that appends to `buffer`.
    pub fn new(buffer: BytesMut) -> Self {
        Self { buffer, holes: Vec::new(), version: 0, flexible: false }
    }

    pub(crate) fn begin(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// The buffer being written, without the holes.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The holes so far, in ascending order.
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// The buffer, and the holes in ascending order.
    pub fn into_parts(self) -> (BytesMut, Vec<Hole>) {
        (self.buffer, self.holes)
    }

    /// Forgets what was written behind the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize, holes: usize) {
        self.buffer.truncate(length);
        self.holes.truncate(holes);
    }
}

impl Sink for Writer {
    #[inline]
    fn version(&self) -> i16 {
        self.version
    }

    #[inline]
    fn flexible(&self) -> bool {
        self.flexible
    }

    /// Never inlined: it stands behind each of 2,500 fields, and a buffer that may have to grow is much code.
    #[inline(never)]
    fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    fn hole(&mut self, length: usize) {
        self.holes.push(Hole { position: self.buffer.len(), length });
    }
}

/// Counts the bytes that a writer would write, holes included.
#[derive(Debug)]
pub struct Counter {
    size: usize,
    version: i16,
    flexible: bool,
}

impl Counter {
    pub(crate) const fn new(version: i16, flexible: bool) -> Self {
        Self { size: 0, version, flexible }
    }

    pub(crate) const fn size(&self) -> usize {
        self.size
    }
}

impl Sink for Counter {
    #[inline]
    fn version(&self) -> i16 {
        self.version
    }

    #[inline]
    fn flexible(&self) -> bool {
        self.flexible
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len());
    }

    #[inline]
    fn hole(&mut self, length: usize) {
        self.size = self.size.saturating_add(length);
    }

    #[inline]
    fn unsigned_varint(&mut self, value: u32) {
        // Seven bits a byte; zero takes one byte too.
        self.size = self.size.saturating_add((38 - (value | 1).leading_zeros()) as usize / 7);
    }
}
