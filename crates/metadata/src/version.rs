use crate::VersionRange;
use ottla_types::MetadataVersion;

/// A feature with levels that the whole cluster agrees on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Feature {
    /// Which metadata records may be written.
    MetadataVersion,
    /// Whether the quorum's voters are in the log (KIP-853). Kept in control records of the log, not in the image.
    KraftVersion,
    /// Transactions of KIP-890.
    TransactionVersion,
    /// The consumer group protocol of KIP-848.
    GroupVersion,
    /// Eligible leader replicas of KIP-966.
    EligibleLeaderReplicasVersion,
    /// Share groups of KIP-932; level 2 has dead-letter queues.
    ShareVersion,
    /// Streams groups of KIP-1071.
    StreamsVersion,
}

impl Feature {
    /// All features, in the order of their names.
    pub const ALL: [Self; 7] = [
        Self::EligibleLeaderReplicasVersion,
        Self::GroupVersion,
        Self::KraftVersion,
        Self::MetadataVersion,
        Self::ShareVersion,
        Self::StreamsVersion,
        Self::TransactionVersion,
    ];

    /// The name in records and requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MetadataVersion => "metadata.version",
            Self::KraftVersion => "kraft.version",
            Self::TransactionVersion => "transaction.version",
            Self::GroupVersion => "group.version",
            Self::EligibleLeaderReplicasVersion => "eligible.leader.replicas.version",
            Self::ShareVersion => "share.version",
            Self::StreamsVersion => "streams.version",
        }
    }

    /// The feature of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }

    /// The levels that this software can run.
    pub const fn supported(self) -> VersionRange {
        let (min, max) = match self {
            Self::MetadataVersion => (MINIMUM_METADATA_VERSION.0, LATEST_METADATA_VERSION.0),
            Self::KraftVersion | Self::GroupVersion | Self::EligibleLeaderReplicasVersion | Self::StreamsVersion => {
                (0, 1)
            }
            Self::TransactionVersion | Self::ShareVersion => (0, 2),
        };
        VersionRange { min, max }
    }

    /// The level that a newly formatted cluster of that metadata version starts with.
    pub const fn default_level(self, metadata_version: MetadataVersion) -> i16 {
        let metadata_version = metadata_version.0;
        match self {
            Self::MetadataVersion => metadata_version,
            Self::KraftVersion => 0,
            Self::TransactionVersion if metadata_version >= 24 => 2,
            Self::GroupVersion if metadata_version >= 22 => 1,
            Self::EligibleLeaderReplicasVersion if metadata_version >= 26 => 1,
            Self::ShareVersion if metadata_version >= 31 => 2,
            Self::ShareVersion if metadata_version >= 28 => 1,
            Self::StreamsVersion if metadata_version >= 29 => 1,
            _ => 0,
        }
    }
}

/// Every feature with the levels that this software can run, in the order of the names.
pub fn supported_features() -> impl Iterator<Item = (&'static str, VersionRange)> {
    Feature::ALL.into_iter().map(|feature| (feature.name(), feature.supported()))
}

const MINIMUM_METADATA_VERSION: MetadataVersion = MetadataVersion(7);
const LATEST_METADATA_VERSION: MetadataVersion = MetadataVersion(33);

/// The levels of `metadata.version` by the releases that brought them, from [`MINIMUM_METADATA_VERSION`] on. The last one is
/// not stable yet.
const RELEASES: [&str; 28] = [
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1",
    "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0",
    "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0", "4.4-IV0", "4.4-IV1", "4.4-IV2", "4.5-IV0",
];

/// Every level that has a name, with it, also the one that is not stable yet.
pub fn releases() -> impl Iterator<Item = (MetadataVersion, &'static str)> {
    (MINIMUM_METADATA_VERSION.0..).map(MetadataVersion).zip(RELEASES)
}

/// The level that a release's name stands for: `4.0-IV2`, or the last one of `4.0` or `4.0.1`.
pub fn level_of_release(name: &str) -> Option<MetadataVersion> {
    let mut dots = name.match_indices('.').map(|(position, _)| position);
    let short = dots.nth(1).and_then(|second| name.get(..second)).unwrap_or(name);
    let is_meant = |release: &str| release == short || release.split_once("-IV").is_some_and(|(base, _)| base == short);
    releases().filter(|(_, release)| is_meant(release)).map(|(level, _)| level).last()
}

