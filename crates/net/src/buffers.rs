/// What one read takes from a socket at most when no large request is expected.
pub(crate) const SMALL_BYTES: usize = 128 << 10;

/// Room behind a large request for the beginning of the next one, so that its length is known as soon as possible and
/// little of it has to be moved.
pub(crate) const SLACK_BYTES: usize = 4 << 10;

/// Room for a request of 1 MiB, the largest that clients make by default, with its header.
const LARGE_BYTES: usize = (1 << 20) + (64 << 10);

/// How many large buffers are kept.
const LARGE_KEPT_MAX: usize = 4;

/// The buffers that a loop reads into. A connection has one only while bytes of it are in there, so that thousands of
/// quiet connections have none; touching fresh memory costs more than all else that is done to a request, so they are
/// kept and used again.
#[derive(Default)]
pub(crate) struct ReadBuffers {
    small: Option<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl ReadBuffers {
    /// An empty buffer with room for at least `bytes`.
    pub(crate) fn take(&mut self, bytes: usize) -> Vec<u8> {
        if bytes <= SMALL_BYTES {
            self.small.take().unwrap_or_else(|| Vec::with_capacity(SMALL_BYTES))
        } else if bytes <= LARGE_BYTES {
            self.large.pop().unwrap_or_else(|| Vec::with_capacity(LARGE_BYTES))
        } else {
            Vec::with_capacity(bytes)
        }
    }

    /// Takes a buffer back. One of an unusual size is let go.
    pub(crate) fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() == SMALL_BYTES {
            self.small = Some(buffer);
        } else if buffer.capacity() == LARGE_BYTES && self.large.len() < LARGE_KEPT_MAX {
            self.large.push(buffer);
        }
    }

    /// Whether memory is held that a quiet node can do without.
    pub(crate) fn holds_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Lets go of large buffers.
    pub(crate) fn trim(&mut self) {
        self.large = Vec::new();
    }
}

/// How large a buffer becomes that holds `received` bytes of a request of `needed` bytes: at most a few times what the
/// client really sent, so that announcing a large request costs the client and not us.
pub(crate) fn assembly_capacity(received: usize, needed: usize) -> usize {
    needed.saturating_add(SLACK_BYTES).min(received.saturating_mul(4).max(LARGE_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again() {
        let mut buffers = ReadBuffers::default();
        let (small, large) = (buffers.take(1), buffers.take(1 << 20));
        let addresses = (small.as_ptr(), large.as_ptr());
        buffers.give_back(small);
        buffers.give_back(large);
        let (small, large) = (buffers.take(SMALL_BYTES), buffers.take(SMALL_BYTES + 1));
        assert_eq!((small.as_ptr(), large.as_ptr()), addresses);
    }

    #[test]
    fn an_announced_length_alone_gets_no_memory() {
        assert_eq!(assembly_capacity(4, 100 << 20), LARGE_BYTES);
        assert_eq!(assembly_capacity(LARGE_BYTES, 100 << 20), 4 * LARGE_BYTES);
        assert_eq!(assembly_capacity(60 << 20, 100 << 20), (100 << 20) + SLACK_BYTES);
    }
}
