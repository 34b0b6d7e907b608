use crate::draft::Draft;
use crate::outcome::{RECORDS_MAX, TOO_MANY_RECORDS};
use crate::{ApiError, Controller, Outcome};
use ottla_metadata::{Feature, MetadataVersionExt, VersionRange, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_protocol::messages::update_features_response::UpdatableFeatureResult;
use ottla_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use ottla_protocol::metadata_records::{FeatureLevelRecord, MetadataRecord};
use ottla_types::{MetadataVersion, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Levels of `metadata.version` that changed what records can say: a downgrade across one would lose something.
const METADATA_CHANGED: [i16; 11] = [7, 8, 11, 13, 14, 15, 17, 23, 30, 32, 33];
const UPGRADE: i8 = 1;
const UNSAFE_DOWNGRADE: i8 = 3;
/// The metadata version that eligible leader replicas need.
const ELIGIBLE_LEADER_REPLICAS_NEED: i16 = 23;
/// From this version of the request on, the results say for each feature how it went only by the error of the whole.
const WHOLE_RESULT_VERSION: i16 = 2;

/// Asks the quorum for another level of `kraft.version`, which it keeps itself, in control records: the level, and whether
/// only to say if that would do. An error is a sentence.
pub type KraftVersionUpgrade<'a> = &'a mut dyn FnMut(i16, bool) -> Result<(), String>;

impl Controller {
    /// UpdateFeatures: all of the updates, or none. Every registered broker and controller, and every voter, must be able to
    /// run the new level.
    pub fn update_features(
        &mut self,
        version: i16,
        request: &UpdateFeaturesRequest,
        upgrade_kraft_version: KraftVersionUpgrade<'_>,
    ) -> Outcome<UpdateFeaturesResponse> {
        let mut records = Vec::new();
        let mut levels = self.image.features.finalized();
        let mut seen = BTreeSet::new();
        // Kafka's request is a map of features: of one that comes twice, the first counts.
        let updates = request.feature_updates.iter().filter(|update| seen.insert(update.feature.as_str()));
        let updates: Vec<&FeatureUpdateKey> = updates.collect();
        for update in &updates {
            levels.insert(update.feature.clone(), update.max_version_level);
        }
        let turns_on_elr = updates.iter().any(|update| {
            update.feature == Feature::EligibleLeaderReplicasVersion.name() && update.max_version_level > 0
        });
        if turns_on_elr {
            self.min_in_sync_records(&mut records);
        }
        let elr = Feature::EligibleLeaderReplicasVersion;
        if self.image.features.level(elr) > 0 && levels.get(elr.name()) == Some(&0) {
            let mut draft = Draft::new(self);
            draft.forget_eligible();
            records.append(&mut draft.records);
        }
        let mut result = Ok(());
        for update in &updates {
            result = self.update_feature(version, update, &levels, &mut records);
            if result.is_ok() && update.feature == Feature::KraftVersion.name() {
                result = self.update_kraft_version(update, request.validate_only, upgrade_kraft_version, &mut records);
            }
            if result.is_err() {
                break;
            }
        }
        if records.len() > RECORDS_MAX {
            result = Err(ApiError::new(ErrorCode::PolicyViolation, TOO_MANY_RECORDS));
        }
        if result.is_err() || request.validate_only {
            records.clear();
        }
        let whole = "The update failed for all features since the following feature had an error: ";
        let result = result.map_err(|error: ApiError| ApiError {
            message: error.message.map(|message| format!("{whole}{message}")),
            ..error
        });
        let (error_code, error_message) = ApiError::parts(result);
        let results = if version < WHOLE_RESULT_VERSION && error_code == 0 {
            let name = |update: &FeatureUpdateKey| update.feature.clone();
            // The name of the error that there is not.
            let message = Some("NONE".to_owned());
            let result = |update| UpdatableFeatureResult {
                feature: name(update),
                error_message: message.clone(),
                ..Default::default()
            };
            updates.into_iter().map(result).collect()
        } else {
            Vec::new()
        };
        Outcome::atomic(records, UpdateFeaturesResponse { error_code, error_message, results, ..Default::default() })
    }

    fn update_feature(
        &self,
        version: i16,
        update: &FeatureUpdateKey,
        levels: &BTreeMap<String, i16>,
        records: &mut Vec<VersionedRecord>,
    ) -> Result<(), ApiError> {
        let (name, new) = (&update.feature, update.max_version_level);
        let invalid = |reason: &str| Err(invalid_update(update, reason));
        // Before version 1 a flag said whether downgrades are allowed.
        let kind = match (version, update.allow_downgrade) {
            (0, true) => UPGRADE + 1,
            (0, false) => UPGRADE,
            _ => update.upgrade_type,
        };
        if !(UPGRADE..=UNSAFE_DOWNGRADE).contains(&kind) {
            return invalid("The controller does not support the given upgrade type.");
        }
        if new < 0 {
            return invalid("A feature version cannot be less than 0.");
        }
        let feature = Feature::from_name(name);
        if let Some(reason) = self.reason_not_supported(name, feature, new) {
            return invalid(&reason);
        }
        let Some(feature) = feature else { return invalid("The feature is not known.") };
        let current = match feature {
            Feature::KraftVersion => self.settings.kraft_version,
            other => self.image.features.level(other),
        };
        if new < current && kind == UPGRADE {
            return invalid(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
                 downgrade.",
            );
        }
        if new > current && kind != UPGRADE {
            return invalid("Can't downgrade to a newer version.");
        }
        match feature {
            Feature::MetadataVersion => check_metadata_version(current, new, kind)?,
            Feature::KraftVersion if new < current => return invalid("Can't downgrade the version of this feature."),
            Feature::KraftVersion => return Ok(()),
            Feature::EligibleLeaderReplicasVersion if new > 0 => {
                let has = levels.get(Feature::MetadataVersion.name()).copied().unwrap_or(0);
                if has < ELIGIBLE_LEADER_REPLICAS_NEED {
                    return invalid(&format!(
                        "{name} could not be set to {new} because it depends on metadata.version level \
                         {ELIGIBLE_LEADER_REPLICAS_NEED}"
                    ));
                }
            }
            _ => {}
        }
        let record = FeatureLevelRecord { name: name.clone(), feature_level: new, ..Default::default() };
        records.push(MetadataRecord::FeatureLevel(record).into());
        Ok(())
    }

    /// The quorum changes its own level; the no-op record is there to be waited for.
    fn update_kraft_version(
        &self,
        update: &FeatureUpdateKey,
        validate_only: bool,
        upgrade: KraftVersionUpgrade<'_>,
        records: &mut Vec<VersionedRecord>,
    ) -> Result<(), ApiError> {
        if update.max_version_level != self.settings.kraft_version {
            upgrade(update.max_version_level, validate_only).map_err(|reason| invalid_update(update, &reason))?;
            records.extend(self.no_op().records);
        }
        Ok(())
    }

    fn reason_not_supported(&self, name: &str, feature: Option<Feature>, level: i16) -> Option<String> {
        let off = VersionRange { min: 0, max: 0 };
        let node = self.settings.node.node_id;
        let local = feature.map_or(off, Feature::supported);
        let reason = |what: String, range: VersionRange| match range {
            range if range.contains(level) => None,
            VersionRange { max: 0, .. } => Some(format!("{what} does not support this feature.")),
            range => Some(format!("{what} only supports versions {}-{}", range.min, range.max)),
        };
        let cluster = &self.image.cluster;
        let brokers = cluster
            .brokers
            .values()
            .map(|broker| (format!("Broker {}", broker.id), broker.features.get(name).copied().unwrap_or(off)));
        let others = cluster.controllers.values().filter(|controller| controller.id != node).map(|controller| {
            (format!("Controller {}", controller.id), controller.features.get(name).copied().unwrap_or(off))
        });
        let everybody = std::iter::once((format!("Local controller {node}"), local)).chain(brokers);
        let refused = { everybody }.find_map(|(what, range)| reason(what, range));
        // Before controllers registered, nothing was known of the others.
        if refused.is_some() || !self.metadata_version().has_controller_registration() {
            return refused;
        }
        others.into_iter().find_map(|(what, range)| reason(what, range)).or_else(|| {
            let has_registered = |id: &NodeId| *id == node || cluster.controllers.contains_key(id);
            let missing = self.settings.voters.iter().find(|id| !has_registered(id))?;
            Some(format!("controller {missing} has not registered, and may not support this feature"))
        })
    }
}

fn invalid_update(update: &FeatureUpdateKey, reason: &str) -> ApiError {
    let (new, name) = (update.max_version_level, &update.feature);
    let message = format!("Invalid update version {new} for feature {name}. {reason}");
    ApiError::new(ErrorCode::InvalidUpdateVersion, message)
}

fn check_metadata_version(current: i16, new: i16, kind: i8) -> Result<(), ApiError> {
    if MetadataVersion(new).level() >= current
        || !METADATA_CHANGED.iter().any(|level| (new + 1..=current).contains(level))
    {
        return Ok(());
    }
    let reason = if kind == UNSAFE_DOWNGRADE {
        "Unsafe metadata downgrade is not supported in this version."
    } else {
        "Refusing to perform the requested downgrade because it might delete metadata information."
    };
    let message = format!("Unsupported metadata.version downgrade from {current} to {new}. {reason}");
    Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message))
}
