//! What formatting writes into a new directory: the first snapshot's records and the values of `meta.properties`.

use ottla_metadata::{Feature, MetadataVersionExt, VersionedRecord, dependencies};
use ottla_protocol::metadata_records::{FeatureLevelRecord, MetadataRecord};
use ottla_types::{DirectoryId, MetadataVersion, NodeId};
use std::collections::BTreeMap;
use thiserror::Error;

/// What a cluster is to start with.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FormatOptions {
    /// The level of `metadata.version`; the newest if not given.
    pub metadata_version: Option<MetadataVersion>,
    /// Levels of other features that differ from those of the metadata version.
    pub feature_levels: BTreeMap<String, i16>,
    /// Whether the voters are to be kept in the log (KIP-853), which formatting with `--standalone` or
    /// `--initial-controllers` asks for.
    pub has_dynamic_voters: bool,
}

/// Why a directory can't be formatted that way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// No feature has that name.
    #[error("Unsupported feature: {0}. Supported features are: {1}")]
    UnknownFeature(String, String),
    /// The feature has no such level.
    #[error("No feature:{feature} with feature level {level}")]
    Level {
        /// The feature.
        feature: String,
        /// The level.
        level: i16,
    },
    /// The feature needs a higher level of another one.
    #[error("{feature} could not be set to {level} because it depends on {needs} level {least}")]
    Dependency {
        /// The feature.
        feature: String,
        /// Its level.
        level: i16,
        /// The feature that it needs.
        needs: &'static str,
        /// The level that it needs.
        least: i16,
    },
    /// The level of `kraft.version` contradicts how the voters are configured.
    #[error("kraft.version {0} does not go with the way in which the voters are configured")]
    KraftVersion(i16),
}

/// What a new cluster starts with.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// The level of `metadata.version`.
    pub metadata_version: MetadataVersion,
    /// The level of `kraft.version`: 1 has the voters in the log.
    pub kraft_version: i16,
    /// The records between the snapshot's header and footer.
    pub records: Vec<VersionedRecord>,
}

/// The levels and records of a new cluster, as Kafka's `format` writes them: `metadata.version` first, then the others by
/// name, those at level 0 left out.
///
/// # Errors
/// When the options contradict each other or name what this release does not have.
pub fn bootstrap(options: &FormatOptions) -> Result<Bootstrap, FormatError> {
    let metadata_version = options.metadata_version.unwrap_or(MetadataVersion::LATEST);
    let mut levels: BTreeMap<Feature, i16> =
        Feature::ALL.map(|feature| (feature, feature.default_level(metadata_version))).into();
    levels.insert(Feature::KraftVersion, i16::from(options.has_dynamic_voters));
    for (name, level) in &options.feature_levels {
        let feature = Feature::from_name(name).filter(|feature| *feature != Feature::MetadataVersion);
        let Some(feature) = feature else {
            // The level of metadata.version has an option of its own.
            let others = Feature::ALL.into_iter().filter(|feature| *feature != Feature::MetadataVersion);
            let supported = others.map(Feature::name).collect::<Vec<_>>().join(", ");
            return Err(FormatError::UnknownFeature(name.clone(), supported));
        };
        levels.insert(feature, *level);
    }
    check(&levels, options.has_dynamic_voters)?;
    let record = |(feature, level): (&Feature, &i16)| {
        let record =
            FeatureLevelRecord { name: feature.name().to_owned(), feature_level: *level, ..Default::default() };
        VersionedRecord::from(MetadataRecord::FeatureLevel(record))
    };
    let mut records = vec![record((&Feature::MetadataVersion, &metadata_version.0))];
    let mut others: Vec<_> = levels
        .iter()
        .filter(|(feature, level)| !matches!(feature, Feature::MetadataVersion | Feature::KraftVersion) && **level > 0)
        .collect();
    others.sort_by_key(|(feature, _)| feature.name());
    records.extend(others.into_iter().map(record));
    let kraft_version = levels.get(&Feature::KraftVersion).copied().unwrap_or(0);
    Ok(Bootstrap { metadata_version, kraft_version, records })
}

