use crate::Feature;
use ottla_types::MetadataVersion;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The feature levels that the cluster has agreed on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FeaturesImage {
    pub(crate) metadata_version: Option<MetadataVersion>,
    pub(crate) levels: Arc<BTreeMap<String, i16>>,
}

impl FeaturesImage {
    /// The level of `metadata.version`; `None` before the log's first records.
    pub fn metadata_version(&self) -> Option<MetadataVersion> {
        self.metadata_version
    }

    /// The level of a feature; 0 is off.
    pub fn level(&self, feature: Feature) -> i16 {
        match feature {
            Feature::MetadataVersion => self.metadata_version.map_or(0, MetadataVersion::value),
            _ => self.levels.get(feature.name()).copied().unwrap_or(0),
        }
    }

    /// All levels but that of `metadata.version`, by name; a level of 0 is absent.
    pub fn levels(&self) -> &BTreeMap<String, i16> {
        &self.levels
    }

    /// Every finalized feature with its level, `metadata.version` among them, by name.
    pub fn finalized(&self) -> BTreeMap<String, i16> {
        let mut all = BTreeMap::clone(&self.levels);
        if let Some(level) = self.metadata_version {
            all.insert(Feature::MetadataVersion.name().to_owned(), level.0);
        }
        all
    }

    /// Whether eligible leader replicas are kept (KIP-966).
    pub fn has_eligible_leader_replicas(&self) -> bool {
        self.level(Feature::EligibleLeaderReplicasVersion) > 0
    }
}
