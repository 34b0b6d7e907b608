use core::fmt;
use core::str::FromStr;

/// Sixteen bytes in network order, shown as Kafka shows them: URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// All zero: no id.
    pub const ZERO: Self = Self([0; 16]);
    /// The last of the reserved ids 0 to 99: the id of the metadata topic is 1.
    pub const METADATA_TOPIC: Self = Self::from_u128(1);

    /// The id whose network-order bytes are those of `value`.
    pub const fn from_u128(value: u128) -> Self {
        Self(value.to_be_bytes())
    }

    /// The bytes as one number.
    pub const fn as_u128(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// Whether this is no id.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Makes a version 4 id of sixteen random bytes. `None` for the bytes of an id that Kafka does not hand out: those
    /// whose text would begin with a dash (a command-line tool would take it for an option) and the reserved ids 0 to 99.
    pub fn from_random(mut bytes: [u8; 16]) -> Option<Self> {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let id = Self(bytes);
        let reserved = id.as_u128() < 100;
        // The first character is the top six bits; 62 is the dash.
        (!reserved && bytes[0] >> 2 != 62).then_some(id)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.as_u128();
        let mut text = [0u8; 22];
        for (i, c) in text.iter_mut().enumerate() {
            // 21 characters of six bits, then the last two bits filled up with zeros.
            let six = if i < 21 { value >> (122 - 6 * i) } else { value << 4 };
            *c = ALPHABET[(six & 63) as usize];
        }
        f.pad(core::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not the URL-safe base64 of sixteen bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseUuidError(pub String);

impl fmt::Display for ParseUuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not an id: expected 22 characters of URL-safe base64", self.0)
    }
}

impl std::error::Error for ParseUuidError {}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseUuidError(text.chars().take(64).collect());
        let digits = text.strip_suffix("==").unwrap_or(text).as_bytes();
        if digits.len() != 22 {
            return Err(error());
        }
        let mut value: u128 = 0;
        for (i, c) in digits.iter().enumerate() {
            let six = ALPHABET.iter().position(|a| a == c).ok_or_else(error)? as u128;
            value = if i < 21 { value << 6 | six } else { value << 2 | six >> 4 };
        }
        Ok(Self::from_u128(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_as_kafka_shows_it() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::METADATA_TOPIC.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }

    #[test]
    fn the_text_of_an_id_reads_back_as_the_same_id() {
        for text in ["b3RsbGEtb3JhY2xlLS0tLQ", "AAAAAAAAAAAAAAAAAAAAAQ", "_____________________w"] {
            assert_eq!(text.parse::<Uuid>().unwrap().to_string(), text);
        }
        assert_eq!("b3RsbGEtb3JhY2xlLS0tLQ".parse::<Uuid>().unwrap().0, *b"otlla-oracle----");
        assert!("too short".parse::<Uuid>().is_err());
        assert!("b3RsbGEtb3JhY2xlLS0tL!".parse::<Uuid>().is_err());
    }

    #[test]
    fn a_random_id_is_of_version_4_and_never_begins_with_a_dash() {
        assert_eq!(Uuid::from_random([0xf8; 16]), None);
        let id = Uuid::from_random([7; 16]).unwrap();
        assert_eq!((id.0[6] >> 4, id.0[8] >> 6), (4, 2));
    }
}
