use super::DecompressError;

/// What stays allocated between two batches; a larger buffer is given back. Java's producers send at most 1 MiB of
/// plain records in one batch unless they are told otherwise, so that doubling rarely passes this.
const RETAINED_BYTES_MAX: usize = 2 << 20;

/// The first step of a buffer that grows without knowing how far.
const GROWTH_BYTES_MIN: usize = 16 << 10;

/// Decompressed bytes with a cap: grows by doubling as bytes really come out, never because a header promises them,
/// and never beyond the limit. While it grows, the old half may live beside the new buffer for a moment.
///
/// The buffer is kept initialised over its whole length, so that using it again costs no clearing.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    filled: usize,
    limit: usize,
}

impl Output {
    /// Empties the buffer for another batch and sets its limit.
    pub(super) fn restart(&mut self, limit: usize) {
        if self.bytes.len() > RETAINED_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.filled = 0;
        self.limit = limit;
    }

    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// How many bytes may still come before the limit is passed.
    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.filled)
    }

    /// Room for at least one and at most `wanted` more bytes.
    ///
    /// # Errors
    /// The limit is used up.
    pub(super) fn room(&mut self, wanted: usize) -> Result<&mut [u8], DecompressError> {
        let room = wanted.min(self.left());
        if room == 0 {
            return Err(DecompressError::LimitExceeded { limit: self.limit });
        }
        self.grow_to(self.filled.saturating_add(room));
        let end = self.filled.saturating_add(room);
        Ok(self.bytes.get_mut(self.filled..end).unwrap_or_default())
    }

    /// All the room that is allocated already, after growing it to twice its size when it is smaller than `least`.
    ///
    /// # Errors
    /// The limit is used up.
    pub(super) fn allocated_room(&mut self, least: usize) -> Result<&mut [u8], DecompressError> {
        let allocated = self.bytes.len().min(self.limit).saturating_sub(self.filled);
        self.room(allocated.max(least))
    }

    /// Marks `count` bytes of the room as filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.filled = self.filled.saturating_add(count).min(self.bytes.len());
    }

    pub(super) fn limit_exceeded(&self) -> DecompressError {
        DecompressError::LimitExceeded { limit: self.limit }
    }

    fn grow_to(&mut self, needed: usize) {
        if self.bytes.len() < needed {
            let doubled = self.bytes.len().saturating_mul(2).max(GROWTH_BYTES_MIN);
            // The last steps are one: what is not written yet takes no memory, while an old half would take its own.
            let doubled = if doubled >= self.limit / 2 { self.limit } else { doubled };
            let target = needed.max(doubled).min(self.limit.max(needed));
            if self.filled == 0 {
                // Nothing to keep, so the old buffer needn't live beside the new one, and zeros come from the system.
                self.bytes = Vec::new();
                self.bytes = vec![0; target];
            } else {
                let mut larger = vec![0; target];
                if let (Some(to), Some(from)) = (larger.get_mut(..self.filled), self.bytes.get(..self.filled)) {
                    to.copy_from_slice(from);
                }
                self.bytes = larger;
            }
        }
    }
}
