use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ottla_env::File;

/// A part of a response after its head.
#[derive(Clone)]
pub enum Segment {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A range of a file, sent without being copied through user space when it is long. A range that turns out to end
    /// behind the end of the file closes the connection: the length has been promised to the client by then.
    File {
        /// The file; kept open until the range is sent.
        file: Arc<dyn File>,
        /// Where the range begins.
        position: u64,
        /// How many bytes it has.
        length: u64,
    },
}

impl Segment {
    /// How many bytes the segment adds to the response.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::File { file, position, length } => {
                write!(f, "{length} bytes at {position} of {}", file.path().display())
            }
        }
    }
}

/// The answer to one request, without the four bytes of length in front, which the driver of the connection adds:
/// the response header and the beginning of the body as bytes, then segments in their order.
///
/// Record sets in the middle of a body are file segments with byte segments between them.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The header and as much of the body as comes before the first segment.
    pub head: Bytes,
    /// The rest, in order.
    pub segments: Vec<Segment>,
}

impl Response {
    /// A response that is all in one piece.
    pub fn new(head: impl Into<Bytes>) -> Self {
        Self { head: head.into(), segments: Vec::new() }
    }

    /// How many bytes the response has, without the length in front.
    pub fn length(&self) -> u64 {
        let segments = self.segments.iter().map(Segment::length);
        segments.fold(self.head.len() as u64, u64::saturating_add)
    }
}

impl Response {
    /// How many bytes of it are in memory.
    pub(crate) fn bytes_in_memory(&self) -> usize {
        let in_memory = |segment: &Segment| match segment {
            Segment::Bytes(bytes) => bytes.len(),
            Segment::File { .. } => 0,
        };
        self.head.len() + self.segments.iter().map(in_memory).sum::<usize>()
    }
}

impl From<Bytes> for Response {
    fn from(head: Bytes) -> Self {
        Self::new(head)
    }
}
