use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The buffer grows by at most this much ahead of the bytes that have arrived, so that an announced length that is a
/// lie costs no memory. Also the size of an ordinary read.
const READ_BYTES: usize = 64 << 10;

/// Reads frames: a length of four bytes, then that many bytes.
pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    frame_bytes_max: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R, frame_bytes_max: usize) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(READ_BYTES), frame_bytes_max }
    }

    /// The next frame without its length; `None` at the end of the stream between two frames.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if !self.fill(4).await? {
            return Ok(None);
        }
        let mut length = [0; 4];
        length.copy_from_slice(&self.buffer.split_to(4));
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > self.frame_bytes_max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame announces {length} bytes")));
        }
        if !self.fill(length).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// Reads until the buffer holds `wanted` bytes; `false` when the stream ended before the first of them.
    async fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        while self.buffer.len() < wanted {
            let missing = wanted - self.buffer.len();
            // Doubling keeps the copies of a growing buffer linear in the bytes received.
            let step = missing.clamp(READ_BYTES.min(wanted), READ_BYTES.max(self.buffer.len()));
            self.buffer.reserve(step);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8], max: usize) -> Vec<io::Result<Option<Bytes>>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = FrameReader::new(bytes, max);
            let mut frames = Vec::new();
            loop {
                let frame = reader.next().await;
                let last = !matches!(frame, Ok(Some(_)));
                frames.push(frame);
                if last {
                    return frames;
                }
            }
        })
    }

    #[test]
    fn frames_are_cut_where_their_lengths_say() {
        let frames = frames(b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01z", 10);
        let frames: Vec<_> = frames.into_iter().map(|frame| frame.unwrap()).collect();
        assert_eq!(frames, [Some(Bytes::from("abc")), Some(Bytes::new()), Some(Bytes::from("z")), None]);
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        for cut in 1..7 {
            let frames = frames(&b"\0\0\0\x03abc"[..cut], 10);
            assert!(frames[0].is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_length_that_lies_costs_no_memory() {
        let bytes = [&i32::MAX.to_be_bytes()[..], b"only this"].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = FrameReader::new(&bytes[..], usize::MAX);
            assert!(reader.next().await.is_err());
            assert!(reader.buffer.capacity() <= 4 * READ_BYTES);
        });
        assert!(frames(&(-1i32).to_be_bytes(), usize::MAX - 1)[0].is_err());
        assert!(frames(b"\0\0\0\x0b", 10)[0].is_err());
    }
}
