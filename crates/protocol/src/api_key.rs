use crate::schema::VersionRange;

/// What a declaration of an API holds.
struct Api {
    name: &'static str,
    stable: VersionRange,
    all: VersionRange,
    flexible_from: i16,
    on_broker: bool,
    on_controller: bool,
}

macro_rules! api_keys {
    ($($name:ident = $code:literal, $low:literal, $stable:literal, $high:literal, $flexible:literal,
       $broker:literal, $controller:literal, $snake:ident;)*) => {
        /// The APIs of Kafka, by the number that stands first in every request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = concat!("API ", stringify!($code), ", [`crate::messages::", stringify!($snake), "_request`].")]
            $name = $code,)*
        }

        impl ApiKey {
            /// Every API, in ascending order of codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The API of that code; `None` for one that does not exist, or exists no more.
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            const fn api(self) -> Api {
                match self {
                    $(Self::$name => Api {
                        name: stringify!($name),
                        stable: VersionRange::new($low, $stable),
                        all: VersionRange::new($low, $high),
                        flexible_from: $flexible,
                        on_broker: $broker,
                        on_controller: $controller,
                    },)*
                }
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/api_keys.rs"));

impl ApiKey {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The name, `CreateTopics`.
    pub const fn name(self) -> &'static str {
        self.api().name
    }

    /// The stable versions.
    pub const fn versions(self) -> VersionRange {
        self.api().stable
    }

    /// All versions, unstable ones included.
    pub const fn all_versions(self) -> VersionRange {
        self.api().all
    }

    /// The versions that a node tells in its ApiVersions response: the stable ones; for Produce from 0 on, although 0
    /// to 2 are refused, because librdkafka asks for the old ones to be there (KAFKA-18659).
    pub const fn advertised_versions(self) -> VersionRange {
        match self {
            Self::Produce => VersionRange::new(0, self.versions().max),
            _ => self.versions(),
        }
    }

    /// Whether that version is flexible (KIP-482).
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.api().flexible_from
    }

    /// The version of the header before a request of that version.
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header before a response of that version. That of ApiVersions is always 0, so that a client
    /// can read it whose version the server does not know (KIP-511).
    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            Self::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }

    /// Whether brokers serve it to clients and to each other.
    pub const fn on_broker(self) -> bool {
        self.api().on_broker
    }

    /// Whether controllers serve it on their own listeners.
    pub const fn on_controller(self) -> bool {
        self.api().on_controller
    }
}

impl core::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_an_api_versions_response_is_always_version_0() {
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
        assert_eq!(ApiKey::Produce.request_header_version(8), 1);
        assert_eq!(ApiKey::Produce.response_header_version(9), 1);
    }

    #[test]
    fn every_code_leads_back_to_its_api() {
        for &key in ApiKey::ALL {
            assert_eq!(ApiKey::from_code(key.code()), Some(key));
        }
        assert_eq!(ApiKey::from_code(4), None);
        assert_eq!(ApiKey::from_code(-1), None);
    }

    #[test]
    fn unstable_versions_are_not_advertised() {
        assert_eq!(ApiKey::InitProducerId.all_versions().max, 6);
        assert_eq!(ApiKey::InitProducerId.advertised_versions().max, 5);
        assert_eq!(ApiKey::Produce.advertised_versions(), VersionRange::new(0, 13));
        assert_eq!(ApiKey::Produce.versions(), VersionRange::new(3, 13));
    }
}
