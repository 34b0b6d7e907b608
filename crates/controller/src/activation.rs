use crate::{Controller, Outcome};
use ottla_metadata::{ConfigResource, Feature, MetadataVersionExt, VersionedRecord};
use ottla_protocol::metadata_records::{
    AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord, MetadataRecord, NoOpRecord,
};
use ottla_types::MetadataVersion;

const BOOTSTRAP_TRANSACTION: &str = "Bootstrap records";
const ABORT_REASON: &str = "Controller failover";
const MIN_IN_SYNC_REPLICAS: &str = "min.insync.replicas";

impl Controller {
    /// The first records of a controller that has become active. Into an empty log go the records that formatting left
    /// behind (`bootstrap`); a transaction that a predecessor left open is aborted.
    pub fn activation_records(&self, bootstrap: &[VersionedRecord], transaction_is_open: bool) -> Outcome<()> {
        let mut records = Vec::new();
        if transaction_is_open {
            let reason = Some(ABORT_REASON.to_owned());
            let record = AbortTransactionRecord { reason, ..Default::default() };
            records.push(MetadataRecord::AbortTransaction(record).into());
        }
        if self.image.features.metadata_version().is_none() {
            self.add_bootstrap(bootstrap, &mut records);
        }
        Outcome::atomic(records, ())
    }

    fn add_bootstrap(&self, bootstrap: &[VersionedRecord], records: &mut Vec<VersionedRecord>) {
        let level = |feature: Feature| {
            bootstrap.iter().rev().find_map(|record| match &record.record {
                MetadataRecord::FeatureLevel(level) if level.name == feature.name() => Some(level.feature_level),
                _ => None,
            })
        };
        let metadata_version = level(Feature::MetadataVersion).map_or(MetadataVersion::LATEST, MetadataVersion);
        let in_transaction = metadata_version.has_metadata_transactions();
        if in_transaction {
            let name = Some(BOOTSTRAP_TRANSACTION.to_owned());
            let record = BeginTransactionRecord { name, ..Default::default() };
            records.push(MetadataRecord::BeginTransaction(record).into());
        }
        records.extend_from_slice(bootstrap);
        if level(Feature::EligibleLeaderReplicasVersion).unwrap_or(0) > 0 {
            // All brokers must agree on the minimum, so it moves from their files into the log.
            let minimum = self.node.topic_defaults.min_insync_replicas;
            records.push(self.min_in_sync_record(&ConfigResource::broker_default(), Some(minimum)));
        }
        if in_transaction {
            records.push(MetadataRecord::EndTransaction(EndTransactionRecord::default()).into());
        }
    }

    /// What must be written before eligible leader replicas are switched on: the cluster's minimum of replicas in sync, if
    /// it has none, and no broker's own.
    pub(crate) fn min_in_sync_records(&self, records: &mut Vec<VersionedRecord>) {
        let cluster = ConfigResource::broker_default();
        if self.image.configs.value(&cluster, MIN_IN_SYNC_REPLICAS).is_none() {
            let minimum = self.settings.node.topic_defaults.min_insync_replicas;
            records.push(self.min_in_sync_record(&cluster, Some(minimum)));
        }
        for (resource, configs) in self.image.configs.iter() {
            let is_broker = resource.kind == ottla_metadata::ConfigResourceType::Broker && !resource.name.is_empty();
            if is_broker && configs.contains_key(MIN_IN_SYNC_REPLICAS) {
                records.push(self.min_in_sync_record(resource, None));
            }
        }
    }

    fn min_in_sync_record(&self, resource: &ConfigResource, minimum: Option<i32>) -> VersionedRecord {
        let record = ConfigRecord {
            resource_type: resource.kind.code(),
            resource_name: resource.name.to_string(),
            name: MIN_IN_SYNC_REPLICAS.to_owned(),
            value: minimum.map(|minimum| minimum.to_string()),
            ..Default::default()
        };
        MetadataRecord::Config(record).into()
    }

    /// The record that says nothing. Written at `metadata.max.idle.interval.ms`, it lets followers see that the log still
    /// moves.
    pub fn no_op(&self) -> Outcome<()> {
        Outcome::atomic(vec![MetadataRecord::NoOp(NoOpRecord::default()).into()], ())
    }
}
