use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_env::{DiskError, File};
use smallvec::SmallVec;

use crate::cold_read::{Warmth, is_cached, read_cached};
use crate::stream::{Stream, Transfer};
use crate::{Response, Segment};

/// From this length on a range of a file is sent by sendfile; below, it is read and sent together with the bytes before
/// and behind it. Measured: docs/design/runtime.md.
pub(crate) const SEND_FILE_BYTES_MIN: u64 = 128 << 10;

/// The room for ranges of files that are read to be sent: a thread has one, and needs it only while it sends.
pub(crate) const SCRATCH_BYTES: usize = 128 << 10;

/// Bytes up to this many are copied behind each other; longer ones are sent from where they lie. A slice of its own in
/// a system call costs about what copying this much does.
const COPY_BYTES_MAX: usize = 1024;

/// How many pieces one system call sends at most.
const PIECES_MAX: usize = 64;

/// How much of a file one system call is asked to send: longer calls would make the other connections of the thread wait.
const SEND_FILE_BYTES_MAX: u64 = 1 << 20;

/// How many bytes are sent in one go before the other connections of the thread get their turn.
const SEND_BYTES_MAX: u64 = 4 << 20;

enum Piece {
    Memory(Bytes),
    File { file: Arc<dyn File>, position: u64, length: u64 },
}

/// Why nothing more can be sent on a connection.
#[derive(Debug)]
pub(crate) enum SendError {
    Socket(io::Error),
    Disk(DiskError),
    /// The file ended before the range that was promised to the client.
    FileTooShort,
    /// The response is longer than its length field can say.
    ResponseTooLong(u64),
}

/// A part of a file that is not in memory, so that sending it would make the thread wait for the disk.
pub(crate) struct ColdRange {
    pub(crate) file: Arc<dyn File>,
    pub(crate) position: u64,
    pub(crate) length: u64,
}

/// How far sending got.
pub(crate) enum Sent {
    /// All is sent.
    All,
    /// The socket takes no more now.
    SocketFull,
    /// Enough for this time, though the socket would take more.
    Enough,
    /// This must be brought into memory first.
    Cold(ColdRange),
}

/// The bytes that a connection still has to send, in order.
#[derive(Default)]
pub(crate) struct Output {
    pieces: VecDeque<Piece>,
    /// Short bytes that follow the pieces.
    tail: BytesMut,
    length: u64,
    /// How many of these bytes are in memory.
    in_memory: usize,
    /// The first piece was cold and has been read since: it is sent now even if it is cold again, or a disk busy enough
    /// to push it out in between could keep the connection waiting for ever.
    warmed: bool,
}

impl Output {
    /// How many bytes are not sent yet, those in files included.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes in memory are not sent yet.
    pub(crate) fn bytes_in_memory(&self) -> usize {
        self.in_memory
    }

    /// Adds a response behind what is there, with its length in front.
    pub(crate) fn push(&mut self, response: Response) -> Result<(), SendError> {
        let length = response.length();
        let prefix = i32::try_from(length).map_err(|_| SendError::ResponseTooLong(length))?;
        self.tail.put_i32(prefix);
        self.length += 4 + length;
        self.in_memory += 4 + response.bytes_in_memory();
        self.push_bytes(response.head);
        for segment in response.segments {
            match segment {
                Segment::Bytes(bytes) => self.push_bytes(bytes),
                Segment::File { length: 0, .. } => {}
                Segment::File { file, position, length } => {
                    self.end_tail();
                    self.pieces.push_back(Piece::File { file, position, length });
                }
            }
        }
        Ok(())
    }

    /// Says that the first range has been brought into memory.
    pub(crate) fn set_warmed(&mut self) {
        self.warmed = true;
    }

    /// Sends as much as the socket takes. `scratch` has `SCRATCH_BYTES`.
    pub(crate) fn send(&mut self, stream: &Stream, scratch: &mut [u8]) -> Result<Sent, SendError> {
        self.end_tail();
        let mut left = SEND_BYTES_MAX;
        while !self.pieces.is_empty() {
            let (asked, transfer) = match self.pieces.front() {
                Some(Piece::File { file, position, length })
                    if *length >= SEND_FILE_BYTES_MIN && file.descriptor().is_some() =>
                {
                    match send_file(stream, file, *position, *length, self.warmed)? {
                        SentFile::Cold(cold) => return Ok(Sent::Cold(cold)),
                        SentFile::Transfer(asked, transfer) => (asked, transfer),
                    }
                }
                _ => {
                    let gathered = self.gather(scratch)?;
                    if gathered.is_empty() {
                        return match self.first_as_cold() {
                            Some(cold) => Ok(Sent::Cold(cold)),
                            None => Err(SendError::FileTooShort),
                        };
                    }
                    self.send_gathered(stream, &gathered, scratch)?
                }
            };
            match transfer {
                Transfer::Bytes(bytes) => {
                    self.advance(bytes as u64);
                    left = left.saturating_sub(bytes as u64);
                    if bytes < asked {
                        return Ok(Sent::SocketFull);
                    }
                }
                Transfer::Later => return Ok(Sent::SocketFull),
                Transfer::End => return Err(SendError::FileTooShort),
            }
            if left == 0 && !self.pieces.is_empty() {
                return Ok(Sent::Enough);
            }
        }
        Ok(Sent::All)
    }