fn check(levels: &BTreeMap<Feature, i16>, has_dynamic_voters: bool) -> Result<(), FormatError> {
    for (feature, level) in levels {
        if !feature.supported().contains(*level) {
            return Err(FormatError::Level { feature: feature.name().to_owned(), level: *level });
        }
    }
    let level = |feature| levels.get(&feature).copied().unwrap_or(0);
    let kraft = level(Feature::KraftVersion);
    if (kraft > 0) != has_dynamic_voters {
        return Err(FormatError::KraftVersion(kraft));
    }
    for (feature, level) in levels {
        for (needs, least) in dependencies(*feature, *level) {
            if levels.get(needs).is_none_or(|level| level < least) {
                let (feature, needs) = (feature.name().to_owned(), needs.name());
                return Err(FormatError::Dependency { feature, level: *level, needs, least: *least });
            }
        }
    }
    Ok(())
}

/// The entries of `meta.properties`, in the order in which Kafka writes them.
pub fn meta_properties(cluster_id: &str, node: NodeId, directory: DirectoryId) -> [(&'static str, String); 4] {
    [
        ("node.id", node.to_string()),
        ("directory.id", directory.to_string()),
        ("version", "1".to_owned()),
        ("cluster.id", cluster_id.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(options: &FormatOptions) -> Vec<(String, i16)> {
        let records = bootstrap(options).unwrap().records;
        let level = |record: VersionedRecord| match record.record {
            MetadataRecord::FeatureLevel(level) => (level.name, level.feature_level),
            other => panic!("{other:?}"),
        };
        records.into_iter().map(level).collect()
    }

    fn expected(levels: &[(&str, i16)]) -> Vec<(String, i16)> {
        levels.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect()
    }

    #[test]
    fn a_new_cluster_starts_with_the_records_that_kafka_writes() {
        // The checkpoint that Apache Kafka 4.4.0 writes when no option is given.
        let kafka = [
            ("metadata.version", 33),
            ("eligible.leader.replicas.version", 1),
            ("group.version", 1),
            ("share.version", 2),
            ("streams.version", 1),
            ("transaction.version", 2),
        ];
        assert_eq!(levels(&FormatOptions::default()), expected(&kafka));
    }

    #[test]
    fn a_cluster_of_an_older_level_starts_without_what_came_later() {
        let options = FormatOptions { metadata_version: Some(MetadataVersion(25)), ..Default::default() };
        let kafka = [("metadata.version", 25), ("group.version", 1), ("transaction.version", 2)];
        assert_eq!(levels(&options), expected(&kafka));
    }

    #[test]
    fn a_feature_that_is_switched_off_has_no_record() {
        let options = FormatOptions { feature_levels: [("share.version".to_owned(), 0)].into(), ..Default::default() };
        assert!(!levels(&options).iter().any(|(name, _)| name == "share.version"));
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let with = |name: &str, level: i16| FormatOptions {
            feature_levels: [(name.to_owned(), level)].into(),
            ..Default::default()
        };
        assert!(matches!(bootstrap(&with("no.such", 1)), Err(FormatError::UnknownFeature(..))));
        assert!(matches!(bootstrap(&with("group.version", 2)), Err(FormatError::Level { .. })));
        assert_eq!(bootstrap(&with("kraft.version", 1)), Err(FormatError::KraftVersion(1)));
        let old = FormatOptions {
            metadata_version: Some(MetadataVersion(21)),
            ..with("eligible.leader.replicas.version", 1)
        };
        assert!(matches!(bootstrap(&old), Err(FormatError::Dependency { .. })));
    }

    #[test]
    fn dynamic_voters_raise_the_level_of_kraft_version() {
        let options = FormatOptions { has_dynamic_voters: true, ..Default::default() };
        assert_eq!(bootstrap(&options).unwrap().kraft_version, 1);
        assert_eq!(bootstrap(&FormatOptions::default()).unwrap().kraft_version, 0);
    }
}
