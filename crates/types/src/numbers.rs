use crate::macros::number;

number! {
    /// The position of a record in a partition's log, counted in records from 0.
    Offset(i64)
}

impl Offset {
    /// The first offset of a new log.
    pub const ZERO: Self = Self(0);

    /// The offset right after this one. Saturates at the greatest offset.
    #[inline]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The offset `records` further on. Saturates, so that a hostile number can't wrap around.
    #[inline]
    pub const fn plus(self, records: i64) -> Self {
        Self(self.0.saturating_add(records))
    }

    /// How many records lie between `earlier` and this offset; negative when `earlier` is later. Saturates.
    #[inline]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

number! {
    /// The epoch of a partition's leadership: grows by at least one with each election. `-1` means unknown.
    LeaderEpoch(i32)
}

impl LeaderEpoch {
    /// No epoch: a client that does not know one, or a log without any.
    pub const NONE: Self = Self(-1);
}

number! {
    /// The epoch of one registration of a broker: the metadata offset of its registration record.
    BrokerEpoch(i64)
}

number! {
    /// The epoch of the metadata quorum's leadership.
    ControllerEpoch(i32)
}

number! {
    /// The id of a producer, from the controller's blocks. `-1` means that the producer is not idempotent.
    ProducerId(i64)
}

impl ProducerId {
    /// The id of a producer without idempotence.
    pub const NONE: Self = Self(-1);

    /// Whether this is a real id.
    #[inline]
    pub const fn is_some(self) -> bool {
        self.0 >= 0
    }
}

number! {
    /// The epoch of a producer id: a greater one fences the smaller ones.
    ProducerEpoch(i16)
}

impl ProducerEpoch {
    /// The epoch of a producer without idempotence.
    pub const NONE: Self = Self(-1);
}

number! {
    /// A producer's sequence number in one partition: counts records, wraps from the greatest i32 to 0.
    Sequence(i32)
}

impl Sequence {
    /// No sequence: the batch of a producer without idempotence, or a control batch.
    pub const NONE: Self = Self(-1);

    /// The sequence `records` further on, wrapping within the non-negative numbers as Kafka does. A negative one, which only a
    /// damaged batch has, is counted on as it is.
    #[inline]
    pub const fn plus(self, records: i32) -> Self {
        if self.0 < 0 {
            return Self(self.0.wrapping_add(records));
        }
        let sum = self.0 as i64 + records as i64;
        let modulus = i32::MAX as i64 + 1;
        Self(sum.rem_euclid(modulus) as i32)
    }
}

number! {
    /// The epoch of a member of a consumer group of the new protocol (KIP-848).
    MemberEpoch(i32)
}

number! {
    /// The generation of a classic group: grows by one with each completed rebalance.
    Generation(i32)
}

impl Generation {
    /// No generation: a commit from outside of the group's membership.
    pub const NONE: Self = Self(-1);
}

number! {
    /// The id of a node, broker or controller, as in `node.id`.
    NodeId(i32)
}

impl NodeId {
    /// No node: a partition without a leader, a client as fetcher.
    pub const NONE: Self = Self(-1);
}

/// A node in its role as a broker.
pub type BrokerId = NodeId;

number! {
    /// The number of a partition in its topic, from 0.
    PartitionIndex(i32)
}

number! {
    /// Milliseconds since the Unix epoch. `-1` means that there is none.
    Timestamp(i64)
}

impl Timestamp {
    /// No timestamp.
    pub const NONE: Self = Self(-1);

    /// The time `milliseconds` later. Saturates.
    #[inline]
    pub const fn plus_milliseconds(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

number! {
    /// The level of the `metadata.version` feature.
    MetadataVersion(i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_wraps_from_the_greatest_number_to_zero() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(5).plus(2), Sequence(7));
        assert_eq!(Sequence(-1025).plus(8), Sequence(-1017));
    }

    #[test]
    fn an_offset_never_wraps() {
        assert_eq!(Offset(i64::MAX).next(), Offset(i64::MAX));
        assert_eq!(Offset(i64::MIN).since(Offset(1)), i64::MIN);
    }
}
