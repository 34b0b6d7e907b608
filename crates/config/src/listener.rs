use core::fmt;
use ottla_types::NodeId;

/// How the bytes of a listener are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecurityProtocol {
    /// Not at all.
    Plaintext,
    /// By TLS.
    Ssl,
    /// Authenticated by SASL, not encrypted.
    SaslPlaintext,
    /// Authenticated by SASL, encrypted by TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// The number that registrations of brokers carry.
    pub const fn id(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    /// The protocol of Kafka's `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl].into_iter().find(|one| one.name() == name)
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without its brackets. May be empty in a listener: every interface.
    pub host: String,
    /// The port; 0 in a listener takes a free one.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One listener: its name, where it is, what it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name in capitals.
    pub listener_name: String,
    /// Where it is.
    pub address: HostPort,
    /// What it speaks.
    pub security_protocol: SecurityProtocol,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.listener_name, self.address)
    }
}

/// Why a listener, a voter or a server can't be understood. The entry is in the message of whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    Shape,
    Port,
}

impl AddressError {
    pub(crate) fn reason(self, shape: &str) -> String {
        match self {
            Self::Shape => format!("each entry must be {shape}"),
            Self::Port => "a port is a number from 0 to 65535".to_owned(),
        }
    }
}

/// Reads `host:port`; the host may be empty or an IPv6 address in brackets.
pub(crate) fn address(text: &str) -> Result<HostPort, AddressError> {
    let (host, port) = text.rsplit_once(':').ok_or(AddressError::Shape)?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '%' | '.' | '_' | ':');
    if !bare.chars().all(good) || port.is_empty() {
        return Err(AddressError::Shape);
    }
    let port = port.parse().map_err(|_| AddressError::Port)?;
    Ok(HostPort { host: bare.to_owned(), port })
}

/// Reads an entry of `listeners`: the name in capitals and the address.
pub(crate) fn parse_listener(entry: &str) -> Result<(String, HostPort), AddressError> {
    let (name, rest) = entry.split_once("://").ok_or(AddressError::Shape)?;
    if name.is_empty() {
        return Err(AddressError::Shape);
    }
    Ok((name.to_uppercase(), address(rest)?))
}

/// Reads `host:port` of a server to connect to.
pub(crate) fn parse_host_port(entry: &str) -> Result<HostPort, AddressError> {
    let address = address(entry)?;
    if address.host.is_empty() { Err(AddressError::Shape) } else { Ok(address) }
}

/// Reads `id@host:port`.
pub(crate) fn parse_voter(entry: &str) -> Result<(NodeId, HostPort), AddressError> {
    let (id, rest) = entry.split_once('@').ok_or(AddressError::Shape)?;
    let id: i32 = id.parse().map_err(|_| AddressError::Shape)?;
    if id < 0 {
        return Err(AddressError::Shape);
    }
    Ok((NodeId::new(id), parse_host_port(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_in_all_their_forms() {
        for (text, name, host, port) in [
            ("PLAINTEXT://:9092", "PLAINTEXT", "", 9092),
            ("internal://127.0.0.1:0", "INTERNAL", "127.0.0.1", 0),
            ("SSL://[::1]:9093", "SSL", "::1", 9093),
            ("X://broker-1.example.com:1", "X", "broker-1.example.com", 1),
        ] {
            let (got, address) = parse_listener(text).unwrap();
            assert_eq!((got.as_str(), address.host.as_str(), address.port), (name, host, port));
        }
        for text in ["localhost:9092", "PLAINTEXT://localhost", "://a:1", "P://a b:1", "P://a:"] {
            assert_eq!(parse_listener(text), Err(AddressError::Shape), "{text}");
        }
        assert_eq!(parse_listener("P://a:70000"), Err(AddressError::Port));
    }

    #[test]
    fn voters_need_an_id_and_an_address() {
        assert_eq!(parse_voter("3@[::1]:9093").unwrap(), (NodeId::new(3), HostPort { host: "::1".into(), port: 9093 }));
        for text in ["a@b:1", "1@b", "-1@b:1", "b:1", "1@:9"] {
            assert!(parse_voter(text).is_err(), "{text}");
        }
    }
}
