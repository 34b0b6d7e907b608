use crate::{AclsImage, ClusterImage, ConfigsImage, FeaturesImage, QuotasImage, ScramImage, TokensImage, TopicsImage};
use ottla_types::{LeaderEpoch, Offset, ProducerId, Timestamp};

/// How far into the log an image reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Provenance {
    /// The offset of the last record in the image; -1 for none.
    pub offset: Offset,
    /// The epoch of its batch; -1 for none.
    pub epoch: LeaderEpoch,
    /// The time at which it was appended; -1 for none.
    pub timestamp: Timestamp,
}

impl Provenance {
    /// Of an image without records.
    pub const EMPTY: Self = Self { offset: Offset(-1), epoch: LeaderEpoch::NONE, timestamp: Timestamp::NONE };
}

/// The whole metadata of the cluster at one offset of its log. Cloning shares everything.
#[derive(Clone, PartialEq, Debug)]
pub struct MetadataImage {
    /// How far into the log this image reaches.
    pub provenance: Provenance,
    /// Feature levels.
    pub features: FeaturesImage,
    /// Brokers and controllers.
    pub cluster: ClusterImage,
    /// Topics and partitions.
    pub topics: TopicsImage,
    /// Dynamic configurations.
    pub configs: ConfigsImage,
    /// Client quotas.
    pub quotas: QuotasImage,
    /// The first producer id that no block contains yet; -1 before the first block.
    pub next_producer_id: ProducerId,
    /// Access control entries.
    pub acls: AclsImage,
    /// SCRAM credentials.
    pub scram: ScramImage,
    /// Delegation tokens.
    pub tokens: TokensImage,
}

impl Default for MetadataImage {
    fn default() -> Self {
        Self {
            provenance: Provenance::EMPTY,
            features: FeaturesImage::default(),
            cluster: ClusterImage::default(),
            topics: TopicsImage::default(),
            configs: ConfigsImage::default(),
            quotas: QuotasImage::default(),
            next_producer_id: ProducerId::NONE,
            acls: AclsImage::default(),
            scram: ScramImage::default(),
            tokens: TokensImage::default(),
        }
    }
}

impl MetadataImage {
    /// An image without records.
    pub fn new() -> Self {
        Self::default()
    }
}
