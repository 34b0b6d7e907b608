//! Kafka's wire: every request, response, header and internal record, as borrowed views and owned forms.
//!
//! The types are written at build time from the files below `schema/`; `docs/internals/protocol.md` tells how. Reading
//! never allocates more than the input is long, never panics and never recurses without bound: all bytes are hostile
//! until they are read.

mod api_key;
mod array;
mod codec;
mod decode_error;
mod element;
mod encode_error;
mod error_code;
mod frames;
pub mod json;
mod locate;
mod message;
mod put;
mod reader;
mod record_set;
pub mod schema;
mod tagged;
mod writer;

pub use api_key::ApiKey;
pub use array::{Array, ArrayIter};
pub use codec::{Codec, fuzz_decode};
pub use decode_error::{DecodeError, DecodeErrorKind, Fault};
pub use element::{Element, ToMessage};
pub use encode_error::{EncodeError, EncodeErrorKind, EncodeFault};
pub use error_code::ErrorCode;
pub use message::{Encode, Encoded, Message, Request};
pub use put::{Put, Sink};
pub use reader::{ARRAY_ELEMENTS_MAX, Reader, TAGGED_FIELDS_MAX};
pub use record_set::RecordSet;
pub use schema::VersionRange;
pub use tagged::{RawTaggedField, TaggedFields, UnknownTags};
pub use writer::{Counter, Hole, Writer};

/// What every generated module uses.
mod generated_prelude {
    pub(crate) use crate::schema::{DefaultValue, FieldSchema, FieldType, MessageKind, MessageSchema, StructSchema};
    pub(crate) use crate::{
        ApiKey, Array, Counter, Element, Encode, EncodeFault, Message, Put, RawTaggedField, Reader, RecordSet, Request,
        Sink, TaggedFields, ToMessage, VersionRange, Writer,
    };
    pub(crate) use bytes::Bytes;
    pub(crate) use ottla_types::Uuid;
}

macro_rules! family {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[allow(unused_imports, unused_mut, clippy::all)]
        #[rustfmt::skip]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}

family!(
    /// Requests, responses and their headers, and what travels inside of them.
    messages
);
family!(
    /// The records of the cluster's metadata log.
    metadata_records
);
family!(
    /// Keys and values of `__consumer_offsets`.
    group_records
);
family!(
    /// Keys and values of `__transaction_state`.
    transaction_records
);
family!(
    /// Keys and values of `__share_group_state`.
    share_records
);
family!(
    /// KRaft's control records, and the contents of the file `quorum-state`.
    raft_records
);
family!(
    /// The contents of the log's small files, and the records of the remote log's metadata.
    storage_records
);
family!(
    /// What the members of a classic group tell each other through the group.
    consumer_protocol
);
family!(
    /// The keys and values of control batches in topics.
    control_records
);

/// All messages, for tools and tests that go over every one.
pub mod registry {
    use crate::Codec;
    include!(concat!(env!("OUT_DIR"), "/registry.rs"));
}
