use core::fmt;

use bytes::{Buf, BytesMut};

/// The bytes of length in front of every request and every response.
pub(crate) const LENGTH_BYTES: usize = 4;

/// What the front of the bytes received holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// A whole request of this length, without the length's own bytes.
    Whole(usize),
    /// Not yet a whole request. `needed` is how many bytes it has with its length, once the length is known.
    Part { needed: Option<usize> },
}

/// Why a connection's bytes can't be divided into requests. There is no way to find the next request after that, so
/// the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    Negative(i32),
    Empty,
    Oversized { length: i32, max: usize },
    Tls,
    Http,
    Ssh,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative(length) => write!(f, "a request of negative length {length}"),
            Self::Empty => write!(f, "a request of length 0"),
            Self::Oversized { length, max } => {
                write!(f, "a request of {length} bytes is larger than socket.request.max.bytes = {max}")
            }
            Self::Tls => write!(f, "the client speaks TLS to a listener that does not"),
            Self::Http => write!(f, "the client speaks HTTP, not the Kafka protocol"),
            Self::Ssh => write!(f, "the client speaks SSH, not the Kafka protocol"),
        }
    }
}

/// What is at the front of `bytes`. Looks at the length only, so nothing is allocated by it.
pub(crate) fn front(bytes: &[u8], max: usize) -> Result<Front, FrameError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Ok(Front::Part { needed: None });
    };
    let length = check_length(*length, max)?;
    if bytes.len() - LENGTH_BYTES < length {
        return Ok(Front::Part { needed: Some(LENGTH_BYTES + length) });
    }
    Ok(Front::Whole(length))
}

/// Cuts off the request of this length that `front` has found.
pub(crate) fn cut(buffer: &mut BytesMut, length: usize) -> BytesMut {
    buffer.advance(LENGTH_BYTES);
    buffer.split_to(length)
}

fn check_length(bytes: [u8; LENGTH_BYTES], max: usize) -> Result<usize, FrameError> {
    let length = i32::from_be_bytes(bytes);
    match usize::try_from(length) {
        Ok(0) => Err(FrameError::Empty),
        Ok(unsigned) if unsigned <= max => Ok(unsigned),
        Ok(_) => Err(foreign_protocol(bytes).unwrap_or(FrameError::Oversized { length, max })),
        Err(_) => Err(FrameError::Negative(length)),
    }
}

/// Whoever connects with another protocol is told apart, since that is the usual reason for an absurd length.
fn foreign_protocol(bytes: [u8; LENGTH_BYTES]) -> Option<FrameError> {
    match &bytes {
        [0x16, 0x03, _, _] => Some(FrameError::Tls),
        b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" | b"CONN" => Some(FrameError::Http),
        b"SSH-" => Some(FrameError::Ssh),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(bodies: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for body in bodies {
            bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
            bytes.extend_from_slice(body);
        }
        bytes
    }

    #[test]
    fn glued_requests_are_told_apart() {
        let mut buffer = BytesMut::from(&framed(&[b"one", b"second", b"3"])[..]);
        for expected in [&b"one"[..], b"second", b"3"] {
            assert_eq!(front(&buffer, 100), Ok(Front::Whole(expected.len())));
            assert_eq!(cut(&mut buffer, expected.len()), expected);
        }
        assert_eq!(front(&buffer, 100), Ok(Front::Part { needed: None }));
    }

    #[test]
    fn a_request_cut_at_any_byte_is_a_part() {
        let whole = framed(&[b"request"]);
        for cut in 0..whole.len() {
            let needed = (cut >= LENGTH_BYTES).then_some(whole.len());
            assert_eq!(front(&whole[..cut], 100), Ok(Front::Part { needed }), "cut at {cut}");
        }
    }

    #[test]
    fn lengths_that_no_request_has_are_refused() {
        let of = |length: i32| front(&length.to_be_bytes(), 100);
        assert_eq!(of(-1), Err(FrameError::Negative(-1)));
        assert_eq!(of(i32::MIN), Err(FrameError::Negative(i32::MIN)));
        assert_eq!(of(0), Err(FrameError::Empty));
        assert_eq!(of(101), Err(FrameError::Oversized { length: 101, max: 100 }));
        assert_eq!(of(i32::MAX), Err(FrameError::Oversized { length: i32::MAX, max: 100 }));
        assert_eq!(of(100), Ok(Front::Part { needed: Some(104) }));
    }

    #[test]
    fn other_protocols_are_named() {
        assert_eq!(front(b"GET / HTTP/1.1\r\n", 100 << 20), Err(FrameError::Http));
        assert_eq!(front(b"SSH-2.0-OpenSSH_9.6\r\n", 100 << 20), Err(FrameError::Ssh));
        assert_eq!(front(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01], 100 << 20), Err(FrameError::Tls));
    }
}
