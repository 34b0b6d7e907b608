//! Kafka's variable-length integers: zig-zag, seven bits a byte, least significant first.

/// A cursor over bytes that can't run over their end. Every method returns `None` when the bytes left don't hold a
/// complete value; the cursor is then of no further use.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    #[inline]
    pub(crate) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    /// A 32-bit zig-zag number of at most five bytes. Bits beyond the 32nd are dropped, as Kafka does.
    #[inline]
    pub(crate) fn varint(&mut self) -> Option<i32> {
        let value = self.seven_bits_a_byte(5)? as u32;
        Some((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A 64-bit zig-zag number of at most ten bytes.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        let value = self.seven_bits_a_byte(10)?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Nearly every number in a record is below 8192, thus has one or two bytes.
    #[inline]
    fn seven_bits_a_byte(&mut self, bytes_max: usize) -> Option<u64> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Some(u64::from(*first))
            }
            [first, second, rest @ ..] if *second < 0x80 => {
                self.rest = rest;
                Some(u64::from(*first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.many_bytes(bytes_max),
        }
    }

    #[cold]
    fn many_bytes(&mut self, bytes_max: usize) -> Option<u64> {
        let mut value = 0;
        for index in 0..bytes_max {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).wrapping_shl(7 * index as u32);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A byte string with a varint length before it; any negative length is null, as Kafka reads it.
    #[inline]
    pub(crate) fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(length) => Some(Some(self.take(length)?)),
            Err(_) => Some(None),
        }
    }
}

/// How many bytes `value` takes as a varint.
#[inline]
pub(crate) const fn varint_size(value: i32) -> usize {
    varlong_size(value as i64)
}

/// How many bytes `value` takes as a varlong.
#[inline]
pub(crate) const fn varlong_size(value: i64) -> usize {
    let zig_zag = ((value << 1) ^ (value >> 63)) as u64;
    let bits = 64 - (zig_zag | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes a varint. A 32-bit number has the same bytes as the 64-bit number of the same value.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_varlong(out, i64::from(value));
}

/// Writes a varlong.
#[inline]
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_and_takes_the_bytes_that_its_size_says() {
        for shift in 0..64 {
            for value in
                [1i64 << shift, (1i64 << shift).wrapping_neg(), (1i64 << shift).wrapping_sub(1), i64::MIN, i64::MAX, 0]
            {
                let mut bytes = Vec::new();
                put_varlong(&mut bytes, value);
                assert_eq!(bytes.len(), varlong_size(value), "{value}");
                let mut cursor = Cursor::new(&bytes);
                assert_eq!(cursor.varlong(), Some(value));
                assert_eq!(cursor.remaining(), 0);
                for length in 0..bytes.len() {
                    assert_eq!(Cursor::new(&bytes[..length]).varlong(), None, "{value} cut at {length}");
                }
                if let Ok(small) = i32::try_from(value) {
                    assert_eq!(bytes.len(), varint_size(small));
                    assert_eq!(Cursor::new(&bytes).varint(), Some(small));
                }
            }
        }
    }

    #[test]
    fn a_number_that_never_ends_is_refused() {
        assert_eq!(Cursor::new(&[0xff; 20]).varint(), None);
        assert_eq!(Cursor::new(&[0xff; 20]).varlong(), None);
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint(), Some(i32::MIN));
    }
}