    fn push_bytes(&mut self, bytes: Bytes) {
        if bytes.len() <= COPY_BYTES_MAX {
            self.tail.extend_from_slice(&bytes);
        } else {
            self.end_tail();
            self.pieces.push_back(Piece::Memory(bytes));
        }
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(Piece::Memory(self.tail.split().freeze()));
        }
    }

    /// Chooses the pieces of the next system call: bytes in memory, and short ranges of files, read into `scratch` one
    /// after the other. The result holds how much of each piece is ready; a piece that is not whole ends it.
    fn gather(&self, scratch: &mut [u8]) -> Result<Gathered, SendError> {
        let mut gathered = Gathered::new();
        let mut used = 0;
        for piece in self.pieces.iter().take(PIECES_MAX) {
            match piece {
                Piece::Memory(bytes) => gathered.push(bytes.len()),
                Piece::File { file, length, .. } if *length >= SEND_FILE_BYTES_MIN && file.descriptor().is_some() => {
                    break;
                }
                Piece::File { file, position, length } => {
                    let room = scratch.get_mut(used..).unwrap_or_default();
                    let wanted = usize::try_from(*length).unwrap_or(usize::MAX).min(room.len());
                    let room = &mut room[..wanted];
                    if room.is_empty() {
                        break;
                    }
                    let wait = self.warmed && gathered.is_empty();
                    match read_cached(&**file, *position, room, wait).map_err(SendError::Disk)? {
                        Warmth::Cold => break,
                        Warmth::Cached(0) => return Err(SendError::FileTooShort),
                        Warmth::Cached(bytes) => {
                            used += bytes;
                            gathered.push(bytes);
                            if (bytes as u64) < *length {
                                break;
                            }
                        }
                    }
                }
            }
        }
        Ok(gathered)
    }

    fn send_gathered(
        &self,
        stream: &Stream,
        gathered: &Gathered,
        scratch: &[u8],
    ) -> Result<(usize, Transfer), SendError> {
        let mut slices = SmallVec::<[IoSlice<'_>; 16]>::new();
        let mut from_files = scratch;
        let mut asked = 0;
        for (piece, ready) in self.pieces.iter().zip(gathered) {
            asked += ready;
            match piece {
                Piece::Memory(bytes) => slices.push(IoSlice::new(bytes)),
                Piece::File { .. } => {
                    let (bytes, rest) = from_files.split_at(*ready);
                    from_files = rest;
                    slices.push(IoSlice::new(bytes));
                }
            }
        }
        Ok((asked, stream.send(&slices).map_err(SendError::Socket)?))
    }

    fn first_as_cold(&self) -> Option<ColdRange> {
        match self.pieces.front() {
            Some(Piece::File { file, position, length }) => {
                Some(ColdRange { file: Arc::clone(file), position: *position, length: *length })
            }
            _ => None,
        }
    }

    fn advance(&mut self, bytes: u64) {
        self.length -= bytes;
        self.warmed = false;
        let mut bytes = bytes;
        while bytes > 0 {
            let Some(piece) = self.pieces.front_mut() else { return };
            let length = match piece {
                Piece::Memory(memory) => memory.len() as u64,
                Piece::File { length, .. } => *length,
            };
            if matches!(piece, Piece::Memory(_)) {
                self.in_memory -= bytes.min(length) as usize;
            }
            if bytes >= length {
                self.pieces.pop_front();
                bytes -= length;
                continue;
            }
            match piece {
                Piece::Memory(memory) => memory.advance(bytes as usize),
                Piece::File { position, length, .. } => {
                    *position += bytes;
                    *length -= bytes;
                }
            }
            return;
        }
    }
}

/// How many bytes of each of the first pieces are ready to be sent.
type Gathered = SmallVec<[usize; 16]>;

enum SentFile {
    Cold(ColdRange),
    Transfer(usize, Transfer),
}

fn send_file(
    stream: &Stream,
    file: &Arc<dyn File>,
    position: u64,
    length: u64,
    warmed: bool,
) -> Result<SentFile, SendError> {
    let length = length.min(SEND_FILE_BYTES_MAX);
    if !warmed && !is_cached(&**file, position, length).map_err(SendError::Disk)? {
        return Ok(SentFile::Cold(ColdRange { file: Arc::clone(file), position, length }));
    }
    let Some(descriptor) = file.descriptor() else { return Err(SendError::FileTooShort) };
    let transfer = stream.send_file(descriptor, position, length as usize).map_err(SendError::Socket)?;
    Ok(SentFile::Transfer(length as usize, transfer))
}
