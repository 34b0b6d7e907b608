//! Parts of the metadata as Apache Kafka's classes describe themselves.

use crate::java::date_time;
use ottla_metadata::{
    BrokerRegistration, ControllerRegistration, Endpoint, LeaderRecoveryState, Partition, Provenance, QuotaEntity,
    VersionRange,
};
use ottla_protocol::metadata_records::{AccessControlEntryRecord, DelegationTokenRecord, UserScramCredentialRecord};
use std::collections::BTreeMap;
use std::fmt::Display;

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(T::to_string).collect();
    format!("[{}]", items.join(", "))
}

/// How far the metadata reaches.
pub(super) fn provenance(provenance: &Provenance) -> String {
    let (year, month, day, time) = date_time(provenance.timestamp.value());
    let (hours, minutes, seconds) = (time / 3_600_000, time / 60_000 % 60, time / 1_000 % 60);
    let fraction = match time % 1_000 {
        0 => String::new(),
        fraction => format!(".{fraction:03}").trim_end_matches('0').to_owned(),
    };
    let (offset, epoch) = (provenance.offset.value(), provenance.epoch.value());
    format!(
        "offset {offset}, epoch {epoch}, time {year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}{fraction}Z[UTC]"
    )
}

pub(super) fn broker(broker: &BrokerRegistration) -> String {
    let rack = broker.rack.as_ref().map_or("Optional.empty".to_owned(), |rack| format!("Optional[{rack}]"));
    format!(
        "BrokerRegistration(id={}, epoch={}, incarnationId={}, listeners={}, supportedFeatures={}, rack={rack}, fenced={}, inControlledShutdown={}, isMigratingZkBroker={}, directories={}, cordonedDirectories={})",
        broker.id,
        broker.epoch.value(),
        broker.incarnation_id,
        endpoints(&broker.endpoints),
        features(&broker.features),
        broker.fenced,
        broker.in_controlled_shutdown,
        broker.is_migrating_zk_broker,
        list(&broker.log_dirs),
        broker.cordoned_log_dirs.as_deref().map_or("null".to_owned(), list),
    )
}

pub(super) fn controller(controller: &ControllerRegistration) -> String {
    format!(
        "ControllerRegistration(id={}, incarnationId={}, zkMigrationReady={}, listeners={}, supportedFeatures={})",
        controller.id,
        controller.incarnation_id,
        controller.zk_migration_ready,
        endpoints(&controller.endpoints),
        features(&controller.features),
    )
}

fn endpoints(endpoints: &[Endpoint]) -> String {
    let protocol = |code: i16| match code {
        0 => "PLAINTEXT",
        1 => "SSL",
        2 => "SASL_PLAINTEXT",
        3 => "SASL_SSL",
        _ => "UNKNOWN",
    };
    let mut sorted: Vec<_> = endpoints.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let shown = |endpoint: &&Endpoint| {
        let Endpoint { name, host, port, security_protocol } = endpoint;
        let protocol = protocol(*security_protocol);
        format!("Endpoint(listenerName='{name}', securityProtocol={protocol}, host='{host}', port={port})")
    };
    list(&sorted.iter().map(shown).collect::<Vec<_>>())
}

fn features(features: &BTreeMap<String, VersionRange>) -> String {
    let shown = |(name, range): (&String, &VersionRange)| match *range {
        VersionRange { min, max } if min == max => format!("{name}: {min}"),
        VersionRange { min, max: i16::MAX } => format!("{name}: {min}+"),
        VersionRange { min, max } => format!("{name}: {min}-{max}"),
    };
    format!("{{{}}}", features.iter().map(shown).collect::<Vec<_>>().join(", "))
}

pub(super) fn partition(partition: &Partition) -> String {
    let recovery = match partition.leader_recovery_state {
        LeaderRecoveryState::Recovered => "RECOVERED",
        LeaderRecoveryState::Recovering => "RECOVERING",
    };
    format!(
        "PartitionRegistration(replicas={}, directories={}, isr={}, removingReplicas={}, addingReplicas={}, elr={}, lastKnownElr={}, leader={}, leaderRecoveryState={recovery}, leaderEpoch={}, partitionEpoch={})",
        list(&partition.replicas),
        list(&partition.directories),
        list(&partition.in_sync_replicas),
        list(&partition.removing_replicas),
        list(&partition.adding_replicas),
        list(&partition.eligible_leader_replicas),
        list(&partition.last_known_eligible_leader_replicas),
        partition.leader,
        partition.leader_epoch.value(),
        partition.partition_epoch,
    )
}

/// The name of whom a quota is for. Java's classes leave out the default of a kind; here it can be told from nothing.
pub(super) fn quota_entity(entity: &QuotaEntity) -> String {
    let escaped = |text: &String| text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
    let kinds = [("client-id", "clientId"), ("ip", "ip"), ("user", "user")];
    let named = kinds.iter().filter_map(|(kind, shown)| {
        let name = entity.0.get(*kind)?;
        Some(format!("{shown}({})", name.as_ref().map_or("<default>".to_owned(), escaped)))
    });
    named.collect::<Vec<_>>().join("_")
}

fn named(names: &[&'static str], code: i8) -> &'static str {
    usize::try_from(code).ok().and_then(|code| names.get(code)).copied().unwrap_or("UNKNOWN")
}

const RESOURCES: &[&str] =
    &["UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
const PATTERNS: &[&str] = &["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
const OPERATIONS: &[&str] = &[
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
    "TWO_PHASE_COMMIT",
];
const PERMISSIONS: &[&str] = &["UNKNOWN", "ANY", "DENY", "ALLOW"];

pub(super) fn access_control_entry(entry: &AccessControlEntryRecord) -> String {
    format!(
        "StandardAcl[resourceType={}, resourceName={}, patternType={}, principal={}, host={}, operation={}, permissionType={}]",
        named(RESOURCES, entry.resource_type),
        entry.resource_name,
        named(PATTERNS, entry.pattern_type),
        entry.principal,
        entry.host,
        named(OPERATIONS, entry.operation),
        named(PERMISSIONS, entry.permission_type),
    )
}

pub(super) fn scram_credential(credential: &UserScramCredentialRecord) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        "ScramCredentialData(salt={}, storedKey={}, serverKey={}, iterations={})",
        hex(&credential.salt),
        hex(&credential.stored_key),
        hex(&credential.server_key),
        credential.iterations,
    )
}

pub(super) fn token(token: &DelegationTokenRecord) -> String {
    format!(
        "DelegationTokenDatatokenId={}(owner={}(tokenRequester={}(renewers={}, issueTimestamp={}, maxTimestamp={}), expiryTimestamp={}",
        token.token_id,
        token.owner,
        token.requester,
        token.renewers.join(" "),
        token.issue_timestamp,
        token.max_timestamp,
        token.expiration_timestamp,
    )
}