/// The levels of other features that a level needs.
pub fn dependencies(feature: Feature, level: i16) -> &'static [(Feature, i16)] {
    match (feature, level) {
        // Its records can name eligible leader replicas: 4.0-IV1.
        (Feature::EligibleLeaderReplicasVersion, 1..) => &[(Feature::MetadataVersion, 23)],
        _ => &[],
    }
}

/// What a level of `metadata.version` allows: which records exist and in which version they are written.
pub trait MetadataVersionExt: Copy {
    /// 3.3-IV3, the oldest level that can be read.
    const MINIMUM: MetadataVersion = MINIMUM_METADATA_VERSION;
    /// 4.4-IV2, the newest level of the pinned release.
    const LATEST: MetadataVersion = LATEST_METADATA_VERSION;

    /// The level's number.
    fn level(self) -> i16;

    /// SCRAM credentials in the log, since 3.5-IV2.
    fn has_scram(self) -> bool {
        self.level() >= 11
    }

    /// Whether shrinking the in-sync replicas must raise the leader epoch: before 3.6-IV0.
    fn bumps_leader_epoch_on_isr_shrink(self) -> bool {
        self.level() < 12
    }

    /// Records between BeginTransaction and EndTransaction take effect together, since 3.6-IV1.
    fn has_metadata_transactions(self) -> bool {
        self.level() >= 13
    }

    /// Delegation tokens in the log, since 3.6-IV2.
    fn has_delegation_tokens(self) -> bool {
        self.level() >= 14
    }

    /// Controllers register, since 3.7-IV0.
    fn has_controller_registration(self) -> bool {
        self.level() >= 15
    }

    /// Replicas are assigned to log directories (KIP-858), since 3.7-IV2.
    fn has_directory_assignment(self) -> bool {
        self.level() >= 17
    }

    /// Eligible leader replicas can be enabled, since 4.0-IV1.
    fn has_eligible_leader_replicas(self) -> bool {
        self.level() >= 23
    }

    /// Log directories can be cordoned (KIP-1066), since 4.3-IV0.
    fn has_cordoned_log_dirs(self) -> bool {
        self.level() >= 30
    }

    /// Controllers can be unregistered (KIP-1312), since 4.4-IV2.
    fn has_controller_unregistration(self) -> bool {
        self.level() >= 33
    }

    /// The version in which RegisterBrokerRecord is written.
    fn register_broker_record_version(self) -> i16 {
        match self.level() {
            30.. => 4,
            17.. => 3,
            8.. => 2,
            _ => 1,
        }
    }

    /// The version in which PartitionRecord and PartitionChangeRecord are written.
    fn partition_record_version(self) -> i16 {
        match self.level() {
            23.. => 2,
            17.. => 1,
            _ => 0,
        }
    }
}

impl MetadataVersionExt for MetadataVersion {
    fn level(self) -> i16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_starts_with_the_levels_of_the_pinned_release() {
        let levels = Feature::ALL.map(|feature| (feature.name(), feature.default_level(MetadataVersion::LATEST)));
        assert_eq!(
            levels,
            [
                ("eligible.leader.replicas.version", 1),
                ("group.version", 1),
                ("kraft.version", 0),
                ("metadata.version", 33),
                ("share.version", 2),
                ("streams.version", 1),
                ("transaction.version", 2),
            ]
        );
    }

    #[test]
    fn a_level_is_found_by_the_name_of_its_release() {
        let found = ["3.3", "4.0", "4.0.1", "4.0-IV1", "4.4-IV2", "4.5-IV0"].map(level_of_release);
        assert_eq!(found.map(|level| level.map(|level| level.0)), [7, 25, 25, 23, 33, 34].map(Some));
        assert!(["", "3.2", "4", "bogus", "4.0-IV9", "IV3"].map(level_of_release).iter().all(Option::is_none));
        assert_eq!(releases().last(), Some((MetadataVersion(34), "4.5-IV0")));
    }

    #[test]
    fn a_new_cluster_of_release_4_0_starts_without_the_later_features() {
        let levels = Feature::ALL.map(|feature| feature.default_level(MetadataVersion(25)));
        assert_eq!(levels, [0, 1, 0, 25, 0, 0, 2]);
    }
}
