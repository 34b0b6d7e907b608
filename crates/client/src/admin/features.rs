use super::Admin;
use crate::error::{ClientError, Result};
use crate::network::NodeVersions;
use ottla_protocol::messages::UpdateFeaturesRequest;
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_types::NodeId;
use std::collections::BTreeMap;

/// The features of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeaturesDescription {
    /// The lowest and the highest level that the node that was asked can work with, by feature.
    pub supported: BTreeMap<String, (i16, i16)>,
    /// The level that the cluster works with, by feature; none for a feature that is disabled.
    pub finalized: BTreeMap<String, i16>,
    /// How far the metadata was that these levels are of; `None` when the node does not know.
    pub epoch: Option<i64>,
}

impl FeaturesDescription {
    fn of(versions: &NodeVersions) -> Self {
        let answer = versions.response();
        let supported = answer.supported_features.iter();
        let finalized = answer.finalized_features.iter();
        Self {
            supported: supported
                .map(|feature| (feature.name.clone(), (feature.min_version, feature.max_version)))
                .collect(),
            finalized: finalized.map(|feature| (feature.name.clone(), feature.max_version_level)).collect(),
            epoch: Some(answer.finalized_features_epoch).filter(|epoch| *epoch >= 0),
        }
    }
}

/// Which way a feature's level may go (KIP-584).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureUpgrade {
    /// Up only.
    Upgrade,
    /// Down, as long as no metadata is lost.
    SafeDowngrade,
    /// Down, even if metadata is lost.
    UnsafeDowngrade,
}

impl FeatureUpgrade {
    fn code(self) -> i8 {
        match self {
            Self::Upgrade => 1,
            Self::SafeDowngrade => 2,
            Self::UnsafeDowngrade => 3,
        }
    }
}

impl Admin {
    /// The features as any node tells of them.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_features(&self) -> Result<FeaturesDescription> {
        Ok(FeaturesDescription::of(self.cluster().any_node().await?.versions()))
    }

    /// The features as this node tells of them.
    ///
    /// # Errors
    /// No answer could be had, or there is no such node.
    pub async fn describe_features_of(&self, node: NodeId) -> Result<FeaturesDescription> {
        let mut retry = self.cluster().retry();
        loop {
            match self.cluster().node(node).await {
                Ok(connection) => return Ok(FeaturesDescription::of(connection.versions())),
                Err(error) if error.is_retriable() => retry.pause(error).await?,
                Err(error) => return Err(error),
            }
            self.refresh_brokers(&mut retry).await?;
        }
    }

    /// Changes the levels of features, of all or, when one can't be, of none. Level 0 disables a feature. With
    /// `is_dry_run` it is only told whether it could be done.
    ///
    /// # Errors
    /// No answer could be had, or the server refused the change.
    pub async fn update_features(
        &self,
        levels: &BTreeMap<String, i16>,
        upgrade: FeatureUpgrade,
        is_dry_run: bool,
    ) -> Result<()> {
        let update = |(feature, level): (&String, &i16)| FeatureUpdateKey {
            feature: feature.clone(),
            max_version_level: *level,
            upgrade_type: upgrade.code(),
            ..Default::default()
        };
        let request = UpdateFeaturesRequest {
            timeout_ms: self.timeout_ms(),
            feature_updates: levels.iter().map(update).collect(),
            validate_only: is_dry_run,
            ..Default::default()
        };
        self.at_any(&request, |response| {
            ClientError::of(response.error_code, response.error_message).map_or(Ok(()), Err)
        })
        .await
    }
}
