use std::sync::Arc;

/// What the machine needs to know about the request beside its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// The version of the request's API.
    pub api_version: i16,
    /// The client id of the request header; empty when the client sent none.
    pub client_id: Arc<str>,
    /// The client's address as Kafka shows it to tools and writes it to the log: a slash, then the IP address.
    pub client_host: Arc<str>,
    /// Sixteen random bytes, used when the request makes a new member id.
    pub random: [u8; 16],
}

impl RequestContext {
    /// The member id for a member without one: the static member's instance id, or else the client id, then a dash
    /// and a random UUID of version 4 in its usual text form.
    /// A random id, as Java's `Uuid` writes it.
    pub(crate) fn random_id(&self) -> Arc<str> {
        let mut bytes = self.random;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        ottla_types::Uuid::from_u128(u128::from_be_bytes(bytes)).to_string().into()
    }

    pub(crate) fn new_member_id(&self, group_instance_id: Option<&str>) -> Arc<str> {
        let mut bytes = self.random;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(self.client_id.len() + 37);
        text.push_str(group_instance_id.unwrap_or(&self.client_id));
        for (i, byte) in bytes.iter().enumerate() {
            if matches!(i, 0 | 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for digit in [byte >> 4, byte & 0x0f] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_id_is_the_client_id_and_a_random_uuid() {
        let context = RequestContext {
            api_version: 9,
            client_id: "consumer-1".into(),
            client_host: "/127.0.0.1".into(),
            random: [0xff; 16],
        };
        assert_eq!(&*context.new_member_id(None), "consumer-1-ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(&*context.new_member_id(Some("static")), "static-ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
