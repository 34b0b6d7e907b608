use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

/// What came of one attempt to read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing now; the loop will say when.
    Later,
    /// The end: of the input when reading, of the file when sending a file.
    End,
}

/// A connection's bytes, as they travel. The one place that knows how they are protected: TLS will be a second variant
/// with its own `read` and `send`, and no `send_file`.
pub(crate) enum Stream {
    Plain(TcpStream),
}

impl Stream {
    /// Takes over a connected socket.
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self::Plain(socket)
    }

    /// Whether a connection that was begun without waiting for it has come about, now that the socket says that it can be
    /// written to.
    pub(crate) fn connected(&self) -> io::Result<()> {
        let Self::Plain(socket) = self;
        socket.take_error()?.map_or(Ok(()), Err)
    }

    /// Reads into the spare capacity of `into`, which is not empty.
    pub(crate) fn read(&self, into: &mut Vec<u8>) -> io::Result<Transfer> {
        let Self::Plain(socket) = self;
        debug_assert!(into.capacity() > into.len(), "reading into a full buffer looks like the end of the input");
        transfer(rustix::io::read(socket, spare_capacity(into)))
    }

    /// Sends the slices with one system call.
    ///
    /// Bytes that a range of a file follows are not held back for it (`MSG_MORE`): measured, a packet that begins with
    /// them and goes on with pages of a file costs half as much again as two packets.
    pub(crate) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<Transfer> {
        let Self::Plain(socket) = self;
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        transfer(rustix::net::sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags))
    }

    /// Sends a range of a file without copying it through user space.
    pub(crate) fn send_file(&self, file: BorrowedFd<'_>, position: u64, length: usize) -> io::Result<Transfer> {
        let Self::Plain(socket) = self;
        let mut position = position;
        transfer(rustix::fs::sendfile(socket, file, Some(&mut position), length))
    }

    /// Ends both directions, so that the other side learns of it even while the descriptor is still open somewhere.
    pub(crate) fn shut_down(&self) {
        let Self::Plain(socket) = self;
        // The other side may have been faster.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let Self::Plain(socket) = self;
        socket.as_fd()
    }
}

fn transfer(result: rustix::io::Result<usize>) -> io::Result<Transfer> {
    match result {
        Ok(0) => Ok(Transfer::End),
        Ok(bytes) => Ok(Transfer::Bytes(bytes)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Transfer::Later),
        Err(error) => Err(error.into()),
    }
}
